#ifndef HOSTMEM_CONFORM_BLOCKS_H
#define HOSTMEM_CONFORM_BLOCKS_H

#include "memory.h"

/*
 * The words in which cases speak of heaps and their blocks.
 */

/* A heap that has to be there; it is released at the end of the trial, or by hm_drop before.
 * NULL after a failed check. */
IHostMalloc *hm_new_heap(struct hm_trial *t, DWORD type);
/* The same of another manager; the case releases it. */
IHostMalloc *hm_heap_of(struct hm_trial *t, IHostMemoryManager *memory, DWORD type);

/* A block that has to be there, at a multiple of 16; NULL after a failed check. */
void *hm_block(struct hm_trial *t, IHostMalloc *heap, SIZE_T size);
/* Free, which has to succeed. */
bool hm_free(struct hm_trial *t, IHostMalloc *heap, void *block);

/* Contents that differ by seed, and from byte to byte. */
void hm_fill(void *block, size_t size, uint64_t seed);
bool hm_holds(const void *block, size_t size, uint64_t seed);

/* Free of what is no live block of the heap: refused, and nothing has changed.  In a ".codes"
 * only that it is HOST_E_INVALIDOPERATION. */
bool hm_refused_block(struct hm_trial *t, IHostMalloc *heap, void *block);

/* ---- IHostMalloc2 ---- */

/* A heap by that face; NULL, and the case is skipped, if it has none.  It is released at the
 * end of the trial. */
IHostMalloc2 *hm_heap2(struct hm_trial *t);
/* A block that is filled; NULL after a failed check. */
void *hm_filled(struct hm_trial *t, IHostMalloc2 *heap, size_t size, uint64_t seed);
bool hm_free2(struct hm_trial *t, IHostMalloc2 *heap, void *block);
size_t hm_size_of(struct hm_trial *t, IHostMalloc2 *heap, void *block);

#endif
