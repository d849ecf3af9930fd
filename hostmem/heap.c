/*
 * Heaps: their life, and a block that the quick way did not find.
 *
 * A block comes from the thread's own cache, from the common one, or from new pages
 * (heappages.c); large ones have pages of their own (heaplarge.c).  heapfree.c is the way
 * back, heaptrim.c what is done with what nobody needs.
 *
 * Locks: HM_RANK_HEAP around the common cache; quick calls may be entered under it, never
 * the other way round.  hm_caches_lock where there is more than one heap to look at.
 */
#include "heap.h"
#include "arguments.h"
#include "calls.h"
#include "debugheap.h"
#include "heappages.h"

static _Atomic uint64_t last_number;

/* ---- Life ---- */

HRESULT hm_heap_init(struct hm_heap *heap, struct hm_host *host, DWORD type)
{
	heap->host = host;
	atomic_fetch_add(&host->heap_count, 1);
	hm_calls_enter();
	heap->number = 1 + atomic_fetch_add(&last_number, 1);
	heap->slot = heap->number % HM_CACHE_SLOTS;
	heap->common = hm_cache_new(heap, heap->number);
	if (heap->common != NULL) {
		heap->protect = type & MALLOC_EXECUTABLE ? PAGE_EXECUTE_READWRITE
							 : PAGE_READWRITE;
		heap->common->frugal = (type & MALLOC_THREADSAFE) != 0;
		if (!(type & MALLOC_THREADSAFE))
			heap->only = heap->common;
		hm_caches_lock();
		heap->next = host->heaps;
		if (heap->next != NULL)
			heap->next->previous = heap;
		host->heaps = heap;
		hm_caches_unlock();
	} else {
		atomic_fetch_sub(&host->heap_count, 1);
	}
	hm_calls_leave();
	return heap->common != NULL ? S_OK : E_OUTOFMEMORY;
}

static void forget_locked(struct hm_heap *heap)
{
	if (heap->next != NULL)
		heap->next->previous = heap->previous;
	if (heap->previous != NULL)
		heap->previous->next = heap->next;
	else
		heap->host->heaps = heap->next;
	atomic_fetch_sub(&heap->host->heap_count, 1);
}

bool hm_heap_is_unusual(const struct hm_heap *heap)
{
	const struct hm_host *host = heap->host;

	return FAILED(hm_host_check(host)) || !hm_gate_is_open(host) ||
	       hm_faults_any(&host->faults) || atomic_load(&host->waiting.expected) != 0;
}

/* ---- Blocks ---- */

/* In the common cache, for a thread that has no other. */
static void *find_common_locked(struct hm_heap *heap, unsigned class)
{
	void *block;

	hm_quick_enter(&heap->common->quick);
	block = hm_cache_find(heap->common, class);
	hm_quick_leave(&heap->common->quick);
	return block;
}

/* Takes over spans from the common cache until one has a free block. */
static void *adopt_locked(struct hm_heap *heap, struct hm_cache *cache, unsigned class)
{
	void *block;

	hm_quick_enter(&cache->quick);
	do
		block = hm_cache_find(cache, class);
	while (block == NULL && hm_cache_adopt(cache, heap->common, class));
	hm_quick_leave(&cache->quick);
	return block;
}

void *hm_heap_find(struct hm_heap *heap, unsigned class)
{
	struct hm_cache *cache = heap->only;
	void *block = NULL;

	if (cache == NULL)
		cache = hm_cache_of_thread(heap, heap->number);
	if (cache != NULL) {
		hm_quick_enter(&cache->quick);
		block = hm_cache_find(cache, class);
		hm_quick_leave(&cache->quick);
	}
	if (block != NULL || heap->only != NULL)
		return block;
	hm_heap_lock(heap);
	block = cache != NULL ? adopt_locked(heap, cache, class)
			      : find_common_locked(heap, class);
	hm_heap_unlock(heap);
	return block;
}

/* A block for which the thread's cache has to look further: still a quick call. */
static void *find_quickly(struct hm_heap *heap, unsigned class)
{
	struct hm_cache *cache = hm_heap_cache(heap);
	void *block = NULL;

	if (cache == NULL)
		return NULL;
	if (hm_quick_begin(&cache->quick, &heap->number))
		block = hm_cache_find(cache, class);
	hm_quick_leave(&cache->quick);
	return block;
}

void *hm_heap_find_ready(struct hm_heap *heap, size_t size)
{
	unsigned class;
	void *block;

	if (!hm_block_aligned_class(size, HM_BLOCK_ALIGNMENT, &class) ||
	    FAILED(hm_gate_enter_calls(heap->host, HM_IMPATIENT)))
		return NULL;
	block = hm_heap_find(heap, class);
	hm_calls_leave();
	return block;
}

static HRESULT alloc_small(struct hm_heap *heap, const struct hm_block_wish *wish,
			   unsigned class, void **out)
{
	struct hm_host *host = heap->host;
	HRESULT hr;

	/* Rules see each allocation, so it has to be a request. */
	if (!hm_faults_any(&host->faults)) {
		hr = hm_gate_enter_calls(host, HM_IMPATIENT);
		if (FAILED(hr))
			return hr;
		*out = hm_heap_find(heap, class);
		hm_calls_leave();
		if (*out != NULL)
			return S_OK;
	}
	return hm_heap_grow(heap, wish, class, out);
}

HRESULT hm_heap_alloc(struct hm_heap *heap, const struct hm_block_wish *wish, void **out)
{
	unsigned class;
	HRESULT hr;

	if ((unsigned)wish->level <= eProcessCritical &&
	    hm_block_aligned_class(wish->size, wish->alignment, &class)) {
		*out = find_quickly(heap, class);
		if (*out != NULL)
			return S_OK;
		hr = hm_host_check(heap->host);
		return FAILED(hr) ? hr : alloc_small(heap, wish, class, out);
	}
	hr = hm_host_check(heap->host);
	if (SUCCEEDED(hr))
		hr = hm_check_level(wish->level);
	return FAILED(hr) ? hr : hm_heap_alloc_large(heap, wish, out);
}

/* ---- The end ---- */

static void add_usage(const struct hm_heap *heap, int64_t *bytes, int64_t *blocks)
{
	if (heap->within != NULL) {
		hm_debug_usage(heap->within, bytes, blocks);
		return;
	}
	*bytes += (int64_t)atomic_load(&heap->large_bytes);
	*blocks += (int64_t)atomic_load(&heap->large_count);
	for (struct hm_cache *cache = hm_caches_first(); cache != NULL;
	     cache = cache->next_all) {
		if (atomic_load(&cache->heap) != heap)
			continue;
		for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
			int64_t live = hm_bin_live(&cache->bins[class]);

			*blocks += live;
			*bytes += live * (int64_t)hm_block_size(class);
		}
	}
}

void hm_heap_destroy(struct hm_heap *heap)
{
	struct hm_host *host = heap->host;
	int64_t bytes = 0, blocks = 0;

	/* Whoever owns the gate finds the heap as it is until he leaves. */
	if (FAILED(hm_gate_enter_calls(host, HM_PATIENT)))
		hm_calls_enter();
	hm_caches_lock();
	forget_locked(heap);
	add_usage(heap, &bytes, &blocks);
	hm_heap_lock(heap);
	hm_heap_doom_all_locked(heap);
	hm_heap_unlock(heap);
	atomic_fetch_add(&host->leaked_bytes, (size_t)bytes);
	atomic_fetch_add(&host->leaked_blocks, (uint64_t)blocks);
	hm_caches_unlock();
	hm_cache_retire(heap->common);
	hm_calls_leave();
	(void)hm_heap_give_back(host);
}

void hm_heaps_usage(const struct hm_host *host, size_t *bytes, uint64_t *blocks)
{
	int64_t byte_sum = 0, block_sum = 0;

	*bytes = 0;
	*blocks = 0;
	if (atomic_load(&host->heap_count) == 0)
		return;
	hm_calls_enter();
	hm_caches_lock();
	for (const struct hm_heap *heap = host->heaps; heap != NULL; heap = heap->next)
		add_usage(heap, &byte_sum, &block_sum);
	hm_caches_unlock();
	hm_calls_leave();
	/* Of a block that moves from one count to another while they are added up. */
	*bytes = byte_sum < 0 ? 0 : (size_t)byte_sum;
	*blocks = block_sum < 0 ? 0 : (uint64_t)block_sum;
}

void hm_heaps_after_fork(struct hm_host *host)
{
	for (struct hm_heap *heap = host->heaps; heap != NULL; heap = heap->next)
		atomic_store(&heap->waiters, 0);
}

const char *hm_heap_check(struct hm_heap *heap)
{
	const char *broken = NULL;

	hm_calls_enter();
	hm_caches_lock();
	hm_heap_lock(heap);
	while (!hm_quick_stop())
		continue;
	for (struct hm_cache *cache = hm_caches_first(); cache != NULL && broken == NULL;
	     cache = cache->next_all) {
		if (atomic_load(&cache->heap) == heap)
			broken = hm_cache_check(cache);
	}
	hm_quick_resume();
	hm_heap_unlock(heap);
	hm_caches_unlock();
	hm_calls_leave();
	return broken;
}
