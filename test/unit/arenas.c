/*
 * Arenas: where they are, who finds them, what they are made of and when they go.
 *
 * How large they are where addresses are short is arenas_limits.c's.
 */
#include "hostmem/arenas.h"
#include "arena.h"

#include <pthread.h>

#define LAST (HM_EXTENTS_MOST - 1)

static struct hm_arena *large_arena(struct hm_arenas *set)
{
	struct hm_arena *arena = needed(hm_arena_make(set, PAGE));

	CHECK_SIZE(size_of(arena), HM_ARENA_LARGEST);
	return arena;
}

static void check_fresh(struct hm_arena *arena)
{
	struct hm_extents *extents = &arena->book.extents;
	uint32_t count = (uint32_t)(size_of(arena) >> HM_GRANULE_SHIFT);

	CHECK_SIZE(arena->base % size_of(arena), 0);
	CHECK_U32(arena->phase, HM_ARENA_LIVE);
	CHECK_U32(arena->room, count);
	CHECK_U32(arena->open_room, 0);
	CHECK_U32(arena->unopened, 0);
	CHECK_U32(extents->count, count);
	CHECK_U32(hm_extents_free(extents), count);
	CHECK_U32(extents->origin, (uint32_t)(arena->base >> HM_GRANULE_SHIFT));
	CHECK(hm_arena_is_free_locked(arena));
	CHECK_STATES(arena, 0, count, HM_GRANULE_BLANK);
	for (size_t i = 0; i < HM_GRANULE_WORDS; i++)
		CHECK_SIZE(arena->book.unopened[i], 0);
	for (size_t i = 0; i < HM_EXTENTS_MOST; i++)
		CHECK_U32(arena->book.tenants[i], 0);
}

static void an_arena_is_4_gib_at_a_multiple_of_that_and_free(void)
{
	arenas_begin();
	for (size_t i = 0; i < ROWS(both_sets); i++) {
		struct hm_arena *arena = large_arena(both_sets[i]);

		tap_row("set %zu", i);
		check_fresh(arena);
		CHECK_POINTER(arena->set, both_sets[i]);
		CHECK_U32(both_sets[i]->idle, 1);
		CHECK_INT(both_sets[i]->guards, i == 0);
		CHECK_ARENAS();
	}
	arenas_end();
}

static void nobody_may_touch_a_new_arena_and_no_core_dump_has_it(void)
{
	struct hm_arena *arena;

	arenas_begin();
	arena = large_arena(both_sets[0]);
	for (uint32_t granule = 0; granule <= LAST; granule += granule < 40 ? 1 : 4095) {
		uintptr_t at = hm_arena_address(arena, granule);

		CHECK(is_mapped(at));
		CHECK_ACCESS(at, at + UNIT, HM_ACCESS_NONE);
	}
	CHECK(is_mapped(arena->end - PAGE));
	CHECK_ACCESS(arena->end - UNIT, arena->end, HM_ACCESS_NONE);
	CHECK(!is_dumped(arena->base));
	CHECK(!is_dumped(arena->end - PAGE));
	CHECK_U32(mappings_between(arena->base, arena->end), 1);
	arenas_end();
}

static void an_address_is_in_the_arena_from_its_first_to_its_last_byte(void)
{
	uintptr_t block;
	struct hm_arena *arena, *above;

	arenas_begin();
	block = empty_block(0);
	above = small_arena(both_sets[1], block + 3 * HM_ARENA_SMALLEST);
	arena = small_arena(both_sets[0], block + 2 * HM_ARENA_SMALLEST);
	CHECK_POINTER(hm_arena_at(arena->base - 1), NULL);
	CHECK_POINTER(hm_arena_at(arena->base), arena);
	CHECK_POINTER(hm_arena_at(arena->base + HM_ARENA_SMALLEST / 2), arena);
	CHECK_POINTER(hm_arena_at(arena->end - 1), arena);
	CHECK_POINTER(hm_arena_at(above->base), above);
	CHECK_POINTER(hm_arena_at(above->end - 1), above);
	CHECK_POINTER(hm_arena_at(above->end), NULL);
	CHECK_POINTER(hm_arena_at(arena->base + HM_ARENA_LARGEST), NULL);
	CHECK_POINTER(hm_arena_at(0), NULL);
	CHECK_POINTER(hm_arena_at(HM_SYSTEM_END), NULL);
	CHECK_POINTER(hm_arena_at(UINTPTR_MAX), NULL);
	arenas_end();
	CHECK_POINTER(hm_arena_at(block + 2 * HM_ARENA_SMALLEST), NULL);
}

static void a_granule_is_found_by_each_of_its_bytes(void)
{
	struct hm_arena *arena;

	arenas_begin();
	arena = large_arena(both_sets[0]);
	for (uint32_t granule = 0; granule <= LAST; granule += 21) {
		uintptr_t at = hm_arena_address(arena, granule);

		CHECK_SIZE(at, arena->base + granule * UNIT);
		CHECK_U32(hm_arena_granule(arena, at), granule);
		CHECK_U32(hm_arena_granule(arena, at + UNIT - 1), granule);
	}
	arenas_end();
}

static void what_is_lent_is_in_no_arena_and_ends_the_reach_of_what_is_below(void)
{
	static const struct {
		uint32_t first, count, from, reach;
	} rows[] = {
		{ 0, 1, 1, LAST + 1 },
		{ LAST, 1, 0, LAST },
		{ 64, 64, 0, 64 },
		{ 64, 64, 63, 64 },
		{ 64, 64, 128, LAST + 1 },
		{ 5000, 1, 17, 5000 },
		{ LAST - 1, 1, LAST, LAST + 1 },
		{ 1, LAST, 0, 1 },
	};
	struct hm_arena *arena;

	arenas_begin();
	arena = large_arena(both_sets[0]);
	CHECK_SIZE(hm_arena_reach(arena, arena->base), arena->end);
	set_state(arena, 30, 1, HM_GRANULE_OPEN);
	set_state(arena, 4097, 1, HM_GRANULE_ODD);
	CHECK_SIZE(hm_arena_reach(arena, arena->end - 1), arena->end);
	for (size_t i = 0; i < ROWS(rows); i++) {
		uintptr_t at = hm_arena_address(arena, rows[i].first);
		uintptr_t behind = at + rows[i].count * UNIT;
		uintptr_t from = hm_arena_address(arena, rows[i].from);
		uintptr_t reach = hm_arena_address(arena, rows[i].reach);

		tap_row("%u granules from %u are lent", rows[i].count, rows[i].first);
		set_state(arena, rows[i].first, rows[i].count, HM_GRANULE_LENT);
		CHECK_POINTER(hm_arena_of(at), NULL);
		CHECK_POINTER(hm_arena_of(behind - 1), NULL);
		CHECK_POINTER(hm_arena_at(at), arena);
		CHECK_POINTER(hm_arena_of(at - 1), rows[i].first == 0 ? NULL : arena);
		CHECK_POINTER(hm_arena_of(behind), behind == arena->end ? NULL : arena);
		CHECK_SIZE(hm_arena_reach(arena, from), reach);
		CHECK_SIZE(hm_arena_reach(arena, from + PAGE + 7), reach);
		set_state(arena, rows[i].first, rows[i].count, HM_GRANULE_BLANK);
	}
	arenas_end();
}

static void a_range_is_cut_at_the_nearest_arenas_of_both_sets(void)
{
	struct hm_arena *arenas[4];
	uintptr_t block, start, end, at;

	arenas_begin();
	block = empty_block(0);
	for (size_t i = 0; i < ROWS(arenas); i++)
		arenas[i] = small_arena(both_sets[i % 2],
					block + (1 + 3 * i) * HM_ARENA_SMALLEST);
	for (size_t i = 0; i <= ROWS(arenas); i++) {
		uintptr_t low = i == 0 ? 0 : arenas[i - 1]->end;
		uintptr_t high = i == 4 ? UINTPTR_MAX : arenas[i]->base;

		tap_row("above %zu arenas", i);
		for (unsigned edge = 0; edge < 2; edge++) {
			start = 0;
			end = UINTPTR_MAX;
			at = i == 0 || (edge && i < 4) ? high - 1 : low;
			hm_arenas_cut(at, &start, &end);
			CHECK(start == low && end == high);
		}
		start = at - PAGE;
		end = at + 1;
		hm_arenas_cut(at, &start, &end);
		CHECK_SIZE(start, at - PAGE > low ? at - PAGE : low);
		CHECK_SIZE(end, at + 1);
	}
	arenas_end();
	start = 0;
	end = UINTPTR_MAX;
	hm_arenas_cut(block, &start, &end);
	CHECK(start == 0 && end == UINTPTR_MAX);
}

static void several_arenas_share_4_gib(void)
{
	enum { COUNT = 6 };
	struct hm_arena *arenas[COUNT];
	uintptr_t block;

	arenas_begin();
	block = empty_block(0);
	for (size_t i = 0; i < COUNT; i++)
		arenas[i] = small_arena(both_sets[i % 2], block + i * HM_ARENA_SMALLEST);
	for (size_t i = 0; i < COUNT * 16; i++)
		CHECK_POINTER(hm_arena_at(block + i * HM_ARENA_SMALLEST / 16),
			      arenas[i / 16]);
	CHECK_U32(both_sets[0]->idle, COUNT / 2);
	CHECK_U32(live_arenas(both_sets[1]), COUNT / 2);
	CHECK_ARENAS();
	arenas_end();
}

static void an_arena_that_is_unmapped_is_gone_and_its_record_serves_the_next(void)
{
	arenas_begin();
	for (size_t i = 0; i < ROWS(both_sets); i++) {
		uintptr_t place = empty_block(0) + HM_ARENA_SMALLEST;
		uint32_t idle = both_sets[i]->idle;
		struct hm_arena *arena = small_arena(both_sets[i], place);
		struct hm_arena *other = small_arena(both_sets[1 - i],
						     place + HM_ARENA_SMALLEST);

		/* Traces in every book. */
		(void)hm_extents_take_at(&arena->book.extents, 0, 7);
		set_state(arena, 2, 40, HM_GRANULE_ODD);
		arena->book.tenants[3] = 1;
		arena->book.unopened[0] = 9;
		arena->unopened = 2;
		arena->open_room = 5;
		hm_extents_give(&arena->book.extents,
				&(struct hm_extent){ 0, 7, HM_EXTENT_OPEN }, NULL);
		CHECK(unmap_arena(arena));
		CHECK(!is_mapped(place) && !is_mapped(place + HM_ARENA_SMALLEST - PAGE));
		CHECK_POINTER(hm_arena_at(place), NULL);
		CHECK_U32(both_sets[i]->idle, idle);
		CHECK_U32(arena->room, 0);
		CHECK(!hm_arena_lock(arena));
		CHECK_POINTER(small_arena(both_sets[i], place + 5 * HM_ARENA_SMALLEST),
			      arena);
		check_fresh(arena);
		CHECK(hm_arena_lock(arena));
		hm_arena_unlock(arena);
		CHECK(small_arena(both_sets[i], place) != arena);
		CHECK_POINTER(hm_arena_at(other->base), other);
	}
	arenas_end();
}

static void a_record_that_cannot_be_cleared_is_not_used_again(void)
{
	uintptr_t block;
	struct hm_arena *arena, *next;

	arenas_begin();
	block = empty_block(0);
	arena = small_arena(both_sets[0], block);
	set_state(arena, 0, 1, HM_GRANULE_OPEN);
	seam.error[CALL_DROP] = EINVAL;
	CHECK(unmap_arena(arena));
	seam_count();
	CHECK(!is_mapped(block));
	next = small_arena(both_sets[0], block);
	CHECK(next != arena);
	check_fresh(next);
	CHECK_POINTER(hm_arena_at(block), next);
	arenas_end();
}

static void without_memory_for_a_record_the_addresses_go_back(void)
{
	arenas_begin();
	/* Where no test has been, and has left a record. */
	seam.place = empty_block(8);
	both_sets[0]->largest = HM_ARENA_SMALLEST;
	seam.no_records = true;
	while (hm_metadata_map_forever(sizeof(struct hm_arena)) != NULL)
		; /* until there is none left */
	CHECK_POINTER(hm_arena_make(both_sets[0], PAGE), NULL);
	CHECK(seam.last != 0 && !is_mapped(seam.last));
	CHECK_U32(both_sets[0]->idle, 0);
	seam_count();
	(void)large_arena(both_sets[1]);
	arenas_end();
}

static void trimming_takes_all_arenas_in_which_nothing_is_taken(void)
{
	struct hm_arena *used[2];

	arenas_begin();
	CHECK(!hm_arenas_trim());
	for (size_t i = 0; i < ROWS(both_sets); i++) {
		(void)small_arena(both_sets[i], 0);
		used[i] = small_arena(both_sets[i], 0);
		(void)small_arena(both_sets[i], 0);
		(void)taken(used[i], SMALLEST_GRANULES - 1, 1);
	}
	CHECK(hm_arenas_trim());
	for (size_t i = 0; i < ROWS(both_sets); i++) {
		CHECK_U32(live_arenas(both_sets[i]), 1);
		CHECK_U32(both_sets[i]->idle, 0);
		CHECK_POINTER(hm_arena_at(used[i]->base), used[i]);
		CHECK(is_mapped(used[i]->base));
	}
	CHECK(!hm_arenas_trim());
	for (size_t i = 0; i < ROWS(both_sets); i++)
		give(place_in(used[i], SMALLEST_GRANULES - 1, 1));
	CHECK(hm_arenas_trim());
	arenas_end();
}

static void a_broken_book_is_told(void)
{
	struct hm_arena *arena;

	arenas_begin();
	arena = small_arena(both_sets[0], 0);
	arena->room++;
	CHECK(hm_arenas_check(both_sets[0]) != NULL);
	arena->room--;
	both_sets[0]->idle++;
	CHECK(hm_arenas_check(both_sets[0]) != NULL);
	both_sets[0]->idle--;
	arena->book.extents.free++;
	CHECK(hm_arenas_check(both_sets[0]) != NULL);
	arena->book.extents.free--;
	arenas_end();
}

/* ---- Coming and going ---- */

static _Atomic uintptr_t came;
static _Atomic bool over;

static void *look_up(void *state)
{
	unsigned *wrong = state;

	while (!over) {
		struct hm_arena *arena = hm_arena_at(came);
		uintptr_t start = 0, end = UINTPTR_MAX;

		*wrong += arena != NULL && arena->set != both_sets[0];
		hm_arenas_cut(came - 1, &start, &end);
		*wrong += start >= end;
	}
	return NULL;
}

static void arenas_come_and_go_under_those_who_look_them_up(void)
{
	pthread_t reader;
	unsigned wrong = 0;
	uintptr_t block;

	arenas_begin();
	came = block = empty_block(0);
	over = false;
	CHECK_INT(pthread_create(&reader, NULL, look_up, &wrong), 0);
	for (size_t i = 0; i < 300; i++) {
		struct hm_arena *arena;

		came = block + i % 4 * HM_ARENA_SMALLEST;
		CHECK_POINTER(hm_arena_at(came), NULL);
		arena = small_arena(both_sets[0], came);
		CHECK_POINTER(hm_arena_at(came), arena);
		CHECK(hm_arenas_trim());
	}
	over = true;
	CHECK_INT(pthread_join(reader, NULL), 0);
	CHECK_U32(wrong, 0);
	arenas_end();
}

int main(void)
{
	TAP_RUN(an_arena_is_4_gib_at_a_multiple_of_that_and_free);
	TAP_RUN(nobody_may_touch_a_new_arena_and_no_core_dump_has_it);
	TAP_RUN(an_address_is_in_the_arena_from_its_first_to_its_last_byte);
	TAP_RUN(a_granule_is_found_by_each_of_its_bytes);
	TAP_RUN(what_is_lent_is_in_no_arena_and_ends_the_reach_of_what_is_below);
	TAP_RUN(a_range_is_cut_at_the_nearest_arenas_of_both_sets);
	TAP_RUN(several_arenas_share_4_gib);
	TAP_RUN(an_arena_that_is_unmapped_is_gone_and_its_record_serves_the_next);
	TAP_RUN(a_record_that_cannot_be_cleared_is_not_used_again);
	TAP_RUN(without_memory_for_a_record_the_addresses_go_back);
	TAP_RUN(trimming_takes_all_arenas_in_which_nothing_is_taken);
	TAP_RUN(a_broken_book_is_told);
	TAP_RUN(arenas_come_and_go_under_those_who_look_them_up);
	return tap_done();
}
