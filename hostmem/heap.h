#ifndef HOSTMEM_HEAP_H
#define HOSTMEM_HEAP_H

#include "gate.h"
#include "threadcaches.h"

#include "abi/hostmem.h"

/*
 * A heap: blocks on pages of a host.
 *
 * Nearly every call is a quick one (quick.h): it takes a block from a span of its thread's
 * own cache, or puts one back there.  What that cannot do is done here, in this order: the
 * rest of the thread's cache, the common cache, and at last more pages (heappages.c), which
 * is a request to the host like any other.
 *
 * A heap that is for one thread at a time has the common cache only, and calls it `only`.
 */
struct hm_heap {
	struct hm_host *host;
	struct hm_cache *only;
	uint64_t number; /* of no other heap of the process, ever; not 0 */
	DWORD protect;   /* of its pages */
	struct hm_cache *common;
	struct hm_lock lock; /* HM_RANK_HEAP: the common cache, the large blocks */
	struct hm_span_list large;
	_Atomic size_t large_bytes, large_count;
	_Atomic size_t spans;     /* those of small blocks */
	_Atomic uint32_t waiters; /* requests that wait for a block or for memory */
	struct hm_heap *next, *previous; /* of its host, under hm_caches_lock */
};

/* A zeroed heap of `type`, MALLOC_* bits that have been checked.  The host is held by the
 * caller's reference.  E_OUTOFMEMORY. */
HRESULT hm_heap_init(struct hm_heap *heap, struct hm_host *host, DWORD type);
/* Gives all of it back, live blocks too, and counts these as leaked. */
void hm_heap_destroy(struct hm_heap *heap);

/*
 * The methods, arguments and the host's state checked, and the gate passed.
 *
 *   E_OUTOFMEMORY, HOST_E_TIMEOUT, HOST_E_ABANDONED  see attempt.h
 *   HOST_E_INVALIDOPERATION                          not a live block of this heap
 */
struct hm_block_wish {
	size_t size, alignment; /* bytes; a power of two, at least HM_BLOCK_ALIGNMENT */
	EMemoryCriticalLevel level;
};
HRESULT hm_heap_alloc(struct hm_heap *heap, const struct hm_block_wish *wish, void **out);
HRESULT hm_heap_free(struct hm_heap *heap, void *block);
HRESULT hm_heap_size(struct hm_heap *heap, void *block, size_t *size);
/* Changes the size of a block where it is; S_FALSE if that cannot be. */
HRESULT hm_heap_resize(struct hm_heap *heap, void *block, size_t size,
		       EMemoryCriticalLevel level);
/* Gives back what it keeps for later; *freed receives bytes of pages. */
HRESULT hm_heap_trim(struct hm_heap *heap, size_t *freed);

/* For heappages.c, between hm_calls_enter and hm_calls_leave: a free block of that class in
 * this thread's cache or the common one; and of it or a larger one, whoever has it. */
void *hm_heap_find(struct hm_heap *heap, unsigned class);
void *hm_heap_find_anywhere(struct hm_heap *heap, unsigned class, size_t alignment);

/* All heaps of a host do that; whether there was anything.  Outside of hm_calls_enter,
 * without a lock. */
bool hm_heaps_trim(struct hm_host *host);

/* Bytes and number of what is live in all heaps of a host. */
void hm_heaps_usage(const struct hm_host *host, size_t *bytes, uint64_t *blocks);

/* The common cache takes over what a thread had that ends; `alone`: in a fork child.  Under
 * hm_caches_lock, or alone. */
void hm_heap_inherit(struct hm_heap *heap, struct hm_cache *cache, bool alone);

/* In a fork child: nobody else waits for blocks. */
void hm_heaps_after_fork(struct hm_host *host);

/* NULL if the heap keeps its rules (nobody is at work in it), else the rule broken. */
const char *hm_heap_check(struct hm_heap *heap);

/* ---- Quickly ---- */

static inline struct hm_cache *hm_heap_cache(const struct hm_heap *heap)
{
	return heap->only != NULL ? heap->only : hm_cache_at_hand(heap->number);
}

/* Whether nothing about the host is out of the ordinary; in a quick call, so that the owner
 * of the gate finds nobody in one. */
static inline bool hm_heap_may_allocate(const struct hm_host *host)
{
	return SUCCEEDED(hm_host_check(host)) && hm_gate_is_open(host) &&
	       !hm_faults_any(&host->faults);
}

static inline bool hm_heap_may_free(const struct hm_heap *heap)
{
	return SUCCEEDED(hm_host_check(heap->host)) && hm_gate_is_open(heap->host) &&
	       atomic_load_explicit(&heap->waiters, memory_order_relaxed) == 0;
}

/* A block, or NULL: ask hm_heap_alloc. */
static inline void *hm_heap_alloc_quickly(const struct hm_heap *heap, size_t size)
{
	struct hm_cache *cache = hm_heap_cache(heap);
	void *block = NULL;

	if (cache == NULL || size > HM_BLOCK_LARGEST)
		return NULL;
	hm_quick_enter(&cache->quick);
	if (hm_heap_may_allocate(heap->host))
		block = hm_cache_take(cache, hm_block_class(size));
	hm_quick_leave(&cache->quick);
	return block;
}

enum hm_freed {
	HM_FREED_NOT, /* ask hm_heap_free */
	HM_FREED,
	HM_FREED_TOO_MANY, /* and hm_heap_shed is to be called */
};

void hm_heap_shed(struct hm_heap *heap);

/* A block of a span that is not `cache`'s; in a quick call. */
enum hm_freed hm_heap_return(const struct hm_heap *heap, struct hm_cache *cache,
			     struct hm_span *span, size_t index);

static inline enum hm_freed hm_heap_free_quickly(const struct hm_heap *heap, void *block)
{
	struct hm_cache *cache = hm_heap_cache(heap);
	struct hm_span *span = hm_span_find((uintptr_t)block);
	enum hm_freed freed = HM_FREED_NOT;
	struct hm_cache *owner;
	size_t index;

	if (cache == NULL || span == NULL)
		return freed;
	hm_quick_enter(&cache->quick);
	owner = atomic_load_explicit(&span->owner, memory_order_relaxed);
	if (hm_heap_may_free(heap) && hm_span_index(span, (uintptr_t)block, &index)) {
		if (owner != cache)
			freed = hm_heap_return(heap, cache, span, index);
		else if (hm_span_is_live(span, index))
			freed = hm_cache_put(cache, span, index) ? HM_FREED_TOO_MANY
								 : HM_FREED;
	}
	hm_quick_leave(&cache->quick);
	return freed;
}

#endif
