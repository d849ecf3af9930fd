/*
 * The path of a request that a fault rule refuses: it is that of a real refusal.  Same
 * events, same account, same second attempt.
 */
#include "faulted.h"
#include "threads.h"

#define ANY_FAILURE ((HRESULT)0x8007ABCD)

enum way { BUDGET, ALWAYS, SYSTEM, WAYS };

static const char *const ways[WAYS] = { "for the budget", "announced always",
					"for the system" };

static bool make(struct faulted *f, enum way way, HostMemFault *fault)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.dwFlags = way == ALWAYS ? HOSTMEM_ANNOUNCE_ALWAYS : 0;
	fault->place = way == SYSTEM ? HOSTMEM_FAULT_SYSTEM : HOSTMEM_FAULT_BUDGET;
	return faulted_make(f, &budget);
}

static void check_failure(const HostMemEvent *event, HRESULT result, bool announced)
{
	CHECK_EVENT(event, HostMemEventFailure, HostMemCommit, PAGE);
	CHECK_INT(event->reason, HostMemByFault);
	CHECK_HR(event->result, result);
	CHECK_INT(event->announced != FALSE, announced);
	CHECK_INT(event->level, eTaskCritical);
	CHECK_U32(event->attempt, 1);
	CHECK_SIZE(event->cbCharged, 0);
	CHECK_SIZE(event->cbPeak, 0);
}

static void events_are_those_of_a_real_refusal(void)
{
	for (int way = 0; way < WAYS; way++) {
		struct recorder all = { .refuse = false }, failures = all;
		HostMemFault fault = fault_always(ANY_FAILURE);
		struct faulted f;

		tap_row("%s", ways[way]);
		if (!make(&f, (enum way)way, &fault))
			return;
		faulted_add(&f, &fault);
		recorder_start(&all, &f.host, ALL_BITS);
		recorder_start(&failures, &f.host, FAILURE_BIT);
		faulted_check_refusal(&f, f.base, MEM_COMMIT, ANY_FAILURE);
		CHECK_SIZE(all.count, way == BUDGET ? 1 : 2);
		CHECK_SIZE(failures.count, 1);
		if (way != BUDGET) {
			CHECK_EVENT(&all.events[0], HostMemEventAllocate, HostMemCommit,
				    PAGE);
			CHECK_SIZE(all.events[0].request, all.events[1].request);
		}
		check_failure(&all.events[all.count - 1], ANY_FAILURE, way != BUDGET);
		check_failure(&failures.events[0], ANY_FAILURE, false);
		faulted_end(&f);
	}
}

/* A plain reservation charges nothing: it is refused, and there is nothing to announce. */
static void a_plain_reservation_is_refused_without_an_allocate_event(void)
{
	for (int way = 0; way < WAYS; way++) {
		struct recorder recorder = { .refuse = false };
		HostMemFault fault = fault_always(E_OUTOFMEMORY);
		struct faulted f;

		tap_row("%s", ways[way]);
		if (!make(&f, (enum way)way, &fault))
			return;
		faulted_add(&f, &fault);
		recorder_start(&recorder, &f.host, ALL_BITS);
		faulted_check_refusal(&f, NULL, MEM_RESERVE, E_OUTOFMEMORY);
		if (CHECK_SIZE(recorder.count, 1)) {
			CHECK_EVENT(&recorder.events[0], HostMemEventFailure,
				    HostMemReserve, 0);
			CHECK_INT(recorder.events[0].announced, FALSE);
		}
		faulted_end(&f);
	}
}

static void the_result_is_passed_on_as_it_is(void)
{
	static const HRESULT results[] = {
		E_OUTOFMEMORY,
		E_INVALIDARG,
		E_NOTIMPL,
		E_UNEXPECTED,
		HOST_E_CLRNOTAVAILABLE,
		E_POINTER,
		HOST_E_TIMEOUT,
		HOST_E_ABANDONED,
		HOST_E_INVALIDOPERATION,
		ANY_FAILURE,
		HR_INVALID_ADDRESS,
		INT32_MIN,
		-1,
	};

	for (size_t i = 0; i < ROWS(results) * WAYS; i++) {
		HostMemFault fault = fault_always(results[i / WAYS]);
		struct faulted f;

		tap_row("0x%08x, %s", (unsigned)results[i / WAYS], ways[i % WAYS]);
		if (!make(&f, (enum way)(i % WAYS), &fault))
			return;
		faulted_add(&f, &fault);
		faulted_check_refusal(&f, f.base, MEM_COMMIT, results[i / WAYS]);
		faulted_check_refusal(&f, NULL, MEM_RESERVE, results[i / WAYS]);
		faulted_check_refusal(&f, NULL, MEM_COMMIT, results[i / WAYS]);
		CHECK_HR(vm_release(&f.host, f.base), S_OK);
		CHECK_SIZE(host_usage(&f.host).cbPeakCharged, 0);
		faulted_end(&f);
	}
}

static void e_fail_puts_the_host_out_of_use(void)
{
	for (int way = 0; way < WAYS; way++) {
		struct recorder recorder = { .refuse = false };
		HostMemFault fault = fault_always(E_FAIL);
		struct faulted f;
		void *out;

		tap_row("%s", ways[way]);
		if (!make(&f, (enum way)way, &fault))
			return;
		fault.nth = 2;
		faulted_add(&f, &fault);
		recorder_start(&recorder, &f.host, FAILURE_BIT);
		CHECK_HR(vm_commit(&f.host, f.base, PAGE, PAGE_READWRITE), S_OK);
		faulted_check_refusal(&f, at(f.base, PAGE), MEM_COMMIT, E_FAIL);
		CHECK_SIZE(recorder.count, 1);
		CHECK_HR(recorder.events[0].result, E_FAIL);
		CHECK_HR(vm_alloc(&f.host, NULL, PAGE, MEM_RESERVE, PAGE_NOACCESS, &out),
			 HOST_E_CLRNOTAVAILABLE);
		CHECK_HR(vm_release(&f.host, f.base), HOST_E_CLRNOTAVAILABLE);
		CHECK_HR(IHostMemoryControl_Shutdown(f.host.control),
			 HOST_E_CLRNOTAVAILABLE);
		CHECK_U32(vm_state(&f.host, f.base), MEM_COMMIT);
		CHECK_SIZE(recorder.count, 1);
		recorder_stop(&recorder);
		faulted_end(&f);
	}
}

/* What was refused holds nothing: all of the limit can be had. */
static void a_refused_request_leaves_its_room_to_others(void)
{
	HostMemFault fault = fault_always(E_OUTOFMEMORY);
	HostMemBudget budget = budget_of(8 * PAGE);
	struct faulted f;

	if (!faulted_make(&f, &budget))
		return;
	fault.place = HOSTMEM_FAULT_SYSTEM;
	fault.every = 2;
	faulted_add(&f, &fault);
	for (unsigned i = 0; i < 10; i++) {
		CHECK_HR(vm_commit_pages(&f.host, f.base, 8, eTaskCritical),
			 i % 2 ? E_OUTOFMEMORY : S_OK);
		CHECK_HR(vm_free(&f.host, f.base, 0, MEM_DECOMMIT), S_OK);
	}
	CHECK_SIZE(host_usage(&f.host).cRefusedInjected, 5);
	CHECK_SIZE(host_usage(&f.host).cRefusedBudget, 0);
	faulted_end(&f);
}

/* Who says no comes before the system, so the rule never sees the request. */
static void a_veto_comes_before_the_systems_place(void)
{
	struct recorder recorder = { .refuse = true };
	HostMemFault fault = fault_always(ANY_FAILURE);
	struct faulted f;

	fault.place = HOSTMEM_FAULT_SYSTEM;
	fault.nth = 1;
	if (!faulted_make(&f, NULL))
		return;
	faulted_add(&f, &fault);
	recorder_start(&recorder, &f.host, ALLOCATE_BIT);
	CHECK_HR(faulted_take(&f), E_OUTOFMEMORY);
	CHECK_SIZE(host_usage(&f.host).cRefusedCallback, 1);
	recorder.refuse = false;
	CHECK_HR(faulted_take(&f), ANY_FAILURE);
	CHECK_HR(faulted_take(&f), S_OK);
	recorder_stop(&recorder);
	faulted_end(&f);
}

/* ---- With a reclaimer ---- */

struct reclaimer {
	size_t calls, wanted;
};

static size_t HOSTMEM_CALL note(void *state, size_t wanted)
{
	struct reclaimer *reclaimer = (struct reclaimer *)state;

	reclaimer->calls++;
	reclaimer->wanted = wanted;
	return 0;
}

/* So the second attempt, which comes after the reclaimer, is not refused. */
static void a_rule_sees_a_request_once_and_not_each_attempt(void)
{
	for (int way = 0; way < WAYS; way++) {
		struct recorder recorder = { .refuse = false };
		struct reclaimer reclaimer = { 0, 0 };
		HostMemFault fault = fault_always(E_OUTOFMEMORY);
		const HostMemEvent *event = recorder.events;
		struct faulted f;

		tap_row("%s", ways[way]);
		if (!make(&f, (enum way)way, &fault))
			return;
		fault.count = 3;
		faulted_add(&f, &fault);
		CHECK_HR(IHostMemoryControl_SetReclaimer(f.host.control, note,
							 &reclaimer),
			 S_OK);
		recorder_start(&recorder, &f.host, ALL_BITS);
		CHECK_HR(vm_commit_pages(&f.host, f.base, 3, eTaskCritical), S_OK);
		CHECK_SIZE(reclaimer.calls, 1);
		CHECK_SIZE(reclaimer.wanted, 3 * PAGE);
		CHECK_SIZE(host_usage(&f.host).cRefusedInjected, 0);
		CHECK_SIZE(recorder.count, way == SYSTEM ? 2 : 1);
		event += recorder.count - 1;
		CHECK_EVENT(event, HostMemEventAllocate, HostMemCommit, 3 * PAGE);
		CHECK_U32(event->attempt, 2);
		CHECK_INT(event->announced != FALSE, way == SYSTEM);
		CHECK_HR(vm_free(&f.host, f.base, 0, MEM_DECOMMIT), S_OK);
		/* It has fired once; it may twice more, and then not again. */
		for (size_t i = 0; i < 4; i++)
			CHECK_HR(faulted_take(&f), S_OK);
		CHECK_SIZE(reclaimer.calls, 3);
		recorder_stop(&recorder);
		faulted_end(&f);
	}
}

static void only_a_shortage_is_tried_again(void)
{
	for (int way = 0; way < WAYS; way++) {
		struct reclaimer reclaimer = { 0, 0 };
		HostMemFault fault = fault_always(ANY_FAILURE);
		struct faulted f;

		tap_row("%s", ways[way]);
		if (!make(&f, (enum way)way, &fault))
			return;
		faulted_add(&f, &fault);
		CHECK_HR(IHostMemoryControl_SetReclaimer(f.host.control, note,
							 &reclaimer),
			 S_OK);
		faulted_check_refusal(&f, f.base, MEM_COMMIT, ANY_FAILURE);
		CHECK_SIZE(reclaimer.calls, 0);
		faulted_end(&f);
	}
}

/* Neither what somebody said no to, nor what could never be granted, is a shortage. */
static void who_would_not_be_helped_by_memory_does_not_ask_for_it(void)
{
	struct recorder refuser = { .refuse = true };
	struct reclaimer reclaimer = { 0, 0 };
	HostMemBudget budget = budget_of(8 * PAGE);
	struct faulted f;

	budget.cbHeadroom[eTaskCritical] = 2 * PAGE;
	budget.cbLargest[eTaskCritical] = 5 * PAGE;
	if (!faulted_make(&f, &budget))
		return;
	CHECK_HR(IHostMemoryControl_SetReclaimer(f.host.control, note, &reclaimer), S_OK);
	CHECK_HR(vm_commit_pages(&f.host, f.base, 6, eTaskCritical), E_OUTOFMEMORY);
	CHECK_HR(vm_commit_pages(&f.host, f.base, 9, eProcessCritical), E_OUTOFMEMORY);
	CHECK_SIZE(host_usage(&f.host).cRefusedBudget, 2);
	recorder_start(&refuser, &f.host, ALLOCATE_BIT);
	CHECK_HR(vm_commit_pages(&f.host, f.base, 1, eTaskCritical), E_OUTOFMEMORY);
	recorder_stop(&refuser);
	CHECK_SIZE(reclaimer.calls, 0);
	/* What is lacking is told to the byte. */
	CHECK_HR(vm_commit_pages(&f.host, f.base, 4, eTaskCritical), S_OK);
	CHECK_HR(vm_commit_pages(&f.host, at(f.base, 4 * PAGE), 5, eTaskCritical),
		 E_OUTOFMEMORY);
	CHECK_SIZE(reclaimer.calls, 1);
	CHECK_SIZE(reclaimer.wanted, 3 * PAGE);
	CHECK_HR(vm_commit_pages(&f.host, at(f.base, 4 * PAGE), 5, eProcessCritical),
		 E_OUTOFMEMORY);
	CHECK_SIZE(reclaimer.calls, 2);
	CHECK_SIZE(reclaimer.wanted, PAGE);
	faulted_end(&f);
}

/* An hour, or for ever: nobody waits for it. */
static void a_delay_costs_nothing_in_virtual_time(void)
{
	HostMemFault fault = fault_always(ANY_FAILURE);
	struct faulted f;

	if (!faulted_make(&f, NULL))
		return;
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(f.simulator, TRUE), S_OK);
	for (fault.place = 0; fault.place < 2; fault.place++) {
		tap_row("place %u", fault.place);
		fault.msDelay = fault.place ? UINT32_MAX : 3600000;
		fault.count = 1;
		faulted_add(&f, &fault);
		faulted_check_refusal(&f, f.base, MEM_COMMIT, ANY_FAILURE);
		CHECK_HR(faulted_take(&f), S_OK);
	}
	faulted_end(&f);
}

/* It sleeps when the clock is changed. */
/* A call that is in the middle of a delay of an hour. */
static bool start_a_delay(struct faulted *f, struct caller *caller)
{
	HostMemFault fault = fault_always(ANY_FAILURE);

	if (!faulted_make(f, NULL))
		return false;
	fault.msDelay = HOUR;
	faulted_add(f, &fault);
	*caller =
		(struct caller){ .call = call_commit, .size = PAGE, .address = f->base };
	caller_start(caller, &f->host);
	caller_wait_at_gate(caller);
	return true;
}

static void what_is_left_of_a_delay_costs_nothing_in_virtual_time(void)
{
	struct caller caller;
	struct faulted f;

	if (!start_a_delay(&f, &caller))
		return;
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(f.simulator, TRUE), S_OK);
	CHECK_HR(caller_end(&caller), ANY_FAILURE);
	faulted_end(&f);
}

static void a_host_that_is_shut_down_does_not_wait_for_a_delay(void)
{
	struct caller caller;
	struct faulted f;

	if (!start_a_delay(&f, &caller))
		return;
	CHECK_HR(IHostMemoryControl_Shutdown(f.host.control), S_OK);
	CHECK(FAILED(caller_end(&caller)));
	faulted_end(&f);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(events_are_those_of_a_real_refusal);
	TAP_RUN(a_plain_reservation_is_refused_without_an_allocate_event);
	TAP_RUN(the_result_is_passed_on_as_it_is);
	TAP_RUN(e_fail_puts_the_host_out_of_use);
	TAP_RUN(a_refused_request_leaves_its_room_to_others);
	TAP_RUN(a_veto_comes_before_the_systems_place);
	TAP_RUN(a_rule_sees_a_request_once_and_not_each_attempt);
	TAP_RUN(only_a_shortage_is_tried_again);
	TAP_RUN(who_would_not_be_helped_by_memory_does_not_ask_for_it);
	TAP_RUN(a_delay_costs_nothing_in_virtual_time);
	TAP_RUN(what_is_left_of_a_delay_costs_nothing_in_virtual_time);
	TAP_RUN(a_host_that_is_shut_down_does_not_wait_for_a_delay);
	return tap_done();
}
