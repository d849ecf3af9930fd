#ifndef HOSTMEM_SHELF_H
#define HOSTMEM_SHELF_H

#include "places.h"

/*
 * A shelf: a few single granules that were given back a moment ago and will be wanted in
 * the next.  To their arena they are taken, so whatever needs to know what is really free
 * clears the shelves first.
 *
 * Threads have shelves as they have arenas where they look first.  No locks.
 */

/* Puts a granule that its owner has done with on the shelf; false: it is full. */
bool hm_shelf_put(struct hm_arenas *set, uintptr_t granule);

/* Takes the granule put there last, or nearly so; 0 if there is none. */
uintptr_t hm_shelf_take(struct hm_arenas *set);

/* Gives all granules on all shelves of the set back to their arenas; whether there were
 * any. */
bool hm_shelves_clear(struct hm_arenas *set);

#endif
