/*
 * IHostGCManager: the runtime tells when it holds its threads still.
 *
 * Nothing is refused; the count of suspensions is kept, because a memory notification
 * must not go out during one.
 */
#include "object.h"

HOST_OBJECT_FACE(IHostGCManager, gc, host_gc_manager_vtbl)

static HRESULT HOSTMEM_CALL gc_ThreadIsBlockingForSuspension(IHostGCManager *iface)
{
	return hm_host_check(&impl_from_IHostGCManager(iface)->host);
}

static HRESULT HOSTMEM_CALL gc_SuspensionStarting(IHostGCManager *iface)
{
	struct hm_host *host = &impl_from_IHostGCManager(iface)->host;
	HRESULT hr = hm_host_check(host);

	if (SUCCEEDED(hr))
		atomic_fetch_add(&host->suspensions, 1);
	return hr;
}

static HRESULT HOSTMEM_CALL gc_SuspensionEnding(IHostGCManager *iface, DWORD generation)
{
	struct hm_host *host = &impl_from_IHostGCManager(iface)->host;
	uint32_t suspensions = atomic_load(&host->suspensions);
	HRESULT hr = hm_host_check(host);

	(void)generation;
	if (FAILED(hr))
		return hr;
	/* An end without a start counts for nothing. */
	while (suspensions != 0 &&
	       !atomic_compare_exchange_weak(&host->suspensions, &suspensions,
					     suspensions - 1))
		;
	return S_OK;
}

const IHostGCManagerVtbl host_gc_manager_vtbl = {
	/* IUnknown */
	.QueryInterface = gc_QueryInterface,
	.AddRef = gc_AddRef,
	.Release = gc_Release,
	/* IHostGCManager */
	.ThreadIsBlockingForSuspension = gc_ThreadIsBlockingForSuspension,
	.SuspensionStarting = gc_SuspensionStarting,
	.SuspensionEnding = gc_SuspensionEnding,
};
