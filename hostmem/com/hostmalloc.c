/*
 * IHostMalloc and IHostMalloc2: a heap, an object of its own.
 *
 * Alloc and Free try the quick way first (heap.h), which looks at everything in the order
 * that is promised, or gives up; then each method looks at its out pointers, the host's
 * state and its arguments, in this order, and passes on.
 *
 * The object holds a reference to its host, so the host is there as long as the heap is.
 */
#include "hostmalloc.h"
#include "hostmem/arguments.h"
#include "hostmem/calls.h"
#include "hostmem/heap.h"
#include "hostmem/metadata.h"
#include "hostmem/os/check.h"
#include "hostmem/os/container.h"

#include <string.h>

struct heap_object {
	IHostMalloc IHostMalloc_iface;
	IHostMalloc2 IHostMalloc2_iface;
	_Atomic ULONG references;
	struct hm_heap heap;
};

static const IHostMallocVtbl host_malloc_vtbl;
static const IHostMalloc2Vtbl host_malloc2_vtbl;

static struct heap_object *impl_from_IHostMalloc(IHostMalloc *iface)
{
	hm_assert(iface->lpVtbl == &host_malloc_vtbl);
	return hm_container_of(iface, struct heap_object, IHostMalloc_iface);
}

static struct heap_object *impl_from_IHostMalloc2(IHostMalloc2 *iface)
{
	hm_assert(iface->lpVtbl == &host_malloc2_vtbl);
	return hm_container_of(iface, struct heap_object, IHostMalloc2_iface);
}

/* ---- IUnknown ---- */

static HRESULT query(struct heap_object *object, REFIID riid, void **out)
{
	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (IsEqualGUID(riid, &IID_IUnknown) || IsEqualGUID(riid, &IID_IHostMalloc))
		*out = &object->IHostMalloc_iface;
	else if (IsEqualGUID(riid, &IID_IHostMalloc2))
		*out = &object->IHostMalloc2_iface;
	else
		return E_NOINTERFACE;
	atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
	return S_OK;
}

static ULONG add_reference(struct heap_object *object)
{
	return atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed) +
	       1;
}

static void destroy(struct heap_object *object)
{
	struct hm_host *host = object->heap.host;

	hm_heap_destroy(&object->heap);
	hm_calls_enter();
#ifdef HM_CHECKED
	/* The dead object stays, so that one Release too many is caught and not a crash. */
	hm_metadata_bury(object, sizeof(*object));
#else
	hm_metadata_free(object, sizeof(*object));
#endif
	hm_calls_leave();
	(void)hm_host_release(host);
}

static ULONG release(struct heap_object *object)
{
	ULONG before = atomic_fetch_sub_explicit(&object->references, 1,
						 memory_order_acq_rel);

	hm_assert(before != 0 && "one Release too many");
	if (before == 1)
		destroy(object);
	return before - 1;
}

/* ---- The methods of both ---- */

static HRESULT alloc_slowly(struct hm_heap *heap, const struct hm_block_wish *wish,
			    void **out)
{
	HRESULT hr = hm_host_check(heap->host);

	*out = NULL;
	if (SUCCEEDED(hr))
		hr = hm_check_level(wish->level);
	return SUCCEEDED(hr) ? hm_heap_alloc(heap, wish, out) : hr;
}

static inline HRESULT alloc(struct hm_heap *heap, SIZE_T size, EMemoryCriticalLevel level,
			    void **out)
{
	struct hm_block_wish wish = { size, HM_BLOCK_ALIGNMENT, level };
	void *block = NULL;

	if (out == NULL)
		return E_POINTER;
	if ((unsigned)level <= eProcessCritical)
		block = hm_heap_alloc_quickly(heap, size);
	if (block == NULL)
		return alloc_slowly(heap, &wish, out);
	*out = block;
	return S_OK;
}

static HRESULT free_slowly(struct hm_heap *heap, void *block, enum hm_freed freed)
{
	HRESULT hr;

	if (freed == HM_FREED_TOO_MANY) {
		hm_heap_shed(heap);
		return S_OK;
	}
	hr = hm_host_check(heap->host);
	if (FAILED(hr) || block == NULL)
		return hr;
	return hm_heap_free(heap, block);
}

static inline HRESULT free_block(struct hm_heap *heap, void *block)
{
	enum hm_freed freed = hm_heap_free_quickly(heap, block);

	return freed == HM_FREED ? S_OK : free_slowly(heap, block, freed);
}

/* ---- IHostMalloc ---- */

static HRESULT HOSTMEM_CALL host_malloc_QueryInterface(IHostMalloc *iface, REFIID riid,
						       void **out)
{
	return query(impl_from_IHostMalloc(iface), riid, out);
}

static ULONG HOSTMEM_CALL host_malloc_AddRef(IHostMalloc *iface)
{
	return add_reference(impl_from_IHostMalloc(iface));
}

static ULONG HOSTMEM_CALL host_malloc_Release(IHostMalloc *iface)
{
	return release(impl_from_IHostMalloc(iface));
}

static HRESULT HOSTMEM_CALL host_malloc_Alloc(IHostMalloc *iface, SIZE_T size,
					      EMemoryCriticalLevel level, void **out)
{
	return alloc(&impl_from_IHostMalloc(iface)->heap, size, level, out);
}

static HRESULT HOSTMEM_CALL host_malloc_DebugAlloc(IHostMalloc *iface, SIZE_T size,
						   EMemoryCriticalLevel level, char *file,
						   int line, void **out)
{
	(void)file, (void)line;
	return alloc(&impl_from_IHostMalloc(iface)->heap, size, level, out);
}

static HRESULT HOSTMEM_CALL host_malloc_Free(IHostMalloc *iface, void *block)
{
	return free_block(&impl_from_IHostMalloc(iface)->heap, block);
}

static const IHostMallocVtbl host_malloc_vtbl = {
	/* IUnknown */
	.QueryInterface = host_malloc_QueryInterface,
	.AddRef = host_malloc_AddRef,
	.Release = host_malloc_Release,
	/* IHostMalloc */
	.Alloc = host_malloc_Alloc,
	.DebugAlloc = host_malloc_DebugAlloc,
	.Free = host_malloc_Free,
};

/* ---- IHostMalloc2 ---- */

static struct hm_heap *heap_of(IHostMalloc2 *iface)
{
	return &impl_from_IHostMalloc2(iface)->heap;
}

static HRESULT HOSTMEM_CALL host_malloc2_QueryInterface(IHostMalloc2 *iface, REFIID riid,
							void **out)
{
	return query(impl_from_IHostMalloc2(iface), riid, out);
}

static ULONG HOSTMEM_CALL host_malloc2_AddRef(IHostMalloc2 *iface)
{
	return add_reference(impl_from_IHostMalloc2(iface));
}

static ULONG HOSTMEM_CALL host_malloc2_Release(IHostMalloc2 *iface)
{
	return release(impl_from_IHostMalloc2(iface));
}

static HRESULT HOSTMEM_CALL host_malloc2_Alloc(IHostMalloc2 *iface, SIZE_T size,
					       EMemoryCriticalLevel level, void **out)
{
	return alloc(heap_of(iface), size, level, out);
}

static HRESULT HOSTMEM_CALL host_malloc2_DebugAlloc(IHostMalloc2 *iface, SIZE_T size,
						    EMemoryCriticalLevel level,
						    char *file, int line, void **out)
{
	IHostMalloc *first = &impl_from_IHostMalloc2(iface)->IHostMalloc_iface;

	return host_malloc_DebugAlloc(first, size, level, file, line, out);
}

static HRESULT HOSTMEM_CALL host_malloc2_Free(IHostMalloc2 *iface, void *block)
{
	return free_block(heap_of(iface), block);
}

/* Zero without touching what is zero already would need to know what was used before; a
 * large block is fresh from the system, and reads as zero. */
static void zero(void *block, SIZE_T size, SIZE_T alignment)
{
	unsigned class;

	if (hm_block_aligned_class(size, alignment, &class))
		memset(block, 0, size);
}

static HRESULT HOSTMEM_CALL host_malloc2_AllocAligned(IHostMalloc2 *iface, SIZE_T size,
						      SIZE_T alignment, DWORD flags,
						      EMemoryCriticalLevel level,
						      void **out)
{
	struct hm_heap *heap = heap_of(iface);
	struct hm_block_wish wish = { size, hm_max(alignment, HM_BLOCK_ALIGNMENT),
				      level };
	HRESULT hr;

	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	hr = hm_host_check(heap->host);
	if (FAILED(hr))
		return hr;
	if (!hm_is_power_of_two(wish.alignment) || (flags & ~HOSTMEM_HEAP_ZERO))
		return E_INVALIDARG;
	hr = wish.alignment == HM_BLOCK_ALIGNMENT ? alloc(heap, size, level, out)
						  : alloc_slowly(heap, &wish, out);
	if (SUCCEEDED(hr) && (flags & HOSTMEM_HEAP_ZERO))
		zero(*out, size, wish.alignment);
	return hr;
}

/* A block of another size, with the contents; the old one is gone. */
static HRESULT move(struct hm_heap *heap, void *block, SIZE_T old, SIZE_T size,
		    EMemoryCriticalLevel level, void **out)
{
	HRESULT hr = alloc(heap, size, level, out);

	if (FAILED(hr))
		return hr;
	memcpy(*out, block, hm_min(old, size));
	hr = free_block(heap, block);
	if (FAILED(hr)) {
		(void)free_block(heap, *out);
		*out = NULL;
	}
	return hr;
}

static HRESULT reallocate(struct hm_heap *heap, void *block, SIZE_T size, DWORD flags,
			  EMemoryCriticalLevel level, void **out)
{
	SIZE_T old;
	HRESULT hr = hm_heap_size(heap, block, &old);

	if (FAILED(hr))
		return hr;
	hr = hm_heap_resize(heap, block, size, level);
	if (hr == S_FALSE && (flags & HOSTMEM_HEAP_IN_PLACE))
		hr = size <= old ? S_OK : E_OUTOFMEMORY;
	if (hr == S_FALSE) {
		hr = move(heap, block, old, size, level, out);
		/* Becoming smaller never fails. */
		if (SUCCEEDED(hr) || size > old || hr != E_OUTOFMEMORY)
			return hr;
		hr = S_OK;
	}
	if (SUCCEEDED(hr))
		*out = block;
	return hr;
}

static HRESULT HOSTMEM_CALL host_malloc2_Realloc(IHostMalloc2 *iface, void *block,
						 SIZE_T size, DWORD flags,
						 EMemoryCriticalLevel level, void **out)
{
	struct hm_heap *heap = heap_of(iface);
	HRESULT hr;

	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	hr = hm_host_check(heap->host);
	if (SUCCEEDED(hr))
		hr = hm_check_level(level);
	if (FAILED(hr))
		return hr;
	if (flags & ~HOSTMEM_HEAP_IN_PLACE)
		return E_INVALIDARG;
	hr = hm_gate_pass(heap->host, HM_IMPATIENT);
	if (FAILED(hr))
		return hr;
	if (block != NULL)
		return reallocate(heap, block, size, flags, level, out);
	return flags & HOSTMEM_HEAP_IN_PLACE ? E_OUTOFMEMORY
					     : alloc(heap, size, level, out);
}

static HRESULT HOSTMEM_CALL host_malloc2_GetSize(IHostMalloc2 *iface, void *block,
						 SIZE_T *size)
{
	struct hm_heap *heap = heap_of(iface);
	HRESULT hr;

	if (size == NULL)
		return E_POINTER;
	*size = 0;
	hr = hm_host_check(heap->host);
	return SUCCEEDED(hr) ? hm_heap_size(heap, block, size) : hr;
}

static HRESULT HOSTMEM_CALL host_malloc2_Trim(IHostMalloc2 *iface, SIZE_T *freed)
{
	struct hm_heap *heap = heap_of(iface);
	HRESULT hr;

	if (freed == NULL)
		return E_POINTER;
	*freed = 0;
	hr = hm_host_check(heap->host);
	return SUCCEEDED(hr) ? hm_heap_trim(heap, freed) : hr;
}

static const IHostMalloc2Vtbl host_malloc2_vtbl = {
	/* IUnknown */
	.QueryInterface = host_malloc2_QueryInterface,
	.AddRef = host_malloc2_AddRef,
	.Release = host_malloc2_Release,
	/* IHostMalloc's */
	.Alloc = host_malloc2_Alloc,
	.DebugAlloc = host_malloc2_DebugAlloc,
	.Free = host_malloc2_Free,
	/* IHostMalloc2 */
	.AllocAligned = host_malloc2_AllocAligned,
	.Realloc = host_malloc2_Realloc,
	.GetSize = host_malloc2_GetSize,
	.Trim = host_malloc2_Trim,
};

HRESULT host_malloc_create(struct hm_host *host, DWORD type, IHostMalloc **out)
{
	struct heap_object *object;
	HRESULT hr;

	hm_calls_enter();
	object = hm_metadata_alloc(sizeof(*object));
	hm_calls_leave();
	if (object == NULL)
		return E_OUTOFMEMORY;
	object->IHostMalloc_iface.lpVtbl = &host_malloc_vtbl;
	object->IHostMalloc2_iface.lpVtbl = &host_malloc2_vtbl;
	atomic_store(&object->references, 1);
	hr = hm_heap_init(&object->heap, host, type);
	if (FAILED(hr)) {
		hm_calls_enter();
		hm_metadata_free(object, sizeof(*object));
		hm_calls_leave();
		return hr;
	}
	(void)hm_host_add_reference(host);
	*out = &object->IHostMalloc_iface;
	return S_OK;
}
