/*
 * The free space of an arena: edges, in tables.  Random operations are in
 * extents_random.c.
 */
#include "hostmem/extents.h"
#include "fake.h"

#include <sys/mman.h>
#include <unistd.h>

#define NONE UINT32_MAX
#define BLANK HM_EXTENT_BLANK
#define OPENED HM_EXTENT_OPEN
#define MOST HM_EXTENTS_MOST

static struct hm_extents arena;

static void start(uint32_t origin, uint32_t count)
{
	memset(&arena, 0, sizeof(arena));
	hm_extents_init(&arena, origin, count);
}

static void start_taken(uint32_t count)
{
	start(0, count);
	CHECK(hm_extents_take_at(&arena, 0, count));
}

static void give(uint32_t first, uint32_t count, enum hm_extent_kind kind)
{
	const struct hm_extent given = { first, count, kind };

	hm_extents_give(&arena, &given, NULL);
}

static uint32_t take(enum hm_extent_kind kind, uint32_t count, uint32_t alignment)
{
	uint32_t first = NONE;
	bool taken = hm_extents_take(&arena, kind, count, alignment, &first);

	CHECK_INT(taken, first != NONE);
	return first;
}

/* Free extents as text: "0+5 7+1o" are granules 0 to 4, blank, and 7, open. */
static const char *map_now(void)
{
	static char text[200];
	size_t used = 0;
	uint32_t free = 0;
	struct hm_extent extent = { 0, 0, BLANK };

	text[0] = '\0';
	while (hm_extents_next(&arena, extent.first + extent.count, &extent) &&
	       used < sizeof(text) - 20) {
		used += (size_t)snprintf(text + used, 20, "%s%u+%u%s",
					 used != 0 ? " " : "", extent.first, extent.count,
					 extent.kind == OPENED ? "o" : "");
		free += extent.count;
	}
	CHECK_STR(hm_extents_check(&arena), NULL);
	CHECK_U32(hm_extents_free(&arena), free);
	return text;
}

static void a_new_arena_is_one_blank_extent(void)
{
	static const uint32_t counts[] = { 1, 2, 3, 16, 17, 1000, 32767, 65535, MOST };
	char want[20];

	for (size_t i = 0; i < ROWS(counts); i++) {
		tap_row("%u granules", counts[i]);
		start(5, counts[i]);
		snprintf(want, sizeof(want), "0+%u", counts[i]);
		CHECK_STR(map_now(), want);
		CHECK_U32(take(OPENED, 1, 1), NONE);
		CHECK_U32(take(BLANK, counts[i] + 1, 1), NONE);
		CHECK_U32(take(BLANK, counts[i], 1), 0);
		CHECK_STR(map_now(), "");
		CHECK_U32(take(BLANK, 1, 1), NONE);
		give(0, counts[i], BLANK);
		CHECK_STR(map_now(), want);
	}
}

static void granules_are_taken_from_the_low_end(void)
{
	start(0, 100);
	CHECK_U32(take(BLANK, 1, 1), 0);
	CHECK_U32(take(BLANK, 4, 1), 1);
	CHECK_U32(take(BLANK, 50, 1), 5);
	CHECK_STR(map_now(), "55+45");
	give(1, 4, BLANK);
	CHECK_U32(take(BLANK, 3, 1), 1);
	CHECK_STR(map_now(), "4+1 55+45");
}

static void the_extent_that_fits_best_is_taken(void)
{
	static const struct {
		uint32_t count, first;
	} rows[] = {
		{ 1, 0 },     { 2, 10 },     { 3, 20 },   { 4, 30 },   { 5, 30 },
		{ 6, 40 },    { 16, 40 },    { 17, 90 },  { 18, 60 },  { 20, 60 },
		{ 21, 60 },   { 22, 60 },    { 23, 120 }, { 64, 120 }, { 65, 200 },
		{ 799, 200 }, { 801, NONE },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%u granules", rows[i].count);
		start_taken(1000);
		give(0, 1, BLANK);
		give(10, 2, BLANK);
		give(20, 3, BLANK);
		give(30, 5, BLANK);
		give(40, 16, BLANK);
		give(60, 22, BLANK);
		give(90, 17, BLANK);
		give(120, 64, BLANK);
		give(200, 800, BLANK);
		CHECK_U32(take(BLANK, rows[i].count, 1), rows[i].first);
		CHECK_STR(hm_extents_check(&arena), NULL);
	}
}

/* Extents of a class have different sizes; the one that fits may be anywhere in its list,
 * and in a class that has smaller ones, too. */
static void a_fit_behind_extents_that_do_not_is_found(void)
{
	static const struct {
		uint32_t others, fit, count, alignment, first;
	} rows[] = {
		{ 17, 19, 19, 1, 0 },    { 17, 19, 18, 1, 0 },
		{ 33, 37, 37, 1, 0 },    { 3, 4, 4, 4, 0 },
		{ 5, 5, 5, 1024, 0 },    { 17, 17, 17, 4096, 0 },
		{ 1, 1, 1, 4096, 0 },    { 30, 20, 18, 65536, 0 },
		{ 30, 30, 31, 1, NONE }, { 30, 20, 21, 1024, NONE },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		start_taken(1024);
		give(0, rows[i].fit, BLANK);
		for (uint32_t first = 101; first < 900; first += 100)
			give(first, rows[i].others, BLANK);
		CHECK_U32(take(BLANK, rows[i].count, rows[i].alignment), rows[i].first);
		CHECK_STR(hm_extents_check(&arena), NULL);
	}
}

static void alignment_is_that_of_the_address_space(void)
{
	static const struct {
		uint32_t origin, count, wanted, alignment, first;
	} rows[] = {
		{ 0, 100, 1, 1, 0 },
		{ 0, 100, 1, 64, 0 },
		{ 1, 100, 1, 64, 63 },
		{ 63, 100, 1, 64, 1 },
		{ 63, 100, 99, 64, 1 },
		{ 63, 100, 100, 64, NONE },
		{ 64, 100, 100, 64, 0 },
		{ 7, 100, 1, 2, 1 },
		{ 7, 65536, 65535, 8, 1 },
		{ 7, 65536, 65536, 8, NONE },
		{ 7, 65536, 1, 65536, 65529 },
		{ 7, 65536, 7, 65536, 65529 },
		{ 7, 65536, 8, 65536, NONE },
		{ 7, 65536, 1, 0x80000000, NONE },
		{ 0x80000000, 65536, 65536, 0x80000000, 0 },
		{ 0xFFFFFFFF, 65536, 65535, 0x80000000, 1 },
		{ 0xFFFFFFFF, 1, 1, 2, NONE },
		{ 0xFFFF0001, 65536, 1, 0x10000, 65535 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uint32_t first;

		tap_row("row %zu", i);
		start(rows[i].origin, rows[i].count);
		first = take(BLANK, rows[i].wanted, rows[i].alignment);
		CHECK_U32(first, rows[i].first);
		CHECK_STR(hm_extents_check(&arena), NULL);
		CHECK_U32(hm_extents_free(&arena),
			  rows[i].count - (first != NONE ? rows[i].wanted : 0));
	}
}

static void what_alignment_skips_stays_free(void)
{
	start(3, 100);
	CHECK_U32(take(BLANK, 2, 16), 13);
	CHECK_STR(map_now(), "0+13 15+85");
	CHECK_U32(take(BLANK, 71, 16), 29);
	CHECK_STR(map_now(), "0+13 15+14");
	CHECK_U32(take(BLANK, 14, 4), NONE);
	CHECK_U32(take(BLANK, 14, 1), 15);
	CHECK_STR(map_now(), "0+13");
}

static void kinds_never_merge(void)
{
	start_taken(30);
	give(0, 10, BLANK);
	give(20, 10, BLANK);
	give(10, 10, OPENED);
	CHECK_STR(map_now(), "0+10 10+10o 20+10");
	CHECK_U32(take(BLANK, 11, 1), NONE);
	CHECK_U32(take(OPENED, 10, 1), 10);
	give(15, 5, OPENED);
	give(10, 5, BLANK);
	CHECK_STR(map_now(), "0+15 15+5o 20+10");
	CHECK_U32(take(OPENED, 5, 1), 15);
	give(15, 5, BLANK);
	CHECK_STR(map_now(), "0+30");
}

static void what_is_given_merges_with_neighbours_of_its_kind(void)
{
	static const struct {
		uint32_t first, count;
		enum hm_extent_kind kind;
		struct hm_extent merged;
		const char *map;
	} rows[] = {
		{ 5, 1, BLANK, { 5, 1, BLANK }, "0+3 5+1 10+3o 13+3" },
		{ 3, 1, BLANK, { 0, 4, BLANK }, "0+4 10+3o 13+3" },
		{ 3, 7, BLANK, { 0, 10, BLANK }, "0+10 10+3o 13+3" },
		{ 3, 7, OPENED, { 3, 10, OPENED }, "0+3 3+10o 13+3" },
		{ 9, 1, OPENED, { 9, 4, OPENED }, "0+3 9+4o 13+3" },
		{ 9, 1, BLANK, { 9, 1, BLANK }, "0+3 9+1 10+3o 13+3" },
		{ 16, 1, BLANK, { 13, 4, BLANK }, "0+3 10+3o 13+4" },
		{ 16, 4, BLANK, { 13, 7, BLANK }, "0+3 10+3o 13+7" },
		{ 16, 4, OPENED, { 16, 4, OPENED }, "0+3 10+3o 13+3 16+4o" },
		{ 19, 1, OPENED, { 19, 1, OPENED }, "0+3 10+3o 13+3 19+1o" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_extent extent = { rows[i].first, rows[i].count, rows[i].kind };

		tap_row("row %zu", i);
		start_taken(20);
		give(0, 3, BLANK);
		give(10, 3, OPENED);
		give(13, 3, BLANK);
		hm_extents_give(&arena, &extent, &extent);
		CHECK_U32(extent.first, rows[i].merged.first);
		CHECK_U32(extent.count, rows[i].merged.count);
		CHECK_INT(extent.kind, rows[i].merged.kind);
		CHECK_STR(map_now(), rows[i].map);
	}
}

/* Between two extents, the merged one is as large as all three. */
static void a_gap_that_is_filled_makes_one_extent_of_two(void)
{
	static const uint32_t places[] = { 1, 2, 17, 63, 64, 4095, 4096, 65000, 65534 };

	for (size_t i = 0; i < ROWS(places); i++) {
		tap_row("granule %u", places[i]);
		start(0, MOST);
		CHECK(hm_extents_take_at(&arena, places[i], 1));
		CHECK_STR(hm_extents_check(&arena), NULL);
		give(places[i], 1, BLANK);
		CHECK_STR(map_now(), "0+65536");
	}
}

/* A note at a first granule outlives its extent. */
static void an_old_note_of_a_size_is_not_believed(void)
{
	start(0, 100);
	CHECK(hm_extents_take_at(&arena, 0, 10));
	CHECK(hm_extents_take_at(&arena, 10, 20));
	give(5, 5, BLANK);
	CHECK_STR(map_now(), "5+5 30+70");
	start_taken(100);
	give(10, 5, BLANK);
	CHECK(hm_extents_take_at(&arena, 10, 5));
	give(12, 3, BLANK);
	give(9, 1, BLANK);
	CHECK_STR(map_now(), "9+1 12+3");
}

static void take_at_takes_all_or_nothing(void)
{
	static const struct {
		uint32_t first, count;
		bool taken;
		const char *map;
	} rows[] = {
		{ 0, 1, true, "1+4 5+5o 12+3o 15+5" },
		{ 4, 1, true, "0+4 5+5o 12+3o 15+5" },
		{ 4, 2, true, "0+4 6+4o 12+3o 15+5" },
		{ 2, 5, true, "0+2 7+3o 12+3o 15+5" },
		{ 0, 10, true, "12+3o 15+5" },
		{ 6, 2, true, "0+5 5+1o 8+2o 12+3o 15+5" },
		{ 12, 8, true, "0+5 5+5o" },
		{ 19, 1, true, "0+5 5+5o 12+3o 15+4" },
		{ 0, 11, false, "0+5 5+5o 12+3o 15+5" },
		{ 0, 20, false, "0+5 5+5o 12+3o 15+5" },
		{ 10, 1, false, "0+5 5+5o 12+3o 15+5" },
		{ 11, 2, false, "0+5 5+5o 12+3o 15+5" },
		{ 19, 2, false, "0+5 5+5o 12+3o 15+5" },
		{ 20, 1, false, "0+5 5+5o 12+3o 15+5" },
		{ 19, UINT32_MAX, false, "0+5 5+5o 12+3o 15+5" },
		{ UINT32_MAX, 1, false, "0+5 5+5o 12+3o 15+5" },
		{ UINT32_MAX, 2, false, "0+5 5+5o 12+3o 15+5" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		start_taken(20);
		give(0, 5, BLANK);
		give(5, 5, OPENED);
		give(12, 3, OPENED);
		give(15, 5, BLANK);
		CHECK_INT(hm_extents_take_at(&arena, rows[i].first, rows[i].count),
			  rows[i].taken);
		CHECK_STR(map_now(), rows[i].map);
	}
}

static void take_below_and_above_stop_at_limits_and_other_kinds(void)
{
	static const struct {
		bool above;
		enum hm_extent_kind kind;
		uint32_t from, limit, taken;
		const char *map;
	} rows[] = {
		{ false, BLANK, 0, 0, 0, "0+5 5+5o 12+3o 15+5" },
		{ false, BLANK, 5, 0, 5, "5+5o 12+3o 15+5" },
		{ false, BLANK, 5, 4, 1, "0+4 5+5o 12+3o 15+5" },
		{ false, BLANK, 5, 5, 0, "0+5 5+5o 12+3o 15+5" },
		{ false, BLANK, 5, 6, 0, "0+5 5+5o 12+3o 15+5" },
		{ false, OPENED, 5, 0, 0, "0+5 5+5o 12+3o 15+5" },
		{ false, OPENED, 10, 0, 5, "0+5 12+3o 15+5" },
		{ false, BLANK, 10, 0, 0, "0+5 5+5o 12+3o 15+5" },
		{ false, OPENED, 11, 0, 0, "0+5 5+5o 12+3o 15+5" },
		{ false, OPENED, 8, 6, 2, "0+5 5+1o 8+2o 12+3o 15+5" },
		{ false, BLANK, 20, 0, 5, "0+5 5+5o 12+3o" },
		{ false, BLANK, 20, 19, 1, "0+5 5+5o 12+3o 15+4" },
		{ false, BLANK, 20, UINT32_MAX, 0, "0+5 5+5o 12+3o 15+5" },
		{ true, BLANK, 0, 20, 5, "5+5o 12+3o 15+5" },
		{ true, BLANK, 0, 2, 2, "2+3 5+5o 12+3o 15+5" },
		{ true, BLANK, 0, 0, 0, "0+5 5+5o 12+3o 15+5" },
		{ true, BLANK, 3, 1, 0, "0+5 5+5o 12+3o 15+5" },
		{ true, BLANK, 5, 20, 0, "0+5 5+5o 12+3o 15+5" },
		{ true, OPENED, 5, 20, 5, "0+5 12+3o 15+5" },
		{ true, OPENED, 7, 8, 1, "0+5 5+2o 8+2o 12+3o 15+5" },
		{ true, OPENED, 10, 20, 0, "0+5 5+5o 12+3o 15+5" },
		{ true, OPENED, 11, 20, 0, "0+5 5+5o 12+3o 15+5" },
		{ true, BLANK, 19, UINT32_MAX, 1, "0+5 5+5o 12+3o 15+4" },
		{ true, BLANK, 20, UINT32_MAX, 0, "0+5 5+5o 12+3o 15+5" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uint32_t taken;

		tap_row("row %zu", i);
		start_taken(20);
		give(0, 5, BLANK);
		give(5, 5, OPENED);
		give(12, 3, OPENED);
		give(15, 5, BLANK);
		taken = rows[i].above
				? hm_extents_take_above(&arena, rows[i].kind,
							rows[i].from, rows[i].limit)
				: hm_extents_take_below(&arena, rows[i].kind,
							rows[i].from, rows[i].limit);
		CHECK_U32(taken, rows[i].taken);
		CHECK_STR(map_now(), rows[i].map);
	}
}

static void the_last_granule_is_like_any_other(void)
{
	start(0, MOST);
	CHECK(hm_extents_take_at(&arena, MOST - 1, 1));
	CHECK_STR(map_now(), "0+65535");
	CHECK_U32(hm_extents_take_above(&arena, BLANK, MOST, MOST), 0);
	CHECK_U32(hm_extents_take_below(&arena, BLANK, MOST, 0), 0);
	give(MOST - 1, 1, OPENED);
	CHECK_STR(map_now(), "0+65535 65535+1o");
	CHECK_U32(hm_extents_take_below(&arena, OPENED, MOST, 0), 1);
	give(MOST - 1, 1, BLANK);
	CHECK_U32(hm_extents_take_above(&arena, BLANK, MOST - 1, MOST), 1);
	CHECK_STR(map_now(), "0+65535");
}

static void next_finds_what_begins_there_or_above(void)
{
	static const struct {
		uint32_t from, first;
	} rows[] = {
		{ 0, 0 },     { 1, 5 },     { 4, 5 },       { 5, 5 },
		{ 6, 12 },    { 10, 12 },   { 12, 12 },     { 13, NONE },
		{ 19, NONE }, { 20, NONE }, { MOST, NONE }, { UINT32_MAX, NONE },
	};

	start_taken(20);
	give(0, 5, BLANK);
	give(5, 5, OPENED);
	give(12, 8, OPENED);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_extent extent = { NONE, 0, BLANK };

		tap_row("from %u", rows[i].from);
		CHECK_INT(hm_extents_next(&arena, rows[i].from, &extent),
			  rows[i].first != NONE);
		CHECK_U32(extent.first, rows[i].first);
	}
}

/* As arenas have it: a mapping that nobody has touched. */
static void a_small_user_touches_few_pages(void)
{
	size_t pages = (sizeof(arena) + PAGE - 1) / PAGE, touched = 0;
	struct hm_extents *mapped;
	unsigned char resident[1024];
	uint32_t first;

	if (sysconf(_SC_PAGESIZE) != (long)PAGE) {
		tap_skip("pages are larger here");
		return;
	}
	mapped = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!CHECK(mapped != MAP_FAILED) || !CHECK(pages <= sizeof(resident)))
		return;
	madvise(mapped, pages * PAGE, MADV_NOHUGEPAGE);
	hm_extents_init(mapped, 0, MOST);
	CHECK(hm_extents_take(mapped, BLANK, 1, 1, &first));
	CHECK_INT(mincore(mapped, pages * PAGE, resident), 0);
	for (size_t i = 0; i < pages; i++)
		touched += resident[i] & 1;
	CHECK(touched <= 4);
	CHECK_INT(munmap(mapped, pages * PAGE), 0);
}

/* 0+5, 10+5, 20+1, all in sight of each other. */
static void the_checker_finds_what_disagrees(void)
{
	static const struct {
		uint16_t *number;
		uint16_t wrong;
	} rows[] = {
		{ &arena.tags[4].rest, 5 },     { &arena.tags[4].rest, 3 },
		{ &arena.tags[14].rest, 9 },    { &arena.tags[14].rest, 10 },
		{ &arena.tags[0].rest, 3 },     { &arena.tags[10].rest, 0 },
		{ &arena.tags[4].list, 5 },     { &arena.tags[4].list, 68 },
		{ &arena.tags[4].list, 999 },   { &arena.tags[4].next, 14 },
		{ &arena.tags[14].next, 14 },   { &arena.tags[14].next, 20 },
		{ &arena.tags[4].previous, 4 }, { &arena.heads[4], 4 },
		{ &arena.heads[4], 20 },        { &arena.heads[0], 21 },
	};

	start_taken(100);
	give(0, 5, BLANK);
	give(10, 5, BLANK);
	give(20, 1, BLANK);
	CHECK_STR(map_now(), "0+5 10+5 20+1");
	for (size_t i = 0; i < ROWS(rows); i++) {
		uint16_t right = *rows[i].number;

		tap_row("row %zu", i);
		*rows[i].number = rows[i].wrong;
		CHECK(hm_extents_check(&arena) != NULL);
		*rows[i].number = right;
		CHECK_STR(hm_extents_check(&arena), NULL);
	}
}

static void the_checker_finds_wrong_sums_and_sets(void)
{
	start_taken(100);
	give(0, 5, BLANK);
	give(10, 5, OPENED);
	arena.free++;
	CHECK(hm_extents_check(&arena) != NULL);
	arena.free--;
	arena.used[BLANK] = 0;
	CHECK(hm_extents_check(&arena) != NULL);
	arena.used[BLANK] = 1 << 4 | 1 << 5;
	CHECK(hm_extents_check(&arena) != NULL);
	arena.used[BLANK] = 1 << 4;
	arena.lasts.top = 3;
	CHECK(hm_extents_check(&arena) != NULL);
	arena.lasts.top = 1;
	arena.count = 14;
	CHECK(hm_extents_check(&arena) != NULL);
	arena.count = 15;
	CHECK_STR(hm_extents_check(&arena), NULL);
}

/* Everything else agrees, as it would if a rule were forgotten everywhere. */
static void the_checker_finds_each_rule_broken_alone(void)
{
	start_taken(100);
	give(0, 5, BLANK);
	give(5, 5, OPENED);
	arena.used[OPENED] = 0;
	arena.tags[9].list = 4;
	arena.tags[9].next = 4;
	arena.tags[4].previous = 9;
	arena.heads[4] = 9;
	CHECK_STR(hm_extents_check(&arena), "neighbours of one kind are two extents");

	start_taken(100);
	give(0, 5, BLANK);
	arena.tags[4].list = 5;
	arena.heads[5] = 4;
	arena.used[BLANK] = 1 << 5;
	CHECK_STR(hm_extents_check(&arena),
		  "a free extent is in the list of another size");

	start_taken(100);
	give(0, 33, BLANK);
	give(34, 33, BLANK);
	arena.tags[66].rest = 35;
	arena.tags[31].rest = 35;
	arena.free += 3;
	CHECK_STR(hm_extents_check(&arena), "two free extents overlap");
}

int main(void)
{
	TAP_RUN(a_new_arena_is_one_blank_extent);
	TAP_RUN(granules_are_taken_from_the_low_end);
	TAP_RUN(the_extent_that_fits_best_is_taken);
	TAP_RUN(a_fit_behind_extents_that_do_not_is_found);
	TAP_RUN(alignment_is_that_of_the_address_space);
	TAP_RUN(what_alignment_skips_stays_free);
	TAP_RUN(kinds_never_merge);
	TAP_RUN(what_is_given_merges_with_neighbours_of_its_kind);
	TAP_RUN(a_gap_that_is_filled_makes_one_extent_of_two);
	TAP_RUN(an_old_note_of_a_size_is_not_believed);
	TAP_RUN(take_at_takes_all_or_nothing);
	TAP_RUN(take_below_and_above_stop_at_limits_and_other_kinds);
	TAP_RUN(the_last_granule_is_like_any_other);
	TAP_RUN(next_finds_what_begins_there_or_above);
	TAP_RUN(a_small_user_touches_few_pages);
	TAP_RUN(the_checker_finds_what_disagrees);
	TAP_RUN(the_checker_finds_wrong_sums_and_sets);
	TAP_RUN(the_checker_finds_each_rule_broken_alone);
	return tap_done();
}
