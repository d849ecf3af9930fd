/*
 * Whoever tells the runtime, waits for a callback, and the gate: nobody waits for somebody
 * who waits for him.
 */
#include "threads.h"
#include "test/callback.h"

static struct host host;
static struct callback callback;

/* What a callback does is done when the other thread is where it is to be. */
static _Atomic bool inside, go;

static void stay(void)
{
	atomic_store(&inside, true);
	while (!atomic_load(&go))
		(void)sched_yield();
}

static void wait_until_inside(void)
{
	while (!atomic_load(&inside))
		(void)sched_yield();
}

static void enter_and_leave(void)
{
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, FOR_EVER), S_OK);
	CHECK_HR(IHostMemoryControl_LeaveGate(host.control), S_OK);
}

static void keep(struct callback *which)
{
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
			 host.manager, which != NULL ? &which->iface : NULL),
		 S_OK);
}

static bool begin(void)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.cbLimit = 4 * PAGE;
	config.budget = &budget;
	config.dwFlags = HOSTMEM_MONITOR_OFF;
	config.msGateTimeout = FOR_EVER;
	atomic_store(&inside, false);
	atomic_store(&go, false);
	if (!host_create_with(&host, &config))
		return false;
	callback = callback_new();
	keep(&callback);
	return true;
}

static void end(void)
{
	enter_and_leave();
	host_destroy(&host);
	CHECK_U32(callback.references, 1);
}

static HRESULT call_notify(struct caller *caller)
{
	return IHostMemoryControl_NotifyMemory(caller->host->control,
					       eMemoryAvailableHigh);
}

/* ---- Who replaces the runtime's callback ---- */

static void stay_and_enter(struct callback *self, EMemoryAvailable available)
{
	(void)self, (void)available;
	stay();
	enter_and_leave();
}

static void unregister(struct recorder *recorder, const HostMemEvent *event)
{
	(void)recorder;
	if (event->type == HostMemEventAllocate)
		keep(NULL);
}

/* In a callback of a request, it waits for a call that waits until requests have ended. */
static void entering_does_not_wait_for_who_replaces_the_callback(void)
{
	struct caller teller = { .call = call_notify };
	struct caller leaver = { .call = call_commit, .size = PAGE };
	struct recorder recorder = { .then = unregister };

	if (!begin())
		return;
	callback.then = stay_and_enter;
	recorder_start(&recorder, &host, ALLOCATE_BIT);
	caller_start(&teller, &host);
	wait_until_inside();
	leaver.address = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	caller_start(&leaver, &host);
	caller_wait_at_gate(&leaver);
	atomic_store(&go, true);
	CHECK_HR(caller_end(&teller), S_OK);
	CHECK_HR(caller_end(&leaver), S_OK);
	end();
}

/* ---- Who replaces the reclaimer ---- */

static size_t HOSTMEM_CALL reclaim_and_enter(void *state, size_t wanted)
{
	(void)state, (void)wanted;
	stay();
	enter_and_leave();
	return 0;
}

static void take_the_reclaimer_away(struct callback *self, EMemoryAvailable available)
{
	(void)self, (void)available;
	CHECK_HR(IHostMemoryControl_SetReclaimer(host.control, NULL, NULL), S_OK);
}

/* In the runtime's callback. */
static void entering_does_not_wait_for_who_replaces_the_reclaimer(void)
{
	struct caller caller = { .call = call_commit, .size = 2 * PAGE };
	struct caller teller = { .call = call_notify };
	void *base;

	if (!begin())
		return;
	base = vm_new(&host, 4 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	callback.then = take_the_reclaimer_away;
	CHECK_HR(IHostMemoryControl_SetReclaimer(host.control, reclaim_and_enter, NULL),
		 S_OK);
	caller_start(&caller, &host);
	wait_until_inside();
	caller_start(&teller, &host);
	caller_wait_at_gate(&teller);
	atomic_store(&go, true);
	CHECK_HR(caller_end(&caller), E_OUTOFMEMORY);
	CHECK_HR(caller_end(&teller), S_OK);
	CHECK_HR(vm_release(&host, base), S_OK);
	end();
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(entering_does_not_wait_for_who_replaces_the_callback);
	TAP_RUN(entering_does_not_wait_for_who_replaces_the_reclaimer);
	return tap_done();
}
