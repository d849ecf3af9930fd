#ifndef HOSTMEM_ARENAPAGES_H
#define HOSTMEM_ARENAPAGES_H

#include "arenas.h"
#include "os/pages.h"

/*
 * Where the pages of a host come from: os/pages.h's contract, kept with arenas.
 *
 * What arenas are not for is passed on to hm_pages_posix: more than 256 KiB committed by
 * the reservation itself, more than 1 GiB, MEM_TOP_DOWN, large pages, addresses of the
 * caller's choice that are in no arena, and whatever the system gives no arena for.
 */
extern const struct hm_page_source *const hm_pages_with_guards;
extern const struct hm_page_source *const hm_pages_without_guards;
/* A mapping of its own for each, but in what arenas have at an address that is wanted. */
extern const struct hm_page_source *const hm_pages_without_arenas;

/* The source for a host with these HOSTMEM_* flags. */
const struct hm_page_source *hm_pages_choose(uint32_t flags);

/* The arenas of a source; NULL if it has none. */
struct hm_arenas *hm_pages_arenas(const struct hm_page_source *source);

/*
 * Takes address space for a reservation without committed pages, if an arena has it; false:
 * ask `reserve`, which has other ways, and knows why not.
 */
bool hm_pages_take(const struct hm_page_source *source, size_t size, size_t alignment,
		   uintptr_t *base);

/* Whether a reservation could be made, at `base` if that is not 0: a multiple of 64 KiB,
 * which no region uses. */
bool hm_pages_probe(const struct hm_page_source *source, uintptr_t base, size_t size);

/*
 * Whether the range is granules of an arena as they are when the source has reserved and
 * committed them: then it may be handed out again as it is.
 */
bool hm_pages_are_ordinary(const struct hm_page_source *source, uintptr_t base,
			   size_t size);

#endif
