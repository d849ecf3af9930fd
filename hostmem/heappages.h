#ifndef HOSTMEM_HEAPPAGES_H
#define HOSTMEM_HEAPPAGES_H

#include "heap.h"
#include "request.h"

/*
 * Pages for a heap, and back: requests of operation HostMemHeap.
 */

/* A block of `class`, or of a larger one, for which there may be no pages yet.  Outside of
 * hm_calls_enter.  E_OUTOFMEMORY, HOST_E_TIMEOUT, HOST_E_ABANDONED. */
HRESULT hm_heap_grow(struct hm_heap *heap, const struct hm_block_wish *wish,
		     unsigned class, void **out);

/* A block with pages of its own. */
HRESULT hm_heap_alloc_large(struct hm_heap *heap, const struct hm_block_wish *wish,
			    void **out);
/* It is free: keeps it for later, or dooms it; under the heap's lock.  true: there is something
 * to give back. */
bool hm_heap_free_large_locked(struct hm_heap *heap, struct hm_span *span);
/* Dooms what is kept. */
void hm_heap_doom_kept_locked(struct hm_heap *heap);
/* One of them, if none was of use since this was called last. */
void hm_heap_doom_unwanted(struct hm_heap *heap);
/* Changes the number of its pages; S_FALSE: there is no room behind it. */
HRESULT hm_heap_resize_large(struct hm_heap *heap, struct hm_span *span, size_t size,
			     EMemoryCriticalLevel level);

/* A span that is in no list any more is to be given back; nobody finds it from now on.  Any lock up to HM_RANK_QUICK
 * may be held. */
void hm_heap_doom(struct hm_host *host, struct hm_span *span);
/* Gives the pages of all doomed spans of a host back; how many bytes were refunded.  Their
 * records go, too.  Outside of hm_calls_enter, without a lock. */
size_t hm_heap_give_back(struct hm_host *host);

#endif
