/*
 * IHostMemoryManager: the porter.  Each method looks at its out pointers, the host's
 * state and its arguments, in this order, and passes on to the rules.
 *
 * No locks.
 */
#include "hostmalloc.h"
#include "object.h"
#include "hostmem/arguments.h"
#include "hostmem/commit.h"
#include "hostmem/gate.h"
#include "hostmem/mapping.h"
#include "hostmem/memoryload.h"
#include "hostmem/os/size.h"
#include "hostmem/protect.h"
#include "hostmem/query.h"
#include "hostmem/release.h"
#include "hostmem/reserve.h"

#include <string.h>

HOST_OBJECT_FACE(IHostMemoryManager, manager, host_memory_manager_vtbl)

static struct hm_host *host_of(IHostMemoryManager *iface)
{
	return &impl_from_IHostMemoryManager(iface)->host;
}

static HRESULT HOSTMEM_CALL manager_CreateMalloc(IHostMemoryManager *iface, DWORD type,
						 IHostMalloc **out)
{
	HRESULT hr;

	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	hr = hm_host_check(host_of(iface));
	if (FAILED(hr))
		return hr;
	if (type & ~(DWORD)(MALLOC_THREADSAFE | MALLOC_EXECUTABLE))
		return E_INVALIDARG;
	if ((type & MALLOC_EXECUTABLE) && host_of(iface)->strict_execute)
		return E_ACCESSDENIED;
	return host_malloc_create(host_of(iface), type, out);
}

/* Allocation by type: a reservation, or something done to one. */
static HRESULT allocate(struct hm_host *host, struct hm_allocation *want, void **out)
{
	if (want->type & (MEM_RESET | MEM_RESET_UNDO))
		return hm_reset(host, want, out);
	if (want->address == 0)
		want->type |= MEM_RESERVE;
	return want->type & MEM_RESERVE ? hm_reserve(host, want, out)
					: hm_commit(host, want, out);
}

static HRESULT HOSTMEM_CALL manager_VirtualAlloc(IHostMemoryManager *iface, void *address,
						 SIZE_T size, DWORD type, DWORD protect,
						 EMemoryCriticalLevel level, void **out)
{
	struct hm_host *host = host_of(iface);
	struct hm_allocation want = {
		.address = (uintptr_t)address,
		.size = size,
		.alignment = HM_GRANULE_SIZE,
		.type = type,
		.protect = protect,
		.level = level,
	};
	HRESULT hr;

	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	hr = hm_host_check(host);
	if (FAILED(hr))
		return hr;
	hr = hm_check_allocation(&want);
	if (SUCCEEDED(hr))
		hr = hm_gate_pass(host, HM_IMPATIENT);
	if (FAILED(hr))
		return hr;
	return allocate(host, &want, out);
}

static HRESULT HOSTMEM_CALL manager_VirtualFree(IHostMemoryManager *iface, void *address,
						SIZE_T size, DWORD type)
{
	struct hm_host *host = host_of(iface);
	HRESULT hr = hm_host_check(host);

	if (FAILED(hr))
		return hr;
	hr = hm_check_free((uintptr_t)address, size, type);
	if (SUCCEEDED(hr))
		hr = hm_gate_pass(host, HM_PATIENT);
	if (FAILED(hr))
		return hr;
	return type == MEM_RELEASE ? hm_release(host, (uintptr_t)address)
				   : hm_decommit(host, (uintptr_t)address, size);
}

static HRESULT HOSTMEM_CALL manager_VirtualQuery(IHostMemoryManager *iface, void *address,
						 void *buffer, SIZE_T length,
						 SIZE_T *result)
{
	MEMORY_BASIC_INFORMATION information;
	HRESULT hr;

	if (result != NULL)
		*result = 0;
	if (result == NULL || buffer == NULL)
		return E_POINTER;
	if (length < sizeof(information))
		return HRESULT_FROM_WIN32(ERROR_BAD_LENGTH);
	hr = hm_query(host_of(iface), (uintptr_t)address, &information);
	if (FAILED(hr))
		return hr;
	/* The caller's buffer may be aligned to nothing. */
	memcpy(buffer, &information, sizeof(information));
	*result = sizeof(information);
	return S_OK;
}

static HRESULT HOSTMEM_CALL manager_VirtualProtect(IHostMemoryManager *iface,
						   void *address, SIZE_T size,
						   DWORD protect, DWORD *old)
{
	struct hm_host *host = host_of(iface);
	HRESULT hr;

	if (old == NULL)
		return E_POINTER;
	*old = 0;
	hr = hm_host_check(host);
	if (FAILED(hr))
		return hr;
	hr = hm_check_protect((uintptr_t)address, size, protect);
	if (SUCCEEDED(hr))
		hr = hm_gate_pass(host, HM_IMPATIENT);
	if (FAILED(hr))
		return hr;
	return hm_protect(host, (uintptr_t)address, size, protect, old);
}

static HRESULT HOSTMEM_CALL manager_GetMemoryLoad(IHostMemoryManager *iface, DWORD *load,
						  SIZE_T *available)
{
	struct hm_host *host = host_of(iface);
	HRESULT hr;

	if (load != NULL)
		*load = 0;
	if (available != NULL)
		*available = 0;
	if (load == NULL || available == NULL)
		return E_POINTER;
	hr = hm_host_check(host);
	if (FAILED(hr))
		return hr;
	if (!hm_availability_figures(&host->availability, load, available)) {
		struct hm_memory_load found = hm_memory_load_now(host);

		*load = found.per_cent;
		*available = found.available;
	}
	return S_OK;
}

static HRESULT HOSTMEM_CALL manager_RegisterMemoryNotificationCallback(
	IHostMemoryManager *iface, ICLRMemoryNotificationCallback *callback)
{
	struct hm_host *host = host_of(iface);
	HRESULT hr = hm_host_check(host);

	if (FAILED(hr))
		return hr;
	hm_notify_register(host, callback);
	if (callback != NULL)
		hm_monitor_start(host);
	return S_OK;
}

static HRESULT HOSTMEM_CALL manager_NeedsVirtualAddressSpace(IHostMemoryManager *iface,
							     void *start, SIZE_T size)
{
	struct hm_host *host = host_of(iface);
	HRESULT hr = hm_host_check(host);

	if (FAILED(hr))
		return hr;
	return hm_reserve_probe(host, (uintptr_t)start, size) ? S_OK : E_OUTOFMEMORY;
}

static HRESULT HOSTMEM_CALL manager_AcquiredVirtualAddressSpace(IHostMemoryManager *iface,
								void *start, SIZE_T size)
{
	struct hm_host *host = host_of(iface);
	HRESULT hr = hm_host_check(host);

	return FAILED(hr) ? hr : hm_mapping_acquired(host, (uintptr_t)start, size);
}

static HRESULT HOSTMEM_CALL manager_ReleasedVirtualAddressSpace(IHostMemoryManager *iface,
								void *start)
{
	struct hm_host *host = host_of(iface);
	HRESULT hr = hm_host_check(host);

	return FAILED(hr) ? hr : hm_mapping_released(host, (uintptr_t)start);
}

const IHostMemoryManagerVtbl host_memory_manager_vtbl = {
	/* IUnknown */
	.QueryInterface = manager_QueryInterface,
	.AddRef = manager_AddRef,
	.Release = manager_Release,
	/* IHostMemoryManager */
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
