/*
 * A third host module, which shows that the suite of `hostmem conform` is fair: a host by
 * the interface's own documents and no more, with nothing of ours in it.  It has an
 * IHostMemoryManager and its IHostMalloc, and not one extension.  Whatever it cannot do it
 * refuses; whatever a host may do one way or the other it does the simplest way.
 *
 * What the suite says against it is a mistake here, or a rule that is ours alone and is
 * asked of everybody.
 *
 * Built with abi/iids.c and without libhostmem.  HOSTMEM_PLAIN in the environment makes it
 * another host that is as good:
 *
 *	control     an IHostControl, and the manager is an object of its own behind it
 *	counts      AddRef and Release say 1 while it lives, as the CLR's own objects do
 *	otherwise   where the documents are silent it chooses what hostmem does not: levels
 *	            and types of heaps may be anything, NeedsVirtualAddressSpace objects to
 *	            nothing, MEM_RESET gives up every page that it touches
 *	singleton   there is one host, for ever
 */
#include "plain_module.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

struct plain {
	IHostMemoryManager IHostMemoryManager_iface;
	atomic_uint references;
	struct plain_pages pages;
	_Atomic(ICLRMemoryNotificationCallback *) callback; /* a reference */
};

bool plain_is_a(const char *kind)
{
	const char *wanted = getenv("HOSTMEM_PLAIN");

	return wanted != NULL && strstr(wanted, kind) != NULL;
}

ULONG plain_count(ULONG count)
{
	return count != 0 && plain_is_a("counts") ? 1 : count;
}

bool plain_is_level(EMemoryCriticalLevel level)
{
	return (unsigned)level <= eProcessCritical || plain_is_a("otherwise");
}

/* ---- The host ---- */

static struct plain *from_manager(IHostMemoryManager *self)
{
	return (struct plain *)((char *)self -
				offsetof(struct plain, IHostMemoryManager_iface));
}

static HRESULT HOSTMEM_CALL manager_query(IHostMemoryManager *self, REFIID riid,
					  void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (!IsEqualIID(riid, &IID_IUnknown) &&
	    !IsEqualIID(riid, &IID_IHostMemoryManager))
		return E_NOINTERFACE;
	IHostMemoryManager_AddRef(self);
	*ppv = self;
	return S_OK;
}

static ULONG HOSTMEM_CALL manager_add(IHostMemoryManager *self)
{
	return plain_count(atomic_fetch_add(&from_manager(self)->references, 1) + 1);
}

static ULONG HOSTMEM_CALL manager_release(IHostMemoryManager *self)
{
	struct plain *plain = from_manager(self);
	ULONG left = atomic_fetch_sub(&plain->references, 1) - 1;

	if (left != 0)
		return plain_count(left);
	ICLRMemoryNotificationCallback_Release(atomic_load(&plain->callback));
	plain_pages_end(&plain->pages);
	pthread_mutex_destroy(&plain->pages.lock);
	free(plain);
	return 0;
}

static HRESULT HOSTMEM_CALL manager_heap(IHostMemoryManager *self, DWORD type,
					 IHostMalloc **ppMalloc)
{
	if (ppMalloc == NULL)
		return E_POINTER;
	*ppMalloc = NULL;
	if ((type & ~(DWORD)(MALLOC_THREADSAFE | MALLOC_EXECUTABLE)) &&
	    !plain_is_a("otherwise"))
		return E_INVALIDARG;
	return plain_heap_new((IUnknown *)self, type, ppMalloc);
}

static HRESULT HOSTMEM_CALL manager_alloc(IHostMemoryManager *self, void *address,
					  SIZE_T size, DWORD type, DWORD protect,
					  EMemoryCriticalLevel level, void **ppMem)
{
	if (ppMem == NULL)
		return E_POINTER;
	*ppMem = NULL;
	if (!plain_is_level(level))
		return E_INVALIDARG;
	return plain_pages_alloc(&from_manager(self)->pages, address, size, type, protect,
				 ppMem);
}

static HRESULT HOSTMEM_CALL manager_free(IHostMemoryManager *self, void *address,
					 SIZE_T size, DWORD type)
{
	return plain_pages_free(&from_manager(self)->pages, address, size, type);
}

static HRESULT HOSTMEM_CALL manager_ask(IHostMemoryManager *self, void *address,
					void *buffer, SIZE_T length, SIZE_T *pResult)
{
	MEMORY_BASIC_INFORMATION info = { 0 };
	HRESULT hr;

	if (pResult != NULL)
		*pResult = 0;
	if (pResult == NULL || buffer == NULL)
		return E_POINTER;
	if (length < sizeof(info))
		return HRESULT_FROM_WIN32(ERROR_BAD_LENGTH);
	hr = plain_pages_query(&from_manager(self)->pages, address, &info);
	if (FAILED(hr))
		return hr;
	memcpy(buffer, &info, sizeof(info));
	*pResult = sizeof(info);
	return S_OK;
}

static HRESULT HOSTMEM_CALL manager_protect(IHostMemoryManager *self, void *address,
					    SIZE_T size, DWORD protect,
					    DWORD *pOldProtect)
{
	if (pOldProtect == NULL)
		return E_POINTER;
	*pOldProtect = 0;
	return plain_pages_protect(&from_manager(self)->pages, address, size, protect,
				   pOldProtect);
}

static HRESULT HOSTMEM_CALL manager_load(IHostMemoryManager *self, DWORD *pLoad,
					 SIZE_T *pAvailable)
{
	struct sysinfo info;

	(void)self;
	if (pLoad != NULL)
		*pLoad = 0;
	if (pAvailable != NULL)
		*pAvailable = 0;
	if (pLoad == NULL || pAvailable == NULL)
		return E_POINTER;
	if (sysinfo(&info) != 0 || info.totalram == 0)
		return E_FAIL;
	*pLoad = (DWORD)(100 - 100.0 * (double)info.freeram / (double)info.totalram);
	*pAvailable = (SIZE_T)info.freeram * info.mem_unit;
	return S_OK;
}

/* Nobody is ever told: this host does not know when memory is low. */
static HRESULT HOSTMEM_CALL manager_register(IHostMemoryManager *self,
					     ICLRMemoryNotificationCallback *callback)
{
	ICLRMemoryNotificationCallback_AddRef(callback);
	ICLRMemoryNotificationCallback_Release(
		atomic_exchange(&from_manager(self)->callback, callback));
	return S_OK;
}

/* There is nothing to give back that would make room. */
static HRESULT HOSTMEM_CALL manager_needs(IHostMemoryManager *self, void *start,
					  SIZE_T size)
{
	(void)self;
	(void)start;
	(void)size;
	return plain_is_a("otherwise") ? S_OK : E_OUTOFMEMORY;
}

/* Mappings of the runtime's are its own business: nothing is counted. */
static HRESULT HOSTMEM_CALL manager_acquired(IHostMemoryManager *self, void *start,
					     SIZE_T size)
{
	(void)self;
	(void)start;
	(void)size;
	return S_OK;
}

static HRESULT HOSTMEM_CALL manager_released(IHostMemoryManager *self, void *start)
{
	(void)self;
	(void)start;
	return S_OK;
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
	.NeedsVirtualAddressSpace = manager_needs,
	.AcquiredVirtualAddressSpace = manager_acquired,
	.ReleasedVirtualAddressSpace = manager_released,
};

static IHostMemoryManager *new_manager(void)
{
	struct plain *plain = calloc(1, sizeof(*plain));

	if (plain == NULL)
		return NULL;
	plain->IHostMemoryManager_iface.lpVtbl = &manager_table;
	atomic_init(&plain->references, 1);
	atomic_init(&plain->callback, NULL);
	pthread_mutex_init(&plain->pages.lock, NULL);
	return &plain->IHostMemoryManager_iface;
}

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

/* It is never gone. */
static ULONG HOSTMEM_CALL factory_count(IClassFactory *self)
{
	(void)self;
	return 1;
}

/* A host with a reference for the caller. */
static IUnknown *find_host(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static IHostMemoryManager *only;
	IHostMemoryManager *manager;

	if (plain_is_a("singleton")) {
		pthread_mutex_lock(&lock);
		if (only == NULL)
			only = new_manager();
		manager = only;
		pthread_mutex_unlock(&lock);
		IHostMemoryManager_AddRef(manager);
		return (IUnknown *)manager;
	}
	manager = new_manager();
	return manager != NULL && plain_is_a("control") ? plain_control_new(manager)
							: (IUnknown *)manager;
}

static HRESULT HOSTMEM_CALL factory_create(IClassFactory *self, IUnknown *outer,
					   REFIID riid, void **ppv)
{
	IUnknown *host;
	HRESULT hr;

	(void)self;
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (outer != NULL)
		return CLASS_E_NOAGGREGATION;
	host = find_host();
	if (host == NULL)
		return E_OUTOFMEMORY;
	hr = IUnknown_QueryInterface(host, riid, ppv);
	IUnknown_Release(host);
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
	if (!IsEqualCLSID(clsid, &CLSID_HostMemory))
		return CLASS_E_CLASSNOTAVAILABLE;
	return factory_query(&the_factory, riid, ppv);
}
