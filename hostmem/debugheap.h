#ifndef HOSTMEM_DEBUGHEAP_H
#define HOSTMEM_DEBUGHEAP_H

#include "heap.h"

/*
 * Blocks of which there is a record: those that DebugAlloc makes, and all of a heap whose
 * host has HOSTMEM_DEBUG_HEAP, or whose program is watched by a tool (os/tools.h).
 *
 * They are blocks of a second heap behind the first one, made when it is needed, which the
 * quick paths therefore never meet.  `heap` is always the first one.
 */
struct hm_debug_heap;

struct hm_debug_wish {
	size_t size, alignment; /* as hm_block_wish */
	EMemoryCriticalLevel level;
	bool zeroed; /* the block is to read as zero */
	bool modest; /* as hm_block_wish */
	bool named;  /* by DebugAlloc: */
	const char *file;
	int32_t line;
};

/* For a heap that has just been made: what it needs from the beginning.  `identity`: what
 * reports call the heap.  E_OUTOFMEMORY. */
HRESULT hm_debug_begin(struct hm_heap *heap, void *identity);
/* Its end, before hm_heap_destroy: reports what is live.  Outside of hm_calls_enter. */
void hm_debug_end(struct hm_heap *heap);

/* The methods of such blocks, results as in heap.h.  What is no block of these is
 * HOST_E_INVALIDOPERATION, and reported if they are all that the heap has. */
HRESULT hm_debug_alloc(struct hm_heap *heap, const struct hm_debug_wish *wish,
		       void **out);
HRESULT hm_debug_free(struct hm_heap *heap, void *block);
HRESULT hm_debug_size(struct hm_heap *heap, void *block, size_t *size);
HRESULT hm_debug_realloc(struct hm_heap *heap, void *block,
			 const struct hm_debug_wish *wish, bool in_place, void **out);
/* Adds to *freed. */
HRESULT hm_debug_trim(struct hm_heap *heap, size_t *freed);

/* Frees all that is kept after it was freed, of all heaps of a host; whether there was
 * anything.  Outside of hm_calls_enter, without a lock; the host is held. */
bool hm_debug_relieve(struct hm_host *host);

/* Bytes and number of what is live, as their users count it. */
void hm_debug_usage(const struct hm_debug_heap *debug, int64_t *bytes, int64_t *blocks);

/* NULL if all rules hold, else the one that is broken. */
const char *hm_debug_check(struct hm_heap *heap);

#endif
