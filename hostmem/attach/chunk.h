#ifndef HOSTMEM_ATTACH_CHUNK_H
#define HOSTMEM_ATTACH_CHUNK_H

#include "abi/hostmemory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Small mappings, side by side in reservations that they share.
 *
 * Sizes and addresses are whole pages.
 */

/* Whether it is for committed memory of that size, by what the host charges and refuses now. */
bool hm_chunk_is_for(size_t size);

/* Commits so many bytes.  HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS): there is no chunk to be
 * had, which says nothing about the memory; other failures are the host's. */
HRESULT hm_chunk_take(size_t size, DWORD protect, EMemoryCriticalLevel level, void **out);

/* Takes back what lies next to what is free in the chunk; false: it does not, or the host did
 * not let it go. */
bool hm_chunk_give_back(uintptr_t start, uintptr_t end);

/* The runtime names pages of the range: if what is free is among them, it goes back. */
void hm_chunk_keep_out(uintptr_t start, uintptr_t end);

#endif
