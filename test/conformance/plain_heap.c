/*
 * Heaps of the plain host: malloc, and a tree of the blocks that are live, by which Free
 * knows what is none.  Blocks of an executable heap have pages of their own.
 */
#include "plain_module.h"

#include <search.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

struct plain_heap {
	IHostMalloc IHostMalloc_iface;
	atomic_uint references;
	IUnknown *host;
	bool executable;
	pthread_mutex_t lock;
	void *blocks; /* as tsearch keeps them, in order of their addresses */
};

struct block {
	void *address;
	size_t mapped; /* bytes of its pages; 0 = it is of malloc */
};

static struct plain_heap *from_heap(IHostMalloc *self)
{
	return (struct plain_heap *)((char *)self -
				     offsetof(struct plain_heap, IHostMalloc_iface));
}

static int compare(const void *a, const void *b)
{
	const struct block *left = a, *right = b;

	return (left->address > right->address) - (left->address < right->address);
}

static void give_back(void *opaque)
{
	struct block *block = opaque;

	if (block->mapped != 0)
		munmap(block->address, block->mapped);
	else
		free(block->address);
	free(block);
}

static HRESULT HOSTMEM_CALL heap_query(IHostMalloc *self, REFIID riid, void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (!IsEqualIID(riid, &IID_IUnknown) && !IsEqualIID(riid, &IID_IHostMalloc))
		return E_NOINTERFACE;
	IHostMalloc_AddRef(self);
	*ppv = self;
	return S_OK;
}

static ULONG HOSTMEM_CALL heap_add(IHostMalloc *self)
{
	return plain_count(atomic_fetch_add(&from_heap(self)->references, 1) + 1);
}

static ULONG HOSTMEM_CALL heap_release(IHostMalloc *self)
{
	struct plain_heap *heap = from_heap(self);
	ULONG left = atomic_fetch_sub(&heap->references, 1) - 1;

	if (left != 0)
		return plain_count(left);
	tdestroy(heap->blocks, give_back);
	pthread_mutex_destroy(&heap->lock);
	IUnknown_Release(heap->host);
	free(heap);
	return 0;
}

static bool fill_block(struct block *block, size_t size, bool executable)
{
	if (!executable) {
		block->address = malloc(size != 0 ? size : 1);
		return block->address != NULL;
	}
	if (size > SIZE_MAX / 2)
		return false;
	block->address = mmap(NULL, size != 0 ? size : 1,
			      PROT_READ | PROT_WRITE | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block->address == MAP_FAILED)
		return false;
	block->mapped = size != 0 ? size : 1;
	return true;
}

static HRESULT HOSTMEM_CALL heap_alloc(IHostMalloc *self, SIZE_T size,
				       EMemoryCriticalLevel level, void **ppMem)
{
	struct plain_heap *heap = from_heap(self);
	struct block *block;
	bool kept;

	if (ppMem == NULL)
		return E_POINTER;
	*ppMem = NULL;
	if (!plain_is_level(level))
		return E_INVALIDARG;
	block = calloc(1, sizeof(*block));
	if (block == NULL)
		return E_OUTOFMEMORY;
	if (!fill_block(block, size, heap->executable)) {
		free(block);
		return E_OUTOFMEMORY;
	}
	pthread_mutex_lock(&heap->lock);
	kept = tsearch(block, &heap->blocks, compare) != NULL;
	pthread_mutex_unlock(&heap->lock);
	if (!kept) {
		give_back(block);
		return E_OUTOFMEMORY;
	}
	*ppMem = block->address;
	return S_OK;
}

static HRESULT HOSTMEM_CALL heap_debug_alloc(IHostMalloc *self, SIZE_T size,
					     EMemoryCriticalLevel level, char *file,
					     int line, void **ppMem)
{
	(void)file;
	(void)line;
	return heap_alloc(self, size, level, ppMem);
}

static HRESULT HOSTMEM_CALL heap_free(IHostMalloc *self, void *address)
{
	struct plain_heap *heap = from_heap(self);
	struct block wanted = { .address = address };
	struct block **found, *block = NULL;

	if (address == NULL)
		return S_OK;
	pthread_mutex_lock(&heap->lock);
	found = tfind(&wanted, &heap->blocks, compare);
	if (found != NULL) {
		block = *found;
		tdelete(&wanted, &heap->blocks, compare);
	}
	pthread_mutex_unlock(&heap->lock);
	if (block == NULL)
		return HOST_E_INVALIDOPERATION;
	give_back(block);
	return S_OK;
}

static const IHostMallocVtbl heap_table = {
	.QueryInterface = heap_query,
	.AddRef = heap_add,
	.Release = heap_release,
	.Alloc = heap_alloc,
	.DebugAlloc = heap_debug_alloc,
	.Free = heap_free,
};

HRESULT plain_heap_new(IUnknown *host, DWORD type, IHostMalloc **ppMalloc)
{
	struct plain_heap *heap = calloc(1, sizeof(*heap));

	if (heap == NULL)
		return E_OUTOFMEMORY;
	heap->IHostMalloc_iface.lpVtbl = &heap_table;
	atomic_init(&heap->references, 1);
	heap->executable = (type & MALLOC_EXECUTABLE) != 0;
	pthread_mutex_init(&heap->lock, NULL);
	heap->host = host;
	IUnknown_AddRef(host);
	*ppMalloc = &heap->IHostMalloc_iface;
	return S_OK;
}
