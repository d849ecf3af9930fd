/*
 * Methods whose work comes with a later release: they are there, check their out
 * pointers and arguments as they will then, and answer E_NOTIMPL.  A row goes when its
 * method comes.
 */
#include "com_rules.h"

static struct host host;

static void memory_load(void)
{
	SIZE_T available = POISON_SIZE;
	DWORD load = POISON_DWORD;

	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, &load, &available),
		 E_NOTIMPL);
	CHECK_U32(load, 0);
	CHECK_SIZE(available, 0);
	load = POISON_DWORD;
	available = POISON_SIZE;
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, &load, NULL), E_POINTER);
	CHECK_U32(load, 0);
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, NULL, &available),
		 E_POINTER);
	CHECK_SIZE(available, 0);
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, NULL, NULL), E_POINTER);
}

static void heaps(void)
{
	IHostMalloc *heap = (IHostMalloc *)POISON;

	CHECK_HR(IHostMemoryManager_CreateMalloc(host.manager, MALLOC_THREADSAFE, &heap),
		 E_NOTIMPL);
	CHECK_POINTER(heap, NULL);
	CHECK_SIZE(host_usage(&host).cBlocks, 0);
}

static void notifications(void)
{
	for (int value = eMemoryAvailableLow; value <= eMemoryAvailableHigh; value++)
		CHECK_HR(IHostMemoryControl_NotifyMemory(host.control,
							 (EMemoryAvailable)value),
			 E_NOTIMPL);
	CHECK_HR(IHostMemoryControl_NotifyMemory(host.control, (EMemoryAvailable)0),
		 E_INVALIDARG);
	CHECK_HR(IHostMemoryControl_NotifyMemory(host.control, (EMemoryAvailable)4),
		 E_INVALIDARG);
}

static void simulator(void)
{
	IHostMemorySimulator *simulator =
		(IHostMemorySimulator *)com_face((IUnknown *)host.manager,
						 &IID_IHostMemorySimulator);

	CHECK_HR(IHostMemorySimulator_SetMemoryLoad(simulator, 100, PAGE), E_NOTIMPL);
	CHECK_HR(IHostMemorySimulator_SetMemoryLoad(simulator, 101, PAGE), E_INVALIDARG);
	CHECK_HR(IHostMemorySimulator_ClearMemoryLoad(simulator), E_NOTIMPL);
	CHECK_HR(IHostMemorySimulator_SetAvailability(simulator, eMemoryAvailableHigh),
		 E_NOTIMPL);
	CHECK_HR(IHostMemorySimulator_SetAvailability(simulator, (EMemoryAvailable)0),
		 E_INVALIDARG);
	CHECK_HR(IHostMemorySimulator_SetAvailability(simulator, (EMemoryAvailable)4),
		 E_INVALIDARG);
	CHECK_HR(IHostMemorySimulator_ClearAvailability(simulator), E_NOTIMPL);
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(simulator, TRUE), E_NOTIMPL);
	CHECK_HR(IHostMemorySimulator_Advance(simulator, 0), E_NOTIMPL);
	IHostMemorySimulator_Release(simulator);
}

static void nothing_of_this_changes_the_host(void)
{
	struct snapshot before;
	void *base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);

	snapshot_take(&before, &host);
	memory_load();
	heaps();
	notifications();
	simulator();
	CHECK_UNCHANGED(&before);
	CHECK_U32(com_count((IUnknown *)host.manager), 3);
	CHECK_HR(vm_release(&host, base), S_OK);
}

int main(void)
{
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(memory_load);
	TAP_RUN(heaps);
	TAP_RUN(notifications);
	TAP_RUN(simulator);
	TAP_RUN(nothing_of_this_changes_the_host);
	host_destroy(&host);
	return tap_done();
}
