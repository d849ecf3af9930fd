#ifndef HOSTMEM_PARKED_H
#define HOSTMEM_PARKED_H

#include "os/pages.h"
#include "regions.h"

/*
 * Released regions whose addresses the system would not take back, because it had no room
 * to split a mapping (vm.max_map_count).  Their memory is gone and the caller has been
 * told S_OK; only the addresses wait here until the system has room.
 */
struct hm_parked {
	struct hm_lock lock;               /* HM_RANK_PARKED */
	_Atomic(struct hm_region *) first; /* linked by hm_region_link */
};

/* Takes a LEAVING region in. */
void hm_park(struct hm_parked *parked, struct hm_region *region);

/* Asks the system again, until it refuses once more.  Cheap where there is none. */
void hm_unpark(struct hm_parked *parked, const struct hm_page_source *pages);

#endif
