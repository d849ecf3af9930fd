/*
 * IHostMemorySimulator: the porter.  Each method looks at its out pointers, the host's
 * state and its arguments, in this order, and passes on to the rules.
 */
#include "object.h"
#include "record.h"

HOST_OBJECT_FACE(IHostMemorySimulator, simulator, host_memory_simulator_vtbl)

static struct hm_host *host_of(IHostMemorySimulator *iface)
{
	return &impl_from_IHostMemorySimulator(iface)->host;
}

static HRESULT read_fault(const HostMemFault *from, HostMemFault *out)
{
	static const size_t ends[] = {
		RECORD_END(HostMemFault, operations),
		RECORD_END(HostMemFault, levels),
		RECORD_END(HostMemFault, place),
		RECORD_END(HostMemFault, cbMin),
		RECORD_END(HostMemFault, cbMax),
		RECORD_END(HostMemFault, nth),
		RECORD_END(HostMemFault, every),
		RECORD_END(HostMemFault, probability),
		RECORD_END(HostMemFault, seed),
		RECORD_END(HostMemFault, count),
		RECORD_END(HostMemFault, result),
		sizeof(HostMemFault),
	};
	HRESULT hr;

	*out = (HostMemFault)HOSTMEM_FAULT_INIT;
	hr = record_read(out, sizeof(*out), from, ends, sizeof(ends) / sizeof(ends[0]));
	if (FAILED(hr))
		return hr;
	return hm_faults_check(out);
}

static HRESULT HOSTMEM_CALL simulator_AddFault(IHostMemorySimulator *iface,
					       const HostMemFault *fault,
					       uint64_t *cookie)
{
	struct hm_host *host = host_of(iface);
	HostMemFault given;
	HRESULT hr;

	if (cookie == NULL)
		return E_POINTER;
	*cookie = 0;
	if (fault == NULL)
		return E_POINTER;
	hr = hm_host_check(host);
	if (FAILED(hr))
		return hr;
	hr = read_fault(fault, &given);
	if (FAILED(hr))
		return hr;
	hr = hm_faults_add(&host->faults, &given, cookie);
	hm_host_refresh(host);
	return hr;
}

static HRESULT HOSTMEM_CALL simulator_RemoveFault(IHostMemorySimulator *iface,
						  uint64_t cookie)
{
	struct hm_host *host = host_of(iface);
	HRESULT hr = hm_host_check(host);

	if (FAILED(hr))
		return hr;
	hr = hm_faults_remove(&host->faults, cookie);
	hm_host_refresh(host);
	return hr;
}

static HRESULT HOSTMEM_CALL simulator_SetMemoryLoad(IHostMemorySimulator *iface,
						    DWORD percent, SIZE_T available)
{
	struct hm_host *host = host_of(iface);
	HRESULT hr = hm_host_check(host);

	if (FAILED(hr))
		return hr;
	if (percent > 100)
		return E_INVALIDARG;
	return hm_availability_simulate(host, percent, available);
}

static HRESULT HOSTMEM_CALL simulator_ClearMemoryLoad(IHostMemorySimulator *iface)
{
	return hm_availability_clear(host_of(iface));
}

static HRESULT HOSTMEM_CALL simulator_SetAvailability(IHostMemorySimulator *iface,
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

static HRESULT HOSTMEM_CALL simulator_ClearAvailability(IHostMemorySimulator *iface)
{
	return hm_availability_let_be(host_of(iface));
}

static HRESULT HOSTMEM_CALL simulator_SetVirtualTime(IHostMemorySimulator *iface, BOOL on)
{
	return hm_availability_set_virtual(host_of(iface), on != FALSE);
}

static HRESULT HOSTMEM_CALL simulator_Advance(IHostMemorySimulator *iface, DWORD ms)
{
	return hm_availability_advance(host_of(iface), ms);
}

const IHostMemorySimulatorVtbl host_memory_simulator_vtbl = {
	/* IUnknown */
	.QueryInterface = simulator_QueryInterface,
	.AddRef = simulator_AddRef,
	.Release = simulator_Release,
	/* IHostMemorySimulator */
	.AddFault = simulator_AddFault,
	.RemoveFault = simulator_RemoveFault,
	.SetMemoryLoad = simulator_SetMemoryLoad,
	.ClearMemoryLoad = simulator_ClearMemoryLoad,
	.SetAvailability = simulator_SetAvailability,
	.ClearAvailability = simulator_ClearAvailability,
	.SetVirtualTime = simulator_SetVirtualTime,
	.Advance = simulator_Advance,
};
