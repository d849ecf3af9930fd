/*
 * What nobody needs: who has it, and where it goes.
 *
 * What a thread does not need goes to the common cache, and what nobody needs goes back to
 * the host; a mebibyte for each thread, and an eighth of the heap, is kept, and what a
 * thread has not found to be empty (caches.c).
 *
 * When memory is short nothing may be hidden: everybody is stopped, what the threads hold
 * and do not use goes to the common cache, and spans in which nothing is live go back to
 * the host.  So a request is refused only if there is no free block for it anywhere.
 *
 * A span that is to go is taken out of every list first, under the heap's lock, and given
 * back afterwards (heapdoom.c): that calls out.
 *
 * Locks: HM_RANK_HEAP, and HM_RANK_QUICK within it while everybody is stopped;
 * hm_caches_lock around both where it is about all heaps of a host.
 */
#include "heap.h"
#include "calls.h"
#include "debugheap.h"
#include "heappages.h"

/* Of a heap's granules, this part may be idle in the common cache; and so many in any
 * case. */
#define IDLE_SHARE 8U
#define IDLE_ANYWAY 16U

/* So many bytes may wait for a thread that has no use for them now. */
#define RETURNED_SHARE 16U
#define RETURNED_ANYWAY ((size_t)256 << 10)

/* A thread that a collector has suspended may be in a quick call: nobody may wait for it.
 * What is kept meanwhile goes when threads run again. */
static bool may_stop(const struct hm_host *host)
{
	return atomic_load(&host->notify.suspensions) == 0;
}

/* All idle spans of a cache but `kept`. */
static void doom_idle(struct hm_heap *heap, struct hm_cache *cache, size_t kept)
{
	for (unsigned kind = 0; kind < HM_SPAN_WHOLE; kind++) {
		struct hm_span_list *idle = &cache->idle[kind];

		for (; idle->count > kept; atomic_fetch_sub(&heap->spans, 1)) {
			struct hm_span *span = idle->first;

			hm_cache_remove_span(cache, span);
			hm_heap_doom(heap->host, span);
		}
		kept -= hm_min(kept, idle->count);
	}
}

/* What is idle in the common cache beyond its share. */
static void doom_excess(struct hm_heap *heap)
{
	struct hm_cache *common = heap->common;

	common->most_idle = hm_max(IDLE_ANYWAY, atomic_load(&heap->spans) / IDLE_SHARE);
	if (hm_cache_idle_count(common) > common->most_idle)
		doom_idle(heap, common, common->most_idle / 2);
}

/* The last span of each class as well, where nothing in it is live. */
static void doom_empty(struct hm_heap *heap, struct hm_cache *cache)
{
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
		struct hm_span *span = cache->bins[class].spans.first;

		while (span != NULL) {
			struct hm_span *next = span->next;

			if (hm_cache_is_empty(cache, span)) {
				hm_cache_remove_span(cache, span);
				hm_heap_doom(heap->host, span);
				atomic_fetch_sub(&heap->spans, 1);
			}
			span = next;
		}
	}
	doom_idle(heap, cache, 0);
}

/* Everybody's free blocks to the common cache; for who has stopped quick calls. */
static void drain_stopped(struct hm_heap *heap, enum hm_cache_move what)
{
	for (struct hm_cache *cache = hm_caches_first(); cache != NULL;
	     cache = cache->next_all) {
		if (cache != heap->common && atomic_load(&cache->heap) == heap)
			hm_cache_move(cache, heap->common, what);
	}
	hm_cache_collect(heap->common);
}

static void trim_locked(struct hm_heap *heap)
{
	if (hm_quick_stop()) {
		drain_stopped(heap, HM_MOVE_USEFUL);
		doom_empty(heap, heap->common);
		hm_quick_resume();
	}
	hm_heap_doom_kept_locked(heap);
}

HRESULT hm_heap_trim(struct hm_heap *heap, size_t *freed)
{
	HRESULT hr = hm_gate_enter_calls(heap->host, HM_PATIENT);

	if (FAILED(hr))
		return hr;
	hm_heap_lock(heap);
	if (may_stop(heap->host))
		trim_locked(heap);
	else
		hm_heap_doom_kept_locked(heap);
	hm_heap_unlock(heap);
	hm_calls_leave();
	*freed = hm_heap_give_back(heap->host);
	return S_OK;
}

bool hm_heaps_trim(struct hm_host *host)
{
	bool any;

	if (atomic_load(&host->heap_count) == 0 || !may_stop(host))
		return false;
	any = hm_debug_relieve(host);
	hm_calls_enter();
	if (hm_gate_passes(host)) {
		hm_caches_lock();
		for (struct hm_heap *heap = host->heaps; heap != NULL;
		     heap = heap->next) {
			hm_heap_lock(heap);
			trim_locked(heap);
			hm_heap_unlock(heap);
		}
		hm_caches_unlock();
	}
	hm_calls_leave();
	return hm_heap_give_back(host) != 0 || any;
}

/* Takes from this thread's cache, and then from the common one, what is too much. */
void hm_heap_shed(struct hm_heap *heap)
{
	struct hm_cache *common = heap->common;
	struct hm_cache *cache;

	if (!may_stop(heap->host))
		return;
	hm_calls_enter();
	hm_heap_lock(heap);
	cache = heap->only != NULL ? NULL : hm_heap_cache(heap);
	/* Who is freeing a block of another thread's span is through with it then. */
	if (hm_quick_stop()) {
		if (cache != NULL)
			hm_cache_move_idle(cache, common, cache->most_idle / 2);
		doom_excess(heap);
		hm_quick_resume();
	}
	hm_heap_unlock(heap);
	hm_calls_leave();
	(void)hm_heap_give_back(heap->host);
}

static void inherit_stopped(struct hm_heap *heap, struct hm_cache *cache)
{
	hm_cache_move(cache, heap->common, HM_MOVE_ALL);
	hm_cache_add_live(heap->common, cache);
	doom_excess(heap);
}

bool hm_heap_inherit(struct hm_heap *heap, struct hm_cache *cache, bool alone)
{
	bool stopped;

	if (alone) {
		inherit_stopped(heap, cache);
		return true;
	}
	hm_heap_lock(heap);
	stopped = hm_quick_stop();
	if (stopped) {
		inherit_stopped(heap, cache);
		hm_quick_resume();
	}
	hm_heap_unlock(heap);
	return stopped;
}

/* Bytes that threads have freed and their owners have not taken over. */
static size_t returned_bytes(const struct hm_heap *heap)
{
	size_t returned = 0, collected = 0;

	for (struct hm_cache *cache = hm_caches_first(); cache != NULL;
	     cache = cache->next_all) {
		if (atomic_load_explicit(&cache->heap, memory_order_relaxed) != heap)
			continue;
		collected += atomic_load_explicit(&cache->collected,
						  memory_order_relaxed);
		returned += atomic_load_explicit(&cache->returned, memory_order_relaxed);
	}
	return returned > collected ? returned - collected : 0;
}

bool hm_heap_recall(struct hm_heap *heap)
{
	size_t pages = atomic_load(&heap->spans) * HM_SPAN_SIZE;
	bool stopped;

	if (heap->only != NULL || !may_stop(heap->host) ||
	    returned_bytes(heap) < hm_max(RETURNED_ANYWAY, pages / RETURNED_SHARE))
		return false;
	hm_heap_lock(heap);
	stopped = hm_quick_stop();
	if (stopped) {
		drain_stopped(heap, HM_MOVE_USEFUL);
		doom_excess(heap);
		hm_quick_resume();
	}
	hm_heap_unlock(heap);
	return stopped;
}

/* The block is taken before anybody else can go on: he would find it first. */
void *hm_heap_find_anywhere(struct hm_heap *heap, unsigned class, size_t alignment)
{
	void *block = NULL;

	if (!may_stop(heap->host))
		return NULL;
	hm_heap_lock(heap);
	if (!hm_quick_stop()) {
		hm_heap_unlock(heap);
		return NULL;
	}
	drain_stopped(heap, HM_MOVE_USEFUL);
	for (; class < HM_BLOCK_CLASSES && block == NULL; class ++) {
		if (hm_block_size(class) % alignment == 0)
			block = hm_cache_find(heap->common, class);
	}
	hm_quick_resume();
	hm_heap_unlock(heap);
	return block;
}

/* What is live is leaked; all spans to `doomed`. */
void hm_heap_doom_all_locked(struct hm_heap *heap)
{
	struct hm_cache *common = heap->common;
	struct hm_span *span;

	while (!hm_quick_stop())
		continue;
	drain_stopped(heap, HM_MOVE_ALL);
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
		while ((span = common->bins[class].spans.first) != NULL) {
			hm_cache_remove_span(common, span);
			hm_heap_doom(heap->host, span);
		}
	}
	while ((span = common->full.first) != NULL) {
		hm_cache_remove_span(common, span);
		hm_heap_doom(heap->host, span);
	}
	doom_idle(heap, common, 0);
	hm_quick_resume();
	for (struct hm_cache *cache = hm_caches_first(); cache != NULL;
	     cache = cache->next_all) {
		if (cache == common || atomic_load(&cache->heap) != heap)
			continue;
		hm_cache_add_live(common, cache);
		hm_cache_dismiss(cache);
	}
	hm_heap_doom_kept_locked(heap);
	while ((span = heap->large.first) != NULL) {
		hm_span_unlink(&heap->large, span);
		hm_heap_doom(heap->host, span);
	}
}
