/*
 * IHostGCManager: the runtime tells when it holds its threads still.
 *
 * Nothing is refused; a memory notification must not go out during a suspension, so the
 * end of the last one sends what was held back.
 */
#include "object.h"

HOST_OBJECT_FACE(IHostGCManager, gc, host_gc_manager_vtbl)

static HRESULT HOSTMEM_CALL gc_ThreadIsBlockingForSuspension(IHostGCManager *iface)
{
	return hm_host_check(&impl_from_IHostGCManager(iface)->host);
}

static HRESULT HOSTMEM_CALL gc_SuspensionStarting(IHostGCManager *iface)
{
	return hm_notify_suspend(&impl_from_IHostGCManager(iface)->host);
}

static HRESULT HOSTMEM_CALL gc_SuspensionEnding(IHostGCManager *iface, DWORD generation)
{
	(void)generation;
	return hm_notify_resume(&impl_from_IHostGCManager(iface)->host);
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
