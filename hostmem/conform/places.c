/*
 * Cases about MEM_RESERVE at a chosen address: what is in the way, and what is not.
 *
 * An address is granted exactly or not at all, and nothing that is there is ever replaced: the
 * code heap of a JIT looks for gaps near the runtime because its calls reach no further.  The
 * unit is 64 KiB.  Of a unit in use the rest is of no use, though it is told as free.
 *
 * Places are chosen in a hole: so much could be reserved there a moment before, and has been
 * given back.
 */
#include "areas.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- What is in the way ---- */

/* 3 pages in the first 64 KiB of the hole, 0x11 pages from the third 64 KiB on. */
static unsigned char *take_two_neighbours(struct hm_trial *t)
{
	unsigned char *hole = (unsigned char *)hm_hole(t, 8 * HM_GRANULE);
	void *second;

	if (hole == NULL ||
	    hm_take(t, hole, 3 * HM_PAGE, MEM_RESERVE, PAGE_READWRITE) == NULL)
		return NULL;
	second = hm_take(t, hole + 2 * HM_GRANULE, 0x11 * HM_PAGE, HM_BOTH,
			 PAGE_READWRITE);
	if (second == NULL)
		return NULL;
	memset(second, 0x77, 0x11 * HM_PAGE);
	return hole;
}

static void what_is_reserved_is_not_reserved_again(struct hm_trial *t)
{
	static const DWORD types[] = { MEM_RESERVE, HM_BOTH };
	static const struct {
		const char *what;
		size_t offset;
		SIZE_T size;
	} rows[] = {
		{ "the very same", 0, 0x3000 },
		{ "its first page", 0, 0x1000 },
		{ "its second page", 0x1000, 0x1000 },
		{ "one byte of the next, committed", 0x20000, 1 },
		{ "all of the next", 0x20000, 0x11000 },
		{ "the last page of the next", 0x30000, 0x1000 },
		{ "from before into the next", 0x10000, 0x10001 },
		{ "both, and what is between", 0, 0x60000 },
	};
	unsigned char *hole = take_two_neighbours(t);

	for (size_t i = 0; hole != NULL && i < HM_ROWS(types) * HM_ROWS(rows); i++) {
		size_t row = i / HM_ROWS(types);
		DWORD type = types[i % HM_ROWS(types)];

		hm_row(t, "%s, type 0x%x", rows[row].what, (unsigned)type);
		hm_refused_alloc(t, hole + rows[row].offset, rows[row].size, type,
				 PAGE_READWRITE, eTaskCritical, HM_INVALID_ADDRESS);
	}
}

/* The page behind a reservation is free, and yet another base cannot be there. */
static void the_rest_of_a_64k_unit_is_of_no_use(struct hm_trial *t)
{
	static const struct {
		size_t offset;
		SIZE_T size;
	} rows[] = {
		{ 0x3000, 0x1000 }, { 0x3000, 0xD000 },  { 0xF000, 0x1000 },
		{ 0xFFFF, 1 },      { 0x31000, 0xF000 },
	};
	unsigned char *hole = take_two_neighbours(t);

	for (size_t i = 0; hole != NULL && i < HM_ROWS(rows); i++) {
		MEMORY_BASIC_INFORMATION run;

		hm_row(t, "offset 0x%zx", rows[i].offset);
		if (!t->codes && hm_query(t, hole + rows[i].offset, &run) == S_OK)
			CHECK_SIZE(t, run.State, MEM_FREE);
		hm_refused_alloc(t, hole + rows[i].offset, rows[i].size, MEM_RESERVE,
				 PAGE_READWRITE, eTaskCritical, HM_INVALID_ADDRESS);
	}
}

static void what_lies_beside_is_free_to_take(struct hm_trial *t)
{
	static const struct {
		size_t offset;
		SIZE_T size;
	} rows[] = { { 0x10000, 0x10000 }, { 0x1FFFF, 1 }, { 0x40000, 0x1000 } };
	unsigned char *hole = take_two_neighbours(t);

	for (size_t i = 0; hole != NULL && i < HM_ROWS(rows); i++) {
		size_t base = rows[i].offset & ~(HM_GRANULE - 1);
		size_t end = (rows[i].offset + rows[i].size + HM_PAGE - 1) &
			     ~(HM_PAGE - 1);

		hm_row(t, "offset 0x%zx, size 0x%zx", rows[i].offset, rows[i].size);
		if (CHECK_POINTER(t,
				  hm_take(t, hole + rows[i].offset, rows[i].size,
					  MEM_RESERVE, PAGE_NOACCESS),
				  hole + base)) {
			CHECK_RUN(t, hole + base, MEM_RESERVE, 0, end - base,
				  hole + base);
			hm_give(t, hole + base);
		}
	}
}

static void other_peoples_memory_stays_theirs(struct hm_trial *t)
{
	static unsigned char image[2 * 4096];
	/* Where addresses are not random the stack begins beyond HM_USER_END, and ends below. */
	unsigned char stack[HM_GRANULE];
	void *block = malloc(64);
	unsigned char *pages = (unsigned char *)hm_foreign_pages(3 * HM_PAGE);
	const struct {
		const char *what;
		void *address;
		SIZE_T size;
	} rows[] = {
		{ "the first foreign page", pages, HM_PAGE },
		{ "the last foreign page", hm_at(pages, 2 * HM_PAGE), HM_PAGE },
		{ "more than the foreign pages", pages, HM_GRANULE },
		{ "the stack", stack, 64 },
		{ "data of the program", image, sizeof(image) },
		{ "memory from malloc", block, 1 },
	};

	if (!CHECK(t, pages != NULL && block != NULL))
		return;
	memset(pages, 0x3C, 3 * HM_PAGE);
	memset(image, 0x3C, sizeof(image));
	memset(stack, 0x3C, sizeof(stack));
	for (size_t i = 0; i < 2 * HM_ROWS(rows); i++) {
		DWORD type = i % 2 == 0 ? MEM_RESERVE : HM_BOTH;

		hm_row(t, "%s, type 0x%x", rows[i / 2].what, (unsigned)type);
		hm_refused_alloc(t, rows[i / 2].address, rows[i / 2].size, type,
				 PAGE_READWRITE, eTaskCritical, HM_INVALID_ADDRESS);
		CHECK_FILLED(t, pages, 3 * HM_PAGE, 0x3C);
	}
	CHECK_FILLED(t, image, sizeof(image), 0x3C);
	CHECK_FILLED(t, stack, 64, 0x3C);
	hm_foreign_done(pages, 3 * HM_PAGE);
	free(block);
}

static void neighbours_are_two_reservations(struct hm_trial *t)
{
	unsigned char *hole = (unsigned char *)hm_hole(t, 4 * HM_GRANULE);
	void *first, *second;

	if (hole == NULL)
		return;
	first = hm_take(t, hole, HM_GRANULE, HM_BOTH, PAGE_READWRITE);
	second = hm_take(t, hole + HM_GRANULE, HM_GRANULE, HM_BOTH, PAGE_READWRITE);
	CHECK_POINTER(t, first, hole);
	if (first == NULL || !CHECK_POINTER(t, second, hole + HM_GRANULE))
		return;
	CHECK_RUN(t, first, MEM_COMMIT, PAGE_READWRITE, HM_GRANULE, first);
	CHECK_RUN(t, second, MEM_COMMIT, PAGE_READWRITE, HM_GRANULE, second);
	memset(second, 0x42, HM_GRANULE);
	hm_give(t, first);
	CHECK_FILLED(t, second, HM_GRANULE, 0x42);
	CHECK_RUN(t, second, MEM_COMMIT, PAGE_READWRITE, HM_GRANULE, second);
	first = hm_take(t, hole, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);
	CHECK_POINTER(t, first, hole);
}

/*
 * The code heap of a JIT looks for room above the runtime: it goes from run to run, and asks
 * for the first 64 KiB address of each gap that is large enough.  It bears a refusal, the
 * address may have gone to another thread, but no other answer.
 */
static void gaps_that_are_told_can_be_taken(struct hm_trial *t)
{
	enum { WANTED = 4, RUNS = 4000 };
	const SIZE_T size = 0x23000;
	uintptr_t at = (uintptr_t)hm_hole(t, HM_GRANULE);
	unsigned taken = 0, gaps = 0;

	for (unsigned i = 0; i < RUNS && gaps < WANTED && at != 0; i++) {
		MEMORY_BASIC_INFORMATION run;
		uintptr_t end, start = (at + HM_GRANULE - 1) & ~(HM_GRANULE - 1);
		void *out;

		if (FAILED(hm_query(t, (const void *)at, &run)) || run.RegionSize == 0)
			break;
		end = (uintptr_t)run.BaseAddress + run.RegionSize;
		at = end;
		if (run.State != MEM_FREE || start > end || end - start < size)
			continue;
		gaps++;
		hm_row(t, "the gap at 0x%zx", (size_t)start);
		if (hm_alloc(t, (void *)start, size, MEM_RESERVE, PAGE_NOACCESS,
			     eTaskCritical, &out) != S_OK)
			continue;
		hm_keep(t, out);
		taken++;
		CHECK_POINTER(t, out, (const void *)start);
		CHECK_RUN(t, out, MEM_RESERVE, 0, size, out);
		at = start + size;
	}
	CHECK(t, taken != 0);
}

/* Something may be there already; some clients try and bear it. */
static void the_last_addresses_are_granted_or_refused(struct hm_trial *t)
{
	static const struct {
		uintptr_t address;
		SIZE_T size;
	} rows[] = {
		{ HM_USER_END - 0x10000, 0x10000 },
		{ HM_USER_END - 0x10000, 0x1000 },
		{ HM_USER_END - 0x410000, 0x400000 },
		{ 0x10000, 0x10000 },
	};

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		void *wanted = (void *)rows[i].address, *out;
		HRESULT hr;

		hm_row(t, "0x%zx", (size_t)rows[i].address);
		hr = hm_alloc(t, wanted, rows[i].size, MEM_RESERVE, PAGE_NOACCESS,
			      eTaskCritical, &out);
		if (hr != S_OK) {
			CHECK_HR(t, hr, HM_INVALID_ADDRESS);
			continue;
		}
		hm_keep(t, out);
		CHECK_POINTER(t, out, wanted);
		CHECK_RUN(t, out, MEM_RESERVE, 0, rows[i].size, out);
		hm_give(t, out);
	}
}

static const struct hm_case cases[] = {
	{ "conflicts", HM_REQUIRED, "MS VirtualAlloc; RT; WT kernel32 virtual.c",
	  what_is_reserved_is_not_reserved_again, HM_WINDOWS_DETAIL },
	{ "rest-of-a-unit", HM_WINDOWS_DETAIL, "RT: the rest of 64 KiB is free and lost",
	  the_rest_of_a_64k_unit_is_of_no_use, HM_WINDOWS_DETAIL },
	{ "beside-others", HM_REQUIRED, "CLR code heaps: a chosen address",
	  what_lies_beside_is_free_to_take, HM_NO_GROUP },
	{ "memory-of-others", HM_REQUIRED, "CLR code heaps: nothing is replaced",
	  other_peoples_memory_stays_theirs, HM_WINDOWS_DETAIL },
	{ "neighbours", HM_REQUIRED, "RT: adjacent reservations",
	  neighbours_are_two_reservations, HM_NO_GROUP },
	{ "gaps", HM_REQUIRED, "CLR code heaps: how they look for room",
	  gaps_that_are_told_can_be_taken, HM_NO_GROUP },
	{ "last-addresses", HM_WINDOWS_DETAIL, "CLR profiler: below the end of addresses",
	  the_last_addresses_are_granted_or_refused, HM_NO_GROUP },
};

const struct hm_area hm_area_places = HM_AREA("places", cases);
