/*
 * Regions whose hosts are pointers to nothing and whose addresses are never looked at.
 */
#ifndef HOSTMEM_UNIT_MAP_H
#define HOSTMEM_UNIT_MAP_H

#include "fake.h"
#include "hostmem/os/size.h"
#include "hostmem/regions.h"

static char hosts[2];

static inline struct hm_host *host(size_t i)
{
	return (struct hm_host *)(void *)&hosts[i];
}

static inline struct hm_region_fields fields_of(uintptr_t base, uintptr_t end,
						enum hm_region_phase phase)
{
	return (struct hm_region_fields){
		.host = host(0),
		.base = base,
		.end = end,
		.states = hm_states_uniform(hm_states_levels(hm_pages(end - base)),
					    HM_STATE_RESERVED),
		.protection = 4,
		.phase = phase,
	};
}

static inline HRESULT enter_as(uintptr_t base, size_t size, bool exact,
			       enum hm_region_phase phase)
{
	struct hm_region_fields fields = fields_of(base, base + size, phase);
	struct hm_region_ticket ticket;

	return hm_regions_enter(&fields, exact, &ticket);
}

static inline void enter(uintptr_t base, size_t size)
{
	CHECK_HR(enter_as(base, size, false, HM_REGION_LIVE), S_OK);
}

static inline struct hm_region *record_at(uintptr_t address)
{
	struct hm_region_view view = { .region = NULL };

	return hm_regions_find(address, &view) ? view.region : NULL;
}

static inline void remove_record(struct hm_region *region)
{
	struct hm_region_ticket ticket = { region, hm_region_version(region) };

	hm_regions_remove(&ticket);
}

static inline void drop(uintptr_t address)
{
	struct hm_region *region = record_at(address);

	if (!CHECK(region != NULL))
		return;
	hm_region_set_phase(region, HM_REGION_LEAVING);
	remove_record(region);
}

/* The base of what each search finds; 0 for nothing. */
static inline uintptr_t found(uintptr_t address)
{
	struct hm_region_view view;

	return hm_regions_find(address, &view) ? view.base : 0;
}

static inline uintptr_t previous(uintptr_t address)
{
	struct hm_region_view view;

	return hm_regions_previous(address, &view) ? view.base : 0;
}

static inline uintptr_t next(uintptr_t address)
{
	struct hm_region_view view;

	return hm_regions_next(address, &view) ? view.base : 0;
}

static inline void check_empty(void)
{
	CHECK_STR(hm_regions_check(), NULL);
	CHECK_SIZE(next(0), 0);
	CHECK_SIZE(previous(HM_SYSTEM_END - 1), 0);
}

#endif
