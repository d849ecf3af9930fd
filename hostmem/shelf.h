#ifndef HOSTMEM_SHELF_H
#define HOSTMEM_SHELF_H

#include "places.h"

/*
 * A shelf: a few places that were given back a moment ago and will be wanted in the next.
 * To their arena they are taken, so whatever needs to know what is really free clears the
 * shelves first.
 *
 * Threads have shelves as they have arenas where they look first.  No locks.
 */

/* Puts a place that its owner has done with on the shelf; false: it was full, and one of
 * the others has gone for the next time. */
bool hm_shelf_put(const struct hm_place *place);

/* Takes a place of that many granules, at a multiple of `alignment` granules, which is a
 * power of two; its address, or 0 if there is none. */
uintptr_t hm_shelf_take(struct hm_arenas *set, uint32_t count, uint32_t alignment);

/* Gives all places on all shelves of the set back to their arenas; whether there were
 * any. */
bool hm_shelves_clear(struct hm_arenas *set);

#endif
