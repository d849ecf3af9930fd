/*
 * IHostMemorySimulator: declared, in its place in the object, and not in this release.
 * Every method says so once its arguments could have been right.
 */
#include "object.h"

HOST_OBJECT_FACE(IHostMemorySimulator, simulator, host_memory_simulator_vtbl)

static HRESULT not_in_this_release(IHostMemorySimulator *iface)
{
	HRESULT hr = hm_host_check(&impl_from_IHostMemorySimulator(iface)->host);

	return FAILED(hr) ? hr : E_NOTIMPL;
}

static HRESULT HOSTMEM_CALL simulator_AddFault(IHostMemorySimulator *iface,
					       const HostMemFault *fault,
					       uint64_t *cookie)
{
	if (cookie == NULL)
		return E_POINTER;
	*cookie = 0;
	return fault == NULL ? E_POINTER : not_in_this_release(iface);
}

static HRESULT HOSTMEM_CALL simulator_RemoveFault(IHostMemorySimulator *iface,
						  uint64_t cookie)
{
	(void)cookie;
	return not_in_this_release(iface);
}

static HRESULT HOSTMEM_CALL simulator_SetMemoryLoad(IHostMemorySimulator *iface,
						    DWORD percent, SIZE_T available)
{
	(void)available;
	return percent > 100 ? E_INVALIDARG : not_in_this_release(iface);
}

static HRESULT HOSTMEM_CALL simulator_ClearMemoryLoad(IHostMemorySimulator *iface)
{
	return not_in_this_release(iface);
}

static HRESULT HOSTMEM_CALL simulator_SetAvailability(IHostMemorySimulator *iface,
						      EMemoryAvailable available)
{
	if (available < eMemoryAvailableLow || available > eMemoryAvailableHigh)
		return E_INVALIDARG;
	return not_in_this_release(iface);
}

static HRESULT HOSTMEM_CALL simulator_ClearAvailability(IHostMemorySimulator *iface)
{
	return not_in_this_release(iface);
}

static HRESULT HOSTMEM_CALL simulator_SetVirtualTime(IHostMemorySimulator *iface, BOOL on)
{
	(void)on;
	return not_in_this_release(iface);
}

static HRESULT HOSTMEM_CALL simulator_Advance(IHostMemorySimulator *iface, DWORD ms)
{
	(void)ms;
	return not_in_this_release(iface);
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
