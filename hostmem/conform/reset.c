/*
 * Cases about MEM_RESET and MEM_RESET_UNDO: pages whose contents are not needed for now.
 *
 * A collector resets what is free within its heap and goes on to write there without another
 * call.  So what is written after a reset has to stay, whatever the system has done with the
 * page; and nothing beside it may be lost.
 *
 * Until then a page holds what it held, or zero.  Which, is the system's affair, so no case asks
 * for one of the two.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

enum { PAGES = 8 };

/* A collector does not look at the answer, and the CLR's own layers for other systems refuse it:
 * that there is MEM_RESET has a case of its own. */
static bool knows_reset(struct hm_trial *t)
{
	void *base = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE), *out;
	HRESULT hr = base == NULL ? E_OUTOFMEMORY
				  : hm_alloc(t, base, HM_PAGE, MEM_RESET, PAGE_READWRITE,
					     eTaskCritical, &out);

	if (base != NULL)
		hm_give(t, base);
	if (hr == HM_NOT_SUPPORTED)
		hm_skip(t, "the host refuses MEM_RESET");
	return hr != HM_NOT_SUPPORTED;
}

static void reset_is_known(struct hm_trial *t)
{
	void *base = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);

	if (base != NULL)
		CHECK_POINTER(t, hm_take(t, base, HM_PAGE, MEM_RESET, PAGE_READWRITE),
			      base);
}

static bool reset(struct hm_trial *t, unsigned char *base, size_t offset, size_t size)
{
	return CHECK_POINTER(t,
			     hm_take(t, base + offset, size, MEM_RESET, PAGE_READWRITE),
			     base + (offset & ~(HM_PAGE - 1)));
}

/* Every byte of it, or none. */
static bool is_old_or_zero(const unsigned char *page, unsigned char old)
{
	for (size_t i = 0; i < HM_PAGE; i++) {
		if (page[i] != page[0])
			return false;
	}
	return page[0] == old || page[0] == 0;
}

/* To Microsoft a range is every page that it touches; that what lies beside a reset is kept is
 * hostmem's own. */
static bool gives_up_what_it_touches(struct hm_trial *t)
{
	unsigned char *base = hm_take(t, NULL, 2 * HM_PAGE, HM_BOTH, PAGE_READWRITE);
	bool kept;

	if (base == NULL)
		return false;
	memset(base, 0x99, 2 * HM_PAGE);
	reset(t, base, HM_PAGE / 2, HM_PAGE);
	kept = base[0] == 0x99 && base[2 * HM_PAGE - 1] == 0x99;
	hm_give(t, base);
	return !kept && hm_chooses(t, "gives up every page that the range touches");
}

static void only_whole_pages_are_given_up(struct hm_trial *t)
{
	static const struct {
		size_t offset, size, first, count; /* pages that may be given up */
	} rows[] = {
		{ 0, 0x8000, 0, 8 },      { 0x1000, 0x1000, 1, 1 },
		{ 0x1001, 0x1FFF, 2, 1 }, { 0x1FFF, 0x1001, 2, 1 },
		{ 0x1000, 0x1FFF, 1, 1 }, { 0x1800, 0x100, 0, 0 },
		{ 0x7FFF, 1, 0, 0 },      { 0x0800, 0x6000, 1, 5 },
	};

	if (!knows_reset(t))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		bool whole = (rows[i].offset | rows[i].size) % HM_PAGE == 0;
		unsigned char *base;

		if (!whole && gives_up_what_it_touches(t))
			return;
		base = hm_take(t, NULL, PAGES * HM_PAGE, HM_BOTH, PAGE_READWRITE);
		hm_row(t, "offset 0x%zx, size 0x%zx", rows[i].offset, rows[i].size);
		if (base == NULL)
			return;
		memset(base, 0x99, PAGES * HM_PAGE);
		reset(t, base, rows[i].offset, rows[i].size);
		CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, PAGES * HM_PAGE, base);
		for (size_t page = 0; page < PAGES; page++) {
			unsigned char *at = base + page * HM_PAGE;

			if (page >= rows[i].first && page < rows[i].first + rows[i].count)
				CHECK(t, is_old_or_zero(at, 0x99));
			else
				CHECK_FILLED(t, at, HM_PAGE, 0x99);
		}
		hm_give(t, base);
	}
}

static void what_is_written_afterwards_stays(struct hm_trial *t)
{
	unsigned char *base = hm_take(t, NULL, HM_GRANULE, HM_BOTH, PAGE_READWRITE);

	if (base == NULL || !knows_reset(t))
		return;
	for (unsigned char round = 1; round <= 3; round++) {
		hm_row(t, "round %u", round);
		memset(base, 0x77, HM_GRANULE);
		reset(t, base, 0, HM_GRANULE);
		memset(base, round, HM_GRANULE);
		CHECK_FILLED(t, base, HM_GRANULE, round);
		/* To commit what is committed keeps it as well. */
		hm_commit(t, base, HM_GRANULE, PAGE_READWRITE);
		CHECK_FILLED(t, base, HM_GRANULE, round);
	}
}

static void a_reset_page_can_be_taken_back(struct hm_trial *t)
{
	unsigned char *base = hm_take(t, NULL, HM_GRANULE, HM_BOTH, PAGE_READWRITE);

	if (base == NULL || !knows_reset(t))
		return;
	memset(base, 0x78, HM_GRANULE);
	reset(t, base, 0, HM_GRANULE);
	if (hm_decommit(t, base, HM_PAGE) && hm_commit(t, base, HM_PAGE, PAGE_READWRITE))
		CHECK_FILLED(t, base, HM_PAGE, 0);
	reset(t, base, HM_PAGE, HM_PAGE);
	if (hm_give(t, base))
		CHECK(t, !hm_can_read(base) && !hm_can_read(base + HM_PAGE));
}

/* Pages: READWRITE, NOACCESS, READONLY, EXECUTE_READ, and four reserved ones. */
static void states_and_protections_stay(struct hm_trial *t)
{
	static const DWORD pages[] = { PAGE_READWRITE, PAGE_NOACCESS, PAGE_READONLY,
				       PAGE_EXECUTE_READ };
	unsigned char *base = hm_take(t, NULL, PAGES * HM_PAGE, MEM_RESERVE,
				      PAGE_NOACCESS);

	if (base == NULL || !knows_reset(t))
		return;
	for (size_t i = 0; i < HM_ROWS(pages); i++)
		hm_commit(t, base + i * HM_PAGE, HM_PAGE, pages[i]);
	hm_row(t, "all of it");
	reset(t, base, 0, PAGES * HM_PAGE);
	for (size_t i = 0; i < HM_ROWS(pages); i++)
		CHECK_RUN(t, base + i * HM_PAGE, MEM_COMMIT, pages[i], HM_PAGE, base);
	CHECK_RUN(t, base + 4 * HM_PAGE, MEM_RESERVE, 0, 4 * HM_PAGE, base);
	CHECK(t, !hm_can_read(base + HM_PAGE) && !hm_can_write(base + 2 * HM_PAGE, 1));
	CHECK(t, hm_can_write(base, 1) && !hm_can_read(base + 4 * HM_PAGE));
	hm_row(t, "reserved pages alone");
	reset(t, base, 5 * HM_PAGE, HM_PAGE);
	CHECK_RUN(t, base + 4 * HM_PAGE, MEM_RESERVE, 0, 4 * HM_PAGE, base);
}

/* Of reset, the protection given has no effect. */
static void the_protection_given_is_ignored(struct hm_trial *t)
{
	static const DWORD rows[] = { PAGE_NOACCESS, PAGE_READONLY, PAGE_EXECUTE_READ };
	unsigned char *base = hm_take(t, NULL, HM_GRANULE, HM_BOTH, PAGE_READWRITE);

	if (base == NULL || !knows_reset(t))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "0x%x", (unsigned)rows[i]);
		CHECK_POINTER(t, hm_take(t, base, HM_PAGE, MEM_RESET, rows[i]), base);
		CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, HM_GRANULE, base);
		CHECK(t, hm_can_write(base, 1));
	}
}

/* ---- Refusals ---- */

/* As it is with MEM_RESET; Wine 8 does not know MEM_RESET_UNDO. */
enum wine { WINE_REFUSES, WINE_HAS_ANOTHER_CODE, WINE_ACCEPTS };

static void both_go_alone(struct hm_trial *t)
{
	static const struct {
		DWORD other;
		enum wine wine;
	} rows[] = {
		{ MEM_COMMIT, WINE_ACCEPTS },
		{ MEM_RESERVE, WINE_HAS_ANOTHER_CODE },
		{ MEM_COMMIT | MEM_RESERVE, WINE_HAS_ANOTHER_CODE },
		{ MEM_DECOMMIT, WINE_REFUSES },
		{ MEM_RELEASE, WINE_REFUSES },
		{ MEM_TOP_DOWN, WINE_ACCEPTS },
		{ MEM_WRITE_WATCH, WINE_ACCEPTS },
		{ MEM_PHYSICAL, WINE_REFUSES },
		{ MEM_LARGE_PAGES, WINE_REFUSES },
		{ MEM_RESET | MEM_RESET_UNDO, WINE_REFUSES },
	};
	static const DWORD types[] = { MEM_RESET, MEM_RESET_UNDO };
	unsigned char *base = hm_take(t, NULL, HM_GRANULE, HM_BOTH, PAGE_READWRITE);

	if (base == NULL || !knows_reset(t))
		return;
	for (size_t i = 0; i < 2 * HM_ROWS(rows); i++) {
		DWORD type = types[i % 2] | rows[i / 2].other;
		enum wine needed = t->codes ? WINE_HAS_ANOTHER_CODE : WINE_ACCEPTS;

		hm_row(t, "type 0x%x", (unsigned)type);
		if ((type & MEM_RESET_UNDO) == 0 && rows[i / 2].wine >= needed)
			hm_wine(t, "Wine 8 lets MEM_RESET stand beside others");
		memset(base, 0x33, HM_GRANULE);
		hm_refused_alloc(t, base, HM_GRANULE, type, PAGE_READWRITE, eTaskCritical,
				 E_INVALIDARG);
	}
}

static void a_protection_has_to_be_one(struct hm_trial *t)
{
	static const DWORD rows[] = { 0, PAGE_WRITECOPY, PAGE_READONLY | PAGE_READWRITE,
				      PAGE_GUARD };
	unsigned char *base = hm_take(t, NULL, HM_GRANULE, HM_BOTH, PAGE_READWRITE);

	if (base == NULL || !knows_reset(t))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "0x%x", (unsigned)rows[i]);
		hm_wine(t, "Wine 8 does not look at it; MS: has to be valid");
		memset(base, 0x34, HM_GRANULE);
		hm_refused_alloc(t, base, HM_GRANULE, MEM_RESET, rows[i], eTaskCritical,
				 E_INVALIDARG);
	}
}

static void the_range_is_within_one_reservation(struct hm_trial *t)
{
	static const struct {
		const char *what;
		size_t offset, size; /* from the free granule before both */
	} rows[] = {
		{ "free memory", 0, 0x1000 },
		{ "starts before", 0xF000, 0x2000 },
		{ "across both", 0x1F000, 0x2000 },
		{ "one byte past the end", 0x20000, 0x10001 },
		{ "free memory behind", 0x30000, 1 },
	};
	unsigned char *first = hm_neighbours(t);

	if (first == NULL || !knows_reset(t))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "%s", rows[i].what);
		hm_refused_alloc(t, first - HM_GRANULE + rows[i].offset, rows[i].size,
				 MEM_RESET, PAGE_READWRITE, eTaskCritical,
				 HM_INVALID_ADDRESS);
	}
}

/* Windows' own code would reserve; documents are silent.  So only no middle way. */
static void at_null_it_is_refused_or_reserves(struct hm_trial *t)
{
	struct hm_state before;
	void *out;

	hm_look(t, &before);
	if (FAILED(hm_alloc(t, NULL, HM_GRANULE, MEM_RESET, PAGE_READWRITE, eTaskCritical,
			    &out))) {
		CHECK_UNCHANGED(t, &before);
		return;
	}
	if (CHECK(t, out != NULL)) {
		CHECK_RUN(t, out, MEM_RESERVE, 0, HM_GRANULE, out);
		hm_keep(t, out);
	}
}

/* ---- Undo ---- */

/* It may always be refused, but never claim what is not so. */
static void undo_tells_the_truth(struct hm_trial *t)
{
	static const struct {
		const char *what;
		bool is_reset;
	} rows[] = { { "nothing was reset", false }, { "all was reset", true } };

	if (!knows_reset(t))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		unsigned char *base = hm_take(t, NULL, HM_GRANULE, HM_BOTH,
					      PAGE_READWRITE);
		void *out;
		HRESULT hr;

		hm_row(t, "%s", rows[i].what);
		if (base == NULL)
			return;
		memset(base, 0x66, HM_GRANULE);
		if (rows[i].is_reset)
			reset(t, base, 0, HM_GRANULE);
		hr = hm_alloc(t, base, HM_GRANULE, MEM_RESET_UNDO, PAGE_READWRITE,
			      eTaskCritical, &out);
		if (SUCCEEDED(hr))
			CHECK_POINTER(t, out, base);
		if (SUCCEEDED(hr) || !rows[i].is_reset)
			CHECK_FILLED(t, base, HM_GRANULE, 0x66);
		CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, HM_GRANULE, base);
		hm_give(t, base);
	}
}

static void undo_is_for_one_reservation(struct hm_trial *t)
{
	unsigned char *first = hm_neighbours(t);

	if (first == NULL || !knows_reset(t))
		return;
	hm_row(t, "free memory");
	hm_wine(t, t->codes ? "Wine 8 does not know it: 87" : NULL);
	hm_refused_alloc(t, first - HM_GRANULE, HM_PAGE, MEM_RESET_UNDO, PAGE_READWRITE,
			 eTaskCritical, HM_INVALID_ADDRESS);
	hm_row(t, "across both");
	hm_wine(t, t->codes ? "Wine 8 does not know it: 87" : NULL);
	hm_refused_alloc(t, first, 2 * HM_GRANULE, MEM_RESET_UNDO, PAGE_READWRITE,
			 eTaskCritical, HM_INVALID_ADDRESS);
}

static const struct hm_case cases[] = {
	{ "known", HM_DOCUMENTED, "MS VirtualAlloc: MEM_RESET", reset_is_known,
	  HM_NO_GROUP },
	{ "only-whole-pages", HM_DOCUMENTED, "HM: pages wholly in the range; MS",
	  only_whole_pages_are_given_up, HM_NO_GROUP },
	{ "written-afterwards", HM_REQUIRED, "MS VirtualAlloc; CLR resets and reuses",
	  what_is_written_afterwards_stays, HM_NO_GROUP },
	{ "taken-back-afterwards", HM_REQUIRED, "MS VirtualFree",
	  a_reset_page_can_be_taken_back, HM_NO_GROUP },
	{ "states-stay", HM_REQUIRED, "MS VirtualAlloc; WT kernel32 virtual.c",
	  states_and_protections_stay, HM_NO_GROUP },
	{ "protection-ignored", HM_DOCUMENTED, "MS VirtualAlloc: ignored, but valid",
	  the_protection_given_is_ignored, HM_NO_GROUP },
	{ "alone", HM_DOCUMENTED, "MS VirtualAlloc: no other value", both_go_alone,
	  HM_WINDOWS_DETAIL },
	{ "bad-protections", HM_DOCUMENTED, "MS VirtualAlloc: has to be valid",
	  a_protection_has_to_be_one, HM_WINDOWS_DETAIL },
	{ "one-reservation", HM_REQUIRED, "WT kernel32 virtual.c; RK",
	  the_range_is_within_one_reservation, HM_WINDOWS_DETAIL },
	{ "at-null", HM_DOCUMENTED, "HM: refused; RK: reserves",
	  at_null_it_is_refused_or_reserves, HM_NO_GROUP },
	{ "undo", HM_REQUIRED, "MS VirtualAlloc: success says that data is intact",
	  undo_tells_the_truth, HM_NO_GROUP },
	{ "undo-one-reservation", HM_REQUIRED, "RK", undo_is_for_one_reservation,
	  HM_WINDOWS_DETAIL },
};

const struct hm_area hm_area_reset = HM_AREA("reset", cases);
