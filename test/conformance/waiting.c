/*
 * Waiting for memory, with threads and in real time: who is served, what wakes, and how a
 * wait ends.
 */
#include "threads.h"

static struct host host;
static HostMemBudget budget;

#define LIMIT (16 * PAGE)

static bool start(void)
{
	return waiting_host(&host, &budget, LIMIT);
}

static void *fill(void)
{
	return vm_new(&host, LIMIT, MEM_COMMIT, PAGE_READWRITE);
}

static void end(void)
{
	CHECK_SIZE(host_usage(&host).cbCharged, 0);
	CHECK_SIZE(host_usage(&host).cRegions, 0);
	/* What was pending has been given back, too. */
	CHECK_HR(vm_release(&host, fill()), S_OK);
	host_destroy(&host);
}

static void set_wait(uint32_t ms)
{
	for (size_t i = 0; i < 3; i++)
		budget.msWait[i] = ms;
	CHECK_HR(IHostMemoryControl_SetBudget(host.control, &budget), S_OK);
}

static void time_ends_a_wait(void)
{
	struct recorder recorder = { .refuse = false };
	void *base, *out;

	if (!start())
		return;
	base = fill();
	recorder_start(&recorder, &host, ALL_BITS);
	set_wait(3);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 HOST_E_TIMEOUT);
	CHECK_SIZE(recorder.count, 1);
	CHECK_EVENT(&recorder.events[0], HostMemEventFailure, HostMemCommit, PAGE);
	CHECK_INT(recorder.events[0].reason, HostMemByTimeout);
	CHECK_HR(recorder.events[0].result, HOST_E_TIMEOUT);
	CHECK_INT(recorder.events[0].announced, FALSE);
	CHECK_SIZE(host_usage(&host).cRefusedBudget, 1);
	CHECK_SIZE(host_usage(&host).cbCharged, LIMIT);
	recorder_stop(&recorder);
	CHECK_HR(vm_release(&host, base), S_OK);
	end();
}

static void a_level_that_may_not_wait_is_refused_at_once(void)
{
	void *base, *out;

	if (!start())
		return;
	base = fill();
	budget.msWait[eAppDomainCritical] = 0;
	CHECK_HR(IHostMemoryControl_SetBudget(host.control, &budget), S_OK);
	CHECK_HR(vm_alloc_at_level(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE,
				   eAppDomainCritical, &out),
		 E_OUTOFMEMORY);
	CHECK_HR(vm_release(&host, base), S_OK);
	end();
}

static void what_can_never_fit_does_not_wait(void)
{
	void *base, *out;

	if (!start())
		return;
	base = fill();
	CHECK_HR(vm_alloc(&host, NULL, LIMIT + PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	budget.cbLargest[eTaskCritical] = PAGE;
	CHECK_HR(IHostMemoryControl_SetBudget(host.control, &budget), S_OK);
	CHECK_HR(vm_alloc(&host, NULL, 2 * PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	/* Not even the reclaimer was asked. */
	CHECK_U32(threads_short, 0);
	budget.cbLargest[eTaskCritical] = SIZE_MAX;
	CHECK_HR(IHostMemoryControl_SetBudget(host.control, &budget), S_OK);
	CHECK_HR(vm_release(&host, base), S_OK);
	end();
}

/* One page is given back at a time, and the next waits for it. */
static void the_most_critical_is_served_first_then_who_came_first(void)
{
	static const EMemoryCriticalLevel levels[] = {
		eTaskCritical,    eProcessCritical, eAppDomainCritical,
		eProcessCritical, eTaskCritical,
	};
	static const unsigned served[] = { 4, 1, 3, 2, 5 };
	struct caller callers[ROWS(levels)];
	void *base;

	if (!start())
		return;
	base = fill();
	for (size_t i = 0; i < ROWS(levels); i++) {
		callers[i] = (struct caller){ .call = call_commit,
					      .level = levels[i],
					      .size = PAGE };
		caller_wait_for_memory(&callers[i], &host);
	}
	for (size_t i = 0; i < ROWS(levels); i++) {
		CHECK_HR(vm_free(&host, at(base, i * PAGE), PAGE, MEM_DECOMMIT), S_OK);
		while (atomic_load(&callers_served) != i + 1)
			(void)sched_yield();
	}
	for (size_t i = 0; i < ROWS(levels); i++) {
		tap_row("waiter %zu", i);
		CHECK_HR(caller_end(&callers[i]), S_OK);
		CHECK_U32(callers[i].served, served[i]);
		CHECK_HR(vm_release(&host, callers[i].out), S_OK);
	}
	CHECK_HR(vm_release(&host, base), S_OK);
	end();
}

static void who_does_not_fit_is_passed_over_and_a_fresh_request_too(void)
{
	struct caller large = { .call = call_commit,
				.level = eProcessCritical,
				.size = 4 * PAGE };
	struct caller small = { .call = call_commit, .size = PAGE };
	void *base, *fresh;

	if (!start())
		return;
	base = fill();
	caller_wait_for_memory(&large, &host);
	caller_wait_for_memory(&small, &host);
	CHECK_HR(vm_free(&host, base, 2 * PAGE, MEM_DECOMMIT), S_OK);
	let_out(&host, &small, S_OK);
	fresh = vm_new(&host, 2 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK(!atomic_load(&large.done));
	CHECK_HR(vm_free(&host, base, 0, MEM_DECOMMIT), S_OK);
	let_out(&host, &large, S_OK);
	CHECK_HR(vm_release(&host, fresh), S_OK);
	CHECK_HR(vm_release(&host, base), S_OK);
	end();
}

/* ---- What wakes ---- */

static void *const mapped = (void *)(uintptr_t)0x500000000;

static void by_release(void *base)
{
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void by_decommit(void *base)
{
	CHECK_HR(vm_free(&host, base, PAGE, MEM_DECOMMIT), S_OK);
}

static void by_release_of_a_part(void *base)
{
	CHECK_HR(IHostMemoryPages_ReleaseRange(host.pages, at(base, PAGE), PAGE), S_OK);
}

static void by_mapping(void *base)
{
	(void)base;
	CHECK_HR(IHostMemoryManager_ReleasedVirtualAddressSpace(host.manager, mapped),
		 S_OK);
}

static void by_smaller_mapping(void *base)
{
	(void)base;
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(host.manager, mapped,
								PAGE),
		 S_OK);
}

static void by_limit(void *base)
{
	(void)base;
	budget.cbLimit += 8 * PAGE;
	CHECK_HR(IHostMemoryControl_SetBudget(host.control, &budget), S_OK);
}

static void whatever_gives_memory_back_wakes(void)
{
	static const struct {
		const char *name;
		void (*act)(void *base);
	} rows[] = {
		{ "release", by_release },
		{ "decommit", by_decommit },
		{ "release of a part", by_release_of_a_part },
		{ "a mapping", by_mapping },
		{ "a smaller mapping", by_smaller_mapping },
		{ "a raised limit", by_limit },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct caller waiter = { .call = call_commit, .size = PAGE };
		void *base;

		tap_row("%s", rows[i].name);
		if (!start())
			return;
		CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(host.manager,
									mapped, 4 * PAGE),
			 S_OK);
		base = vm_new(&host, LIMIT - 4 * PAGE, MEM_COMMIT, PAGE_READWRITE);
		caller_wait_for_memory(&waiter, &host);
		rows[i].act(base);
		let_out(&host, &waiter, S_OK);
		host_destroy(&host);
	}
}

static struct caller behind;

/* Refuses once another request waits for what is pending. */
static BOOL HOSTMEM_CALL veto(void *state, const HostMemEvent *event)
{
	if (event->size != LIMIT)
		return TRUE;
	caller_wait_for_memory((struct caller *)state, &host);
	return FALSE;
}

static void the_charge_of_a_vetoed_request_wakes(void)
{
	uint64_t cookie;
	void *out;

	if (!start())
		return;
	behind = (struct caller){ .call = call_commit, .size = PAGE };
	CHECK_HR(IHostMemoryControl_Subscribe(host.control, ALLOCATE_BIT, veto, &behind,
					      &cookie),
		 S_OK);
	CHECK_HR(vm_alloc(&host, NULL, LIMIT, MEM_COMMIT, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	let_out(&host, &behind, S_OK);
	CHECK_HR(IHostMemoryControl_Unsubscribe(host.control, cookie), S_OK);
	end();
}

/* ---- Ends ---- */

static void a_lowered_budget_ends_a_hopeless_wait(void)
{
	struct caller hopeless = { .call = call_commit, .size = 8 * PAGE };
	struct caller patient = { .call = call_commit, .size = PAGE };
	void *base;

	if (!start())
		return;
	base = fill();
	caller_wait_for_memory(&hopeless, &host);
	caller_wait_for_memory(&patient, &host);
	budget.cbLimit = 4 * PAGE;
	CHECK_HR(IHostMemoryControl_SetBudget(host.control, &budget), S_OK);
	let_out(&host, &hopeless, E_OUTOFMEMORY);
	CHECK(!atomic_load(&patient.done));
	CHECK_HR(vm_release(&host, base), S_OK);
	let_out(&host, &patient, S_OK);
	budget.cbLimit = LIMIT;
	CHECK_HR(IHostMemoryControl_SetBudget(host.control, &budget), S_OK);
	end();
}

static void shutdown_ends_waits(void)
{
	struct recorder recorder = { .refuse = false };
	struct caller waiter = { .call = call_commit, .size = PAGE };
	const HostMemEvent *event = &recorder.events[0];
	void *base;

	if (!start())
		return;
	base = fill();
	recorder_start(&recorder, &host, ALL_BITS);
	caller_wait_for_memory(&waiter, &host);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	/* Shutdown returns when callbacks have ended: the event has been told. */
	CHECK_SIZE(recorder.count, 1);
	CHECK_EVENT(event, HostMemEventFailure, HostMemCommit, PAGE);
	CHECK_INT(event->reason, HostMemByShutdown);
	CHECK_HR(event->result, HOST_E_ABANDONED);
	CHECK_INT(event->announced, FALSE);
	let_out(&host, &waiter, HOST_E_ABANDONED);
	CHECK(base != NULL);
	host_destroy(&host);
}

/* Another request of the host finds its books or the system impossible. */
static void a_host_that_fails_ends_waits(void)
{
	struct caller waiter = { .call = call_commit, .size = PAGE };
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	void *simulator = NULL, *out;
	uint64_t cookie;

	if (!start() || fill() == NULL)
		return;
	caller_wait_for_memory(&waiter, &host);
	CHECK_HR(IHostMemoryControl_QueryInterface(host.control,
						   &IID_IHostMemorySimulator, &simulator),
		 S_OK);
	fault.result = E_FAIL;
	CHECK_HR(IHostMemorySimulator_AddFault((IHostMemorySimulator *)simulator, &fault,
					       &cookie),
		 S_OK);
	IHostMemorySimulator_Release((IHostMemorySimulator *)simulator);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out), E_FAIL);
	let_out(&host, &waiter, HOST_E_ABANDONED);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), HOST_E_CLRNOTAVAILABLE);
	host_destroy(&host);
}

static void a_waiter_survives_the_last_release(void)
{
	struct recorder recorder = { .refuse = false };
	struct caller waiter = { .call = call_commit, .size = PAGE };
	const HostMemEvent *event = recorder.events;
	struct host copy;

	if (!start() || fill() == NULL)
		return;
	recorder_start(&recorder, &host, ALL_BITS);
	copy = host;
	caller_wait_for_memory(&waiter, &copy);
	host_destroy(&host);
	CHECK_HR(caller_end(&waiter), HOST_E_ABANDONED);
	/* Its failure, then the free event of what was left. */
	CHECK_SIZE(recorder.count, 2);
	CHECK_EVENT(&event[0], HostMemEventFailure, HostMemCommit, PAGE);
	CHECK_INT(event[0].reason, HostMemByShutdown);
	CHECK_EVENT(&event[1], HostMemEventFree, HostMemRelease, LIMIT);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(time_ends_a_wait);
	TAP_RUN(a_level_that_may_not_wait_is_refused_at_once);
	TAP_RUN(what_can_never_fit_does_not_wait);
	TAP_RUN(the_most_critical_is_served_first_then_who_came_first);
	TAP_RUN(who_does_not_fit_is_passed_over_and_a_fresh_request_too);
	TAP_RUN(whatever_gives_memory_back_wakes);
	TAP_RUN(the_charge_of_a_vetoed_request_wakes);
	TAP_RUN(a_lowered_budget_ends_a_hopeless_wait);
	TAP_RUN(shutdown_ends_waits);
	TAP_RUN(a_host_that_fails_ends_waits);
	TAP_RUN(a_waiter_survives_the_last_release);
	return tap_done();
}
