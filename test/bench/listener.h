/*
 * A host with a monitor, and a callback that says what it hears.
 */
#ifndef HOSTMEM_BENCH_LISTENER_H
#define HOSTMEM_BENCH_LISTENER_H

#include <hostmem/hostmem.h>

#include <stdbool.h>

struct listener {
	IHostMemoryManager *manager;
	IHostMemoryMonitor *monitor;
};

/* NULL, or why it cannot be had.  The budget and the thresholds may be NULL.  The monitor has
 * looked once when it returns. */
const char *listener_open(struct listener *listener, const HostMemBudget *budget,
			  const HostMemThresholds *thresholds);
void listener_close(struct listener *listener);

/* Looks, on this thread. */
bool listener_is_short(const struct listener *listener);

/* NULL, or why this source is not active. */
const char *listener_lacks(const struct listener *listener, HostMemSource source);

#endif
