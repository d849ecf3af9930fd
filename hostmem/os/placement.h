#ifndef HOSTMEM_OS_PLACEMENT_H
#define HOSTMEM_OS_PLACEMENT_H

#include "abi/hresult.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where a reservation goes that is a mapping of its own: at a multiple of 64 KiB, in units
 * that no other reservation has anything in.
 */
struct hm_room {
	size_t size;
	size_t units; /* the same in whole 64 KiB units */
	size_t alignment;
	unsigned access, flags; /* of hm_memory_map */
};

/* Nowhere else; HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS): something is there. */
HRESULT hm_placement_exactly(void *wanted, size_t size, const struct hm_room *room,
			     void **out);

/* `high`: as high as there is room.  E_OUTOFMEMORY. */
HRESULT hm_placement_anywhere(const struct hm_room *room, bool high, void **out);

/* Pages of a reservation, which ends at `behind`, are about to be given back without the rest;
 * or are not after all.  Then comes hm_placement_note_freed. */
void hm_placement_note_part(void *address, size_t size, uintptr_t behind);
void hm_placement_forget_part(void);

/* A reservation or a part of one was given back: a place for the next. */
void hm_placement_note_freed(void *address, size_t size);

#endif
