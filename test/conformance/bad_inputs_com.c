/*
 * Bad inputs of IUnknown and of CreateMalloc, rows 1 to 11 of the list of bad inputs.
 * Row 5, one Release too many, is a documented precondition; what can be seen of it is
 * that the count is exact.  Row 12 waits for heaps.
 */
#include "com_rules.h"

static void rows_1_to_3_queryinterface(void)
{
	struct host host;
	struct snapshot before;

	if (!host_create(&host, 0))
		return;
	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(com_host_iids); i++) {
		IUnknown *face = com_face((IUnknown *)host.manager, com_host_iids[i]);

		tap_row("1 and 2, face %zu", i);
		com_rules_null(face);
		com_rules_unknown(face, com_host_iids, ROWS(com_host_iids)); /* 3 */
		IUnknown_Release(face);
	}
	CHECK_UNCHANGED(&before);
	CHECK_U32(com_count((IUnknown *)host.manager), 3);
	host_destroy(&host);
}

/* A method cannot be called through NULL, its wrapper can; it leaves outs alone. */
static void row_4_wrappers_of_no_object(void)
{
	MEMORY_BASIC_INFORMATION info;
	SIZE_T length = POISON_SIZE;
	DWORD old = POISON_DWORD;
	void *out = POISON;

	tap_row("4");
	CHECK_HR(IUnknown_QueryInterface(NULL, &IID_IUnknown, &out), E_POINTER);
	CHECK_U32(IUnknown_AddRef(NULL), 0);
	CHECK_U32(IUnknown_Release(NULL), 0);
	CHECK_HR(IHostMemoryManager_VirtualAlloc(NULL, NULL, PAGE, MEM_RESERVE,
						 PAGE_READWRITE, eTaskCritical, &out),
		 E_POINTER);
	CHECK_HR(IHostMemoryManager_VirtualFree(NULL, NULL, 0, MEM_RELEASE), E_POINTER);
	CHECK_HR(IHostMemoryManager_VirtualQuery(NULL, NULL, &info, sizeof(info),
						 &length),
		 E_POINTER);
	CHECK_HR(IHostMemoryManager_VirtualProtect(NULL, NULL, 1, PAGE_READWRITE, &old),
		 E_POINTER);
	CHECK_HR(IHostControl_GetHostManager(NULL, &IID_IHostMemoryManager, &out),
		 E_POINTER);
	CHECK_HR(IHostGCManager_SuspensionStarting(NULL), E_POINTER);
	CHECK_HR(IHostMemoryControl_Shutdown(NULL), E_POINTER);
	CHECK_HR(IHostMemorySimulator_ClearMemoryLoad(NULL), E_POINTER);
	CHECK_HR(IHostMemoryPages_ReleaseRange(NULL, NULL, PAGE), E_POINTER);
	CHECK_HR(IHostMemoryMonitor_SetThresholds(NULL, NULL), E_POINTER);
	CHECK_HR(IHostMalloc_Free(NULL, NULL), E_POINTER);
	CHECK_HR(IClassFactory_LockServer(NULL, TRUE), E_POINTER);
	CHECK_POINTER(out, POISON);
	CHECK_SIZE(length, POISON_SIZE);
	CHECK_U32(old, POISON_DWORD);
}

static void row_5_the_count_reaches_zero_exactly_once(void)
{
	void *object = NULL;
	IUnknown *face;

	tap_row("5");
	CHECK_HR(HostMemCreate(NULL, &IID_IHostControl, &object), S_OK);
	face = com_face((IUnknown *)object, &IID_IHostMemoryPages);
	for (ULONG count = 3; count <= 10; count++)
		CHECK_U32(IUnknown_AddRef(count % 2 ? face : (IUnknown *)object), count);
	for (ULONG count = 10; count-- > 0;)
		CHECK_U32(IUnknown_Release(count % 2 ? face : (IUnknown *)object), count);
}

/*
 * Where an object keeps its count, found by watching: the word behind the face that goes
 * up and down with AddRef and Release.  NULL if it is not to be seen.
 */
static volatile uint32_t *find_count(const struct host *host)
{
	IUnknown *object = (IUnknown *)host->manager;
	volatile uint32_t *words = (volatile uint32_t *)at(object, 0);
	MEMORY_BASIC_INFORMATION info;
	size_t count;

	CHECK_HR(vm_query(host, object, &info), S_OK);
	count = ((uintptr_t)info.BaseAddress + info.RegionSize - (uintptr_t)object) / 4;
	for (size_t i = 0; i < count && i < 4096; i++) {
		uint32_t before = words[i];
		uint32_t during;

		IUnknown_AddRef(object);
		during = words[i];
		IUnknown_Release(object);
		if (before == 3 && during == 4 && words[i] == 3)
			return &words[i];
	}
	return NULL;
}

/* Four thousand million calls would show the same; the object is left for good. */
static void row_6_addref_saturates_and_the_object_lives_for_ever(void)
{
	volatile uint32_t *count;
	struct host host;
	IUnknown *object;

	tap_row("6");
	if (!host_create(&host, 0))
		return;
	object = (IUnknown *)host.manager;
	count = find_count(&host);
	if (count == NULL) {
		tap_skip("the count is not where it can be seen");
		host_destroy(&host);
		return;
	}
	*count = UINT32_MAX - 2;
	for (int i = 0; i < 10; i++)
		CHECK(IUnknown_AddRef(object) > UINT32_MAX / 2);
	for (int i = 0; i < 10; i++)
		CHECK(IUnknown_Release(object) > UINT32_MAX / 2);
	CHECK_U32(IUnknown_AddRef(object), UINT32_MAX);
	CHECK_U32(IUnknown_Release(object), UINT32_MAX);
	CHECK_HR(vm_release(&host, vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE)),
		 S_OK);
}

static void row_7_after_shutdown_a_leaked_reference_is_harmless(void)
{
	struct host host;
	struct snapshot before;
	void *base, *out;
	DWORD old;

	tap_row("7");
	if (!host_create(&host, 0))
		return;
	base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	snapshot_take(&before, &host);
	CHECK_HR(IHostMemoryControl_Shutdown(host.control), S_OK);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(vm_alloc(&host, NULL, 0, 0, 0, &out), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(vm_release(&host, base), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(vm_protect(&host, base, PAGE, PAGE_READONLY, &old),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_UNCHANGED(&before);
	host_destroy(&host);
}

static void rows_8_to_11_createmalloc(void)
{
	static const struct {
		int number;
		DWORD type;
		uint32_t flags;
		HRESULT want;
	} rows[] = {
		{ 9, 4, 0, E_INVALIDARG },
		{ 9, 0xFFFFFFFC, 0, E_INVALIDARG },
		{ 9, 0xFFFFFFFF, 0, E_INVALIDARG },
		{ 9, 0x80000001, 0, E_INVALIDARG },
		{ 9, 8, 0, E_INVALIDARG },
		{ 10, 0, 0, S_OK },
		{ 10, MALLOC_THREADSAFE, 0, S_OK },
		{ 10, MALLOC_EXECUTABLE, 0, S_OK },
		{ 10, MALLOC_THREADSAFE | MALLOC_EXECUTABLE, 0, S_OK },
		{ 10, MALLOC_THREADSAFE, HOSTMEM_STRICT_EXECUTE, S_OK },
		{ 11, MALLOC_EXECUTABLE, HOSTMEM_STRICT_EXECUTE, E_ACCESSDENIED },
		{ 11, MALLOC_THREADSAFE | MALLOC_EXECUTABLE, HOSTMEM_STRICT_EXECUTE,
		  E_ACCESSDENIED },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct host host;
		struct snapshot before;
		IHostMalloc *heap = (IHostMalloc *)POISON;

		tap_row("%d, type 0x%x, flags %u", rows[i].number, rows[i].type,
			rows[i].flags);
		if (!host_create(&host, rows[i].flags))
			return;
		snapshot_take(&before, &host);
		CHECK_HR(IHostMemoryManager_CreateMalloc(host.manager, rows[i].type,
							 &heap),
			 rows[i].want);
		CHECK((heap == NULL) == FAILED(rows[i].want) && (void *)heap != POISON);
		if (SUCCEEDED(rows[i].want) && heap != NULL)
			CHECK_U32(IHostMalloc_Release(heap), 0);
		CHECK_HR(IHostMemoryManager_CreateMalloc(host.manager, rows[i].type,
							 NULL),
			 E_POINTER); /* 8 */
		CHECK_UNCHANGED(&before);
		CHECK_U32(com_count((IUnknown *)host.manager), 3);
		host_destroy(&host);
	}
}

int main(void)
{
	TAP_RUN(rows_1_to_3_queryinterface);
	TAP_RUN(row_4_wrappers_of_no_object);
	TAP_RUN(row_5_the_count_reaches_zero_exactly_once);
	TAP_RUN(row_6_addref_saturates_and_the_object_lives_for_ever);
	TAP_RUN(row_7_after_shutdown_a_leaked_reference_is_harmless);
	TAP_RUN(rows_8_to_11_createmalloc);
	return tap_done();
}
