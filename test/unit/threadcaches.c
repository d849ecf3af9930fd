/*
 * Which thread has which cache, and what becomes of it when the thread ends, or the heap.
 */
#include "hostmem/threadcaches.h"
#include "heaps.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HEAPS = 20, WATCHDOG = 300 };

static struct hm_heap heaps[HEAPS];
static void *blocks[64];

static size_t count_caches(void)
{
	size_t count = 0;

	for (struct hm_cache *cache = hm_caches_first(); cache != NULL;
	     cache = cache->next_all)
		count++;
	return count;
}

/* Of those that serve a heap as a thread's own. */
static size_t count_serving(const struct hm_heap *heap)
{
	size_t count = 0;

	for (struct hm_cache *cache = hm_caches_first(); cache != NULL;
	     cache = cache->next_all)
		count += hm_cache_serves(cache, heap->number) && !cache->common &&
			 cache->heap == heap;
	return count;
}

static struct hm_cache *cache_here(struct hm_heap *heap)
{
	struct hm_cache *cache;

	hm_calls_enter();
	cache = hm_cache_of_thread(heap, heap->number);
	hm_calls_leave();
	return cache;
}

static void begin(size_t count)
{
	heaps_begin();
	for (size_t i = 0; i < count; i++)
		heap_make(&heaps[i], MALLOC_THREADSAFE);
}

static void end(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		CHECK_STR(hm_heap_check(&heaps[i]), NULL);
		hm_heap_destroy(&heaps[i]);
	}
	heaps_end();
}

static void work_without_a_cache(struct heap_task *task)
{
	CHECK(cache_here(task->heap) == NULL);
	heap_take_many(task);
	CHECK_SIZE(fake_usage(&fake).cBlocks, 4 + task->count);
	heap_free_many(task);
	CHECK(cache_here(task->heap) == NULL);
}

/* Comes first: no record of a cache is there to be used again. */
static void without_memory_for_a_cache_a_thread_uses_the_common_one(void)
{
	struct heap_task before = { heap_take_many, &heaps[0], blocks, 4, 64 };
	struct heap_task task = { work_without_a_cache, &heaps[0], blocks + 4, 40, 64 };

	begin(1);
	heap_elsewhere(&before); /* leaves blocks behind, and a record */
	CHECK(cache_here(&heaps[0]) != NULL);
	CHECK_SIZE(count_caches(), 2);
	memory_refuse();
	heap_elsewhere(&task);
	memory_allow();
	CHECK_HEAPS(4 * 64, 4, PAGE);
	CHECK_SIZE(count_caches(), 2);
	end(1);
}

static void a_thread_has_one_cache_for_each_heap(void)
{
	struct hm_cache *caches[HEAPS];

	begin(HEAPS);
	for (size_t i = 0; i < HEAPS; i++) {
		tap_row("heap %zu", i);
		CHECK(hm_heap_cache(&heaps[i]) == NULL);
		caches[i] = cache_here(&heaps[i]);
		CHECK_POINTER(hm_heap_cache(&heaps[i]), caches[i]);
		CHECK(hm_cache_serves(caches[i], heaps[i].number));
		CHECK(!caches[i]->common);
		CHECK_POINTER(caches[i]->heap, &heaps[i]);
		CHECK_SIZE(count_serving(&heaps[i]), 1);
		for (size_t j = 0; j < i; j++)
			CHECK(caches[i] != caches[j]);
	}
	/* Each slot knows the last one; the others are found. */
	for (size_t i = 0; i < HEAPS; i++) {
		tap_row("heap %zu", i);
		CHECK((hm_heap_cache(&heaps[i]) != NULL) ==
		      (i >= HEAPS - HM_CACHE_SLOTS));
	}
	for (size_t i = 0; i < HEAPS; i++)
		CHECK_POINTER(cache_here(&heaps[i]), caches[i]);
	end(HEAPS);
}

static void heaps_that_share_a_slot_keep_their_blocks_apart(void)
{
	begin(HM_CACHE_SLOTS + 1);
	for (unsigned i = 0; i < 20; i++) {
		blocks[2 * i] = heap_take(&heaps[0], 64);
		blocks[2 * i + 1] = heap_take(&heaps[HM_CACHE_SLOTS], 64);
	}
	CHECK_U32(heaps[0].slot, heaps[HM_CACHE_SLOTS].slot);
	CHECK_HEAPS(40 * 64, 40, 2 * PAGE);
	for (unsigned i = 0; i < 40; i++) {
		CHECK_HR(heap_free(&heaps[i % 2 == 0 ? HM_CACHE_SLOTS : 0], blocks[i]),
			 HOST_E_INVALIDOPERATION);
		CHECK_HR(heap_free(&heaps[i % 2 == 0 ? 0 : HM_CACHE_SLOTS], blocks[i]),
			 S_OK);
	}
	CHECK_HEAPS(0, 0, 2 * PAGE);
	end(HM_CACHE_SLOTS + 1);
}

static void a_cache_serves_the_next_heap_when_its_own_is_gone(void)
{
	struct hm_cache *cache;
	size_t count;

	begin(1);
	cache = cache_here(&heaps[0]);
	hm_heap_destroy(&heaps[0]);
	CHECK(hm_cache_serves(cache, 0));
	CHECK(cache->heap == NULL);
	count = count_caches();
	/* It has another number, although it is in the same place. */
	heap_make(&heaps[0], MALLOC_THREADSAFE);
	CHECK(hm_heap_cache(&heaps[0]) == NULL);
	CHECK(cache_here(&heaps[0]) != NULL);
	CHECK_SIZE(count_caches(), count);
	end(1);
}

static void a_dismissed_cache_is_not_for_quick_calls(void)
{
	struct hm_cache *cache;

	begin(1);
	cache = cache_here(&heaps[0]);
	CHECK(!(cache->quick.purpose & HM_QUICK_UNUSUAL));
	hm_quick_lock();
	hm_quick_set_unusual(&cache->quick, true);
	hm_quick_unlock();
	hm_calls_enter();
	hm_caches_refresh(NULL); /* nobody's host */
	CHECK(cache->quick.purpose & HM_QUICK_UNUSUAL);
	hm_caches_refresh(host);
	hm_calls_leave();
	CHECK(!(cache->quick.purpose & HM_QUICK_UNUSUAL));
	hm_heap_destroy(&heaps[0]);
	CHECK(cache->quick.purpose & HM_QUICK_UNUSUAL);
	hm_caches_refresh_alone();
	CHECK(cache->quick.purpose & HM_QUICK_UNUSUAL);
	heaps_end();
}

/* ---- Threads that end ---- */

static void what_a_thread_had_is_everybodys_when_it_has_ended(void)
{
	struct heap_task take = { heap_take_many, &heaps[0], blocks, 40, 64 };
	struct heap_task put = { heap_free_many, &heaps[0], blocks, 20, 64 };
	struct heap_task rest = { heap_free_many, &heaps[0], blocks + 20, 20, 64 };
	size_t count;

	begin(1);
	for (unsigned round = 0; round < 3; round++) {
		tap_row("round %u", round);
		heap_elsewhere(&take);
		count = count_caches();
		CHECK_SIZE(count_serving(&heaps[0]), 0);
		CHECK_SIZE(fake_usage(&fake).cBlocks, 40);
		heap_elsewhere(&put);
		CHECK_SIZE(fake_usage(&fake).cBlocks, 20);
		heap_elsewhere(&rest);
		/* Records serve the next. */
		CHECK(round == 0 || count_caches() == count);
		CHECK_HEAPS(0, 0, PAGE);
	}
	end(1);
}

static _Atomic unsigned stage;

static void reach(unsigned which)
{
	atomic_store(&stage, which);
}

static void wait_for_stage(unsigned which)
{
	while (atomic_load(&stage) != which)
		(void)sched_yield();
}

static void use_and_outlive(struct heap_task *task)
{
	heap_take_many(task);
	reach(1);
	wait_for_stage(2);
	CHECK(hm_heap_cache(task->heap) == NULL);
}

static void a_thread_may_end_after_its_heap(void)
{
	struct heap_task task = { use_and_outlive, &heaps[0], blocks, 8, 64 };
	pthread_t thread;

	reach(0);
	begin(1);
	if (pthread_create(&thread, NULL, heap_run_task, &task) != 0)
		abort();
	wait_for_stage(1);
	hm_heap_destroy(&heaps[0]);
	CHECK_SIZE(fake_usage(&fake).cLeakedBlocks, 8);
	heap_make(&heaps[0], MALLOC_THREADSAFE);
	reach(2);
	(void)pthread_join(thread, NULL);
	CHECK_HEAPS(0, 0, 0);
	end(1);
}

static void take_and_stay(struct heap_task *task)
{
	heap_take_many(task);
	reach(1);
	wait_for_stage(2);
	heap_free_many(task);
}

/* ---- Destructors that run after ours ---- */

static void *late;

/* Ours was made first, so it runs first.  Meanwhile somebody else gets the record. */
static void free_and_take_late(void *unused)
{
	struct heap_task task = { take_and_stay, &heaps[0], blocks, 8, 64 };
	pthread_t thread;

	(void)unused;
	reach(0);
	if (pthread_create(&thread, NULL, heap_run_task, &task) != 0)
		abort();
	wait_for_stage(1);
	CHECK_SIZE(count_serving(&heaps[0]), 1);
	CHECK(hm_heap_cache(&heaps[0]) == NULL);
	CHECK(cache_here(&heaps[0]) == NULL);
	CHECK_HR(heap_free(&heaps[0], late), S_OK);
	CHECK_HR(heap_free(&heaps[0], late), HOST_E_INVALIDOPERATION);
	late = heap_take(&heaps[0], 64);
	CHECK_HR(heap_free(&heaps[0], heap_take(&heaps[0], 2000)), S_OK);
	CHECK_SIZE(count_serving(&heaps[0]), 1);
	reach(2);
	(void)pthread_join(thread, NULL);
}

static pthread_key_t late_key;

static void leave_something_for_later(struct heap_task *task)
{
	late = heap_take(task->heap, 64);
	CHECK_INT(pthread_setspecific(late_key, &late_key), 0);
}

static void a_thread_that_is_ending_works_without_a_cache(void)
{
	struct heap_task task = { leave_something_for_later, &heaps[0], NULL, 0, 0 };

	begin(1);
	if (pthread_key_create(&late_key, free_and_take_late) != 0)
		abort();
	heap_elsewhere(&task);
	CHECK_SIZE(fake_usage(&fake).cBlocks, 1);
	CHECK_HR(heap_free(&heaps[0], late), S_OK);
	CHECK_SIZE(fake_usage(&fake).cBlocks, 0);
	(void)pthread_key_delete(late_key);
	end(1);
}

/* ---- Fork ---- */

static void look_in_the_child(void)
{
	/* Only this thread's own is left. */
	CHECK_SIZE(count_serving(&heaps[0]), 1);
	CHECK_POINTER(cache_here(&heaps[0])->heap, &heaps[0]);
	CHECK_SIZE(fake_usage(&fake).cBlocks, 9);
	CHECK_STR(hm_heap_check(&heaps[0]), NULL);
	for (unsigned i = 0; i < 8; i++)
		CHECK_HR(heap_free(&heaps[0], blocks[i]), S_OK);
	CHECK_HR(heap_free(&heaps[0], blocks[20]), S_OK);
	CHECK_SIZE(fake_usage(&fake).cBlocks, 0);
	CHECK_SIZE(heap_trim(&heaps[0]), 2 * PAGE);
}

static void a_fork_child_inherits_what_other_threads_had(void)
{
	struct heap_task task = { take_and_stay, &heaps[0], blocks, 8, 64 };
	pthread_t thread;
	int status = -1;
	pid_t pid;

	reach(0);
	begin(1);
	blocks[20] = heap_take(&heaps[0], 64);
	if (pthread_create(&thread, NULL, heap_run_task, &task) != 0)
		abort();
	wait_for_stage(1);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)alarm(60);
		look_in_the_child();
		_exit(tap_failed());
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	CHECK_SIZE(count_serving(&heaps[0]), 2);
	reach(2);
	(void)pthread_join(thread, NULL);
	CHECK_SIZE(fake_usage(&fake).cBlocks, 1);
	end(1);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(without_memory_for_a_cache_a_thread_uses_the_common_one);
	TAP_RUN(a_thread_has_one_cache_for_each_heap);
	TAP_RUN(heaps_that_share_a_slot_keep_their_blocks_apart);
	TAP_RUN(a_cache_serves_the_next_heap_when_its_own_is_gone);
	TAP_RUN(a_dismissed_cache_is_not_for_quick_calls);
	TAP_RUN(what_a_thread_had_is_everybodys_when_it_has_ended);
	TAP_RUN(a_thread_may_end_after_its_heap);
	TAP_RUN(a_thread_that_is_ending_works_without_a_cache);
	TAP_RUN(a_fork_child_inherits_what_other_threads_had);
	return tap_done();
}
