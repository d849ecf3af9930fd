#ifndef HOSTMEM_HEAP_H
#define HOSTMEM_HEAP_H

#include "gate.h"
#include "threadcaches.h"

#include "abi/hostmem.h"

struct hm_debug_heap;

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
/* Large blocks of more pages are not kept for later. */
#define HM_KEPT_PAGES 16U

struct hm_heap {
	struct hm_cache *only;
	uint64_t number; /* of no other heap of the process, ever; not 0 */
	struct hm_host *host;
	uint32_t slot; /* of a thread's caches, in which the one for it is looked for */
	DWORD protect; /* of its pages */
	struct hm_cache *common;
	struct hm_lock lock; /* HM_RANK_HEAP: the common cache, the large blocks */
	struct hm_span_list large;
	struct hm_span_list
		kept[HM_KEPT_PAGES + 1]; /* freed, by pages; see heaplarge.c */
	size_t kept_bytes;
	bool kept_used;     /* since a span was last made */
	unsigned kept_next; /* the list from which something goes next */
	_Atomic size_t large_bytes, large_count;
	_Atomic size_t spans;     /* those of small blocks */
	_Atomic uint32_t waiters; /* requests that wait for a block or for memory */
	struct hm_heap *next, *previous; /* of its host, under hm_caches_lock */

	/* For debugheap.c: the heap of the blocks that have records, NULL if there is none
	 * yet; whether all have; what it is itself the heap of; what reports call it. */
	_Atomic(struct hm_debug_heap *) debug;
	bool all_debug;
	struct hm_debug_heap *within;
	void *identity;
};

static inline void hm_heap_lock(struct hm_heap *heap)
{
	hm_lock_acquire(&heap->lock, HM_RANK_HEAP);
}

static inline void hm_heap_unlock(struct hm_heap *heap)
{
	hm_lock_release(&heap->lock, HM_RANK_HEAP);
}

/* A zeroed heap of `type`, MALLOC_* bits that have been checked.  The host is held by the
 * caller's reference.  E_OUTOFMEMORY. */
HRESULT hm_heap_init(struct hm_heap *heap, struct hm_host *host, DWORD type);
/* Gives all of it back, live blocks too, and counts these as leaked. */
void hm_heap_destroy(struct hm_heap *heap);

/*
 * The methods.  Alloc and Free look at the host's state, the level and the gate, the others
 * at the gate, where they have to pass it.
 *
 *   E_OUTOFMEMORY, HOST_E_TIMEOUT, HOST_E_ABANDONED  see attempt.h
 *   HOST_E_INVALIDOPERATION                          not a live block of this heap
 */
struct hm_block_wish {
	size_t size, alignment; /* bytes; a power of two, at least HM_BLOCK_ALIGNMENT */
	EMemoryCriticalLevel level;
	bool zero; /* a large block is to read as zero; a small one is its caller's affair */
	bool modest;  /* see attempt.h */
	size_t asked; /* what the program asked for, if `size` is more than that; else 0 */
};
/* Bytes that fault rules look at. */
static inline size_t hm_block_asked(const struct hm_block_wish *wish)
{
	return hm_max(wish->asked != 0 ? wish->asked : wish->size, 1);
}
HRESULT hm_heap_alloc(struct hm_heap *heap, const struct hm_block_wish *wish, void **out);
/* NULL is S_OK. */
HRESULT hm_heap_free(struct hm_heap *heap, void *block);
HRESULT hm_heap_size(struct hm_heap *heap, void *block, size_t *size);
/* Changes the size of a block where it is; S_FALSE if that cannot be. */
HRESULT hm_heap_resize(struct hm_heap *heap, void *block, size_t size,
		       EMemoryCriticalLevel level);
/* Gives back what it keeps for later; *freed receives bytes of pages. */
HRESULT hm_heap_trim(struct hm_heap *heap, size_t *freed);

/* A block that needs no pages, of a small size; NULL = there is none at hand. */
void *hm_heap_find_ready(struct hm_heap *heap, size_t size);

/* For heappages.c, between hm_calls_enter and hm_calls_leave: a free block of that class in
 * this thread's cache or the common one; and of it or a larger one, whoever has it. */
void *hm_heap_find(struct hm_heap *heap, unsigned class);
void *hm_heap_find_anywhere(struct hm_heap *heap, unsigned class, size_t alignment);

/* Before it grows: where much of what threads have freed waits for owners who do not come by,
 * it is everybody's from now on.  Whether anything has changed. */
bool hm_heap_recall(struct hm_heap *heap);

/* Frees a block for another thread's request; what that dooms is for hm_heap_give_back.
 * Between hm_calls_enter and hm_calls_leave. */
void hm_heap_take_back(struct hm_heap *heap, void *block);

/* All heaps of a host do that; whether there was anything.  Outside of hm_calls_enter,
 * without a lock. */
bool hm_heaps_trim(struct hm_host *host);

/* Bytes and number of what is live in all heaps of a host. */
void hm_heaps_usage(const struct hm_host *host, size_t *bytes, uint64_t *blocks);

/* Takes from this thread's cache, and then from the common one, what is too much. */
void hm_heap_shed(struct hm_heap *heap);
/* Everything, for its end. */
void hm_heap_doom_all_locked(struct hm_heap *heap);

/* The common cache takes over what a thread had that ends; `alone`: in a fork child.  Under
 * hm_caches_lock, or alone.  false: not now, see hm_quick_stop. */
bool hm_heap_inherit(struct hm_heap *heap, struct hm_cache *cache, bool alone);

/* In a fork child: nobody else waits for blocks. */
void hm_heaps_after_fork(struct hm_host *host);

/* NULL if the heap keeps its rules (nobody is at work in it), else the rule broken. */
const char *hm_heap_check(struct hm_heap *heap);

/* Whether quick calls are not for it now: its host is out of use, somebody has the gate,
 * there are fault rules, or somebody waits for a block. */
bool hm_heap_is_unusual(const struct hm_heap *heap);

/* ---- Quickly ---- */

/* This thread's cache, if it is at hand. */
HM_QUICK struct hm_cache *hm_heap_cache(const struct hm_heap *heap)
{
	struct hm_cache *cache = heap->only;

	if (cache != NULL)
		return cache;
	cache = hm_cache_in_slot(heap->slot);
	return hm_cache_serves(cache, heap->number) ? cache : NULL;
}

/* Whether it has taken a block; else ask hm_heap_alloc.  `cache`: what this thread has at
 * hand, whichever heap that serves. */
HM_QUICK bool hm_heap_alloc_quickly(const struct hm_heap *heap, struct hm_cache *cache,
				    size_t size, void **block)
{
	return HM_LIKELY(size <= HM_BLOCK_LARGEST) &&
	       hm_cache_take(cache, &heap->number, hm_block_class(size), block);
}

/* Whether it has freed a block of a span of this thread's; else ask hm_heap_free. */
HM_QUICK bool hm_heap_free_quickly(const struct hm_heap *heap, struct hm_cache *cache,
				   void *block)
{
	struct hm_span *span = hm_span_find((uintptr_t)block);

	return HM_LIKELY(span != NULL) &&
	       hm_cache_try_put(cache, &heap->number, span, block);
}

#endif
