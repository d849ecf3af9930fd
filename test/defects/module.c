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
	if (defect("factory-by-data1-only") && riid->Data1 == IID_IClassFactory.Data1)
		riid = &IID_IClassFactory;
	if (defect("factory-is-no-unknown") && IsEqualIID(riid, &IID_IUnknown))
		return E_NOINTERFACE;
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
	static void *_Atomic only;
	HRESULT hr;

	(void)self;
	if (defect("instance-null-is-e-invalidarg") && ppv == NULL)
		return E_INVALIDARG;
	if (defect("instance-null-crashes"))
		touch(ppv);
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (outer != NULL && defect("aggregation-is-e-invalidarg"))
		return E_INVALIDARG;
	if (outer != NULL && !defect("factory-aggregates"))
		return CLASS_E_NOAGGREGATION;
	if (only != NULL)
		return IUnknown_QueryInterface((IUnknown *)only, riid, ppv);
	hr = wrapper_create(riid, ppv);
	if (defect("instance-is-always-the-same") && hr == S_OK) {
		only = *ppv;
		(void)IUnknown_AddRef((IUnknown *)*ppv);
	}
	if (defect("instance-is-first-face") && hr == S_OK) {
		IUnknown *host = (IUnknown *)*ppv;

		(void)IUnknown_QueryInterface(host, &IID_IUnknown, ppv);
		(void)IUnknown_Release(host);
	}
	if (defect("instance-of-any-face") && hr == E_NOINTERFACE)
		hr = wrapper_create(&IID_IUnknown, ppv);
	if (defect("instance-refused-with-e-fail") && hr == E_NOINTERFACE)
		hr = E_FAIL;
	return hr;
}

static HRESULT HOSTMEM_CALL factory_LockServer(IClassFactory *self, BOOL lock)
{
	(void)self;
	(void)lock;
	return defect("lock-not-implemented") ? E_NOTIMPL : S_OK;
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
	HRESULT hr;

	if (defect("entry-null-crashes"))
		touch(ppv);
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (defect("entry-null-is-e-invalidarg") && (clsid == NULL || riid == NULL))
		return E_INVALIDARG;
	if (clsid == NULL || riid == NULL)
		return E_POINTER;
	if (!IsEqualCLSID(clsid, &CLSID_HostMemory) && !defect("class-of-any-name"))
		return defect("class-refused-with-e-fail") ? E_FAIL
							   : CLASS_E_CLASSNOTAVAILABLE;
	hr = factory_QueryInterface(&the_factory, riid, ppv);
	/* The entry is taken for what makes a host. */
	if (defect("entry-makes-hosts") && hr == E_NOINTERFACE)
		hr = wrapper_create(riid, ppv);
	if (defect("factory-refused-with-e-fail") && hr == E_NOINTERFACE)
		hr = E_FAIL;
	return hr;
}
