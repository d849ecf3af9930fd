/*
 * Heaps of the judge's host: those of Win32.
 *
 * HeapFree takes whatever it is given, and a block that is none costs the process.  So a heap
 * knows its live blocks and answers HOST_E_INVALIDOPERATION for all else.
 */
#include "host.h"
#include "ledger.h"

#include <stdatomic.h>
#include <stdlib.h>

struct heap {
	IHostMalloc IHostMalloc_iface;
	atomic_uint references;
	IHostMemoryManager *host; /* referenced */
	HANDLE pages;

	SRWLOCK lock;
	struct judge_ledger blocks; /* guarded by lock */
};

static struct heap *from_malloc(IHostMalloc *iface)
{
	return CONTAINING_RECORD(iface, struct heap, IHostMalloc_iface);
}

static ULONG HOSTMEM_CALL heap_AddRef(IHostMalloc *iface)
{
	return atomic_fetch_add(&from_malloc(iface)->references, 1) + 1;
}

static HRESULT HOSTMEM_CALL heap_QueryInterface(IHostMalloc *iface, REFIID riid,
						void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (!IsEqualIID(riid, &IID_IUnknown) && !IsEqualIID(riid, &IID_IHostMalloc))
		return E_NOINTERFACE;
	(void)heap_AddRef(iface);
	*ppv = iface;
	return S_OK;
}

static ULONG HOSTMEM_CALL heap_Release(IHostMalloc *iface)
{
	struct heap *self = from_malloc(iface);
	ULONG left = atomic_fetch_sub(&self->references, 1) - 1;

	if (left != 0)
		return left;
	(void)HeapDestroy(self->pages);
	judge_ledger_free(&self->blocks);
	(void)IHostMemoryManager_Release(self->host);
	free(self);
	return 0;
}

static HRESULT HOSTMEM_CALL heap_Alloc(IHostMalloc *iface, SIZE_T size,
				       EMemoryCriticalLevel level, void **ppMem)
{
	struct heap *self = from_malloc(iface);
	void *block;

	if (ppMem == NULL)
		return E_POINTER;
	*ppMem = NULL;
	if ((unsigned)level > eProcessCritical)
		return E_INVALIDARG;
	AcquireSRWLockExclusive(&self->lock);
	block = HeapAlloc(self->pages, 0, size);
	if (block != NULL && !judge_ledger_add(&self->blocks, block, size)) {
		(void)HeapFree(self->pages, 0, block);
		block = NULL;
	}
	ReleaseSRWLockExclusive(&self->lock);
	*ppMem = block;
	return block != NULL ? S_OK : E_OUTOFMEMORY;
}

static HRESULT HOSTMEM_CALL heap_DebugAlloc(IHostMalloc *iface, SIZE_T size,
					    EMemoryCriticalLevel level, char *file,
					    int line, void **ppMem)
{
	(void)file;
	(void)line;
	return heap_Alloc(iface, size, level, ppMem);
}

static HRESULT HOSTMEM_CALL heap_Free(IHostMalloc *iface, void *block)
{
	struct heap *self = from_malloc(iface);
	struct judge_range *known;
	HRESULT hr = HOST_E_INVALIDOPERATION;

	if (block == NULL)
		return S_OK;
	AcquireSRWLockExclusive(&self->lock);
	known = judge_ledger_at(&self->blocks, block);
	if (known != NULL) {
		judge_ledger_remove(&self->blocks, known);
		hr = HeapFree(self->pages, 0, block) ? S_OK : judge_last_error();
	}
	ReleaseSRWLockExclusive(&self->lock);
	return hr;
}

static const IHostMallocVtbl heap_vtbl = {
	.QueryInterface = heap_QueryInterface,
	.AddRef = heap_AddRef,
	.Release = heap_Release,
	.Alloc = heap_Alloc,
	.DebugAlloc = heap_DebugAlloc,
	.Free = heap_Free,
};

HRESULT judge_heap_create(IHostMemoryManager *host, DWORD type, IHostMalloc **ppMalloc)
{
	DWORD options = ((type & MALLOC_THREADSAFE) == 0 ? HEAP_NO_SERIALIZE : 0) |
			((type & MALLOC_EXECUTABLE) != 0 ? HEAP_CREATE_ENABLE_EXECUTE
							 : 0);
	struct heap *self = (struct heap *)calloc(1, sizeof(*self));
	HRESULT hr;

	if (self == NULL)
		return E_OUTOFMEMORY;
	self->pages = HeapCreate(options, 0, 0);
	if (self->pages == NULL) {
		hr = judge_last_error();
		free(self);
		return hr;
	}
	self->IHostMalloc_iface.lpVtbl = &heap_vtbl;
	atomic_init(&self->references, 1);
	InitializeSRWLock(&self->lock);
	(void)IHostMemoryManager_AddRef(host);
	self->host = host;
	*ppMalloc = &self->IHostMalloc_iface;
	return S_OK;
}
