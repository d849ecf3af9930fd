/*
 * hostmem-module.so: this host as a host module, for whoever loads hosts by name.
 *
 * The class factory is static; its count says what its callers hold and ends nothing.
 * HostMemHandleFault (fault.c) is exported, too: guard pages of a module's hosts are served by
 * the module's own, since the library that loads it knows nothing of them.
 */
#include "hostmem/os/check.h"
#include "hostmem/os/container.h"

#include "abi/hostmem.h"

#include <stdatomic.h>
#include <stddef.h>

struct factory {
	IClassFactory IClassFactory_iface;
	_Atomic ULONG references;
};

static HRESULT HOSTMEM_CALL factory_QueryInterface(IClassFactory *iface, REFIID riid,
						   void **out)
{
	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (!IsEqualGUID(riid, &IID_IUnknown) && !IsEqualGUID(riid, &IID_IClassFactory))
		return E_NOINTERFACE;
	*out = iface;
	(void)IClassFactory_AddRef(iface);
	return S_OK;
}

static struct factory *impl_from_IClassFactory(IClassFactory *iface);

static ULONG HOSTMEM_CALL factory_AddRef(IClassFactory *iface)
{
	return atomic_fetch_add(&impl_from_IClassFactory(iface)->references, 1) + 1;
}

static ULONG HOSTMEM_CALL factory_Release(IClassFactory *iface)
{
	return atomic_fetch_sub(&impl_from_IClassFactory(iface)->references, 1) - 1;
}

static HRESULT HOSTMEM_CALL factory_CreateInstance(IClassFactory *iface, IUnknown *outer,
						   REFIID riid, void **out)
{
	(void)iface;
	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	if (outer != NULL)
		return CLASS_E_NOAGGREGATION;
	return HostMemCreate(NULL, riid, out);
}

static HRESULT HOSTMEM_CALL factory_LockServer(IClassFactory *iface, BOOL lock)
{
	/* The module stays loaded in any case. */
	(void)iface;
	(void)lock;
	return S_OK;
}

static const IClassFactoryVtbl factory_vtbl = {
	/* IUnknown */
	.QueryInterface = factory_QueryInterface,
	.AddRef = factory_AddRef,
	.Release = factory_Release,
	/* IClassFactory */
	.CreateInstance = factory_CreateInstance,
	.LockServer = factory_LockServer,
};

static struct factory *impl_from_IClassFactory(IClassFactory *iface)
{
	hm_assert(iface->lpVtbl == &factory_vtbl);
	return hm_container_of(iface, struct factory, IClassFactory_iface);
}

static struct factory the_factory = {
	.IClassFactory_iface = { &factory_vtbl },
	.references = 1,
};

HRESULT HOSTMEM_CALL DllGetClassObject(REFCLSID clsid, REFIID riid, void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (clsid == NULL || riid == NULL)
		return E_POINTER;
	if (!IsEqualGUID(clsid, &CLSID_HostMemory))
		return CLASS_E_CLASSNOTAVAILABLE;
	return IClassFactory_QueryInterface(&the_factory.IClassFactory_iface, riid, ppv);
}
