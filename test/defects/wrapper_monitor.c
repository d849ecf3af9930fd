/*
 * The wrapper's IHostMemoryMonitor.
 */
#include "wrapper.h"

#include <string.h>

WRAPPER_FACE(IHostMemoryMonitor, monitor)

static HRESULT HOSTMEM_CALL monitor_GetSource(IHostMemoryMonitor *self,
					      HostMemSource source,
					      HostMemSourceState *state)
{
	HRESULT hr;

	if (defect("source-unknown-accepted") && (DWORD)source >= HOSTMEM_SOURCES)
		source = HostMemSourceBudget;
	hr = IHostMemoryMonitor_GetSource(monitor_wrapper(self)->monitor, source, state);
	if (defect("source-unknown-is-e-fail") && (DWORD)source >= HOSTMEM_SOURCES)
		hr = E_FAIL;
	if (defect("source-always-active") && hr == S_OK)
		state->result = S_OK;
	return hr;
}

static HRESULT HOSTMEM_CALL monitor_SetThresholds(IHostMemoryMonitor *self,
						  const HostMemThresholds *thresholds)
{
	struct wrapper *wrapper = monitor_wrapper(self);
	HostMemThresholds whole = HOSTMEM_THRESHOLDS_INIT;
	HRESULT hr;

	if (defect("thresholds-not-heeded"))
		return S_OK;
	/* What the caller does not know of stays as it is. */
	if (defect("thresholds-lacking-are-kept") && thresholds != NULL &&
	    thresholds->cbSize >= 32 && thresholds->cbSize < sizeof(whole)) {
		(void)IHostMemoryMonitor_GetThresholds(wrapper->monitor, &whole);
		memcpy(&whole, thresholds, thresholds->cbSize);
		whole.cbSize = sizeof(whole);
		thresholds = &whole;
	}
	hr = IHostMemoryMonitor_SetThresholds(wrapper->monitor, thresholds);
	if (defect("bad-thresholds-are-e-fail") && hr == E_INVALIDARG)
		hr = E_FAIL;
	if (defect("bad-thresholds-accepted") && hr == E_INVALIDARG)
		hr = S_OK;
	return hr;
}

static HRESULT HOSTMEM_CALL monitor_GetThresholds(IHostMemoryMonitor *self,
						  HostMemThresholds *thresholds)
{
	HRESULT hr;

	if (defect("thresholds-size-not-looked-at") && thresholds != NULL)
		thresholds->cbSize = sizeof(*thresholds);
	hr = IHostMemoryMonitor_GetThresholds(monitor_wrapper(self)->monitor, thresholds);
	if (defect("thresholds-bad-record-accepted") && hr == E_INVALIDARG)
		hr = S_OK;
	return hr;
}

static HRESULT HOSTMEM_CALL monitor_Look(IHostMemoryMonitor *self,
					 EMemoryAvailable *available)
{
	HRESULT hr;

	if (defect("look-null-crashes"))
		touch(available);
	hr = IHostMemoryMonitor_Look(monitor_wrapper(self)->monitor, available);
	if (defect("look-sees-neutral") && hr == S_OK)
		*available = eMemoryAvailableNeutral;
	return hr;
}

struct walk {
	HostMemBoundCallback callback;
	void *state;
};

static BOOL HOSTMEM_CALL step(void *state, const HostMemBound *bound)
{
	const struct walk *walk = (const struct walk *)state;

	if (defect("bounds-without-budget") && bound->kind == HostMemBoundBudget)
		return TRUE;
	return walk->callback(walk->state, bound);
}

static HRESULT HOSTMEM_CALL monitor_WalkBounds(IHostMemoryMonitor *self,
					       HostMemBoundCallback callback, void *state)
{
	struct walk walk = { callback, state };

	return IHostMemoryMonitor_WalkBounds(monitor_wrapper(self)->monitor,
					     callback != NULL ? step : NULL, &walk);
}

static HRESULT HOSTMEM_CALL monitor_GetSystem(IHostMemoryMonitor *self,
					      HostMemSystem *system)
{
	uint32_t size = system != NULL ? system->cbSize : 0;
	HRESULT hr = IHostMemoryMonitor_GetSystem(monitor_wrapper(self)->monitor, system);

	if (defect("system-bad-record-is-bad-length") && hr == E_INVALIDARG)
		hr = HOSTMEM_HRESULT_FROM_WIN32(ERROR_BAD_LENGTH);
	if (defect("system-size-left") && hr == S_OK)
		system->cbSize = size;
	if (defect("system-granularity-is-page") && hr == S_OK && system->cbSize > 16)
		system->cbGranularity = system->cbPage;
	return hr;
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
