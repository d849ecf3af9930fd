/*
 * Pins the binary contract: slots and signatures of every method, values of every flag
 * and enumerator, sizes and offsets of every record, the bytes of every IID; codes.c has
 * those of the result codes.  The numbers are written here a second time, from the published interfaces and
 * not from our headers; most are checked by the compiler, so that a program which
 * compiles is half the test.
 */
#include "abi/hostmem.h"
#include "tap.h"

#define SAME(a, b) _Static_assert((a) == (b), #a " is " #b)

/* Method `method` is in slot `slot` and takes `self` and then what is in brackets. */
#define SLOT(iface, slot, method, ...) \
	SAME(offsetof(iface##Vtbl, method), (slot) * sizeof(void *)); \
	_Static_assert(_Generic(((iface##Vtbl *)0)->method, \
				HRESULT(HOSTMEM_CALL *)(iface *, __VA_ARGS__) : 1, \
				default : 0), \
		       #method " has this signature")
#define SLOT_NONE(iface, slot, method) \
	SAME(offsetof(iface##Vtbl, method), (slot) * sizeof(void *)); \
	_Static_assert(_Generic(((iface##Vtbl *)0)->method, \
				HRESULT(HOSTMEM_CALL *)(iface *) : 1, default : 0), \
		       #method " has this signature")
#define VTABLE(iface, slots) \
	SAME(sizeof(iface), sizeof(void *)); \
	SAME(sizeof(iface##Vtbl), (slots) * sizeof(void *)); \
	SLOT(iface, 0, QueryInterface, REFIID, void **); \
	SAME(offsetof(iface##Vtbl, AddRef), 1 * sizeof(void *)); \
	SAME(offsetof(iface##Vtbl, Release), 2 * sizeof(void *)); \
	_Static_assert(_Generic(((iface##Vtbl *)0)->Release, \
				ULONG(HOSTMEM_CALL *)(iface *) : 1, default : 0), \
		       "Release has this signature")

VTABLE(IUnknown, 3);

VTABLE(IClassFactory, 5);
SLOT(IClassFactory, 3, CreateInstance, IUnknown *, REFIID, void **);
SLOT(IClassFactory, 4, LockServer, BOOL);

VTABLE(IHostControl, 5);
SLOT(IHostControl, 3, GetHostManager, REFIID, void **);
SLOT(IHostControl, 4, SetAppDomainManager, DWORD, IUnknown *);

VTABLE(IHostMemoryManager, 13);
SLOT(IHostMemoryManager, 3, CreateMalloc, DWORD, IHostMalloc **);
SLOT(IHostMemoryManager, 4, VirtualAlloc, void *, SIZE_T, DWORD, DWORD,
     EMemoryCriticalLevel, void **);
SLOT(IHostMemoryManager, 5, VirtualFree, void *, SIZE_T, DWORD);
SLOT(IHostMemoryManager, 6, VirtualQuery, void *, void *, SIZE_T, SIZE_T *);
SLOT(IHostMemoryManager, 7, VirtualProtect, void *, SIZE_T, DWORD, DWORD *);
SLOT(IHostMemoryManager, 8, GetMemoryLoad, DWORD *, SIZE_T *);
SLOT(IHostMemoryManager, 9, RegisterMemoryNotificationCallback,
     ICLRMemoryNotificationCallback *);
SLOT(IHostMemoryManager, 10, NeedsVirtualAddressSpace, void *, SIZE_T);
SLOT(IHostMemoryManager, 11, AcquiredVirtualAddressSpace, void *, SIZE_T);
SLOT(IHostMemoryManager, 12, ReleasedVirtualAddressSpace, void *);

VTABLE(IHostMalloc, 6);
SLOT(IHostMalloc, 3, Alloc, SIZE_T, EMemoryCriticalLevel, void **);
SLOT(IHostMalloc, 4, DebugAlloc, SIZE_T, EMemoryCriticalLevel, char *, int, void **);
SLOT(IHostMalloc, 5, Free, void *);

VTABLE(IHostMalloc2, 10);
SLOT(IHostMalloc2, 3, Alloc, SIZE_T, EMemoryCriticalLevel, void **);
SLOT(IHostMalloc2, 4, DebugAlloc, SIZE_T, EMemoryCriticalLevel, char *, int, void **);
SLOT(IHostMalloc2, 5, Free, void *);
SLOT(IHostMalloc2, 6, AllocAligned, SIZE_T, SIZE_T, DWORD, EMemoryCriticalLevel, void **);
SLOT(IHostMalloc2, 7, Realloc, void *, SIZE_T, DWORD, EMemoryCriticalLevel, void **);
SLOT(IHostMalloc2, 8, GetSize, void *, SIZE_T *);
SLOT(IHostMalloc2, 9, Trim, SIZE_T *);

VTABLE(ICLRMemoryNotificationCallback, 4);
SLOT(ICLRMemoryNotificationCallback, 3, OnMemoryNotification, EMemoryAvailable);

VTABLE(IHostGCManager, 6);
SLOT_NONE(IHostGCManager, 3, ThreadIsBlockingForSuspension);
SLOT_NONE(IHostGCManager, 4, SuspensionStarting);
SLOT(IHostGCManager, 5, SuspensionEnding, DWORD);

VTABLE(IHostMemoryControl, 14);
SLOT(IHostMemoryControl, 3, SetBudget, const HostMemBudget *);
SLOT(IHostMemoryControl, 4, GetBudget, HostMemBudget *);
SLOT(IHostMemoryControl, 5, GetUsage, HostMemUsage *);
SLOT(IHostMemoryControl, 6, Subscribe, DWORD, HostMemEventCallback, void *, uint64_t *);
SLOT(IHostMemoryControl, 7, Unsubscribe, uint64_t);
SLOT(IHostMemoryControl, 8, SetReclaimer, HostMemReclaimCallback, void *);
SLOT(IHostMemoryControl, 9, NotifyMemory, EMemoryAvailable);
SLOT(IHostMemoryControl, 10, EnterGate, DWORD);
SLOT_NONE(IHostMemoryControl, 11, LeaveGate);
SLOT(IHostMemoryControl, 12, WalkRegions, HostMemRegionCallback, void *);
SLOT_NONE(IHostMemoryControl, 13, Shutdown);

VTABLE(IHostMemorySimulator, 11);
SLOT(IHostMemorySimulator, 3, AddFault, const HostMemFault *, uint64_t *);
SLOT(IHostMemorySimulator, 4, RemoveFault, uint64_t);
SLOT(IHostMemorySimulator, 5, SetMemoryLoad, DWORD, SIZE_T);
SLOT_NONE(IHostMemorySimulator, 6, ClearMemoryLoad);
SLOT(IHostMemorySimulator, 7, SetAvailability, EMemoryAvailable);
SLOT_NONE(IHostMemorySimulator, 8, ClearAvailability);
SLOT(IHostMemorySimulator, 9, SetVirtualTime, BOOL);
SLOT(IHostMemorySimulator, 10, Advance, DWORD);

VTABLE(IHostMemoryPages, 5);
SLOT(IHostMemoryPages, 3, ReserveAligned, SIZE_T, SIZE_T, DWORD, DWORD,
     EMemoryCriticalLevel, void **);
SLOT(IHostMemoryPages, 4, ReleaseRange, void *, SIZE_T);

VTABLE(IHostMemoryMonitor, 9);
SLOT(IHostMemoryMonitor, 3, GetSource, HostMemSource, HostMemSourceState *);
SLOT(IHostMemoryMonitor, 4, SetThresholds, const HostMemThresholds *);
SLOT(IHostMemoryMonitor, 5, GetThresholds, HostMemThresholds *);
SLOT(IHostMemoryMonitor, 6, Look, EMemoryAvailable *);
SLOT(IHostMemoryMonitor, 7, WalkBounds, HostMemBoundCallback, void *);
SLOT(IHostMemoryMonitor, 8, GetSystem, HostMemSystem *);

/* Callbacks. */
#define TYPE(type, ...) \
	_Static_assert(_Generic((type)0, __VA_ARGS__ : 1, default : 0), #type)
TYPE(HostMemEventCallback, BOOL(HOSTMEM_CALL *)(void *, const HostMemEvent *));
TYPE(HostMemReclaimCallback, size_t(HOSTMEM_CALL *)(void *, size_t));
TYPE(HostMemRegionCallback,
     BOOL(HOSTMEM_CALL *)(void *, const MEMORY_BASIC_INFORMATION *));
TYPE(HostMemBoundCallback, BOOL(HOSTMEM_CALL *)(void *, const HostMemBound *));
TYPE(HostMemReportCallback, void(HOSTMEM_CALL *)(void *, const HostMemReport *));

/* Base types. */
SAME(sizeof(HRESULT), 4);
SAME(sizeof(DWORD), 4);
SAME(sizeof(ULONG), 4);
SAME(sizeof(LONG), 4);
SAME(sizeof(BOOL), 4);
SAME(sizeof(SIZE_T), sizeof(void *));
_Static_assert((HRESULT)-1 < 0 && (BOOL)-1 < 0 && (LONG)-1 < 0, "these are signed");
_Static_assert((DWORD)-1 > 0 && (ULONG)-1 > 0 && (SIZE_T)-1 > 0, "these are not");
SAME(sizeof(GUID), 16);
SAME(offsetof(GUID, Data2), 4);
SAME(offsetof(GUID, Data3), 6);
SAME(offsetof(GUID, Data4), 8);

/* Enumerators. */
SAME(sizeof(EMemoryAvailable), 4);
SAME(eMemoryAvailableLow, 1);
SAME(eMemoryAvailableNeutral, 2);
SAME(eMemoryAvailableHigh, 3);
SAME(sizeof(EMemoryCriticalLevel), 4);
SAME(eTaskCritical, 0);
SAME(eAppDomainCritical, 1);
SAME(eProcessCritical, 2);
SAME(MALLOC_THREADSAFE, 1);
SAME(MALLOC_EXECUTABLE, 2);
SAME(sizeof(HostMemEventType), 4);
SAME(HostMemEventAllocate, 0);
SAME(HostMemEventFree, 1);
SAME(HostMemEventFailure, 2);
SAME(sizeof(HostMemOperation), 4);
SAME(HostMemReserve, 0);
SAME(HostMemCommit, 1);
SAME(HostMemDecommit, 2);
SAME(HostMemRelease, 3);
SAME(HostMemHeap, 4);
SAME(HostMemMapping, 5);
SAME(sizeof(HostMemReason), 4);
SAME(HostMemNoReason, 0);
SAME(HostMemByCallback, 1);
SAME(HostMemByBudget, 2);
SAME(HostMemByOverflow, 3);
SAME(HostMemBySystem, 4);
SAME(HostMemByFault, 5);
SAME(HostMemByTimeout, 6);
SAME(HostMemByShutdown, 7);
SAME(sizeof(HostMemReportKind), 4);
SAME(HostMemReportLeak, 0);
SAME(HostMemReportOverrun, 1);
SAME(HostMemReportUnderrun, 2);
SAME(HostMemReportDoubleFree, 3);
SAME(HostMemReportWrittenAfterFree, 4);
SAME(HostMemReportNotABlock, 5);
SAME(sizeof(HostMemSource), 4);
SAME(HostMemSourceBudget, 0);
SAME(HostMemSourceTimer, 1);
SAME(HostMemSourceGroupUsage, 2);
SAME(HostMemSourceGroupEvents, 3);
SAME(HostMemSourceSomeStalled, 4);
SAME(HostMemSourceAllStalled, 5);
SAME(HOSTMEM_SOURCES, 6);
SAME(sizeof(HostMemBoundKind), 4);
SAME(HostMemBoundBudget, 0);
SAME(HostMemBoundMachine, 1);
SAME(HostMemBoundAddressSpace, 2);
SAME(HostMemBoundData, 3);
SAME(HostMemBoundGroup, 4);

/* Flags of our own. */
SAME(HOSTMEM_CHARGE_COMMIT, 0);
SAME(HOSTMEM_CHARGE_RESERVE, 1);
SAME(HOSTMEM_ANNOUNCE_ALWAYS, 2);
SAME(HOSTMEM_MONITOR_THREAD, 0);
SAME(HOSTMEM_MONITOR_LOOP, 1);
SAME(HOSTMEM_MONITOR_OFF, 2);
SAME(HOSTMEM_STRICT_EXECUTE, 4);
SAME(HOSTMEM_DEBUG_HEAP, 8);
SAME(HOSTMEM_NO_GUARD_PAGES, 16);
SAME(HOSTMEM_FAULT_BUDGET, 0);
SAME(HOSTMEM_FAULT_SYSTEM, 1);
SAME(HOSTMEM_FEATURE_GUARD_PAGES, 1);
SAME(HOSTMEM_FEATURE_QUICK_CALLS, 2);
SAME(HOSTMEM_HEAP_ZERO, 1);
SAME(HOSTMEM_HEAP_IN_PLACE, 2);

/* Memory constants. */
SAME(MEM_COMMIT, 0x1000);
SAME(MEM_RESERVE, 0x2000);
SAME(MEM_DECOMMIT, 0x4000);
SAME(MEM_RELEASE, 0x8000);
SAME(MEM_FREE, 0x10000);
SAME(MEM_PRIVATE, 0x20000);
SAME(MEM_MAPPED, 0x40000);
SAME(MEM_RESET, 0x80000);
SAME(MEM_TOP_DOWN, 0x100000);
SAME(MEM_WRITE_WATCH, 0x200000);
SAME(MEM_PHYSICAL, 0x400000);
SAME(MEM_RESET_UNDO, 0x1000000);
SAME(MEM_IMAGE, 0x1000000);
SAME(MEM_LARGE_PAGES, 0x20000000);
SAME(PAGE_NOACCESS, 1);
SAME(PAGE_READONLY, 2);
SAME(PAGE_READWRITE, 4);
SAME(PAGE_WRITECOPY, 8);
SAME(PAGE_EXECUTE, 0x10);
SAME(PAGE_EXECUTE_READ, 0x20);
SAME(PAGE_EXECUTE_READWRITE, 0x40);
SAME(PAGE_EXECUTE_WRITECOPY, 0x80);
SAME(PAGE_GUARD, 0x100);
SAME(PAGE_NOCACHE, 0x200);
SAME(PAGE_WRITECOMBINE, 0x400);
SAME(PAGE_TARGETS_INVALID, 0x40000000);
SAME(PAGE_TARGETS_NO_UPDATE, 0x40000000);

/* Records.  Offsets are those of 64-bit systems. */
#if UINTPTR_MAX > 0xFFFFFFFFU
#define AT(record, field, offset) SAME(offsetof(record, field), offset)
SAME(sizeof(MEMORY_BASIC_INFORMATION), 48);
AT(MEMORY_BASIC_INFORMATION, BaseAddress, 0);
AT(MEMORY_BASIC_INFORMATION, AllocationBase, 8);
AT(MEMORY_BASIC_INFORMATION, AllocationProtect, 16);
AT(MEMORY_BASIC_INFORMATION, RegionSize, 24);
AT(MEMORY_BASIC_INFORMATION, State, 32);
AT(MEMORY_BASIC_INFORMATION, Protect, 36);
AT(MEMORY_BASIC_INFORMATION, Type, 40);

SAME(sizeof(HostMemBudget), 88);
AT(HostMemBudget, cbSize, 0);
AT(HostMemBudget, dwFlags, 4);
AT(HostMemBudget, cbLimit, 8);
AT(HostMemBudget, cbSoftLimit, 16);
AT(HostMemBudget, cbHeadroom, 24);
AT(HostMemBudget, cbLargest, 48);
AT(HostMemBudget, msWait, 72);

SAME(sizeof(HostMemConfig), 56);
AT(HostMemConfig, cbSize, 0);
AT(HostMemConfig, dwFlags, 4);
AT(HostMemConfig, budget, 8);
AT(HostMemConfig, cbRetain, 16);
AT(HostMemConfig, msGateTimeout, 24);
AT(HostMemConfig, loop, 32);
AT(HostMemConfig, report, 40);
AT(HostMemConfig, reportState, 48);

SAME(sizeof(HostMemUsage), 168);
AT(HostMemUsage, cbSize, 0);
AT(HostMemUsage, cbReserved, 8);
AT(HostMemUsage, cbCommitted, 16);
AT(HostMemUsage, cbHeap, 24);
AT(HostMemUsage, cbExternal, 32);
AT(HostMemUsage, cbCharged, 40);
AT(HostMemUsage, cbPeakCharged, 48);
AT(HostMemUsage, cbRetained, 56);
AT(HostMemUsage, cRegions, 64);
AT(HostMemUsage, cBlocks, 72);
AT(HostMemUsage, cRefusedBudget, 80);
AT(HostMemUsage, cRefusedCallback, 88);
AT(HostMemUsage, cRefusedInjected, 96);
AT(HostMemUsage, cFailedOs, 104);
AT(HostMemUsage, cNotifications, 112);
AT(HostMemUsage, cTimedCallbacks, 120);
AT(HostMemUsage, nsTimedCallbacks, 128);
AT(HostMemUsage, nsSlowestCallback, 136);
AT(HostMemUsage, cbHeapPages, 144);
AT(HostMemUsage, cbLeaked, 152);
AT(HostMemUsage, cLeakedBlocks, 160);

SAME(sizeof(HostMemEvent), 88);
AT(HostMemEvent, cbSize, 0);
AT(HostMemEvent, type, 4);
AT(HostMemEvent, operation, 8);
AT(HostMemEvent, level, 12);
AT(HostMemEvent, reason, 16);
AT(HostMemEvent, result, 20);
AT(HostMemEvent, announced, 24);
AT(HostMemEvent, attempt, 28);
AT(HostMemEvent, request, 32);
AT(HostMemEvent, size, 40);
AT(HostMemEvent, address, 48);
AT(HostMemEvent, cbCharged, 56);
AT(HostMemEvent, cbLimit, 64);
AT(HostMemEvent, cbPeak, 72);
AT(HostMemEvent, cbWithdrawn, 80);

SAME(sizeof(HostMemFault), 80);
AT(HostMemFault, cbSize, 0);
AT(HostMemFault, operations, 4);
AT(HostMemFault, levels, 8);
AT(HostMemFault, place, 12);
AT(HostMemFault, cbMin, 16);
AT(HostMemFault, cbMax, 24);
AT(HostMemFault, nth, 32);
AT(HostMemFault, every, 40);
AT(HostMemFault, probability, 48);
AT(HostMemFault, seed, 56);
AT(HostMemFault, count, 64);
AT(HostMemFault, result, 72);
AT(HostMemFault, msDelay, 76);

SAME(sizeof(HostMemReport), 56);
AT(HostMemReport, cbSize, 0);
AT(HostMemReport, kind, 4);
AT(HostMemReport, heap, 8);
AT(HostMemReport, block, 16);
AT(HostMemReport, size, 24);
AT(HostMemReport, offset, 32);
AT(HostMemReport, file, 40);
AT(HostMemReport, line, 48);

SAME(sizeof(HostMemSourceState), 16);
AT(HostMemSourceState, cbSize, 0);
AT(HostMemSourceState, result, 4);
AT(HostMemSourceState, cCalls, 8);

SAME(sizeof(HostMemThresholds), 48);
AT(HostMemThresholds, cbSize, 0);
AT(HostMemThresholds, dwLowLoad, 4);
AT(HostMemThresholds, dwCalmLoad, 8);
AT(HostMemThresholds, dwHighLoad, 12);
AT(HostMemThresholds, dwNeutralLoad, 16);
AT(HostMemThresholds, msCalm, 20);
AT(HostMemThresholds, msPlenty, 24);
AT(HostMemThresholds, msStall, 28);
AT(HostMemThresholds, cbScarce, 32);
AT(HostMemThresholds, cbEnough, 40);

SAME(sizeof(HostMemBound), 40);
AT(HostMemBound, cbSize, 0);
AT(HostMemBound, kind, 4);
AT(HostMemBound, cbLimit, 8);
AT(HostMemBound, cbUsed, 16);
AT(HostMemBound, path, 24);
AT(HostMemBound, version, 32);

SAME(sizeof(HostMemSystem), 40);
AT(HostMemSystem, cbSize, 0);
AT(HostMemSystem, dwFeatures, 4);
AT(HostMemSystem, cbPage, 8);
AT(HostMemSystem, cbGranularity, 16);
AT(HostMemSystem, cbLargePage, 24);
AT(HostMemSystem, cLargePages, 32);
#else
SAME(sizeof(MEMORY_BASIC_INFORMATION), 28);
#endif

/* Each row in the order in which a GUID is written. */
static const struct {
	const char *name;
	const GUID *guid;
	uint8_t bytes[16];
} guids[] = {
	{ "IUnknown",
	  &IID_IUnknown,
	  { 0, 0, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46 } },
	{ "IClassFactory",
	  &IID_IClassFactory,
	  { 0, 0, 0, 1, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46 } },
	{ "IHostControl",
	  &IID_IHostControl,
	  { 0x02, 0xCA, 0x07, 0x3C, 0x70, 0x79, 0x48, 0x60, 0x88, 0x0A, 0xC2, 0xF7, 0xA4,
	    0x49, 0xC9, 0x91 } },
	{ "IHostMemoryManager",
	  &IID_IHostMemoryManager,
	  { 0x7B, 0xC6, 0x98, 0xD1, 0xF9, 0xE3, 0x44, 0x60, 0x9C, 0xDE, 0xD0, 0x42, 0x48,
	    0xE9, 0xFA, 0x25 } },
	{ "IHostMalloc",
	  &IID_IHostMalloc,
	  { 0x18, 0x31, 0x99, 0x1C, 0xCC, 0x53, 0x4A, 0x31, 0xB2, 0x18, 0x04, 0xE9, 0x10,
	    0x44, 0x64, 0x79 } },
	{ "IHostMalloc2",
	  &IID_IHostMalloc2,
	  { 0xC5, 0x0D, 0x44, 0xC0, 0x34, 0x43, 0x48, 0x83, 0x8E, 0xA9, 0x0C, 0x22, 0xCE,
	    0x8C, 0x4F, 0xD7 } },
	{ "ICLRMemoryNotificationCallback",
	  &IID_ICLRMemoryNotificationCallback,
	  { 0x47, 0xEB, 0x8E, 0x57, 0x08, 0x46, 0x45, 0x46, 0xAF, 0x76, 0x6F, 0x42, 0xFC,
	    0xFC, 0x26, 0x49 } },
	{ "IHostGCManager",
	  &IID_IHostGCManager,
	  { 0x5D, 0x4E, 0xC3, 0x4E, 0xF2, 0x48, 0x45, 0x7B, 0xB6, 0x03, 0x25, 0x5F, 0xAA,
	    0xBA, 0x0D, 0x21 } },
	{ "IHostMemoryControl",
	  &IID_IHostMemoryControl,
	  { 0x02, 0x03, 0x55, 0x20, 0xA0, 0x73, 0x47, 0x8A, 0xB8, 0xCD, 0xFF, 0x7C, 0x54,
	    0x4C, 0xED, 0x9E } },
	{ "IHostMemorySimulator",
	  &IID_IHostMemorySimulator,
	  { 0x47, 0x21, 0x7B, 0x79, 0xF9, 0x45, 0x4C, 0xF8, 0x95, 0x96, 0x92, 0xDC, 0xC0,
	    0x79, 0xC9, 0xA5 } },
	{ "IHostMemoryPages",
	  &IID_IHostMemoryPages,
	  { 0xD2, 0x33, 0x56, 0xAB, 0x04, 0x86, 0x4E, 0x03, 0x81, 0x83, 0x79, 0x18, 0x89,
	    0x24, 0xE7, 0x19 } },
	{ "IHostMemoryMonitor",
	  &IID_IHostMemoryMonitor,
	  { 0x22, 0x20, 0x1D, 0xB2, 0x30, 0x96, 0x47, 0x5B, 0xA0, 0x7C, 0xC2, 0x89, 0x94,
	    0x0D, 0x52, 0x7D } },
	{ "HostMemory",
	  &CLSID_HostMemory,
	  { 0xEA, 0x89, 0xA2, 0x4F, 0xE3, 0x8F, 0x42, 0x86, 0x8A, 0x33, 0x2E, 0xB0, 0x2E,
	    0x93, 0xD7, 0x91 } },
};

enum { GUIDS = sizeof(guids) / sizeof(guids[0]) };

static void guids_have_their_published_bytes(void)
{
	for (size_t i = 0; i < GUIDS; i++) {
		const GUID *guid = guids[i].guid;
		const uint8_t *want = guids[i].bytes;

		tap_row("%s", guids[i].name);
		CHECK_U32(guid->Data1, (uint32_t)want[0] << 24 | (uint32_t)want[1] << 16 |
					       (uint32_t)want[2] << 8 | want[3]);
		CHECK_U32(guid->Data2, (uint32_t)(want[4] << 8 | want[5]));
		CHECK_U32(guid->Data3, (uint32_t)(want[6] << 8 | want[7]));
		CHECK(memcmp(guid->Data4, want + 8, 8) == 0);
	}
}

static void guids_are_equal_to_themselves_only(void)
{
	for (size_t i = 0; i < GUIDS; i++) {
		for (size_t j = 0; j < GUIDS; j++) {
			GUID copy = *guids[j].guid;

			tap_row("%s, %s", guids[i].name, guids[j].name);
			CHECK((IsEqualGUID(guids[i].guid, &copy) != FALSE) == (i == j));
		}
	}
	tap_row("older name");
	CHECK(IsEqualIID(&IID_IHostMemoryNeededCallback,
			 &IID_ICLRMemoryNotificationCallback));
}

static void initialisers_name_the_defaults(void)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	HostMemFault fault = HOSTMEM_FAULT_INIT;

	CHECK_U32(budget.cbSize, sizeof(budget));
	CHECK_U32(budget.dwFlags, 0);
	CHECK_SIZE(budget.cbLimit, SIZE_MAX);
	CHECK_SIZE(budget.cbSoftLimit, SIZE_MAX);
	for (int level = 0; level < 3; level++) {
		tap_row("level %d", level);
		CHECK_SIZE(budget.cbHeadroom[level], 0);
		CHECK_SIZE(budget.cbLargest[level], SIZE_MAX);
		CHECK_U32(budget.msWait[level], 0);
	}
	tap_row("%s", "");

	CHECK_U32(config.cbSize, sizeof(config));
	CHECK_U32(config.dwFlags, 0);
	CHECK_POINTER(config.budget, NULL);
	CHECK_SIZE(config.cbRetain, 0);
	CHECK_U32(config.msGateTimeout, 0);
	CHECK_POINTER(config.loop, NULL);
	CHECK(config.report == NULL);
	CHECK_POINTER(config.reportState, NULL);

	CHECK_U32(usage.cbSize, sizeof(usage));
	CHECK_SIZE(usage.cbReserved, 0);
	CHECK_SIZE(usage.cNotifications, 0);
	CHECK_SIZE(usage.cLeakedBlocks, 0);

	CHECK_U32(fault.cbSize, sizeof(fault));
	CHECK_U32(fault.operations, 0);
	CHECK_U32(fault.levels, 0);
	CHECK_U32(fault.place, 0);
	CHECK_SIZE(fault.cbMin, 0);
	CHECK_SIZE(fault.cbMax, 0);
	CHECK_SIZE(fault.nth, 0);
	CHECK_SIZE(fault.every, 0);
	CHECK(!(fault.probability < 0.0 || fault.probability > 0.0));
	CHECK_SIZE(fault.seed, 0);
	CHECK_SIZE(fault.count, 1);
	CHECK_HR(fault.result, E_OUTOFMEMORY);
	CHECK_U32(fault.msDelay, 0);
}

static void version_is_spelt_alike_twice(void)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d.%d", HOSTMEM_VERSION_MAJOR,
		 HOSTMEM_VERSION_MINOR, HOSTMEM_VERSION_PATCH);
	CHECK_STR(HOSTMEM_VERSION, text);
	CHECK_STR(HOSTMEM_VERSION, "0.1.0");
}

static void initialisers_of_the_monitor_name_the_defaults(void)
{
	HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;
	HostMemThresholds thresholds = HOSTMEM_THRESHOLDS_INIT;
	HostMemSystem system = HOSTMEM_SYSTEM_INIT;

	CHECK_U32(state.cbSize, sizeof(state));
	CHECK_HR(state.result, S_FALSE);
	CHECK_SIZE(state.cCalls, 0);

	CHECK_U32(thresholds.cbSize, sizeof(thresholds));
	CHECK_U32(thresholds.dwLowLoad, 90);
	CHECK_U32(thresholds.dwCalmLoad, 85);
	CHECK_U32(thresholds.dwHighLoad, 70);
	CHECK_U32(thresholds.dwNeutralLoad, 75);
	CHECK_U32(thresholds.msCalm, 2000);
	CHECK_U32(thresholds.msPlenty, 5000);
	CHECK_U32(thresholds.msStall, 4000);
	CHECK_SIZE(thresholds.cbScarce, (size_t)64 << 20);
	CHECK_SIZE(thresholds.cbEnough, (size_t)192 << 20);

	CHECK_U32(system.cbSize, sizeof(system));
	CHECK_U32(system.dwFeatures, 0);
	CHECK_SIZE(system.cbPage, 0);
	CHECK_SIZE(system.cLargePages, 0);
}

int main(void)
{
	TAP_RUN(guids_have_their_published_bytes);
	TAP_RUN(guids_are_equal_to_themselves_only);
	TAP_RUN(initialisers_name_the_defaults);
	TAP_RUN(initialisers_of_the_monitor_name_the_defaults);
	TAP_RUN(version_is_spelt_alike_twice);
	return tap_done();
}
