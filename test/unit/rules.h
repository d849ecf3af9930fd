/*
 * What the tests of fault rules share: a list of rules, and requests that pass them.
 */
#ifndef HOSTMEM_UNIT_RULES_H
#define HOSTMEM_UNIT_RULES_H

#include "fake.h"
#include "hostmem/faults.h"

/* A rule in a table has no count, so it fires for good unless it says otherwise. */
#define REFUSES .result = E_OUTOFMEMORY

static struct hm_faults faults;
static size_t in_use;

static inline void start_empty(void)
{
	memset(&faults, 0, sizeof(faults));
	in_use = hm_metadata_in_use();
}

static inline void end(void)
{
	hm_faults_destroy(&faults);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
}

static inline uint64_t add(const HostMemFault *fault)
{
	uint64_t cookie = 0;

	CHECK_HR(hm_faults_check(fault), S_OK);
	CHECK_HR(hm_faults_add(&faults, fault, &cookie), S_OK);
	return cookie;
}

/* What fires on a request of that size: its result, or S_OK. */
static inline HRESULT pass(const struct hm_fault_query *query)
{
	HRESULT result = S_OK;
	uint32_t ms = 77;
	bool fires = hm_faults_fire(&faults, query, &result, &ms);

	CHECK(fires == FAILED(result));
	CHECK(fires || ms == 77);
	return result;
}

static const struct hm_fault_query commit = { HostMemCommit, eTaskCritical,
					      HOSTMEM_FAULT_BUDGET, PAGE };

#endif
