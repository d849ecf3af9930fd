/*
 * A workload that looks random and is not: calls drawn from a seed, made by the test and,
 * nested, from inside the callbacks of subscribers and the reclaimer.
 *
 * What it does depends on nothing but the seed and the answers that it gets.  Regions are
 * told by number and offset, never by address.  One thread, one workload; several may share
 * a host.
 */
#ifndef HOSTMEM_CONFORMANCE_WORKLOAD_H
#define HOSTMEM_CONFORMANCE_WORKLOAD_H

#include "budget.h"
#include "recorder.h"

enum {
	WORKLOAD_DEPTH = 3,  /* calls inside each other */
	WORKLOAD_SLOTS = 6,  /* regions of each depth */
	WORKLOAD_PAGES = 16, /* of a region, at most */
	WORKLOAD_RULES = 4,
	WORKLOAD_LIMIT = 96, /* pages; budgets have this much or less */
};

/* What a call from inside a callback may touch of those outside it. */
enum workload_reach {
	REACH_OWN,   /* nothing */
	REACH_PAGES, /* commits and decommits their pages */
	REACH_ALL,   /* releases their regions */
};

struct workload_region {
	void *origin, *base;
	size_t pages;
	uint32_t number; /* 0: none */
};

struct workload {
	const struct host *host;
	IHostMemorySimulator *simulator;
	enum workload_reach reach;
	uint32_t budget_flags; /* of every budget */
	bool one_of_many;      /* other threads work on the host */
	bool in_virtual_time;  /* it waits, and says what memory there is */
	bool quiet;            /* subscribers do nothing any more */
	uint64_t random;
	unsigned depth;
	uint32_t regions; /* numbers given */
	struct workload_region slots[WORKLOAD_DEPTH][WORKLOAD_SLOTS];
	/* Being released, innermost last. */
	struct workload_region leaving[WORKLOAD_DEPTH];
	unsigned leaving_count;
	uint64_t rules[WORKLOAD_RULES];
	uint64_t extra; /* a subscription that comes and goes */
	void (*note)(struct workload *workload, const char *call,
		     const struct workload_region *region, size_t page, size_t pages,
		     HRESULT hr);
	struct workload_heap *heap; /* or NULL; see workload_heap.h */
	void (*call_heap)(struct workload *workload);
};

/* The one of this thread, for callbacks. */
static __thread struct workload *workload_current;

static inline size_t workload_draw(struct workload *workload, size_t limit)
{
	return random_below(&workload->random, limit);
}

static inline void workload_note(struct workload *workload, const char *call,
				 const struct workload_region *region, size_t page,
				 size_t pages, HRESULT hr)
{
	if (workload->note != NULL)
		workload->note(workload, call, region, page, pages, hr);
}

/* A slot for a call of this depth; `closely`: whose region may go.  What is deeper may go
 * during the call. */
static inline struct workload_region *workload_slot(struct workload *workload,
						    bool closely)
{
	unsigned depth = workload->depth;

	if (workload->reach == REACH_ALL)
		depth = (unsigned)workload_draw(workload, WORKLOAD_DEPTH);
	else if (workload->reach == REACH_PAGES && !closely)
		depth = (unsigned)workload_draw(workload, depth + 1);
	return &workload->slots[depth][workload_draw(workload, WORKLOAD_SLOTS)];
}

/* Answers that a call may get here; what else is wrong. */
static inline void workload_check(const struct workload *workload, HRESULT hr)
{
	bool gone = hr == HR_INVALID_ADDRESS || hr == HOST_E_INVALIDOPERATION ||
		    hr == E_INVALIDARG;

	if (hr != S_OK && hr != E_OUTOFMEMORY && hr != HOST_E_TIMEOUT)
		CHECK(gone && workload->reach == REACH_ALL);
}

/* ---- Calls ---- */

static inline void workload_release(struct workload *workload,
				    struct workload_region *slot)
{
	struct workload_region region = *slot;
	HRESULT hr;

	if (region.number == 0)
		return;
	slot->number = 0;
	workload->leaving[workload->leaving_count++] = region;
	hr = vm_release(workload->host, region.base);
	workload->leaving_count--;
	CHECK_HR(hr, S_OK);
	workload_note(workload, "release", &region, 0, region.pages, hr);
}

static inline void workload_reserve(struct workload *workload)
{
	struct workload_region *slot = workload_slot(workload, true);
	size_t pages = 1 + workload_draw(workload, WORKLOAD_PAGES);
	EMemoryCriticalLevel level = (EMemoryCriticalLevel)workload_draw(workload,
									 LEVELS);
	DWORD type = workload_draw(workload, 2) ? MEM_RESERVE : MEM_COMMIT;
	struct workload_region region = { NULL, NULL, pages, 0 };
	HRESULT hr;

	if (slot->number != 0) {
		workload_release(workload, slot);
		return;
	}
	hr = vm_alloc_at_level(workload->host, NULL, pages * PAGE, type, PAGE_READWRITE,
			       level, &region.base);
	workload_check(workload, hr);
	region.origin = region.base;
	if (SUCCEEDED(hr))
		region.number = ++workload->regions;
	workload_note(workload, type == MEM_COMMIT ? "take" : "reserve", &region, 0,
		      pages, hr);
	/* Somebody inside may have been quicker. */
	if (SUCCEEDED(hr) && slot->number != 0)
		workload_release(workload, slot);
	if (SUCCEEDED(hr))
		*slot = region;
}

static inline void workload_commit(struct workload *workload)
{
	struct workload_region region = *workload_slot(workload, false);
	EMemoryCriticalLevel level = (EMemoryCriticalLevel)workload_draw(workload,
									 LEVELS);
	DWORD protect = workload_draw(workload, 4) ? PAGE_READWRITE : PAGE_READONLY;
	size_t page, pages;
	void *out;
	HRESULT hr;

	if (region.number == 0)
		return;
	page = workload_draw(workload, region.pages);
	pages = 1 + workload_draw(workload, region.pages - page);
	hr = vm_alloc_at_level(workload->host, at(region.base, page * PAGE), pages * PAGE,
			       MEM_COMMIT, protect, level, &out);
	workload_check(workload, hr);
	workload_note(workload, "commit", &region, page, pages, hr);
}

static inline void workload_decommit(struct workload *workload)
{
	struct workload_region region = *workload_slot(workload, false);
	size_t page, pages;
	HRESULT hr;

	if (region.number == 0)
		return;
	page = workload_draw(workload, region.pages);
	pages = 1 + workload_draw(workload, region.pages - page);
	hr = vm_free(workload->host, at(region.base, page * PAGE), pages * PAGE,
		     MEM_DECOMMIT);
	CHECK_HR(hr, S_OK);
	workload_note(workload, "decommit", &region, page, pages, hr);
}

/* Cuts a page off, at either end. */
static inline void workload_cut(struct workload *workload)
{
	struct workload_region *slot = workload_slot(workload, true);
	struct workload_region region = *slot;
	bool front = workload_draw(workload, 2) != 0;
	HRESULT hr;

	if (region.number == 0 || region.pages == 1)
		return;
	slot->pages--;
	if (front)
		slot->base = at(region.base, PAGE);
	workload->leaving[workload->leaving_count++] = region;
	hr = IHostMemoryPages_ReleaseRange(
		workload->host->pages,
		front ? region.base : at(region.base, (region.pages - 1) * PAGE), PAGE);
	workload->leaving_count--;
	CHECK_HR(hr, S_OK);
	workload_note(workload, "cut", &region, front ? 0 : region.pages - 1, 1, hr);
}

static inline void workload_map(struct workload *workload)
{
	void *start = at(NULL, 0x300000000 + workload_draw(workload, 4) * UNIT);
	size_t pages = workload_draw(workload, 20);
	HRESULT hr;

	if (workload_draw(workload, 2) != 0) {
		hr = IHostMemoryManager_AcquiredVirtualAddressSpace(
			workload->host->manager, start, pages * PAGE);
		CHECK_HR(hr, S_OK);
	} else {
		hr = IHostMemoryManager_ReleasedVirtualAddressSpace(
			workload->host->manager, start);
		CHECK(hr == S_OK || hr == HOST_E_INVALIDOPERATION);
	}
	workload_note(workload, "map", NULL, 0, pages, workload->one_of_many ? S_OK : hr);
}

static inline void workload_budget(struct workload *workload)
{
	size_t limit = workload_draw(workload, WORKLOAD_LIMIT) * PAGE;
	HostMemBudget budget = budget_of(workload_draw(workload, 3) ? limit : SIZE_MAX);

	budget.dwFlags = workload->budget_flags;
	budget.cbHeadroom[eTaskCritical] = workload_draw(workload, 2) ? limit / 3 : 0;
	budget.cbHeadroom[eAppDomainCritical] = budget.cbHeadroom[eTaskCritical] / 2;
	budget.cbLargest[eTaskCritical] = (1 + workload_draw(workload, 24)) * PAGE;
	if (workload->in_virtual_time)
		budget.msWait[workload_draw(workload, LEVELS)] =
			(uint32_t)workload_draw(workload, 4) * 1000;
	CHECK_HR(budget_set(workload->host, &budget), S_OK);
	workload_note(workload, "budget", NULL, 0, budget.cbLimit / PAGE, S_OK);
}

static inline void workload_rule(struct workload *workload)
{
	uint64_t *rule = &workload->rules[workload_draw(workload, WORKLOAD_RULES)];
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	HRESULT hr;

	if (*rule != 0)
		CHECK_HR(IHostMemorySimulator_RemoveFault(workload->simulator, *rule),
			 S_OK);
	*rule = 0;
	fault.place = (uint32_t)workload_draw(workload, 2);
	fault.probability = (double)workload_draw(workload, 4) / 16;
	fault.seed = random_next(&workload->random);
	fault.count = workload_draw(workload, 20);
	fault.result = workload_draw(workload, 3) ? E_OUTOFMEMORY : HOST_E_TIMEOUT;
	if (fault.probability == 0.0)
		fault.every = 2 + workload_draw(workload, 9);
	if (workload->in_virtual_time)
		fault.msDelay = (uint32_t)workload_draw(workload, 3) * 500;
	hr = IHostMemorySimulator_AddFault(workload->simulator, &fault, rule);
	CHECK_HR(hr, S_OK);
	workload_note(workload, "rule", NULL, fault.place, 0, fault.result);
}

/* Says how much memory there is, or lets time go by. */
static inline void workload_memory(struct workload *workload)
{
	IHostMemorySimulator *simulator = workload->simulator;
	uint32_t what = (uint32_t)workload_draw(workload, 5);
	uint32_t figure = (uint32_t)workload_draw(workload, 100);

	if (what < 2)
		CHECK_HR(IHostMemorySimulator_SetMemoryLoad(simulator, figure,
							    (100 - figure) * 16 * UNIT *
								    UNIT / PAGE),
			 S_OK);
	else if (what == 2)
		CHECK_HR(IHostMemorySimulator_SetAvailability(
				 simulator, (EMemoryAvailable)(1 + figure % 3)),
			 S_OK);
	else if (what == 3)
		CHECK_HR(IHostMemorySimulator_ClearAvailability(simulator), S_OK);
	else
		CHECK_HR(IHostMemorySimulator_Advance(simulator, figure * 50), S_OK);
	workload_note(workload, "memory", NULL, what, figure, S_OK);
}

static inline void workload_call(struct workload *workload)
{
	static void (*const calls[])(struct workload *) = {
		workload_reserve,  workload_reserve, workload_reserve, workload_reserve,
		workload_commit,   workload_commit,  workload_commit,  workload_commit,
		workload_decommit, workload_cut,     workload_map,     workload_budget,
		workload_rule,     workload_memory,
	};
	size_t count = ROWS(calls) - (workload->in_virtual_time ? 0 : 1);
	size_t drawn = workload_draw(workload, count + (workload->heap != NULL ? 8 : 0));

	if (drawn < count)
		calls[drawn](workload);
	else
		workload->call_heap(workload);
}

/* ---- From inside callbacks ---- */

static inline BOOL HOSTMEM_CALL workload_agree(void *state, const HostMemEvent *event)
{
	(void)state;
	(void)event;
	return TRUE;
}

static inline void workload_nested(struct workload *workload)
{
	if (workload->depth + 1 == WORKLOAD_DEPTH)
		return;
	workload->depth++;
	workload_call(workload);
	workload->depth--;
}

static inline void workload_toggle(struct workload *workload)
{
	IHostMemoryControl *control = workload->host->control;

	if (workload->extra != 0) {
		CHECK_HR(IHostMemoryControl_Unsubscribe(control, workload->extra), S_OK);
		workload->extra = 0;
		return;
	}
	CHECK_HR(IHostMemoryControl_Subscribe(control, ALL_BITS, workload_agree, NULL,
					      &workload->extra),
		 S_OK);
}

/* A subscriber that now and then does something itself, or says no. */
static inline BOOL HOSTMEM_CALL workload_meddle(void *state, const HostMemEvent *event)
{
	struct workload *workload = workload_current;

	(void)state;
	(void)event;
	if (workload->quiet)
		return TRUE;
	switch (workload_draw(workload, 10)) {
	case 0:
		return FALSE;
	case 1:
		workload_toggle(workload);
		return TRUE;
	case 2:
	case 3:
		workload_nested(workload);
		return TRUE;
	default:
		return TRUE;
	}
}

static inline size_t HOSTMEM_CALL workload_reclaim(void *state, size_t wanted)
{
	struct workload *workload = workload_current;

	(void)state;
	workload_note(workload, "reclaim", NULL, 0, wanted / PAGE, S_OK);
	if (workload->depth + 1 == WORKLOAD_DEPTH)
		return 0;
	workload->depth++;
	workload_release(workload, workload_slot(workload, true));
	workload_call(workload);
	workload->depth--;
	return 0;
}

/* ---- The whole ---- */

static inline void workload_start(struct workload *workload, const struct host *host,
				  enum workload_reach reach, uint64_t seed)
{
	memset(workload, 0, sizeof(*workload));
	workload->host = host;
	workload->simulator = host_simulator(host);
	workload->reach = reach;
	workload->random = seed * 2 + 1;
	workload_current = workload;
}

/* Releases what is left, in an order that no address has a say in. */
static inline void workload_end(struct workload *workload)
{
	for (unsigned depth = 0; depth < WORKLOAD_DEPTH; depth++) {
		for (unsigned i = 0; i < WORKLOAD_SLOTS; i++)
			workload_release(workload, &workload->slots[depth][i]);
	}
}

#endif
