/*
 * Shelves: what lies there is taken, and found by whoever needs to know what is free.
 */
#include "hostmem/shelf.h"
#include "arena.h"
#include "hostmem/arenapages.h"

#include <pthread.h>

#define LAST (HM_EXTENTS_MOST - 1)

/* From here on this is a thread with that number. */
static void be_thread(uint32_t number)
{
	hm_calls_own_slot = number % HM_CALLS_SLOTS + 1;
}

static void begin(void)
{
	arenas_begin();
	be_thread(0);
}

static struct hm_place put(struct hm_arena *arena, uint32_t first, uint32_t count)
{
	struct hm_place place = taken(arena, first, count);

	CHECK(hm_shelf_put(&place));
	return place;
}

static void nothing_is_on_an_empty_shelf(void)
{
	begin();
	for (size_t i = 0; i < ROWS(both_sets); i++) {
		CHECK_SIZE(hm_shelf_take(both_sets[i], 1, 1), 0);
		CHECK_SIZE(hm_shelf_take(both_sets[i], HM_EXTENTS_MOST, 1), 0);
		CHECK(!hm_shelves_clear(both_sets[i]));
	}
	arenas_end();
}

static void a_place_fits_its_very_count_and_its_alignment(void)
{
	/* A place of `count` granules at granule `first`; who asks for what may get it. */
	static const struct {
		uint32_t first, count, wanted, alignment;
		bool fits;
	} rows[] = {
		{ 0, 1, 1, 1, true },         { 0, 1, 2, 1, false },
		{ 0, 2, 1, 1, false },        { 3, 5, 5, 1, true },
		{ 3, 5, 5, 2, false },        { 2, 5, 5, 2, true },
		{ 2, 5, 5, 4, false },        { 32, 32, 32, 32, true },
		{ 31, 32, 32, 32, false },    { 0, LAST + 1, LAST + 1, 1, true },
		{ 0, LAST + 1, 1, 1, false }, { 0, LAST + 1, LAST, 1, false },
		{ 1, LAST, LAST, 2, false },  { LAST, 1, 1, 1, true },
		{ LAST, 1, 1, 2, false },     { LAST - 1, 2, 2, 2, true },
		{ 0, 7, 7, LAST + 1, true },  { 1U << 15, 7, 7, LAST + 1, false },
	};
	struct hm_arena *arena;

	begin();
	/* A multiple of all alignments. */
	arena = needed(hm_arena_make(both_sets[0], HM_ARENA_LARGEST));
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_place place = put(arena, rows[i].first, rows[i].count);
		uintptr_t start = hm_place_start(&place);

		tap_row("row %zu", i);
		CHECK_SIZE(hm_shelf_take(both_sets[0], rows[i].wanted, rows[i].alignment),
			   rows[i].fits ? start : 0);
		/* What nobody got is still there, and what somebody got is not. */
		CHECK_SIZE(hm_shelf_take(both_sets[0], rows[i].count, 1),
			   rows[i].fits ? 0 : start);
		give(place);
	}
	arenas_end();
}

/* What lies nearest to the beginning does not hide what lies behind it. */
static void every_place_on_a_shelf_is_found(void)
{
	struct hm_place places[HM_SHELF_ROOM];
	struct hm_arena *arena;

	begin();
	arena = small_arena(both_sets[0], 0);
	for (uint32_t found = 0; found < HM_SHELF_ROOM; found++) {
		for (uint32_t i = 0; i < HM_SHELF_ROOM; i++)
			places[i] = put(arena, 8 * i, i + 1);
		for (uint32_t i = 0; i < HM_SHELF_ROOM; i++) {
			uint32_t j = (found + i) % HM_SHELF_ROOM;

			CHECK_SIZE(hm_shelf_take(both_sets[0], j + 1, 8),
				   hm_place_start(&places[j]));
		}
		for (uint32_t i = 0; i < HM_SHELF_ROOM; i++)
			give(places[i]);
	}
	arenas_end();
}

/* What nobody has wanted for long makes room for the next. */
static void a_full_shelf_takes_nothing_but_has_room_the_next_time(void)
{
	struct hm_place one_more;
	struct hm_arena *arena;

	begin();
	arena = small_arena(both_sets[0], 0);
	for (uint32_t i = 0; i < HM_SHELF_ROOM; i++)
		(void)put(arena, i, 1);
	one_more = taken(arena, 20, 2);
	CHECK(!hm_shelf_put(&one_more));
	CHECK_SIZE(hm_shelf_take(both_sets[0], 2, 1), 0);
	/* One of the four has gone back to the arena. */
	CHECK_U32(arena->room, SMALLEST_GRANULES - HM_SHELF_ROOM + 1 - 2);
	CHECK(hm_shelf_put(&one_more));
	CHECK_SIZE(hm_shelf_take(both_sets[0], 2, 1), hm_place_start(&one_more));
	give(one_more);
	CHECK(hm_shelves_clear(both_sets[0]));
	CHECK_U32(arena->room, SMALLEST_GRANULES);
	arenas_end();
}

/* Threads share a shelf where their numbers are alike, and sets share none. */
static void a_thread_has_a_shelf_in_each_set(void)
{
	struct hm_place places[ROWS(both_sets)];

	begin();
	for (size_t i = 0; i < ROWS(both_sets); i++)
		places[i] = put(small_arena(both_sets[i], 0), (uint32_t)i, 3);
	for (uint32_t thread = 1; thread < HM_ARENA_HOMES; thread++) {
		be_thread(thread);
		CHECK_SIZE(hm_shelf_take(both_sets[0], 3, 1), 0);
		CHECK_SIZE(hm_shelf_take(both_sets[1], 3, 1), 0);
	}
	be_thread(HM_ARENA_HOMES);
	for (size_t i = 0; i < ROWS(both_sets); i++) {
		CHECK_SIZE(hm_shelf_take(both_sets[i], 3, 1), hm_place_start(&places[i]));
		CHECK_SIZE(hm_shelf_take(both_sets[i], 3, 1), 0);
		give(places[i]);
	}
	arenas_end();
}

static void what_is_on_a_shelf_is_taken_for_its_arena(void)
{
	struct hm_arena *arena;
	struct hm_place place;

	begin();
	arena = small_arena(both_sets[0], 0);
	place = put(arena, 5, 2);
	CHECK_U32(arena->room, SMALLEST_GRANULES - 2);
	CHECK(!hm_place_take_exactly(&place));
	CHECK(!hm_arenas_trim());
	CHECK_U32(both_sets[0]->idle, 0);
	CHECK_SIZE(hm_shelf_take(both_sets[0], 2, 1), hm_place_start(&place));
	CHECK(!hm_place_take_exactly(&place));
	give(place);
	arenas_end();
}

/* All shelves of the set, and no other; what is open is given back as open. */
static void clearing_gives_everything_back_to_the_arenas(void)
{
	struct hm_arena *arenas[2], *other;

	begin();
	arenas[0] = small_arena(both_sets[0], 0);
	arenas[1] = small_arena(both_sets[0], 0);
	other = small_arena(both_sets[1], 0);
	for (uint32_t i = 0; i < HM_ARENA_HOMES * HM_SHELF_ROOM; i++) {
		be_thread(i);
		(void)put(arenas[i / HM_ARENA_HOMES % 2], i, 1);
		if (i / HM_ARENA_HOMES % 2 == 1)
			set_state(arenas[1], i, 1, HM_GRANULE_OPEN);
	}
	(void)put(other, 0, 1);
	(void)taken(arenas[0], 40, 1);
	CHECK(hm_shelves_clear(both_sets[0]));
	CHECK_U32(arenas[0]->room, SMALLEST_GRANULES - 1);
	CHECK_U32(arenas[1]->room, SMALLEST_GRANULES);
	CHECK_U32(arenas[1]->open_room, 2 * HM_ARENA_HOMES);
	CHECK_U32(both_sets[0]->idle, 1);
	CHECK_U32(other->room, SMALLEST_GRANULES - 1);
	CHECK(!hm_shelves_clear(both_sets[0]));
	CHECK(hm_shelves_clear(both_sets[1]));
	give(place_in(arenas[0], 40, 1));
	arenas_end();
}

static void an_exact_reservation_finds_what_lies_on_shelves(void)
{
	const struct hm_page_source *const sources[] = { hm_pages_with_guards,
							 hm_pages_without_guards };

	begin();
	for (size_t i = 0; i < ROWS(sources); i++) {
		const struct hm_page_source *pages = sources[i];
		void *base, *again;

		if (i == 0 && !hm_memory_has_guards())
			continue;
		tap_row("source %zu", i);
		CHECK_HR(pages->reserve(pages, NULL, 3 * UNIT, UNIT, 0, 0, &base), S_OK);
		CHECK_HR(pages->release(pages, base, 3 * UNIT, NULL), S_OK);
		CHECK(both_sets[i]->shelves[0].places[0] != 0);
		/* Whoever asks may be another thread, and want a part of it. */
		be_thread(5);
		CHECK_HR(pages->reserve(pages, (char *)base + UNIT, UNIT, UNIT, 0, 0,
					&again),
			 S_OK);
		CHECK_POINTER(again, (char *)base + UNIT);
		CHECK(both_sets[i]->shelves[0].places[0] == 0);
		CHECK_HR(pages->release(pages, again, UNIT, NULL), S_OK);
		be_thread(0);
	}
	arenas_end();
}

/* The other set's arena may be what is in the way. */
static void relieving_a_host_empties_the_shelves_and_unmaps_the_arenas(void)
{
	struct hm_host host = { .pages = hm_pages_without_guards };

	begin();
	for (uint32_t i = 0; i < 2 * HM_ARENA_HOMES; i++) {
		struct hm_arenas *set = both_sets[i % 2];

		be_thread(i / 2);
		(void)put(small_arena(set, 0), i, 2);
	}
	CHECK(hm_host_relieve(&host));
	for (size_t i = 0; i < ROWS(both_sets); i++) {
		CHECK_U32(live_arenas(both_sets[i]), 0);
		CHECK(!hm_shelves_clear(both_sets[i]));
	}
	CHECK(!hm_host_relieve(&host));
	arenas_end();
}

/* ---- Threads ---- */

enum { THREADS = 6, GRANULES = 24, ROUNDS = 60000 };

static struct {
	struct hm_arena *arena;
	_Atomic uint32_t owner[GRANULES]; /* 0: nobody */
	int plain[GRANULES];              /* written by the owner alone */
} market;

static void own(uint32_t granule, uint32_t count, uint32_t self)
{
	for (uint32_t i = granule; i < granule + count; i++) {
		CHECK_U32(atomic_exchange(&market.owner[i], self), 0);
		market.plain[i]++;
	}
}

static void disown(uint32_t granule, uint32_t count, uint32_t self)
{
	for (uint32_t i = granule; i < granule + count; i++) {
		market.plain[i]++;
		CHECK_U32(atomic_exchange(&market.owner[i], 0), self);
	}
}

static void trade(uint32_t self, uint64_t *random)
{
	uint32_t count = (uint32_t)random_below(random, 3) + 1;
	uintptr_t base = hm_shelf_take(both_sets[0], count, 1);
	struct hm_place place = place_in(market.arena, 0, count);

	if (base != 0) {
		place.first = hm_arena_granule(market.arena, base);
	} else {
		place.first = (uint32_t)random_below(random, GRANULES + 1 - count);
		if (!hm_place_take_exactly(&place))
			return;
	}
	own(place.first, count, self);
	disown(place.first, count, self);
	if (!hm_shelf_put(&place))
		give(place);
}

static void *be_trader(void *argument)
{
	uint32_t self = *(uint32_t *)argument;
	uint64_t random = self;

	/* All at one shelf, but one, who now and then clears it. */
	be_thread(self == THREADS ? 1 : 0);
	hm_calls_enter();
	for (int i = 0; i < ROUNDS; i++) {
		trade(self, &random);
		if (self == THREADS && i % 16 == 0)
			(void)hm_shelves_clear(both_sets[0]);
	}
	hm_calls_leave();
	return NULL;
}

static void threads_never_get_one_place_twice(void)
{
	pthread_t threads[THREADS];
	uint32_t numbers[THREADS];

	begin();
	market.arena = small_arena(both_sets[0], 0);
	/* Not to be unmapped under their feet. */
	(void)taken(market.arena, GRANULES, 1);
	for (uint32_t i = 0; i < THREADS; i++) {
		numbers[i] = i + 1;
		if (pthread_create(&threads[i], NULL, be_trader, &numbers[i]) != 0)
			abort();
	}
	for (uint32_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	(void)hm_shelves_clear(both_sets[0]);
	CHECK_U32(market.arena->room, SMALLEST_GRANULES - 1);
	give(place_in(market.arena, GRANULES, 1));
	arenas_end();
}

int main(void)
{
	TAP_RUN(nothing_is_on_an_empty_shelf);
	TAP_RUN(a_place_fits_its_very_count_and_its_alignment);
	TAP_RUN(every_place_on_a_shelf_is_found);
	TAP_RUN(a_full_shelf_takes_nothing_but_has_room_the_next_time);
	TAP_RUN(a_thread_has_a_shelf_in_each_set);
	TAP_RUN(what_is_on_a_shelf_is_taken_for_its_arena);
	TAP_RUN(clearing_gives_everything_back_to_the_arenas);
	TAP_RUN(an_exact_reservation_finds_what_lies_on_shelves);
	TAP_RUN(relieving_a_host_empties_the_shelves_and_unmaps_the_arenas);
	TAP_RUN(threads_never_get_one_place_twice);
	return tap_done();
}
