#ifndef HOSTMEM_PARKED_H
#define HOSTMEM_PARKED_H

#include "os/pages.h"

#include <stdatomic.h>

/*
 * Released regions whose addresses the system would not take back, because it had no room
 * to split a mapping (vm.max_map_count).  Their memory is gone and the caller has been
 * told S_OK; only the addresses wait here until the system has room.
 *
 * They belong to the process and not to the host, which may be gone before there is room.
 */
struct hm_region;

/* Takes a LEAVING region in. */
void hm_park(struct hm_region *region);

extern _Atomic(struct hm_region *) hm_parked; /* the first of them */

/* Asks the system again, until it refuses once more. */
void hm_unpark_all(const struct hm_page_source *pages);

static inline void hm_unpark(const struct hm_page_source *pages)
{
	if (atomic_load_explicit(&hm_parked, memory_order_relaxed) != NULL)
		hm_unpark_all(pages);
}

#endif
