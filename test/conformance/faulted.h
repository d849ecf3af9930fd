/*
 * A host with a reservation, on which requests are refused on demand.
 */
#ifndef HOSTMEM_CONFORMANCE_FAULTED_H
#define HOSTMEM_CONFORMANCE_FAULTED_H

#include "budget.h"
#include "recorder.h"

struct faulted {
	struct host host;
	IHostMemorySimulator *simulator;
	void *base; /* 64 KiB, reserved */
};

/* `budget` may be NULL. */
static inline bool faulted_make(struct faulted *faulted, const HostMemBudget *budget)
{
	if (!host_create_budget(&faulted->host, budget))
		return false;
	faulted->simulator = host_simulator(&faulted->host);
	faulted->base = vm_new(&faulted->host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	return faulted->simulator != NULL && faulted->base != NULL;
}

static inline void faulted_end(struct faulted *faulted)
{
	host_destroy(&faulted->host);
}

/* Every request that matches fails with `result`, for good. */
static inline HostMemFault fault_always(HRESULT result)
{
	HostMemFault fault = HOSTMEM_FAULT_INIT;

	fault.count = 0;
	fault.result = result;
	return fault;
}

static inline uint64_t faulted_add(const struct faulted *faulted,
				   const HostMemFault *fault)
{
	uint64_t cookie = 0;

	CHECK_HR(IHostMemorySimulator_AddFault(faulted->simulator, fault, &cookie), S_OK);
	return cookie;
}

/* Commits the first page of the reservation, and gives it back. */
static inline HRESULT faulted_take(const struct faulted *faulted)
{
	HRESULT hr = vm_commit_pages(&faulted->host, faulted->base, 1, eTaskCritical);

	if (SUCCEEDED(hr))
		CHECK_HR(vm_free(&faulted->host, faulted->base, PAGE, MEM_DECOMMIT),
			 S_OK);
	return hr;
}

/* A request for one page is refused on demand, and changes but the count of those. */
static inline void faulted_check_refusal(const struct faulted *faulted, void *address,
					 DWORD type, HRESULT want)
{
	struct snapshot before;
	void *out;

	snapshot_take(&before, &faulted->host);
	CHECK_HR(vm_alloc(&faulted->host, address, PAGE, type, PAGE_READWRITE, &out),
		 want);
	CHECK_UNCHANGED(&before);
	CHECK_SIZE(host_usage(&faulted->host).cRefusedInjected,
		   before.usage.cRefusedInjected + 1);
	CHECK_SIZE(host_usage(&faulted->host).cRefusedBudget,
		   before.usage.cRefusedBudget);
	CHECK_SIZE(host_usage(&faulted->host).cFailedOs, before.usage.cFailedOs);
}

#endif
