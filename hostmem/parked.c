/*
 * Parked regions: a list, newest first.
 *
 * It is tried again before each reservation and after each release, by whichever host:
 * that is when there may be room.  One refusal ends the round, since the next one would be
 * refused as well.
 *
 * Locks: HM_RANK_PARKED around the list, not across the system call.
 */
#include "parked.h"
#include "regions.h"

#include <stddef.h>

static struct hm_lock lock;
_Atomic(struct hm_region *) hm_parked; /* linked by hm_region_link */

static struct hm_region *next_of(struct hm_region *region)
{
	return (struct hm_region *)(uintptr_t)atomic_load_explicit(hm_region_link(region),
								   memory_order_relaxed);
}

void hm_park(struct hm_region *region)
{
	hm_region_set_phase(region, HM_REGION_PARKED);
	hm_lock_acquire(&lock, HM_RANK_PARKED);
	atomic_store_explicit(hm_region_link(region),
			      (uintptr_t)atomic_load_explicit(&hm_parked,
							      memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(&hm_parked, region, memory_order_relaxed);
	hm_lock_release(&lock, HM_RANK_PARKED);
}

static struct hm_region *take(void)
{
	struct hm_region *region;

	if (atomic_load_explicit(&hm_parked, memory_order_relaxed) == NULL)
		return NULL;
	hm_lock_acquire(&lock, HM_RANK_PARKED);
	region = atomic_load_explicit(&hm_parked, memory_order_relaxed);
	if (region != NULL)
		atomic_store_explicit(&hm_parked, next_of(region), memory_order_relaxed);
	hm_lock_release(&lock, HM_RANK_PARKED);
	return region;
}

void hm_unpark_all(const struct hm_page_source *pages)
{
	struct hm_region *region;

	while ((region = take()) != NULL) {
		uintptr_t base = hm_region_base(region);
		size_t size = hm_region_end(region) - base;
		struct hm_region_ticket ticket = { .region = region };

		/* Whoever is given the addresses next may take the record out. */
		hm_region_set_phase(region, HM_REGION_LEAVING);
		ticket.version = hm_region_version(region);
		if (pages->release(pages, (void *)base, size, NULL) != S_OK) {
			hm_park(region);
			return;
		}
		hm_regions_remove(&ticket);
	}
}
