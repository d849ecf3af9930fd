/*
 * What the tests of budgets and fault rules share: hosts with a budget, the simulator's
 * face, and memory by the page.
 */
#ifndef HOSTMEM_CONFORMANCE_BUDGET_H
#define HOSTMEM_CONFORMANCE_BUDGET_H

#include "host.h"

enum { LEVELS = 3 };

static inline HostMemBudget budget_of(size_t limit)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.cbLimit = limit;
	return budget;
}

static inline bool host_create_budget(struct host *host, const HostMemBudget *budget)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.dwFlags = HOSTMEM_MONITOR_OFF;
	config.budget = budget;
	return host_create_with(host, &config);
}

static inline HRESULT budget_set(const struct host *host, const HostMemBudget *budget)
{
	return IHostMemoryControl_SetBudget(host->control, budget);
}

static inline HostMemBudget budget_get(const struct host *host)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	CHECK_HR(IHostMemoryControl_GetBudget(host->control, &budget), S_OK);
	return budget;
}

#define CHECK_BUDGET(host, want) budget_check((host), (want), __FILE__, __LINE__)

static inline void budget_check(const struct host *host, const HostMemBudget *want,
				const char *file, int line)
{
	HostMemBudget got = budget_get(host);

	tap_check_u32(got.cbSize, want->cbSize, "cbSize", file, line);
	tap_check_u32(got.dwFlags, want->dwFlags, "dwFlags", file, line);
	tap_check_unsigned(got.cbLimit, want->cbLimit, "cbLimit", file, line);
	tap_check_unsigned(got.cbSoftLimit, want->cbSoftLimit, "cbSoftLimit", file, line);
	for (size_t i = 0; i < LEVELS; i++) {
		tap_check_unsigned(got.cbHeadroom[i], want->cbHeadroom[i], "cbHeadroom",
				   file, line);
		tap_check_unsigned(got.cbLargest[i], want->cbLargest[i], "cbLargest",
				   file, line);
		tap_check_u32(got.msWait[i], want->msWait[i], "msWait", file, line);
	}
}

/* The simulator's face; the reference goes with the host's others. */
static inline IHostMemorySimulator *host_simulator(const struct host *host)
{
	void *simulator = NULL;

	CHECK_HR(IHostMemoryManager_QueryInterface(host->manager,
						   &IID_IHostMemorySimulator, &simulator),
		 S_OK);
	if (simulator != NULL)
		IHostMemorySimulator_Release((IHostMemorySimulator *)simulator);
	return (IHostMemorySimulator *)simulator;
}

/* COMMIT of `pages` pages at a level; the memory is there already, if `base` is not NULL. */
static inline HRESULT vm_commit_pages(const struct host *host, void *base, size_t pages,
				      EMemoryCriticalLevel level)
{
	void *out;

	return vm_alloc_at_level(host, base, pages * PAGE, MEM_COMMIT, PAGE_READWRITE,
				 level, &out);
}

/* The numbers of xorshift64*. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545F4914F6CDD1D;
}

static inline size_t random_below(uint64_t *state, size_t limit)
{
	return (size_t)(random_next(state) >> 16) % limit;
}

#endif
