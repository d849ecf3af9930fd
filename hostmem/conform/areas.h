#ifndef HOSTMEM_CONFORM_AREAS_H
#define HOSTMEM_CONFORM_AREAS_H

#include "trial.h"

/* One area of cases each; suite.c has the list. */
extern const struct hm_area hm_area_alloc_arguments;
extern const struct hm_area hm_area_alloc_types;
extern const struct hm_area hm_area_budget;
extern const struct hm_area hm_area_budget_inputs;
extern const struct hm_area hm_area_com;
extern const struct hm_area hm_area_commit;
extern const struct hm_area hm_area_commit_refused;
extern const struct hm_area hm_area_events;
extern const struct hm_area hm_area_events_failure;
extern const struct hm_area hm_area_events_inside;
extern const struct hm_area hm_area_events_sum;
extern const struct hm_area hm_area_faults;
extern const struct hm_area hm_area_faults_path;
extern const struct hm_area hm_area_gate;
extern const struct hm_area hm_area_places;
extern const struct hm_area hm_area_protections;
extern const struct hm_area hm_area_reclaim;
extern const struct hm_area hm_area_reserve;
extern const struct hm_area hm_area_usage;
extern const struct hm_area hm_area_waiting;

#endif
