/*
 * Granules of arenas, taken and given back.
 *
 * Granules that two reservations share are places_share.c's, arenas for threads
 * places_threads.c's.
 */
#include "hostmem/places.h"
#include "arena.h"

#define LAST (HM_EXTENTS_MOST - 1)
#define SMALL true
#define LARGE false

static bool crowded;

static struct hm_place take(struct hm_arenas *set, uint32_t count, bool small)
{
	struct hm_place place = { .count = 0 };

	if (!CHECK(hm_place_take(set, count, 1, small, &place, &crowded)))
		exit(1);
	CHECK_U32(place.count, count);
	return place;
}

/* Makes free granules open ones. */
static void open_free(struct hm_arena *arena, uint32_t first, uint32_t count)
{
	struct hm_place place = taken(arena, first, count);

	hm_place_set(&place, HM_GRANULE_OPEN);
	give(place);
}

static void close_taken(struct hm_place place)
{
	hm_place_set(&place, HM_GRANULE_BLANK);
	give(place);
}

static struct hm_place excess;

static uint32_t excess_of(struct hm_place place)
{
	hm_place_give(&place, &excess);
	return excess.count;
}

#define CHECK_ROOM(arena, all, open) \
	do { \
		CHECK_U32((arena)->room, (all)); \
		CHECK_U32((arena)->open_room, (open)); \
		CHECK_ARENAS(); \
	} while (0)

static void a_place_has_every_granule_of_a_range(void)
{
	static const struct {
		size_t from, size;
		uint32_t first, count;
	} rows[] = {
		{ 0, PAGE, 0, 1 },
		{ 0, UNIT, 0, 1 },
		{ UNIT - PAGE, PAGE, 0, 1 },
		{ UNIT - PAGE, 2 * PAGE, 0, 2 },
		{ UNIT, 2 * UNIT, 1, 2 },
		{ UNIT + PAGE, 2 * UNIT, 1, 3 },
		{ LAST * UNIT, UNIT, LAST, 1 },
		{ LAST * UNIT + 15 * PAGE, PAGE, LAST, 1 },
		{ 0, (LAST + 1) * UNIT, 0, LAST + 1 },
	};
	struct hm_arena *arena;

	arenas_begin();
	arena = needed(hm_arena_make(both_sets[0], PAGE));
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_place place = hm_place_of(arena, arena->base + rows[i].from,
						    rows[i].size);

		tap_row("%zu bytes from %zu", rows[i].size, rows[i].from);
		CHECK_POINTER(place.arena, arena);
		CHECK_U32(place.first, rows[i].first);
		CHECK_U32(place.count, rows[i].count);
		CHECK_SIZE(hm_place_start(&place), arena->base + rows[i].first * UNIT);
		CHECK_SIZE(hm_place_size(&place), rows[i].count * UNIT);
	}
	arenas_end();
}

static void runs_of_one_state_come_off_the_front_of_a_place(void)
{
	static const enum hm_granule_state states[] = { HM_GRANULE_BLANK, HM_GRANULE_OPEN,
							HM_GRANULE_ODD,
							HM_GRANULE_BLANK };
	enum hm_granule_state state;
	struct hm_place rest, run;
	struct hm_arena *arena;

	arenas_begin();
	arena = small_arena(both_sets[0], 0);
	set_state(arena, 10, 5, HM_GRANULE_OPEN);
	set_state(arena, 15, 5, HM_GRANULE_ODD);
	rest = place_in(arena, 5, 20);
	CHECK_U32(hm_place_seen(&rest), HM_SOME_BLANK | HM_SOME_OPEN | HM_SOME_ODD);
	for (uint32_t i = 0; i < 4; i++) {
		run = hm_place_next_run(&rest, &state);
		CHECK_INT(state, states[i]);
		CHECK_U32(run.first, 5 + 5 * i);
		CHECK_U32(run.count, 5);
		CHECK_U32(rest.first, 10 + 5 * i);
		CHECK_U32(rest.count, 15 - 5 * i);
	}
	set_state(arena, 10, 10, HM_GRANULE_BLANK);
	arenas_end();
}

static void the_first_and_the_last_granule_are_taken_like_others(void)
{
	static const struct {
		uint32_t first, count;
		bool taken;
	} rows[] = {
		{ 0, 1, true },     { 0, 1, false },        { LAST, 1, true },
		{ LAST, 1, false }, { LAST - 1, 2, false }, { LAST - 1, 1, true },
		{ 0, 2, false },    { 1, 2, true },         { 2, 5, false },
		{ LAST, 2, false }, { LAST + 1, 1, false }, { 3, LAST - 4, true },
	};

	arenas_begin();
	for (size_t set = 0; set < ROWS(both_sets); set++) {
		struct hm_arena *arena = needed(hm_arena_make(both_sets[set], PAGE));
		uint32_t room = LAST + 1;

		for (size_t i = 0; i < ROWS(rows); i++) {
			struct hm_place place = place_in(arena, rows[i].first,
							 rows[i].count);

			tap_row("%u from %u", rows[i].count, rows[i].first);
			CHECK_INT(hm_place_take_exactly(&place), rows[i].taken);
			room -= rows[i].taken ? rows[i].count : 0;
			CHECK_ROOM(arena, room, 0);
			CHECK_U32(both_sets[set]->idle, 0);
		}
		CHECK_U32(room, 0);
		for (size_t i = 0; i < ROWS(rows); i++) {
			if (rows[i].taken)
				give(place_in(arena, rows[i].first, rows[i].count));
		}
		CHECK_U32(both_sets[set]->idle, 1);
	}
	arenas_end();
}

static void nothing_is_taken_of_an_arena_that_is_gone(void)
{
	struct hm_place place;
	struct hm_arena *arena;

	arenas_begin();
	arena = small_arena(both_sets[0], 0);
	CHECK(hm_arenas_trim());
	place = place_in(arena, 0, 1);
	CHECK(!hm_place_take_exactly(&place));
	CHECK(!hm_place_take_open(arena, 0, &place));
	arenas_end();
}

static void a_full_arena_is_followed_by_a_second_one(void)
{
	struct hm_place all, more;

	arenas_begin();
	both_sets[0]->largest = HM_ARENA_SMALLEST;
	all = take(both_sets[0], SMALLEST_GRANULES, LARGE);
	CHECK_U32(all.first, 0);
	CHECK_U32(both_sets[0]->idle, 0);
	more = take(both_sets[0], 1, SMALL);
	CHECK(more.arena != all.arena);
	CHECK_U32(both_sets[0]->idle, 0);
	/* What is free in the first is found from the second. */
	give(place_in(all.arena, 3, 2));
	give(place_in(more.arena, 0, 1));
	CHECK_U32(both_sets[0]->idle, 1);
	all.count = more.arena->room;
	more = take(both_sets[0], all.count, LARGE);
	CHECK_POINTER(take(both_sets[0], 2, LARGE).arena, all.arena);
	CHECK_ROOM(all.arena, 0, 0);
	give(more);
	give(place_in(all.arena, 0, SMALLEST_GRANULES));
	CHECK_U32(live_arenas(both_sets[0]), 1);
	CHECK_U32(both_sets[0]->idle, 1);
	arenas_end();
}

static void a_second_arena_in_which_nothing_is_taken_goes(void)
{
	arenas_begin();
	for (size_t i = 0; i < ROWS(both_sets); i++) {
		struct hm_arena *arenas[3];

		for (size_t j = 0; j < 3; j++) {
			arenas[j] = small_arena(both_sets[i], 0);
			(void)taken(arenas[j], (uint32_t)j, 1);
		}
		CHECK_U32(both_sets[i]->idle, 0);
		give(place_in(arenas[1], 1, 1));
		CHECK_U32(both_sets[i]->idle, 1);
		give(place_in(arenas[0], 0, 1));
		CHECK_U32(both_sets[i]->idle, 1);
		CHECK_U32(arenas[0]->phase, HM_ARENA_NONE);
		CHECK_U32(arenas[1]->phase, HM_ARENA_LIVE);
		(void)taken(arenas[1], 5, 1);
		give(place_in(arenas[2], 2, 1));
		CHECK_U32(arenas[2]->phase, HM_ARENA_LIVE);
		give(place_in(arenas[1], 5, 1));
		CHECK_U32(live_arenas(both_sets[i]), 1);
	}
	arenas_end();
}

static void places_are_aligned_as_is_wanted(void)
{
	static const uint32_t counts[] = { 1, 3, 31, 40, 600 };
	struct hm_place places[ROWS(counts) * 12], odd;
	size_t count = 0;

	arenas_begin();
	odd = take(both_sets[0], 1, SMALL);
	for (size_t i = 0; i < ROWS(counts); i++) {
		for (uint32_t shift = 0; shift < 12; shift++) {
			struct hm_place *place = &places[count++];

			tap_row("%u at multiples of %u", counts[i], 1U << shift);
			CHECK(hm_place_take(both_sets[0], counts[i], 1U << shift,
					    counts[i] < 32, place, &crowded));
			CHECK_SIZE(hm_place_start(place) % (UNIT << shift), 0);
		}
	}
	CHECK_ARENAS();
	while (count-- > 0)
		give(places[count]);
	give(odd);
	/* More than is in an arena of the usual size here, and elsewhere than in its middle. */
	both_sets[0]->largest = HM_ARENA_SMALLEST;
	CHECK(hm_arenas_trim());
	seam.place = empty_block(0) + HM_ARENA_SMALLEST;
	CHECK(hm_place_take(both_sets[0], 1, 1U << 14, SMALL, &odd, &crowded));
	CHECK_SIZE(hm_place_start(&odd) % (UNIT << 14), 0);
	give(odd);
	arenas_end();
}

static void small_ones_like_open_granules_and_large_ones_blank(void)
{
	struct hm_arenas *set = both_sets[0];
	struct hm_arena *arena;
	struct hm_place small, large;

	arenas_begin();
	small = take(set, 1, SMALL);
	arena = small.arena;
	open_free(arena, 100, 50);
	CHECK_ROOM(arena, LAST, 50);
	large = take(set, 10, LARGE);
	CHECK_U32(hm_place_seen(&large), HM_SOME_BLANK);
	CHECK_ROOM(arena, LAST - 10, 50);
	give(small);
	small = take(set, 10, SMALL);
	CHECK_U32(hm_place_seen(&small), HM_SOME_OPEN);
	CHECK_U32(small.first, 100);
	CHECK_ROOM(arena, LAST - 19, 40);
	give(small);
	CHECK_ROOM(arena, LAST - 9, 50);
	/* Each takes of the other kind what there is no other of. */
	small = take(set, 51, SMALL);
	CHECK_U32(hm_place_seen(&small), HM_SOME_BLANK);
	give(small);
	small = taken(arena, 150, LAST - 149);
	(void)taken(arena, 0, 1);
	(void)taken(arena, 11, 89);
	CHECK_ROOM(arena, 50, 50);
	CHECK_POINTER(take(set, 20, LARGE).arena, arena);
	CHECK_ROOM(arena, 30, 30);
	give(place_in(arena, 100, 20));
	give(small);
	give(place_in(arena, 0, 100));
	close_taken(taken(arena, 100, 50));
	arenas_end();
}

static void open_granules_are_counted_wherever_they_go(void)
{
	struct hm_arena *arena;
	struct hm_place place;

	arenas_begin();
	arena = small_arena(both_sets[0], 0);
	(void)taken(arena, 0, 1);
	open_free(arena, 10, 5);
	open_free(arena, 20, 5);
	set_state(arena, 22, 1, HM_GRANULE_ODD);
	CHECK_ROOM(arena, SMALLEST_GRANULES - 1, 10);
	(void)taken(arena, 12, 11); /* 12, 13, 14, 20, 21, 22 of them are open */
	CHECK_ROOM(arena, SMALLEST_GRANULES - 12, 4);
	CHECK(hm_place_take_open(arena, 0, &place));
	CHECK_U32(place.first, 10);
	CHECK_U32(place.count, 2);
	CHECK_ROOM(arena, SMALLEST_GRANULES - 14, 2);
	CHECK(!hm_place_take_open(arena, 25, &place));
	CHECK(hm_place_take_open(arena, 12, &place));
	CHECK_U32(place.first, 23);
	CHECK_U32(place.count, 2);
	CHECK(!hm_place_take_open(arena, 0, &place));
	CHECK_ROOM(arena, SMALLEST_GRANULES - 16, 0);
	give(place_in(arena, 10, 15));
	CHECK_ROOM(arena, SMALLEST_GRANULES - 1, 10);
	close_taken(taken(arena, 10, 15));
	CHECK_ROOM(arena, SMALLEST_GRANULES - 1, 0);
	open_free(arena, 40, 24);
	/* One that is free altogether is taken whole. */
	give(place_in(arena, 0, 1));
	CHECK(hm_place_take_open(arena, 0, &place));
	CHECK_U32(place.first, 0);
	CHECK_U32(place.count, SMALLEST_GRANULES);
	CHECK_ROOM(arena, 0, 0);
	close_taken(place);
	CHECK(!hm_place_take_open(arena, 0, &place));
	arenas_end();
}

static void beyond_16_mib_of_free_open_granules_whole_windows_are_excess(void)
{
	struct hm_arena *arena;

	arenas_begin();
	arena = needed(hm_arena_make(both_sets[0], PAGE));
	(void)taken(arena, 0, 1000);
	set_state(arena, 0, 1000, HM_GRANULE_OPEN);
	CHECK_U32(excess_of(place_in(arena, 10, 256)), 0);
	CHECK_ROOM(arena, LAST - 999 + 256, 256);
	/* No whole window is in it. */
	CHECK_U32(excess_of(place_in(arena, 481, 62)), 0);
	CHECK_ROOM(arena, LAST - 999 + 318, 318);
	/* What it belongs to now counts: 10 to 270, windows 1 to 7. */
	CHECK_U32(excess_of(place_in(arena, 266, 5)), 224);
	CHECK_U32(excess.first, 32);
	CHECK_POINTER(excess.arena, arena);
	CHECK_ROOM(arena, LAST - 999 + 99, 99);
	/* Nobody asks, nobody gets. */
	give(excess);
	CHECK_ROOM(arena, LAST - 999 + 323, 323);
	set_state(arena, 600, 400, HM_GRANULE_BLANK);
	CHECK_U32(excess_of(place_in(arena, 600, 400)), 0);
	CHECK_U32(excess_of(place_in(arena, 543, 33)), 64);
	CHECK_U32(excess.first, 512);
	give(excess);
	give(place_in(arena, 0, 10));
	give(place_in(arena, 271, 210));
	give(place_in(arena, 576, 24));
	arenas_end();
}

/* The second time too much is open, it is left for the next who gives. */
static void excess_is_one_range_and_nothing_else_is_lost(void)
{
	struct hm_arena *arena;

	arenas_begin();
	arena = needed(hm_arena_make(both_sets[0], PAGE));
	(void)taken(arena, 0, 1000);
	set_state(arena, 0, 320, HM_GRANULE_OPEN);
	set_state(arena, 352, 320, HM_GRANULE_OPEN);
	CHECK_U32(excess_of(place_in(arena, 0, 1000)), 320);
	CHECK_U32(excess.first, 0);
	CHECK_ROOM(arena, LAST + 1 - 320, 320);
	hm_place_set(&excess, HM_GRANULE_BLANK);
	give(excess);
	CHECK_ROOM(arena, LAST + 1, 320);
	arenas_end();
}

int main(void)
{
	TAP_RUN(a_place_has_every_granule_of_a_range);
	TAP_RUN(runs_of_one_state_come_off_the_front_of_a_place);
	TAP_RUN(the_first_and_the_last_granule_are_taken_like_others);
	TAP_RUN(nothing_is_taken_of_an_arena_that_is_gone);
	TAP_RUN(a_full_arena_is_followed_by_a_second_one);
	TAP_RUN(a_second_arena_in_which_nothing_is_taken_goes);
	TAP_RUN(places_are_aligned_as_is_wanted);
	TAP_RUN(small_ones_like_open_granules_and_large_ones_blank);
	TAP_RUN(open_granules_are_counted_wherever_they_go);
	TAP_RUN(beyond_16_mib_of_free_open_granules_whole_windows_are_excess);
	TAP_RUN(excess_is_one_range_and_nothing_else_is_lost);
	return tap_done();
}
