/*
 * A second host module, by other hands as it were: the smallest host that forwards to
 * the system.  It shows that HostMemLoadModule knows nothing of ours but the entry.
 *
 * Built with abi/iids.c and without libhostmem.  HOSTMEM_FORWARDING_FAULT in the
 * environment makes it break a promise:
 *
 *	no-class            it has no such class
 *	null-factory        success, and no factory
 *	null-object         success, and no object
 *	object-on-failure   failure, and something in the out pointer
 */
#include "abi/hostmem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MOST_REGIONS = 16 };

struct forwarder {
	IHostControl IHostControl_iface;
	IHostMemoryManager IHostMemoryManager_iface;
	atomic_uint references;
	struct {
		_Atomic(void *) base;
		size_t size;
	} regions[MOST_REGIONS];
};

static bool breaks(const char *promise)
{
	const char *fault = getenv("HOSTMEM_FORWARDING_FAULT");

	return fault != NULL && strcmp(fault, promise) == 0;
}

/* ---- The object, whichever face it is reached through ---- */

static HRESULT forwarder_query(struct forwarder *self, REFIID riid, void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (IsEqualIID(riid, &IID_IUnknown) || IsEqualIID(riid, &IID_IHostControl))
		*ppv = &self->IHostControl_iface;
	else if (IsEqualIID(riid, &IID_IHostMemoryManager))
		*ppv = &self->IHostMemoryManager_iface;
	if (*ppv == NULL)
		return E_NOINTERFACE;
	atomic_fetch_add(&self->references, 1);
	return S_OK;
}

static ULONG forwarder_release(struct forwarder *self)
{
	ULONG left = atomic_fetch_sub(&self->references, 1) - 1;

	if (left != 0)
		return left;
	for (size_t i = 0; i < MOST_REGIONS; i++) {
		if (self->regions[i].base != NULL)
			munmap(self->regions[i].base, self->regions[i].size);
	}
	free(self);
	return 0;
}

/* ---- IHostControl ---- */

static struct forwarder *from_control(IHostControl *self)
{
	return (struct forwarder *)((char *)self -
				    offsetof(struct forwarder, IHostControl_iface));
}

static HRESULT HOSTMEM_CALL control_query(IHostControl *self, REFIID riid, void **ppv)
{
	return forwarder_query(from_control(self), riid, ppv);
}

static ULONG HOSTMEM_CALL control_add(IHostControl *self)
{
	return atomic_fetch_add(&from_control(self)->references, 1) + 1;
}

static ULONG HOSTMEM_CALL control_release(IHostControl *self)
{
	return forwarder_release(from_control(self));
}

static HRESULT HOSTMEM_CALL control_get(IHostControl *self, REFIID riid, void **ppv)
{
	if (ppv == NULL || riid == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (!IsEqualIID(riid, &IID_IHostMemoryManager))
		return E_NOINTERFACE;
	return forwarder_query(from_control(self), riid, ppv);
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

/* ---- IHostMemoryManager ---- */

static struct forwarder *from_manager(IHostMemoryManager *self)
{
	return (struct forwarder *)((char *)self -
				    offsetof(struct forwarder, IHostMemoryManager_iface));
}

static HRESULT HOSTMEM_CALL manager_query(IHostMemoryManager *self, REFIID riid,
					  void **ppv)
{
	return forwarder_query(from_manager(self), riid, ppv);
}

static ULONG HOSTMEM_CALL manager_add(IHostMemoryManager *self)
{
	return atomic_fetch_add(&from_manager(self)->references, 1) + 1;
}

static ULONG HOSTMEM_CALL manager_release(IHostMemoryManager *self)
{
	return forwarder_release(from_manager(self));
}

static HRESULT HOSTMEM_CALL manager_heap(IHostMemoryManager *self, DWORD type,
					 IHostMalloc **ppMalloc)
{
	(void)self;
	(void)type;
	if (ppMalloc == NULL)
		return E_POINTER;
	*ppMalloc = NULL;
	return E_NOTIMPL;
}

/* New regions of readable and writable pages, and nothing else. */
static HRESULT HOSTMEM_CALL manager_alloc(IHostMemoryManager *self, void *address,
					  SIZE_T size, DWORD type, DWORD protect,
					  EMemoryCriticalLevel level, void **ppMem)
{
	struct forwarder *forwarder = from_manager(self);

	(void)level;
	if (ppMem == NULL)
		return E_POINTER;
	*ppMem = NULL;
	if (address != NULL || size == 0 || type != (MEM_RESERVE | MEM_COMMIT) ||
	    protect != PAGE_READWRITE)
		return E_INVALIDARG;
	for (size_t i = 0; i < MOST_REGIONS; i++) {
		void *base;

		if (forwarder->regions[i].base != NULL)
			continue;
		base = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (base == MAP_FAILED)
			return E_OUTOFMEMORY;
		forwarder->regions[i].size = size;
		forwarder->regions[i].base = base;
		*ppMem = base;
		return S_OK;
	}
	return E_OUTOFMEMORY;
}

static HRESULT HOSTMEM_CALL manager_free(IHostMemoryManager *self, void *address,
					 SIZE_T size, DWORD type)
{
	struct forwarder *forwarder = from_manager(self);

	if (type != MEM_RELEASE || size != 0)
		return E_INVALIDARG;
	for (size_t i = 0; i < MOST_REGIONS; i++) {
		if (address == NULL || forwarder->regions[i].base != address)
			continue;
		munmap(address, forwarder->regions[i].size);
		forwarder->regions[i].base = NULL;
		return S_OK;
	}
	return HOST_E_INVALIDOPERATION;
}

static HRESULT HOSTMEM_CALL manager_ask(IHostMemoryManager *self, void *address,
					void *buffer, SIZE_T length, SIZE_T *pResult)
{
	(void)self;
	(void)address;
	(void)length;
	if (pResult != NULL)
		*pResult = 0;
	return pResult != NULL && buffer != NULL ? E_NOTIMPL : E_POINTER;
}

static HRESULT HOSTMEM_CALL manager_protect(IHostMemoryManager *self, void *address,
					    SIZE_T size, DWORD protect,
					    DWORD *pOldProtect)
{
	(void)self;
	(void)address;
	(void)size;
	(void)protect;
	if (pOldProtect == NULL)
		return E_POINTER;
	*pOldProtect = 0;
	return E_NOTIMPL;
}

static HRESULT HOSTMEM_CALL manager_load(IHostMemoryManager *self, DWORD *pLoad,
					 SIZE_T *pAvailable)
{
	(void)self;
	if (pLoad == NULL || pAvailable == NULL)
		return E_POINTER;
	*pLoad = 0;
	*pAvailable = 0;
	return E_NOTIMPL;
}

static HRESULT HOSTMEM_CALL manager_register(IHostMemoryManager *self,
					     ICLRMemoryNotificationCallback *callback)
{
	(void)self;
	return callback == NULL ? S_OK : E_NOTIMPL;
}

static HRESULT HOSTMEM_CALL manager_range(IHostMemoryManager *self, void *start,
					  SIZE_T size)
{
	(void)self;
	(void)start;
	(void)size;
	return E_NOTIMPL;
}

static HRESULT HOSTMEM_CALL manager_gone(IHostMemoryManager *self, void *start)
{
	(void)self;
	(void)start;
	return E_NOTIMPL;
}

static const IHostMemoryManagerVtbl manager_table = {
	.QueryInterface = manager_query,
	.AddRef = manager_add,
	.Release = manager_release,
	.CreateMalloc = manager_heap,
	.VirtualAlloc = manager_alloc,
	.VirtualFree = manager_free,
	.VirtualQuery = manager_ask,
	.VirtualProtect = manager_protect,
	.GetMemoryLoad = manager_load,
	.RegisterMemoryNotificationCallback = manager_register,
	.NeedsVirtualAddressSpace = manager_range,
	.AcquiredVirtualAddressSpace = manager_range,
	.ReleasedVirtualAddressSpace = manager_gone,
};

/* ---- The class factory, of which there is one for ever ---- */

static HRESULT HOSTMEM_CALL factory_query(IClassFactory *self, REFIID riid, void **ppv)
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

static ULONG HOSTMEM_CALL factory_count(IClassFactory *self)
{
	(void)self;
	return 1;
}

static HRESULT HOSTMEM_CALL factory_create(IClassFactory *self, IUnknown *outer,
					   REFIID riid, void **ppv)
{
	struct forwarder *forwarder;
	HRESULT hr;

	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (outer != NULL)
		return CLASS_E_NOAGGREGATION;
	if (breaks("null-object"))
		return S_OK;
	if (breaks("object-on-failure")) {
		*ppv = self;
		return E_ABORT;
	}
	forwarder = (struct forwarder *)calloc(1, sizeof(*forwarder));
	if (forwarder == NULL)
		return E_OUTOFMEMORY;
	forwarder->IHostControl_iface.lpVtbl = &control_table;
	forwarder->IHostMemoryManager_iface.lpVtbl = &manager_table;
	atomic_init(&forwarder->references, 1);
	hr = forwarder_query(forwarder, riid, ppv);
	forwarder_release(forwarder);
	return hr;
}

static HRESULT HOSTMEM_CALL factory_lock(IClassFactory *self, BOOL lock)
{
	(void)self;
	(void)lock;
	return S_OK;
}

static const IClassFactoryVtbl factory_table = {
	.QueryInterface = factory_query,
	.AddRef = factory_count,
	.Release = factory_count,
	.CreateInstance = factory_create,
	.LockServer = factory_lock,
};

static IClassFactory the_factory = { &factory_table };

HRESULT HOSTMEM_CALL DllGetClassObject(REFCLSID clsid, REFIID riid, void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (clsid == NULL || riid == NULL)
		return E_POINTER;
	if (!IsEqualCLSID(clsid, &CLSID_HostMemory) || breaks("no-class"))
		return CLASS_E_CLASSNOTAVAILABLE;
	if (breaks("null-factory"))
		return S_OK;
	return factory_query(&the_factory, riid, ppv);
}
