/*
 * Callbacks, waits for memory and the gate, all at once: nobody waits for somebody who
 * waits for him.
 */
#include "child.h"
#include "threads.h"

static struct host host;
static HostMemBudget budget;

#define LIMIT (16 * PAGE)

static bool start(void)
{
	return waiting_host(&host, &budget, LIMIT);
}

static void end(void)
{
	CHECK_SIZE(host_usage(&host).cbCharged, 0);
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, 0), S_OK);
	CHECK_HR(IHostMemoryControl_LeaveGate(host.control), S_OK);
	host_destroy(&host);
}

/* A subscriber in whose call one thread stays until it is told to go on. */
struct stay {
	_Atomic bool inside, go;
	size_t size; /* of the request that it stays in */
	void (*then)(struct stay *stay);
	HRESULT result;
	uint64_t cookie;
};

static struct stay stay;

static BOOL HOSTMEM_CALL stay_event(void *state, const HostMemEvent *event)
{
	struct stay *self = (struct stay *)state;

	if (event->type != HostMemEventAllocate || event->size != self->size)
		return TRUE;
	atomic_store(&self->inside, true);
	while (!atomic_load(&self->go))
		(void)sched_yield();
	if (self->then != NULL)
		self->then(self);
	return TRUE;
}

/* Returns when the caller, which commits, is in the callback. */
static void stay_start(struct caller *caller, void (*then)(struct stay *stay))
{
	stay = (struct stay){ .size = caller->size, .then = then };
	CHECK_HR(IHostMemoryControl_Subscribe(host.control, ALLOCATE_BIT, stay_event,
					      &stay, &stay.cookie),
		 S_OK);
	caller_start(caller, &host);
	while (!atomic_load(&stay.inside))
		(void)sched_yield();
}

static void allocate(struct stay *self)
{
	void *out;

	self->result = vm_alloc(&host, NULL, 2 * PAGE, MEM_COMMIT, PAGE_READWRITE, &out);
	if (SUCCEEDED(self->result))
		CHECK_HR(vm_release(&host, out), S_OK);
}

static HRESULT call_enter_and_look(struct caller *caller)
{
	CHECK_HR(IHostMemoryControl_EnterGate(caller->host->control, FOR_EVER), S_OK);
	/* What was in flight has ended. */
	CHECK_SIZE(host_usage(caller->host).cbCharged, PAGE);
	return IHostMemoryControl_LeaveGate(caller->host->control);
}

static void entering_waits_for_a_callback_that_allocates_inside(void)
{
	struct caller caller = { .call = call_commit, .size = PAGE };
	struct caller owner = { .call = call_enter_and_look };

	if (!start())
		return;
	stay_start(&caller, allocate);
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, 0), HOST_E_TIMEOUT);
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, 3), HOST_E_TIMEOUT);
	caller_start(&owner, &host);
	CHECK(!atomic_load(&owner.done));
	atomic_store(&stay.go, true);
	CHECK_HR(caller_end(&owner), S_OK);
	let_out(&host, &caller, S_OK);
	CHECK_HR(stay.result, S_OK);
	end();
}

static void enter_inside(struct stay *self)
{
	void *out;

	self->result = IHostMemoryControl_EnterGate(host.control, FOR_EVER);
	out = vm_new(&host, 2 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, out), S_OK);
	CHECK_HR(IHostMemoryControl_LeaveGate(host.control), S_OK);
}

static void a_callback_may_enter_and_two_do_not_wait_for_each_other(void)
{
	struct caller caller = { .call = call_commit, .size = PAGE };
	struct caller owner = { .call = call_enter_gate, .ms = FOR_EVER };

	if (!start())
		return;
	stay_start(&caller, enter_inside);
	caller_start(&owner, &host);
	atomic_store(&stay.go, true);
	CHECK_HR(caller_end(&owner), S_OK);
	let_out(&host, &caller, S_OK);
	CHECK_HR(stay.result, S_OK);
	end();
}

/* The one who unsubscribes waits for a callback, which waits for the gate, whose owner to
 * be must not wait for the one who unsubscribes. */
static HRESULT call_unsubscribe(struct caller *caller)
{
	return IHostMemoryControl_Unsubscribe(caller->host->control, stay.cookie);
}

static void entering_does_not_wait_for_who_unsubscribes(void)
{
	struct caller caller = { .call = call_commit, .size = PAGE };
	struct caller leaver = { .call = call_unsubscribe };
	struct caller owner = { .call = call_enter_gate, .ms = FOR_EVER };

	if (!start())
		return;
	stay_start(&caller, enter_inside);
	caller_start(&leaver, &host);
	caller_wait_at_gate(&leaver);
	caller_start(&owner, &host);
	caller_wait_at_gate(&owner);
	atomic_store(&stay.go, true);
	CHECK_HR(caller_end(&leaver), S_OK);
	CHECK_HR(caller_end(&owner), S_OK);
	let_out(&host, &caller, S_OK);
	end();
}

static void shut_down_inside(struct stay *self)
{
	self->result = IHostMemoryControl_Shutdown(host.control);
}

static void shutdown_from_a_callback_does_not_wait_for_who_unsubscribes(void)
{
	struct caller caller = { .call = call_commit, .size = PAGE };
	struct caller leaver = { .call = call_unsubscribe };

	if (!start())
		return;
	stay_start(&caller, shut_down_inside);
	caller_start(&leaver, &host);
	caller_wait_at_gate(&leaver);
	atomic_store(&stay.go, true);
	CHECK_HR(caller_end(&leaver), S_OK);
	CHECK_HR(caller_end(&caller), HOST_E_ABANDONED);
	CHECK_HR(stay.result, S_OK);
	host_destroy(&host);
}

/* ---- Those who sleep for memory ---- */

static void a_waiter_does_not_count_and_comes_back_through_the_gate(void)
{
	struct caller waiter = { .call = call_commit, .size = PAGE };
	void *base;

	if (!start())
		return;
	base = vm_new(&host, LIMIT, MEM_COMMIT, PAGE_READWRITE);
	caller_wait_for_memory(&waiter, &host);
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, 0), S_OK);
	/* What the owner gives back is his until he leaves. */
	CHECK_HR(vm_release(&host, base), S_OK);
	base = vm_new(&host, LIMIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
	budget.cbLimit += PAGE;
	CHECK_HR(IHostMemoryControl_SetBudget(host.control, &budget), S_OK);
	base = vm_new(&host, LIMIT + PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK(!atomic_load(&waiter.done));
	CHECK_HR(IHostMemoryControl_LeaveGate(host.control), S_OK);
	let_out(&host, &waiter, S_OK);
	end();
}

static void a_waiter_that_ends_behind_a_closed_gate_waits_there(void)
{
	struct caller waiter = { .call = call_commit, .size = 2 * PAGE };
	void *base;

	if (!start())
		return;
	base = vm_new(&host, LIMIT, MEM_COMMIT, PAGE_READWRITE);
	caller_wait_for_memory(&waiter, &host);
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, 0), S_OK);
	budget.cbLimit = PAGE;
	CHECK_HR(IHostMemoryControl_SetBudget(host.control, &budget), S_OK);
	/* It has no hope, but to fail is to call out. */
	caller_wait_at_gate(&waiter);
	CHECK_HR(IHostMemoryControl_LeaveGate(host.control), S_OK);
	let_out(&host, &waiter, E_OUTOFMEMORY);
	CHECK_HR(vm_release(&host, base), S_OK);
	end();
}

/* A sleeper in a callback sleeps with all that it has in flight. */
static void who_sleeps_in_a_callback_does_not_count_either(void)
{
	struct caller caller = { .call = call_commit, .size = LIMIT - PAGE };
	unsigned before;
	void *base;

	if (!start())
		return;
	base = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	before = threads_short;
	stay_start(&caller, allocate);
	atomic_store(&stay.go, true);
	while (atomic_load(&threads_short) == before)
		(void)sched_yield();
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, FOR_EVER), S_OK);
	CHECK(!atomic_load(&caller.done));
	budget.cbLimit += 4 * PAGE;
	CHECK_HR(IHostMemoryControl_SetBudget(host.control, &budget), S_OK);
	CHECK_HR(IHostMemoryControl_LeaveGate(host.control), S_OK);
	let_out(&host, &caller, S_OK);
	CHECK_HR(stay.result, S_OK);
	CHECK_HR(vm_release(&host, base), S_OK);
	end();
}

static struct host other_host;

static void allocate_elsewhere(struct stay *self)
{
	void *out;

	self->result = vm_alloc(&other_host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE,
				&out);
}

/* Each host has a gate of its own: a call in flight on one opens no other. */
static void who_is_in_a_callback_of_another_host_waits(void)
{
	struct caller caller = { .call = call_commit, .size = PAGE };

	if (!start() || !host_create(&other_host, 0))
		return;
	CHECK_HR(IHostMemoryControl_EnterGate(other_host.control, 0), S_OK);
	stay_start(&caller, allocate_elsewhere);
	atomic_store(&stay.go, true);
	caller_wait_at_gate(&caller);
	CHECK_SIZE(host_usage(&other_host).cbCommitted, 0);
	CHECK_HR(IHostMemoryControl_LeaveGate(other_host.control), S_OK);
	let_out(&host, &caller, S_OK);
	CHECK_HR(stay.result, S_OK);
	CHECK_SIZE(host_usage(&other_host).cbCommitted, PAGE);
	host_destroy(&other_host);
	end();
}

static void thrown_away_while_threads_wait_at_the_gate(void)
{
	static HRESULT (*const calls[])(struct caller *) = {
		call_commit,
		call_reserve,
		call_decommit,
		call_enter_gate,
	};
	struct caller callers[ROWS(calls)];
	struct host copy;

	if (!start())
		return;
	copy = host;
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, 0), S_OK);
	for (size_t i = 0; i < ROWS(calls); i++) {
		callers[i] = (struct caller){ .call = calls[i],
					      .size = PAGE,
					      .ms = FOR_EVER,
					      .address = i == 2 ? &host : NULL };
		caller_start(&callers[i], &copy);
		caller_wait_at_gate(&callers[i]);
	}
	host_destroy(&host);
	for (size_t i = 0; i < ROWS(calls); i++)
		CHECK_HR(caller_end(&callers[i]), HOST_E_ABANDONED);
}

/* ---- Fork ---- */

static void in_the_child(void)
{
	void *out;

	CHECK_HR(IHostMemoryControl_SetReclaimer(host.control, NULL, NULL), S_OK);
	budget.msWait[eTaskCritical] = 2;
	CHECK_HR(IHostMemoryControl_SetBudget(host.control, &budget), S_OK);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 HOST_E_TIMEOUT);
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, FOR_EVER), S_OK);
	CHECK_HR(IHostMemoryControl_LeaveGate(host.control), S_OK);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	host_destroy(&host);
}

static void fork_inside(struct stay *self)
{
	in_child(in_the_child);
	self->result = S_OK;
}

/* With waiters, somebody who unsubscribes, and somebody in front of the gate. */
static void a_fork_child_waits_for_nobody(void)
{
	struct caller waiter = { .call = call_commit, .size = PAGE };
	struct caller caller = { .call = call_commit, .size = 0 };
	struct caller leaver = { .call = call_unsubscribe };
	struct caller owner = { .call = call_enter_gate, .ms = FOR_EVER };
	void *base;

	if (!start())
		return;
	base = vm_new(&host, LIMIT, MEM_COMMIT, PAGE_READWRITE);
	caller_wait_for_memory(&waiter, &host);
	tap_row("from outside");
	in_child(in_the_child);
	CHECK_HR(vm_free(&host, base, PAGE, MEM_DECOMMIT), S_OK);
	let_out(&host, &waiter, S_OK);
	tap_row("from a callback");
	caller.size = PAGE;
	stay_start(&caller, fork_inside);
	caller_start(&leaver, &host);
	caller_wait_at_gate(&leaver);
	caller_start(&owner, &host);
	caller_wait_at_gate(&owner);
	atomic_store(&stay.go, true);
	CHECK_HR(caller_end(&leaver), S_OK);
	CHECK_HR(caller_end(&owner), S_OK);
	let_out(&host, &caller, S_OK);
	CHECK_HR(vm_release(&host, base), S_OK);
	end();
}

static void in_virtual_time_waits_cost_nothing(void)
{
	IHostMemorySimulator *simulator;
	void *face = NULL, *base, *out;

	if (!start())
		return;
	CHECK_HR(IHostMemoryControl_QueryInterface(host.control,
						   &IID_IHostMemorySimulator, &face),
		 S_OK);
	simulator = (IHostMemorySimulator *)face;
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, TRUE), S_OK);
	base = vm_new(&host, LIMIT, MEM_COMMIT, PAGE_READWRITE);
	for (unsigned i = 0; i < 5000; i++)
		CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
			 HOST_E_TIMEOUT);
	CHECK_HR(vm_release(&host, base), S_OK);
	IHostMemorySimulator_Release(simulator);
	end();
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(entering_waits_for_a_callback_that_allocates_inside);
	TAP_RUN(a_callback_may_enter_and_two_do_not_wait_for_each_other);
	TAP_RUN(entering_does_not_wait_for_who_unsubscribes);
	TAP_RUN(shutdown_from_a_callback_does_not_wait_for_who_unsubscribes);
	TAP_RUN(a_waiter_does_not_count_and_comes_back_through_the_gate);
	TAP_RUN(a_waiter_that_ends_behind_a_closed_gate_waits_there);
	TAP_RUN(who_sleeps_in_a_callback_does_not_count_either);
	TAP_RUN(who_is_in_a_callback_of_another_host_waits);
	TAP_RUN(thrown_away_while_threads_wait_at_the_gate);
	TAP_RUN(a_fork_child_waits_for_nobody);
	TAP_RUN(in_virtual_time_waits_cost_nothing);
	return tap_done();
}
