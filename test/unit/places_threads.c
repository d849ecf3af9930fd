/*
 * Which arena a thread takes from, and many threads that take and give at once.
 */
#include "hostmem/places.h"
#include "arena.h"

#include <pthread.h>
#include <sys/resource.h>

#define THREADS 9U

struct worker {
	pthread_t thread;
	struct hm_arenas *set;
	struct hm_place place;
	uint32_t slot;
	unsigned wrong;
	uint64_t random;
};

static struct worker workers[THREADS];

/* Runs them all, and this thread as number 0; the seam is for one thread only. */
static void run_all(void *(*run)(void *), struct hm_arenas *set, unsigned threads)
{
	seam_remove();
	for (unsigned i = 0; i < threads; i++) {
		struct worker *worker = &workers[i];

		*worker = (struct worker){ .set = set, .random = i + 1 };
		if (i != 0)
			CHECK_INT(pthread_create(&worker->thread, NULL, run, worker), 0);
	}
	hm_calls_leave();
	(void)run(&workers[0]);
	for (unsigned i = 1; i < threads; i++)
		CHECK_INT(pthread_join(workers[i].thread, NULL), 0);
	hm_calls_enter();
	for (unsigned i = 0; i < threads; i++)
		CHECK_U32(workers[i].wrong, 0);
}

/* ---- Homes ---- */

static void *take_one(void *state)
{
	struct worker *worker = state;
	bool crowded;

	hm_calls_enter();
	worker->slot = hm_calls_slot();
	worker->wrong += !hm_place_take(worker->set, 1, 1, true, &worker->place,
					&crowded);
	hm_calls_leave();
	return NULL;
}

/* One after the other: they would race for who makes an arena of a home. */
static void take_one_each(struct hm_arenas *set)
{
	hm_calls_leave();
	for (unsigned i = 0; i < THREADS; i++) {
		struct worker *worker = &workers[i];

		*worker = (struct worker){ .set = set };
		CHECK_INT(pthread_create(&worker->thread, NULL, take_one, worker), 0);
		CHECK_INT(pthread_join(worker->thread, NULL), 0);
		CHECK_U32(worker->wrong, 0);
	}
	hm_calls_enter();
}

static void threads_of_8_homes_have_an_arena_each(void)
{
	for (size_t set = 0; set < ROWS(both_sets); set++) {
		arenas_begin();
		take_one_each(both_sets[set]);
		for (unsigned i = 0; i < THREADS; i++) {
			for (unsigned j = 0; j < i; j++) {
				bool same = workers[i].slot % HM_ARENA_HOMES ==
					    workers[j].slot % HM_ARENA_HOMES;

				tap_row("threads %u and %u", i, j);
				CHECK_INT(workers[i].place.arena ==
						  workers[j].place.arena,
					  same);
			}
		}
		CHECK_U32(live_arenas(both_sets[set]), HM_ARENA_HOMES);
		CHECK_ARENAS();
		for (unsigned i = 0; i < THREADS; i++)
			give(workers[i].place);
		CHECK_U32(live_arenas(both_sets[set]), 1);
		arenas_end();
	}
}

static void share_under_limit(void)
{
	struct rlimit limit = { (rlim_t)1 << 62, (rlim_t)1 << 62 };

	arenas_begin();
	CHECK_INT(setrlimit(RLIMIT_AS, &limit), 0);
	take_one_each(both_sets[0]);
	CHECK_U32(live_arenas(both_sets[0]), 1);
	for (unsigned i = 0; i < THREADS; i++)
		give(workers[i].place);
	arenas_end();
}

static void where_addresses_are_short_threads_share_an_arena(void)
{
	in_child(share_under_limit);
}

static void a_thread_whose_home_is_full_moves(void)
{
	struct hm_place full, next, again;
	bool crowded;

	arenas_begin();
	both_sets[0]->largest = HM_ARENA_SMALLEST;
	CHECK(hm_place_take(both_sets[0], SMALLEST_GRANULES, 1, false, &full, &crowded));
	CHECK(hm_place_take(both_sets[0], 1, 1, true, &next, &crowded));
	give(full);
	/* Back in the first it would have been, had it not moved. */
	CHECK(hm_place_take(both_sets[0], 1, 1, true, &again, &crowded));
	CHECK_POINTER(again.arena, next.arena);
	give(again);
	give(next);
	arenas_end();
}

/* ---- At once ---- */

#define ROUNDS 4000U
#define HELD 12U

/* Whoever has granules may say what they are, and finds that again. */
static void check_mine(struct worker *worker, const struct hm_place *place)
{
	enum hm_granule_state state;
	struct hm_place rest = *place, run = hm_place_next_run(&rest, &state);

	worker->wrong += run.count != place->count || state != HM_GRANULE_ODD;
}

static void take_some(struct worker *worker, struct hm_place *place)
{
	uint32_t count = 1 + (uint32_t)random_below(&worker->random, 40);
	bool crowded;

	hm_calls_enter();
	worker->wrong += !hm_place_take(worker->set, count, 1, count < HM_WINDOW, place,
					&crowded);
	worker->wrong += hm_place_seen(place) & HM_SOME_ODD ? 1 : 0;
	hm_place_set(place, HM_GRANULE_ODD);
	hm_calls_leave();
}

static void give_some(struct worker *worker, struct hm_place *place)
{
	bool opens = random_below(&worker->random, 2) != 0;
	struct hm_place excess;

	hm_calls_enter();
	check_mine(worker, place);
	hm_place_set(place, opens ? HM_GRANULE_OPEN : HM_GRANULE_BLANK);
	hm_place_give(place, &excess);
	if (excess.count != 0) {
		hm_place_set(&excess, HM_GRANULE_BLANK);
		hm_place_give(&excess, NULL);
	}
	hm_calls_leave();
	place->count = 0;
}

static void *take_and_give(void *state)
{
	struct worker *worker = state;
	struct hm_place held[HELD] = { { .count = 0 } };

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct hm_place *place = &held[random_below(&worker->random, HELD)];

		if (place->count != 0)
			give_some(worker, place);
		else
			take_some(worker, place);
	}
	for (unsigned i = 0; i < HELD; i++) {
		if (held[i].count != 0)
			give_some(worker, &held[i]);
	}
	return NULL;
}

static void no_granule_is_given_to_two(void)
{
	for (size_t set = 0; set < ROWS(both_sets); set++) {
		arenas_begin();
		/* Small arenas, which are full, come and go, and are found by all. */
		both_sets[set]->largest = HM_ARENA_SMALLEST;
		run_all(take_and_give, both_sets[set], 4);
		CHECK_ARENAS();
		for (struct hm_arena *arena = both_sets[set]->first; arena != NULL;
		     arena = arena->next_in_set)
			CHECK(arena->phase != HM_ARENA_LIVE ||
			      hm_arena_is_free_locked(arena));
		CHECK(live_arenas(both_sets[set]) >= 1);
		arenas_end();
	}
}

int main(void)
{
	TAP_RUN(threads_of_8_homes_have_an_arena_each);
	TAP_RUN(where_addresses_are_short_threads_share_an_arena);
	TAP_RUN(a_thread_whose_home_is_full_moves);
	TAP_RUN(no_granule_is_given_to_two);
	return tap_done();
}
