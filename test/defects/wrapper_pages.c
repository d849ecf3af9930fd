/*
 * The wrapper's IHostMemoryPages.
 */
#include "wrapper.h"

WRAPPER_FACE(IHostMemoryPages, pages)

static HRESULT HOSTMEM_CALL pages_ReserveAligned(IHostMemoryPages *self, SIZE_T size,
						 SIZE_T alignment, DWORD type,
						 DWORD protect,
						 EMemoryCriticalLevel level, void **ppMem)
{
	struct wrapper *wrapper = pages_wrapper(self);
	HRESULT hr;

	if (defect("alignment-odd-accepted") && (alignment & (alignment - 1)) != 0)
		alignment = 0;
	if (defect("alignment-ignored") && (alignment & (alignment - 1)) == 0)
		alignment = 0;
	hr = IHostMemoryPages_ReserveAligned(wrapper->pages, size, alignment, type,
					     protect, level, ppMem);
	if (defect("aligned-refused-keeps-reservation") && hr == E_OUTOFMEMORY) {
		(void)IHostMemoryPages_ReserveAligned(wrapper->pages, size, alignment,
						      MEM_RESERVE, protect, level, ppMem);
		*ppMem = NULL;
	}
	if (defect("aligned-short-of-memory-is-e-fail") && hr == E_OUTOFMEMORY)
		hr = E_FAIL;
	if (defect("alignment-odd-is-e-fail") && hr == E_INVALIDARG)
		hr = E_FAIL;
	return hr;
}

static HRESULT HOSTMEM_CALL pages_ReleaseRange(IHostMemoryPages *self, void *address,
					       SIZE_T size)
{
	struct wrapper *wrapper = pages_wrapper(self);
	HRESULT hr;

	if (defect("release-range-only-decommits"))
		return IHostMemoryManager_VirtualFree(wrapper->memory, address, size,
						      MEM_DECOMMIT);
	if (defect("release-range-page-less") && size > PAGE)
		size -= PAGE;
	if (defect("release-range-size-0-is-all") && size == 0)
		return IHostMemoryManager_VirtualFree(wrapper->memory, address, 0,
						      MEM_RELEASE);
	hr = IHostMemoryPages_ReleaseRange(wrapper->pages, address, size);
	if (defect("release-range-unknown-accepted") && hr == HOST_E_INVALIDOPERATION)
		hr = S_OK;
	return hr;
}

const IHostMemoryPagesVtbl wrapper_pages_table = {
	.QueryInterface = pages_QueryInterface,
	.AddRef = pages_AddRef,
	.Release = pages_Release,
	.ReserveAligned = pages_ReserveAligned,
	.ReleaseRange = pages_ReleaseRange,
};
