/*
 * How large an arena is where the system has no 4 GiB, or the process may not have them.
 */
#include "hostmem/arenas.h"
#include "arena.h"

#include <sys/resource.h>

#define MIB ((size_t)1 << 20)

static struct hm_arena *make(struct hm_arenas *set, size_t bytes)
{
	struct hm_arena *arena = hm_arena_make(set, bytes);

	if (arena == NULL)
		return NULL;
	CHECK(hm_is_power_of_two(size_of(arena)));
	CHECK(size_of(arena) >= bytes && size_of(arena) >= HM_ARENA_SMALLEST);
	CHECK_SIZE(arena->base % size_of(arena), 0);
	CHECK_U32(arena->room, (uint32_t)(size_of(arena) / UNIT));
	CHECK(is_mapped(arena->end - PAGE));
	CHECK_ARENAS();
	return arena;
}

static void where_4_gib_are_refused_half_is_asked_for_and_so_on(void)
{
	static const size_t most[] = { 9 * MIB, 64 * MIB, 200 * MIB, 1025 * MIB };

	for (size_t i = 0; i < ROWS(most); i++) {
		struct hm_arenas *set = both_sets[i % 2];
		struct hm_arena *arena;

		tap_row("%zu MiB at most", most[i] / MIB);
		arenas_begin();
		seam.most = most[i];
		arena = needed(make(set, PAGE));
		/* It may take a mapping of twice the size to find the place. */
		CHECK(size_of(arena) <= most[i] && size_of(arena) * 4 > most[i]);
		seam_count();
		arenas_end();
	}
}

static void the_next_arena_may_be_twice_as_large_and_no_more(void)
{
	struct hm_arenas *set = both_sets[0];
	size_t size = HM_ARENA_SMALLEST;

	arenas_begin();
	set->largest = HM_ARENA_SMALLEST;
	for (; size < HM_ARENA_LARGEST; size *= 2)
		CHECK_SIZE(size_of(needed(make(set, PAGE))), size);
	CHECK_SIZE(size_of(needed(make(set, PAGE))), HM_ARENA_LARGEST);
	CHECK_SIZE(set->largest, HM_ARENA_LARGEST);
	arenas_end();
}

static void a_process_at_its_limit_does_not_ask_for_all_sizes_again(void)
{
	struct hm_arenas *set = both_sets[1];
	unsigned first;

	arenas_begin();
	seam.error[CALL_MAP] = ENOMEM;
	CHECK_POINTER(hm_arena_make(set, PAGE), NULL);
	first = seam.calls[CALL_MAP];
	CHECK(first >= 11); /* 4 GiB to 4 MiB */
	CHECK_POINTER(hm_arena_make(set, PAGE), NULL);
	CHECK(seam.calls[CALL_MAP] - first <= first / 11);
	CHECK_U32(set->idle, 0);
	seam_count();
	CHECK_SIZE(size_of(needed(make(set, PAGE))), HM_ARENA_SMALLEST);
	arenas_end();
}

static void an_arena_has_what_is_needed_or_there_is_none(void)
{
	static const struct {
		size_t largest, bytes, most;
		size_t size; /* of the arena; 0: there is none */
	} rows[] = {
		{ HM_ARENA_LARGEST, 1024 * MIB, 0, HM_ARENA_LARGEST },
		{ HM_ARENA_LARGEST, HM_ARENA_LARGEST, 0, HM_ARENA_LARGEST },
		{ 4 * MIB, 64 * MIB, 0, 64 * MIB },
		{ 4 * MIB, 5 * MIB, 0, 8 * MIB },
		{ 16 * MIB, 100 * MIB, 0, 128 * MIB },
		{ HM_ARENA_LARGEST, 64 * MIB, 63 * MIB, 0 },
		{ HM_ARENA_LARGEST, 64 * MIB + PAGE, 100 * MIB, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_arenas *set = both_sets[i % 2];
		struct hm_arena *arena;

		tap_row("%zu KiB needed", rows[i].bytes >> 10);
		arenas_begin();
		set->largest = rows[i].largest;
		seam.most = rows[i].most;
		arena = make(set, rows[i].bytes);
		CHECK_SIZE(arena == NULL ? 0 : size_of(arena), rows[i].size);
		seam_count();
		arenas_end();
	}
}

/* ---- RLIMIT_AS ---- */

static size_t address_space_in_use(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	size_t pages = 0;

	if (CHECK(file != NULL)) {
		CHECK_INT(fscanf(file, "%zu", &pages), 1);
		fclose(file);
	}
	return pages * PAGE;
}

static size_t room; /* bytes of address space that a child gets */

/* What is in use already counts, so a sanitizer's shadow makes a share larger. */
static size_t limit_addresses(void)
{
	size_t all = address_space_in_use() + room;

	CHECK_INT(setrlimit(RLIMIT_AS, &(struct rlimit){ all, all }), 0);
	CHECK_SIZE(hm_memory_space(), all);
	return all;
}

static void make_under_limit(void)
{
	struct hm_arenas *set = both_sets[1];
	struct hm_arena *arena;
	size_t all, sum = 0;

	arenas_begin();
	all = limit_addresses();
	while ((arena = make(set, PAGE)) != NULL) {
		CHECK(size_of(arena) <= all / 16 && size_of(arena) <= room);
		CHECK(all / 16 > room || sum != 0 || size_of(arena) * 32 > all);
		sum += size_of(arena);
	}
	CHECK(sum <= room);
	CHECK_INT(sum != 0, all / 16 >= HM_ARENA_SMALLEST && room > 16 * MIB);
	arenas_end();
}

static void under_a_limit_an_arena_is_at_most_a_sixteenth_of_it(void)
{
	static const size_t rooms[] = { 24 * MIB, 256 * MIB, 1024 * MIB };

	for (size_t i = 0; i < ROWS(rooms); i++) {
		tap_row("room for %zu MiB", rooms[i] / MIB);
		room = rooms[i];
		in_child(make_under_limit);
	}
}

static void take_under_limit(void)
{
	struct hm_place places[200];
	unsigned count = 0;
	bool crowded;

	arenas_begin();
	(void)limit_addresses();
	while (count < ROWS(places) && hm_place_take(both_sets[0], 1 + count % 20, 1,
						     true, &places[count], &crowded))
		count++;
	CHECK(count > 30);
	CHECK_ARENAS();
	while (count-- > 0)
		give(places[count]);
	CHECK_U32(live_arenas(both_sets[0]), 1);
	arenas_end();
}

static void places_are_found_in_small_arenas_and_all_come_back(void)
{
	room = 200 * MIB;
	in_child(take_under_limit);
}

int main(void)
{
	TAP_RUN(where_4_gib_are_refused_half_is_asked_for_and_so_on);
	TAP_RUN(the_next_arena_may_be_twice_as_large_and_no_more);
	TAP_RUN(a_process_at_its_limit_does_not_ask_for_all_sizes_again);
	TAP_RUN(an_arena_has_what_is_needed_or_there_is_none);
	TAP_RUN(under_a_limit_an_arena_is_at_most_a_sixteenth_of_it);
	TAP_RUN(places_are_found_in_small_arenas_and_all_come_back);
	return tap_done();
}
