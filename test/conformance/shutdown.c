/*
 * Shutdown: every method but a few answers HOST_E_CLRNOTAVAILABLE, out pointers are
 * cleared, and the memory stays.
 */
#include "access.h"
#include "com_rules.h"

/* A host with all its faces, shut down, with one region of READWRITE and guard pages. */
struct fixture {
	struct host host;
	IHostControl *hosting;
	IHostGCManager *collector;
	IHostMemorySimulator *simulator;
	unsigned char *base;
	uint64_t cookie;
};

static BOOL HOSTMEM_CALL agree(void *state, const HostMemEvent *event)
{
	(void)state;
	(void)event;
	return TRUE;
}

static bool fixture_make(struct fixture *fixture)
{
	IUnknown *object;

	if (!host_create(&fixture->host, 0))
		return false;
	object = (IUnknown *)fixture->host.manager;
	fixture->hosting = (IHostControl *)com_face(object, &IID_IHostControl);
	fixture->collector = (IHostGCManager *)com_face(object, &IID_IHostGCManager);
	fixture->simulator = (IHostMemorySimulator *)com_face(object,
							      &IID_IHostMemorySimulator);
	fixture->base = (unsigned char *)vm_new(&fixture->host, UNIT, MEM_RESERVE,
						PAGE_NOACCESS);
	CHECK_HR(vm_commit(&fixture->host, fixture->base, PAGE, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_commit(&fixture->host, fixture->base + PAGE, PAGE,
			   PAGE_READWRITE | PAGE_GUARD),
		 S_OK);
	memset(fixture->base, 0x88, PAGE);
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(
			 fixture->host.manager, (void *)(uintptr_t)0x20000000, PAGE),
		 S_OK);
	CHECK_HR(IHostMemoryControl_Subscribe(fixture->host.control, 7, agree, NULL,
					      &fixture->cookie),
		 S_OK);
	return true;
}

static void fixture_end(struct fixture *fixture)
{
	IHostControl_Release(fixture->hosting);
	IHostGCManager_Release(fixture->collector);
	IHostMemorySimulator_Release(fixture->simulator);
	host_destroy(&fixture->host);
}

#define GONE HOST_E_CLRNOTAVAILABLE

static void check_manager(struct fixture *fixture)
{
	IHostMemoryManager *manager = fixture->host.manager;
	IHostMalloc *heap = (IHostMalloc *)POISON;
	SIZE_T available = POISON_SIZE;
	DWORD old, load = POISON_DWORD;
	void *out;

	CHECK_HR(IHostMemoryManager_CreateMalloc(manager, MALLOC_THREADSAFE, &heap),
		 GONE);
	CHECK_POINTER(heap, NULL);
	CHECK_HR(vm_alloc(&fixture->host, NULL, PAGE, MEM_RESERVE, PAGE_READWRITE, &out),
		 GONE);
	CHECK_HR(vm_alloc(&fixture->host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 GONE);
	CHECK_HR(vm_commit(&fixture->host, fixture->base, PAGE, PAGE_READWRITE), GONE);
	CHECK_HR(vm_free(&fixture->host, fixture->base, PAGE, MEM_DECOMMIT), GONE);
	CHECK_HR(vm_release(&fixture->host, fixture->base), GONE);
	CHECK_HR(vm_protect(&fixture->host, fixture->base, PAGE, PAGE_READONLY, &old),
		 GONE);
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(manager, &load, &available), GONE);
	CHECK_U32(load, 0);
	CHECK_SIZE(available, 0);
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(manager, NULL),
		 GONE);
	CHECK_HR(IHostMemoryManager_NeedsVirtualAddressSpace(manager, NULL, PAGE), GONE);
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(manager, NULL, PAGE),
		 GONE);
	CHECK_HR(IHostMemoryManager_ReleasedVirtualAddressSpace(manager, NULL), GONE);
}

static void check_hosting(struct fixture *fixture)
{
	void *out = POISON;

	CHECK_HR(IHostControl_GetHostManager(fixture->hosting, &IID_IHostMemoryManager,
					     &out),
		 GONE);
	CHECK_POINTER(out, NULL);
	out = POISON;
	CHECK_HR(IHostControl_GetHostManager(fixture->hosting, &IID_IUnknown, &out),
		 GONE);
	CHECK_POINTER(out, NULL);
	CHECK_HR(IHostControl_SetAppDomainManager(fixture->hosting, 1, NULL), GONE);
	CHECK_HR(IHostGCManager_ThreadIsBlockingForSuspension(fixture->collector), GONE);
	CHECK_HR(IHostGCManager_SuspensionStarting(fixture->collector), GONE);
	CHECK_HR(IHostGCManager_SuspensionEnding(fixture->collector, 0), GONE);
}

static void check_control(struct fixture *fixture)
{
	IHostMemoryControl *control = fixture->host.control;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	uint64_t cookie = POISON_SIZE;

	CHECK_HR(IHostMemoryControl_SetBudget(control, &budget), GONE);
	CHECK_HR(IHostMemoryControl_GetBudget(control, &budget), GONE);
	CHECK_HR(IHostMemoryControl_Subscribe(control, 7, agree, NULL, &cookie), GONE);
	CHECK_SIZE(cookie, 0);
	CHECK_HR(IHostMemoryControl_SetReclaimer(control, NULL, NULL), GONE);
	CHECK_HR(IHostMemoryControl_NotifyMemory(control, eMemoryAvailableLow), GONE);
	CHECK_HR(IHostMemoryControl_EnterGate(control, 0), GONE);
	CHECK_HR(IHostMemoryControl_Shutdown(control), GONE);
}

static void check_simulator_and_pages(struct fixture *fixture)
{
	IHostMemorySimulator *simulator = fixture->simulator;
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	uint64_t cookie = POISON_SIZE;
	void *out = POISON;

	CHECK_HR(IHostMemorySimulator_AddFault(simulator, &fault, &cookie), GONE);
	CHECK_SIZE(cookie, 0);
	CHECK_HR(IHostMemorySimulator_RemoveFault(simulator, 1), GONE);
	CHECK_HR(IHostMemorySimulator_SetMemoryLoad(simulator, 50, PAGE), GONE);
	CHECK_HR(IHostMemorySimulator_ClearMemoryLoad(simulator), GONE);
	CHECK_HR(IHostMemorySimulator_SetAvailability(simulator, eMemoryAvailableLow),
		 GONE);
	CHECK_HR(IHostMemorySimulator_ClearAvailability(simulator), GONE);
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, TRUE), GONE);
	CHECK_HR(IHostMemorySimulator_Advance(simulator, 1), GONE);
	CHECK_HR(IHostMemoryPages_ReserveAligned(fixture->host.pages, PAGE, 0,
						 MEM_RESERVE, PAGE_READWRITE,
						 eTaskCritical, &out),
		 GONE);
	CHECK_POINTER(out, NULL);
	CHECK_HR(IHostMemoryPages_ReleaseRange(fixture->host.pages, fixture->base, PAGE),
		 GONE);
}

static void every_other_method_is_not_available(void)
{
	struct fixture fixture;
	struct snapshot before;

	if (!fixture_make(&fixture))
		return;
	snapshot_take(&before, &fixture.host);
	CHECK_HR(IHostMemoryControl_Shutdown(fixture.host.control), S_OK);
	check_manager(&fixture);
	check_hosting(&fixture);
	check_control(&fixture);
	check_simulator_and_pages(&fixture);
	CHECK_UNCHANGED(&before);
	fixture_end(&fixture);
}

/* The state is looked at after the out pointers and before every other argument. */
static void out_pointers_come_first_and_arguments_last(void)
{
	struct fixture fixture;
	SIZE_T available = POISON_SIZE;
	DWORD old;
	void *out;

	if (!fixture_make(&fixture))
		return;
	CHECK_HR(IHostMemoryControl_Shutdown(fixture.host.control), S_OK);
	CHECK_HR(IHostMemoryManager_VirtualAlloc(fixture.host.manager, NULL, 0, 0, 0,
						 eTaskCritical, NULL),
		 E_POINTER);
	CHECK_HR(IHostMemoryManager_VirtualProtect(fixture.host.manager, NULL, 0, 0,
						   NULL),
		 E_POINTER);
	CHECK_HR(IHostMemoryManager_CreateMalloc(fixture.host.manager, 99, NULL),
		 E_POINTER);
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(fixture.host.manager, NULL, &available),
		 E_POINTER);
	CHECK_SIZE(available, 0);
	CHECK_HR(IHostControl_GetHostManager(fixture.hosting, &IID_IHostGCManager, NULL),
		 E_POINTER);
	CHECK_HR(IHostMemoryControl_GetBudget(fixture.host.control, NULL), E_POINTER);
	CHECK_HR(vm_alloc(&fixture.host, (void *)(uintptr_t)1, 0, 0, 0, &out), GONE);
	CHECK_HR(vm_protect(&fixture.host, NULL, 0, 0, &old), GONE);
	CHECK_HR(vm_free(&fixture.host, NULL, 1, 0), GONE);
	CHECK_HR(IHostMemoryManager_CreateMalloc(fixture.host.manager, 99,
						 (IHostMalloc **)&out),
		 GONE);
	CHECK_HR(IHostMemoryPages_ReleaseRange(fixture.host.pages, NULL, 0), GONE);
	fixture_end(&fixture);
}

static void queries_and_unsubscribe_work_on(void)
{
	struct fixture fixture;
	HostMemUsage usage;

	if (!fixture_make(&fixture))
		return;
	CHECK_HR(IHostMemoryControl_Shutdown(fixture.host.control), S_OK);
	CHECK_RUN(&fixture.host, fixture.base, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_RUN(&fixture.host, fixture.base + 2 * PAGE, UNIT - 2 * PAGE, MEM_RESERVE,
		  0);
	CHECK_HR(IHostMemoryManager_VirtualQuery(fixture.host.manager, NULL, NULL, 0,
						 NULL),
		 E_POINTER);
	usage = host_usage(&fixture.host);
	CHECK_SIZE(usage.cbReserved, UNIT);
	CHECK_SIZE(usage.cbCommitted, 2 * PAGE);
	CHECK_SIZE(usage.cbExternal, PAGE);
	CHECK_SIZE(usage.cRegions, 1);
	CHECK_HR(IHostMemoryControl_Unsubscribe(fixture.host.control, fixture.cookie),
		 S_OK);
	CHECK_HR(IHostMemoryControl_Unsubscribe(fixture.host.control, fixture.cookie),
		 E_INVALIDARG);
	fixture_end(&fixture);
}

static void shutdown_unmaps_nothing_and_the_last_release_everything(void)
{
	struct fixture fixture;
	struct host other;

	if (!fixture_make(&fixture) || !host_create(&other, 0))
		return;
	CHECK_HR(IHostMemoryControl_Shutdown(fixture.host.control), S_OK);
	CHECK_INT(fixture.base[PAGE - 1], 0x88);
	CHECK(can_write(fixture.base, 0x89));
	/* Guards are served on. */
	CHECK(!can_read(fixture.base + PAGE));
	CHECK_HR(HostMemHandleFault(fixture.base + PAGE, FALSE), S_OK);
	CHECK(can_read(fixture.base + PAGE));
	fixture_end(&fixture);
	CHECK(!can_read(fixture.base));
	CHECK_U32(vm_state(&other, fixture.base), MEM_FREE);
	CHECK_HR(HostMemHandleFault(fixture.base + PAGE, FALSE), S_FALSE);
	host_destroy(&other);
}

static void the_last_release_gives_back_what_was_not_released(void)
{
	void *bases[20];
	struct host host, other;

	if (!host_create(&host, 0) || !host_create(&other, 0))
		return;
	for (size_t i = 0; i < ROWS(bases); i++)
		bases[i] = vm_new(&host, (i + 1) * PAGE, i % 2 ? MEM_COMMIT : MEM_RESERVE,
				  PAGE_READWRITE);
	CHECK_HR(IHostMemoryPages_ReleaseRange(host.pages, at(bases[9], PAGE), PAGE),
		 S_OK);
	host_destroy(&host);
	for (size_t i = 0; i < ROWS(bases); i++) {
		tap_row("region %zu", i);
		CHECK_U32(vm_state(&other, bases[i]), MEM_FREE);
	}
	host_destroy(&other);
}

int main(void)
{
	access_install();
	TAP_RUN(every_other_method_is_not_available);
	TAP_RUN(out_pointers_come_first_and_arguments_last);
	TAP_RUN(queries_and_unsubscribe_work_on);
	TAP_RUN(shutdown_unmaps_nothing_and_the_last_release_everything);
	TAP_RUN(the_last_release_gives_back_what_was_not_released);
	return tap_done();
}
