/*
 * What a host's monitor hears when memory becomes short.
 *
 * Low begins and ends at loads that lie close together, and ends after a millisecond, so
 * that there is a crossing soon after the last; that it is found is as ever.
 */
#include "crossings.h"
#include "listener.h"
#include "measure.h"

#include <hostmem/hostmem.h>

#include <math.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define LIMIT (64 * MIB)
#define STEP (2 * MIB)

static struct listener listener;
static char *base; /* LIMIT bytes, committed but for the last */
static size_t rest;

static const HostMemThresholds thresholds = {
	.cbSize = sizeof(HostMemThresholds),
	.dwLowLoad = LOW_LOAD,
	.dwCalmLoad = CALM_LOAD,
	.dwNeutralLoad = CALM_LOAD,
	.msCalm = 1,
	.msStall = 1,
};

static const char *open_with(const HostMemBudget *budget)
{
	const char *why = listener_open(&listener, budget, &thresholds);

	if (why == NULL && listener_is_short(&listener)) {
		listener_close(&listener);
		why = "memory is short here without that";
	}
	return why;
}

static void close_listener(void)
{
	listener_close(&listener);
}

/* ---- The host's own budget ---- */

static const char *open_budget(size_t limit, size_t soft_limit, size_t committed)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	void *memory = NULL;
	const char *why;

	budget.cbLimit = limit;
	budget.cbSoftLimit = soft_limit;
	why = open_with(&budget);
	if (why != NULL)
		return why;
	rest = committed;
	if (SUCCEEDED(IHostMemoryManager_VirtualAlloc(listener.manager, NULL, 2 * LIMIT,
						      MEM_RESERVE, PAGE_READWRITE,
						      eTaskCritical, &memory)) &&
	    SUCCEEDED(IHostMemoryManager_VirtualAlloc(listener.manager, memory, rest,
						      MEM_COMMIT, PAGE_READWRITE,
						      eTaskCritical, &memory))) {
		base = memory;
		return NULL;
	}
	listener_close(&listener);
	return "no memory";
}

static const char *open_hard(void)
{
	return open_budget(LIMIT, SIZE_MAX, LIMIT / 100 * CALM_LOAD - MIB);
}

static const char *open_soft(void)
{
	return open_budget(SIZE_MAX, LIMIT, LIMIT - MIB);
}

static double commit(void)
{
	double from = measure_now();
	void *memory;
	HRESULT hr = IHostMemoryManager_VirtualAlloc(listener.manager, base + rest, STEP,
						     MEM_COMMIT, PAGE_READWRITE,
						     eTaskCritical, &memory);

	return SUCCEEDED(hr) ? from : NAN;
}

static bool decommit(void)
{
	(void)IHostMemoryManager_VirtualFree(listener.manager, base + rest, STEP,
					     MEM_DECOMMIT);
	for (unsigned i = 0; i < 2000; i++) {
		if (!listener_is_short(&listener))
			return true;
		(void)usleep(1000);
	}
	return false;
}

/* ---- The system ---- */

/* If this thread looked, the monitor could be behind it, and tell of what was before. */
static bool wait_calm(void)
{
	return SUCCEEDED(
		       IHostMemoryMonitor_SetThresholds(listener.monitor, &thresholds)) &&
	       latency_wait_calm();
}

static const char *open_group(void)
{
	const char *why = open_with(NULL);

	if (why != NULL)
		return why;
	why = listener_lacks(&listener, HostMemSourceGroupUsage);
	if (why != NULL)
		listener_close(&listener);
	return why;
}

static bool leave_group(void)
{
	crossing_leave_group();
	return wait_calm();
}

static const char *open_limit(void)
{
	crossing_raise_limit();
	return open_with(NULL);
}

static bool raise_limit(void)
{
	crossing_raise_limit();
	return wait_calm();
}

const struct latency_side crossing_budget = {
	"hostmem", 10, 0, open_hard, commit, decommit, close_listener,
};

const struct latency_side crossing_soft_budget = {
	"hostmem", 10, 0, open_soft, commit, decommit, close_listener,
};

const struct latency_side crossing_group = {
	"hostmem", 5, 0, open_group, crossing_use_group, leave_group, close_listener,
};

const struct latency_side crossing_limit = {
	"hostmem", 1, 100, open_limit, crossing_lower_limit, raise_limit, close_listener,
};
