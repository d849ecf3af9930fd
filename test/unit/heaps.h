/*
 * Heaps of a host on pages that do not exist, called as the vtable calls them.
 */
#ifndef HOSTMEM_UNIT_HEAPS_H
#define HOSTMEM_UNIT_HEAPS_H

#include "fake.h"
#include "hostmem/heap.h"
#include "hostmem/heappages.h"

#include <pthread.h>

static struct fake_host fake;
static struct hm_host *host = &fake.host;

static inline void heaps_begin(void)
{
	fake_host_init(&fake);
}

static inline void heaps_end(void)
{
	CHECK_SIZE(host->heap_count, 0);
	CHECK_SIZE(host->heap_pages, 0);
	CHECK_SIZE(host->budget.claimed, 0);
	fake_host_end(&fake);
}

static inline void heap_make(struct hm_heap *heap, DWORD type)
{
	memset(heap, 0, sizeof(*heap));
	CHECK_HR(hm_heap_init(heap, host, type), S_OK);
}

#define SMALL(bytes) \
	((struct hm_block_wish){ \
		.size = (bytes), .alignment = 16, .level = eTaskCritical })

static inline HRESULT heap_try(struct hm_heap *heap, size_t size, void **out)
{
	const struct hm_block_wish wish = SMALL(size);
	struct hm_cache *cache = hm_heap_cache(heap);

	*out = NULL;
	return cache != NULL && hm_heap_alloc_quickly(heap, cache, size, out)
		       ? S_OK
		       : hm_heap_alloc(heap, &wish, out);
}

static inline void *heap_take(struct hm_heap *heap, size_t size)
{
	void *block;

	CHECK_HR(heap_try(heap, size, &block), S_OK);
	return block;
}

static inline HRESULT heap_free(struct hm_heap *heap, void *block)
{
	struct hm_cache *cache = hm_heap_cache(heap);

	return cache != NULL && hm_heap_free_quickly(heap, cache, block)
		       ? S_OK
		       : hm_heap_free(heap, block);
}

static inline size_t heap_trim(struct hm_heap *heap)
{
	size_t freed = SIZE_MAX;

	CHECK_HR(hm_heap_trim(heap, &freed), S_OK);
	return freed;
}

#define CHECK_HEAPS(bytes, blocks, pages) \
	check_heaps((bytes), (blocks), (pages), __FILE__, __LINE__)

/* What is live in all heaps, and their pages: all that is charged. */
static inline void check_heaps(size_t bytes, size_t blocks, size_t pages,
			       const char *file, int line)
{
	HostMemUsage usage = fake_usage(&fake);

	tap_check_unsigned(usage.cbHeap, bytes, "cbHeap", file, line);
	tap_check_unsigned(usage.cBlocks, blocks, "cBlocks", file, line);
	tap_check_unsigned(usage.cbHeapPages, pages, "cbHeapPages", file, line);
	tap_check_unsigned(usage.cbCharged, pages, "cbCharged", file, line);
	tap_check_unsigned(usage.cbCommitted, pages, "cbCommitted", file, line);
	tap_check_unsigned(host->budget.claimed, pages, "claimed", file, line);
}

/* ---- On another thread ---- */

struct heap_task {
	void (*act)(struct heap_task *task);
	struct hm_heap *heap;
	void **blocks;
	size_t count, size;
};

static inline void *heap_run_task(void *argument)
{
	struct heap_task *task = argument;

	task->act(task);
	return NULL;
}

static inline void heap_elsewhere(struct heap_task *task)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, heap_run_task, task) != 0)
		abort();
	(void)pthread_join(thread, NULL);
}

static inline void heap_take_many(struct heap_task *task)
{
	for (size_t i = 0; i < task->count; i++)
		task->blocks[i] = heap_take(task->heap, task->size);
}

static inline void heap_free_many(struct heap_task *task)
{
	for (size_t i = 0; i < task->count; i++)
		CHECK_HR(heap_free(task->heap, task->blocks[i]), S_OK);
}

#endif
