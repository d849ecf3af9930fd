/*
 * Cases about VirtualQuery: states and runs, what is not the host's, what is malformed, and
 * what it says while others change the pages.
 *
 * A runtime asks for the bounds of its stack, for free places near its code, and about
 * addresses of any kind; and it asks while other threads are stopped, so that a query which
 * waits for a lock of theirs waits for ever.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

/* ---- The host's own pages ---- */

static void check_allocation(struct hm_trial *t, const void *address, DWORD protect)
{
	MEMORY_BASIC_INFORMATION run;

	if (!CHECK_HR(t, hm_query(t, address, &run), S_OK))
		return;
	CHECK_SIZE(t, run.AllocationProtect, protect);
	CHECK_SIZE(t, run.Type, MEM_PRIVATE);
}

/* 16 pages: 0 to 3 reserved, 4 to 9 committed, of which 6 is read-only, the rest reserved. */
static void runs_end_where_pages_differ(struct hm_trial *t)
{
	static const struct {
		size_t offset, size;
		DWORD state, protect;
	} rows[] = {
		{ 0, 0x4000, MEM_RESERVE, 0 },
		{ 1, 0x4000, MEM_RESERVE, 0 },
		{ 0x1FFF, 0x3000, MEM_RESERVE, 0 },
		{ 0x3000, 0x1000, MEM_RESERVE, 0 },
		{ 0x4000, 0x2000, MEM_COMMIT, PAGE_READWRITE },
		{ 0x5ABC, 0x1000, MEM_COMMIT, PAGE_READWRITE },
		{ 0x6000, 0x1000, MEM_COMMIT, PAGE_READONLY },
		{ 0x6FFF, 0x1000, MEM_COMMIT, PAGE_READONLY },
		{ 0x7000, 0x3000, MEM_COMMIT, PAGE_READWRITE },
		{ 0x9FFF, 0x1000, MEM_COMMIT, PAGE_READWRITE },
		{ 0xA000, 0x6000, MEM_RESERVE, 0 },
		{ 0xFFFF, 0x1000, MEM_RESERVE, 0 },
	};
	unsigned char *base = hm_take(t, NULL, 16 * HM_PAGE, MEM_RESERVE, PAGE_NOACCESS);

	if (base == NULL ||
	    !hm_commit(t, base + 4 * HM_PAGE, 6 * HM_PAGE, PAGE_READWRITE) ||
	    !hm_protect(t, base + 6 * HM_PAGE, HM_PAGE, PAGE_READONLY, PAGE_READWRITE))
		return;
	base[8 * HM_PAGE] = 1; /* that a page was touched makes no difference */
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "offset 0x%zx", rows[i].offset);
		CHECK_RUN(t, base + rows[i].offset, rows[i].state, rows[i].protect,
			  rows[i].size, base);
		check_allocation(t, base + rows[i].offset, PAGE_NOACCESS);
	}
}

static void the_allocating_protection_stays(struct hm_trial *t)
{
	static const DWORD rows[] = { PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE,
				      PAGE_EXECUTE, PAGE_EXECUTE_READ };

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		unsigned char *base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, rows[i]);

		hm_row(t, "reserved with 0x%x", (unsigned)rows[i]);
		if (base == NULL)
			return;
		check_allocation(t, base, rows[i]);
		hm_commit(t, base, 2 * HM_PAGE, PAGE_READWRITE);
		check_allocation(t, base, rows[i]);
		hm_protect(t, base, HM_PAGE, PAGE_READONLY, PAGE_READWRITE);
		check_allocation(t, base, rows[i]);
		hm_decommit(t, base, HM_PAGE);
		check_allocation(t, base, rows[i]);
		check_allocation(t, base + HM_PAGE, rows[i]);
		hm_give(t, base);
	}
}

static void two_reservations_are_never_one_run(struct hm_trial *t)
{
	unsigned char *first = hm_neighbours(t);
	unsigned char *second;

	if (first == NULL)
		return;
	second = first + HM_GRANULE;
	hm_row(t, "committed");
	CHECK_RUN(t, first, MEM_COMMIT, PAGE_READWRITE, HM_GRANULE, first);
	CHECK_RUN(t, second - 1, MEM_COMMIT, PAGE_READWRITE, HM_PAGE, first);
	CHECK_RUN(t, second, MEM_COMMIT, PAGE_READWRITE, HM_GRANULE, second);
	hm_row(t, "reserved");
	hm_decommit(t, first, 0);
	hm_decommit(t, second, 0);
	CHECK_RUN(t, first, MEM_RESERVE, 0, HM_GRANULE, first);
	CHECK_RUN(t, second, MEM_RESERVE, 0, HM_GRANULE, second);
}

static void a_released_neighbour_is_free(struct hm_trial *t)
{
	unsigned char *first = hm_neighbours(t);
	MEMORY_BASIC_INFORMATION run;

	if (first == NULL || !hm_give(t, first) ||
	    !CHECK_HR(t, hm_query(t, first, &run), S_OK))
		return;
	CHECK_SIZE(t, run.State, MEM_FREE);
	CHECK_SIZE(t, run.RegionSize, HM_GRANULE);
	CHECK_RUN(t, first + HM_GRANULE, MEM_COMMIT, PAGE_READWRITE, HM_GRANULE,
		  first + HM_GRANULE);
}

/* ---- What is free ---- */

/* A runtime that looks for a place of its code's believes the length. */
static void a_hole_is_told_page_by_page(struct hm_trial *t)
{
	static const size_t offsets[] = { 0x13000, 0x13001, 0x1F000, 0x20000, 0x2FFFF };
	unsigned char *hole = hm_hole(t, 4 * HM_GRANULE);
	MEMORY_BASIC_INFORMATION run;

	if (hole == NULL ||
	    hm_take(t, hole + HM_GRANULE, 3 * HM_PAGE, HM_BOTH, PAGE_READWRITE) == NULL ||
	    hm_take(t, hole + 3 * HM_GRANULE, HM_PAGE, HM_BOTH, PAGE_READWRITE) == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(offsets); i++) {
		unsigned char *page = hole + (offsets[i] & ~(HM_PAGE - 1));

		hm_row(t, "offset 0x%zx", offsets[i]);
		if (!CHECK_HR(t, hm_query(t, hole + offsets[i], &run), S_OK))
			return;
		CHECK_SIZE(t, run.State, MEM_FREE);
		CHECK_POINTER(t, run.BaseAddress, page);
		CHECK_SIZE(t, run.RegionSize, (size_t)(hole + 3 * HM_GRANULE - page));
	}
}

static void the_rest_of_a_free_run_is_cleared(struct hm_trial *t)
{
	void *hole = hm_hole(t, HM_GRANULE);
	void *const rows[] = { NULL, (void *)(uintptr_t)0x8000, hole };
	MEMORY_BASIC_INFORMATION run;

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "row %zu", i);
		if (!CHECK_HR(t, hm_query(t, rows[i], &run), S_OK))
			return;
		CHECK_SIZE(t, run.State, MEM_FREE);
		CHECK_POINTER(t, run.BaseAddress, rows[i]);
		CHECK_POINTER(t, run.AllocationBase, NULL);
		CHECK_SIZE(t, run.AllocationProtect, 0);
		CHECK_SIZE(t, run.Protect, PAGE_NOACCESS);
		CHECK_SIZE(t, run.Type, 0);
	}
}

/* As the JIT does: what is told to be free is tried, from its first granule on. */
static void a_free_place_can_be_reserved(struct hm_trial *t)
{
	unsigned char *at = hm_hole(t, 16 * HM_GRANULE);
	unsigned reserved = 0;

	for (unsigned step = 0; at != NULL && step < 32 && reserved < 4; step++) {
		MEMORY_BASIC_INFORMATION run;
		uintptr_t end;

		hm_row(t, "step %u", step);
		if (!CHECK_HR(t, hm_query(t, at, &run), S_OK))
			return;
		end = (uintptr_t)run.BaseAddress + run.RegionSize;
		if (run.State == MEM_FREE && end - (uintptr_t)at >= HM_GRANULE) {
			CHECK_POINTER(t,
				      hm_take(t, at, HM_GRANULE, MEM_RESERVE,
					      PAGE_NOACCESS),
				      at);
			reserved++;
		}
		at = (unsigned char *)((end + HM_GRANULE - 1) & ~(HM_GRANULE - 1));
		if (run.State == MEM_FREE)
			at = hm_at(run.BaseAddress, HM_GRANULE);
	}
	CHECK_SIZE(t, reserved, 4);
}

/* ---- All there is ---- */

enum { STEPS = 1000000 };

static bool is_a_step(const unsigned char *at, const MEMORY_BASIC_INFORMATION *run)
{
	bool state = run->State == MEM_FREE || run->State == MEM_RESERVE ||
		     run->State == MEM_COMMIT;
	bool ahead = run->BaseAddress == at && run->RegionSize != 0 &&
		     run->RegionSize % HM_PAGE == 0 &&
		     (uintptr_t)at + run->RegionSize > (uintptr_t)at;
	bool base = run->State == MEM_FREE ||
		    (run->AllocationBase != NULL &&
		     (uintptr_t)run->AllocationBase <= (uintptr_t)at);

	return state && ahead && base;
}

/* How many steps there are is the process's affair: they are one check. */
static void a_walk_comes_to_an_end(struct hm_trial *t)
{
	const unsigned char *at = NULL;
	void *mine = hm_take(t, NULL, 3 * HM_PAGE, MEM_RESERVE, PAGE_READWRITE);
	unsigned steps = 0, found = 0;
	bool goes_on = true;
	MEMORY_BASIC_INFORMATION run;
	SIZE_T length = 0;

	while (goes_on && steps++ < STEPS &&
	       SUCCEEDED(IHostMemoryManager_VirtualQuery(t->memory, (void *)(uintptr_t)at,
							 &run, sizeof(run), &length))) {
		if (at == mine && run.RegionSize == 3 * HM_PAGE)
			found++;
		goes_on = length == sizeof(run) && is_a_step(at, &run);
		if (goes_on)
			at += run.RegionSize;
	}
	if (!goes_on)
		hm_row(t, "at 0x%zx, state 0x%x, size 0x%zx", (size_t)at,
		       (unsigned)run.State, run.RegionSize);
	CHECK(t, goes_on);
	CHECK(t, steps < STEPS);
	CHECK(t, (uintptr_t)at >= HM_USER_END);
	CHECK_SIZE(t, found, 1);
}

/* ---- Memory that the host does not know ---- */

/* Down from there a stack of the system's may be reserved and guarded. */
static void the_bounds_of_the_stack(struct hm_trial *t)
{
	int local = 0;
	MEMORY_BASIC_INFORMATION run;
	const unsigned char *at;
	void *base;

	if (!CHECK_HR(t, hm_query(t, &local, &run), S_OK))
		return;
	CHECK_SIZE(t, run.State, MEM_COMMIT);
	CHECK_SIZE(t, run.Protect, PAGE_READWRITE);
	CHECK_SIZE(t, run.Type, MEM_PRIVATE);
	base = run.AllocationBase;
	at = (const unsigned char *)base;
	CHECK(t, base != NULL && (uintptr_t)base <= (uintptr_t)&local);
	for (unsigned step = 0; step < 16 && (uintptr_t)at <= (uintptr_t)&local; step++) {
		hm_row(t, "from the bottom, step %u", step);
		if (!CHECK_HR(t, hm_query(t, at, &run), S_OK) ||
		    !CHECK_POINTER(t, run.AllocationBase, base))
			return;
		at += run.RegionSize;
	}
	CHECK(t, (uintptr_t)at > (uintptr_t)&local); /* it leads to the page in use */
}

static unsigned char static_data[2 * 4096] = { 1 };

static void code_and_data_of_the_image(struct hm_trial *t)
{
	void (*function)(struct hm_trial *) = code_and_data_of_the_image;
	MEMORY_BASIC_INFORMATION run;
	void *code;

	memcpy(&code, &function, sizeof(code));
	hm_row(t, "code");
	if (!CHECK_HR(t, hm_query(t, code, &run), S_OK))
		return;
	CHECK_SIZE(t, run.State, MEM_COMMIT);
	CHECK(t, (run.Protect & (PAGE_EXECUTE | PAGE_EXECUTE_READ |
				 PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY)) != 0);
	CHECK(t, run.AllocationBase != NULL &&
			 (uintptr_t)run.AllocationBase <= (uintptr_t)code);
	hm_row(t, "data");
	static_data[0]++;
	if (!CHECK_HR(t, hm_query(t, static_data, &run), S_OK))
		return;
	CHECK_SIZE(t, run.State, MEM_COMMIT);
	CHECK(t, run.Protect == PAGE_READWRITE || run.Protect == PAGE_WRITECOPY);
}

/* The CLR looks at the rest, and not at the type. */
static void code_is_of_an_image(struct hm_trial *t)
{
	void (*function)(struct hm_trial *) = code_is_of_an_image;
	MEMORY_BASIC_INFORMATION run;
	void *code;

	memcpy(&code, &function, sizeof(code));
	if (CHECK_HR(t, hm_query(t, code, &run), S_OK))
		CHECK_SIZE(t, run.Type, MEM_IMAGE);
}

static void pages_of_the_system_are_told(struct hm_trial *t)
{
	unsigned char *base = (unsigned char *)hm_foreign_pages(8 * HM_PAGE);
	MEMORY_BASIC_INFORMATION run;

	if (!CHECK(t, base != NULL) || !CHECK_HR(t, hm_query(t, base, &run), S_OK))
		return;
	CHECK_SIZE(t, run.State, MEM_COMMIT);
	CHECK_SIZE(t, run.Protect, PAGE_READWRITE);
	CHECK_SIZE(t, run.Type, MEM_PRIVATE);
	CHECK(t, run.RegionSize >= 8 * HM_PAGE); /* or more, of the same kind */
	hm_row(t, "changed");
	hm_protect(t, base + HM_PAGE, HM_PAGE, PAGE_READONLY, PAGE_READWRITE);
	if (CHECK_HR(t, hm_query(t, base, &run), S_OK))
		CHECK_SIZE(t, run.RegionSize, HM_PAGE);
	if (CHECK_HR(t, hm_query(t, base + HM_PAGE, &run), S_OK)) {
		CHECK_SIZE(t, run.Protect, PAGE_READONLY);
		CHECK_SIZE(t, run.RegionSize, HM_PAGE);
	}
	hm_row(t, "given back");
	hm_protect(t, base + HM_PAGE, HM_PAGE, PAGE_READWRITE, PAGE_READONLY);
	hm_foreign_done(base, 8 * HM_PAGE);
	if (CHECK_HR(t, hm_query(t, base, &run), S_OK))
		CHECK_SIZE(t, run.State, MEM_FREE);
}

static const struct hm_case cases[] = {
	{ "runs", HM_REQUIRED, "MS VirtualQuery; WT", runs_end_where_pages_differ,
	  HM_NO_GROUP },
	{ "allocation-protection", HM_REQUIRED, "MS VirtualQuery; WT; RT",
	  the_allocating_protection_stays, HM_NO_GROUP },
	{ "two-reservations", HM_REQUIRED, "MS VirtualQuery; CLR: AllocationBase",
	  two_reservations_are_never_one_run, HM_NO_GROUP },
	{ "released-neighbour", HM_REQUIRED, "MS VirtualQuery",
	  a_released_neighbour_is_free, HM_NO_GROUP },
	{ "holes", HM_REQUIRED, "CLR: the length of what is free",
	  a_hole_is_told_page_by_page, HM_NO_GROUP },
	{ "free-fields", HM_WINDOWS_DETAIL, "K; MS calls most of them undefined",
	  the_rest_of_a_free_run_is_cleared, HM_NO_GROUP },
	{ "free-places", HM_REQUIRED, "CLR: places for code",
	  a_free_place_can_be_reserved, HM_NO_GROUP },
	{ "walk", HM_REQUIRED, "MS VirtualQuery; CLR: RegionSize is not 0",
	  a_walk_comes_to_an_end, HM_NO_GROUP },
	{ "the-stack", HM_REQUIRED, "CLR: bounds of stacks", the_bounds_of_the_stack,
	  HM_NO_GROUP },
	{ "the-image", HM_REQUIRED, "CLR: image sections; MS VirtualQuery",
	  code_and_data_of_the_image, HM_NO_GROUP },
	{ "image-type", HM_DOCUMENTED, "MS MEMORY_BASIC_INFORMATION: MEM_IMAGE",
	  code_is_of_an_image, HM_NO_GROUP },
	{ "pages-of-the-system", HM_REQUIRED, "CLR asks about any address; MS",
	  pages_of_the_system_are_told, HM_NO_GROUP },
};

const struct hm_area hm_area_query = HM_AREA("query", cases);
