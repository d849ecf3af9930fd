/*
 * Cases about requests that wait for memory.
 *
 * In virtual time a wait is over at once, so that its end can be asked without waiting.  Who
 * is woken by what needs real time and a thread that waits: there the gate says when it
 * sleeps, and what wakes it comes before any time is out.
 */
#include "areas.h"
#include "control.h"

#include <string.h>

enum { LIMIT_PAGES = 8, LONG_MS = 20000, PATIENCE_MS = 3000 };

static HostMemBudget waiting_budget(uint32_t task, uint32_t domain, uint32_t process)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.cbLimit = LIMIT_PAGES * HM_PAGE;
	budget.msWait[eTaskCritical] = task;
	budget.msWait[eAppDomainCritical] = domain;
	budget.msWait[eProcessCritical] = process;
	return budget;
}

/* ---- In virtual time ---- */

static void time_ends_a_wait(struct hm_trial *t)
{
	const HostMemBudget budget = waiting_budget(LONG_MS, LONG_MS, LONG_MS);
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder recorder = { .refuse = false };
	const HostMemEvent *failure = &recorder.events[0];
	unsigned long long begun = hm_now_ms();

	if (control == NULL || hm_simulator(t) == NULL)
		return;
	(void)hm_set_budget(t, control, &budget);
	(void)hm_grant(t, LIMIT_PAGES, eTaskCritical, S_OK);
	if (!hm_subscribe(&recorder, t, control, HM_ALLOCATE | HM_FAILURE_BIT))
		return;
	(void)hm_grant(t, 1, eAppDomainCritical, HOST_E_TIMEOUT);
	CHECK_SIZE(t, recorder.count, 1);
	CHECK_EVENT(t, failure, HostMemEventFailure, HostMemCommit, HM_PAGE);
	CHECK_SIZE(t, failure->reason, HostMemByTimeout);
	CHECK_HR(t, failure->result, HOST_E_TIMEOUT);
	CHECK(t, !failure->announced);
	CHECK_SIZE(t, hm_usage(t, control).cRefusedBudget, 1);
	hm_row(t, "nothing has changed");
	(void)hm_refused_alloc(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE, eTaskCritical,
			       HOST_E_TIMEOUT);
	CHECK(t, hm_now_ms() - begun < LONG_MS);
	hm_unsubscribe(&recorder);
}

static void each_level_has_its_own_wait(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);

	if (control == NULL || hm_simulator(t) == NULL)
		return;
	(void)hm_grant(t, LIMIT_PAGES, eTaskCritical, S_OK);
	for (unsigned waits = 0; waits < 8; waits++) {
		const HostMemBudget budget = waiting_budget(waits & 1 ? LONG_MS : 0,
							    waits & 2 ? LONG_MS : 0,
							    waits & 4 ? UINT32_MAX : 0);

		(void)hm_set_budget(t, control, &budget);
		for (unsigned level = 0; level < 3; level++) {
			hm_row(t, "levels that wait 0x%x, level %u", waits, level);
			(void)hm_grant(t, 1, (EMemoryCriticalLevel)level,
				       waits & (1U << level) ? HOST_E_TIMEOUT
							     : E_OUTOFMEMORY);
		}
	}
}

static void what_can_never_fit_does_not_wait(struct hm_trial *t)
{
	HostMemBudget budget = waiting_budget(LONG_MS, LONG_MS, LONG_MS);
	IHostMemoryControl *control = hm_control(t);

	if (control == NULL || hm_simulator(t) == NULL)
		return;
	budget.cbHeadroom[eTaskCritical] = 2 * HM_PAGE;
	budget.cbLargest[eTaskCritical] = 5 * HM_PAGE;
	budget.cbLargest[eAppDomainCritical] = 6 * HM_PAGE;
	budget.cbLargest[eProcessCritical] = SIZE_MAX;
	(void)hm_set_budget(t, control, &budget);
	(void)hm_grant(t, LIMIT_PAGES, eProcessCritical, S_OK);
	hm_row(t, "more than the limit");
	(void)hm_grant(t, LIMIT_PAGES + 1, eProcessCritical, E_OUTOFMEMORY);
	(void)hm_grant(t, LIMIT_PAGES, eProcessCritical, HOST_E_TIMEOUT);
	hm_row(t, "more than one request may have");
	(void)hm_grant(t, 7, eAppDomainCritical, E_OUTOFMEMORY);
	(void)hm_grant(t, 6, eAppDomainCritical, HOST_E_TIMEOUT);
	hm_row(t, "more than the headroom leaves");
	budget.cbLargest[eTaskCritical] = SIZE_MAX;
	budget.cbLargest[eAppDomainCritical] = SIZE_MAX;
	(void)hm_set_budget(t, control, &budget);
	(void)hm_grant(t, 7, eTaskCritical, E_OUTOFMEMORY);
	(void)hm_grant(t, 6, eTaskCritical, HOST_E_TIMEOUT);
}

static void heaps_wait_as_well(struct hm_trial *t)
{
	HostMemBudget budget = waiting_budget(LONG_MS, 0, 0);
	IHostMemoryControl *control = hm_control(t);
	IHostMalloc *heap;
	void *block = HM_POISON;

	if (control == NULL || hm_simulator(t) == NULL || (heap = hm_heap(t)) == NULL)
		return;
	(void)hm_grant(t, LIMIT_PAGES, eTaskCritical, S_OK);
	budget.cbLimit = hm_usage(t, control).cbCharged;
	(void)hm_set_budget(t, control, &budget);
	CHECK_HR(t, IHostMalloc_Alloc(heap, HM_PAGE, eTaskCritical, &block),
		 HOST_E_TIMEOUT);
	CHECK_POINTER(t, block, NULL);
	CHECK_HR(t, IHostMalloc_Alloc(heap, HM_PAGE, eProcessCritical, &block),
		 E_OUTOFMEMORY);
	CHECK_SIZE(t, hm_usage(t, control).cBlocks, 0);
	(void)IHostMalloc_Release(heap);
}

/* ---- With a thread that waits ---- */

struct waiter {
	struct hm_trial *t;
	EMemoryCriticalLevel level;
	size_t pages;
	struct hm_helper *helper;
	void *base;
	HRESULT result;
	_Atomic unsigned place; /* in the order of ends, from 1 */
};

static _Atomic unsigned short_requests, ended;

static size_t HOSTMEM_CALL count_requests(void *state, size_t wanted)
{
	(void)state;
	(void)wanted;
	short_requests++;
	return 0;
}

static void wait_for_memory(void *state)
{
	struct waiter *waiter = (struct waiter *)state;

	waiter->result = IHostMemoryManager_VirtualAlloc(waiter->t->memory, NULL,
							 waiter->pages * HM_PAGE, HM_BOTH,
							 PAGE_READWRITE, waiter->level,
							 &waiter->base);
	waiter->place = ++ended;
}

/* The reclaimer is called before it sleeps, and who closes the gate waits until it does. */
static bool is_asleep(struct hm_trial *t, IHostMemoryControl *control, unsigned requests)
{
	for (unsigned ms = 0; short_requests < requests && ms < PATIENCE_MS; ms++)
		hm_pause(1);
	return CHECK_SIZE(t, short_requests, requests) &&
	       CHECK_HR(t, IHostMemoryControl_EnterGate(control, PATIENCE_MS), S_OK) &&
	       CHECK_HR(t, IHostMemoryControl_LeaveGate(control), S_OK);
}

static bool start_waiter(struct waiter *waiter, struct hm_trial *t,
			 IHostMemoryControl *control)
{
	unsigned before = short_requests;

	waiter->t = t;
	waiter->helper = hm_start(t, wait_for_memory, waiter);
	return waiter->helper != NULL && is_asleep(t, control, before + 1);
}

/* A full budget: 4 pages of a mapping, and the rest in one reservation, which is returned. */
static void *fill(struct hm_trial *t, IHostMemoryControl *control)
{
	const HostMemBudget budget = waiting_budget(LONG_MS, LONG_MS, LONG_MS);

	short_requests = 0;
	ended = 0;
	CHECK_HR(t, IHostMemoryControl_SetReclaimer(control, count_requests, NULL), S_OK);
	CHECK_HR(t,
		 IHostMemoryManager_AcquiredVirtualAddressSpace(t->memory, HM_MAPPING,
								4 * HM_PAGE),
		 S_OK);
	(void)hm_set_budget(t, control, &budget);
	return hm_grant(t, LIMIT_PAGES - 4, eTaskCritical, S_OK);
}

static void by_decommit(struct hm_trial *t, IHostMemoryControl *control, void *base)
{
	(void)control;
	(void)hm_decommit(t, base, HM_PAGE);
}

static void by_release(struct hm_trial *t, IHostMemoryControl *control, void *base)
{
	(void)control;
	(void)hm_give(t, base);
}

static void by_unmapping(struct hm_trial *t, IHostMemoryControl *control, void *base)
{
	(void)control;
	(void)base;
	CHECK_HR(t, IHostMemoryManager_ReleasedVirtualAddressSpace(t->memory, HM_MAPPING),
		 S_OK);
}

static void by_a_higher_limit(struct hm_trial *t, IHostMemoryControl *control, void *base)
{
	HostMemBudget budget = waiting_budget(LONG_MS, LONG_MS, LONG_MS);

	(void)base;
	budget.cbLimit += HM_PAGE;
	(void)hm_set_budget(t, control, &budget);
}

static void what_gives_memory_back_wakes(struct hm_trial *t,
					 void (*wake)(struct hm_trial *t,
						      IHostMemoryControl *control,
						      void *base))
{
	static struct waiter waiter;
	IHostMemoryControl *control = hm_control(t);
	void *base = control != NULL ? fill(t, control) : NULL;

	if (base == NULL)
		return;
	memset(&waiter, 0, sizeof(waiter));
	waiter.pages = 1;
	if (!start_waiter(&waiter, t, control))
		return;
	CHECK_SIZE(t, waiter.place, 0);
	wake(t, control, base);
	if (!CHECK(t, hm_helper_ends(waiter.helper, PATIENCE_MS)))
		return;
	CHECK_HR(t, waiter.result, S_OK);
	if (CHECK(t, waiter.base != NULL))
		hm_keep(t, waiter.base);
	CHECK_HR(t, IHostMemoryControl_SetReclaimer(control, NULL, NULL), S_OK);
}

static void decommit_wakes(struct hm_trial *t)
{
	what_gives_memory_back_wakes(t, by_decommit);
}

static void release_wakes(struct hm_trial *t)
{
	what_gives_memory_back_wakes(t, by_release);
}

static void unmapping_wakes(struct hm_trial *t)
{
	what_gives_memory_back_wakes(t, by_unmapping);
}

static void a_higher_limit_wakes(struct hm_trial *t)
{
	what_gives_memory_back_wakes(t, by_a_higher_limit);
}

/* One page is given back at a time, so that there is one to be served. */
static void they_are_served_by_level_and_then_in_order(struct hm_trial *t)
{
	static const struct {
		EMemoryCriticalLevel level;
		unsigned place;
	} rows[] = {
		{ eTaskCritical, 3 },
		{ eProcessCritical, 1 },
		{ eAppDomainCritical, 2 },
		{ eTaskCritical, 4 },
	};
	static struct waiter waiters[HM_ROWS(rows)];
	IHostMemoryControl *control = hm_control(t);
	void *base = control != NULL ? fill(t, control) : NULL;

	if (base == NULL)
		return;
	memset(waiters, 0, sizeof(waiters));
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		waiters[i].level = rows[i].level;
		waiters[i].pages = 1;
		if (!start_waiter(&waiters[i], t, control))
			return;
	}
	for (unsigned i = 0; i < HM_ROWS(rows); i++) {
		(void)hm_decommit(t, hm_at(base, i * HM_PAGE), HM_PAGE);
		for (unsigned ms = 0; ended <= i && ms < PATIENCE_MS; ms++)
			hm_pause(1);
		if (!CHECK_SIZE(t, ended, i + 1))
			return;
	}
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "waiter %u", (unsigned)i);
		CHECK(t, hm_helper_ends(waiters[i].helper, PATIENCE_MS));
		CHECK_HR(t, waiters[i].result, S_OK);
		CHECK_SIZE(t, waiters[i].place, rows[i].place);
		if (waiters[i].base != NULL)
			hm_keep(t, waiters[i].base);
	}
	CHECK_HR(t, IHostMemoryControl_SetReclaimer(control, NULL, NULL), S_OK);
}

static void the_end_of_the_host_ends_waits(struct hm_trial *t)
{
	static struct waiter waiter;
	IHostMemoryControl *control = hm_control(t);

	if (control == NULL || fill(t, control) == NULL)
		return;
	memset(&waiter, 0, sizeof(waiter));
	waiter.pages = 1;
	waiter.base = HM_POISON;
	if (!start_waiter(&waiter, t, control))
		return;
	CHECK_HR(t, IHostMemoryControl_Shutdown(control), S_OK);
	if (!CHECK(t, hm_helper_ends(waiter.helper, PATIENCE_MS)))
		return;
	CHECK_HR(t, waiter.result, HOST_E_ABANDONED);
	CHECK_POINTER(t, waiter.base, NULL);
}

static const struct hm_case cases[] = {
	{ "time", HM_DOCUMENTED, "HM header: HostMemBudget.msWait, HOST_E_TIMEOUT",
	  time_ends_a_wait, HM_NO_GROUP },
	{ "levels", HM_DOCUMENTED, "HM header: HostMemBudget.msWait",
	  each_level_has_its_own_wait, HM_NO_GROUP },
	{ "never-fits", HM_DOCUMENTED,
	  "HM header: HostMemBudget, what could not be granted even if nothing was "
	  "charged",
	  what_can_never_fit_does_not_wait, HM_NO_GROUP },
	{ "heaps", HM_DOCUMENTED, "HM header: IHostMalloc::Alloc, HOST_E_TIMEOUT",
	  heaps_wait_as_well, HM_NO_GROUP },
	{ "decommit-wakes", HM_DOCUMENTED,
	  "HM header: HostMemBudget, memory that is given back is offered",
	  decommit_wakes, HM_NO_GROUP },
	{ "release-wakes", HM_DOCUMENTED,
	  "HM header: HostMemBudget, memory that is given back is offered", release_wakes,
	  HM_NO_GROUP },
	{ "unmapping-wakes", HM_DOCUMENTED,
	  "HM header: HostMemBudget, memory that is given back is offered",
	  unmapping_wakes, HM_NO_GROUP },
	{ "limit-wakes", HM_DOCUMENTED,
	  "HM header: SetBudget, requests that wait are judged anew",
	  a_higher_limit_wakes, HM_NO_GROUP },
	{ "order", HM_DOCUMENTED,
	  "HM header: HostMemBudget, by level and then in the order in which they came",
	  they_are_served_by_level_and_then_in_order, HM_NO_GROUP },
	{ "abandoned", HM_DOCUMENTED, "HM header: Shutdown ends waits, HOST_E_ABANDONED",
	  the_end_of_the_host_ends_waits, HM_NO_GROUP },
};

const struct hm_area hm_area_waiting = HM_AREA("waiting", cases);
