/*
 * The reclaimer: one at a time, and whoever replaces it knows when its last call is over.
 */
#include "hostmem/reclaimer.h"
#include "fake.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define POISON ((struct hm_reclaimer *)(uintptr_t)0x5A5A5A5A5A5A)

enum { THREADS = 3, ROUNDS = 2000, WATCHDOG = 300 };

static struct hm_reclaimers reclaimers;
static size_t in_use;

static size_t HOSTMEM_CALL nothing(void *state, size_t wanted)
{
	(void)state;
	return wanted;
}

static void start(void)
{
	CHECK_HR(hm_calls_prepare(), S_OK);
	hm_calls_enter();
	CHECK(hm_metadata_prepare());
	hm_calls_leave();
	memset(&reclaimers, 0, sizeof(reclaimers));
	in_use = hm_metadata_in_use();
}

static void end(void)
{
	hm_reclaimers_destroy(&reclaimers);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
}

/* Sets another one, which says what was there before. */
static struct hm_reclaimer *set(HostMemReclaimCallback callback, void *state)
{
	struct hm_reclaimer *before = POISON;

	CHECK_HR(hm_reclaimers_set(&reclaimers, callback, state, &before), S_OK);
	CHECK(before != POISON);
	CHECK(hm_reclaimers_any(&reclaimers) == (callback != NULL));
	return before;
}

static void there_is_none_at_first(void)
{
	start();
	CHECK(!hm_reclaimers_any(&reclaimers));
	CHECK(hm_reclaimers_enter(&reclaimers) == NULL);
	CHECK(set(NULL, NULL) == NULL);
	end();
}

static void one_takes_the_place_of_the_one_before(void)
{
	struct hm_reclaimer *first, *second;
	int a, b;

	start();
	CHECK(set(nothing, &a) == NULL);
	first = hm_reclaimers_enter(&reclaimers);
	CHECK_POINTER(first->state, &a);
	CHECK(first->callback == nothing);
	hm_reclaimer_leave(first);
	CHECK_POINTER(set(nothing, &b), first);
	second = hm_reclaimers_enter(&reclaimers);
	CHECK_POINTER(second->state, &b);
	hm_reclaimer_leave(second);
	hm_reclaimer_retire(first, false);
	CHECK_POINTER(set(NULL, NULL), second);
	CHECK(hm_reclaimers_enter(&reclaimers) == NULL);
	hm_reclaimer_retire(second, false);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
	end();
}

static void without_memory_for_it_nothing_changes(void)
{
	struct hm_reclaimer *before = POISON, *current;
	struct hoard hoard;
	int a;

	start();
	CHECK(set(nothing, &a) == NULL);
	hm_calls_enter();
	hoard_size(&hoard, sizeof(struct hm_reclaimer));
	hm_calls_leave();
	CHECK_HR(hm_reclaimers_set(&reclaimers, nothing, NULL, &before), E_OUTOFMEMORY);
	CHECK(before == NULL);
	hm_calls_enter();
	hoard_end_size(&hoard, sizeof(struct hm_reclaimer));
	hm_calls_leave();
	current = hm_reclaimers_enter(&reclaimers);
	CHECK_POINTER(current->state, &a);
	hm_reclaimer_leave(current);
	end();
}

static void who_replaces_it_from_inside_does_not_wait(void)
{
	struct hm_reclaimer *outer, *inner;

	start();
	CHECK(set(nothing, NULL) == NULL);
	outer = hm_reclaimers_enter(&reclaimers);
	inner = hm_reclaimers_enter(&reclaimers);
	CHECK_POINTER(inner, outer);
	CHECK_POINTER(set(NULL, NULL), outer);
	hm_reclaimer_retire(outer, true);
	/* It lives until its last call has ended. */
	CHECK(hm_metadata_in_use() > in_use);
	hm_reclaimer_leave(inner);
	CHECK(hm_metadata_in_use() > in_use);
	hm_reclaimer_leave(outer);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
	end();
}

static _Atomic bool retired;

static void *retire(void *argument)
{
	hm_reclaimer_retire(argument, false);
	atomic_store(&retired, true);
	return NULL;
}

static void who_replaces_it_waits_for_calls_in_flight(void)
{
	struct hm_reclaimer *first, *second;
	pthread_t thread;

	start();
	CHECK(set(nothing, NULL) == NULL);
	first = hm_reclaimers_enter(&reclaimers);
	second = hm_reclaimers_enter(&reclaimers);
	CHECK_POINTER(set(nothing, NULL), first);
	atomic_store(&retired, false);
	if (pthread_create(&thread, NULL, retire, first) != 0)
		abort();
	hm_reclaimer_leave(first);
	/* One call is left, so whatever the other has done, it cannot have returned. */
	for (unsigned i = 0; i < 100; i++) {
		(void)sched_yield();
		CHECK(!atomic_load(&retired));
	}
	hm_reclaimer_leave(second);
	(void)pthread_join(thread, NULL);
	CHECK(atomic_load(&retired));
	end();
}

/* Lives until it was retired, and not an instant longer. */
struct place {
	_Atomic uint64_t calls;
	uint64_t magic;
};

#define MAGIC UINT64_C(0x5245434C41494D21)

static _Atomic bool over;

static size_t HOSTMEM_CALL touch(void *state, size_t wanted)
{
	struct place *place = state;

	atomic_fetch_add(&place->calls, 1);
	(void)sched_yield();
	CHECK_SIZE(place->magic, MAGIC);
	return wanted;
}

static void *call_it(void *argument)
{
	(void)argument;
	while (!atomic_load(&over)) {
		struct hm_reclaimer *reclaimer = hm_reclaimers_enter(&reclaimers);

		if (reclaimer == NULL)
			continue;
		CHECK_SIZE(reclaimer->callback(reclaimer->state, 3), 3);
		hm_reclaimer_leave(reclaimer);
	}
	return NULL;
}

static void *replace_it(void *argument)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct place *place = calloc(1, sizeof(*place));
		struct hm_reclaimer *before;
		void *state;

		if (place == NULL)
			abort();
		place->magic = MAGIC;
		CHECK_HR(hm_reclaimers_set(&reclaimers, touch, place, &before), S_OK);
		if (before == NULL)
			continue;
		state = before->state;
		hm_reclaimer_retire(before, false);
		((struct place *)state)->magic = 0;
		free(state);
	}
	return argument;
}

/* Whoever was replaced is not called any more, with any number of threads. */
static void no_call_comes_once_it_is_retired(void)
{
	pthread_t callers[THREADS], replacers[2];
	struct hm_reclaimer *last;

	start();
	atomic_store(&over, false);
	for (size_t i = 0; i < THREADS; i++) {
		if (pthread_create(&callers[i], NULL, call_it, NULL) != 0)
			abort();
	}
	for (size_t i = 0; i < ROWS(replacers); i++) {
		if (pthread_create(&replacers[i], NULL, replace_it, NULL) != 0)
			abort();
	}
	for (size_t i = 0; i < ROWS(replacers); i++)
		(void)pthread_join(replacers[i], NULL);
	atomic_store(&over, true);
	for (size_t i = 0; i < THREADS; i++)
		(void)pthread_join(callers[i], NULL);
	last = atomic_load(&reclaimers.current);
	free(last->state);
	end();
}

static void in_a_fork_child_only_own_calls_are_in_flight(void)
{
	struct hm_reclaimer *reclaimer;

	start();
	hm_reclaimers_after_fork(&reclaimers, 0);
	CHECK(set(nothing, NULL) == NULL);
	for (unsigned i = 0; i < 5; i++)
		reclaimer = hm_reclaimers_enter(&reclaimers);
	hm_reclaimers_after_fork(&reclaimers, 2);
	CHECK_U32(reclaimer->users, 3);
	hm_reclaimer_leave(reclaimer);
	hm_reclaimer_leave(reclaimer);
	CHECK_POINTER(set(NULL, NULL), reclaimer);
	/* Would wait for the others, were they still counted. */
	hm_reclaimer_retire(reclaimer, false);
	end();
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(there_is_none_at_first);
	TAP_RUN(one_takes_the_place_of_the_one_before);
	TAP_RUN(without_memory_for_it_nothing_changes);
	TAP_RUN(who_replaces_it_from_inside_does_not_wait);
	TAP_RUN(who_replaces_it_waits_for_calls_in_flight);
	TAP_RUN(no_call_comes_once_it_is_retired);
	TAP_RUN(in_a_fork_child_only_own_calls_are_in_flight);
	return tap_done();
}
