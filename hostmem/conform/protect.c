/*
 * Cases about VirtualProtect where it succeeds: access, the protection that was, ranges,
 * threads, and memory that the host does not know.
 *
 * A runtime writes code into a page, makes it executable, and compares the protection that it
 * is told was there; so that one is asked for each change.  It also changes pages that it never
 * got from the host, its own code and data, a few bytes at a time: a host that refuses them
 * breaks it.
 *
 * EXECUTE pages are not asked whether they can be read: documents and processors part there.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

static const struct right {
	DWORD protect;
	bool read, write, call;
} rights[] = {
	{ PAGE_NOACCESS, false, false, false },
	{ PAGE_READONLY, true, false, false },
	{ PAGE_READWRITE, true, true, false },
	{ PAGE_EXECUTE, true, false, true },
	{ PAGE_EXECUTE_READ, true, false, true },
	{ PAGE_EXECUTE_READWRITE, true, true, true },
};

/* A page that holds the function of hm_put_code; NULL after a failed check. */
static unsigned char *page_with_code(struct hm_trial *t)
{
	unsigned char *page = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);

	if (page != NULL)
		hm_put_code(page);
	return page;
}

/* Writes behind the code, so that it stays. */
static void check_access(struct hm_trial *t, unsigned char *page, const struct right *is)
{
	if (is->protect != PAGE_EXECUTE)
		CHECK(t, hm_can_read(page) == is->read);
	CHECK(t, hm_can_write(page + HM_PAGE - 1, 7) == is->write);
	CHECK(t, hm_can_call(page) == is->call);
}

/* Some systems and hosts give no page that is writable and executable. */
static bool is_granted(struct hm_trial *t, unsigned char *page, const struct right *right,
		       DWORD was)
{
	DWORD old;
	HRESULT hr = hm_reprotect(t, page, HM_PAGE, right->protect, &old);

	if (hr == E_ACCESSDENIED && right->write && right->call) {
		CHECK_RUN(t, page, MEM_COMMIT, was, HM_PAGE, page);
		return false;
	}
	return hm_check_hr(t, hr, S_OK, "VirtualProtect", __FILE__, __LINE__) &&
	       CHECK_SIZE(t, old, was);
}

static void each_protection_becomes_each(struct hm_trial *t)
{
	unsigned char *page = page_with_code(t);

	if (page == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(rights) * HM_ROWS(rights); i++) {
		const struct right *from = &rights[i / HM_ROWS(rights)];
		const struct right *to = &rights[i % HM_ROWS(rights)];

		hm_row(t, "0x%x to 0x%x", (unsigned)from->protect, (unsigned)to->protect);
		if (is_granted(t, page, from, PAGE_READWRITE)) {
			if (is_granted(t, page, to, from->protect)) {
				CHECK_RUN(t, page, MEM_COMMIT, to->protect, HM_PAGE,
					  page);
				check_access(t, page, to);
				hm_protect(t, page, 1, PAGE_READWRITE, to->protect);
			} else {
				hm_protect(t, page, 1, PAGE_READWRITE, from->protect);
			}
		}
	}
}

/* What cannot be read keeps what it holds. */
static void contents_survive(struct hm_trial *t)
{
	unsigned char *base = hm_take(t, NULL, HM_GRANULE, HM_BOTH, PAGE_READWRITE);
	DWORD was = PAGE_READWRITE;

	if (base == NULL)
		return;
	memset(base, 0x6D, HM_GRANULE);
	for (size_t i = 0; i < HM_ROWS(rights); i++) {
		if (rights[i].write && rights[i].call)
			continue;
		hm_protect(t, base, HM_GRANULE, rights[i].protect, was);
		was = rights[i].protect;
	}
	hm_protect(t, base, HM_GRANULE, PAGE_READWRITE, was);
	CHECK_FILLED(t, base, HM_GRANULE, 0x6D);
}

/* ---- Ranges ---- */

enum { FEW = 4 };

struct range {
	size_t offset, size, first, count;
};

/* What a runtime does: 1 byte of a page of its stack, 5 to 8 bytes of code that it patches. */
static const struct range ranges[] = {
	{ 0, 1, 0, 1 },           { 0xFFF, 1, 0, 1 },       { 0x1000, 0x1000, 1, 1 },
	{ 0xFFF, 2, 0, 2 },       { 0x1FFC, 5, 1, 2 },      { 0x1FF9, 8, 1, 2 },
	{ 0x1FF8, 8, 1, 1 },      { 0x0FFF, 0x2002, 0, 4 }, { 0x3FFF, 1, 3, 1 },
	{ 0x1001, 0x1FFF, 1, 2 }, { 0, 0x4000, 0, 4 },
};

static void check_range(struct hm_trial *t, unsigned char *base,
			const struct range *range)
{
	for (size_t page = 0; page < FEW; page++) {
		bool changed = page >= range->first && page < range->first + range->count;

		CHECK(t, hm_can_write(base + page * HM_PAGE + 9, 1) == !changed);
	}
}

static void every_page_that_the_range_touches(struct hm_trial *t)
{
	for (size_t i = 0; i < HM_ROWS(ranges); i++) {
		unsigned char *base = hm_take(t, NULL, FEW * HM_PAGE, HM_BOTH,
					      PAGE_READWRITE);

		hm_row(t, "offset 0x%zx, size 0x%zx", ranges[i].offset, ranges[i].size);
		if (base == NULL)
			return;
		hm_protect(t, base + ranges[i].offset, ranges[i].size, PAGE_READONLY,
			   PAGE_READWRITE);
		check_range(t, base, &ranges[i]);
		CHECK_RUN(t, base + ranges[i].first * HM_PAGE, MEM_COMMIT, PAGE_READONLY,
			  ranges[i].count * HM_PAGE, base);
		hm_give(t, base);
	}
}

static void the_old_protection_is_that_of_the_first_page(struct hm_trial *t)
{
	static const DWORD pages[] = { PAGE_READONLY, PAGE_NOACCESS, PAGE_READWRITE,
				       PAGE_EXECUTE_READ };

	for (size_t first = 0; first < FEW; first++) {
		unsigned char *base = hm_take(t, NULL, FEW * HM_PAGE, MEM_RESERVE,
					      PAGE_NOACCESS);

		hm_row(t, "from page %zu on", first);
		if (base == NULL)
			return;
		for (size_t page = 0; page < FEW; page++)
			hm_commit(t, base + page * HM_PAGE, HM_PAGE, pages[page]);
		hm_protect(t, base + first * HM_PAGE + 5, (FEW - first) * HM_PAGE - 5,
			   PAGE_READWRITE, pages[first]);
		for (size_t page = 0; page < FEW; page++)
			CHECK_RUN(t, base + page * HM_PAGE, MEM_COMMIT,
				  page < first ? pages[page] : PAGE_READWRITE, 0, base);
		hm_give(t, base);
	}
}

/* ChakraCore compares the size of the run with that of its block. */
static void equal_neighbours_become_one_run(struct hm_trial *t)
{
	static const DWORD protections[] = { PAGE_READWRITE, PAGE_READONLY };
	unsigned char *base = hm_take(t, NULL, 16 * HM_PAGE, MEM_RESERVE, PAGE_NOACCESS);

	if (base == NULL)
		return;
	for (size_t page = 0; page < 12; page++)
		hm_commit(t, base + page * HM_PAGE, HM_PAGE, protections[page % 2]);
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, HM_PAGE, base);
	hm_protect(t, base, 12 * HM_PAGE, PAGE_READONLY, PAGE_READWRITE);
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READONLY, 12 * HM_PAGE, base);
	hm_protect(t, base + 4 * HM_PAGE, 4 * HM_PAGE, PAGE_READWRITE, PAGE_READONLY);
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READONLY, 4 * HM_PAGE, base);
	CHECK_RUN(t, base + 4 * HM_PAGE, MEM_COMMIT, PAGE_READWRITE, 4 * HM_PAGE, base);
	CHECK_RUN(t, base + 8 * HM_PAGE, MEM_COMMIT, PAGE_READONLY, 4 * HM_PAGE, base);
	hm_protect(t, base + 4 * HM_PAGE, 4 * HM_PAGE, PAGE_READONLY, PAGE_READWRITE);
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READONLY, 12 * HM_PAGE, base);
}

/* ---- Bits beside the protection ---- */

static void targets_are_accepted_and_not_told(struct hm_trial *t)
{
	static const DWORD rows[] = { PAGE_EXECUTE, PAGE_EXECUTE_READ };
	unsigned char *page = page_with_code(t);

	if (page == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "0x%x", (unsigned)(rows[i] | PAGE_TARGETS_NO_UPDATE));
		hm_protect(t, page, HM_PAGE, rows[i] | PAGE_TARGETS_NO_UPDATE,
			   PAGE_READWRITE);
		CHECK_RUN(t, page, MEM_COMMIT, rows[i], HM_PAGE, page);
		CHECK(t, hm_can_call(page));
		hm_protect(t, page, HM_PAGE, PAGE_READWRITE, rows[i]);
	}
}

static void no_cache_belongs_to_the_allocating_call(struct hm_trial *t)
{
	unsigned char *cached = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);
	unsigned char *page = hm_take(t, NULL, HM_PAGE, HM_BOTH,
				      PAGE_READWRITE | PAGE_NOCACHE);

	if (cached == NULL || page == NULL)
		return;
	hm_row(t, "asked for later");
	hm_protect(t, cached, HM_PAGE, PAGE_READONLY | PAGE_NOCACHE, PAGE_READWRITE);
	CHECK_RUN(t, cached, MEM_COMMIT, PAGE_READONLY, HM_PAGE, cached);
	hm_row(t, "asked for at first");
	hm_protect(t, page, HM_PAGE, PAGE_READONLY, PAGE_READWRITE | PAGE_NOCACHE);
	CHECK_RUN(t, page, MEM_COMMIT, PAGE_READONLY | PAGE_NOCACHE, HM_PAGE, page);
	CHECK(t, hm_can_read(page) && !hm_can_write(page, 1));
}

/* ---- Threads ---- */

enum { WORKERS = 4, TURNS = 100 };

static struct worker {
	IHostMemoryManager *memory;
	unsigned char *page; /* its own of one reservation */
	_Atomic unsigned wrong;
} workers[WORKERS];
static _Atomic unsigned next_worker;

static void turn_a_page_to_and_fro(void *state)
{
	struct worker *worker = &workers[next_worker++];

	(void)state;
	for (unsigned turn = 0; turn < TURNS; turn++) {
		DWORD from = turn % 2 == 0 ? PAGE_READWRITE : PAGE_READONLY;
		DWORD to = turn % 2 == 0 ? PAGE_READONLY : PAGE_READWRITE;
		DWORD old = 0;
		HRESULT hr = IHostMemoryManager_VirtualProtect(worker->memory,
							       worker->page, HM_PAGE, to,
							       &old);

		if (hr != S_OK || old != from ||
		    (to == PAGE_READWRITE &&
		     !hm_can_write(worker->page, (unsigned char)turn)))
			worker->wrong++;
	}
}

static void threads_have_pages_of_one_reservation(struct hm_trial *t)
{
	unsigned char *base = hm_take(t, NULL, WORKERS * HM_PAGE, HM_BOTH,
				      PAGE_READWRITE);

	if (base == NULL)
		return;
	for (size_t i = 0; i < WORKERS; i++) {
		workers[i].memory = t->memory;
		workers[i].page = base + i * HM_PAGE;
	}
	hm_together(t, WORKERS, turn_a_page_to_and_fro, NULL);
	for (size_t i = 0; i < WORKERS; i++) {
		hm_row(t, "thread %zu", i);
		CHECK_SIZE(t, workers[i].wrong, 0);
	}
	hm_row(t, "the end");
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, WORKERS * HM_PAGE, base);
}

/* ---- Memory that the host does not know ---- */

static void pages_of_the_system_are_changed(struct hm_trial *t)
{
	unsigned char *base = (unsigned char *)hm_foreign_pages(FEW * HM_PAGE);

	if (!CHECK(t, base != NULL))
		return;
	memset(base, 0x3D, FEW * HM_PAGE);
	for (size_t i = 0; i < HM_ROWS(ranges); i++) {
		unsigned char *at = base + ranges[i].offset;

		hm_row(t, "offset 0x%zx, size 0x%zx", ranges[i].offset, ranges[i].size);
		hm_protect(t, at, ranges[i].size, PAGE_READONLY, PAGE_READWRITE);
		check_range(t, base, &ranges[i]);
		hm_protect(t, at, ranges[i].size, PAGE_READWRITE, PAGE_READONLY);
		CHECK(t, hm_can_write(at, 0x3D) && base[FEW * HM_PAGE - 1] == 0x3D);
	}
	hm_row(t, "no access");
	hm_protect(t, base, FEW * HM_PAGE, PAGE_NOACCESS, PAGE_READWRITE);
	CHECK(t, !hm_can_read(base) && !hm_can_read(base + FEW * HM_PAGE - 1));
	hm_protect(t, base, FEW * HM_PAGE, PAGE_READWRITE, PAGE_NOACCESS);
	hm_foreign_done(base, FEW * HM_PAGE);
}

static unsigned char static_data[FEW * 4096];

/* As the CLR does with its own data: changed, and put back to what was told. */
static void static_data_is_changed_and_put_back(struct hm_trial *t)
{
	uintptr_t border = ((uintptr_t)static_data + 2 * HM_PAGE) & ~(HM_PAGE - 1);
	unsigned char *at = (unsigned char *)(border - 3);
	DWORD was, old;

	memset(at, 0x2C, 8);
	if (!CHECK_HR(t, hm_reprotect(t, at, 8, PAGE_READONLY, &was), S_OK))
		return;
	CHECK(t, !hm_can_write(at, 1) && !hm_can_write(at + 7, 1));
	CHECK_HR(t, hm_reprotect(t, at, 8, was, &old), S_OK);
	CHECK_SIZE(t, old, PAGE_READONLY);
	CHECK(t, hm_can_write(at, 1) && hm_can_write(at + 7, 1));
	CHECK_SIZE(t, at[3], 0x2C);
}

static void a_byte_of_the_stack(struct hm_trial *t)
{
	unsigned char local[3 * 4096];
	unsigned char *middle = local + sizeof(local) / 2;

	memset(local, 0x2D, sizeof(local));
	hm_protect(t, middle, 1, PAGE_READWRITE, PAGE_READWRITE);
	CHECK(t, hm_can_write(middle, 1));
	CHECK_SIZE(t, middle[1], 0x2D);
}

/* Here the code is in a page of the system's, over whose end it may be patched. */
static void code_is_patched(struct hm_trial *t)
{
	unsigned char *base = (unsigned char *)hm_foreign_pages(2 * HM_PAGE);
	unsigned char *at;
	DWORD old;
	HRESULT hr;

	if (!CHECK(t, base != NULL))
		return;
	at = base + HM_PAGE - 4;
	hm_protect(t, base, 2 * HM_PAGE, PAGE_EXECUTE_READ, PAGE_READWRITE);
	hr = hm_reprotect(t, at, 8, PAGE_EXECUTE_READWRITE, &old);
	if (hr == E_ACCESSDENIED) {
		hm_skip(t, "no page may be writable and executable here");
	} else if (CHECK_HR(t, hr, S_OK)) {
		CHECK_SIZE(t, old, PAGE_EXECUTE_READ);
		CHECK(t, hm_can_write(at + 7, 0) && hm_can_write(at, 0));
		hm_put_code(at);
		hm_protect(t, at, 8, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE);
		CHECK(t, hm_can_call(at));
		CHECK(t, !hm_can_write(at, 0) && !hm_can_write(at + 7, 0));
	}
	hm_foreign_done(base, 2 * HM_PAGE);
}

static const struct hm_case cases[] = {
	{ "each-becomes-each", HM_REQUIRED, "MS memory protection constants",
	  each_protection_becomes_each, HM_NO_GROUP },
	{ "contents-survive", HM_REQUIRED, "MS VirtualProtect", contents_survive,
	  HM_NO_GROUP },
	{ "ranges", HM_REQUIRED, "MS VirtualProtect: each page a range touches",
	  every_page_that_the_range_touches, HM_NO_GROUP },
	{ "old-protection", HM_REQUIRED, "MS VirtualProtect: of the first page; CH",
	  the_old_protection_is_that_of_the_first_page, HM_NO_GROUP },
	{ "neighbours-merge", HM_DOCUMENTED, "MS VirtualQuery; CH compares the size",
	  equal_neighbours_become_one_run, HM_NO_GROUP },
	{ "call-targets", HM_WINDOWS_DETAIL, "CH: the old protection is plain",
	  targets_are_accepted_and_not_told, HM_NO_GROUP },
	{ "no-cache", HM_WINDOWS_DETAIL, "WT kernel32 virtual.c",
	  no_cache_belongs_to_the_allocating_call, HM_NO_GROUP },
	{ "threads", HM_REQUIRED, "HR: methods may be called on any thread",
	  threads_have_pages_of_one_reservation, HM_NO_GROUP },
	{ "pages-of-the-system", HM_REQUIRED, "CLR changes memory that no host gave it",
	  pages_of_the_system_are_changed, HM_NO_GROUP },
	{ "static-data", HM_REQUIRED, "CLR changes its own data sections",
	  static_data_is_changed_and_put_back, HM_NO_GROUP },
	{ "a-byte-of-the-stack", HM_REQUIRED, "CLR changes pages of its stacks",
	  a_byte_of_the_stack, HM_NO_GROUP },
	{ "code-is-patched", HM_REQUIRED, "CLR patches 5 to 8 bytes of code",
	  code_is_patched, HM_NO_GROUP },
};

const struct hm_area hm_area_protect = HM_AREA("protect", cases);
