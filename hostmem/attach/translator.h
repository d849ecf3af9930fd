#ifndef HOSTMEM_ATTACH_TRANSLATOR_H
#define HOSTMEM_ATTACH_TRANSLATOR_H

#include "pieces.h"

#include <stddef.h>
#include <stdint.h>

/*
 * The pieces of the translation that more than one of the system's functions needs.
 *
 * Between hm_translation_begin and hm_translation_end signals are held back: a runtime that
 * stops its threads by signals must not stop one inside the host, whose locks the others are
 * about to need.
 */
/* errno as it is, which is the runtime's. */
int hm_translation_begin(void);
/* The result for the runtime: 0 and errno as it was, or -1 and errno if `error` is not 0. */
int hm_translation_end(int before, int error);

/* Whether the range is what the system takes: at a page, not empty, not beyond the address
 * space; *end is rounded up.  If not, the system knows the error. */
bool hm_range_is_plain(const void *address, size_t size, uintptr_t *end);

/* Gives back a range of any owners; errno, 0 on success. */
int hm_unmap_pieces(uintptr_t start, uintptr_t end);

/* Changes the access of a range of any owners, and commits what has none; errno. */
int hm_protect_pieces(uintptr_t start, uintptr_t end, int protection);

/* Maps fresh memory over a range of any owners; errno, 0 on success. */
int hm_map_over(uintptr_t start, uintptr_t end, int protection, int flags);

/* The system is about to map something of its own over a range: what is the host's there
 * becomes an overlay.  errno, 0 on success; if there is a heap's page, nothing has changed. */
int hm_cover_pieces(uintptr_t start, uintptr_t end);
/* It was refused: all overlays of the range go, and what was there is lost. */
void hm_uncover_pieces(uintptr_t start, uintptr_t end);

#endif
