/*
 * The gate, as its description says, sentence by sentence.
 */
#include "child.h"
#include "threads.h"

static struct host host;
static void *base; /* a reservation, its first page committed */

/* `ms` is how long allocations wait. */
static bool start(uint32_t ms)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.dwFlags = HOSTMEM_MONITOR_OFF;
	config.msGateTimeout = ms;
	if (!host_create_with(&host, &config))
		return false;
	base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READWRITE), S_OK);
	return base != NULL;
}

static void end(void)
{
	/* It is open. */
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, 0), S_OK);
	CHECK_HR(IHostMemoryControl_LeaveGate(host.control), S_OK);
	host_destroy(&host);
}

static HRESULT enter(DWORD ms)
{
	return IHostMemoryControl_EnterGate(host.control, ms);
}

static HRESULT leave(void)
{
	return IHostMemoryControl_LeaveGate(host.control);
}

static HRESULT by_another_thread(HRESULT (*call)(struct caller *caller))
{
	struct caller caller = { .call = call, .size = PAGE, .address = base };

	caller_start(&caller, &host);
	return caller_end(&caller);
}

static void who_does_not_hold_it_cannot_leave_it(void)
{
	if (!start(0))
		return;
	CHECK_HR(leave(), HOST_E_NOT_OWNER);
	CHECK_HR(enter(0), S_OK);
	CHECK_HR(by_another_thread(call_leave_gate), HOST_E_NOT_OWNER);
	CHECK_HR(leave(), S_OK);
	CHECK_HR(leave(), HOST_E_NOT_OWNER);
	end();
}

static void it_nests_and_others_may_try(void)
{
	if (!start(0))
		return;
	for (unsigned i = 0; i < 5; i++)
		CHECK_HR(enter(i == 0 ? FOR_EVER : i), S_OK);
	for (unsigned i = 0; i < 5; i++) {
		CHECK_HR(by_another_thread(call_enter_gate), HOST_E_TIMEOUT);
		CHECK_HR(leave(), S_OK);
	}
	CHECK_HR(by_another_thread(call_enter_gate), S_OK);
	end();
}

static HRESULT call_enter_for_a_while(struct caller *caller)
{
	caller->ms = 3;
	return call_enter_gate(caller);
}

static void who_may_not_wait_longer_is_told(void)
{
	static HRESULT (*const calls[])(struct caller *) = {
		call_commit,
		call_reserve,
		call_protect,
		call_enter_for_a_while,
	};
	struct snapshot before;

	if (!start(3))
		return;
	CHECK_HR(enter(0), S_OK);
	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(calls); i++) {
		tap_row("call %zu", i);
		CHECK_HR(by_another_thread(calls[i]), HOST_E_TIMEOUT);
	}
	CHECK_UNCHANGED(&before);
	CHECK_HR(leave(), S_OK);
	end();
}

/* It took its time, and was not known to the host before; so nobody hears of it. */
static void who_times_out_at_it_raises_no_event(void)
{
	struct recorder recorder = { .refuse = false };

	if (!start(3))
		return;
	recorder_start(&recorder, &host, ALL_BITS);
	CHECK_HR(enter(0), S_OK);
	CHECK_HR(by_another_thread(call_commit), HOST_E_TIMEOUT);
	CHECK_HR(by_another_thread(call_reserve), HOST_E_TIMEOUT);
	CHECK_SIZE(recorder.count, 0);
	CHECK_HR(leave(), S_OK);
	recorder_stop(&recorder);
	end();
}

struct row {
	const char *name;
	HRESULT (*call)(struct caller *caller);
	size_t offset; /* of its address */
};

static HRESULT call_reset(struct caller *caller)
{
	void *out;

	return vm_alloc(caller->host, caller->address, PAGE, MEM_RESET, PAGE_READWRITE,
			&out);
}

static HRESULT call_release_range(struct caller *caller)
{
	return IHostMemoryPages_ReleaseRange(caller->host->pages, caller->address, PAGE);
}

static HRESULT call_acquired(struct caller *caller)
{
	return IHostMemoryManager_AcquiredVirtualAddressSpace(
		caller->host->manager, (void *)(uintptr_t)0x500000000, PAGE);
}

static const struct row changes[] = {
	{ "commit", call_commit, 2 * PAGE }, { "reserve", call_reserve, 0 },
	{ "protect", call_protect, 0 },      { "reset", call_reset, 0 },
	{ "decommit", call_decommit, 0 },    { "a part", call_release_range, UNIT / 2 },
	{ "acquired", call_acquired, 0 },    { "release", call_release, 0 },
	{ "entering", call_enter_gate, 0 },
};

static void change_behind_it(void (*open)(void), HRESULT want)
{
	for (size_t i = 0; i < ROWS(changes); i++) {
		struct caller caller = { .call = changes[i].call,
					 .size = PAGE,
					 .ms = FOR_EVER };
		struct snapshot before;

		tap_row("%s", changes[i].name);
		if (!start(FOR_EVER))
			return;
		caller.address = at(base, changes[i].offset);
		CHECK_HR(enter(0), S_OK);
		snapshot_take(&before, &host);
		caller_start(&caller, &host);
		caller_wait_at_gate(&caller);
		CHECK_UNCHANGED(&before);
		open();
		CHECK_HR(caller_end(&caller), want);
		host_destroy(&host);
	}
}

static void open_it(void)
{
	CHECK_HR(leave(), S_OK);
}

static void shut_it_down(void)
{
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	CHECK_HR(leave(), S_OK);
}

static void who_changes_anything_waits_until_it_opens(void)
{
	change_behind_it(open_it, S_OK);
}

static void shutdown_ends_all_waits_at_it(void)
{
	change_behind_it(shut_it_down, HOST_E_ABANDONED);
}

/* Longer than any allocation: those have given up when this still waits. */
static void frees_wait_without_limit(void)
{
	struct caller release = { .call = call_release, .address = NULL };
	struct caller decommit = { .call = call_decommit, .size = PAGE };

	if (!start(2))
		return;
	release.address = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	decommit.address = base;
	CHECK_HR(enter(0), S_OK);
	caller_start(&release, &host);
	caller_start(&decommit, &host);
	for (unsigned i = 0; i < 5; i++)
		CHECK_HR(by_another_thread(call_commit), HOST_E_TIMEOUT);
	CHECK(!atomic_load(&release.done));
	CHECK(!atomic_load(&decommit.done));
	CHECK_HR(leave(), S_OK);
	CHECK_HR(caller_end(&release), S_OK);
	CHECK_HR(caller_end(&decommit), S_OK);
	end();
}

static void the_owner_passes_and_never_waits_for_memory(void)
{
	HostMemBudget budget;
	void *own, *out;
	DWORD old;

	if (!waiting_host(&host, &budget, 4 * PAGE))
		return;
	CHECK_HR(enter(0), S_OK);
	own = vm_new(&host, 4 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_protect(&host, own, PAGE, PAGE_READONLY, &old), S_OK);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	CHECK_U32(threads_short, 1);
	CHECK_HR(vm_free(&host, own, PAGE, MEM_DECOMMIT), S_OK);
	CHECK_HR(vm_release(&host, own), S_OK);
	CHECK_HR(leave(), S_OK);
	end();
}

/* ---- What passes ---- */

static BOOL HOSTMEM_CALL count_run(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	(void)run;
	++*(unsigned *)state;
	return TRUE;
}

static HRESULT call_what_passes(struct caller *caller)
{
	IHostMemoryControl *control = caller->host->control;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	uint64_t cookie;
	unsigned runs = 0;

	CHECK_HR(IHostMemoryControl_GetBudget(control, &budget), S_OK);
	CHECK_HR(IHostMemoryControl_SetBudget(control, &budget), S_OK);
	CHECK_HR(IHostMemoryControl_Subscribe(control, ALL_BITS, watch_event, NULL,
					      &cookie),
		 S_OK);
	CHECK_HR(IHostMemoryControl_Unsubscribe(control, cookie), S_OK);
	CHECK_HR(IHostMemoryControl_SetReclaimer(control, count_shortage, NULL), S_OK);
	CHECK_HR(IHostMemoryControl_SetReclaimer(control, NULL, NULL), S_OK);
	CHECK_RUN(caller->host, base, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_U32(vm_state(caller->host, (void *)(uintptr_t)&runs), MEM_COMMIT);
	CHECK_SIZE(host_usage(caller->host).cbCommitted, PAGE);
	CHECK_HR(IHostMemoryControl_WalkRegions(control, count_run, &runs), S_OK);
	CHECK_U32(runs, 2);
	CHECK_HR(HostMemHandleFault(base, TRUE), S_OK);
	CHECK_HR(HostMemHandleFault(&runs, TRUE), S_FALSE);
	return IHostMemoryControl_Shutdown(control);
}

static void some_calls_pass_a_closed_gate(void)
{
	if (!start(FOR_EVER))
		return;
	CHECK_HR(enter(0), S_OK);
	CHECK_HR(by_another_thread(call_what_passes), S_OK);
	CHECK_HR(enter(0), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(leave(), S_OK);
	host_destroy(&host);
}

/* ---- Fork ---- */

static struct caller left_behind[3];

static void in_the_child(void)
{
	void *out;

	CHECK_HR(leave(), HOST_E_NOT_OWNER);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out), S_OK);
	CHECK_HR(enter(FOR_EVER), S_OK);
	CHECK_HR(vm_release(&host, out), S_OK);
	CHECK_HR(leave(), S_OK);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	host_destroy(&host);
}

static void a_fork_child_has_it_open(void)
{
	static HRESULT (*const calls[])(struct caller *) = { call_commit, call_decommit,
							     call_enter_gate };

	if (!start(FOR_EVER))
		return;
	CHECK_HR(enter(0), S_OK);
	for (size_t i = 0; i < ROWS(calls); i++) {
		left_behind[i] = (struct caller){ .call = calls[i],
						  .size = PAGE,
						  .address = i == 1 ? base : NULL,
						  .ms = FOR_EVER };
		caller_start(&left_behind[i], &host);
		caller_wait_at_gate(&left_behind[i]);
	}
	in_child(in_the_child);
	CHECK_HR(leave(), S_OK);
	for (size_t i = 0; i < ROWS(calls); i++)
		CHECK_HR(caller_end(&left_behind[i]), S_OK);
	end();
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(who_does_not_hold_it_cannot_leave_it);
	TAP_RUN(it_nests_and_others_may_try);
	TAP_RUN(who_may_not_wait_longer_is_told);
	TAP_RUN(who_times_out_at_it_raises_no_event);
	TAP_RUN(who_changes_anything_waits_until_it_opens);
	TAP_RUN(shutdown_ends_all_waits_at_it);
	TAP_RUN(frees_wait_without_limit);
	TAP_RUN(the_owner_passes_and_never_waits_for_memory);
	TAP_RUN(some_calls_pass_a_closed_gate);
	TAP_RUN(a_fork_child_has_it_open);
	return tap_done();
}
