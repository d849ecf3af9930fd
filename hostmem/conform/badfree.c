/*
 * Cases about VirtualFree where it has to be refused: malformed calls, places that are not
 * what the call needs, and memory that is not the host's.
 *
 * The hosting reference asks a host to know its own memory here, and only here and in
 * IHostMalloc::Free.  A host that passes every address on to the system takes the stack, the
 * code or another host's pages from under the process; so nothing here is given back
 * wrongly where anybody could still need it.
 */
#include "areas.h"
#include "memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* None, both, and every other bit: alone, and beside each of the two. */
static void types_that_are_none(struct hm_trial *t)
{
	static const DWORD rows[] = { 0, MEM_DECOMMIT | MEM_RELEASE, MEM_RELEASE | 4,
				      MEM_DECOMMIT | MEM_TOP_DOWN, 0xFFFFFFFF };
	void *base = hm_take(t, NULL, HM_GRANULE, HM_BOTH, PAGE_READWRITE);

	if (base == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "type 0x%x", (unsigned)rows[i]);
		hm_refused_free(t, base, 0, rows[i], E_INVALIDARG);
		hm_refused_free(t, base, HM_PAGE, rows[i], E_INVALIDARG);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		DWORD type = (DWORD)1 << bit;

		if (type == MEM_DECOMMIT || type == MEM_RELEASE)
			continue;
		hm_row(t, "type 0x%x, alone and with another", (unsigned)type);
		hm_refused_free(t, base, 0, type, E_INVALIDARG);
		hm_refused_free(t, base, 0, type | MEM_RELEASE, E_INVALIDARG);
		hm_refused_free(t, base, 0, type | MEM_DECOMMIT, E_INVALIDARG);
	}
}

static void release_goes_without_a_size(struct hm_trial *t)
{
	static const size_t rows[] = { 1, HM_PAGE, HM_GRANULE - 1, HM_GRANULE,
				       2 * HM_GRANULE };
	void *base = hm_take(t, NULL, HM_GRANULE, HM_BOTH, PAGE_READWRITE);

	if (base == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "size 0x%zx of 0x%zx", rows[i], HM_GRANULE);
		hm_refused_free(t, base, rows[i], MEM_RELEASE, E_INVALIDARG);
	}
}

static void inner_addresses_are_no_base(struct hm_trial *t)
{
	static const size_t rows[] = { HM_PAGE,           HM_PAGE + 1,    HM_GRANULE - 1,
				       HM_GRANULE,        HM_GRANULE + 1, 2 * HM_GRANULE,
				       3 * HM_GRANULE - 1 };
	void *base = hm_take(t, NULL, 3 * HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);

	if (base == NULL || !hm_commit(t, base, HM_GRANULE, PAGE_READWRITE))
		return;
	memset(base, 0x43, HM_GRANULE);
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		void *address = hm_at(base, rows[i]);

		hm_row(t, "offset 0x%zx", rows[i]);
		hm_refused_free(t, address, 0, MEM_RELEASE, HM_INVALID_ADDRESS);
		hm_refused_free(t, address, 0, MEM_DECOMMIT, HM_INVALID_ADDRESS);
	}
}

/* What mimalloc does where it has only an address inside. */
static void virtualquery_leads_from_inside_to_the_base(struct hm_trial *t)
{
	void *base = hm_take(t, NULL, 4 * HM_GRANULE, HM_BOTH, PAGE_READWRITE);
	void *inner = hm_at(base, 2 * HM_GRANULE + 5);
	MEMORY_BASIC_INFORMATION run;

	if (base == NULL)
		return;
	hm_refused_free(t, inner, 0, MEM_RELEASE, HM_INVALID_ADDRESS);
	CHECK_HR(t, hm_query(t, inner, &run), S_OK);
	if (CHECK_POINTER(t, run.AllocationBase, base) && hm_give(t, run.AllocationBase))
		CHECK(t, !hm_can_read(inner));
}

static void decommit_past_the_end(struct hm_trial *t)
{
	static const struct {
		size_t offset, size;
	} rows[] = {
		{ 0, 0x10001 },      { 0xF000, 0x1001 }, { 0xFFFF, 2 },
		{ 0x1000, 0x10000 }, { 0, 0x20000 },     { 0, 0x100000000 },
		{ 0x1F000, 0x1001 }, { 0x1FFFF, 2 },
	};
	unsigned char *first = hm_neighbours(t);

	if (first == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "offset 0x%zx, size 0x%zx", rows[i].offset, rows[i].size);
		hm_refused_free(t, first + rows[i].offset, rows[i].size, MEM_DECOMMIT,
				E_INVALIDARG);
	}
}

static void ranges_that_wrap_or_leave_user_space(struct hm_trial *t)
{
	static const struct {
		const char *what;
		bool inside; /* of a reservation, else as it stands */
		uintptr_t address;
		size_t size;
		DWORD type;
	} rows[] = {
		{ "all there is", true, 0, SIZE_MAX, MEM_DECOMMIT },
		{ "wraps when rounded", true, 0, SIZE_MAX - 0xFFF, MEM_DECOMMIT },
		{ "wraps to the base", true, 0x1000, (size_t)0 - 0x1000, MEM_DECOMMIT },
		{ "release of all there is", true, 0, SIZE_MAX, MEM_RELEASE },
		{ "leaves user space", true, 0, HM_USER_END, MEM_DECOMMIT },
		{ "the end of user space", false, HM_USER_END, 0x1000, MEM_DECOMMIT },
		{ "the end, release", false, HM_USER_END, 0, MEM_RELEASE },
		{ "kernel half", false, 0xFFFF800000000000, 0, MEM_RELEASE },
		{ "kernel half, a page", false, 0xFFFF800000000000, 1, MEM_DECOMMIT },
		{ "the last byte", false, UINTPTR_MAX, 1, MEM_DECOMMIT },
	};

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		/* A new one each time: who loses it fails in that row only. */
		void *base = hm_take(t, NULL, HM_GRANULE, HM_BOTH, PAGE_READWRITE);
		void *address = rows[i].inside ? hm_at(base, rows[i].address)
					       : (void *)rows[i].address;

		hm_row(t, "%s", rows[i].what);
		if (rows[i].size == SIZE_MAX)
			hm_wine(t, "Wine 8 lets address and size wrap");
		if (base == NULL)
			return;
		memset(base, 0x44, HM_GRANULE);
		hm_refused_free(t, address, rows[i].size, rows[i].type, E_INVALIDARG);
	}
}

/* The three calls that would take a page away, if it were the host's. */
static void refuse_all_frees(struct hm_trial *t, void *address)
{
	hm_refused_free(t, address, 0, MEM_RELEASE, HOST_E_INVALIDOPERATION);
	hm_refused_free(t, address, 0, MEM_DECOMMIT, HOST_E_INVALIDOPERATION);
	hm_refused_free(t, address, 1, MEM_DECOMMIT, HOST_E_INVALIDOPERATION);
}

static void free_memory_is_nobodys(struct hm_trial *t)
{
	static const size_t rows[] = { 0, 0x10000, 0x23000, 0x2FFFF, 0x30000 };
	void *hole = hm_hole(t, 4 * HM_GRANULE);

	/* The third unit is reserved, of it the first three pages. */
	if (hole == NULL || hm_take(t, hm_at(hole, 2 * HM_GRANULE), 3 * HM_PAGE, HM_BOTH,
				    PAGE_READWRITE) == NULL)
		return;
	hm_row(t, "NULL");
	refuse_all_frees(t, NULL);
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "offset 0x%zx of a hole", rows[i]);
		refuse_all_frees(t, hm_at(hole, rows[i]));
	}
}

static void a_double_free(struct hm_trial *t)
{
	static const size_t rows[] = { 1, HM_PAGE, HM_GRANULE, 0x12345, 4 * 1024 * 1024 };

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		void *base;

		hm_row(t, "size 0x%zx", rows[i]);
		base = hm_take(t, NULL, rows[i], HM_BOTH, PAGE_READWRITE);
		if (base == NULL || !hm_give(t, base))
			return;
		refuse_all_frees(t, base);
	}
}

/* ---- Memory of others ---- */

static unsigned char static_data[4 * 4096];

/* Takes nothing from a host that believes it: false after a page is gone. */
static bool refuse_foreign(struct hm_trial *t, const char *what, unsigned char *page,
			   bool filled)
{
	hm_row(t, "%s", what);
	refuse_all_frees(t, page);
	if (!CHECK(t, hm_can_read(page)))
		return false;
	if (filled && !t->codes)
		CHECK_FILLED(t, page, HM_PAGE, 0x40);
	return true;
}

/* A page that the bytes wholly hold; only it may be lost. */
static unsigned char *page_within(unsigned char *bytes)
{
	uintptr_t page = ((uintptr_t)bytes + HM_PAGE - 1) & ~(HM_PAGE - 1);

	memset((void *)page, 0x40, HM_PAGE);
	return (unsigned char *)page;
}

static void the_stack_and_the_image_are_not_the_hosts(struct hm_trial *t)
{
	unsigned char local[16 * 4096];
	void (*function)(struct hm_trial *) = the_stack_and_the_image_are_not_the_hosts;
	unsigned char *code;

	memcpy(&code, &function, sizeof(code));
	if (refuse_foreign(t, "the stack", page_within(local), true) &&
	    refuse_foreign(t, "static data", page_within(static_data), true))
		(void)refuse_foreign(t, "code", code, false);
}

static void the_c_heap_is_not_the_hosts(struct hm_trial *t)
{
	unsigned char *block = (unsigned char *)malloc(4 * HM_PAGE);
	unsigned char *large = (unsigned char *)malloc(1024 * 1024);

	if (!CHECK(t, block != NULL && large != NULL))
		return;
	/* A block that is not whole any more is not given back. */
	if (refuse_foreign(t, "a block of malloc", page_within(block), true))
		free(block);
	if (refuse_foreign(t, "a large block", page_within(large), true))
		free(large);
}

static void pages_of_the_system_are_not_the_hosts(struct hm_trial *t)
{
	unsigned char *pages = (unsigned char *)hm_foreign_pages(4 * HM_PAGE);

	if (!CHECK(t, pages != NULL))
		return;
	memset(pages, 0x40, 4 * HM_PAGE);
	if (refuse_foreign(t, "the second page", pages + HM_PAGE, true) &&
	    refuse_foreign(t, "the base", pages, true))
		hm_foreign_done(pages, 4 * HM_PAGE);
}

static void memory_of_another_host_is_not_this_ones(struct hm_trial *t)
{
	IHostMemoryManager *other = hm_another_host(t);
	void *base = NULL;

	if (other == NULL)
		return;
	if (CHECK_HR(t,
		     IHostMemoryManager_VirtualAlloc(other, NULL, HM_GRANULE, HM_BOTH,
						     PAGE_READWRITE, eTaskCritical,
						     &base),
		     S_OK)) {
		memset(base, 0x40, HM_GRANULE);
		if (refuse_foreign(t, "the second page", hm_at(base, HM_PAGE), true) &&
		    refuse_foreign(t, "the base", base, true)) {
			hm_row(t, "its owner");
			CHECK_HR(t,
				 IHostMemoryManager_VirtualFree(other, base, 0,
								MEM_RELEASE),
				 S_OK);
		}
	}
	(void)IHostMemoryManager_Release(other);
}

/* ---- Many at once ---- */

enum { RELEASERS = 32, ROUNDS = 10, PATIENCE_MS = 3000 };

/* It stays when the case is over: a thread may be late. */
static struct race {
	IHostMemoryManager *memory;
	void *base;
	bool codes;
	_Atomic int round, released, refused, done;
} race;

static void release_once_a_round(void *state)
{
	(void)state;
	for (int round = 1; round <= ROUNDS; round++) {
		HRESULT hr;

		while (race.round < round)
			hm_pause(0);
		hr = IHostMemoryManager_VirtualFree(race.memory, race.base, 0,
						    MEM_RELEASE);
		if (hr == S_OK)
			race.released++;
		else if (race.codes ? hr == HOST_E_INVALIDOPERATION : FAILED(hr))
			race.refused++;
		race.done++;
	}
}

static bool one_round(struct hm_trial *t, int round, unsigned long long until)
{
	race.base = hm_take(t, NULL, HM_GRANULE, HM_BOTH, PAGE_READWRITE);
	hm_forget(t, race.base);
	race.round = round;
	while (race.done < round * RELEASERS) {
		if (hm_now_ms() >= until)
			return CHECK(t, race.done == round * RELEASERS);
		hm_pause(0);
	}
	return CHECK_SIZE(t, (uint64_t)race.released, (uint64_t)round) &&
	       CHECK_SIZE(t, (uint64_t)race.refused, (uint64_t)(round * (RELEASERS - 1)));
}

static void one_of_32_threads_releases(struct hm_trial *t)
{
	struct hm_helper *helpers[RELEASERS];
	unsigned long long until = hm_now_ms() + PATIENCE_MS;
	bool whole = true;

	race.memory = t->memory;
	race.codes = t->codes;
	for (size_t i = 0; i < RELEASERS; i++)
		helpers[i] = hm_start(t, release_once_a_round, NULL);
	for (int round = 1; whole && round <= ROUNDS; round++) {
		hm_row(t, "round %d", round);
		whole = one_round(t, round, until);
	}
	race.round = ROUNDS;
	for (size_t i = 0; i < RELEASERS; i++) {
		if (helpers[i] != NULL)
			CHECK(t, hm_helper_ends(helpers[i], PATIENCE_MS));
	}
}

static const struct hm_case cases[] = {
	{ "types", HM_REQUIRED, "WT kernel32 virtual.c; PAL VirtualFree test3",
	  types_that_are_none, HM_WINDOWS_DETAIL },
	{ "release-with-a-size", HM_REQUIRED, "MS VirtualFree: dwSize has to be 0; WT",
	  release_goes_without_a_size, HM_WINDOWS_DETAIL },
	{ "inner-addresses", HM_REQUIRED, "MS VirtualFree; WT; MI depends on 487",
	  inner_addresses_are_no_base, HM_WINDOWS_DETAIL },
	{ "from-inside-to-the-base", HM_REQUIRED, "MI prim/windows",
	  virtualquery_leads_from_inside_to_the_base, HM_NO_GROUP },
	{ "decommit-past-the-end", HM_REQUIRED, "MS VirtualFree; RT",
	  decommit_past_the_end, HM_WINDOWS_DETAIL },
	{ "ranges-that-wrap", HM_REQUIRED, "RK: checked before anything is changed",
	  ranges_that_wrap_or_leave_user_space, HM_WINDOWS_DETAIL },
	{ "free-memory", HM_REQUIRED, "HR VirtualFree: HOST_E_INVALIDOPERATION; RT",
	  free_memory_is_nobodys, HM_DOCUMENTED },
	{ "double-free", HM_REQUIRED, "HR VirtualFree: HOST_E_INVALIDOPERATION; RT",
	  a_double_free, HM_DOCUMENTED },
	{ "stack-and-image", HM_DOCUMENTED, "HR VirtualFree: HOST_E_INVALIDOPERATION",
	  the_stack_and_the_image_are_not_the_hosts, HM_DOCUMENTED },
	{ "the-c-heap", HM_DOCUMENTED, "HR VirtualFree: HOST_E_INVALIDOPERATION",
	  the_c_heap_is_not_the_hosts, HM_DOCUMENTED },
	{ "pages-of-the-system", HM_DOCUMENTED, "HR VirtualFree: HOST_E_INVALIDOPERATION",
	  pages_of_the_system_are_not_the_hosts, HM_DOCUMENTED },
	{ "memory-of-another-host", HM_DOCUMENTED,
	  "HR VirtualFree: HOST_E_INVALIDOPERATION",
	  memory_of_another_host_is_not_this_ones, HM_DOCUMENTED },
	{ "one-of-32-threads", HM_REQUIRED, "HR VirtualFree; K: a release happens once",
	  one_of_32_threads_releases, HM_DOCUMENTED },
};

const struct hm_area hm_area_bad_free = HM_AREA("bad-free", cases);
