/*
 * Cases about MEM_COMMIT: which pages it touches, what they hold, where it is refused.
 *
 * A collector commits with lengths that are no multiples of a page, and over pages that are
 * committed already; so a page keeps its bytes as long as it is committed, and has zeros when
 * it comes or comes back.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

static unsigned char *reserve(struct hm_trial *t, SIZE_T size)
{
	return (unsigned char *)hm_take(t, NULL, size, MEM_RESERVE, PAGE_NOACCESS);
}

/* ---- Which pages ---- */

static void commit_at_null_reserves(struct hm_trial *t)
{
	static const struct {
		SIZE_T size, want;
	} rows[] = {
		{ 1, 0x1000 },
		{ 0x1001, 0x2000 },
		{ 0x10000, 0x10000 },
		{ 0x2ABCD, 0x2B000 },
	};

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		unsigned char *base;

		hm_row(t, "size 0x%zx", rows[i].size);
		base = (unsigned char *)hm_take(t, NULL, rows[i].size, MEM_COMMIT,
						PAGE_READWRITE);
		if (base == NULL)
			continue;
		CHECK_SIZE(t, (uintptr_t)base % HM_GRANULE, 0);
		CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, rows[i].want, base);
		CHECK_FILLED(t, base, rows[i].want, 0);
		CHECK(t, hm_can_write(base + rows[i].want - 1, 1));
		hm_give(t, base);
	}
}

/* Of 16 reserved pages. */
static void every_page_that_is_touched_is_committed(struct hm_trial *t)
{
	static const struct {
		size_t offset;
		SIZE_T size;
		size_t first, count;
	} rows[] = {
		{ 0, 1, 0, 1 },
		{ 0x2000, 0x1000, 2, 1 },
		{ 0x2FFF, 1, 2, 1 },
		{ 0x2FFF, 2, 2, 2 },
		{ 0x2001, 0xFFF, 2, 1 },
		{ 0x2001, 0x1000, 2, 2 },
		{ 0, 0x10000, 0, 16 },
		{ 0xFFFF, 1, 15, 1 },
		{ 0x1234, 0xB000, 1, 12 },
	};

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		size_t first = rows[i].first * HM_PAGE, size = rows[i].count * HM_PAGE;
		unsigned char *base;

		hm_row(t, "offset 0x%zx, size 0x%zx", rows[i].offset, rows[i].size);
		base = reserve(t, HM_GRANULE);
		if (base == NULL ||
		    !hm_commit(t, base + rows[i].offset, rows[i].size, PAGE_READWRITE))
			continue;
		CHECK_RUN(t, base + first, MEM_COMMIT, PAGE_READWRITE, size, base);
		if (first != 0)
			CHECK_RUN(t, base, MEM_RESERVE, 0, first, base);
		if (first + size != HM_GRANULE)
			CHECK_RUN(t, base + first + size, MEM_RESERVE, 0,
				  HM_GRANULE - first - size, base);
		CHECK(t, hm_can_write(base + first, 1));
		CHECK(t, hm_can_write(base + first + size - 1, 1));
	}
}

/* Page by page, from both ends: what is alike is one run. */
static void what_is_committed_in_pieces_is_whole(struct hm_trial *t)
{
	unsigned char *base = reserve(t, HM_GRANULE);

	for (size_t page = 0; base != NULL && page < 8; page++) {
		if (!hm_commit(t, base + page * HM_PAGE, 1, PAGE_READWRITE) ||
		    !hm_commit(t, base + (15 - page) * HM_PAGE, HM_PAGE, PAGE_READWRITE))
			return;
	}
	if (base == NULL)
		return;
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, HM_GRANULE, base);
	CHECK_FILLED(t, base, HM_GRANULE, 0);
}

/* ---- What pages hold ---- */

static void fresh_pages_are_zero(struct hm_trial *t)
{
	const SIZE_T size = 0x23000;
	unsigned char *base;

	for (unsigned round = 0; round < 4; round++) {
		hm_row(t, "round %u", round);
		base = (unsigned char *)hm_take(t, NULL, size, HM_BOTH, PAGE_READWRITE);
		if (base == NULL || !CHECK_FILLED(t, base, size, 0))
			return;
		memset(base, 0xEE, size);
		hm_give(t, base);
	}
	hm_row(t, "at the address of a reservation that is gone");
	base = (unsigned char *)hm_hole(t, size);
	if (base == NULL || hm_take(t, base, size, MEM_RESERVE, PAGE_NOACCESS) == NULL ||
	    !hm_commit(t, base, size, PAGE_READWRITE))
		return;
	CHECK_FILLED(t, base, size, 0);
}

/* The middle goes and comes back, by its range or with the whole. */
static void what_comes_back_is_zero(struct hm_trial *t)
{
	for (unsigned whole = 0; whole < 2; whole++) {
		unsigned char *base = reserve(t, HM_GRANULE);
		size_t first = whole ? 0 : HM_PAGE;

		hm_row(t, "%s", whole ? "committed as a whole" : "only what was gone");
		if (base == NULL || !hm_commit(t, base, 4 * HM_PAGE, PAGE_READWRITE))
			return;
		memset(base, 0xFF, 4 * HM_PAGE);
		if (!hm_decommit(t, base + HM_PAGE, 2 * HM_PAGE) ||
		    !hm_commit(t, base + first, (whole ? 4 : 2) * HM_PAGE,
			       PAGE_READWRITE))
			return;
		CHECK_FILLED(t, base, HM_PAGE, 0xFF);
		CHECK_FILLED(t, base + HM_PAGE, 2 * HM_PAGE, 0);
		CHECK_FILLED(t, base + 3 * HM_PAGE, HM_PAGE, 0xFF);
		if (!hm_decommit(t, base, 0) ||
		    !hm_commit(t, base, HM_GRANULE, PAGE_READONLY))
			return;
		CHECK_FILLED(t, base, HM_GRANULE, 0);
	}
}

/* The thunk table grows from its base, by lengths that are no multiples of anything. */
static void growing_keeps_what_is_there(struct hm_trial *t)
{
	static const SIZE_T sizes[] = { 0x320, 0x1010, 0x1FFF, 0x2001, 0x7123, 0xFFFF };
	unsigned char *base = reserve(t, HM_GRANULE);
	size_t filled = 0;

	for (size_t i = 0; base != NULL && i < HM_ROWS(sizes); i++) {
		size_t end = (sizes[i] + HM_PAGE - 1) & ~(HM_PAGE - 1);

		hm_row(t, "0x%zx bytes", sizes[i]);
		if (!hm_commit(t, base, sizes[i], PAGE_READWRITE))
			return;
		CHECK_FILLED(t, base, filled, 0x42);
		CHECK_FILLED(t, base + filled, end - filled, 0);
		memset(base, 0x42, end);
		filled = end;
	}
}

static void commit_fills_holes_and_keeps_the_rest(struct hm_trial *t)
{
	unsigned char *base = reserve(t, HM_GRANULE);

	for (size_t page = 1; base != NULL && page < 8; page += 2) {
		if (!hm_commit(t, base + page * HM_PAGE, HM_PAGE, PAGE_READWRITE))
			return;
		memset(base + page * HM_PAGE, (int)page, HM_PAGE);
	}
	if (base == NULL || !hm_commit(t, base, 8 * HM_PAGE, PAGE_READWRITE))
		return;
	for (size_t page = 0; page < 8; page++) {
		hm_row(t, "page %zu", page);
		CHECK_FILLED(t, base + page * HM_PAGE, HM_PAGE,
			     page % 2 == 1 ? (unsigned char)page : 0);
	}
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, 8 * HM_PAGE, base);
	CHECK_RUN(t, base + 8 * HM_PAGE, MEM_RESERVE, 0, 8 * HM_PAGE, base);
}

/* ---- Committed already ---- */

static void committing_again_changes_the_protection(struct hm_trial *t)
{
	static const DWORD protections[] = { PAGE_NOACCESS, PAGE_READONLY,
					     PAGE_READWRITE };

	for (size_t i = 0; i < HM_ROWS(protections) * HM_ROWS(protections); i++) {
		DWORD was = protections[i / 3], now = protections[i % 3];
		unsigned char *base = hm_witness(t);

		hm_row(t, "from 0x%x to 0x%x", (unsigned)was, (unsigned)now);
		if (base == NULL ||
		    !hm_protect(t, base + HM_PAGE, HM_PAGE, was, PAGE_READWRITE) ||
		    !hm_commit(t, base, HM_WITNESS_COMMITTED * HM_PAGE, now))
			continue;
		CHECK_RUN(t, base, MEM_COMMIT, now, HM_WITNESS_COMMITTED * HM_PAGE, base);
		CHECK_SIZE(t, hm_can_read(base + HM_PAGE), now != PAGE_NOACCESS);
		CHECK_SIZE(t, hm_can_write(base + HM_PAGE, 0x5A), now == PAGE_READWRITE);
		if (hm_commit(t, base, HM_WITNESS_COMMITTED * HM_PAGE, PAGE_READONLY))
			CHECK_FILLED(t, base, HM_WITNESS_COMMITTED * HM_PAGE, 0x5A);
	}
}

static const struct hm_case cases[] = {
	{ "at-null", HM_REQUIRED, "CLR JIT arenas; PAL; WT kernel32 virtual.c",
	  commit_at_null_reserves, HM_NO_GROUP },
	{ "rounding", HM_REQUIRED, "MS VirtualAlloc: dwSize; CLR card tables; RT",
	  every_page_that_is_touched_is_committed, HM_NO_GROUP },
	{ "in-pieces", HM_REQUIRED, "CLR handle tables, page by page; CH: one run",
	  what_is_committed_in_pieces_is_whole, HM_NO_GROUP },
	{ "fresh-pages", HM_REQUIRED, "MS VirtualAlloc: MEM_COMMIT; CLR: the collector",
	  fresh_pages_are_zero, HM_NO_GROUP },
	{ "after-decommit", HM_REQUIRED, "MS VirtualAlloc: MEM_COMMIT; PAL test21",
	  what_comes_back_is_zero, HM_NO_GROUP },
	{ "growing", HM_REQUIRED, "CLR thunk tables; PAL test20",
	  growing_keeps_what_is_there, HM_NO_GROUP },
	{ "holes", HM_REQUIRED, "MS VirtualAlloc: MEM_COMMIT of committed pages",
	  commit_fills_holes_and_keeps_the_rest, HM_NO_GROUP },
	{ "protection-again", HM_WINDOWS_DETAIL, "RT; RK; CLR metadata storage",
	  committing_again_changes_the_protection, HM_NO_GROUP },
};

const struct hm_area hm_area_commit = HM_AREA("commit", cases);
