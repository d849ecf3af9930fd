/*
 * Ways to make memory short: what a host's monitor hears of it, and what others do.
 */
#ifndef HOSTMEM_BENCH_CROSSINGS_H
#define HOSTMEM_BENCH_CROSSINGS_H

#include "latency.h"

#include <stdint.h>

enum { LOW_LOAD = 90, CALM_LOAD = 89 }; /* per cent, for all sides */

/* Ours: a host whose monitor has a thread. */
extern const struct latency_side crossing_budget;      /* its limit */
extern const struct latency_side crossing_soft_budget; /* its soft limit */
extern const struct latency_side crossing_group;       /* a group's usage */
extern const struct latency_side crossing_limit;       /* a limit of the process */

/* What a program would do without. */
extern const struct latency_side crossing_async;       /* it tells a libuv loop itself */
extern const struct latency_side crossing_event;       /* a thread waits for the group */
extern const struct latency_side crossing_group_timer; /* a libuv timer looks at it */
extern const struct latency_side crossing_limit_timer; /* and at the limit */

/* ---- The machine's part of a crossing ---- */

/* To be called in the group first; false: it cannot be used. */
bool crossing_prepare_group(void);

/* As cross and back of a side. */
double crossing_use_group(void);
void crossing_leave_group(void);
double crossing_lower_limit(void);
void crossing_raise_limit(void);

/* Whether it is short now. */
bool crossing_is_group_short(void);
bool crossing_is_limit_short(void);

/* Bytes of usage from which on the group is. */
uint64_t crossing_threshold(void);

#endif
