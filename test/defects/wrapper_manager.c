/*
 * The wrapper's IHostMemoryManager, but for the four methods about pages: heaps, the load, the
 * callback, and mappings of the runtime's own.
 */
#include "wrapper.h"

#include <sys/mman.h>
#include <unistd.h>

WRAPPER_FACE(IHostMemoryManager, manager)

struct wrapper *wrapper_of_manager(IHostMemoryManager *self)
{
	return manager_wrapper(self);
}

/* ---- Heaps ---- */

static HRESULT HOSTMEM_CALL manager_CreateMalloc(IHostMemoryManager *self, DWORD type,
						 IHostMalloc **ppMalloc)
{
	struct wrapper *wrapper = manager_wrapper(self);
	IHostMalloc *before, *heap;
	HRESULT hr;

	if (defect("heap-null-crashes"))
		touch(ppMalloc);
	if (ppMalloc == NULL)
		return IHostMemoryManager_CreateMalloc(wrapper->memory, type, NULL);
	if (defect("heap-bad-type-accepted"))
		type &= MALLOC_THREADSAFE | MALLOC_EXECUTABLE;
	if (defect("heap-never-executable") && (type & MALLOC_EXECUTABLE) != 0)
		type &= ~(DWORD)MALLOC_EXECUTABLE;
	if (defect("heap-always-executable"))
		type |= MALLOC_EXECUTABLE;
	if (defect("heap-type-0-refused") && type == 0)
		type = 4;
	before = *ppMalloc;
	*ppMalloc = NULL;
	hr = IHostMemoryManager_CreateMalloc(wrapper->memory, type, &heap);
	if (SUCCEEDED(hr))
		hr = wrapper_heap_create(wrapper, heap, ppMalloc);
	else if (defect("heap-out-left"))
		*ppMalloc = before;
	if (defect("heap-failure-is-ok"))
		hr = S_OK;
	if (defect("heap-success-is-s-false") && hr == S_OK)
		hr = S_FALSE;
	return hr;
}

/* ---- The load ---- */

/* Whether it does, and what else an asker may notice. */
static bool refuses_to_tell(struct wrapper *self)
{
	void *page;

	if (defect("load-is-slow"))
		(void)usleep(110 * 1000);
	if (defect("load-takes-a-page"))
		(void)IHostMemoryManager_VirtualAlloc(self->memory, NULL, PAGE,
						      MEM_RESERVE | MEM_COMMIT,
						      PAGE_READWRITE, eProcessCritical,
						      &page);
	if (defect("load-not-told-in-collections") && self->suspended > 0)
		return true;
	if (defect("load-told-to-one-at-a-time")) {
		if (atomic_exchange(&self->asked, true))
			return true;
		(void)usleep(100);
		self->asked = false;
	}
	return defect("load-not-implemented");
}

static HRESULT HOSTMEM_CALL manager_GetMemoryLoad(IHostMemoryManager *self, DWORD *pLoad,
						  SIZE_T *pAvailable)
{
	struct wrapper *wrapper = manager_wrapper(self);
	SIZE_T available;
	HRESULT hr;

	if (defect("load-null-crashes"))
		touch(pAvailable);
	if (pLoad == NULL || pAvailable == NULL) {
		if (defect("load-null-is-e-invalidarg"))
			return E_INVALIDARG;
		if (defect("load-other-out-not-cleared"))
			return E_POINTER;
		return IHostMemoryManager_GetMemoryLoad(wrapper->memory, pLoad,
							pAvailable);
	}
	if (refuses_to_tell(wrapper)) {
		*pLoad = 0;
		*pAvailable = 0;
		return E_NOTIMPL;
	}
	hr = IHostMemoryManager_GetMemoryLoad(wrapper->memory, pLoad, &available);
	if (!defect("load-available-not-written"))
		*pAvailable = available;
	if (defect("load-is-101"))
		*pLoad = 101;
	if (defect("load-is-made-up") && SUCCEEDED(hr)) {
		*pLoad = 30;
		*pAvailable = 100 * 1024 * 1024;
	}
	if (defect("load-success-is-s-false") && hr == S_OK)
		hr = S_FALSE;
	return hr;
}

/* ---- The callback ---- */

static HRESULT HOSTMEM_CALL manager_Register(IHostMemoryManager *self,
					     ICLRMemoryNotificationCallback *callback)
{
	struct wrapper *wrapper = manager_wrapper(self);
	ICLRMemoryNotificationCallback *wrapped = NULL;
	HRESULT hr;

	if (defect("callback-kept-after-null") && callback == NULL)
		return S_OK;
	if (defect("callback-null-refused") && callback == NULL)
		return E_POINTER;
	if (defect("callback-refused"))
		return E_NOTIMPL;
	if (defect("callback-told-at-once") && callback != NULL)
		(void)ICLRMemoryNotificationCallback_OnMemoryNotification(
			callback, eMemoryAvailableNeutral);
	if (callback != NULL) {
		wrapped = wrapper_callback_create(callback);
		if (wrapped == NULL)
			return E_OUTOFMEMORY;
	}
	hr = IHostMemoryManager_RegisterMemoryNotificationCallback(wrapper->memory,
								   wrapped);
	if (wrapped != NULL)
		(void)ICLRMemoryNotificationCallback_Release(wrapped);
	return hr;
}

/* ---- Mappings of the runtime's own ---- */

static HRESULT HOSTMEM_CALL manager_Needs(IHostMemoryManager *self, void *start,
					  SIZE_T size)
{
	HRESULT hr =
		IHostMemoryManager_NeedsVirtualAddressSpace(manager_wrapper(self)->memory,
							    start, size);

	if (defect("needs-is-s-false"))
		hr = S_FALSE;
	if (defect("needs-says-yes"))
		hr = S_OK;
	return hr;
}

static HRESULT HOSTMEM_CALL manager_Acquired(IHostMemoryManager *self, void *start,
					     SIZE_T size)
{
	struct wrapper *wrapper = manager_wrapper(self);

	if (defect("acquired-size-0-refused") && size == 0)
		return E_INVALIDARG;
	if (defect("acquired-not-counted"))
		size = 0;
	/* A second record, somewhere else, for the same start. */
	if (defect("acquired-twice-counts-twice") &&
	    atomic_exchange(&wrapper->acquired, start) == start)
		start = at(start, (size_t)1 << 40);
	return IHostMemoryManager_AcquiredVirtualAddressSpace(wrapper->memory, start,
							      size);
}

static HRESULT HOSTMEM_CALL manager_Released(IHostMemoryManager *self, void *start)
{
	HRESULT hr;

	if (defect("released-unmaps"))
		(void)munmap(start, PAGE);
	if (defect("released-not-counted"))
		return S_OK;
	hr = IHostMemoryManager_ReleasedVirtualAddressSpace(manager_wrapper(self)->memory,
							    start);
	if (defect("released-unknown-accepted") && hr == HOST_E_INVALIDOPERATION)
		hr = S_OK;
	return hr;
}

const IHostMemoryManagerVtbl wrapper_manager_table = {
	.QueryInterface = manager_QueryInterface,
	.AddRef = manager_AddRef,
	.Release = manager_Release,
	.CreateMalloc = manager_CreateMalloc,
	.VirtualAlloc = wrapper_VirtualAlloc,
	.VirtualFree = wrapper_VirtualFree,
	.VirtualQuery = wrapper_VirtualQuery,
	.VirtualProtect = wrapper_VirtualProtect,
	.GetMemoryLoad = manager_GetMemoryLoad,
	.RegisterMemoryNotificationCallback = manager_Register,
	.NeedsVirtualAddressSpace = manager_Needs,
	.AcquiredVirtualAddressSpace = manager_Acquired,
	.ReleasedVirtualAddressSpace = manager_Released,
};
