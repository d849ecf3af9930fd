/*
 * The cycles as a runtime makes them: through the vtables of a host, by the public
 * headers only.
 */
#include "lane.h"

static bool alloc(struct lane *lane, void *at, size_t size, DWORD type, void **block)
{
	DWORD protect = (type & MEM_COMMIT) != 0 ? PAGE_READWRITE : PAGE_NOACCESS;
	HRESULT hr = IHostMemoryManager_VirtualAlloc(lane->vm, at, size, type, protect,
						     eTaskCritical, block);

	return SUCCEEDED(hr) || lane_refused(lane, "VirtualAlloc", HostMemResultName(hr));
}

static bool give_back(struct lane *lane, void *block, size_t size, DWORD type)
{
	HRESULT hr = IHostMemoryManager_VirtualFree(lane->vm, block, size, type);

	return SUCCEEDED(hr) || lane_refused(lane, "VirtualFree", HostMemResultName(hr));
}

static void close_region(struct lane *lane)
{
	if (lane->region != NULL)
		(void)give_back(lane, lane->region, 0, MEM_RELEASE);
	lane->region = NULL;
}

static bool run_reserve(void *state, size_t times)
{
	struct lane *lane = state;
	void *block;

	for (size_t i = 0; i < times; i++) {
		if (!alloc(lane, NULL, lane->size, MEM_RESERVE, &block) ||
		    !give_back(lane, block, 0, MEM_RELEASE))
			return false;
	}
	return true;
}

const struct cycle ours_reserve = { .work = { .run = run_reserve } };

static bool run_alloc(void *state, size_t times)
{
	struct lane *lane = state;
	void *block;

	for (size_t i = 0; i < times; i++) {
		if (!alloc(lane, NULL, lane->size, MEM_RESERVE | MEM_COMMIT, &block))
			return false;
		lane_touch(lane, block);
		if (!give_back(lane, block, 0, MEM_RELEASE))
			return false;
	}
	return true;
}

const struct cycle ours_alloc = { .work = { .run = run_alloc } };

static BOOL HOSTMEM_CALL hears_and_agrees(void *state, const HostMemEvent *event)
{
	(void)state;
	(void)event;
	return TRUE;
}

static bool subscribe(void *state, size_t times)
{
	struct lane *lane = state;
	HRESULT hr;

	(void)times;
	if (!lane->first)
		return true;
	hr = IHostMemoryControl_Subscribe(lane->control, 7, hears_and_agrees, NULL,
					  &lane->cookie);
	return SUCCEEDED(hr) || lane_refused(lane, "Subscribe", HostMemResultName(hr));
}

static bool unsubscribe(void *state, size_t times)
{
	struct lane *lane = state;
	HRESULT hr;

	(void)times;
	if (!lane->first)
		return true;
	hr = IHostMemoryControl_Unsubscribe(lane->control, lane->cookie);
	return SUCCEEDED(hr) || lane_refused(lane, "Unsubscribe", HostMemResultName(hr));
}

const struct cycle ours_alloc_heard = {
	.work = { .before = subscribe, .run = run_alloc, .after = unsubscribe },
};

static bool set_budget(struct lane *lane, const HostMemBudget *budget)
{
	HRESULT hr;

	if (!lane->first)
		return true;
	hr = IHostMemoryControl_SetBudget(lane->control, budget);
	return SUCCEEDED(hr) || lane_refused(lane, "SetBudget", HostMemResultName(hr));
}

static bool limit(void *state, size_t times)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	(void)times;
	budget.cbLimit = (size_t)64 * GIB;
	for (unsigned level = eTaskCritical; level <= eProcessCritical; level++) {
		budget.cbHeadroom[level] = (eProcessCritical - level) * GIB;
		budget.cbLargest[level] = (level + 1) * GIB;
		budget.msWait[level] = 1;
	}
	return set_budget(state, &budget);
}

static bool unlimit(void *state, size_t times)
{
	const HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	(void)times;
	return set_budget(state, &budget);
}

const struct cycle ours_alloc_limited = {
	.work = { .before = limit, .run = run_alloc, .after = unlimit },
};

static bool run_fresh(void *state, size_t times)
{
	struct lane *lane = state;
	void **block;

	for (size_t i = 0; i < times; i++) {
		block = &lane->fresh[lane->fresh_count];
		if (!alloc(lane, NULL, lane->size, MEM_RESERVE | MEM_COMMIT, block))
			return false;
		lane->fresh_count++;
	}
	return true;
}

static bool release_fresh(void *state, size_t times)
{
	struct lane *lane = state;
	bool good = true;

	(void)times;
	while (lane->fresh_count > 0)
		good = give_back(lane, lane->fresh[--lane->fresh_count], 0,
				 MEM_RELEASE) &&
		       good;
	return good;
}

const struct cycle ours_fresh = {
	.work = { .run = run_fresh, .after = release_fresh, .most = MOST_FRESH },
};

static bool run_three_calls(void *state, size_t times)
{
	struct lane *lane = state;
	void *block, *page;

	for (size_t i = 0; i < times; i++) {
		if (!alloc(lane, NULL, lane->size, MEM_RESERVE, &block) ||
		    !alloc(lane, block, lane->size, MEM_COMMIT, &page) ||
		    !give_back(lane, block, 0, MEM_RELEASE))
			return false;
	}
	return true;
}

const struct cycle ours_three_calls = { .work = { .run = run_three_calls } };

/* The pages of the cycle lie in the middle of a larger reservation. */
static bool open_reserved(struct lane *lane)
{
	void *block;

	if (!alloc(lane, NULL, MIB, MEM_RESERVE, &block))
		return false;
	lane->region = block;
	return true;
}

static bool run_commit(void *state, size_t times)
{
	struct lane *lane = state;
	char *at = lane->region + 256 * KIB;
	void *block;

	for (size_t i = 0; i < times; i++) {
		if (!alloc(lane, at, lane->size, MEM_COMMIT, &block))
			return false;
		lane_touch(lane, block);
		if (!give_back(lane, at, lane->size, MEM_DECOMMIT))
			return false;
	}
	return true;
}

const struct cycle ours_commit = { open_reserved, close_region, { .run = run_commit } };

static bool open_committed(struct lane *lane)
{
	void *block;

	if (!alloc(lane, NULL, lane->size, MEM_RESERVE | MEM_COMMIT, &block))
		return false;
	lane_touch(lane, block);
	lane->region = block;
	return true;
}

static bool run_recommit(void *state, size_t times)
{
	struct lane *lane = state;
	void *block;

	for (size_t i = 0; i < times; i++) {
		if (!alloc(lane, lane->region, lane->size, MEM_COMMIT, &block))
			return false;
	}
	return true;
}

const struct cycle ours_recommit = { open_committed,
				     close_region,
				     { .run = run_recommit } };

static bool run_protect(void *state, size_t times)
{
	struct lane *lane = state;
	HRESULT first, second;
	DWORD old;

	for (size_t i = 0; i < times; i++) {
		first = IHostMemoryManager_VirtualProtect(lane->vm, lane->region,
							  lane->size, PAGE_READONLY,
							  &old);
		second = IHostMemoryManager_VirtualProtect(lane->vm, lane->region,
							   lane->size, PAGE_READWRITE,
							   &old);
		if (FAILED(first) || FAILED(second))
			return lane_refused(lane, "VirtualProtect",
					    HostMemResultName(FAILED(first) ? first
									    : second));
	}
	return true;
}

const struct cycle ours_protect = { open_committed,
				    close_region,
				    { .run = run_protect } };

static bool run_query(void *state, size_t times)
{
	struct lane *lane = state;
	MEMORY_BASIC_INFORMATION run;
	SIZE_T length;
	HRESULT hr;

	for (size_t i = 0; i < times; i++) {
		hr = IHostMemoryManager_VirtualQuery(lane->vm, *lane_next(lane), &run,
						     sizeof(run), &length);
		if (FAILED(hr))
			return lane_refused(lane, "VirtualQuery", HostMemResultName(hr));
	}
	return true;
}

const struct cycle ours_query = { .work = { .run = run_query } };

static bool run_replace(void *state, size_t times)
{
	struct lane *lane = state;
	void **region;

	for (size_t i = 0; i < times; i++) {
		region = lane_next(lane);
		if (!give_back(lane, *region, 0, MEM_RELEASE))
			return false;
		*region = NULL;
		if (!alloc(lane, NULL, GRANULE, MEM_RESERVE, region))
			return false;
	}
	return true;
}

const struct cycle ours_replace = { .work = { .run = run_replace } };
