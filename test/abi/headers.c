/*
 * Pins the binary contract: slots and signatures of every method, values of every
 * code, flag and enumerator, sizes and offsets of every record, the bytes of every
 * IID.  The numbers are written here a second time, from the published interfaces and
 * not from our headers; most are checked by the compiler, so that a program which
 * compiles is half the test.
 */
#include "abi/hostmem.h"
#include "tap.h"

#define SAME(a, b) _Static_assert((a) == (b), #a " is " #b)
#define CODE(name, value) \
	_Static_assert((HRESULT)(name) == (HRESULT)(value), #name " is " #value)

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

/* Callbacks. */
#define TYPE(type, ...) \
	_Static_assert(_Generic((type)0, __VA_ARGS__ : 1, default : 0), #type)
TYPE(HostMemEventCallback, BOOL(HOSTMEM_CALL *)(void *, const HostMemEvent *));
TYPE(HostMemReclaimCallback, size_t(HOSTMEM_CALL *)(void *, size_t));
TYPE(HostMemRegionCallback,
     BOOL(HOSTMEM_CALL *)(void *, const MEMORY_BASIC_INFORMATION *));

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

SAME(sizeof(HostMemConfig), 40);
AT(HostMemConfig, cbSize, 0);
AT(HostMemConfig, dwFlags, 4);
AT(HostMemConfig, budget, 8);
AT(HostMemConfig, cbRetain, 16);
AT(HostMemConfig, msGateTimeout, 24);
AT(HostMemConfig, loop, 32);

SAME(sizeof(HostMemUsage), 144);
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
#else
SAME(sizeof(MEMORY_BASIC_INFORMATION), 28);
#endif

/* Result codes. */
CODE(S_OK, 0);
CODE(S_FALSE, 1);
CODE(E_NOTIMPL, 0x80004001);
CODE(E_NOINTERFACE, 0x80004002);
CODE(E_POINTER, 0x80004003);
CODE(E_ABORT, 0x80004004);
CODE(E_FAIL, 0x80004005);
CODE(E_UNEXPECTED, 0x8000FFFF);
CODE(E_PENDING, 0x8000000A);
CODE(E_BOUNDS, 0x8000000B);
CODE(E_ACCESSDENIED, 0x80070005);
CODE(E_HANDLE, 0x80070006);
CODE(E_OUTOFMEMORY, 0x8007000E);
CODE(E_INVALIDARG, 0x80070057);
CODE(CLASS_E_NOAGGREGATION, 0x80040110);
CODE(CLASS_E_CLASSNOTAVAILABLE, 0x80040111);
CODE(CO_E_NOTINITIALIZED, 0x800401F0);
CODE(CO_E_OBJNOTCONNECTED, 0x800401FD);
CODE(RPC_E_CHANGED_MODE, 0x80010106);
CODE(RPC_E_DISCONNECTED, 0x80010108);
CODE(HOST_E_DEADLOCK, 0x80131020);
CODE(HOST_E_INTERRUPTED, 0x80131021);
CODE(HOST_E_INVALIDOPERATION, 0x80131022);
CODE(HOST_E_CLRNOTAVAILABLE, 0x80131023);
CODE(HOST_E_TIMEOUT, 0x80131024);
CODE(HOST_E_NOT_OWNER, 0x80131025);
CODE(HOST_E_ABANDONED, 0x80131026);
CODE(HOST_E_EXITPROCESS_THREADABORT, 0x80131027);
CODE(HOST_E_EXITPROCESS_ADUNLOAD, 0x80131028);
CODE(HOST_E_EXITPROCESS_TIMEOUT, 0x80131029);
CODE(HOST_E_EXITPROCESS_OUTOFMEMORY, 0x8013102A);
CODE(HOST_E_EXITPROCESS_STACKOVERFLOW, 0x8013102B);
CODE(COR_E_OUTOFMEMORY, 0x8007000E);
CODE(COR_E_EXECUTIONENGINE, 0x80131506);
CODE(COR_E_INVALIDOPERATION, 0x80131509);
CODE(COR_E_NOTSUPPORTED, 0x80131515);
CODE(COR_E_OVERFLOW, 0x80131516);
CODE(COR_E_THREADABORTED, 0x80131530);
CODE(COR_E_INSUFFICIENTMEMORY, 0x8013153D);
CODE(COR_E_INSUFFICIENTEXECUTIONSTACK, 0x80131578);
CODE(COR_E_FAILFAST, 0x80131623);
CODE(COR_E_STACKOVERFLOW, 0x800703E9);
CODE(COR_E_ARITHMETIC, 0x80070216);
CODE(COR_E_APPDOMAINUNLOADED, 0x80131014);
CODE(COR_E_CANNOTUNLOADAPPDOMAIN, 0x80131015);
CODE(COR_E_TIMEOUT, 0x80131505);
CODE(COR_E_DUPLICATEWAITOBJECT, 0x80131529);

/* Win32 codes, and the HRESULT each becomes. */
#define WIN32_CODE(name, number, value) \
	SAME(name, number); \
	CODE(HOSTMEM_HRESULT_FROM_WIN32(name), value)
WIN32_CODE(ERROR_ACCESS_DENIED, 5, 0x80070005);
WIN32_CODE(ERROR_INVALID_HANDLE, 6, 0x80070006);
WIN32_CODE(ERROR_NOT_ENOUGH_MEMORY, 8, 0x80070008);
WIN32_CODE(ERROR_INVALID_ACCESS, 12, 0x8007000C);
WIN32_CODE(ERROR_OUTOFMEMORY, 14, 0x8007000E);
WIN32_CODE(ERROR_BAD_LENGTH, 24, 0x80070018);
WIN32_CODE(ERROR_NOT_SUPPORTED, 50, 0x80070032);
WIN32_CODE(ERROR_INVALID_PARAMETER, 87, 0x80070057);
WIN32_CODE(ERROR_CALL_NOT_IMPLEMENTED, 120, 0x80070078);
WIN32_CODE(ERROR_INSUFFICIENT_BUFFER, 122, 0x8007007A);
WIN32_CODE(ERROR_NOT_LOCKED, 158, 0x8007009E);
WIN32_CODE(ERROR_INVALID_ADDRESS, 487, 0x800701E7);
WIN32_CODE(ERROR_ARITHMETIC_OVERFLOW, 534, 0x80070216);
WIN32_CODE(ERROR_NOACCESS, 998, 0x800703E6);
WIN32_CODE(ERROR_STACK_OVERFLOW, 1001, 0x800703E9);
WIN32_CODE(ERROR_INVALID_FLAGS, 1004, 0x800703EC);
WIN32_CODE(ERROR_NOT_FOUND, 1168, 0x80070490);
WIN32_CODE(ERROR_USER_MAPPED_FILE, 1224, 0x800704C8);
WIN32_CODE(ERROR_PRIVILEGE_NOT_HELD, 1314, 0x80070522);
WIN32_CODE(ERROR_INTERNAL_ERROR, 1359, 0x8007054F);
WIN32_CODE(ERROR_NO_SYSTEM_RESOURCES, 1450, 0x800705AA);
WIN32_CODE(ERROR_WORKING_SET_QUOTA, 1453, 0x800705AD);
WIN32_CODE(ERROR_PAGEFILE_QUOTA, 1454, 0x800705AE);
WIN32_CODE(ERROR_COMMITMENT_LIMIT, 1455, 0x800705AF);
WIN32_CODE(ERROR_NOT_ENOUGH_QUOTA, 1816, 0x80070718);
WIN32_CODE(ERROR_INVALID_STATE, 5023, 0x8007139F);
WIN32_CODE(ERROR_FILE_NOT_FOUND, 2, 0x80070002);
WIN32_CODE(ERROR_INVALID_NAME, 123, 0x8007007B);
WIN32_CODE(ERROR_MOD_NOT_FOUND, 126, 0x8007007E);
WIN32_CODE(ERROR_PROC_NOT_FOUND, 127, 0x8007007F);
WIN32_CODE(ERROR_BAD_EXE_FORMAT, 193, 0x800700C1);
SAME(ERROR_SUCCESS, 0);

static void hresult_from_win32_passes_through_what_is_not_positive(void)
{
	static const struct {
		uint32_t error, want;
	} rows[] = {
		{ 0, 0 },
		{ 1, 0x80070001 },
		{ 487, 0x800701E7 },
		{ 0xFFFF, 0x8007FFFF },
		{ 0x10000, 0x80070000 },
		{ 0x123401E7, 0x800701E7 },
		{ 0x7FFFFFFF, 0x8007FFFF },
		{ 0x80000000, 0x80000000 },
		{ 0x80131022, 0x80131022 },
		{ 0xFFFFFFFF, 0xFFFFFFFF },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tap_row("error 0x%08x", (unsigned)rows[i].error);
		CHECK_HR(HRESULT_FROM_WIN32(rows[i].error), (HRESULT)rows[i].want);
	}
}

static void hresult_from_win32_evaluates_its_argument_once(void)
{
#ifdef _WIN32
	tap_skip("windows.h has a macro");
#else
	uint32_t error = 487;

	CHECK_HR(HRESULT_FROM_WIN32(error++), (HRESULT)0x800701E7);
	CHECK_U32(error, 488);
#endif
}

static void hresults_are_composed_and_taken_apart(void)
{
	static const struct {
		uint32_t hr, severity, facility, code;
	} rows[] = {
		{ 0x00000000, 0, 0, 0 },
		{ 0x00000001, 0, 0, 1 },
		{ 0x80131022, 1, 0x13, 0x1022 },
		{ 0x80070057, 1, FACILITY_WIN32, 87 },
		{ 0x8007FFFF, 1, FACILITY_WIN32, 0xFFFF },
		{ 0x00040200, 0, FACILITY_ITF, 0x200 },
		{ 0x9FFFFFFF, 1, 0x1FFF, 0xFFFF },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		HRESULT hr = (HRESULT)rows[i].hr;

		tap_row("0x%08x", (unsigned)rows[i].hr);
		CHECK_HR(MAKE_HRESULT(rows[i].severity, rows[i].facility, rows[i].code),
			 hr);
		CHECK_U32((uint32_t)HRESULT_CODE(hr), rows[i].code);
		CHECK_U32((uint32_t)HRESULT_FACILITY(hr), rows[i].facility);
		CHECK(FAILED(hr) == (rows[i].severity == 1));
		CHECK(SUCCEEDED(hr) == (rows[i].severity == 0));
	}
}

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

	CHECK_U32(usage.cbSize, sizeof(usage));
	CHECK_SIZE(usage.cbReserved, 0);
	CHECK_SIZE(usage.cNotifications, 0);

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

int main(void)
{
	TAP_RUN(hresult_from_win32_passes_through_what_is_not_positive);
	TAP_RUN(hresult_from_win32_evaluates_its_argument_once);
	TAP_RUN(hresults_are_composed_and_taken_apart);
	TAP_RUN(guids_have_their_published_bytes);
	TAP_RUN(guids_are_equal_to_themselves_only);
	TAP_RUN(initialisers_name_the_defaults);
	TAP_RUN(version_is_spelt_alike_twice);
	return tap_done();
}
