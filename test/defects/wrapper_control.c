/*
 * The wrapper's IHostControl and IHostGCManager.
 */
#include "wrapper.h"

#include <unistd.h>

/* ---- IHostControl ---- */

WRAPPER_FACE(IHostControl, control)

/* The good host says whether there is such a manager; the one that is given is ours. */
static HRESULT HOSTMEM_CALL control_GetHostManager(IHostControl *self, REFIID riid,
						   void **ppv)
{
	struct wrapper *wrapper = control_wrapper(self);
	void *before = ppv != NULL ? *ppv : NULL;
	HRESULT hr;

	if (defect("manager-null-crashes"))
		touch(ppv);
	if (defect("manager-null-is-e-invalidarg") && ppv == NULL)
		return E_INVALIDARG;
	if (defect("manager-null-name-is-e-invalidarg") && ppv != NULL && riid == NULL) {
		*ppv = NULL;
		return E_INVALIDARG;
	}
	if (defect("managers-after-shutdown") && wrapper->ended && ppv != NULL)
		return wrapper_query(wrapper, riid, ppv);
	hr = IHostControl_GetHostManager(wrapper->control, riid, ppv);
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
	if (defect("manager-refused-with-e-fail") && hr == E_NOINTERFACE)
		hr = E_FAIL;
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
	struct wrapper *wrapper = gc_wrapper(self);

	if (defect("suspension-blocks-one-thread")) {
		(void)usleep(100);
		return wrapper->suspended > 1 ? E_UNEXPECTED : S_OK;
	}
	return IHostGCManager_ThreadIsBlockingForSuspension(wrapper->gc);
}

static HRESULT HOSTMEM_CALL gc_SuspensionStarting(IHostGCManager *self)
{
	struct wrapper *wrapper = gc_wrapper(self);
	bool again = wrapper->suspended++ > 0;

	if (defect("suspension-not-heeded"))
		return S_OK;
	if (defect("suspension-does-not-nest") && again)
		return E_UNEXPECTED;
	if (defect("suspension-ends-at-first-end") && again)
		return S_OK;
	return IHostGCManager_SuspensionStarting(wrapper->gc);
}

static HRESULT HOSTMEM_CALL gc_SuspensionEnding(IHostGCManager *self, DWORD generation)
{
	struct wrapper *wrapper = gc_wrapper(self);
	bool started = wrapper->suspended > 0;

	if (started)
		wrapper->suspended--;
	if (defect("suspension-end-alone-refused") && !started)
		return E_UNEXPECTED;
	if (defect("suspension-never-ends"))
		return S_OK;
	if (defect("suspension-generation-checked") && generation > 2)
		return E_INVALIDARG;
	return IHostGCManager_SuspensionEnding(wrapper->gc, generation);
}

const IHostGCManagerVtbl wrapper_gc_table = {
	.QueryInterface = gc_QueryInterface,
	.AddRef = gc_AddRef,
	.Release = gc_Release,
	.ThreadIsBlockingForSuspension = gc_ThreadIsBlockingForSuspension,
	.SuspensionStarting = gc_SuspensionStarting,
	.SuspensionEnding = gc_SuspensionEnding,
};
