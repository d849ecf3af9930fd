/*
 * Parked regions: a list, newest first.
 *
 * It is tried again before each reservation and after each release, which is when there
 * may be room again.  One refusal ends the round: the next one would be refused as well.
 *
 * Locks: HM_RANK_PARKED around the list, not across the system call.
 */
#include "parked.h"

#include <stddef.h>

void hm_park(struct hm_parked *parked, struct hm_region *region)
{
	hm_region_set_phase(region, HM_REGION_PARKED);
	hm_lock_acquire(&parked->lock, HM_RANK_PARKED);
	atomic_store_explicit(hm_region_link(region),
			      (uintptr_t)atomic_load_explicit(&parked->first,
							      memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(&parked->first, region, memory_order_relaxed);
	hm_lock_release(&parked->lock, HM_RANK_PARKED);
}

static struct hm_region *take(struct hm_parked *parked)
{
	struct hm_region *region;

	if (atomic_load_explicit(&parked->first, memory_order_relaxed) == NULL)
		return NULL;
	hm_lock_acquire(&parked->lock, HM_RANK_PARKED);
	region = atomic_load_explicit(&parked->first, memory_order_relaxed);
	if (region != NULL)
		atomic_store_explicit(&parked->first,
				      (struct hm_region *)(uintptr_t)
					      atomic_load_explicit(hm_region_link(region),
								   memory_order_relaxed),
				      memory_order_relaxed);
	hm_lock_release(&parked->lock, HM_RANK_PARKED);
	return region;
}

void hm_unpark(struct hm_parked *parked, const struct hm_page_source *pages)
{
	struct hm_region *region;

	while ((region = take(parked)) != NULL) {
		uintptr_t base = hm_region_base(region);
		uint64_t version;

		/* Whoever is given the addresses next may take the record out. */
		hm_region_set_phase(region, HM_REGION_LEAVING);
		version = hm_region_version(region);
		if (pages->release(pages, (void *)base, hm_region_end(region) - base) !=
		    S_OK) {
			hm_park(parked, region);
			return;
		}
		hm_regions_remove(region, version);
	}
}
