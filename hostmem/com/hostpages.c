/*
 * IHostMemoryPages: what VirtualAlloc cannot say.  Checks as in manager.c.
 */
#include "object.h"
#include "hostmem/arguments.h"
#include "hostmem/gate.h"
#include "hostmem/os/size.h"
#include "hostmem/release.h"

HOST_OBJECT_FACE(IHostMemoryPages, pages, host_memory_pages_vtbl)

static HRESULT check_reserve(const struct hm_allocation *want, size_t alignment)
{
	if ((want->type & ~(DWORD)(MEM_COMMIT | MEM_TOP_DOWN)) != MEM_RESERVE)
		return E_INVALIDARG;
	if (alignment != 0 &&
	    (!hm_is_power_of_two(alignment) || alignment < HM_PAGE_SIZE))
		return E_INVALIDARG;
	return hm_check_allocation(want);
}

static HRESULT HOSTMEM_CALL pages_ReserveAligned(IHostMemoryPages *iface, SIZE_T size,
						 SIZE_T alignment, DWORD type,
						 DWORD protect,
						 EMemoryCriticalLevel level, void **out)
{
	struct hm_host *host = &impl_from_IHostMemoryPages(iface)->host;
	struct hm_allocation want = {
		.size = size,
		.alignment = hm_max(alignment, HM_GRANULE_SIZE),
		.type = type,
		.protect = protect,
		.level = level,
	};
	HRESULT hr;

	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	hr = hm_host_check(host);
	if (FAILED(hr))
		return hr;
	hr = check_reserve(&want, alignment);
	if (SUCCEEDED(hr))
		hr = hm_gate_pass(host, HM_IMPATIENT);
	if (FAILED(hr))
		return hr;
	return hm_reserve(host, &want, out);
}

static HRESULT HOSTMEM_CALL pages_ReleaseRange(IHostMemoryPages *iface, void *address,
					       SIZE_T size)
{
	struct hm_host *host = &impl_from_IHostMemoryPages(iface)->host;
	uintptr_t start = (uintptr_t)address;
	HRESULT hr = hm_host_check(host);

	if (FAILED(hr))
		return hr;
	if (start % HM_PAGE_SIZE != 0 || !hm_range_valid(start, size))
		return E_INVALIDARG;
	hr = hm_gate_pass(host, HM_PATIENT);
	if (FAILED(hr))
		return hr;
	return hm_release_range(host, start, size);
}

const IHostMemoryPagesVtbl host_memory_pages_vtbl = {
	/* IUnknown */
	.QueryInterface = pages_QueryInterface,
	.AddRef = pages_AddRef,
	.Release = pages_Release,
	/* IHostMemoryPages */
	.ReserveAligned = pages_ReserveAligned,
	.ReleaseRange = pages_ReleaseRange,
};
