/*
 * IHostMemoryMonitor: how the host comes to know about memory.  Checks as in control.c.
 */
#include "object.h"
#include "record.h"
#include "hostmem/arenapages.h"
#include "hostmem/os/fence.h"
#include "hostmem/os/largepages.h"
#include "hostmem/os/meminfo.h"
#include "hostmem/os/size.h"
#include "hostmem/request.h"

HOST_OBJECT_FACE(IHostMemoryMonitor, memory_monitor, host_memory_monitor_vtbl)

static struct hm_host *host_of(IHostMemoryMonitor *iface)
{
	return &impl_from_IHostMemoryMonitor(iface)->host;
}

static HRESULT HOSTMEM_CALL memory_monitor_GetSource(IHostMemoryMonitor *iface,
						     HostMemSource source,
						     HostMemSourceState *state)
{
	HostMemSourceState now = HOSTMEM_SOURCE_STATE_INIT;

	if (state == NULL)
		return E_POINTER;
	if ((unsigned)source >= HOSTMEM_SOURCES)
		return E_INVALIDARG;
	hm_monitor_source(host_of(iface), source, &now);
	return record_write(state, &now, sizeof(now));
}

/* ---- Thresholds ---- */

static HRESULT read_thresholds(const HostMemThresholds *from, HostMemThresholds *out)
{
	static const size_t ends[] = {
		RECORD_END(HostMemThresholds, dwCalmLoad),
		RECORD_END(HostMemThresholds, dwHighLoad),
		RECORD_END(HostMemThresholds, dwNeutralLoad),
		RECORD_END(HostMemThresholds, msCalm),
		RECORD_END(HostMemThresholds, msPlenty),
		RECORD_END(HostMemThresholds, msStall),
		RECORD_END(HostMemThresholds, cbScarce),
		sizeof(HostMemThresholds),
	};

	*out = (HostMemThresholds)HOSTMEM_THRESHOLDS_INIT;
	return record_read(out, sizeof(*out), from, ends, sizeof(ends) / sizeof(ends[0]));
}

static HRESULT check_thresholds(const HostMemThresholds *given)
{
	if (given->dwLowLoad > 100 || given->dwCalmLoad > given->dwLowLoad ||
	    given->dwNeutralLoad > given->dwLowLoad ||
	    given->dwHighLoad > given->dwNeutralLoad ||
	    given->dwHighLoad > given->dwCalmLoad || given->cbScarce > given->cbEnough)
		return E_INVALIDARG;
	return S_OK;
}

static HRESULT HOSTMEM_CALL memory_monitor_SetThresholds(
	IHostMemoryMonitor *iface, const HostMemThresholds *thresholds)
{
	struct hm_host *host = host_of(iface);
	HostMemThresholds given;
	HRESULT hr;

	if (thresholds == NULL)
		return E_POINTER;
	hr = hm_host_check(host);
	if (SUCCEEDED(hr))
		hr = read_thresholds(thresholds, &given);
	if (SUCCEEDED(hr))
		hr = check_thresholds(&given);
	if (FAILED(hr))
		return hr;
	return hm_availability_set_rules(host,
					 &(struct hm_pressure_rules){
						 .low_load = given.dwLowLoad,
						 .calm_load = given.dwCalmLoad,
						 .high_load = given.dwHighLoad,
						 .neutral_load = given.dwNeutralLoad,
						 .scarce = given.cbScarce,
						 .enough = given.cbEnough,
						 .calm_ms = given.msCalm,
						 .plenty_ms = given.msPlenty,
						 .stall_ms = given.msStall,
					 });
}

static HRESULT HOSTMEM_CALL memory_monitor_GetThresholds(IHostMemoryMonitor *iface,
							 HostMemThresholds *thresholds)
{
	HostMemThresholds now = HOSTMEM_THRESHOLDS_INIT;
	struct hm_pressure_rules rules;
	HRESULT hr;

	if (thresholds == NULL)
		return E_POINTER;
	hr = hm_host_check(host_of(iface));
	if (FAILED(hr))
		return hr;
	hm_availability_get_rules(host_of(iface), &rules);
	now.dwLowLoad = rules.low_load;
	now.dwCalmLoad = rules.calm_load;
	now.dwHighLoad = rules.high_load;
	now.dwNeutralLoad = rules.neutral_load;
	now.cbScarce = rules.scarce;
	now.cbEnough = rules.enough;
	now.msCalm = rules.calm_ms;
	now.msPlenty = rules.plenty_ms;
	now.msStall = rules.stall_ms;
	return record_write(thresholds, &now, sizeof(now));
}

/* ---- Figures ---- */

static HRESULT HOSTMEM_CALL memory_monitor_Look(IHostMemoryMonitor *iface,
						EMemoryAvailable *available)
{
	struct hm_host *host = host_of(iface);
	struct hm_memory_load load;
	HRESULT hr;

	if (available == NULL)
		return E_POINTER;
	*available = (EMemoryAvailable)0;
	hr = hm_host_check(host);
	if (FAILED(hr))
		return hr;
	load = hm_memory_load_sample();
	return hm_availability_look_now(host, &load, available);
}

struct walk {
	HostMemBoundCallback callback;
	void *state;
	bool ended;
};

static void tell(struct walk *walk, HostMemBoundKind kind,
		 const struct hm_memory_bound *bound)
{
	const HostMemBound told = {
		.cbSize = sizeof(told),
		.kind = kind,
		.cbLimit = bound->limit,
		.cbUsed = bound->used,
		.path = bound->path,
		.version = bound->version,
	};

	if (!walk->ended)
		walk->ended = walk->callback(walk->state, &told) == FALSE;
}

static void tell_of_system(void *state, const struct hm_memory_bound *bound)
{
	static const HostMemBoundKind kinds[] = {
		[HM_BOUND_MACHINE] = HostMemBoundMachine,
		[HM_BOUND_ADDRESSES] = HostMemBoundAddressSpace,
		[HM_BOUND_DATA] = HostMemBoundData,
		[HM_BOUND_GROUP] = HostMemBoundGroup,
	};

	tell(state, kinds[bound->kind], bound);
}

static HRESULT HOSTMEM_CALL memory_monitor_WalkBounds(IHostMemoryMonitor *iface,
						      HostMemBoundCallback callback,
						      void *state)
{
	struct hm_host *host = host_of(iface);
	struct walk walk = { .callback = callback, .state = state };
	struct hm_memory_bound budget = {
		.limit = atomic_load(&host->budget.limit),
		.used = atomic_load(&host->budget.charged),
	};
	struct hm_request request;

	if (callback == NULL)
		return E_POINTER;
	hm_request_visit(&request, host);
	if (budget.limit != SIZE_MAX)
		tell(&walk, HostMemBoundBudget, &budget);
	hm_meminfo_visit(tell_of_system, &walk);
	hm_request_close(&request);
	return S_OK;
}

static HRESULT HOSTMEM_CALL memory_monitor_GetSystem(IHostMemoryMonitor *iface,
						     HostMemSystem *system)
{
	HostMemSystem now = HOSTMEM_SYSTEM_INIT;

	if (system == NULL)
		return E_POINTER;
	if (host_of(iface)->pages == hm_pages_with_guards)
		now.dwFeatures |= HOSTMEM_FEATURE_GUARD_PAGES;
	if (SUCCEEDED(hm_fence_prepare()))
		now.dwFeatures |= HOSTMEM_FEATURE_QUICK_CALLS;
	now.cbPage = HM_PAGE_SIZE;
	now.cbGranularity = HM_GRANULE_SIZE;
	now.cbLargePage = hm_large_page_size();
	now.cLargePages = now.cbLargePage == 0 ? 0 : hm_large_pages_free();
	return record_write(system, &now, sizeof(now));
}

const IHostMemoryMonitorVtbl host_memory_monitor_vtbl = {
	/* IUnknown */
	.QueryInterface = memory_monitor_QueryInterface,
	.AddRef = memory_monitor_AddRef,
	.Release = memory_monitor_Release,
	/* IHostMemoryMonitor */
	.GetSource = memory_monitor_GetSource,
	.SetThresholds = memory_monitor_SetThresholds,
	.GetThresholds = memory_monitor_GetThresholds,
	.Look = memory_monitor_Look,
	.WalkBounds = memory_monitor_WalkBounds,
	.GetSystem = memory_monitor_GetSystem,
};
