#ifndef HOSTMEM_OS_CLIBRARY_H
#define HOSTMEM_OS_CLIBRARY_H

#include <stddef.h>

/*
 * The C library's own blocks, under whatever name malloc stands for in this process: a
 * program that has its blocks from a host has some from before, and gets some from the C
 * library itself.
 *
 * Contract: as the C library's functions without the prefix.
 */
void *hm_clibrary_malloc(size_t size);
void *hm_clibrary_calloc(size_t count, size_t size);
void *hm_clibrary_realloc(void *block, size_t size);
void *hm_clibrary_memalign(size_t alignment, size_t size);
void hm_clibrary_free(void *block);
size_t hm_clibrary_usable_size(void *block);

#endif
