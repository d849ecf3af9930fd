/*
 * Heaps: what the quick way could not do.
 *
 * A block comes from the thread's own cache, from the common one, or from new pages.  What
 * a thread does not need goes to the common cache, and what nobody needs goes back to the
 * host; a mebibyte for each thread, and an eighth of the heap, is kept.
 *
 * When memory is short nothing may be hidden: everybody is stopped, what the threads hold
 * and do not use goes to the common cache, and spans in which nothing is live go back to
 * the host.  So a request is refused only if there is no free block for it anywhere.
 *
 * A span that is to go is taken out of every list first, under the heap's lock, and given
 * back afterwards (heappages.c): that calls out.
 *
 * Locks: HM_RANK_HEAP around the common cache; quick calls may be entered under it, never
 * the other way round.  hm_caches_lock where there is more than one heap to look at.
 */
#include "heap.h"
#include "arguments.h"
#include "calls.h"
#include "debugheap.h"
#include "heappages.h"
#include "os/check.h"

/* Of a heap's granules, this part may be idle in the common cache; and so many in any
 * case. */
#define IDLE_SHARE 8U
#define IDLE_ANYWAY 16U

/* So many bytes may wait for a thread that has no use for them now. */
#define RETURNED_SHARE 16U
#define RETURNED_ANYWAY ((size_t)256 << 10)

static _Atomic uint64_t last_number;

static void lock(struct hm_heap *heap)
{
	hm_lock_acquire(&heap->lock, HM_RANK_HEAP);
}

static void unlock(struct hm_heap *heap)
{
	hm_lock_release(&heap->lock, HM_RANK_HEAP);
}

/* ---- Life ---- */

HRESULT hm_heap_init(struct hm_heap *heap, struct hm_host *host, DWORD type)
{
	heap->host = host;
	atomic_fetch_add(&host->heap_count, 1);
	hm_calls_enter();
	heap->common = hm_cache_new(heap);
	if (heap->common != NULL) {
		heap->number = 1 + atomic_fetch_add(&last_number, 1);
		heap->slot = heap->number % HM_CACHE_SLOTS;
		heap->protect = type & MALLOC_EXECUTABLE ? PAGE_EXECUTE_READWRITE
							 : PAGE_READWRITE;
		heap->common->most_idle = IDLE_ANYWAY;
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
	       hm_faults_any(&host->faults) || atomic_load(&host->waiting.count) != 0;
}

/* ---- Spans that are not needed ---- */

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
	hm_quick_stop();
	drain_stopped(heap, HM_MOVE_USEFUL);
	doom_empty(heap, heap->common);
	hm_quick_resume();
	hm_heap_doom_kept_locked(heap);
}

HRESULT hm_heap_trim(struct hm_heap *heap, size_t *freed)
{
	HRESULT hr = hm_gate_enter_calls(heap->host, HM_PATIENT);

	if (FAILED(hr))
		return hr;
	lock(heap);
	trim_locked(heap);
	unlock(heap);
	hm_calls_leave();
	*freed = hm_heap_give_back(heap->host);
	return S_OK;
}

bool hm_heaps_trim(struct hm_host *host)
{
	bool any;

	if (atomic_load(&host->heap_count) == 0)
		return false;
	any = hm_debug_relieve(host);
	hm_calls_enter();
	if (hm_gate_passes(host)) {
		hm_caches_lock();
		for (struct hm_heap *heap = host->heaps; heap != NULL;
		     heap = heap->next) {
			lock(heap);
			trim_locked(heap);
			unlock(heap);
		}
		hm_caches_unlock();
	}
	hm_calls_leave();
	return hm_heap_give_back(host) != 0 || any;
}

/* Takes from this thread's cache, and then from the common one, what is too much. */
static void shed(struct hm_heap *heap)
{
	struct hm_cache *common = heap->common;
	struct hm_cache *cache;

	hm_calls_enter();
	lock(heap);
	cache = heap->only != NULL ? NULL : hm_heap_cache(heap);
	common->most_idle = hm_max(IDLE_ANYWAY, atomic_load(&heap->spans) / IDLE_SHARE);
	hm_quick_enter(cache != NULL ? &cache->quick : &common->quick);
	if (cache != NULL)
		hm_cache_move_idle(cache, common, cache->most_idle / 2);
	if (common->idle[HM_SPAN_COARSE].count + common->idle[HM_SPAN_FINE].count >
	    common->most_idle)
		doom_idle(heap, common, common->most_idle / 2);
	hm_quick_leave(cache != NULL ? &cache->quick : &common->quick);
	unlock(heap);
	hm_calls_leave();
	(void)hm_heap_give_back(heap->host);
}

void hm_heap_inherit(struct hm_heap *heap, struct hm_cache *cache, bool alone)
{
	if (!alone) {
		lock(heap);
		hm_quick_stop();
	}
	hm_cache_move(cache, heap->common, HM_MOVE_ALL);
	hm_cache_add_live(heap->common, cache);
	if (!alone) {
		hm_quick_resume();
		unlock(heap);
	}
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
	lock(heap);
	block = cache != NULL ? adopt_locked(heap, cache, class)
			      : find_common_locked(heap, class);
	unlock(heap);
	return block;
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

	if (heap->only != NULL ||
	    returned_bytes(heap) < hm_max(RETURNED_ANYWAY, pages / RETURNED_SHARE))
		return false;
	lock(heap);
	hm_quick_stop();
	drain_stopped(heap, HM_MOVE_USEFUL);
	hm_quick_resume();
	unlock(heap);
	return true;
}

/* The block is taken before anybody else can go on: he would find it first. */
void *hm_heap_find_anywhere(struct hm_heap *heap, unsigned class, size_t alignment)
{
	void *block = NULL;

	lock(heap);
	hm_quick_stop();
	drain_stopped(heap, HM_MOVE_USEFUL);
	for (; class < HM_BLOCK_CLASSES && block == NULL; class ++) {
		if (hm_block_size(class) % alignment == 0)
			block = hm_cache_find(heap->common, class);
	}
	hm_quick_resume();
	unlock(heap);
	return block;
}

/* A block for which the thread's cache has to look further: still a quick call. */
static void *find_quickly(struct hm_heap *heap, unsigned class)
{
	struct hm_cache *cache = hm_heap_cache(heap);
	void *block = NULL;

	if (cache == NULL)
		return NULL;
	if (hm_quick_begin(&cache->quick))
		block = hm_cache_find(cache, class);
	hm_quick_leave(&cache->quick);
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

/* Frees a block of a span whoever has it; `user` counts it. */
static HRESULT put_locked(struct hm_heap *heap, struct hm_cache *user,
			  struct hm_span *span, void *block, bool *too_many)
{
	struct hm_cache *owner;
	uint64_t index;
	bool live;

	owner = atomic_load_explicit(&span->owner, memory_order_relaxed);
	if (owner == NULL || !hm_span_index(span, (uintptr_t)block, &index))
		return HOST_E_INVALIDOPERATION;
	if (owner == heap->common && owner != user && !span->busy &&
	    hm_span_is_live(span, index)) {
		hm_cache_remove_span(owner, span);
		hm_cache_enter_span(user, span);
		owner = user;
	}
	if (owner == user || owner == heap->common)
		live = hm_cache_put(owner, span, index, too_many);
	else
		live = hm_cache_put_away(user, span, index);
	return live ? S_OK : HOST_E_INVALIDOPERATION;
}

/* Gives the block to somebody who waits for one; false: nobody does. */
static bool hand_over(struct hm_heap *heap, struct hm_span *span, void *block)
{
	bool handed = false;
	uint64_t index;

	if (atomic_load(&heap->waiters) == 0)
		return false;
	/* So that two who free it do not both hand it over. */
	hm_quick_stop();
	if (hm_span_index(span, (uintptr_t)block, &index) && hm_span_is_live(span, index))
		handed = hm_waiting_hand_over(&heap->host->waiting, heap, block,
					      hm_span_block_size(span));
	hm_quick_resume();
	return handed;
}

static HRESULT free_small(struct hm_heap *heap, struct hm_span *span, void *block,
			  bool *too_many, bool *empty)
{
	struct hm_cache *user = heap->only;
	HRESULT hr = S_OK;

	if (user == NULL)
		user = hm_cache_of_thread(heap, heap->number);
	if (user == NULL)
		user = heap->common;
	lock(heap);
	if (!hand_over(heap, span, block)) {
		hm_quick_enter(&user->quick);
		hr = put_locked(heap, user, span, block, too_many);
		*empty = hm_span_looks_empty(span);
		hm_quick_leave(&user->quick);
	}
	unlock(heap);
	return hr;
}

static HRESULT free_large(struct hm_heap *heap, struct hm_span *span, const void *block,
			  bool *doomed)
{
	HRESULT hr = HOST_E_INVALIDOPERATION;

	lock(heap);
	if (span->place == HM_SPAN_LARGE && span->address == (uintptr_t)block &&
	    atomic_load(&span->heap) == heap) {
		*doomed = hm_heap_free_large_locked(heap, span);
		hr = S_OK;
	}
	unlock(heap);
	return hr;
}

void hm_heap_take_back(struct hm_heap *heap, void *block)
{
	struct hm_span *span = hm_span_find((uintptr_t)block);
	bool ignored;

	/* What is too much goes with the trimming that follows. */
	if (span->kind == HM_SPAN_WHOLE) {
		(void)free_large(heap, span, block, &ignored);
		return;
	}
	lock(heap);
	if (!hand_over(heap, span, block)) {
		hm_quick_stop();
		(void)put_locked(heap, heap->common, span, block, &ignored);
		hm_quick_resume();
	}
	unlock(heap);
}

/* A block of a span whose owner has to look at it, or of another thread's span: still a
 * quick call.  The common cache is not for those: it is somebody's under the lock only. */
static bool free_quickly(struct hm_heap *heap, void *block, bool *too_many)
{
	struct hm_cache *cache = hm_heap_cache(heap), *owner;
	struct hm_span *span = hm_span_find((uintptr_t)block);
	bool begun, done = false;
	uint64_t index;

	if (cache == NULL || span == NULL)
		return false;
	begun = hm_quick_begin(&cache->quick);
	owner = atomic_load_explicit(&span->owner, memory_order_relaxed);
	if (begun && owner != NULL &&
	    atomic_load_explicit(&span->heap, memory_order_relaxed) == heap &&
	    hm_span_index(span, (uintptr_t)block, &index)) {
		if (owner == cache)
			done = hm_cache_put(cache, span, index, too_many);
		else if (owner != heap->common)
			done = hm_cache_put_away(cache, span, index);
	}
	hm_quick_leave(&cache->quick);
	return done;
}

static HRESULT free_slowly(struct hm_heap *heap, void *block)
{
	HRESULT hr = hm_gate_enter_calls(heap->host, HM_PATIENT);
	struct hm_span *span;
	bool doomed = false;
	bool too_many = false, empty = false;

	if (FAILED(hr))
		return hr;
	span = hm_span_find((uintptr_t)block);
	if (span == NULL || atomic_load(&span->heap) != heap) {
		hr = HOST_E_INVALIDOPERATION;
	} else if (span->kind == HM_SPAN_WHOLE) {
		hr = free_large(heap, span, block, &doomed);
	} else {
		hr = free_small(heap, span, block, &too_many, &empty);
	}
	hm_calls_leave();
	if (doomed)
		(void)hm_heap_give_back(heap->host);
	/* Who waits for memory is not to wait for what is kept for later. */
	if (empty && atomic_load(&heap->host->waiting.count) != 0)
		(void)hm_heaps_trim(heap->host);
	else if (too_many)
		shed(heap);
	return hr;
}

HRESULT hm_heap_free(struct hm_heap *heap, void *block)
{
	bool too_many = false;
	HRESULT hr;

	if (free_quickly(heap, block, &too_many)) {
		if (too_many)
			shed(heap);
		return S_OK;
	}
	hr = hm_host_check(heap->host);
	return FAILED(hr) || block == NULL ? hr : free_slowly(heap, block);
}

HRESULT hm_heap_size(struct hm_heap *heap, void *block, size_t *size)
{
	HRESULT hr = HOST_E_INVALIDOPERATION;
	struct hm_span *span;
	uint64_t index;

	hm_calls_enter();
	span = hm_span_find((uintptr_t)block);
	if (span != NULL && atomic_load(&span->heap) == heap) {
		lock(heap);
		if (span->kind == HM_SPAN_WHOLE && span->place == HM_SPAN_LARGE &&
		    span->address == (uintptr_t)block) {
			*size = span->length;
			hr = S_OK;
		} else if (hm_span_index(span, (uintptr_t)block, &index) &&
			   hm_span_is_live(span, index)) {
			*size = hm_span_block_size(span);
			hr = S_OK;
		}
		unlock(heap);
	}
	hm_calls_leave();
	return hr;
}

HRESULT hm_heap_resize(struct hm_heap *heap, void *block, size_t size,
		       EMemoryCriticalLevel level)
{
	struct hm_span *span = hm_span_find((uintptr_t)block);

	if (span->kind == HM_SPAN_WHOLE)
		return hm_heap_resize_large(heap, span, size, level);
	/* What would fit a smaller block moves, unless it would not gain much by it. */
	return size <= hm_span_block_size(span) && size >= hm_span_block_size(span) / 2
		       ? S_OK
		       : S_FALSE;
}

/* ---- The end ---- */

/* What is live is leaked; all spans to `doomed`. */
static void take_all_locked(struct hm_heap *heap)
{
	struct hm_cache *common = heap->common;
	struct hm_span *span;

	hm_quick_stop();
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
	lock(heap);
	take_all_locked(heap);
	unlock(heap);
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
	lock(heap);
	hm_quick_stop();
	for (struct hm_cache *cache = hm_caches_first(); cache != NULL && broken == NULL;
	     cache = cache->next_all) {
		if (atomic_load(&cache->heap) == heap)
			broken = hm_cache_check(cache);
	}
	hm_quick_resume();
	unlock(heap);
	hm_caches_unlock();
	hm_calls_leave();
	return broken;
}
