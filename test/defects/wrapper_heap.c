/*
 * A wrapped heap: IHostMalloc and IHostMalloc2.
 *
 * It holds a reference to the wrapper, as a heap does to its host.
 */
#include "wrapper.h"

#include <stdlib.h>
#include <string.h>

struct heap {
	IHostMalloc IHostMalloc_iface;
	IHostMalloc2 IHostMalloc2_iface;
	_Atomic ULONG references;
	struct wrapper *wrapper;
	IHostMalloc2 *good;
	size_t shift; /* of blocks that are not aligned */
	/* What some defects have to remember. */
	_Atomic(void *) allocated, freed;
};

/* ---- The object ---- */

static HRESULT heap_query(struct heap *self, REFIID riid, void **ppv)
{
	static atomic_uint asked;

	if (defect("heap-query-null-crashes"))
		touch(ppv);
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (defect("heap-query-null-name-crashes") && riid == NULL)
		touch(NULL);
	if (riid == NULL)
		return E_POINTER;
	if (IsEqualIID(riid, &IID_IUnknown) || IsEqualIID(riid, &IID_IHostMalloc))
		*ppv = &self->IHostMalloc_iface;
	if (IsEqualIID(riid, &IID_IHostMalloc2))
		*ppv = &self->IHostMalloc2_iface;
	if (defect("heap-answers-as-manager") &&
	    IsEqualIID(riid, &IID_IHostMemoryManager))
		*ppv = &self->IHostMalloc_iface;
	if (defect("heap-identity-changes") && IsEqualIID(riid, &IID_IUnknown) &&
	    asked++ % 2 == 1)
		*ppv = &self->IHostMalloc2_iface;
	if (defect("heap-does-not-know-itself") && IsEqualIID(riid, &IID_IHostMalloc))
		*ppv = NULL;
	if (defect("heap-refuses-with-e-fail") && *ppv == NULL)
		return E_FAIL;
	if (*ppv == NULL)
		return E_NOINTERFACE;
	if (!defect("heap-query-forgets-reference"))
		self->references++;
	return S_OK;
}

static ULONG heap_add(struct heap *self)
{
	ULONG now = ++self->references;

	return defect("heap-addref-answers-before") ? now - 1 : now;
}

static ULONG heap_release(struct heap *self)
{
	ULONG left = atomic_fetch_sub(&self->references, 1) - 1;

	if (left != 0)
		return left;
	if (!defect("heap-end-frees-nothing"))
		(void)IHostMalloc2_Release(self->good);
	if (!defect("heap-end-keeps-host"))
		(void)wrapper_release(self->wrapper);
	free(self);
	return 0;
}

#define HEAP_FACE(iface, prefix) \
	static struct heap *prefix##_heap(iface *self) \
	{ \
		return (struct heap *)((char *)self - \
				       offsetof(struct heap, iface##_iface)); \
	} \
	static HRESULT HOSTMEM_CALL prefix##_QueryInterface(iface *self, REFIID riid, \
							    void **ppv) \
	{ \
		return heap_query(prefix##_heap(self), riid, ppv); \
	} \
	static ULONG HOSTMEM_CALL prefix##_AddRef(iface *self) \
	{ \
		return heap_add(prefix##_heap(self)); \
	} \
	static ULONG HOSTMEM_CALL prefix##_Release(iface *self) \
	{ \
		return heap_release(prefix##_heap(self)); \
	} \
	static HRESULT HOSTMEM_CALL prefix##_Alloc(iface *self, SIZE_T size, \
						   EMemoryCriticalLevel level, \
						   void **ppMem) \
	{ \
		return heap_alloc(prefix##_heap(self), size, level, ppMem); \
	} \
	static HRESULT HOSTMEM_CALL prefix##_DebugAlloc(iface *self, SIZE_T size, \
							EMemoryCriticalLevel level, \
							char *file, int line, \
							void **ppMem) \
	{ \
		return heap_debug_alloc(prefix##_heap(self), size, level, file, line, \
					ppMem); \
	} \
	static HRESULT HOSTMEM_CALL prefix##_Free(iface *self, void *block) \
	{ \
		return heap_free(prefix##_heap(self), block); \
	}

/* ---- Blocks ---- */

/* Who makes room for a header adds it first, and asks later. */
static SIZE_T with_header(SIZE_T size)
{
	if (defect("block-size-wraps") && size > SIZE_MAX - 16)
		return size + 16;
	return size;
}

static HRESULT spoil_block(struct heap *self, SIZE_T size, HRESULT hr, void **ppMem,
			   void *before)
{
	if (FAILED(hr)) {
		if (defect("block-out-left"))
			*ppMem = before;
		if (defect("block-failure-is-ok"))
			hr = S_OK;
		if (defect("block-timeout-is-e-outofmemory") && hr == HOST_E_TIMEOUT)
			hr = E_OUTOFMEMORY;
		if (defect("block-short-of-memory-is-win32") && hr == E_OUTOFMEMORY)
			hr = HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_ENOUGH_MEMORY);
		return hr;
	}
	if (defect("block-0-is-null") && size == 0)
		*ppMem = NULL;
	else
		*ppMem = at(*ppMem, self->shift);
	if (defect("block-given-twice") && self->allocated != NULL && size <= PAGE)
		*ppMem = self->allocated;
	self->allocated = *ppMem;
	return defect("block-success-is-s-false") ? S_FALSE : hr;
}

static HRESULT heap_alloc(struct heap *self, SIZE_T size, EMemoryCriticalLevel level,
			  void **ppMem)
{
	void *before;
	HRESULT hr;

	if (defect("block-null-crashes"))
		touch(ppMem);
	if (ppMem == NULL)
		return IHostMalloc2_Alloc(self->good, size, level, NULL);
	if (defect("block-level-3-accepted") && level > eProcessCritical)
		level = eProcessCritical;
	before = *ppMem;
	hr = IHostMalloc2_Alloc(self->good, with_header(size), level, ppMem);
	return spoil_block(self, size, hr, ppMem, before);
}

static HRESULT heap_debug_alloc(struct heap *self, SIZE_T size,
				EMemoryCriticalLevel level, char *file, int line,
				void **ppMem)
{
	if (defect("debug-alloc-name-null-crashes"))
		touch(file);
	if (defect("debug-alloc-refused"))
		return E_NOTIMPL;
	if (defect("debug-alloc-gives-nothing"))
		return S_OK;
	return IHostMalloc2_DebugAlloc(self->good, size, level, file, line, ppMem);
}

static HRESULT heap_free(struct heap *self, void *block)
{
	bool twice = block == self->freed;
	HRESULT hr;

	if (defect("block-free-null-refused") && block == NULL)
		return E_POINTER;
	if (defect("block-free-does-nothing"))
		return S_OK;
	hr = IHostMalloc2_Free(self->good,
			       block != NULL ? at(block, 0 - self->shift) : NULL);
	if (hr == S_OK)
		self->freed = block;
	if (defect("block-free-foreign-accepted") && hr == HOST_E_INVALIDOPERATION &&
	    !twice)
		hr = S_OK;
	if (defect("block-free-twice-accepted") && hr == HOST_E_INVALIDOPERATION && twice)
		hr = S_OK;
	if (defect("block-free-is-s-false") && hr == S_OK)
		hr = S_FALSE;
	return hr;
}

HEAP_FACE(IHostMalloc, plain)
HEAP_FACE(IHostMalloc2, second)

static const IHostMallocVtbl plain_table = {
	.QueryInterface = plain_QueryInterface,
	.AddRef = plain_AddRef,
	.Release = plain_Release,
	.Alloc = plain_Alloc,
	.DebugAlloc = plain_DebugAlloc,
	.Free = plain_Free,
};

/* ---- What IHostMalloc2 has besides ---- */

static HRESULT HOSTMEM_CALL second_AllocAligned(IHostMalloc2 *self, SIZE_T size,
						SIZE_T alignment, DWORD flags,
						EMemoryCriticalLevel level, void **ppMem)
{
	size_t shift = defect("aligned-block-is-not") ? 16 : 0;
	HRESULT hr;

	if (defect("aligned-block-odd-accepted") && (alignment & (alignment - 1)) != 0)
		alignment = 16;
	hr = IHostMalloc2_AllocAligned(second_heap(self)->good, size + shift, alignment,
				       flags, level, ppMem);
	if (hr == S_OK)
		*ppMem = at(*ppMem, shift);
	if (defect("zeroed-block-is-not") && hr == S_OK && size > 0 &&
	    (flags & HOSTMEM_HEAP_ZERO) != 0)
		((unsigned char *)*ppMem)[size - 1] = 1;
	return hr;
}

static HRESULT HOSTMEM_CALL second_Realloc(IHostMalloc2 *self, void *block, SIZE_T size,
					   DWORD flags, EMemoryCriticalLevel level,
					   void **ppMem)
{
	HRESULT hr;

	if (defect("realloc-of-null-refused") && block == NULL && ppMem != NULL) {
		*ppMem = NULL;
		return HOST_E_INVALIDOPERATION;
	}
	if (defect("realloc-to-0-frees") && size == 0 && block != NULL && ppMem != NULL) {
		*ppMem = NULL;
		return IHostMalloc2_Free(second_heap(self)->good, block);
	}
	if (defect("realloc-unknown-flags-accepted"))
		flags &= HOSTMEM_HEAP_IN_PLACE;
	if (defect("realloc-moves-in-place"))
		flags &= ~HOSTMEM_HEAP_IN_PLACE;
	hr = IHostMalloc2_Realloc(second_heap(self)->good, block, size, flags, level,
				  ppMem);
	if (defect("realloc-loses-contents") && hr == S_OK && *ppMem != block && size > 0)
		memset(*ppMem, 0, size);
	if (defect("realloc-failure-frees") && FAILED(hr) && block != NULL)
		(void)IHostMalloc2_Free(second_heap(self)->good, block);
	return hr;
}

static HRESULT HOSTMEM_CALL second_GetSize(IHostMalloc2 *self, void *block, SIZE_T *pSize)
{
	HRESULT hr;

	if (defect("size-null-crashes"))
		touch(pSize);
	hr = IHostMalloc2_GetSize(second_heap(self)->good, block, pSize);
	if (defect("size-of-null-is-0") && block == NULL && pSize != NULL)
		hr = S_OK;
	if (defect("block-size-too-small") && hr == S_OK)
		*pSize /= 2;
	return hr;
}

static HRESULT HOSTMEM_CALL second_Trim(IHostMalloc2 *self, SIZE_T *pFreed)
{
	if (defect("trim-does-nothing"))
		return S_OK;
	return IHostMalloc2_Trim(second_heap(self)->good, pFreed);
}

static const IHostMalloc2Vtbl second_table = {
	.QueryInterface = second_QueryInterface,
	.AddRef = second_AddRef,
	.Release = second_Release,
	.Alloc = second_Alloc,
	.DebugAlloc = second_DebugAlloc,
	.Free = second_Free,
	.AllocAligned = second_AllocAligned,
	.Realloc = second_Realloc,
	.GetSize = second_GetSize,
	.Trim = second_Trim,
};

/* ---- The beginning ---- */

HRESULT wrapper_heap_create(struct wrapper *wrapper, IHostMalloc *heap,
			    IHostMalloc **ppMalloc)
{
	struct heap *self = (struct heap *)calloc(1, sizeof(*self));
	void *good = NULL;
	HRESULT hr = self != NULL
			     ? IHostMalloc_QueryInterface(heap, &IID_IHostMalloc2, &good)
			     : E_OUTOFMEMORY;

	(void)IHostMalloc_Release(heap);
	if (FAILED(hr)) {
		free(self);
		return hr;
	}
	self->IHostMalloc_iface.lpVtbl = &plain_table;
	self->IHostMalloc2_iface.lpVtbl = &second_table;
	atomic_init(&self->references, defect("heap-begins-without-reference") ? 0 : 1);
	self->wrapper = wrapper;
	self->good = (IHostMalloc2 *)good;
	self->shift = defect("block-not-aligned") ? 8 : 0;
	(void)wrapper_add(wrapper);
	*ppMalloc = &self->IHostMalloc_iface;
	return S_OK;
}
