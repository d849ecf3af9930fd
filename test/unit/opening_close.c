/*
 * Closing granules: those that nobody wants open, those in excess, those set apart; and
 * how many mappings there are while granules are opened and closed.
 */
#include "hostmem/opening.h"
#include "arena.h"

#define READ_WRITE (HM_ACCESS_READ | HM_ACCESS_WRITE)

static struct hm_arena *arena;

static void begin(struct hm_arenas *set)
{
	arenas_begin();
	set->largest = 64 << 20;
	arena = needed(hm_arena_make(set, PAGE));
	CHECK_U32(arena->room, 1024);
	seam_count();
}

static void end(void)
{
	CHECK_ARENAS();
	arenas_end();
}

static bool has_guards(void)
{
	if (hm_memory_has_guards())
		return true;
	tap_skip("this kernel has no guard pages");
	return false;
}

static uintptr_t at(uint32_t granule)
{
	return hm_arena_address(arena, granule);
}

/* Granules that are taken, open, and can be touched all over. */
static struct hm_place opened(uint32_t first, uint32_t count)
{
	struct hm_place place = taken(arena, first, count);
	void *start = (void *)hm_place_start(&place);

	CHECK_HR(hm_open(arena, at(first), hm_place_size(&place), at(first),
			 at(first + count)),
		 S_OK);
	CHECK_HR(hm_memory_protect(start, hm_place_size(&place), HM_ACCESS_OPEN), S_OK);
	if (arena->set->guards)
		CHECK_HR(hm_memory_unguard(start, hm_place_size(&place)), S_OK);
	return place;
}

static unsigned sets(void)
{
	return hm_memory_has_guards() ? 0 : 1;
}

static void what_is_closed_is_as_on_the_first_day(void)
{
	for (size_t i = sets(); i < ROWS(both_sets); i++) {
		struct hm_place all, part;

		begin(both_sets[i]);
		all = opened(40, 9);
		write_to(at(40), 9 * UNIT, 0x5A);
		part = place_in(arena, 42, 3);
		CHECK(hm_close(&part));
		CHECK_STATES(arena, 40, 2, HM_GRANULE_OPEN);
		CHECK_STATES(arena, 42, 3, HM_GRANULE_BLANK);
		CHECK_STATES(arena, 45, 4, HM_GRANULE_OPEN);
		CHECK_ACCESS(at(42), at(45), HM_ACCESS_NONE);
		CHECK(is_mapped(at(42)));
		CHECK(!is_dumped(at(42)) && !is_dumped(at(45) - PAGE));
		CHECK(is_dumped(at(42) - PAGE) && is_dumped(at(45)));
		CHECK_U32(*bytes_at(at(42) - PAGE), 0x5A);
		CHECK_U32(*bytes_at(at(45)), 0x5A);
		/* What was in it is gone. */
		part = opened(60, 1);
		write_to(at(60), UNIT, 0x5A);
		CHECK(hm_close(&part));
		CHECK_HR(hm_open(arena, at(60), UNIT, at(60), at(61)), S_OK);
		CHECK_HR(hm_memory_protect((void *)at(60), UNIT, HM_ACCESS_OPEN), S_OK);
		CHECK_ACCESS(at(60), at(61), READ_WRITE);
		CHECK(hm_close(&part));
		CHECK(hm_close(&all));
		if (i == 1)
			CHECK_U32(mappings_between(arena->base, arena->end), 1);
		give(part);
		give(all);
		end();
	}
}

static void what_the_system_would_not_close_is_as_it_was(void)
{
	for (size_t i = sets(); i < ROWS(both_sets); i++) {
		struct hm_place place;

		begin(both_sets[i]);
		place = opened(40, 9);
		write_to(at(40), 9 * UNIT, 0x5A);
		seam.error[CALL_BLANK] = ENOMEM;
		CHECK(!hm_close(&place));
		seam_count();
		CHECK(hm_spare_keep());
		CHECK_STATES(arena, 40, 9, HM_GRANULE_OPEN);
		CHECK_U32(*bytes_at(at(40)), 0x5A);
		CHECK_U32(*bytes_at(at(49) - PAGE), 0x5A);
		CHECK(is_dumped(at(40)));
		give(place);
		end();
	}
}

/* ---- Excess ---- */

/* Of 300 open granules, 0 to 299, all but those from 256 on are free already. */
static void give_most_of_300(void)
{
	struct hm_place place = opened(0, 300);

	CHECK_HR(hm_memory_drop((void *)at(0), 300 * UNIT) ? S_OK : E_FAIL, S_OK);
	place.count = 256;
	hm_give(&place);
	CHECK_U32(arena->open_room, 256);
	CHECK_STATES(arena, 0, 300, HM_GRANULE_OPEN);
}

static void check_excess_closed(void)
{
	CHECK_STATES(arena, 0, 288, HM_GRANULE_BLANK);
	CHECK_STATES(arena, 288, 12, HM_GRANULE_OPEN);
	CHECK_ACCESS(at(0), at(2), HM_ACCESS_NONE);
	CHECK_ACCESS(at(286), at(288), HM_ACCESS_NONE);
	CHECK(!is_dumped(at(0)));
	CHECK_U32(arena->open_room, 12);
	CHECK_U32(arena->room, 1024 - 1);
}

static void what_is_open_in_excess_is_closed_when_more_is_given(void)
{
	for (size_t i = sets(); i < ROWS(both_sets); i++) {
		struct hm_place rest;

		begin(both_sets[i]);
		(void)taken(arena, 1023, 1);
		give_most_of_300();
		rest = place_in(arena, 256, 44);
		hm_give(&rest);
		check_excess_closed();
		CHECK_ARENAS();
		give(place_in(arena, 1023, 1));
		end();
	}
}

static void or_when_a_reservation_leaves(void)
{
	for (size_t i = sets(); i < ROWS(both_sets); i++) {
		begin(both_sets[i]);
		(void)taken(arena, 1023, 1);
		give_most_of_300();
		hm_leave(arena, at(256), 44 * UNIT, at(256), at(300), false);
		check_excess_closed();
		CHECK_ARENAS();
		give(place_in(arena, 1023, 1));
		end();
	}
}

static void excess_that_cannot_be_closed_is_free_and_open(void)
{
	for (size_t i = sets(); i < ROWS(both_sets); i++) {
		struct hm_place rest;

		begin(both_sets[i]);
		(void)taken(arena, 1023, 1);
		give_most_of_300();
		seam.error[CALL_BLANK] = EPERM;
		rest = place_in(arena, 256, 44);
		hm_give(&rest);
		seam_count();
		CHECK_STATES(arena, 0, 300, HM_GRANULE_OPEN);
		CHECK_U32(arena->open_room, 300);
		CHECK_U32(arena->room, 1024 - 1);
		CHECK_ARENAS();
		give(place_in(arena, 1023, 1));
		end();
	}
}

/* ---- Set apart ---- */

static void set_apart(uint32_t first, uint32_t count)
{
	hm_memory_set_apart((void *)at(first), count * UNIT, true);
	arena->set->apart += hm_granules_set_apart(&arena->book.granules, first, count,
						   true);
}

static void what_is_set_apart_can_be_rejoined_or_closed(void)
{
	struct hm_place all, part;
	unsigned mappings;

	if (!has_guards())
		return;
	begin(both_sets[0]);
	all = opened(32, 32);
	mappings = mappings_between(arena->base, arena->end);
	hm_rejoin(&all);
	CHECK_U32(seam.calls[CALL_APART], 0);
	set_apart(40, 10);
	set_apart(55, 2);
	CHECK_U32(mappings_between(arena->base, arena->end), mappings + 4);
	CHECK_U32(both_sets[0]->apart, 12);
	seam_count();
	part = place_in(arena, 50, 5);
	hm_rejoin(&part);
	CHECK_U32(seam.calls[CALL_APART], 0);
	part = place_in(arena, 45, 12);
	hm_rejoin(&part);
	CHECK_U32(seam.calls[CALL_APART], 1);
	CHECK_U32(both_sets[0]->apart, 5);
	CHECK(hm_granules_any_apart(&arena->book.granules, 40, 5));
	CHECK(!hm_granules_any_apart(&arena->book.granules, 45, 19));
	CHECK_U32(mappings_between(arena->base, arena->end), mappings + 2);
	CHECK(hm_close(&all));
	CHECK_U32(both_sets[0]->apart, 0);
	CHECK(!hm_granules_any_apart(&arena->book.granules, 32, 32));
	give(all);
	end();
}

/* ---- Mappings ---- */

/* A reservation of a granule with its first page committed, if it is to have one. */
static struct hm_place small_one(bool commits)
{
	struct hm_place place;
	bool crowded;
	uintptr_t start;

	CHECK(hm_place_take(both_sets[0], 1, 1, true, &place, &crowded));
	start = hm_place_start(&place);
	if (crowded)
		hm_open_ahead(&place);
	if (!commits)
		return place;
	if (hm_place_seen(&place) & HM_SOME_BLANK)
		CHECK_HR(hm_open(place.arena, start, PAGE, start, start + UNIT), S_OK);
	CHECK_HR(hm_memory_unguard((void *)start, PAGE), S_OK);
	CHECK_INT(access_at(start), READ_WRITE);
	return place;
}

static void mappings_stay_few_where_every_second_reservation_is_committed(void)
{
	struct hm_place places[800];

	if (!has_guards())
		return;
	begin(both_sets[0]);
	both_sets[0]->homes[hm_calls_slot() % HM_ARENA_HOMES] = arena;
	for (size_t i = 0; i < ROWS(places); i++)
		places[i] = small_one(i % 2 == 0);
	CHECK_POINTER(places[ROWS(places) - 1].arena, arena);
	CHECK(mappings_between(arena->base, arena->end) <= 3);
	for (size_t i = 0; i < ROWS(places); i++)
		hm_give(&places[i]);
	CHECK(mappings_between(arena->base, arena->end) <= 5);
	end();
}

/* Where all were taken first, a mapping each at most for those that were no crowd yet. */
static void a_crowd_is_opened_before_it_commits(void)
{
	static struct hm_place places[3000];
	uintptr_t start;

	if (!has_guards())
		return;
	arenas_begin();
	for (size_t i = 0; i < ROWS(places); i++)
		places[i] = small_one(false);
	arena = places[0].arena;
	CHECK_U32(arena->unopened, 1024);
	for (size_t i = 0; i < ROWS(places); i++) {
		if (i >= 1024)
			CHECK(!(hm_place_seen(&places[i]) & HM_SOME_BLANK));
	}
	start = hm_place_start(&places[1500]);
	CHECK_ACCESS(start, start + UNIT, HM_ACCESS_NONE);
	CHECK(mappings_between(arena->base, arena->end) <= 3);
	for (size_t i = 0; i < ROWS(places); i++)
		hm_give(&places[i]);
	CHECK_U32(arena->unopened, 0);
	arenas_end();
}

int main(void)
{
	TAP_RUN(what_is_closed_is_as_on_the_first_day);
	TAP_RUN(what_the_system_would_not_close_is_as_it_was);
	TAP_RUN(what_is_open_in_excess_is_closed_when_more_is_given);
	TAP_RUN(or_when_a_reservation_leaves);
	TAP_RUN(excess_that_cannot_be_closed_is_free_and_open);
	TAP_RUN(what_is_set_apart_can_be_rejoined_or_closed);
	TAP_RUN(mappings_stay_few_where_every_second_reservation_is_committed);
	TAP_RUN(a_crowd_is_opened_before_it_commits);
	return tap_done();
}
