#ifndef HOSTMEM_CONFORM_AREAS_H
#define HOSTMEM_CONFORM_AREAS_H

#include "trial.h"

/*
 * All areas of cases, in the order in which a runtime meets them: it finds the host, takes
 * pages, takes blocks, is told of memory; and then what a host of ours offers besides.  HM_AREAS(X) is X(NAME) for each;
 * NAME is that of its hm_area_NAME.
 */
#define HM_AREAS(X) \
	X(com) \
	X(host_control) \
	X(gc_manager) \
	X(module) \
	X(reserve) \
	X(places) \
	X(commit) \
	X(commit_refused) \
	X(protections) \
	X(alloc_arguments) \
	X(alloc_types) \
	X(free) \
	X(bad_free) \
	X(protect) \
	X(bad_protect) \
	X(query) \
	X(bad_query) \
	X(query_races) \
	X(reset) \
	X(guard_pages) \
	X(write_watch) \
	X(address_space) \
	X(heap) \
	X(heap_arguments) \
	X(heap_objects) \
	X(heap_extension) \
	X(heap_realloc) \
	X(memory_load) \
	X(notification) \
	X(notices) \
	X(notices_inside) \
	X(low_memory) \
	X(standing_low) \
	X(usage) \
	X(usage_records) \
	X(budget) \
	X(budget_inputs) \
	X(events) \
	X(events_failure) \
	X(events_inside) \
	X(events_sum) \
	X(reclaim) \
	X(waiting) \
	X(gate) \
	X(faults) \
	X(faults_path) \
	X(shutdown) \
	X(pages) \
	X(walk) \
	X(bounds) \
	X(monitor)

#define HM_DECLARE_AREA(name) extern const struct hm_area hm_area_##name;
HM_AREAS(HM_DECLARE_AREA)
#undef HM_DECLARE_AREA

#endif
