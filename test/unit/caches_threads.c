/*
 * One owner, and other threads that free its blocks: none of them is forgotten, whenever
 * the owner takes them over.  And one who counts what is live, whatever the owner does.
 */
#include "hostmem/caches.h"
#include "caches.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, SPANS = 2, ROUNDS = 10, WATCHDOG = 300 };

/* Of 16 bytes, so that there are many. */
#define BLOCKS (HM_SPAN_SIZE / 16)

static struct hm_cache own, others[THREADS];
static struct hm_span *spans[SPANS];
static _Atomic unsigned ready, working, refused;

/* Every third block of each span is for one of them. */
static void *put_away(void *argument)
{
	size_t self = (size_t)(uintptr_t)argument;

	atomic_fetch_add(&ready, 1);
	while (atomic_load(&ready) != THREADS)
		(void)sched_yield();
	for (uint64_t i = self; i < BLOCKS; i += THREADS) {
		for (size_t span = 0; span < SPANS; span++) {
			/* So that they find it out of the queue together. */
			while (i % 16 == 0 && atomic_load(&spans[span]->queued) != 0)
				(void)sched_yield();
			if (!hm_cache_put_away(&others[self], spans[span], i))
				atomic_fetch_add(&refused, 1);
		}
	}
	atomic_fetch_sub(&working, 1);
	return NULL;
}

static void take_all_blocks(void)
{
	for (size_t i = 0; i < SPANS * BLOCKS; i++)
		CHECK(cache_take(&own, 0) != NULL);
	CHECK(cache_take(&own, 0) == NULL);
	CHECK_SIZE(own.full.count, SPANS);
}

static void free_all_blocks_elsewhere(void)
{
	pthread_t threads[THREADS];

	atomic_store(&ready, 0);
	atomic_store(&working, THREADS);
	for (size_t i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, put_away, (void *)i) != 0)
			abort();
	}
	while (atomic_load(&working) != 0)
		hm_cache_collect(&own);
	for (size_t i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	hm_cache_collect(&own);
}

static void every_returned_block_comes_back(void)
{
	spans_begin();
	cache_begin(&own);
	for (size_t i = 0; i < SPANS; i++)
		spans[i] = cache_span(&own, 0, WHOLE);
	for (size_t i = 0; i < THREADS; i++)
		cache_begin(&others[i]);
	for (unsigned round = 0; round < ROUNDS; round++) {
		tap_row("round %u", round);
		take_all_blocks();
		free_all_blocks_elsewhere();
		CHECK(own.queue == NULL);
		for (size_t i = 0; i < SPANS; i++) {
			CHECK_SIZE(count_free(spans[i]), BLOCKS);
			CHECK_U32(spans[i]->queued, 0);
		}
		CHECK_STR(hm_cache_check(&own), NULL);
	}
	for (size_t i = 0; i < THREADS; i++)
		hm_cache_add_live(&own, &others[i]);
	CHECK_INT(cache_live(&own, 0), 0);
	CHECK_SIZE(own.returned, own.collected);
	CHECK_U32(refused, 0);
	cache_end(&own);
	spans_end();
}

/* ---- Counting ---- */

/* The thread sanitizer keeps signals back, so there is an end without all of the holds. */
enum { TURNS = 60000, MOST_TURNS = 3000000, HOLDS = 400 };

static _Atomic unsigned held;

/* Wherever the owner is just now, it stays there for a while. */
static void hold(int number)
{
	const struct timespec while_others_look = { 0, 2000000 };

	(void)number;
	(void)nanosleep(&while_others_look, NULL);
	atomic_fetch_add(&held, 1);
}

/* One block at a time, and the list of those that are ready is filled anew for each. */
static void *take_and_put(void *argument)
{
	struct hm_span *span = argument;

	for (unsigned i = 0; i < TURNS || (held < HOLDS && i < MOST_TURNS); i++) {
		uint64_t index = 0;

		(void)hm_span_index(span, (uintptr_t)cache_take(&own, 0), &index);
		(void)cache_put(&own, span, index);
		hm_bin_forget_all(&own.bins[0]);
	}
	atomic_store(&working, 0);
	return NULL;
}

/* Lists are filled and shortened meanwhile, which is nothing to do with what is live; also
 * while the owner is suspended in the middle of that. */
static void who_counts_sees_no_block_that_nobody_has(void)
{
	struct sigaction action = { .sa_handler = hold };
	unsigned wrong = 0, holds = 0;
	struct hm_span *span;
	pthread_t thread;

	if (sigaction(SIGUSR1, &action, NULL) != 0)
		abort();
	atomic_store(&held, 0);
	spans_begin();
	cache_begin(&own);
	span = cache_span(&own, 0, WHOLE);
	atomic_store(&working, 1);
	if (pthread_create(&thread, NULL, take_and_put, span) != 0)
		abort();
	while (atomic_load(&working) != 0) {
		int64_t live = cache_live(&own, 0);

		wrong += live != 0 && live != 1;
		if (holds < HOLDS && holds == atomic_load(&held)) {
			(void)pthread_kill(thread, SIGUSR1);
			holds++;
		}
	}
	(void)pthread_join(thread, NULL);
	CHECK_U32(wrong, 0);
	CHECK_INT(cache_live(&own, 0), 0);
	cache_end(&own);
	spans_end();
}

/* ---- Stopping ---- */

enum { STOPS = 3000 };

/* Registered for good. */
static struct hm_cache contested;

static void *take_slowly(void)
{
	void *block;

	hm_quick_enter(&contested.quick);
	block = hm_cache_find(&contested, 0);
	hm_quick_leave(&contested.quick);
	return block;
}

static bool put_slowly(void *block)
{
	uint64_t index = 0;
	bool too_many, put;

	hm_quick_enter(&contested.quick);
	put = hm_span_index(spans[0], (uintptr_t)block, &index) &&
	      hm_cache_put(&contested, spans[0], index, &too_many);
	hm_quick_leave(&contested.quick);
	return put;
}

/* As a heap does: quickly, and if that is refused in the other way. */
static void *take_and_put_quickly(void *argument)
{
	while (atomic_load_explicit(&working, memory_order_relaxed) != 0) {
		void *block;

		if (!hm_cache_take(&contested, &cache_number, 0, &block))
			block = take_slowly();
		if (!hm_cache_try_put(&contested, &cache_number, spans[0], block) &&
		    !put_slowly(block))
			atomic_fetch_add(&refused, 1);
	}
	return argument;
}

static void begin_contest(void)
{
	hm_quick_prepare();
	cache_begin(&contested);
	contested.quick.at_work = hm_cache_is_at_work;
	hm_quick_register(&contested.quick);
	hm_quick_lock();
	hm_quick_set_unusual(&contested.quick, false);
	hm_quick_unlock();
	spans[0] = cache_span(&contested, 0, WHOLE);
	atomic_store(&refused, 0);
	atomic_store(&working, 1);
}

/* And what he does there is not undone by who had looked before. */
static void who_stops_finds_nobody_in_the_middle(void)
{
	unsigned wrong = 0;
	pthread_t thread;

	spans_begin();
	begin_contest();
	if (pthread_create(&thread, NULL, take_and_put_quickly, NULL) != 0)
		abort();
	for (unsigned i = 0; i < STOPS; i++) {
		int64_t live;

		hm_quick_stop();
		live = cache_live(&contested, 0);
		wrong += (live != 0 && live != 1) || hm_cache_check(&contested) != NULL;
		hm_bin_forget_all(&contested.bins[0]);
		hm_quick_resume();
	}
	atomic_store(&working, 0);
	(void)pthread_join(thread, NULL);
	CHECK_U32(wrong, 0);
	CHECK_U32(refused, 0);
	CHECK_INT(cache_live(&contested, 0), 0);
	cache_end(&contested);
	spans_end();
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(every_returned_block_comes_back);
	TAP_RUN(who_counts_sees_no_block_that_nobody_has);
	TAP_RUN(who_stops_finds_nobody_in_the_middle);
	return tap_done();
}
