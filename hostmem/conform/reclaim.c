/*
 * Cases about the reclaimer: called once when a request runs short, and the request is then
 * tried again.
 */
#include "areas.h"
#include "control.h"

#include <string.h>

enum { LIMIT_PAGES = 8 };

struct reclaimer {
	struct hm_trial *t;
	IHostMemoryControl *control;
	void *base;  /* what it may give back, LIMIT_PAGES of them */
	size_t give; /* pages that it gives back */
	unsigned calls;
	size_t wanted; /* in the last call */
	void (*then)(struct reclaimer *reclaimer);
	struct hm_bystander bystander;
};

static size_t HOSTMEM_CALL reclaim(void *state, size_t wanted)
{
	struct reclaimer *reclaimer = (struct reclaimer *)state;

	reclaimer->calls++;
	reclaimer->wanted = wanted;
	if (reclaimer->give != 0)
		(void)hm_decommit(reclaimer->t, reclaimer->base,
				  reclaimer->give * HM_PAGE);
	if (reclaimer->then != NULL)
		reclaimer->then(reclaimer);
	return reclaimer->give * HM_PAGE;
}

/* A full budget, and a reclaimer that can empty it. */
static bool begin(struct reclaimer *reclaimer, struct hm_trial *t)
{
	memset(reclaimer, 0, sizeof(*reclaimer));
	reclaimer->t = t;
	reclaimer->control = hm_control(t);
	if (reclaimer->control == NULL)
		return false;
	(void)hm_limit(t, reclaimer->control, LIMIT_PAGES * HM_PAGE);
	reclaimer->base = hm_grant(t, LIMIT_PAGES, eTaskCritical, S_OK);
	return CHECK_HR(t,
			IHostMemoryControl_SetReclaimer(reclaimer->control, reclaim,
							reclaimer),
			S_OK) &&
	       reclaimer->base != NULL;
}

static void end(struct reclaimer *reclaimer)
{
	CHECK_HR(reclaimer->t,
		 IHostMemoryControl_SetReclaimer(reclaimer->control, NULL, NULL), S_OK);
}

static void what_it_gives_back_is_granted(struct hm_trial *t)
{
	struct reclaimer reclaimer;
	struct hm_recorder recorder = { .refuse = false };

	if (!begin(&reclaimer, t) ||
	    !hm_subscribe(&recorder, t, reclaimer.control, HM_ALLOCATE | HM_FAILURE_BIT))
		return;
	reclaimer.give = 3;
	(void)hm_grant(t, 3, eTaskCritical, S_OK);
	CHECK_SIZE(t, reclaimer.calls, 1);
	CHECK_SIZE(t, reclaimer.wanted, 3 * HM_PAGE);
	CHECK_SIZE(t, recorder.count, 1);
	CHECK_EVENT(t, hm_event(&recorder, 0), HostMemEventAllocate, HostMemCommit,
		    3 * HM_PAGE);
	CHECK_SIZE(t, hm_event(&recorder, 0)->attempt, 2);
	CHECK(t, !hm_event(&recorder, 0)->announced);
	CHECK_SIZE(t, hm_usage(t, reclaimer.control).cRefusedBudget, 0);
	CHECK_SIZE(t, hm_usage(t, reclaimer.control).cbCharged, LIMIT_PAGES * HM_PAGE);
	hm_unsubscribe(&recorder);
	end(&reclaimer);
}

static void it_is_called_once_for_a_request(struct hm_trial *t)
{
	struct reclaimer reclaimer;
	struct hm_recorder recorder = { .refuse = false };
	const HostMemEvent *failure = &recorder.events[0];

	if (!begin(&reclaimer, t) ||
	    !hm_subscribe(&recorder, t, reclaimer.control, HM_ALLOCATE | HM_FAILURE_BIT))
		return;
	hm_row(t, "it gives nothing");
	(void)hm_grant(t, 2, eTaskCritical, E_OUTOFMEMORY);
	CHECK_SIZE(t, reclaimer.calls, 1);
	CHECK_SIZE(t, recorder.count, 1);
	CHECK_EVENT(t, failure, HostMemEventFailure, HostMemCommit, 2 * HM_PAGE);
	CHECK_SIZE(t, failure->attempt, 2);
	CHECK_SIZE(t, failure->reason, HostMemByBudget);
	CHECK(t, !failure->announced);
	hm_row(t, "it gives too little");
	reclaimer.give = 1;
	(void)hm_grant(t, 2, eTaskCritical, E_OUTOFMEMORY);
	CHECK_SIZE(t, reclaimer.calls, 2);
	hm_row(t, "it is told what is lacking, not what is asked");
	reclaimer.give = 0;
	(void)hm_grant(t, 2, eTaskCritical, E_OUTOFMEMORY);
	CHECK_SIZE(t, reclaimer.calls, 3);
	CHECK_SIZE(t, reclaimer.wanted, HM_PAGE);
	hm_row(t, "what fits does not call it");
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, reclaimer.calls, 3);
	hm_unsubscribe(&recorder);
	end(&reclaimer);
}

static void what_is_no_shortage_does_not_call_it(struct hm_trial *t)
{
	struct reclaimer reclaimer;
	struct hm_recorder recorder = { .refuse = true };
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	if (!begin(&reclaimer, t))
		return;
	hm_row(t, "more than the limit");
	(void)hm_grant(t, LIMIT_PAGES + 1, eTaskCritical, E_OUTOFMEMORY);
	CHECK_SIZE(t, reclaimer.calls, 0);
	hm_row(t, "more than one request may have");
	budget.cbLimit = LIMIT_PAGES * HM_PAGE;
	budget.cbLargest[eTaskCritical] = HM_PAGE;
	(void)hm_set_budget(t, reclaimer.control, &budget);
	(void)hm_grant(t, 2, eTaskCritical, E_OUTOFMEMORY);
	CHECK_SIZE(t, reclaimer.calls, 0);
	hm_row(t, "more than the headroom leaves");
	budget.cbLargest[eTaskCritical] = SIZE_MAX;
	budget.cbHeadroom[eTaskCritical] = 6 * HM_PAGE;
	(void)hm_set_budget(t, reclaimer.control, &budget);
	(void)hm_grant(t, 3, eTaskCritical, E_OUTOFMEMORY);
	CHECK_SIZE(t, reclaimer.calls, 0);
	hm_row(t, "bad arguments");
	(void)hm_refused_alloc(t, NULL, 0, HM_BOTH, PAGE_READWRITE, eTaskCritical,
			       E_INVALIDARG);
	CHECK_SIZE(t, reclaimer.calls, 0);
	hm_row(t, "a veto");
	(void)hm_limit(t, reclaimer.control, SIZE_MAX);
	if (hm_subscribe(&recorder, t, reclaimer.control, HM_ALLOCATE)) {
		(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
		CHECK_SIZE(t, recorder.count, 1);
		hm_unsubscribe(&recorder);
	}
	CHECK_SIZE(t, reclaimer.calls, 0);
	end(&reclaimer);
}

static void ask_in_vain(struct reclaimer *reclaimer)
{
	(void)hm_grant(reclaimer->t, 1, eProcessCritical, E_OUTOFMEMORY);
}

static void what_it_asks_for_itself_does_not_call_it(struct hm_trial *t)
{
	struct reclaimer reclaimer;

	if (!begin(&reclaimer, t))
		return;
	reclaimer.then = ask_in_vain;
	(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
	CHECK_SIZE(t, reclaimer.calls, 1);
	CHECK_SIZE(t, hm_usage(t, reclaimer.control).cRefusedBudget, 2);
	end(&reclaimer);
}

static void take_itself_away(struct reclaimer *reclaimer)
{
	end(reclaimer);
}

static void there_is_one_and_it_can_be_replaced(struct hm_trial *t)
{
	struct reclaimer reclaimer, other;

	if (!begin(&reclaimer, t))
		return;
	other = reclaimer;
	other.give = 1;
	CHECK_HR(t, IHostMemoryControl_SetReclaimer(reclaimer.control, reclaim, &other),
		 S_OK);
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, reclaimer.calls, 0);
	CHECK_SIZE(t, other.calls, 1);
	hm_row(t, "taken away from inside");
	other.then = take_itself_away;
	other.give = 2;
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, other.calls, 2);
	hm_row(t, "nobody");
	(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
	CHECK_SIZE(t, reclaimer.calls + other.calls, 2);
}

static void heaps_call_it_as_well(struct hm_trial *t)
{
	struct reclaimer reclaimer;
	IHostMalloc *heap;
	void *block = NULL;

	if (!begin(&reclaimer, t))
		return;
	(void)hm_limit(t, reclaimer.control, SIZE_MAX);
	heap = hm_heap(t);
	if (heap == NULL)
		return;
	(void)hm_limit(t, reclaimer.control, hm_usage(t, reclaimer.control).cbCharged);
	reclaimer.give = LIMIT_PAGES;
	CHECK_HR(t, IHostMalloc_Alloc(heap, HM_PAGE, eTaskCritical, &block), S_OK);
	CHECK_SIZE(t, reclaimer.calls, 1);
	CHECK_HR(t, IHostMalloc_Free(heap, block), S_OK);
	(void)IHostMalloc_Release(heap);
	end(&reclaimer);
}

static void let_others(struct reclaimer *reclaimer)
{
	if (!reclaimer->bystander.busy)
		hm_let_others_call(&reclaimer->bystander);
}

static void no_lock_is_held(struct hm_trial *t)
{
	static struct reclaimer reclaimer;

	if (!begin(&reclaimer, t))
		return;
	reclaimer.bystander.t = t;
	reclaimer.then = let_others;
	reclaimer.give = 4;
	(void)hm_grant(t, 2, eTaskCritical, S_OK);
	CHECK_SIZE(t, reclaimer.calls, 1);
	end(&reclaimer);
}

static const struct hm_case cases[] = {
	{ "attempt-2", HM_DOCUMENTED,
	  "HM header: HostMemReclaimCallback, the request is then tried again",
	  what_it_gives_back_is_granted, HM_NO_GROUP },
	{ "once", HM_DOCUMENTED, "HM header: HostMemReclaimCallback, once for a request",
	  it_is_called_once_for_a_request, HM_NO_GROUP },
	{ "no-shortage", HM_DOCUMENTED,
	  "HM header: HostMemBudget, what could not be granted even if nothing was "
	  "charged",
	  what_is_no_shortage_does_not_call_it, HM_NO_GROUP },
	{ "not-for-itself", HM_DOCUMENTED,
	  "HM header: HostMemReclaimCallback, what it asks for itself",
	  what_it_asks_for_itself_does_not_call_it, HM_NO_GROUP },
	{ "replaced", HM_DOCUMENTED, "HM header: SetReclaimer",
	  there_is_one_and_it_can_be_replaced, HM_NO_GROUP },
	{ "heaps", HM_DOCUMENTED, "HM header: HostMemHeap is a request as others",
	  heaps_call_it_as_well, HM_NO_GROUP },
	{ "no-lock", HM_DOCUMENTED,
	  "HM header: HostMemReclaimCallback, with no lock of the host held",
	  no_lock_is_held, HM_NO_GROUP },
};

const struct hm_area hm_area_reclaim = HM_AREA("reclaim", cases);
