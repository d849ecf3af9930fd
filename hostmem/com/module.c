/*
 * HostMemLoadModule: any host module by its path.
 *
 * A host module is a shared object with COM's in-process server entry.  It is loaded for
 * good: there is no telling when the last of its objects is gone.
 */
#include "hostmem/os/library.h"

#include "abi/hostmem.h"

#include <stddef.h>
#include <string.h>

typedef HRESULT(HOSTMEM_CALL *get_class_object)(REFCLSID clsid, REFIID riid, void **out);

/* What comes from a stranger: success without an object is none. */
static HRESULT checked(HRESULT hr, void *object)
{
	if (SUCCEEDED(hr) && object == NULL)
		return E_UNEXPECTED;
	return hr;
}

static HRESULT create_instance(get_class_object entry, REFIID riid, void **out)
{
	void *factory = NULL;
	HRESULT hr = entry(&CLSID_HostMemory, &IID_IClassFactory, &factory);

	hr = checked(hr, factory);
	if (FAILED(hr))
		return hr;
	hr = IClassFactory_CreateInstance((IClassFactory *)factory, NULL, riid, out);
	hr = checked(hr, *out);
	(void)IClassFactory_Release((IClassFactory *)factory);
	return hr;
}

HRESULT HostMemLoadModule(const char *path, REFIID riid, void **ppv)
{
	get_class_object entry;
	void *symbol;
	HRESULT hr;

	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (path == NULL || riid == NULL)
		return E_POINTER;
	/* Without a slash the system would search for it, and find who knows whose. */
	if (strchr(path, '/') == NULL)
		return E_INVALIDARG;
	hr = hm_library_symbol(path, "DllGetClassObject", &symbol);
	if (FAILED(hr))
		return hr;
	/* ISO C has no cast from an object pointer to a function; POSIX promises the bits. */
	memcpy(&entry, &symbol, sizeof(entry));
	hr = create_instance(entry, riid, ppv);
	if (FAILED(hr))
		*ppv = NULL;
	return hr;
}
