/*
 * IHostControl: where a runtime asks for the managers that the host has.
 *
 * The reference it gets is its own (runtimes adopt it without AddRef), so one is added
 * before the pointer goes out.
 */
#include "object.h"

HOST_OBJECT_FACE(IHostControl, control, host_control_vtbl)

static HRESULT HOSTMEM_CALL control_GetHostManager(IHostControl *iface, REFIID riid,
						   void **out)
{
	struct host_object *object = impl_from_IHostControl(iface);
	HRESULT hr;

	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	if (riid == NULL)
		return E_POINTER;
	hr = hm_host_check(&object->host);
	if (FAILED(hr))
		return hr;
	if (!IsEqualGUID(riid, &IID_IHostMemoryManager) &&
	    !IsEqualGUID(riid, &IID_IHostGCManager))
		return E_NOINTERFACE;
	return host_object_query(object, riid, out);
}

static HRESULT HOSTMEM_CALL control_SetAppDomainManager(IHostControl *iface, DWORD domain,
							IUnknown *manager)
{
	/* Nothing of memory depends on it, so nothing is kept. */
	(void)domain;
	(void)manager;
	return hm_host_check(&impl_from_IHostControl(iface)->host);
}

const IHostControlVtbl host_control_vtbl = {
	/* IUnknown */
	.QueryInterface = control_QueryInterface,
	.AddRef = control_AddRef,
	.Release = control_Release,
	/* IHostControl */
	.GetHostManager = control_GetHostManager,
	.SetAppDomainManager = control_SetAppDomainManager,
};
