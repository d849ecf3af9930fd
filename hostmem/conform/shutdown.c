/*
 * Cases about Shutdown: from then on every method answers HOST_E_CLRNOTAVAILABLE, but for the
 * few that a runtime needs to get away, and what is mapped stays mapped.
 */
#include "areas.h"
#include "control.h"

#include <string.h>

#define GONE HOST_E_CLRNOTAVAILABLE

enum { PATIENCE_MS = 3000, TOUCH_MS = 20 };

/* A host with something of each kind, shut down. */
struct fixture {
	IHostMemoryControl *control;
	unsigned char *base; /* 16 pages, of which 2 are committed */
	struct hm_state before;
};

static bool begin(struct fixture *fixture, struct hm_trial *t)
{
	fixture->control = hm_control(t);
	if (fixture->control == NULL)
		return false;
	fixture->base = (unsigned char *)hm_take(t, NULL, HM_GRANULE, MEM_RESERVE,
						 PAGE_READWRITE);
	if (fixture->base == NULL ||
	    !hm_commit(t, fixture->base, 2 * HM_PAGE, PAGE_READWRITE))
		return false;
	memset(fixture->base, 0x42, 2 * HM_PAGE);
	hm_look(t, &fixture->before);
	return CHECK_HR(t, IHostMemoryControl_Shutdown(fixture->control), S_OK);
}

/* Nothing of what was refused has happened. */
static void end(struct fixture *fixture, struct hm_trial *t)
{
	CHECK_UNCHANGED(t, &fixture->before);
}

/* ---- What is no more ---- */

static void the_manager_is_gone(struct hm_trial *t)
{
	IHostMemoryManager *memory = t->memory;
	IHostMalloc *heap = (IHostMalloc *)HM_POISON;
	struct fixture fixture;
	SIZE_T available = 1;
	DWORD load = 1, old;
	void *out;

	if (!begin(&fixture, t))
		return;
	CHECK_HR(t, IHostMemoryManager_CreateMalloc(memory, MALLOC_THREADSAFE, &heap),
		 GONE);
	CHECK_POINTER(t, heap, NULL);
	CHECK_HR(t,
		 hm_alloc(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE, eProcessCritical,
			  &out),
		 GONE);
	CHECK_HR(t,
		 hm_alloc(t, fixture.base, HM_PAGE, MEM_COMMIT, PAGE_READWRITE,
			  eTaskCritical, &out),
		 GONE);
	CHECK_HR(t,
		 hm_alloc(t, fixture.base, HM_PAGE, MEM_RESET, PAGE_READWRITE,
			  eTaskCritical, &out),
		 GONE);
	CHECK_HR(t,
		 IHostMemoryManager_VirtualFree(memory, fixture.base, HM_PAGE,
						MEM_DECOMMIT),
		 GONE);
	CHECK_HR(t, IHostMemoryManager_VirtualFree(memory, fixture.base, 0, MEM_RELEASE),
		 GONE);
	CHECK_HR(t, hm_reprotect(t, fixture.base, HM_PAGE, PAGE_READONLY, &old), GONE);
	CHECK_HR(t, IHostMemoryManager_GetMemoryLoad(memory, &load, &available), GONE);
	CHECK_SIZE(t, load, 0);
	CHECK_SIZE(t, available, 0);
	CHECK_HR(t, IHostMemoryManager_RegisterMemoryNotificationCallback(memory, NULL),
		 GONE);
	CHECK_HR(t, IHostMemoryManager_NeedsVirtualAddressSpace(memory, NULL, 1), GONE);
	CHECK_HR(t, IHostMemoryManager_AcquiredVirtualAddressSpace(memory, NULL, HM_PAGE),
		 GONE);
	CHECK_HR(t, IHostMemoryManager_ReleasedVirtualAddressSpace(memory, NULL), GONE);
	end(&fixture, t);
}

static BOOL HOSTMEM_CALL agree(void *state, const HostMemEvent *event)
{
	(void)state;
	(void)event;
	return TRUE;
}

static void the_control_is_gone(struct hm_trial *t)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	struct fixture fixture;
	IHostMemoryControl *control;
	uint64_t cookie = 1;

	if (!begin(&fixture, t))
		return;
	control = fixture.control;
	CHECK_HR(t, IHostMemoryControl_SetBudget(control, &budget), GONE);
	CHECK_HR(t, IHostMemoryControl_GetBudget(control, &budget), GONE);
	CHECK_HR(t, IHostMemoryControl_Subscribe(control, 7, agree, NULL, &cookie), GONE);
	CHECK_SIZE(t, cookie, 0);
	CHECK_HR(t, IHostMemoryControl_SetReclaimer(control, NULL, NULL), GONE);
	CHECK_HR(t, IHostMemoryControl_NotifyMemory(control, eMemoryAvailableLow), GONE);
	CHECK_HR(t, IHostMemoryControl_EnterGate(control, 0), GONE);
	CHECK_HR(t, IHostMemoryControl_Shutdown(control), GONE);
	end(&fixture, t);
}

static void the_simulator_is_gone(struct hm_trial *t)
{
	IHostMemorySimulator *simulator =
		(IHostMemorySimulator *)hm_need(t, &IID_IHostMemorySimulator,
						"IHostMemorySimulator");
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	struct fixture fixture;
	uint64_t cookie = 1;

	if (simulator == NULL || !begin(&fixture, t))
		return;
	CHECK_HR(t, IHostMemorySimulator_AddFault(simulator, &fault, &cookie), GONE);
	CHECK_SIZE(t, cookie, 0);
	CHECK_HR(t, IHostMemorySimulator_RemoveFault(simulator, 1), GONE);
	CHECK_HR(t, IHostMemorySimulator_SetMemoryLoad(simulator, 50, HM_PAGE), GONE);
	CHECK_HR(t, IHostMemorySimulator_ClearMemoryLoad(simulator), GONE);
	CHECK_HR(t, IHostMemorySimulator_SetAvailability(simulator, eMemoryAvailableLow),
		 GONE);
	CHECK_HR(t, IHostMemorySimulator_ClearAvailability(simulator), GONE);
	CHECK_HR(t, IHostMemorySimulator_SetVirtualTime(simulator, TRUE), GONE);
	CHECK_HR(t, IHostMemorySimulator_Advance(simulator, 1), GONE);
	end(&fixture, t);
}

static void the_pages_are_gone(struct hm_trial *t)
{
	IHostMemoryPages *pages = hm_pages(t);
	struct fixture fixture;
	void *out = HM_POISON;

	if (pages == NULL || !begin(&fixture, t))
		return;
	CHECK_HR(t,
		 IHostMemoryPages_ReserveAligned(pages, HM_PAGE, 0, MEM_RESERVE,
						 PAGE_READWRITE, eTaskCritical, &out),
		 GONE);
	CHECK_POINTER(t, out, NULL);
	CHECK_HR(t, IHostMemoryPages_ReleaseRange(pages, fixture.base, HM_PAGE), GONE);
	end(&fixture, t);
}

static void the_monitor_looks_no_more(struct hm_trial *t)
{
	IHostMemoryMonitor *monitor = hm_monitor(t);
	HostMemThresholds thresholds = HOSTMEM_THRESHOLDS_INIT;
	HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;
	HostMemSystem system = HOSTMEM_SYSTEM_INIT;
	EMemoryAvailable available = eMemoryAvailableHigh;
	struct fixture fixture;

	if (monitor == NULL || !begin(&fixture, t))
		return;
	CHECK_HR(t, IHostMemoryMonitor_SetThresholds(monitor, &thresholds), GONE);
	CHECK_HR(t, IHostMemoryMonitor_GetThresholds(monitor, &thresholds), GONE);
	CHECK_HR(t, IHostMemoryMonitor_Look(monitor, &available), GONE);
	CHECK_SIZE(t, available, 0);
	hm_row(t, "but it tells");
	CHECK_HR(t, IHostMemoryMonitor_GetSource(monitor, HostMemSourceBudget, &state),
		 S_OK);
	CHECK_HR(t, state.result, S_FALSE);
	CHECK_HR(t, IHostMemoryMonitor_GetSystem(monitor, &system), S_OK);
	end(&fixture, t);
}

static void the_collector_is_gone(struct hm_trial *t)
{
	IHostGCManager *collector = (IHostGCManager *)hm_need(t, &IID_IHostGCManager,
							      "IHostGCManager");
	struct fixture fixture;

	if (collector == NULL || !begin(&fixture, t))
		return;
	CHECK_HR(t, IHostGCManager_ThreadIsBlockingForSuspension(collector), GONE);
	CHECK_HR(t, IHostGCManager_SuspensionStarting(collector), GONE);
	CHECK_HR(t, IHostGCManager_SuspensionEnding(collector, 0), GONE);
	end(&fixture, t);
}

static void heaps_are_gone(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	IHostMalloc *heap = control != NULL ? hm_heap(t) : NULL;
	char file[] = "file.c";
	void *block = NULL, *out = HM_POISON;

	if (heap == NULL)
		return;
	CHECK_HR(t, IHostMalloc_Alloc(heap, 100, eTaskCritical, &block), S_OK);
	CHECK_HR(t, IHostMemoryControl_Shutdown(control), S_OK);
	CHECK_HR(t, IHostMalloc_Alloc(heap, 100, eTaskCritical, &out), GONE);
	CHECK_POINTER(t, out, NULL);
	out = HM_POISON;
	CHECK_HR(t, IHostMalloc_DebugAlloc(heap, 100, eTaskCritical, file, 1, &out),
		 GONE);
	CHECK_POINTER(t, out, NULL);
	CHECK_HR(t, IHostMalloc_Free(heap, block), GONE);
	CHECK_SIZE(t, hm_usage(t, control).cBlocks, 1);
	CHECK(t, block != NULL && hm_can_write(block, 1));
	hm_row(t, "Release works");
	(void)IHostMalloc_Release(heap);
	CHECK_SIZE(t, hm_usage(t, control).cBlocks, 0);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 0);
}

/* ---- What is looked at first ---- */

static void out_pointers_come_first_and_arguments_last(struct hm_trial *t)
{
	struct fixture fixture;
	SIZE_T available = 1;
	void *out;
	DWORD old;

	if (!begin(&fixture, t))
		return;
	hm_row(t, "out pointers");
	CHECK_HR(t,
		 IHostMemoryManager_VirtualAlloc(t->memory, NULL, 0, 0, 0, eTaskCritical,
						 NULL),
		 E_POINTER);
	CHECK_HR(t, IHostMemoryManager_VirtualProtect(t->memory, NULL, 0, 0, NULL),
		 E_POINTER);
	CHECK_HR(t, IHostMemoryManager_CreateMalloc(t->memory, 99, NULL), E_POINTER);
	CHECK_HR(t, IHostMemoryManager_GetMemoryLoad(t->memory, NULL, &available),
		 E_POINTER);
	CHECK_SIZE(t, available, 0);
	CHECK_HR(t, IHostMemoryControl_SetBudget(fixture.control, NULL), E_POINTER);
	CHECK_HR(t, IHostMemoryControl_GetBudget(fixture.control, NULL), E_POINTER);
	hm_row(t, "arguments");
	CHECK_HR(t, hm_alloc(t, fixture.base, 0, 0, 0, (EMemoryCriticalLevel)9, &out),
		 GONE);
	CHECK_HR(t, hm_reprotect(t, fixture.base, 0, 0, &old), GONE);
	CHECK_HR(t, IHostMemoryManager_VirtualFree(t->memory, NULL, 1, 0), GONE);
	CHECK_HR(t, IHostMemoryControl_NotifyMemory(fixture.control, (EMemoryAvailable)0),
		 GONE);
	end(&fixture, t);
}

/* ---- What works on ---- */

static BOOL HOSTMEM_CALL count_pages(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	*(size_t *)state += run->RegionSize / HM_PAGE;
	return TRUE;
}

static void looking_works_on_and_memory_stays(struct hm_trial *t)
{
	struct fixture fixture;
	struct hm_recorder recorder = { .refuse = false };
	IHostMemoryControl *control = hm_control(t);
	void *face = NULL;
	size_t pages = 0;

	if (control == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS) ||
	    !begin(&fixture, t))
		return;
	CHECK_RUN(t, fixture.base, MEM_COMMIT, PAGE_READWRITE, 2 * HM_PAGE, fixture.base);
	CHECK_FILLED(t, fixture.base, 2 * HM_PAGE, 0x42);
	CHECK(t, hm_can_write(fixture.base, 0x43));
	CHECK_SIZE(t, hm_usage(t, control).cbCommitted, 2 * HM_PAGE);
	CHECK_SIZE(t, hm_usage(t, control).cRegions, 1);
	CHECK_HR(t, IHostMemoryControl_WalkRegions(control, count_pages, &pages), S_OK);
	CHECK_SIZE(t, pages, HM_GRANULE / HM_PAGE);
	CHECK_HR(t, IHostMemoryControl_LeaveGate(control), HOST_E_NOT_OWNER);
	CHECK_HR(t,
		 IHostMemoryManager_QueryInterface(t->memory, &IID_IHostMemoryControl,
						   &face),
		 S_OK);
	if (CHECK(t, face != NULL))
		(void)IUnknown_Release((IUnknown *)face);
	hm_unsubscribe(&recorder);
}

/* ---- From inside ---- */

static void shut_down(struct hm_recorder *recorder, const HostMemEvent *event)
{
	if (event->type == HostMemEventAllocate)
		CHECK_HR(recorder->t, IHostMemoryControl_Shutdown(recorder->control),
			 S_OK);
}

static void a_request_that_it_comes_in_is_abandoned(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder recorder = { .then = shut_down };
	const HostMemEvent *failure = &recorder.events[1];

	if (control == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	(void)hm_grant(t, 2, eTaskCritical, HOST_E_ABANDONED);
	CHECK_SIZE(t, recorder.count, 2);
	CHECK_EVENT(t, failure, HostMemEventFailure, HostMemCommit, 2 * HM_PAGE);
	CHECK_SIZE(t, failure->reason, HostMemByShutdown);
	CHECK_HR(t, failure->result, HOST_E_ABANDONED);
	CHECK(t, failure->announced);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 0);
	CHECK_SIZE(t, hm_usage(t, control).cRegions, 0);
	hm_unsubscribe(&recorder);
}

struct closing {
	IHostMemoryControl *control;
	struct hm_helper *helper;
	_Atomic bool returned;
	_Atomic HRESULT result;
};

static void shut_down_elsewhere(void *state)
{
	struct closing *closing = (struct closing *)state;

	closing->result = IHostMemoryControl_Shutdown(closing->control);
	closing->returned = true;
}

static void start_to_close(struct hm_recorder *recorder, const HostMemEvent *event)
{
	struct closing *closing = (struct closing *)recorder->state;

	if (event->type != HostMemEventAllocate)
		return;
	closing->helper = hm_start(recorder->t, shut_down_elsewhere, closing);
	/* Until it has begun, which others see; then it is not to come to an end. */
	for (unsigned ms = 0; ms < PATIENCE_MS; ms++) {
		HostMemBudget budget = HOSTMEM_BUDGET_INIT;

		if (FAILED(IHostMemoryControl_GetBudget(closing->control, &budget)))
			break;
		hm_pause(1);
	}
	hm_pause(TOUCH_MS);
	CHECK(recorder->t, !closing->returned);
}

static void it_waits_for_callbacks_of_other_threads(struct hm_trial *t)
{
	static struct closing closing;
	struct hm_recorder recorder = { .then = start_to_close, .state = &closing };

	memset(&closing, 0, sizeof(closing));
	closing.control = hm_control(t);
	if (closing.control == NULL ||
	    !hm_subscribe(&recorder, t, closing.control, HM_ALL_EVENTS))
		return;
	(void)hm_grant(t, 1, eTaskCritical, HOST_E_ABANDONED);
	CHECK(t, closing.helper != NULL && hm_helper_ends(closing.helper, PATIENCE_MS));
	CHECK_HR(t, closing.result, S_OK);
	hm_unsubscribe(&recorder);
}

static const struct hm_case cases[] = {
	{ "manager", HM_DOCUMENTED, "HM header: HOST_E_CLRNOTAVAILABLE after Shutdown",
	  the_manager_is_gone, HM_NO_GROUP },
	{ "control", HM_DOCUMENTED, "HM header: HOST_E_CLRNOTAVAILABLE; Shutdown twice",
	  the_control_is_gone, HM_NO_GROUP },
	{ "simulator", HM_DOCUMENTED, "HM header: HOST_E_CLRNOTAVAILABLE after Shutdown",
	  the_simulator_is_gone, HM_NO_GROUP },
	{ "pages", HM_DOCUMENTED, "HM header: HOST_E_CLRNOTAVAILABLE after Shutdown",
	  the_pages_are_gone, HM_NO_GROUP },
	{ "monitor", HM_DOCUMENTED,
	  "HM header: IHostMemoryMonitor, what works after Shutdown",
	  the_monitor_looks_no_more, HM_NO_GROUP },
	{ "collector", HM_DOCUMENTED, "HM header: HOST_E_CLRNOTAVAILABLE after Shutdown",
	  the_collector_is_gone, HM_NO_GROUP },
	{ "heaps", HM_DOCUMENTED, "HM header: HOST_E_CLRNOTAVAILABLE after Shutdown",
	  heaps_are_gone, HM_NO_GROUP },
	{ "order", HM_DOCUMENTED,
	  "HM header: out pointers, the state of the host, arguments",
	  out_pointers_come_first_and_arguments_last, HM_NO_GROUP },
	{ "works-on", HM_DOCUMENTED,
	  "HM header: VirtualQuery, GetUsage, WalkRegions, LeaveGate, Unsubscribe",
	  looking_works_on_and_memory_stays, HM_NO_GROUP },
	{ "inside-a-request", HM_DOCUMENTED, "HM header: HOST_E_ABANDONED",
	  a_request_that_it_comes_in_is_abandoned, HM_NO_GROUP },
	{ "waits-for-callbacks", HM_DOCUMENTED,
	  "HM header: Shutdown returns when callbacks have ended",
	  it_waits_for_callbacks_of_other_threads, HM_NO_GROUP },
};

const struct hm_area hm_area_shutdown = HM_AREA("shutdown", cases);
