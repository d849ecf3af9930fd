/*
 * Heaps of a host and many threads that allocate, free each other's blocks, trim, look and
 * end: every block is one thread's at a time, and the books balance.  On pages that exist,
 * so that each block can be written to.
 */
#include "hostmem/heap.h"
#include "heaps.h"

#include "hostmem/arenapages.h"

#include <sched.h>
#include <unistd.h>

enum { THREADS = 4, PLACES = 512, ROUNDS = 12000, LIVES = 3, WATCHDOG = 300 };

static struct hm_heap heap;
static _Atomic(uint64_t *) places[PLACES]; /* blocks that nobody works with */
static _Atomic size_t live, foreign, refused;
static _Atomic unsigned working;

static size_t draw_size(uint64_t *random)
{
	switch (random_below(random, 16)) {
	case 0:
		return 8 + random_below(random, 5 * PAGE);
	case 1:
	case 2:
		return 8 + random_below(random, PAGE - 8);
	default:
		return 8 + random_below(random, 250);
	}
}

/* What is in a block says where it is. */
static void give(uint64_t *block)
{
	if (block == NULL)
		return;
	if (*block != (uint64_t)(uintptr_t)block)
		atomic_fetch_add(&foreign, 1);
	*block = 0;
	if (FAILED(heap_free(&heap, block)))
		atomic_fetch_add(&refused, 1);
	atomic_fetch_sub(&live, 1);
}

static void step(uint64_t *random)
{
	_Atomic(uint64_t *) *place = &places[random_below(random, PLACES)];
	void *block = NULL;

	if (random_below(random, 5) < 3) {
		if (FAILED(heap_try(&heap, draw_size(random), &block))) {
			atomic_fetch_add(&refused, 1);
			return;
		}
		if (*(uint64_t *)block == (uint64_t)(uintptr_t)block)
			atomic_fetch_add(&foreign, 1);
		*(uint64_t *)block = (uint64_t)(uintptr_t)block;
		atomic_fetch_add(&live, 1);
	}
	give(atomic_exchange(place, block));
}

static void *work(void *argument)
{
	uint64_t random = (uint64_t)(uintptr_t)argument + 1;

	for (unsigned i = 0; i < ROUNDS; i++)
		step(&random);
	atomic_fetch_sub(&working, 1);
	return NULL;
}

/* What others do not notice. */
static void disturb(unsigned i)
{
	if (i % 4 == 0)
		(void)heap_trim(&heap);
	else if (i % 4 == 1)
		CHECK_STR(hm_heap_check(&heap), NULL);
	else if (i % 4 == 2)
		(void)fake_usage(&fake);
	else
		hm_host_refresh(host);
	(void)sched_yield();
}

/* One generation of threads. */
static void live_and_end(unsigned life)
{
	pthread_t threads[THREADS];

	atomic_store(&working, THREADS);
	for (size_t i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, work,
				   (void *)(life * THREADS + i)) != 0)
			abort();
	}
	for (unsigned i = 0; atomic_load(&working) != 0; i++)
		disturb(i);
	for (size_t i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
}

static void every_block_is_one_threads_at_a_time(void)
{
	heaps_begin();
	host->pages = hm_pages_without_arenas;
	heap_make(&heap, MALLOC_THREADSAFE);
	for (unsigned life = 0; life < LIVES; life++) {
		tap_row("life %u", life);
		live_and_end(life);
		CHECK_STR(hm_heap_check(&heap), NULL);
		CHECK_SIZE(fake_usage(&fake).cBlocks, live);
	}
	for (size_t i = 0; i < PLACES; i++)
		give(atomic_exchange(&places[i], NULL));
	CHECK_SIZE(foreign, 0);
	CHECK_SIZE(refused, 0);
	CHECK_SIZE(fake_usage(&fake).cBlocks, 0);
	CHECK_SIZE(fake_usage(&fake).cbHeap, 0);
	(void)heap_trim(&heap);
	CHECK_HEAPS(0, 0, 0);
	hm_heap_destroy(&heap);
	heaps_end();
}

/* ---- Two at one block ---- */

static void *contested;
static _Atomic unsigned go, freed;

static void *free_contested(void *unused)
{
	for (unsigned i = 1; i <= ROUNDS / 4; i++) {
		while (atomic_load(&go) != i)
			(void)sched_yield();
		if (SUCCEEDED(heap_free(&heap, contested)))
			atomic_fetch_add(&freed, 1);
		atomic_fetch_add(&working, 1);
	}
	return unused;
}

/* Whose it is does not matter: it is freed, and counted, once or (if they miss each other)
 * twice; never is it two blocks afterwards. */
static void a_block_that_two_free_is_one_block(void)
{
	pthread_t threads[2];
	void *first, *second;

	heaps_begin();
	heap_make(&heap, MALLOC_THREADSAFE);
	atomic_store(&go, 0);
	for (unsigned i = 0; i < 2; i++) {
		if (pthread_create(&threads[i], NULL, free_contested, NULL) != 0)
			abort();
	}
	for (unsigned i = 1; i <= ROUNDS / 4; i++) {
		contested = heap_take(&heap, 64);
		atomic_store(&working, 0);
		atomic_store(&go, i);
		while (atomic_load(&working) != 2)
			(void)sched_yield();
		first = heap_take(&heap, 64);
		second = heap_take(&heap, 64);
		CHECK(first != second);
		CHECK_HR(heap_free(&heap, first), S_OK);
		CHECK_HR(heap_free(&heap, second), S_OK);
	}
	for (unsigned i = 0; i < 2; i++)
		(void)pthread_join(threads[i], NULL);
	CHECK(freed >= ROUNDS / 4);
	CHECK_STR(hm_heap_check(&heap), NULL);
	(void)heap_trim(&heap);
	CHECK_HEAPS(0, 0, 0);
	hm_heap_destroy(&heap);
	heaps_end();
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(every_block_is_one_threads_at_a_time);
	TAP_RUN(a_block_that_two_free_is_one_block);
	return tap_done();
}
