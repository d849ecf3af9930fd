/*
 * The wrapper's IHostMemoryPages and IHostMemoryMonitor.
 */
#include "wrapper.h"

/* ---- IHostMemoryPages ---- */

WRAPPER_FACE(IHostMemoryPages, pages)

static HRESULT HOSTMEM_CALL pages_ReserveAligned(IHostMemoryPages *self, SIZE_T size,
						 SIZE_T alignment, DWORD type,
						 DWORD protect,
						 EMemoryCriticalLevel level, void **ppMem)
{
	if (defect("alignment-odd-accepted") && (alignment & (alignment - 1)) != 0)
		alignment = 0;
	if (defect("alignment-ignored") && (alignment & (alignment - 1)) == 0)
		alignment = 0;
	return IHostMemoryPages_ReserveAligned(pages_wrapper(self)->pages, size,
					       alignment, type, protect, level, ppMem);
}

static HRESULT HOSTMEM_CALL pages_ReleaseRange(IHostMemoryPages *self, void *address,
					       SIZE_T size)
{
	struct wrapper *wrapper = pages_wrapper(self);

	if (defect("release-range-only-decommits"))
		return IHostMemoryManager_VirtualFree(wrapper->memory, address, size,
						      MEM_DECOMMIT);
	if (defect("release-range-page-less") && size > PAGE)
		size -= PAGE;
	return IHostMemoryPages_ReleaseRange(wrapper->pages, address, size);
}

const IHostMemoryPagesVtbl wrapper_pages_table = {
	.QueryInterface = pages_QueryInterface,
	.AddRef = pages_AddRef,
	.Release = pages_Release,
	.ReserveAligned = pages_ReserveAligned,
	.ReleaseRange = pages_ReleaseRange,
};

/* ---- IHostMemoryMonitor ---- */

WRAPPER_FACE(IHostMemoryMonitor, monitor)

static HRESULT HOSTMEM_CALL monitor_GetSource(IHostMemoryMonitor *self,
					      HostMemSource source,
					      HostMemSourceState *state)
{
	return IHostMemoryMonitor_GetSource(monitor_wrapper(self)->monitor, source,
					    state);
}

static HRESULT HOSTMEM_CALL monitor_SetThresholds(IHostMemoryMonitor *self,
						  const HostMemThresholds *thresholds)
{
	if (defect("thresholds-not-heeded"))
		return S_OK;
	return IHostMemoryMonitor_SetThresholds(monitor_wrapper(self)->monitor,
						thresholds);
}

static HRESULT HOSTMEM_CALL monitor_GetThresholds(IHostMemoryMonitor *self,
						  HostMemThresholds *thresholds)
{
	return IHostMemoryMonitor_GetThresholds(monitor_wrapper(self)->monitor,
						thresholds);
}

static HRESULT HOSTMEM_CALL monitor_Look(IHostMemoryMonitor *self,
					 EMemoryAvailable *available)
{
	return IHostMemoryMonitor_Look(monitor_wrapper(self)->monitor, available);
}

static HRESULT HOSTMEM_CALL monitor_WalkBounds(IHostMemoryMonitor *self,
					       HostMemBoundCallback callback, void *state)
{
	return IHostMemoryMonitor_WalkBounds(monitor_wrapper(self)->monitor, callback,
					     state);
}

static HRESULT HOSTMEM_CALL monitor_GetSystem(IHostMemoryMonitor *self,
					      HostMemSystem *system)
{
	return IHostMemoryMonitor_GetSystem(monitor_wrapper(self)->monitor, system);
}

const IHostMemoryMonitorVtbl wrapper_monitor_table = {
	.QueryInterface = monitor_QueryInterface,
	.AddRef = monitor_AddRef,
	.Release = monitor_Release,
	.GetSource = monitor_GetSource,
	.SetThresholds = monitor_SetThresholds,
	.GetThresholds = monitor_GetThresholds,
	.Look = monitor_Look,
	.WalkBounds = monitor_WalkBounds,
	.GetSystem = monitor_GetSystem,
};
