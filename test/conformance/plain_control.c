/*
 * The plain host's IHostControl, where it has one: an object of its own, and QueryInterface
 * does not lead from it to the manager, nor back.
 */
#include "plain_module.h"

#include <stdatomic.h>
#include <stdlib.h>

struct control {
	IHostControl IHostControl_iface;
	atomic_uint references;
	IHostMemoryManager *manager; /* a reference */
};

static struct control *from_control(IHostControl *self)
{
	return (struct control *)((char *)self -
				  offsetof(struct control, IHostControl_iface));
}

static HRESULT HOSTMEM_CALL control_query(IHostControl *self, REFIID riid, void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (!IsEqualIID(riid, &IID_IUnknown) && !IsEqualIID(riid, &IID_IHostControl))
		return E_NOINTERFACE;
	IHostControl_AddRef(self);
	*ppv = self;
	return S_OK;
}

static ULONG HOSTMEM_CALL control_add(IHostControl *self)
{
	return atomic_fetch_add(&from_control(self)->references, 1) + 1;
}

static ULONG HOSTMEM_CALL control_release(IHostControl *self)
{
	struct control *control = from_control(self);
	ULONG left = atomic_fetch_sub(&control->references, 1) - 1;

	if (left == 0) {
		IHostMemoryManager_Release(control->manager);
		free(control);
	}
	return left;
}

static HRESULT HOSTMEM_CALL control_get(IHostControl *self, REFIID riid, void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (!IsEqualIID(riid, &IID_IHostMemoryManager))
		return E_NOINTERFACE;
	return IHostMemoryManager_QueryInterface(from_control(self)->manager, riid, ppv);
}

static HRESULT HOSTMEM_CALL control_domain(IHostControl *self, DWORD domain,
					   IUnknown *manager)
{
	(void)self;
	(void)domain;
	(void)manager;
	return S_OK;
}

static const IHostControlVtbl control_table = {
	.QueryInterface = control_query,
	.AddRef = control_add,
	.Release = control_release,
	.GetHostManager = control_get,
	.SetAppDomainManager = control_domain,
};

IUnknown *plain_control_new(IHostMemoryManager *manager)
{
	struct control *control = calloc(1, sizeof(*control));

	if (control == NULL) {
		IHostMemoryManager_Release(manager);
		return NULL;
	}
	control->IHostControl_iface.lpVtbl = &control_table;
	atomic_init(&control->references, 1);
	control->manager = manager;
	return (IUnknown *)&control->IHostControl_iface;
}
