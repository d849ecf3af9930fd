/*
 * Cases about MEM_RESERVE: where a reservation begins, how large it is, what is remembered.
 *
 * A runtime builds on two things.  A base is a multiple of 64 KiB: the handle table finds its
 * head by masking addresses.  And a reservation has every byte that was asked for and no other
 * reservation's.  What is in the way of a chosen address is asked in places.c.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

static bool commits(DWORD type)
{
	return (type & MEM_COMMIT) != 0;
}

/* A new reservation is one run, of pages in the state that the call has asked for. */
static void check_new(struct hm_trial *t, const void *base, SIZE_T size, DWORD type,
		      DWORD protect)
{
	CHECK_SIZE(t, (uintptr_t)base % HM_GRANULE, 0);
	if (commits(type))
		CHECK_RUN(t, base, MEM_COMMIT, protect, size, base);
	else
		CHECK_RUN(t, base, MEM_RESERVE, 0, size, base);
}

static void sizes_round_up_to_pages(struct hm_trial *t)
{
	static const DWORD types[] = { MEM_RESERVE, HM_BOTH };
	static const struct {
		SIZE_T size, want;
	} rows[] = {
		{ 1, 0x1000 },        { 0xFFF, 0x1000 },      { 0x1000, 0x1000 },
		{ 0x1001, 0x2000 },   { 0xFFFC, 0x10000 },    { 0x10000, 0x10000 },
		{ 0x10001, 0x11000 }, { 0x123456, 0x124000 },
	};

	for (size_t i = 0; i < HM_ROWS(types) * HM_ROWS(rows); i++) {
		size_t row = i / HM_ROWS(types);
		DWORD type = types[i % HM_ROWS(types)];
		void *base;

		hm_row(t, "size 0x%zx, type 0x%x", rows[row].size, (unsigned)type);
		base = hm_take(t, NULL, rows[row].size, type, PAGE_READWRITE);
		if (base == NULL)
			continue;
		check_new(t, base, rows[row].want, type, PAGE_READWRITE);
		CHECK(t, (uintptr_t)base + rows[row].want <= HM_USER_END);
		hm_give(t, base);
	}
}

static void the_range_rounds_outwards(struct hm_trial *t)
{
	static const DWORD types[] = { MEM_RESERVE, HM_BOTH };
	static const struct {
		size_t offset;
		SIZE_T size, want;
	} rows[] = {
		{ 0, 0x1000, 0x1000 },       { 0x8000, 1, 0x9000 },
		{ 0x10, 0x1000, 0x2000 },    { 0xFFFF, 0x3000, 0x13000 },
		{ 0x1010, 0xC000, 0xE000 },  { 0xFFFF, 1, 0x10000 },
		{ 0xFFFF, 2, 0x11000 },      { 0xFFF, 1, 0x1000 },
		{ 0x1000, 0xF000, 0x10000 },
	};
	unsigned char *hole = (unsigned char *)hm_hole(t, 4 * HM_GRANULE);

	if (hole == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(types) * HM_ROWS(rows); i++) {
		size_t row = i / HM_ROWS(types);
		DWORD type = types[i % HM_ROWS(types)];
		void *base;

		hm_row(t, "offset 0x%zx, size 0x%zx, type 0x%x", rows[row].offset,
		       rows[row].size, (unsigned)type);
		base = hm_take(t, hole + rows[row].offset, rows[row].size, type,
			       PAGE_READWRITE);
		if (!CHECK_POINTER(t, base, hole) && base == NULL)
			continue;
		check_new(t, base, rows[row].want, type, PAGE_READWRITE);
		hm_give(t, base);
	}
}

/* ---- Many ---- */

/* Each is filled from end to end with a value of its own. */
static void reservations_do_not_overlap(struct hm_trial *t)
{
	unsigned char *bases[48];
	size_t sizes[HM_ROWS(bases)];

	for (size_t i = 0; i < HM_ROWS(bases); i++) {
		sizes[i] = HM_PAGE * (1 + i * 7 % 35);
		bases[i] = (unsigned char *)hm_take(t, NULL, sizes[i], HM_BOTH,
						    PAGE_READWRITE);
		if (bases[i] == NULL)
			return;
		hm_row(t, "reservation %zu, size 0x%zx", i, sizes[i]);
		CHECK_SIZE(t, (uintptr_t)bases[i] % HM_GRANULE, 0);
		if (CHECK(t, hm_can_write(bases[i] + sizes[i] - 1, 1)))
			memset(bases[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < HM_ROWS(bases); i++) {
		hm_row(t, "reservation %zu, size 0x%zx", i, sizes[i]);
		CHECK_FILLED(t, bases[i], sizes[i], (unsigned char)(i + 1));
	}
}

/* The segments that a collector of a workstation begins with. */
static void large_reservations_cost_only_addresses(struct hm_trial *t)
{
	const SIZE_T size = (SIZE_T)384 << 20;
	unsigned char *base = (unsigned char *)hm_take(t, NULL, size, MEM_RESERVE,
						       PAGE_READWRITE);

	if (base == NULL)
		return;
	check_new(t, base, size, MEM_RESERVE, 0);
	if (!hm_commit(t, base + size - 1, 1, PAGE_READWRITE) ||
	    !hm_commit(t, base, 1, PAGE_READWRITE))
		return;
	CHECK(t, hm_can_write(base, 1));
	CHECK(t, hm_can_write(base + size - 1, 1));
	CHECK_RUN(t, base + HM_PAGE, MEM_RESERVE, 0, size - 2 * HM_PAGE, base);
}

/* ---- High ---- */

static void top_down_is_a_wish(struct hm_trial *t)
{
	static const DWORD types[] = { MEM_RESERVE, MEM_COMMIT, HM_BOTH };
	unsigned char *hole;

	for (size_t i = 0; i < HM_ROWS(types); i++) {
		void *base;

		hm_row(t, "type 0x%x", (unsigned)types[i]);
		base = hm_take(t, NULL, 0x3001, types[i] | MEM_TOP_DOWN, PAGE_READWRITE);
		if (base == NULL)
			continue;
		check_new(t, base, 0x4000, types[i], PAGE_READWRITE);
		CHECK(t, (uintptr_t)base + 0x4000 <= HM_USER_END);
		hm_give(t, base);
	}
	hm_row(t, "at an address");
	hole = (unsigned char *)hm_hole(t, 2 * HM_GRANULE);
	if (hole == NULL ||
	    !CHECK_POINTER(t,
			   hm_take(t, hole, HM_GRANULE, MEM_RESERVE | MEM_TOP_DOWN,
				   PAGE_READWRITE),
			   hole))
		return;
	CHECK_POINTER(t,
		      hm_take(t, hole + HM_PAGE, 1, MEM_COMMIT | MEM_TOP_DOWN,
			      PAGE_READWRITE),
		      hole + HM_PAGE);
	CHECK_RUN(t, hole + HM_PAGE, MEM_COMMIT, PAGE_READWRITE, HM_PAGE, hole);
}

/*
 * Linux in its old layout gives addresses from below, and only the stack is high; then the
 * highest address to be had is not the highest there is.  On Windows the stack is low, too.
 */
static bool the_system_goes_upwards(void)
{
	int stack;
	uintptr_t pages = (uintptr_t)hm_foreign_pages(HM_PAGE);

	if (pages != 0)
		hm_foreign_done((void *)pages, HM_PAGE);
	return pages < HM_USER_END / 2 && (uintptr_t)&stack > HM_USER_END / 2;
}

static void top_down_is_high(struct hm_trial *t)
{
	void *base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE | MEM_TOP_DOWN,
			     PAGE_NOACCESS);

	if (the_system_goes_upwards())
		hm_skip(t, "the system gives addresses from below");
	else
		CHECK(t, (uintptr_t)base > HM_USER_END / 2);
}

/* ---- What stays of the reserving call ---- */

static void the_first_protection_is_remembered_and_limits_nothing(struct hm_trial *t)
{
	static const DWORD protections[] = { PAGE_NOACCESS, PAGE_READONLY,
					     PAGE_READWRITE };
	MEMORY_BASIC_INFORMATION run;

	for (size_t i = 0; i < HM_ROWS(protections); i++) {
		void *base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, protections[i]);

		hm_row(t, "reserved with 0x%x", (unsigned)protections[i]);
		if (base == NULL || !hm_commit(t, base, HM_PAGE, PAGE_READONLY) ||
		    !hm_protect(t, base, HM_PAGE, PAGE_READWRITE, PAGE_READONLY))
			continue;
		CHECK(t, hm_can_write(base, 1));
		if (hm_query(t, base, &run) == S_OK)
			CHECK_SIZE(t, run.AllocationProtect, protections[i]);
		if (hm_query(t, hm_at(base, HM_PAGE), &run) == S_OK)
			CHECK_SIZE(t, run.AllocationProtect, protections[i]);
		hm_decommit(t, base, 0);
		if (hm_query(t, base, &run) == S_OK)
			CHECK_SIZE(t, run.AllocationProtect, protections[i]);
	}
}

static void reserved_pages_cannot_be_touched(struct hm_trial *t)
{
	unsigned char *base = (unsigned char *)hm_take(t, NULL, HM_GRANULE, MEM_RESERVE,
						       PAGE_READWRITE);

	if (base == NULL)
		return;
	CHECK(t, !hm_can_read(base));
	CHECK(t, !hm_can_write(base, 1));
	CHECK(t, !hm_can_read(base + HM_GRANULE - 1));
	if (!hm_commit(t, base + HM_PAGE, HM_PAGE, PAGE_READWRITE))
		return;
	CHECK(t, !hm_can_read(base + HM_PAGE - 1));
	CHECK(t, hm_can_write(base + HM_PAGE, 1));
	CHECK(t, hm_can_write(base + 2 * HM_PAGE - 1, 1));
	CHECK(t, !hm_can_read(base + 2 * HM_PAGE));
}

static const struct hm_case cases[] = {
	{ "sizes-round-up", HM_REQUIRED, "RT; WT kernel32 virtual.c; CLR handle tables",
	  sizes_round_up_to_pages, HM_NO_GROUP },
	{ "rounding-at-an-address", HM_DOCUMENTED, "MS VirtualAlloc: lpAddress; RT",
	  the_range_rounds_outwards, HM_NO_GROUP },
	{ "no-overlap", HM_REQUIRED, "CLR: every caller", reservations_do_not_overlap,
	  HM_NO_GROUP },
	{ "large", HM_REQUIRED, "CLR: the collector's first segments",
	  large_reservations_cost_only_addresses, HM_NO_GROUP },
	{ "top-down", HM_REQUIRED, "CLR thunk tables; MS VirtualAlloc: MEM_TOP_DOWN",
	  top_down_is_a_wish, HM_NO_GROUP },
	{ "top-down-is-high", HM_WINDOWS_DETAIL, "MS VirtualAlloc: MEM_TOP_DOWN",
	  top_down_is_high, HM_NO_GROUP },
	{ "first-protection", HM_DOCUMENTED,
	  "MS MEMORY_BASIC_INFORMATION: AllocationProtect; WT kernel32 virtual.c",
	  the_first_protection_is_remembered_and_limits_nothing, HM_NO_GROUP },
	{ "reserved-pages", HM_DOCUMENTED, "MS VirtualAlloc: MEM_RESERVE",
	  reserved_pages_cannot_be_touched, HM_NO_GROUP },
};

const struct hm_area hm_area_reserve = HM_AREA("reserve", cases);
