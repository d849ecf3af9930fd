/*
 * Shutdown in the middle of a request, from its callback: what is not done any more.
 */
#include "reclaim.h"
#include "test/callback.h"

static struct callback callback;

static void keep(struct callback *which)
{
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(host.manager,
								       &which->iface),
		 S_OK);
}

static IHostMemorySimulator *simulate(void)
{
	void *face = NULL;

	CHECK_HR(IHostMemoryControl_QueryInterface(host.control,
						   &IID_IHostMemorySimulator, &face),
		 S_OK);
	return (IHostMemorySimulator *)face;
}

static void refuse_by_system(uint32_t ms)
{
	IHostMemorySimulator *simulator = simulate();
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	uint64_t cookie;

	fault.place = HOSTMEM_FAULT_SYSTEM;
	fault.msDelay = ms;
	CHECK_HR(IHostMemorySimulator_AddFault(simulator, &fault, &cookie), S_OK);
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, TRUE), S_OK);
	IHostMemorySimulator_Release(simulator);
}

static void shut_down(struct recorder *recorder, const HostMemEvent *event)
{
	(void)recorder;
	if (event->type == HostMemEventAllocate)
		CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
}

/* ---- After a Shutdown ---- */

static void no_reclaimer_is_called_after_a_shutdown(void)
{
	struct recorder recorder = { .then = shut_down };

	if (!start(NULL))
		return;
	CHECK_HR(vm_release(&host, helper.base), S_OK);
	recorder_start(&recorder, &host, ALL_BITS);
	refuse_by_system(0);
	CHECK_HR(commit(PAGE), HOST_E_ABANDONED);
	CHECK_U32(helper.calls, 0);
	recorder_stop(&recorder);
	end(0);
}

/* The account is short, and the delay has that looked at. */
static void no_low_is_told_after_a_shutdown(void)
{
	struct recorder recorder = { .then = shut_down };

	if (!start(NULL))
		return;
	callback = callback_new();
	CHECK_HR(vm_free(&host, helper.base, PAGE, MEM_DECOMMIT), S_OK);
	keep(&callback);
	recorder_start(&recorder, &host, ALL_BITS);
	refuse_by_system(1);
	CHECK_HR(commit(PAGE), HOST_E_ABANDONED);
	CHECK_HEARD(&callback, "");
	recorder_stop(&recorder);
	end(LIMIT - PAGE);
	CHECK_HEARD(&callback, "");
}

static void a_mapping_is_not_charged_after_a_shutdown(void)
{
	struct recorder recorder = { .then = shut_down };
	struct ledger ledger = { 0 };

	if (!start(NULL))
		return;
	CHECK_HR(vm_release(&host, helper.base), S_OK);
	recorder_start(&recorder, &host, ALL_BITS);
	ledger_start(&ledger, &host);
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(host.manager,
								at(NULL, 0x20000000),
								PAGE),
		 HOST_E_ABANDONED);
	CHECK(ledger.sum == 0);
	end(0);
}

/* ---- At the gate ---- */

/* Again and again, until the other is quicker and has it. */
static void enter_until_it_is_taken(struct recorder *recorder, const HostMemEvent *event)
{
	HRESULT hr;

	(void)recorder;
	if (event->type != HostMemEventAllocate)
		return;
	while ((hr = IHostMemoryControl_EnterGate(host.control, FOR_EVER)) == S_OK) {
		CHECK_HR(IHostMemoryControl_LeaveGate(host.control), S_OK);
		(void)sched_yield();
	}
	CHECK_HR(hr, HOST_E_ABANDONED);
}

static HRESULT call_acquired(struct caller *caller)
{
	return IHostMemoryManager_AcquiredVirtualAddressSpace(caller->host->manager,
							      at(NULL, 0x20000000), PAGE);
}

static _Atomic bool begun;

static BOOL HOSTMEM_CALL say_begun(void *state, const HostMemEvent *event)
{
	(void)state, (void)event;
	atomic_store(&begun, true);
	return TRUE;
}

/* Its owner has shut the host down; the announcement is taken back. */
static void a_mapping_that_does_not_pass_the_gate_is_taken_back(void)
{
	struct caller caller = { .call = call_acquired };
	struct recorder recorder = { .then = enter_until_it_is_taken };
	struct ledger ledger = { 0 };
	uint64_t cookie;

	if (!start(NULL))
		return;
	CHECK_HR(vm_release(&host, helper.base), S_OK);
	ledger_start(&ledger, &host);
	CHECK_HR(IHostMemoryControl_Subscribe(host.control, ALLOCATE_BIT, say_begun, NULL,
					      &cookie),
		 S_OK);
	recorder_start(&recorder, &host, ALL_BITS);
	atomic_store(&begun, false);
	caller_start(&caller, &host);
	while (!atomic_load(&begun))
		(void)sched_yield();
	CHECK_HR(IHostMemoryControl_EnterGate(host.control, FOR_EVER), S_OK);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	CHECK_HR(caller_end(&caller), HOST_E_ABANDONED);
	CHECK_HR(IHostMemoryControl_LeaveGate(host.control), S_OK);
	CHECK(ledger.sum == 0);
	end(0);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(no_reclaimer_is_called_after_a_shutdown);
	TAP_RUN(no_low_is_told_after_a_shutdown);
	TAP_RUN(a_mapping_is_not_charged_after_a_shutdown);
	TAP_RUN(a_mapping_that_does_not_pass_the_gate_is_taken_back);
	return tap_done();
}
