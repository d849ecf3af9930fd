/*
 * The reclaimer: when it is called, and what follows.
 */
#include "reclaim.h"

static void one_call_then_one_more_attempt(void)
{
	struct recorder recorder = { .refuse = false };

	if (!start(give_half_back))
		return;
	recorder_start(&recorder, &host, ALL_BITS);
	CHECK_HR(commit(3 * PAGE), S_OK);
	CHECK_U32(helper.calls, 1);
	CHECK_SIZE(helper.wanted, 3 * PAGE);
	CHECK(pthread_equal(helper.thread, pthread_self()));
	CHECK_SIZE(recorder.count, 2);
	CHECK_EVENT(&recorder.events[0], HostMemEventFree, HostMemDecommit, LIMIT / 2);
	CHECK_EVENT(&recorder.events[1], HostMemEventAllocate, HostMemCommit, 3 * PAGE);
	CHECK_U32(recorder.events[1].attempt, 2);
	CHECK_INT(recorder.events[1].announced, FALSE);
	CHECK_SIZE(host_usage(&host).cRefusedBudget, 0);
	end(LIMIT / 2 + 3 * PAGE);
}

static void wanted_is_what_is_lacking(void)
{
	if (!start(give_half_back))
		return;
	CHECK_HR(vm_free(&host, helper.base, 2 * PAGE, MEM_DECOMMIT), S_OK);
	CHECK_HR(commit(3 * PAGE), S_OK);
	CHECK_SIZE(helper.wanted, PAGE);
	end(LIMIT / 2 + 3 * PAGE);
}

static void it_fails_once_where_that_did_not_help(void)
{
	struct recorder recorder = { .refuse = false };

	if (!start(NULL))
		return;
	recorder_start(&recorder, &host, ALL_BITS);
	CHECK_HR(commit(PAGE), E_OUTOFMEMORY);
	CHECK_U32(helper.calls, 1);
	CHECK_SIZE(recorder.count, 1);
	CHECK_EVENT(&recorder.events[0], HostMemEventFailure, HostMemCommit, PAGE);
	CHECK_INT(recorder.events[0].reason, HostMemByBudget);
	CHECK_U32(recorder.events[0].attempt, 2);
	CHECK_SIZE(host_usage(&host).cRefusedBudget, 1);
	/* Each request has its own call. */
	CHECK_HR(commit(PAGE), E_OUTOFMEMORY);
	CHECK_U32(helper.calls, 2);
	end(LIMIT);
}

static void what_is_no_shortage_does_not_call_it(void)
{
	struct recorder recorder = { .refuse = true };
	void *hole;

	if (!start(NULL))
		return;
	/* Can never fit. */
	CHECK_HR(commit(LIMIT + PAGE), E_OUTOFMEMORY);
	CHECK_HR(commit(USER_END / 2), E_OUTOFMEMORY);
	give_half_back(&helper);
	hole = host_hole(&host, PAGE);
	/* A conflict, a bad argument. */
	CHECK_HR(vm_commit(&host, hole, PAGE, PAGE_READWRITE), HR_INVALID_ADDRESS);
	CHECK_HR(commit(0), E_INVALIDARG);
	/* A veto. */
	recorder_start(&recorder, &host, ALL_BITS);
	CHECK_HR(commit(PAGE), E_OUTOFMEMORY);
	CHECK_U32(helper.calls, 0);
	recorder_stop(&recorder);
	end(LIMIT / 2);
}

static void an_injected_shortage_calls_it(void)
{
	for (DWORD place = HOSTMEM_FAULT_BUDGET; place <= HOSTMEM_FAULT_SYSTEM; place++) {
		struct recorder recorder = { .refuse = false };
		const HostMemEvent *event = recorder.events;
		HostMemFault fault = HOSTMEM_FAULT_INIT;
		void *simulator = NULL;
		uint64_t cookie;

		tap_row("place %u", place);
		if (!start(NULL))
			return;
		give_half_back(&helper);
		CHECK_HR(IHostMemoryControl_QueryInterface(host.control,
							   &IID_IHostMemorySimulator,
							   &simulator),
			 S_OK);
		fault.place = place;
		CHECK_HR(IHostMemorySimulator_AddFault((IHostMemorySimulator *)simulator,
						       &fault, &cookie),
			 S_OK);
		recorder_start(&recorder, &host, ALL_BITS);
		CHECK_HR(commit(PAGE), S_OK);
		CHECK_U32(helper.calls, 1);
		CHECK_SIZE(helper.wanted, PAGE);
		/* After the callbacks there is something to replace. */
		CHECK_SIZE(recorder.count, 1 + place);
		CHECK_U32(event[place].attempt, 2);
		CHECK_INT(event[place].announced, place == HOSTMEM_FAULT_SYSTEM);
		IHostMemorySimulator_Release((IHostMemorySimulator *)simulator);
		end(LIMIT / 2 + PAGE);
	}
}

static void ask_in_vain(struct helper *self)
{
	CHECK_HR(commit(PAGE), E_OUTOFMEMORY);
	CHECK_U32(self->calls, 1);
}

static void what_it_asks_for_itself_does_not_call_it(void)
{
	if (!start(ask_in_vain))
		return;
	CHECK_HR(commit(PAGE), E_OUTOFMEMORY);
	CHECK_U32(helper.calls, 1);
	CHECK_SIZE(host_usage(&host).cRefusedBudget, 2);
	end(LIMIT);
}

/* ---- Other threads ---- */

static _Atomic bool inside, go_on;

static void stay(struct helper *self)
{
	atomic_store(&inside, true);
	while (!atomic_load(&go_on))
		(void)sched_yield();
	give_half_back(self);
	self->calls += 100;
}

static HRESULT call_replace(struct caller *caller)
{
	HRESULT hr = IHostMemoryControl_SetReclaimer(caller->host->control, NULL, NULL);

	CHECK_U32(helper.calls, 101);
	return hr;
}

static void who_replaces_it_returns_when_it_has_ended(void)
{
	struct caller waiter = { .call = call_commit, .size = PAGE };
	struct caller replacer = { .call = call_replace };

	if (!start(stay))
		return;
	atomic_store(&inside, false);
	atomic_store(&go_on, false);
	caller_start(&waiter, &host);
	while (!atomic_load(&inside))
		(void)sched_yield();
	caller_start(&replacer, &host);
	caller_wait_at_gate(&replacer);
	/* While it runs, others run short without it, and do not wait for it either. */
	CHECK_HR(commit(LIMIT), E_OUTOFMEMORY);
	atomic_store(&go_on, true);
	CHECK_HR(caller_end(&waiter), S_OK);
	CHECK_HR(caller_end(&replacer), S_OK);
	end(LIMIT / 2 + PAGE);
}

/* A request that finds the gate closed behind it waits before it calls. */
static void behind_a_closed_gate_it_is_not_called(void)
{
	struct caller waiter = { .call = call_commit, .size = PAGE };

	if (!start(give_half_back))
		return;
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, 0), S_OK);
	caller_start(&waiter, &host);
	caller_wait_at_gate(&waiter);
	CHECK_U32(helper.calls, 0);
	/* The owner's own requests do call it. */
	CHECK_HR(commit(PAGE), S_OK);
	CHECK_U32(helper.calls, 1);
	CHECK_HR(IHostMemoryControl_LeaveGate(host.control), S_OK);
	CHECK_HR(caller_end(&waiter), S_OK);
	end(LIMIT / 2 + 2 * PAGE);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(one_call_then_one_more_attempt);
	TAP_RUN(wanted_is_what_is_lacking);
	TAP_RUN(it_fails_once_where_that_did_not_help);
	TAP_RUN(what_is_no_shortage_does_not_call_it);
	TAP_RUN(an_injected_shortage_calls_it);
	TAP_RUN(what_it_asks_for_itself_does_not_call_it);
	TAP_RUN(who_replaces_it_returns_when_it_has_ended);
	TAP_RUN(behind_a_closed_gate_it_is_not_called);
	return tap_done();
}
