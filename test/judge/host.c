/*
 * The judge's host: the thinnest possible cover over Win32.
 *
 * Whatever Win32 has an answer to is asked of Win32, so that it, and not we, says what the
 * cases hear.  What remains is the hosting interface's own: outs that are NULL, or cleared on
 * failure; critical levels; HOST_E_INVALIDOPERATION for what is not this host's, since
 * VirtualFree would take anybody's memory; mappings that are announced; callbacks, which are
 * kept and never called.  There are no extensions of hostmem's.
 *
 * The codes are translated where the interface has a name of its own, by the rule that a
 * shortage is E_OUTOFMEMORY and a bad pointer E_POINTER; others are passed on.
 *
 * One lock, shared by nobody else, is held over each call that changes the books: of two
 * threads that release one reservation, one is told so.
 */
#include "host.h"
#include "ledger.h"

#include <stdatomic.h>
#include <stdlib.h>

#define PAGE ((uintptr_t)4096)
#define USER_END ((uintptr_t)0x7FFFFFFF0000)

struct host {
	IHostControl IHostControl_iface;
	IHostMemoryManager IHostMemoryManager_iface;
	atomic_uint references;

	SRWLOCK lock;
	struct judge_ledger reservations; /* guarded by lock, as all below */
	struct judge_ledger mappings;
	ICLRMemoryNotificationCallback *callback; /* referenced */
};

HRESULT judge_last_error(void)
{
	DWORD error = GetLastError();

	switch (error) {
	case ERROR_SUCCESS:
		return E_FAIL;
	case ERROR_NOT_ENOUGH_MEMORY:
	case ERROR_OUTOFMEMORY:
	case ERROR_COMMITMENT_LIMIT:
		return E_OUTOFMEMORY;
	case ERROR_NOACCESS:
		return E_POINTER;
	default:
		return HRESULT_FROM_WIN32(error);
	}
}

/* ---- The object, whichever face it is reached through ---- */

static HRESULT host_query(struct host *self, REFIID riid, void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (IsEqualIID(riid, &IID_IUnknown) || IsEqualIID(riid, &IID_IHostControl))
		*ppv = &self->IHostControl_iface;
	else if (IsEqualIID(riid, &IID_IHostMemoryManager))
		*ppv = &self->IHostMemoryManager_iface;
	if (*ppv == NULL)
		return E_NOINTERFACE;
	atomic_fetch_add(&self->references, 1);
	return S_OK;
}

static ULONG host_release(struct host *self)
{
	ULONG left = atomic_fetch_sub(&self->references, 1) - 1;

	if (left != 0)
		return left;
	for (size_t i = 0; i < self->reservations.count; i++)
		(void)VirtualFree((void *)self->reservations.ranges[i].base, 0,
				  MEM_RELEASE);
	judge_ledger_free(&self->reservations);
	judge_ledger_free(&self->mappings);
	if (self->callback != NULL)
		(void)ICLRMemoryNotificationCallback_Release(self->callback);
	free(self);
	return 0;
}

/* ---- IHostControl ---- */

static struct host *from_control(IHostControl *iface)
{
	return CONTAINING_RECORD(iface, struct host, IHostControl_iface);
}

static HRESULT HOSTMEM_CALL control_QueryInterface(IHostControl *iface, REFIID riid,
						   void **ppv)
{
	return host_query(from_control(iface), riid, ppv);
}

static ULONG HOSTMEM_CALL control_AddRef(IHostControl *iface)
{
	return atomic_fetch_add(&from_control(iface)->references, 1) + 1;
}

static ULONG HOSTMEM_CALL control_Release(IHostControl *iface)
{
	return host_release(from_control(iface));
}

static HRESULT HOSTMEM_CALL control_GetHostManager(IHostControl *iface, REFIID riid,
						   void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (!IsEqualIID(riid, &IID_IHostMemoryManager))
		return E_NOINTERFACE;
	return host_query(from_control(iface), riid, ppv);
}

static HRESULT HOSTMEM_CALL control_SetAppDomainManager(IHostControl *iface, DWORD domain,
							IUnknown *manager)
{
	(void)iface;
	(void)domain;
	(void)manager;
	return S_OK;
}

static const IHostControlVtbl control_vtbl = {
	.QueryInterface = control_QueryInterface,
	.AddRef = control_AddRef,
	.Release = control_Release,
	.GetHostManager = control_GetHostManager,
	.SetAppDomainManager = control_SetAppDomainManager,
};

/* ---- IHostMemoryManager ---- */

static struct host *from_manager(IHostMemoryManager *iface)
{
	return CONTAINING_RECORD(iface, struct host, IHostMemoryManager_iface);
}

static HRESULT HOSTMEM_CALL manager_QueryInterface(IHostMemoryManager *iface, REFIID riid,
						   void **ppv)
{
	return host_query(from_manager(iface), riid, ppv);
}

static ULONG HOSTMEM_CALL manager_AddRef(IHostMemoryManager *iface)
{
	return control_AddRef(&from_manager(iface)->IHostControl_iface);
}

static ULONG HOSTMEM_CALL manager_Release(IHostMemoryManager *iface)
{
	return host_release(from_manager(iface));
}

static HRESULT HOSTMEM_CALL manager_CreateMalloc(IHostMemoryManager *iface, DWORD type,
						 IHostMalloc **ppMalloc)
{
	if (ppMalloc == NULL)
		return E_POINTER;
	*ppMalloc = NULL;
	if ((type & ~(DWORD)(MALLOC_THREADSAFE | MALLOC_EXECUTABLE)) != 0)
		return E_INVALIDARG;
	return judge_heap_create(iface, type, ppMalloc);
}

/* A new reservation, which ends with the page of its last byte; under the lock. */
static HRESULT note_reservation(struct host *self, void *base, const void *address,
				SIZE_T size)
{
	uintptr_t begin = address != NULL ? (uintptr_t)address : (uintptr_t)base;
	uintptr_t end = (begin + size + PAGE - 1) & ~(PAGE - 1);

	if (judge_ledger_add(&self->reservations, base, end - (uintptr_t)base))
		return S_OK;
	(void)VirtualFree(base, 0, MEM_RELEASE);
	return E_OUTOFMEMORY;
}

static HRESULT HOSTMEM_CALL manager_VirtualAlloc(IHostMemoryManager *iface, void *address,
						 SIZE_T size, DWORD type, DWORD protect,
						 EMemoryCriticalLevel level, void **ppMem)
{
	struct host *self = from_manager(iface);
	void *base;
	HRESULT hr = S_OK;

	if (ppMem == NULL)
		return E_POINTER;
	*ppMem = NULL;
	if ((unsigned)level > eProcessCritical)
		return E_INVALIDARG;
	AcquireSRWLockExclusive(&self->lock);
	base = VirtualAlloc(address, size, type, protect);
	if (base == NULL)
		hr = judge_last_error();
	else if (address == NULL || (type & MEM_RESERVE) != 0)
		hr = note_reservation(self, base, address, size);
	ReleaseSRWLockExclusive(&self->lock);
	if (SUCCEEDED(hr))
		*ppMem = base;
	return hr;
}

/* Win32 refuses it whatever lies there, so it does no harm to ask. */
static bool is_never_freed(const void *address, SIZE_T size, DWORD type)
{
	return (type != MEM_DECOMMIT && type != MEM_RELEASE) ||
	       (type == MEM_RELEASE && size != 0) || (uintptr_t)address >= USER_END ||
	       size > USER_END - (uintptr_t)address;
}

static HRESULT HOSTMEM_CALL manager_VirtualFree(IHostMemoryManager *iface, void *address,
						SIZE_T size, DWORD type)
{
	struct host *self = from_manager(iface);
	struct judge_range *range;
	HRESULT hr;

	AcquireSRWLockExclusive(&self->lock);
	range = judge_ledger_around(&self->reservations, address);
	if (range == NULL && !is_never_freed(address, size, type))
		hr = HOST_E_INVALIDOPERATION;
	else
		hr = VirtualFree(address, size, type) ? S_OK : judge_last_error();
	if (SUCCEEDED(hr) && type == MEM_RELEASE && range != NULL)
		judge_ledger_remove(&self->reservations, range);
	ReleaseSRWLockExclusive(&self->lock);
	return hr;
}

static HRESULT HOSTMEM_CALL manager_VirtualQuery(IHostMemoryManager *iface, void *address,
						 void *buffer, SIZE_T length,
						 SIZE_T *pResult)
{
	(void)iface;
	if (pResult == NULL)
		return E_POINTER;
	*pResult = 0;
	if (buffer == NULL)
		return E_POINTER;
	*pResult = VirtualQuery(address, (MEMORY_BASIC_INFORMATION *)buffer, length);
	return *pResult != 0 ? S_OK : judge_last_error();
}

static HRESULT HOSTMEM_CALL manager_VirtualProtect(IHostMemoryManager *iface,
						   void *address, SIZE_T size,
						   DWORD protect, DWORD *pOldProtect)
{
	DWORD old = 0;

	(void)iface;
	if (pOldProtect == NULL)
		return E_POINTER;
	*pOldProtect = 0;
	if (!VirtualProtect(address, size, protect, &old))
		return judge_last_error();
	*pOldProtect = old;
	return S_OK;
}

static HRESULT HOSTMEM_CALL manager_GetMemoryLoad(IHostMemoryManager *iface, DWORD *pLoad,
						  SIZE_T *pAvailable)
{
	MEMORYSTATUSEX status = { .dwLength = sizeof(status) };

	(void)iface;
	if (pLoad != NULL)
		*pLoad = 0;
	if (pAvailable != NULL)
		*pAvailable = 0;
	if (pLoad == NULL || pAvailable == NULL)
		return E_POINTER;
	if (!GlobalMemoryStatusEx(&status))
		return judge_last_error();
	*pLoad = status.dwMemoryLoad;
	*pAvailable = (SIZE_T)status.ullAvailPhys;
	return S_OK;
}

static HRESULT HOSTMEM_CALL manager_RegisterMemoryNotificationCallback(
	IHostMemoryManager *iface, ICLRMemoryNotificationCallback *callback)
{
	struct host *self = from_manager(iface);
	ICLRMemoryNotificationCallback *before;

	if (callback != NULL)
		(void)ICLRMemoryNotificationCallback_AddRef(callback);
	AcquireSRWLockExclusive(&self->lock);
	before = self->callback;
	self->callback = callback;
	ReleaseSRWLockExclusive(&self->lock);
	if (before != NULL)
		(void)ICLRMemoryNotificationCallback_Release(before);
	return S_OK;
}

static HRESULT HOSTMEM_CALL manager_NeedsVirtualAddressSpace(IHostMemoryManager *iface,
							     void *start, SIZE_T size)
{
	void *room = VirtualAlloc(start, size != 0 ? size : 1, MEM_RESERVE,
				  PAGE_NOACCESS);

	(void)iface;
	if (room == NULL)
		return E_OUTOFMEMORY;
	(void)VirtualFree(room, 0, MEM_RELEASE);
	return S_OK;
}

static HRESULT HOSTMEM_CALL manager_AcquiredVirtualAddressSpace(IHostMemoryManager *iface,
								void *start, SIZE_T size)
{
	struct host *self = from_manager(iface);
	struct judge_range *known;

	AcquireSRWLockExclusive(&self->lock);
	known = judge_ledger_at(&self->mappings, start);
	if (known != NULL)
		known->size = size;
	else
		(void)judge_ledger_add(&self->mappings, start, size);
	ReleaseSRWLockExclusive(&self->lock);
	return S_OK;
}

static HRESULT HOSTMEM_CALL manager_ReleasedVirtualAddressSpace(IHostMemoryManager *iface,
								void *start)
{
	struct host *self = from_manager(iface);
	struct judge_range *known;

	AcquireSRWLockExclusive(&self->lock);
	known = judge_ledger_at(&self->mappings, start);
	if (known != NULL)
		judge_ledger_remove(&self->mappings, known);
	ReleaseSRWLockExclusive(&self->lock);
	return known != NULL ? S_OK : HOST_E_INVALIDOPERATION;
}

static const IHostMemoryManagerVtbl manager_vtbl = {
	.QueryInterface = manager_QueryInterface,
	.AddRef = manager_AddRef,
	.Release = manager_Release,
	.CreateMalloc = manager_CreateMalloc,
	.VirtualAlloc = manager_VirtualAlloc,
	.VirtualFree = manager_VirtualFree,
	.VirtualQuery = manager_VirtualQuery,
	.VirtualProtect = manager_VirtualProtect,
	.GetMemoryLoad = manager_GetMemoryLoad,
	.RegisterMemoryNotificationCallback = manager_RegisterMemoryNotificationCallback,
	.NeedsVirtualAddressSpace = manager_NeedsVirtualAddressSpace,
	.AcquiredVirtualAddressSpace = manager_AcquiredVirtualAddressSpace,
	.ReleasedVirtualAddressSpace = manager_ReleasedVirtualAddressSpace,
};

HRESULT judge_host_create(void *state, REFIID riid, void **ppv)
{
	struct host *self;
	HRESULT hr;

	(void)state;
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	self = (struct host *)calloc(1, sizeof(*self));
	if (self == NULL)
		return E_OUTOFMEMORY;
	self->IHostControl_iface.lpVtbl = &control_vtbl;
	self->IHostMemoryManager_iface.lpVtbl = &manager_vtbl;
	atomic_init(&self->references, 1);
	InitializeSRWLock(&self->lock);
	hr = host_query(self, riid, ppv);
	(void)host_release(self);
	return hr;
}
