/*
 * The free granules around a place, and small reservations that nobody has opened yet.
 */
#include "hostmem/places.h"
#include "arena.h"

#define CROWD 1024U
#define CHECK_PLACE(place, first_, count_) \
	do { \
		CHECK_U32((place).first, (first_)); \
		CHECK_U32((place).count, (count_)); \
	} while (0)

/* Gives a place back that may be wider than what was taken. */
static void give_wide(struct hm_place place)
{
	give(place);
	CHECK_ARENAS();
}

static void a_place_is_widened_by_the_free_granules_of_its_windows(void)
{
	static const struct {
		uint32_t first, count; /* the place */
		uint32_t low, high;    /* the reservation: granules low to high - 1 */
		uint32_t wide_first, wide_end;
	} rows[] = {
		{ 32, 1, 32, 33, 32, 64 },          /* first of its window */
		{ 63, 1, 63, 64, 32, 64 },          /* last */
		{ 40, 3, 40, 43, 32, 64 },          /* in between */
		{ 32, 32, 32, 64, 32, 64 },         /* all of it */
		{ 33, 1, 32, 35, 33, 34 },          /* a reservation around it */
		{ 33, 1, 32, 34, 33, 64 },          /* its last one */
		{ 32, 2, 32, 40, 32, 34 },          /* goes on above */
		{ 40, 5, 33, 45, 40, 64 },          /* goes on below */
		{ 40, 5, 40, 60, 32, 45 },          /* begins with it */
		{ 60, 8, 60, 68, 32, 96 },          /* over a border */
		{ 63, 34, 63, 97, 32, 128 },        /* with a whole window inside */
		{ 0, 1, 0, 1, 0, 32 },              /* first of the arena */
		{ 1023, 1, 1023, 1024, 992, 1024 }, /* last of it */
		{ 1000, 24, 1000, 1024, 992, 1024 },
	};
	struct hm_arena *arena;

	arenas_begin();
	both_sets[0]->largest = 64 << 20;
	arena = needed(hm_arena_make(both_sets[0], PAGE));
	CHECK_U32(arena->room, 1024);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_place all = taken(arena, rows[i].low,
					    rows[i].high - rows[i].low);
		struct hm_place place = place_in(arena, rows[i].first, rows[i].count);

		tap_row("%u granules from %u of %u to %u", rows[i].count, rows[i].first,
			rows[i].low, rows[i].high);
		hm_place_widen(&place, rows[i].low, rows[i].high, true);
		CHECK_PLACE(place, rows[i].wide_first,
			    rows[i].wide_end - rows[i].wide_first);
		CHECK_POINTER(place.arena, arena);
		CHECK_U32(arena->room, 1024 - all.count - (place.count - rows[i].count));
		CHECK_ARENAS();
		if (place.first < all.first)
			give(place_in(arena, place.first, all.first - place.first));
		if (place.first + place.count > all.first + all.count)
			give(place_in(arena, all.first + all.count,
				      place.first + place.count - all.first - all.count));
		give_wide(all);
	}
	arenas_end();
}

static void what_is_taken_or_open_ends_the_widening(void)
{
	struct hm_arena *arena;
	struct hm_place place;

	arenas_begin();
	arena = small_arena(both_sets[0], 0);
	(void)taken(arena, 35, 1);
	place = taken(arena, 60, 1);
	hm_place_set(&place, HM_GRANULE_OPEN);
	give(place);
	place = taken(arena, 40, 2);
	hm_place_widen(&place, 40, 42, true);
	CHECK_PLACE(place, 36, 24);
	CHECK_U32(arena->open_room, 1);
	give_wide(place);
	give(place_in(arena, 35, 1));
	arenas_end();
}

static void nothing_is_widened_that_is_not_to_be_wide(void)
{
	arenas_begin();
	for (size_t i = 0; i < ROWS(both_sets); i++) {
		struct hm_arena *arena = small_arena(both_sets[i], 0);
		struct hm_place place = taken(arena, 40, 2);

		hm_place_widen(&place, 40, 42, false);
		CHECK_PLACE(place, 40, 2);
		CHECK_U32(arena->room, SMALLEST_GRANULES - 2);
		give_wide(place);
	}
	arenas_end();
}

/* ---- A crowd of small ones ---- */

static struct hm_place crowd[CROWD + 4];

static bool take_small(struct hm_arenas *set, struct hm_place *out)
{
	bool crowded = false;

	CHECK(hm_place_take(set, 1, 1, true, out, &crowded));
	return crowded;
}

static unsigned counted(const struct hm_arena *arena)
{
	unsigned count = 0;

	for (size_t i = 0; i < HM_GRANULE_WORDS; i++)
		count += (unsigned)__builtin_popcountll(arena->book.unopened[i]);
	CHECK_U32(arena->unopened, count);
	return count;
}

static struct hm_arena *fill_up(struct hm_arenas *set, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!CHECK(!take_small(set, &crowd[i])))
			break;
	}
	return crowd[0].arena;
}

static void disperse(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		give(crowd[i]);
}

static void beyond_1024_unopened_small_ones_there_is_a_crowd(void)
{
	struct hm_arena *arena;

	arenas_begin();
	arena = fill_up(both_sets[0], CROWD);
	CHECK_U32(counted(arena), CROWD);
	CHECK(take_small(both_sets[0], &crowd[CROWD]));
	CHECK(take_small(both_sets[0], &crowd[CROWD + 1]));
	CHECK_U32(counted(arena), CROWD);
	/* One that was not counted does not make room. */
	give(crowd[CROWD + 1]);
	CHECK(take_small(both_sets[0], &crowd[CROWD + 1]));
	give(crowd[7]);
	CHECK_U32(counted(arena), CROWD - 1);
	CHECK(!take_small(both_sets[0], &crowd[7]));
	CHECK(take_small(both_sets[0], &crowd[CROWD + 2]));
	disperse(CROWD + 3);
	CHECK_U32(counted(arena), 0);
	arenas_end();
}

static void one_that_is_opened_is_none_of_the_crowd_any_more(void)
{
	struct hm_place place;
	struct hm_arena *arena;

	arenas_begin();
	arena = fill_up(both_sets[0], CROWD);
	for (unsigned i = 0; i < 2; i++) {
		place = crowd[100];
		hm_place_widen(&place, place.first, place.first + 1, true);
		CHECK_PLACE(place, crowd[100].first, 1);
		CHECK_U32(counted(arena), CROWD - 1);
	}
	CHECK(!take_small(both_sets[0], &crowd[CROWD]));
	CHECK(take_small(both_sets[0], &crowd[CROWD + 1]));
	disperse(CROWD + 2);
	CHECK_U32(counted(arena), 0);
	arenas_end();
}

static void one_that_leaves_in_parts_leaves_the_crowd(void)
{
	struct hm_place excess;
	struct hm_arena *arena;
	uintptr_t base;

	arenas_begin();
	arena = fill_up(both_sets[0], 3);
	base = hm_place_start(&crowd[1]);
	hm_place_leave(arena, base + UNIT / 2, UNIT / 2, base, base + UNIT, false,
		       &excess);
	CHECK_U32(counted(arena), 3);
	hm_place_leave(arena, base, UNIT / 2, base, base + UNIT / 2, false, &excess);
	CHECK_U32(counted(arena), 2);
	base = hm_place_start(&crowd[0]);
	hm_place_leave(arena, base, UNIT, base, base + UNIT, false, &excess);
	CHECK_U32(counted(arena), 1);
	give(crowd[2]);
	CHECK_U32(counted(arena), 0);
	arenas_end();
}

static void large_and_open_ones_and_those_without_guards_are_no_crowd(void)
{
	struct hm_place place, large;
	struct hm_arena *arena;
	bool crowded;

	arenas_begin();
	arena = fill_up(both_sets[0], CROWD);
	CHECK(hm_place_take(both_sets[0], 40, 1, false, &large, &crowded));
	CHECK(!crowded);
	place = taken(arena, 5000, 1);
	hm_place_set(&place, HM_GRANULE_OPEN);
	give(place);
	CHECK(!take_small(both_sets[0], &place));
	CHECK_U32(place.first, 5000);
	CHECK_U32(counted(arena), CROWD);
	hm_place_set(&place, HM_GRANULE_BLANK);
	give(place);
	give(large);
	disperse(CROWD);
	arena = fill_up(both_sets[1], CROWD + 4);
	CHECK_U32(counted(arena), 0);
	disperse(CROWD + 4);
	arenas_end();
}

int main(void)
{
	TAP_RUN(a_place_is_widened_by_the_free_granules_of_its_windows);
	TAP_RUN(what_is_taken_or_open_ends_the_widening);
	TAP_RUN(nothing_is_widened_that_is_not_to_be_wide);
	TAP_RUN(beyond_1024_unopened_small_ones_there_is_a_crowd);
	TAP_RUN(one_that_is_opened_is_none_of_the_crowd_any_more);
	TAP_RUN(one_that_leaves_in_parts_leaves_the_crowd);
	TAP_RUN(large_and_open_ones_and_those_without_guards_are_no_crowd);
	return tap_done();
}
