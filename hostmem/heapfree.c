/*
 * Free, where the quick way had to give up; and what a block has in it.
 *
 * A pointer is looked up in the table of spans and nowhere else, so one that is no block of
 * the heap is refused without being touched.  Whose span it is decides who may free in it:
 * a thread in its own, anybody in another thread's by a mark for that, and in what is
 * nobody's whoever has the lock; he takes the span for his own, since he is likely to come
 * by again.
 *
 * While somebody waits for a block the one that is freed is handed to him, and nothing is
 * kept for later.
 *
 * Locks: HM_RANK_HEAP, and quick calls under it.
 */
#include "heap.h"
#include "calls.h"
#include "heappages.h"

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
		hm_cache_look_behind(user, span);
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

	if (atomic_load(&heap->waiters) == 0 ||
	    !hm_waiting_wants(&heap->host->waiting, heap, block,
			      hm_span_block_size(span)))
		return false;
	/* So that two who free it do not both hand it over. */
	if (!hm_quick_stop())
		return false;
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
	hm_heap_lock(heap);
	if (!hand_over(heap, span, block)) {
		hm_quick_enter(&user->quick);
		hr = put_locked(heap, user, span, block, too_many);
		*empty = atomic_load(&heap->host->waiting.expected) != 0 &&
			 hm_span_looks_empty(span);
		hm_quick_leave(&user->quick);
	}
	hm_heap_unlock(heap);
	return hr;
}

static HRESULT free_large(struct hm_heap *heap, struct hm_span *span, const void *block,
			  bool *doomed)
{
	HRESULT hr = HOST_E_INVALIDOPERATION;

	hm_heap_lock(heap);
	if (span->place == HM_SPAN_LARGE && hm_span_base(span) == (uintptr_t)block &&
	    atomic_load(&span->heap) == heap) {
		*doomed = hm_heap_free_large_locked(heap, span);
		hr = S_OK;
	}
	hm_heap_unlock(heap);
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
	hm_heap_lock(heap);
	if (!hand_over(heap, span, block)) {
		while (!hm_quick_stop())
			continue;
		(void)put_locked(heap, heap->common, span, block, &ignored);
		hm_quick_resume();
	}
	hm_heap_unlock(heap);
}

/* The owner of the span that a block is in, and the block's number there, if a quick call may
 * touch that span; NULL = not so.  The common cache is not for those that have another: it is
 * somebody's under the lock only. */
static struct hm_cache *owner_at_hand(const struct hm_heap *heap,
				      const struct hm_cache *cache,
				      const struct hm_span *span, const void *block,
				      uint64_t *index)
{
	struct hm_cache *owner = atomic_load_explicit(&span->owner, memory_order_relaxed);

	return (owner == cache || owner != heap->common) && owner != NULL &&
			       atomic_load_explicit(&span->heap, memory_order_relaxed) ==
				       heap &&
			       hm_span_index(span, (uintptr_t)block, index)
		       ? owner
		       : NULL;
}

/* A block of a span whose owner has to look at it, or of another thread's span: still a
 * quick call. */
static bool free_quickly(struct hm_heap *heap, void *block, bool *too_many)
{
	struct hm_cache *cache = hm_heap_cache(heap), *owner;
	struct hm_span *span = hm_span_find((uintptr_t)block);
	bool done = false;
	uint64_t index;

	if (cache == NULL || span == NULL)
		return false;
	if (hm_quick_begin(&cache->quick, &heap->number)) {
		owner = owner_at_hand(heap, cache, span, block, &index);
		if (owner == cache)
			done = hm_cache_put(cache, span, index, too_many);
		else if (owner != NULL)
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
	if (empty)
		(void)hm_heaps_trim(heap->host);
	else if (too_many)
		hm_heap_shed(heap);
	return hr;
}

HRESULT hm_heap_free(struct hm_heap *heap, void *block)
{
	bool too_many = false;
	HRESULT hr;

	if (free_quickly(heap, block, &too_many)) {
		if (too_many)
			hm_heap_shed(heap);
		return S_OK;
	}
	hr = hm_host_check(heap->host);
	return FAILED(hr) || block == NULL ? hr : free_slowly(heap, block);
}

/* Runtimes may ask it for every block that they have. */
static bool size_quickly(struct hm_heap *heap, const void *block, size_t *size)
{
	struct hm_cache *cache = hm_heap_cache(heap);
	struct hm_span *span = hm_span_find((uintptr_t)block);
	bool known = false;
	uint64_t index;

	if (cache == NULL || span == NULL)
		return false;
	if (hm_quick_begin(&cache->quick, &heap->number)) {
		known = owner_at_hand(heap, cache, span, block, &index) != NULL &&
			hm_span_is_live(span, index);
		if (known)
			*size = hm_span_block_size(span);
	}
	hm_quick_leave(&cache->quick);
	return known;
}

static HRESULT size_slowly(struct hm_heap *heap, const void *block, size_t *size)
{
	HRESULT hr = HOST_E_INVALIDOPERATION;
	struct hm_span *span;
	uint64_t index;

	hm_calls_enter();
	span = hm_span_find((uintptr_t)block);
	if (span != NULL && atomic_load(&span->heap) == heap) {
		hm_heap_lock(heap);
		if (span->kind == HM_SPAN_WHOLE && span->place == HM_SPAN_LARGE &&
		    hm_span_base(span) == (uintptr_t)block) {
			*size = span->length;
			hr = S_OK;
		} else if (hm_span_index(span, (uintptr_t)block, &index) &&
			   hm_span_is_live(span, index)) {
			*size = hm_span_block_size(span);
			hr = S_OK;
		}
		hm_heap_unlock(heap);
	}
	hm_calls_leave();
	return hr;
}

HRESULT hm_heap_size(struct hm_heap *heap, void *block, size_t *size)
{
	return size_quickly(heap, block, size) ? S_OK : size_slowly(heap, block, size);
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
