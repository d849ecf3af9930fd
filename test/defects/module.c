/*
 * A host module with one defect, chosen by HOSTMEM_DEFECT in the environment; without it, a
 * good one.  The suite must tell the two apart: that is what it is for.
 *
 * It knows hostmem by abi/ and the shared library only.  The wrapper hands every call on to a
 * host of HostMemCreate; defects.txt names the defects, and wrapper*.c has the line of each.
 */
#include "wrapper.h"

static HRESULT HOSTMEM_CALL factory_QueryInterface(IClassFactory *self, REFIID riid,
						   void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (!IsEqualIID(riid, &IID_IUnknown) && !IsEqualIID(riid, &IID_IClassFactory))
		return E_NOINTERFACE;
	*ppv = self;
	return S_OK;
}

/* There is one factory, for ever. */
static ULONG HOSTMEM_CALL factory_count(IClassFactory *self)
{
	(void)self;
	return 1;
}

static HRESULT HOSTMEM_CALL factory_CreateInstance(IClassFactory *self, IUnknown *outer,
						   REFIID riid, void **ppv)
{
	(void)self;
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (outer != NULL && !defect("factory-aggregates"))
		return CLASS_E_NOAGGREGATION;
	return wrapper_create(riid, ppv);
}

static HRESULT HOSTMEM_CALL factory_LockServer(IClassFactory *self, BOOL lock)
{
	(void)self;
	(void)lock;
	return S_OK;
}

static const IClassFactoryVtbl factory_table = {
	.QueryInterface = factory_QueryInterface,
	.AddRef = factory_count,
	.Release = factory_count,
	.CreateInstance = factory_CreateInstance,
	.LockServer = factory_LockServer,
};

static IClassFactory the_factory = { &factory_table };

HRESULT HOSTMEM_CALL DllGetClassObject(REFCLSID clsid, REFIID riid, void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (clsid == NULL || riid == NULL)
		return E_POINTER;
	if (!IsEqualCLSID(clsid, &CLSID_HostMemory) && !defect("class-of-any-name"))
		return CLASS_E_CLASSNOTAVAILABLE;
	return factory_QueryInterface(&the_factory, riid, ppv);
}
