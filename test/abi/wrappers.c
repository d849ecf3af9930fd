/*
 * The C wrappers: every method of every interface has one, none calls through NULL,
 * and arguments arrive in the order of the declaration.
 */
#include "abi/hostmem.h"
#include "tap.h"

#define REFUSES(call) CHECK_HR(call, E_POINTER)
#define REFUSES_UNKNOWN(iface) \
	do { \
		void *face = NULL; \
\
		tap_row(#iface); \
		REFUSES(iface##_QueryInterface(NULL, &IID_IUnknown, &face)); \
		CHECK_U32(iface##_AddRef(NULL), 0); \
		CHECK_U32(iface##_Release(NULL), 0); \
	} while (0)

static void wrappers_answer_for_NULL(void)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	void *out = NULL;
	IHostMalloc *heap = NULL;
	uint64_t cookie = 0;
	DWORD word = 0;
	SIZE_T size = 0;

	REFUSES_UNKNOWN(IUnknown);

	REFUSES_UNKNOWN(IClassFactory);
	REFUSES(IClassFactory_CreateInstance(NULL, NULL, &IID_IUnknown, &out));
	REFUSES(IClassFactory_LockServer(NULL, TRUE));

	REFUSES_UNKNOWN(IHostControl);
	REFUSES(IHostControl_GetHostManager(NULL, &IID_IUnknown, &out));
	REFUSES(IHostControl_SetAppDomainManager(NULL, 0, NULL));

	REFUSES_UNKNOWN(IHostMemoryManager);
	REFUSES(IHostMemoryManager_CreateMalloc(NULL, 0, &heap));
	REFUSES(IHostMemoryManager_VirtualAlloc(NULL, NULL, 1, MEM_RESERVE, PAGE_NOACCESS,
						eTaskCritical, &out));
	REFUSES(IHostMemoryManager_VirtualFree(NULL, NULL, 0, MEM_RELEASE));
	REFUSES(IHostMemoryManager_VirtualQuery(NULL, NULL, &out, sizeof(out), &size));
	REFUSES(IHostMemoryManager_VirtualProtect(NULL, NULL, 1, PAGE_READONLY, &word));
	REFUSES(IHostMemoryManager_GetMemoryLoad(NULL, &word, &size));
	REFUSES(IHostMemoryManager_RegisterMemoryNotificationCallback(NULL, NULL));
	REFUSES(IHostMemoryManager_NeedsVirtualAddressSpace(NULL, NULL, 0));
	REFUSES(IHostMemoryManager_AcquiredVirtualAddressSpace(NULL, NULL, 0));
	REFUSES(IHostMemoryManager_ReleasedVirtualAddressSpace(NULL, NULL));

	REFUSES_UNKNOWN(IHostMalloc);
	REFUSES(IHostMalloc_Alloc(NULL, 1, eTaskCritical, &out));
	REFUSES(IHostMalloc_DebugAlloc(NULL, 1, eTaskCritical, NULL, 0, &out));
	REFUSES(IHostMalloc_Free(NULL, NULL));

	REFUSES_UNKNOWN(IHostMalloc2);
	REFUSES(IHostMalloc2_Alloc(NULL, 1, eTaskCritical, &out));
	REFUSES(IHostMalloc2_DebugAlloc(NULL, 1, eTaskCritical, NULL, 0, &out));
	REFUSES(IHostMalloc2_Free(NULL, NULL));
	REFUSES(IHostMalloc2_AllocAligned(NULL, 1, 0, 0, eTaskCritical, &out));
	REFUSES(IHostMalloc2_Realloc(NULL, NULL, 1, 0, eTaskCritical, &out));
	REFUSES(IHostMalloc2_GetSize(NULL, &out, &size));
	REFUSES(IHostMalloc2_Trim(NULL, &size));

	REFUSES_UNKNOWN(ICLRMemoryNotificationCallback);
	REFUSES(ICLRMemoryNotificationCallback_OnMemoryNotification(NULL,
								    eMemoryAvailableLow));

	REFUSES_UNKNOWN(IHostGCManager);
	REFUSES(IHostGCManager_ThreadIsBlockingForSuspension(NULL));
	REFUSES(IHostGCManager_SuspensionStarting(NULL));
	REFUSES(IHostGCManager_SuspensionEnding(NULL, 0));

	REFUSES_UNKNOWN(IHostMemoryControl);
	REFUSES(IHostMemoryControl_SetBudget(NULL, &budget));
	REFUSES(IHostMemoryControl_GetBudget(NULL, &budget));
	REFUSES(IHostMemoryControl_GetUsage(NULL, &usage));
	REFUSES(IHostMemoryControl_Subscribe(NULL, 1, NULL, NULL, &cookie));
	REFUSES(IHostMemoryControl_Unsubscribe(NULL, 1));
	REFUSES(IHostMemoryControl_SetReclaimer(NULL, NULL, NULL));
	REFUSES(IHostMemoryControl_NotifyMemory(NULL, eMemoryAvailableLow));
	REFUSES(IHostMemoryControl_EnterGate(NULL, 0));
	REFUSES(IHostMemoryControl_LeaveGate(NULL));
	REFUSES(IHostMemoryControl_WalkRegions(NULL, NULL, NULL));
	REFUSES(IHostMemoryControl_Shutdown(NULL));

	REFUSES_UNKNOWN(IHostMemorySimulator);
	REFUSES(IHostMemorySimulator_AddFault(NULL, &fault, &cookie));
	REFUSES(IHostMemorySimulator_RemoveFault(NULL, 1));
	REFUSES(IHostMemorySimulator_SetMemoryLoad(NULL, 0, 0));
	REFUSES(IHostMemorySimulator_ClearMemoryLoad(NULL));
	REFUSES(IHostMemorySimulator_SetAvailability(NULL, eMemoryAvailableLow));
	REFUSES(IHostMemorySimulator_ClearAvailability(NULL));
	REFUSES(IHostMemorySimulator_SetVirtualTime(NULL, TRUE));
	REFUSES(IHostMemorySimulator_Advance(NULL, 0));

	REFUSES_UNKNOWN(IHostMemoryPages);
	REFUSES(IHostMemoryPages_ReserveAligned(NULL, 1, 0, MEM_RESERVE, PAGE_NOACCESS,
						eTaskCritical, &out));
	REFUSES(IHostMemoryPages_ReleaseRange(NULL, NULL, 1));

	REFUSES_UNKNOWN(IHostMemoryMonitor);
	REFUSES(IHostMemoryMonitor_GetSource(NULL, HostMemSourceTimer, NULL));
	REFUSES(IHostMemoryMonitor_SetThresholds(NULL, NULL));
	REFUSES(IHostMemoryMonitor_GetThresholds(NULL, NULL));
	REFUSES(IHostMemoryMonitor_Look(NULL, NULL));
	REFUSES(IHostMemoryMonitor_WalkBounds(NULL, NULL, NULL));
	REFUSES(IHostMemoryMonitor_GetSystem(NULL, NULL));
}

/* What a wrapper handed on; each argument has a number of its own. */
static struct {
	const void *self, *first, *second;
	size_t size, alignment;
	DWORD type, protect;
	EMemoryCriticalLevel level;
} got;

static HRESULT HOSTMEM_CALL fake_VirtualAlloc(IHostMemoryManager *self, void *address,
					      SIZE_T size, DWORD type, DWORD protect,
					      EMemoryCriticalLevel level, void **ppMem)
{
	got.self = self;
	got.first = address;
	got.size = size;
	got.type = type;
	got.protect = protect;
	got.level = level;
	got.second = ppMem;
	return S_FALSE;
}

static HRESULT HOSTMEM_CALL fake_VirtualQuery(IHostMemoryManager *self, void *address,
					      void *buffer, SIZE_T length,
					      SIZE_T *pResult)
{
	got.self = self;
	got.first = address;
	got.second = buffer;
	got.size = length;
	*pResult = 11;
	return S_FALSE;
}

static HRESULT HOSTMEM_CALL fake_ReserveAligned(IHostMemoryPages *self, SIZE_T size,
						SIZE_T alignment, DWORD type,
						DWORD protect, EMemoryCriticalLevel level,
						void **ppMem)
{
	got.self = self;
	got.size = size;
	got.alignment = alignment;
	got.type = type;
	got.protect = protect;
	got.level = level;
	got.second = ppMem;
	return S_FALSE;
}

static HRESULT HOSTMEM_CALL fake_GetSource(IHostMemoryMonitor *self, HostMemSource source,
					   HostMemSourceState *state)
{
	got.self = self;
	got.size = (size_t)source;
	got.second = state;
	return S_FALSE;
}

static HRESULT HOSTMEM_CALL fake_WalkBounds(IHostMemoryMonitor *self,
					    HostMemBoundCallback callback, void *state)
{
	got.self = self;
	got.size = callback == NULL;
	got.second = state;
	return S_FALSE;
}

static ULONG HOSTMEM_CALL fake_AddRef(IHostMemoryManager *self)
{
	got.self = self;
	return 7;
}

static HRESULT HOSTMEM_CALL fake_AllocAligned(IHostMalloc2 *self, SIZE_T size,
					      SIZE_T alignment, DWORD flags,
					      EMemoryCriticalLevel level, void **ppMem)
{
	got.self = self;
	got.size = size;
	got.alignment = alignment;
	got.type = flags;
	got.level = level;
	got.second = ppMem;
	return S_FALSE;
}

static HRESULT HOSTMEM_CALL fake_Realloc(IHostMalloc2 *self, void *block, SIZE_T size,
					 DWORD flags, EMemoryCriticalLevel level,
					 void **ppMem)
{
	got.self = self;
	got.first = block;
	got.size = size;
	got.type = flags;
	got.level = level;
	got.second = ppMem;
	return S_FALSE;
}

static void wrappers_hand_arguments_on_in_order(void)
{
	static const IHostMemoryManagerVtbl manager_vtbl = {
		.AddRef = fake_AddRef,
		.VirtualAlloc = fake_VirtualAlloc,
		.VirtualQuery = fake_VirtualQuery,
	};
	static const IHostMemoryPagesVtbl pages_vtbl = {
		.ReserveAligned = fake_ReserveAligned,
	};
	IHostMemoryManager manager = { &manager_vtbl };
	IHostMemoryPages pages = { &pages_vtbl };
	void *out = NULL;
	char buffer[4];
	SIZE_T result = 0;

	CHECK_U32(IHostMemoryManager_AddRef(&manager), 7);
	CHECK_POINTER(got.self, &manager);

	memset(&got, 0, sizeof(got));
	CHECK_HR(IHostMemoryManager_VirtualAlloc(&manager, buffer, 2, 3, 4,
						 eAppDomainCritical, &out),
		 S_FALSE);
	CHECK_POINTER(got.self, &manager);
	CHECK_POINTER(got.first, buffer);
	CHECK_SIZE(got.size, 2);
	CHECK_U32(got.type, 3);
	CHECK_U32(got.protect, 4);
	CHECK(got.level == eAppDomainCritical);
	CHECK_POINTER(got.second, &out);

	memset(&got, 0, sizeof(got));
	CHECK_HR(IHostMemoryManager_VirtualQuery(&manager, &out, buffer, 5, &result),
		 S_FALSE);
	CHECK_POINTER(got.first, &out);
	CHECK_POINTER(got.second, buffer);
	CHECK_SIZE(got.size, 5);
	CHECK_SIZE(result, 11);

	memset(&got, 0, sizeof(got));
	CHECK_HR(IHostMemoryPages_ReserveAligned(&pages, 6, 7, 8, 9, eProcessCritical,
						 &out),
		 S_FALSE);
	CHECK_POINTER(got.self, &pages);
	CHECK_SIZE(got.size, 6);
	CHECK_SIZE(got.alignment, 7);
	CHECK_U32(got.type, 8);
	CHECK_U32(got.protect, 9);
	CHECK(got.level == eProcessCritical);
	CHECK_POINTER(got.second, &out);
}

static void wrappers_of_a_heap_hand_arguments_on_in_order(void)
{
	static const IHostMalloc2Vtbl heap_vtbl = {
		.AllocAligned = fake_AllocAligned,
		.Realloc = fake_Realloc,
	};
	IHostMalloc2 heap = { &heap_vtbl };
	void *out = NULL;
	char block[4];

	memset(&got, 0, sizeof(got));
	CHECK_HR(IHostMalloc2_AllocAligned(&heap, 2, 3, 4, eAppDomainCritical, &out),
		 S_FALSE);
	CHECK_POINTER(got.self, &heap);
	CHECK_SIZE(got.size, 2);
	CHECK_SIZE(got.alignment, 3);
	CHECK_U32(got.type, 4);
	CHECK(got.level == eAppDomainCritical);
	CHECK_POINTER(got.second, &out);

	memset(&got, 0, sizeof(got));
	CHECK_HR(IHostMalloc2_Realloc(&heap, block, 5, 6, eProcessCritical, &out),
		 S_FALSE);
	CHECK_POINTER(got.self, &heap);
	CHECK_POINTER(got.first, block);
	CHECK_SIZE(got.size, 5);
	CHECK_U32(got.type, 6);
	CHECK(got.level == eProcessCritical);
	CHECK_POINTER(got.second, &out);
}

static void wrappers_of_a_monitor_hand_arguments_on_in_order(void)
{
	static const IHostMemoryMonitorVtbl monitor_vtbl = {
		.GetSource = fake_GetSource,
		.WalkBounds = fake_WalkBounds,
	};
	IHostMemoryMonitor monitor = { &monitor_vtbl };
	HostMemSourceState state;

	memset(&got, 0, sizeof(got));
	CHECK_HR(IHostMemoryMonitor_GetSource(&monitor, HostMemSourceAllStalled, &state),
		 S_FALSE);
	CHECK_POINTER(got.self, &monitor);
	CHECK_SIZE(got.size, HostMemSourceAllStalled);
	CHECK_POINTER(got.second, &state);

	memset(&got, 0, sizeof(got));
	CHECK_HR(IHostMemoryMonitor_WalkBounds(&monitor, NULL, &state), S_FALSE);
	CHECK_POINTER(got.self, &monitor);
	CHECK_SIZE(got.size, 1);
	CHECK_POINTER(got.second, &state);
}

int main(void)
{
	TAP_RUN(wrappers_answer_for_NULL);
	TAP_RUN(wrappers_hand_arguments_on_in_order);
	TAP_RUN(wrappers_of_a_heap_hand_arguments_on_in_order);
	TAP_RUN(wrappers_of_a_monitor_hand_arguments_on_in_order);
	return tap_done();
}
