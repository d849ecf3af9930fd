/*
 * IHostMalloc and IHostMalloc2: a heap, an object of its own.
 *
 * Alloc and Free try the quick way first (heap.h), which gives up wherever anything is out
 * of the ordinary; then each method looks at its out pointers, the host's state and its
 * arguments, in this order, and passes on.
 *
 * The object holds a reference to its host, so the host is there as long as the heap is.
 */
#include "hostmalloc.h"
#include "hostmem/arguments.h"
#include "hostmem/calls.h"
#include "hostmem/debugheap.h"
#include "hostmem/heap.h"
#include "hostmem/metadata.h"
#include "hostmem/os/check.h"
#include "hostmem/os/container.h"

#include <string.h>

struct heap_object {
	IHostMalloc2 IHostMalloc2_iface;
	_Atomic ULONG references;
	struct hm_heap heap;
};

static const IHostMalloc2Vtbl host_malloc_vtbl, host_malloc_alone_vtbl;

static struct heap_object *impl_from_IHostMalloc2(IHostMalloc2 *iface)
{
	hm_assert(iface->lpVtbl == &host_malloc_vtbl ||
		  iface->lpVtbl == &host_malloc_alone_vtbl);
	return hm_container_of(iface, struct heap_object, IHostMalloc2_iface);
}

static struct hm_heap *heap_of(IHostMalloc2 *iface)
{
	return &impl_from_IHostMalloc2(iface)->heap;
}

/* ---- IUnknown ---- */

static HRESULT HOSTMEM_CALL host_malloc_QueryInterface(IHostMalloc2 *iface, REFIID riid,
						       void **out)
{
	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (!IsEqualGUID(riid, &IID_IUnknown) && !IsEqualGUID(riid, &IID_IHostMalloc) &&
	    !IsEqualGUID(riid, &IID_IHostMalloc2))
		return E_NOINTERFACE;
	/* One table serves all: IHostMalloc2's begins with IHostMalloc's. */
	*out = iface;
	IHostMalloc2_AddRef(iface);
	return S_OK;
}

static ULONG HOSTMEM_CALL host_malloc_AddRef(IHostMalloc2 *iface)
{
	return atomic_fetch_add_explicit(&impl_from_IHostMalloc2(iface)->references, 1,
					 memory_order_relaxed) +
	       1;
}

static void destroy(struct heap_object *object)
{
	struct hm_host *host = object->heap.host;

	hm_debug_end(&object->heap);
	hm_heap_destroy(&object->heap);
	hm_calls_enter();
	hm_metadata_free_object(object, sizeof(*object));
	hm_calls_leave();
	(void)hm_host_release(host);
}

static ULONG HOSTMEM_CALL host_malloc_Release(IHostMalloc2 *iface)
{
	struct heap_object *object = impl_from_IHostMalloc2(iface);
	ULONG before = atomic_fetch_sub_explicit(&object->references, 1,
						 memory_order_acq_rel);

	hm_assert(before != 0 && "one Release too many");
	if (before == 1)
		destroy(object);
	return before - 1;
}

/* ---- IHostMalloc ---- */

static HRESULT alloc_slowly(struct hm_heap *heap, SIZE_T size, SIZE_T alignment,
			    EMemoryCriticalLevel level, DWORD flags, void **out)
{
	const struct hm_block_wish wish = { .size = size,
					    .alignment = alignment,
					    .level = level,
					    .zero = (flags & HOSTMEM_HEAP_ZERO) != 0 };
	const struct hm_debug_wish debug = {
		.size = size, .alignment = alignment, .level = level, .zeroed = wish.zero
	};

	*out = NULL;
	return heap->all_debug ? hm_debug_alloc(heap, &debug, out)
			       : hm_heap_alloc(heap, &wish, out);
}

/* These two have the arguments of Alloc and Free, which so need not move them. */
HM_SLOW HRESULT HOSTMEM_CALL alloc_not_quickly(IHostMalloc2 *iface, SIZE_T size,
					       EMemoryCriticalLevel level, void **out)
{
	return alloc_slowly(heap_of(iface), size, HM_BLOCK_ALIGNMENT, level, 0, out);
}

HM_SLOW HRESULT HOSTMEM_CALL free_not_quickly(IHostMalloc2 *iface, void *block)
{
	struct hm_heap *heap = heap_of(iface);
	HRESULT hr = HOST_E_INVALIDOPERATION;

	if (!heap->all_debug)
		hr = hm_heap_free(heap, block);
	/* What the heap itself has not may be among the blocks with records. */
	return hr == HOST_E_INVALIDOPERATION ? hm_debug_free(heap, block) : hr;
}

/* `cache`: what this thread has at hand, whichever heap that serves. */
HM_QUICK HRESULT alloc(IHostMalloc2 *iface, struct hm_cache *cache, SIZE_T size,
		       EMemoryCriticalLevel level, void **out)
{
	if (!HM_LIKELY(out != NULL))
		return E_POINTER;
	return HM_LIKELY((unsigned)level <= eProcessCritical) &&
			       HM_LIKELY(hm_heap_alloc_quickly(heap_of(iface), cache,
							       size, out))
		       ? S_OK
		       : alloc_not_quickly(iface, size, level, out);
}

HM_QUICK HRESULT free_block(IHostMalloc2 *iface, struct hm_cache *cache, void *block)
{
	return HM_LIKELY(hm_heap_free_quickly(heap_of(iface), cache, block))
		       ? S_OK
		       : free_not_quickly(iface, block);
}

/* Of a heap for several threads at once. */
static HRESULT HOSTMEM_CALL host_malloc_Alloc(IHostMalloc2 *iface, SIZE_T size,
					      EMemoryCriticalLevel level, void **out)
{
	return alloc(iface, hm_cache_in_slot(heap_of(iface)->slot), size, level, out);
}

static HRESULT HOSTMEM_CALL host_malloc_Free(IHostMalloc2 *iface, void *block)
{
	return free_block(iface, hm_cache_in_slot(heap_of(iface)->slot), block);
}

/* Of one for one at a time. */
static HRESULT HOSTMEM_CALL host_malloc_Alloc_alone(IHostMalloc2 *iface, SIZE_T size,
						    EMemoryCriticalLevel level,
						    void **out)
{
	return alloc(iface, heap_of(iface)->only, size, level, out);
}

static HRESULT HOSTMEM_CALL host_malloc_Free_alone(IHostMalloc2 *iface, void *block)
{
	return free_block(iface, heap_of(iface)->only, block);
}

static HRESULT HOSTMEM_CALL host_malloc_DebugAlloc(IHostMalloc2 *iface, SIZE_T size,
						   EMemoryCriticalLevel level, char *file,
						   int line, void **out)
{
	const struct hm_debug_wish wish = { .size = size,
					    .alignment = HM_BLOCK_ALIGNMENT,
					    .level = level,
					    .named = true,
					    .file = file,
					    .line = line };

	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	return hm_debug_alloc(heap_of(iface), &wish, out);
}

/* ---- IHostMalloc2 ---- */

/* Of a large block the heap knows which pages are zero already. */
static void zero(void *block, SIZE_T size, SIZE_T alignment)
{
	unsigned class;

	if (hm_block_aligned_class(size, alignment, &class))
		memset(block, 0, size);
}

static HRESULT HOSTMEM_CALL host_malloc_AllocAligned(IHostMalloc2 *iface, SIZE_T size,
						     SIZE_T alignment, DWORD flags,
						     EMemoryCriticalLevel level,
						     void **out)
{
	struct hm_heap *heap = heap_of(iface);
	HRESULT hr;

	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	hr = hm_host_check(heap->host);
	if (FAILED(hr))
		return hr;
	if ((alignment != 0 && !hm_is_power_of_two(alignment)) ||
	    (flags & ~HOSTMEM_HEAP_ZERO))
		return E_INVALIDARG;
	alignment = hm_max(alignment, HM_BLOCK_ALIGNMENT);
	hr = alloc_slowly(heap, size, alignment, level, flags, out);
	if (SUCCEEDED(hr) && (flags & HOSTMEM_HEAP_ZERO) && !heap->all_debug)
		zero(*out, size, alignment);
	return hr;
}

/* A block of another size, with the contents; the old one is gone. */
static HRESULT move(struct hm_heap *heap, void *block, SIZE_T old, SIZE_T size,
		    EMemoryCriticalLevel level, void **out)
{
	HRESULT hr = S_OK;

	if (size > old)
		hr = alloc_slowly(heap, size, HM_BLOCK_ALIGNMENT, level, 0, out);
	else
		*out = hm_heap_find_ready(heap, size);
	if (FAILED(hr) || *out == NULL)
		return hr;
	memcpy(*out, block, hm_min(old, size));
	hr = hm_heap_free(heap, block);
	if (FAILED(hr)) {
		(void)hm_heap_free(heap, *out);
		*out = NULL;
	}
	return hr;
}

static HRESULT reallocate(struct hm_heap *heap, void *block, SIZE_T size, DWORD flags,
			  EMemoryCriticalLevel level, void **out)
{
	const struct hm_debug_wish wish = { .size = size,
					    .alignment = HM_BLOCK_ALIGNMENT,
					    .level = level };
	SIZE_T old;
	HRESULT hr = hm_heap_size(heap, block, &old);

	/* What the heap itself has not may be among the blocks with records. */
	if (FAILED(hr))
		return hm_debug_realloc(heap, block, &wish, flags != 0, out);
	hr = hm_heap_resize(heap, block, size, level);
	if (hr == S_FALSE && (flags & HOSTMEM_HEAP_IN_PLACE))
		hr = size <= old ? S_OK : E_OUTOFMEMORY;
	if (hr == S_FALSE) {
		hr = move(heap, block, old, size, level, out);
		/* Becoming smaller asks nobody, and never fails. */
		if (SUCCEEDED(hr) && *out != NULL)
			return hr;
		if (size > old)
			return hr;
		hr = S_OK;
	}
	if (SUCCEEDED(hr))
		*out = block;
	return hr;
}

static HRESULT HOSTMEM_CALL host_malloc_Realloc(IHostMalloc2 *iface, void *block,
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
	return flags & HOSTMEM_HEAP_IN_PLACE
		       ? E_OUTOFMEMORY
		       : alloc_slowly(heap, size, HM_BLOCK_ALIGNMENT, level, 0, out);
}

static HRESULT HOSTMEM_CALL host_malloc_GetSize(IHostMalloc2 *iface, void *block,
						SIZE_T *size)
{
	struct hm_heap *heap = heap_of(iface);
	HRESULT hr;

	if (size == NULL)
		return E_POINTER;
	*size = 0;
	hr = hm_host_check(heap->host);
	if (FAILED(hr))
		return hr;
	hr = hm_heap_size(heap, block, size);
	return SUCCEEDED(hr) ? hr : hm_debug_size(heap, block, size);
}

static HRESULT HOSTMEM_CALL host_malloc_Trim(IHostMalloc2 *iface, SIZE_T *freed)
{
	struct hm_heap *heap = heap_of(iface);
	HRESULT hr;

	if (freed == NULL)
		return E_POINTER;
	*freed = 0;
	hr = hm_host_check(heap->host);
	if (SUCCEEDED(hr))
		hr = hm_heap_trim(heap, freed);
	return SUCCEEDED(hr) ? hm_debug_trim(heap, freed) : hr;
}

static const IHostMalloc2Vtbl host_malloc_vtbl = {
	/* IUnknown */
	.QueryInterface = host_malloc_QueryInterface,
	.AddRef = host_malloc_AddRef,
	.Release = host_malloc_Release,
	/* IHostMalloc */
	.Alloc = host_malloc_Alloc,
	.DebugAlloc = host_malloc_DebugAlloc,
	.Free = host_malloc_Free,
	/* IHostMalloc2 */
	.AllocAligned = host_malloc_AllocAligned,
	.Realloc = host_malloc_Realloc,
	.GetSize = host_malloc_GetSize,
	.Trim = host_malloc_Trim,
};

/* Of a heap that one thread at a time uses. */
static const IHostMalloc2Vtbl host_malloc_alone_vtbl = {
	/* IUnknown */
	.QueryInterface = host_malloc_QueryInterface,
	.AddRef = host_malloc_AddRef,
	.Release = host_malloc_Release,
	/* IHostMalloc */
	.Alloc = host_malloc_Alloc_alone,
	.DebugAlloc = host_malloc_DebugAlloc,
	.Free = host_malloc_Free_alone,
	/* IHostMalloc2 */
	.AllocAligned = host_malloc_AllocAligned,
	.Realloc = host_malloc_Realloc,
	.GetSize = host_malloc_GetSize,
	.Trim = host_malloc_Trim,
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
	object->IHostMalloc2_iface.lpVtbl = type & MALLOC_THREADSAFE
						    ? &host_malloc_vtbl
						    : &host_malloc_alone_vtbl;
	atomic_store(&object->references, 1);
	hr = hm_heap_init(&object->heap, host, type);
	if (SUCCEEDED(hr)) {
		hr = hm_debug_begin(&object->heap, &object->IHostMalloc2_iface);
		if (FAILED(hr))
			hm_heap_destroy(&object->heap);
	}
	if (FAILED(hr)) {
		hm_calls_enter();
		hm_metadata_free(object, sizeof(*object));
		hm_calls_leave();
		return hr;
	}
	(void)hm_host_add_reference(host);
	*out = (IHostMalloc *)&object->IHostMalloc2_iface;
	return S_OK;
}
