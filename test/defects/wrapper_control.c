/*
 * The wrapper's IHostControl and IHostGCManager.
 */
#include "wrapper.h"

/* ---- IHostControl ---- */

WRAPPER_FACE(IHostControl, control)

/* The good host says whether there is such a manager; the one that is given is ours. */
static HRESULT HOSTMEM_CALL control_GetHostManager(IHostControl *self, REFIID riid,
						   void **ppv)
{
	struct wrapper *wrapper = control_wrapper(self);
	void *before = ppv != NULL ? *ppv : NULL;
	HRESULT hr = IHostControl_GetHostManager(wrapper->control, riid, ppv);

	if (SUCCEEDED(hr)) {
		(void)IUnknown_Release((IUnknown *)*ppv);
		if (defect("manager-new-each-time"))
			return wrapper_create(riid, ppv);
		hr = wrapper_query(wrapper, riid, ppv);
		if (defect("manager-without-reference"))
			(void)wrapper_release(wrapper);
		return hr;
	}
	if (defect("manager-unknown-is-ok") && hr == E_NOINTERFACE)
		hr = S_OK;
	if (defect("manager-leaves-out") && ppv != NULL)
		*ppv = before;
	if (defect("manager-gives-any-face") && hr == E_NOINTERFACE)
		hr = wrapper_query(wrapper, riid, ppv);
	return hr;
}

static HRESULT HOSTMEM_CALL control_SetAppDomainManager(IHostControl *self, DWORD domain,
							IUnknown *manager)
{
	if (defect("domain-manager-kept") && manager != NULL)
		(void)IUnknown_AddRef(manager);
	if (defect("domain-manager-refused"))
		return E_NOTIMPL;
	return IHostControl_SetAppDomainManager(control_wrapper(self)->control, domain,
						manager);
}

const IHostControlVtbl wrapper_control_table = {
	.QueryInterface = control_QueryInterface,
	.AddRef = control_AddRef,
	.Release = control_Release,
	.GetHostManager = control_GetHostManager,
	.SetAppDomainManager = control_SetAppDomainManager,
};

/* ---- IHostGCManager ---- */

WRAPPER_FACE(IHostGCManager, gc)

static HRESULT HOSTMEM_CALL gc_ThreadIsBlockingForSuspension(IHostGCManager *self)
{
	return IHostGCManager_ThreadIsBlockingForSuspension(gc_wrapper(self)->gc);
}

static HRESULT HOSTMEM_CALL gc_SuspensionStarting(IHostGCManager *self)
{
	if (defect("suspension-not-heeded"))
		return S_OK;
	return IHostGCManager_SuspensionStarting(gc_wrapper(self)->gc);
}

static HRESULT HOSTMEM_CALL gc_SuspensionEnding(IHostGCManager *self, DWORD generation)
{
	if (defect("suspension-never-ends"))
		return S_OK;
	if (defect("suspension-generation-checked") && generation > 2)
		return E_INVALIDARG;
	return IHostGCManager_SuspensionEnding(gc_wrapper(self)->gc, generation);
}

const IHostGCManagerVtbl wrapper_gc_table = {
	.QueryInterface = gc_QueryInterface,
	.AddRef = gc_AddRef,
	.Release = gc_Release,
	.ThreadIsBlockingForSuspension = gc_ThreadIsBlockingForSuspension,
	.SuspensionStarting = gc_SuspensionStarting,
	.SuspensionEnding = gc_SuspensionEnding,
};
