/*
 * What the machine has, as the preload library tells it.
 *
 * A program that asks is told no more than its limit, as in a container: runtimes size their
 * heaps by that.
 *
 * Locks: none.
 */
#include "account.h"
#include "hostmem/os/next.h"

#include <limits.h>
#include <unistd.h>

static long (*next_sysconf)(int name);

static long pages_allowed(bool left)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	IHostMemoryControl *control = hm_account_control();
	size_t bytes;

	if (control == NULL || FAILED(IHostMemoryControl_GetBudget(control, &budget)) ||
	    FAILED(IHostMemoryControl_GetUsage(control, &usage)))
		return LONG_MAX;
	bytes = budget.cbLimit;
	if (left)
		bytes -= usage.cbCharged < bytes ? usage.cbCharged : bytes;
	return (long)(bytes / (size_t)next_sysconf(_SC_PAGESIZE));
}

HOSTMEM_VISIBLE long sysconf(int name)
{
	long value;

	/* Somebody's constructor may come before ours. */
	if (next_sysconf == NULL)
		(void)hm_next_function("sysconf", &next_sysconf);
	value = next_sysconf(name);
	if (name == _SC_PHYS_PAGES || name == _SC_AVPHYS_PAGES) {
		long allowed = pages_allowed(name == _SC_AVPHYS_PAGES);

		return value < allowed ? value : allowed;
	}
	return value;
}
