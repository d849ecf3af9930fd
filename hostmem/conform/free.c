/*
 * Cases about VirtualFree where it succeeds: what is taken back, what stays, and that nothing
 * of it comes again.
 *
 * A collector gives back pages from the middle of its heap and takes them again a moment later,
 * without clearing them: a host that forgets a page, takes one too many, or hands out old
 * contents corrupts the heap of the runtime, long after the call.
 *
 * Calls that have to be refused are in badfree.c.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

enum { PAGES = 16 };

/* 16 reserved pages; those with a '1' are committed and hold their number + 1. */
static unsigned char *region_with(struct hm_trial *t, const char *committed)
{
	unsigned char *base = hm_take(t, NULL, PAGES * HM_PAGE, MEM_RESERVE,
				      PAGE_READONLY);

	for (size_t page = 0; base != NULL && page < PAGES; page++) {
		unsigned char *at = base + page * HM_PAGE;

		if (committed[page] != '1')
			continue;
		if (!hm_commit(t, at, HM_PAGE, PAGE_READWRITE))
			return NULL;
		memset(at, (int)page + 1, HM_PAGE);
	}
	return base;
}

static void check_region(struct hm_trial *t, unsigned char *base, const char *committed)
{
	for (size_t page = 0; page < PAGES; page++) {
		unsigned char *at = base + page * HM_PAGE;
		bool want = committed[page] == '1';

		CHECK_RUN(t, at, want ? MEM_COMMIT : MEM_RESERVE,
			  want ? PAGE_READWRITE : 0, 0, base);
		if (want)
			CHECK_FILLED(t, at, HM_PAGE, (unsigned char)(page + 1));
		else
			CHECK(t, !hm_can_read(at) && !hm_can_read(at + HM_PAGE - 1));
	}
}

static void decommit_takes_every_page_that_the_range_touches(struct hm_trial *t)
{
	static const struct {
		const char *before;
		size_t offset, size;
		const char *after;
	} rows[] = {
		{ "1111111111111111", 0, 1, "0111111111111111" },
		{ "1111111111111111", 0xFFF, 2, "0011111111111111" },
		{ "1111111111111111", 0x1000, 0x1000, "1011111111111111" },
		{ "1111111111111111", 0x1001, 0x1000, "1001111111111111" },
		{ "1111111111111111", 0x1000, 0x1001, "1001111111111111" },
		{ "1111111111111111", 0xFFFF, 1, "1111111111111110" },
		{ "1111111111111111", 0, 0x10000, "0000000000000000" },
		{ "1111111111111111", 0, 0, "0000000000000000" }, /* size 0: all of it */
		{ "1010101010101010", 0x1000, 0x4000, "1000001010101010" },
	};

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		unsigned char *base;

		hm_row(t, "%s, offset 0x%zx, size 0x%zx", rows[i].before, rows[i].offset,
		       rows[i].size);
		base = region_with(t, rows[i].before);
		if (base == NULL)
			return;
		if (hm_decommit(t, base + rows[i].offset, rows[i].size))
			check_region(t, base, rows[i].after);
		hm_give(t, base);
	}
}

static void decommit_of_uncommitted_pages_does_no_harm(struct hm_trial *t)
{
	static const struct {
		const char *before;
		size_t offset, size;
		const char *after;
	} rows[] = {
		{ "0000000000000000", 0, 0, "0000000000000000" },
		{ "0000000000000000", 0x3000, 0x2000, "0000000000000000" },
		{ "1100000000000011", 0x2000, 0xC000, "1100000000000011" },
		{ "1010101010101010", 0, 0, "0000000000000000" },
		{ "1100000000000011", 0x1000, 0xE000, "1000000000000001" },
	};

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		unsigned char *base;

		hm_row(t, "%s, offset 0x%zx, size 0x%zx", rows[i].before, rows[i].offset,
		       rows[i].size);
		base = region_with(t, rows[i].before);
		if (base == NULL)
			return;
		if (hm_decommit(t, base + rows[i].offset, rows[i].size) &&
		    hm_decommit(t, base + rows[i].offset, rows[i].size))
			check_region(t, base, rows[i].after);
		hm_give(t, base);
	}
}

/* The page may have been what it was when its contents were written. */
static void what_is_committed_again_is_zero(struct hm_trial *t)
{
	static const struct {
		const char *what;
		size_t pages, first, count;
		DWORD protect; /* when the pages are taken back */
	} rows[] = {
		{ "one page of many", 16, 5, 1, PAGE_READWRITE },
		{ "the first pages", 16, 0, 3, PAGE_READWRITE },
		{ "the last page", 16, 15, 1, PAGE_READWRITE },
		{ "all pages", 16, 0, 16, PAGE_READWRITE },
		{ "read-only pages", 16, 4, 4, PAGE_READONLY },
		{ "pages without access", 16, 4, 4, PAGE_NOACCESS },
		{ "2 MiB, on both sides of a border of 2 MiB", 1024, 256, 512,
		  PAGE_READWRITE },
	};

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		size_t size = rows[i].count * HM_PAGE, all = rows[i].pages * HM_PAGE;
		unsigned char *base, *part;

		hm_row(t, "%s", rows[i].what);
		base = hm_take(t, NULL, all, HM_BOTH, PAGE_READWRITE);
		if (base == NULL)
			return;
		part = base + rows[i].first * HM_PAGE;
		memset(base, 0xB7, all);
		if (rows[i].protect != PAGE_READWRITE)
			hm_protect(t, part, size, rows[i].protect, PAGE_READWRITE);
		if (!hm_decommit(t, part, size) ||
		    !hm_commit(t, part, size, PAGE_READWRITE))
			return;
		CHECK_FILLED(t, base, (size_t)(part - base), 0xB7);
		CHECK_FILLED(t, part, size, 0);
		CHECK_FILLED(t, part + size, all - size - (size_t)(part - base), 0xB7);
		CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, all, base);
		hm_give(t, base);
	}
}

/* A reservation that is taken where another was, or is the next of its size. */
static void what_is_reserved_after_a_release_is_zero(struct hm_trial *t)
{
	static const size_t sizes[] = { HM_PAGE, HM_GRANULE, 5 * HM_GRANULE + HM_PAGE,
					4 * 1024 * 1024 };

	for (size_t i = 0; i < HM_ROWS(sizes); i++) {
		void *base, *again;

		hm_row(t, "size 0x%zx", sizes[i]);
		base = hm_take(t, NULL, sizes[i], HM_BOTH, PAGE_READWRITE);
		if (base == NULL)
			return;
		memset(base, 0xB8, sizes[i]);
		if (!hm_give(t, base))
			return;
		again = hm_take(t, base, sizes[i], HM_BOTH, PAGE_READWRITE);
		if (!CHECK_POINTER(t, again, base))
			return;
		CHECK_FILLED(t, again, sizes[i], 0);
		memset(again, 0xB9, sizes[i]);
		if (!hm_give(t, again))
			return;
		again = hm_take(t, NULL, sizes[i], HM_BOTH, PAGE_READWRITE);
		if (again == NULL)
			return;
		CHECK_FILLED(t, again, sizes[i], 0);
		hm_give(t, again);
	}
}

static void decommit_forgets_the_protection(struct hm_trial *t)
{
	static const DWORD rows[] = { PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE,
				      PAGE_EXECUTE_READ };

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		unsigned char *base;

		hm_row(t, "protection 0x%x", (unsigned)rows[i]);
		base = hm_take(t, NULL, 4 * HM_PAGE, HM_BOTH, rows[i]);
		if (base == NULL || !hm_decommit(t, base + HM_PAGE, HM_PAGE))
			return;
		CHECK_RUN(t, base + HM_PAGE, MEM_RESERVE, 0, HM_PAGE, base);
		CHECK(t, !hm_can_read(base + HM_PAGE));
		if (!hm_commit(t, base + HM_PAGE, HM_PAGE, PAGE_READWRITE))
			return;
		CHECK_RUN(t, base + HM_PAGE, MEM_COMMIT, PAGE_READWRITE, 0, base);
		CHECK(t, hm_can_write(base + HM_PAGE, 1));
		hm_give(t, base);
	}
}

static void decommit_keeps_the_reservation(struct hm_trial *t)
{
	MEMORY_BASIC_INFORMATION run;
	void *base = hm_take(t, NULL, 2 * HM_GRANULE, HM_BOTH, PAGE_READWRITE);

	if (base == NULL || !hm_decommit(t, base, 0) ||
	    !CHECK_HR(t, hm_query(t, base, &run), S_OK))
		return;
	CHECK_SIZE(t, run.AllocationProtect, PAGE_READWRITE);
	CHECK_RUN(t, base, MEM_RESERVE, 0, 2 * HM_GRANULE, base);
	hm_refused_alloc(t, base, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE, eTaskCritical,
			 HM_INVALID_ADDRESS);
	hm_refused_alloc(t, hm_at(base, HM_GRANULE), HM_GRANULE, MEM_RESERVE,
			 PAGE_READWRITE, eTaskCritical, HM_INVALID_ADDRESS);
}

static void release_takes_the_whole_reservation(struct hm_trial *t)
{
	static const char *const rows[] = { "0000000000000000", "1111111111111111",
					    "1000000000000001", "0111111111111110" };

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		MEMORY_BASIC_INFORMATION run;
		unsigned char *base;

		hm_row(t, "%s", rows[i]);
		base = region_with(t, rows[i]);
		if (base == NULL || !hm_give(t, base))
			return;
		for (size_t page = 0; page < PAGES; page++) {
			CHECK(t, !hm_can_read(base + page * HM_PAGE));
			CHECK_HR(t, hm_query(t, base + page * HM_PAGE, &run), S_OK);
			CHECK_SIZE(t, run.State, MEM_FREE);
		}
		CHECK_POINTER(t,
			      hm_take(t, base, PAGES * HM_PAGE, MEM_RESERVE,
				      PAGE_READWRITE),
			      base);
	}
}

static void neighbours_are_not_touched(struct hm_trial *t)
{
	static const struct {
		const char *what;
		bool second; /* which of the two is freed */
		DWORD type;
	} rows[] = {
		{ "the first is decommitted", false, MEM_DECOMMIT },
		{ "the first is released", false, MEM_RELEASE },
		{ "the second is decommitted", true, MEM_DECOMMIT },
		{ "the second is released", true, MEM_RELEASE },
	};

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		unsigned char *first, *freed, *other;

		hm_row(t, "%s", rows[i].what);
		first = hm_neighbours(t);
		if (first == NULL)
			return;
		freed = first + (rows[i].second ? HM_GRANULE : 0);
		other = first + (rows[i].second ? 0 : HM_GRANULE);
		if (rows[i].type == MEM_RELEASE)
			hm_give(t, freed);
		else
			hm_decommit(t, freed, 0);
		CHECK(t, !hm_can_read(freed) && !hm_can_read(freed + HM_GRANULE - 1));
		CHECK_RUN(t, other, MEM_COMMIT, PAGE_READWRITE, HM_GRANULE, other);
		CHECK_FILLED(t, other, HM_GRANULE, rows[i].second ? 0x31 : 0x32);
		if (rows[i].type == MEM_DECOMMIT)
			hm_give(t, freed);
		hm_give(t, other);
	}
}

/* Microsoft documents the base address alone; Windows rounds to the page. */
static void any_byte_of_the_first_page_is_the_base(struct hm_trial *t)
{
	static const size_t offsets[] = { 1, 8, 0x800, 0xFFF };

	for (size_t i = 0; i < HM_ROWS(offsets); i++) {
		void *base;

		hm_row(t, "offset 0x%zx", offsets[i]);
		base = hm_take(t, NULL, 2 * HM_GRANULE, HM_BOTH, PAGE_READWRITE);
		if (base == NULL)
			return;
		hm_decommit(t, hm_at(base, offsets[i]), 0);
		CHECK_RUN(t, base, MEM_RESERVE, 0, 2 * HM_GRANULE, base);
		if (CHECK_HR(t,
			     IHostMemoryManager_VirtualFree(t->memory,
							    hm_at(base, offsets[i]), 0,
							    MEM_RELEASE),
			     S_OK))
			hm_forget(t, base);
	}
}

/* As a collector does with a segment: it grows, shrinks, goes back. */
static void a_segment_of_a_collector(struct hm_trial *t)
{
	unsigned char *base = hm_take(t, NULL, 16 * HM_GRANULE, MEM_RESERVE,
				      PAGE_READWRITE);
	size_t committed = HM_PAGE;

	if (base == NULL || !hm_commit(t, base, HM_PAGE, PAGE_READWRITE))
		return;
	for (unsigned step = 1; step <= 12; step++) {
		size_t grown = committed + 16 * HM_PAGE;

		hm_row(t, "step %u", step);
		if (!hm_commit(t, base + committed, 16 * HM_PAGE, PAGE_READWRITE))
			return;
		CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, grown, base);
		CHECK_FILLED(t, base + committed, 16 * HM_PAGE, 0);
		memset(base + committed, (int)step, 16 * HM_PAGE);
		committed = grown - (step % 3) * HM_PAGE;
		if (step % 3 != 0 && !hm_decommit(t, base + committed, grown - committed))
			return;
		CHECK_RUN(t, base + committed, MEM_RESERVE, 0,
			  16 * HM_GRANULE - committed, base);
		CHECK_FILLED(t, base + committed - HM_PAGE, HM_PAGE, (unsigned char)step);
	}
	hm_row(t, "the end");
	hm_decommit(t, base, 16 * HM_GRANULE);
	hm_give(t, base);
}

static const struct hm_case cases[] = {
	{ "decommit-ranges", HM_REQUIRED, "MS VirtualFree: each page a range touches; RT",
	  decommit_takes_every_page_that_the_range_touches, HM_NO_GROUP },
	{ "decommit-uncommitted", HM_DOCUMENTED,
	  "MS VirtualFree: pages may be uncommitted",
	  decommit_of_uncommitted_pages_does_no_harm, HM_NO_GROUP },
	{ "recommitted-pages-are-zero", HM_REQUIRED,
	  "MS VirtualAlloc; PAL VirtualAlloc test21", what_is_committed_again_is_zero,
	  HM_NO_GROUP },
	{ "reused-addresses-are-zero", HM_REQUIRED, "MS VirtualAlloc",
	  what_is_reserved_after_a_release_is_zero, HM_NO_GROUP },
	{ "decommit-forgets-protection", HM_REQUIRED, "MS VirtualFree",
	  decommit_forgets_the_protection, HM_NO_GROUP },
	{ "decommit-keeps-the-reservation", HM_REQUIRED, "MS VirtualFree; WT",
	  decommit_keeps_the_reservation, HM_NO_GROUP },
	{ "release-takes-all", HM_REQUIRED, "MS VirtualFree",
	  release_takes_the_whole_reservation, HM_NO_GROUP },
	{ "neighbours", HM_REQUIRED, "MS VirtualFree", neighbours_are_not_touched,
	  HM_NO_GROUP },
	{ "first-page-is-the-base", HM_WINDOWS_DETAIL, "WT kernel32 virtual.c",
	  any_byte_of_the_first_page_is_the_base, HM_NO_GROUP },
	{ "segment-life", HM_REQUIRED, "CLR: segments of the collector",
	  a_segment_of_a_collector, HM_NO_GROUP },
};

const struct hm_area hm_area_free = HM_AREA("free", cases);
