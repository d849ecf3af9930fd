/*
 * The wrapper's IHostMemorySimulator.
 */
#include "wrapper.h"

WRAPPER_FACE(IHostMemorySimulator, simulator)

static HRESULT HOSTMEM_CALL simulator_AddFault(IHostMemorySimulator *self,
					       const HostMemFault *fault,
					       uint64_t *cookie)
{
	HostMemFault spoilt;
	HRESULT hr;

	if (defect("fault-short-refused") && fault != NULL && cookie != NULL &&
	    fault->cbSize < sizeof(spoilt)) {
		*cookie = 0;
		return E_INVALIDARG;
	}
	if (fault == NULL || fault->cbSize != sizeof(spoilt))
		return IHostMemorySimulator_AddFault(simulator_wrapper(self)->simulator,
						     fault, cookie);
	spoilt = *fault;
	if (defect("fault-result-ignored"))
		spoilt.result = E_OUTOFMEMORY;
	if (defect("fault-operations-ignored"))
		spoilt.operations = 0;
	if (defect("fault-probability-ignored") && spoilt.probability != 0)
		spoilt.probability = 1;
	if (defect("fault-every-ignored"))
		spoilt.every = 0;
	if (defect("fault-delay-ignored"))
		spoilt.msDelay = 0;
	if (defect("fault-count-ignored"))
		spoilt.count = 0;
	if (defect("fault-nth-one-too-late") && spoilt.nth != 0)
		spoilt.nth++;
	hr = IHostMemorySimulator_AddFault(simulator_wrapper(self)->simulator, &spoilt,
					   cookie);
	if (defect("bad-fault-is-e-fail") && hr == E_INVALIDARG)
		hr = E_FAIL;
	if (defect("bad-fault-accepted") && hr == E_INVALIDARG)
		hr = S_OK;
	return hr;
}

static HRESULT HOSTMEM_CALL simulator_RemoveFault(IHostMemorySimulator *self,
						  uint64_t cookie)
{
	HRESULT hr;

	if (defect("remove-fault-does-nothing"))
		return S_OK;
	hr = IHostMemorySimulator_RemoveFault(simulator_wrapper(self)->simulator, cookie);
	if (defect("remove-unknown-fault-is-e-fail") && hr == E_INVALIDARG)
		hr = E_FAIL;
	if (defect("remove-unknown-fault-accepted") && hr == E_INVALIDARG)
		hr = S_OK;
	return hr;
}

static HRESULT HOSTMEM_CALL simulator_SetMemoryLoad(IHostMemorySimulator *self,
						    DWORD percent, SIZE_T available)
{
	if (defect("load-101-accepted") && percent > 100)
		percent = 100;
	return IHostMemorySimulator_SetMemoryLoad(simulator_wrapper(self)->simulator,
						  percent, available);
}

static HRESULT HOSTMEM_CALL simulator_ClearMemoryLoad(IHostMemorySimulator *self)
{
	return IHostMemorySimulator_ClearMemoryLoad(simulator_wrapper(self)->simulator);
}

static HRESULT HOSTMEM_CALL simulator_SetAvailability(IHostMemorySimulator *self,
						      EMemoryAvailable available)
{
	if (defect("availability-0-accepted") && available == 0)
		return S_OK;
	return IHostMemorySimulator_SetAvailability(simulator_wrapper(self)->simulator,
						    available);
}

static HRESULT HOSTMEM_CALL simulator_ClearAvailability(IHostMemorySimulator *self)
{
	return IHostMemorySimulator_ClearAvailability(simulator_wrapper(self)->simulator);
}

static HRESULT HOSTMEM_CALL simulator_SetVirtualTime(IHostMemorySimulator *self, BOOL on)
{
	return IHostMemorySimulator_SetVirtualTime(simulator_wrapper(self)->simulator,
						   on);
}

static HRESULT HOSTMEM_CALL simulator_Advance(IHostMemorySimulator *self, DWORD ms)
{
	if (defect("time-stands-still"))
		ms = 0;
	return IHostMemorySimulator_Advance(simulator_wrapper(self)->simulator, ms);
}

const IHostMemorySimulatorVtbl wrapper_simulator_table = {
	.QueryInterface = simulator_QueryInterface,
	.AddRef = simulator_AddRef,
	.Release = simulator_Release,
	.AddFault = simulator_AddFault,
	.RemoveFault = simulator_RemoveFault,
	.SetMemoryLoad = simulator_SetMemoryLoad,
	.ClearMemoryLoad = simulator_ClearMemoryLoad,
	.SetAvailability = simulator_SetAvailability,
	.ClearAvailability = simulator_ClearAvailability,
	.SetVirtualTime = simulator_SetVirtualTime,
	.Advance = simulator_Advance,
};
