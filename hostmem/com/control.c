/*
 * IHostMemoryControl: the embedding program's side.
 *
 * Each method looks at its pointers, the host's state and its other arguments, in this order,
 * and passes on to the rules.
 */
#include "object.h"
#include "record.h"
#include "hostmem/gate.h"
#include "hostmem/query.h"
#include "hostmem/request.h"

#define EVERY_EVENT \
	(HM_EVENT_BIT(HostMemEventAllocate) | HM_EVENT_BIT(HostMemEventFree) | \
	 HM_EVENT_BIT(HostMemEventFailure))

HOST_OBJECT_FACE(IHostMemoryControl, memory_control, host_memory_control_vtbl)

static struct hm_host *host_of(IHostMemoryControl *iface)
{
	return &impl_from_IHostMemoryControl(iface)->host;
}

static HRESULT HOSTMEM_CALL memory_control_SetBudget(IHostMemoryControl *iface,
						     const HostMemBudget *budget)
{
	HostMemBudget given;
	HRESULT hr;

	if (budget == NULL)
		return E_POINTER;
	hr = hm_host_check(host_of(iface));
	if (SUCCEEDED(hr))
		hr = budget_read(budget, &given);
	if (FAILED(hr))
		return hr;
	return hm_host_set_budget(host_of(iface), &given);
}

static HRESULT HOSTMEM_CALL memory_control_GetBudget(IHostMemoryControl *iface,
						     HostMemBudget *budget)
{
	HostMemBudget now;
	HRESULT hr;

	if (budget == NULL)
		return E_POINTER;
	hr = hm_host_check(host_of(iface));
	if (FAILED(hr))
		return hr;
	hm_budget_get(&host_of(iface)->budget, &now);
	return record_write(budget, &now, sizeof(now));
}

static HRESULT HOSTMEM_CALL memory_control_GetUsage(IHostMemoryControl *iface,
						    HostMemUsage *usage)
{
	HostMemUsage now;

	if (usage == NULL)
		return E_POINTER;
	hm_host_usage(host_of(iface), &now);
	return record_write(usage, &now, sizeof(now));
}

static HRESULT HOSTMEM_CALL memory_control_Subscribe(IHostMemoryControl *iface,
						     DWORD mask,
						     HostMemEventCallback callback,
						     void *state, uint64_t *cookie)
{
	struct hm_host *host = host_of(iface);
	HRESULT hr;

	if (cookie == NULL)
		return E_POINTER;
	*cookie = 0;
	if (callback == NULL)
		return E_POINTER;
	hr = hm_host_check(host);
	if (FAILED(hr))
		return hr;
	if ((mask & EVERY_EVENT) == 0 || (mask & ~(EVERY_EVENT | HOSTMEM_TIME_CALLBACK)))
		return E_INVALIDARG;
	return hm_events_subscribe(&host->events, mask, callback, state, cookie);
}

static HRESULT HOSTMEM_CALL memory_control_Unsubscribe(IHostMemoryControl *iface,
						       uint64_t cookie)
{
	struct hm_host *host = host_of(iface);
	struct hm_subscriber *subscriber;
	struct hm_request visit;
	HRESULT hr;

	/* Held, so that the subscriber is there until it has been waited for. */
	hm_request_visit(&visit, host);
	hr = hm_events_unsubscribe(&host->events, cookie, &subscriber);
	if (SUCCEEDED(hr) && !hm_request_is_running(subscriber)) {
		/* A call of it may wait for a gate that must not wait for us. */
		hm_gate_fall_asleep(host);
		hm_host_begin_leaving(host);
		hm_events_wait(subscriber);
		hm_host_end_leaving(host);
		hm_gate_turn_away(host);
	}
	hm_request_close(&visit);
	return hr;
}

static HRESULT HOSTMEM_CALL memory_control_SetReclaimer(IHostMemoryControl *iface,
							HostMemReclaimCallback callback,
							void *state)
{
	struct hm_host *host = host_of(iface);
	struct hm_reclaimer *before;
	HRESULT hr = hm_host_check(host);

	if (SUCCEEDED(hr))
		hr = hm_reclaimers_set(&host->reclaimers, callback, state, &before);
	if (FAILED(hr))
		return hr;
	if (before == NULL)
		return S_OK;
	if (hm_request_holds(host) + hm_notify_holds(host) == 0 ||
	    hm_request_is_inside(before)) {
		hm_reclaimer_retire(before, hm_request_is_inside(before));
		return S_OK;
	}
	/* From inside another callback: as in Unsubscribe. */
	hm_gate_fall_asleep(host);
	hm_reclaimer_retire(before, false);
	(void)hm_gate_wake_up(host, HM_PATIENT);
	return S_OK;
}

static HRESULT HOSTMEM_CALL memory_control_NotifyMemory(IHostMemoryControl *iface,
							EMemoryAvailable available)
{
	struct hm_host *host = host_of(iface);
	HRESULT hr = hm_host_check(host);

	if (FAILED(hr))
		return hr;
	if (available < eMemoryAvailableLow || available > eMemoryAvailableHigh)
		return E_INVALIDARG;
	return hm_availability_force(host, available);
}

static HRESULT HOSTMEM_CALL memory_control_EnterGate(IHostMemoryControl *iface, DWORD ms)
{
	HRESULT hr = hm_host_check(host_of(iface));

	return FAILED(hr) ? hr : hm_gate_enter(host_of(iface), ms);
}

static HRESULT HOSTMEM_CALL memory_control_LeaveGate(IHostMemoryControl *iface)
{
	return hm_gate_leave(host_of(iface));
}

static HRESULT HOSTMEM_CALL memory_control_WalkRegions(IHostMemoryControl *iface,
						       HostMemRegionCallback callback,
						       void *state)
{
	if (callback == NULL)
		return E_POINTER;
	hm_walk(host_of(iface), callback, state);
	return S_OK;
}

static HRESULT HOSTMEM_CALL memory_control_Shutdown(IHostMemoryControl *iface)
{
	return hm_host_shut_down(host_of(iface));
}

const IHostMemoryControlVtbl host_memory_control_vtbl = {
	/* IUnknown */
	.QueryInterface = memory_control_QueryInterface,
	.AddRef = memory_control_AddRef,
	.Release = memory_control_Release,
	/* IHostMemoryControl */
	.SetBudget = memory_control_SetBudget,
	.GetBudget = memory_control_GetBudget,
	.GetUsage = memory_control_GetUsage,
	.Subscribe = memory_control_Subscribe,
	.Unsubscribe = memory_control_Unsubscribe,
	.SetReclaimer = memory_control_SetReclaimer,
	.NotifyMemory = memory_control_NotifyMemory,
	.EnterGate = memory_control_EnterGate,
	.LeaveGate = memory_control_LeaveGate,
	.WalkRegions = memory_control_WalkRegions,
	.Shutdown = memory_control_Shutdown,
};
