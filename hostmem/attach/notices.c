/*
 * The callback that an attached runtime would have if it had been written for a host.
 *
 * It counts.  What can be given back without the runtime is given back by the host itself
 * when it says Low: kept regions, and free pages of its heaps.
 *
 * The monitor is a thread in a program that may not expect one, so it is there only where
 * the settings have what it alone can tell: a soft limit, or a load.
 *
 * Locks: none.
 */
#include "notices.h"

#include <stdatomic.h>

static _Atomic uint64_t counts[eMemoryAvailableHigh + 1];

static HRESULT HOSTMEM_CALL notices_QueryInterface(ICLRMemoryNotificationCallback *iface,
						   REFIID riid, void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (!IsEqualIID(riid, &IID_IUnknown) &&
	    !IsEqualIID(riid, &IID_ICLRMemoryNotificationCallback))
		return E_NOINTERFACE;
	*ppv = iface;
	return S_OK;
}

/* It lives as long as the process. */
static ULONG HOSTMEM_CALL notices_AddRef(ICLRMemoryNotificationCallback *iface)
{
	(void)iface;
	return 2;
}

static ULONG HOSTMEM_CALL notices_Release(ICLRMemoryNotificationCallback *iface)
{
	(void)iface;
	return 1;
}

static HRESULT HOSTMEM_CALL notices_OnMemoryNotification(
	ICLRMemoryNotificationCallback *iface, EMemoryAvailable available)
{
	(void)iface;
	(void)atomic_fetch_add(&counts[available], 1);
	return S_OK;
}

static const ICLRMemoryNotificationCallbackVtbl notices_vtbl = {
	/* IUnknown */
	.QueryInterface = notices_QueryInterface,
	.AddRef = notices_AddRef,
	.Release = notices_Release,
	/* ICLRMemoryNotificationCallback */
	.OnMemoryNotification = notices_OnMemoryNotification,
};

static ICLRMemoryNotificationCallback notices = { &notices_vtbl };

bool hm_notices_need_monitor(const struct hm_settings *settings)
{
	const uint32_t judged = 1U << HM_ACTION_SOFT | 1U << HM_ACTION_LOAD;

	if (settings->budget.cbSoftLimit != SIZE_MAX)
		return true;
	for (uint32_t i = 0; i < settings->step_count; i++) {
		if ((settings->steps[i].actions & judged) != 0)
			return true;
	}
	return false;
}

HRESULT hm_notices_begin(IHostMemoryControl *control)
{
	void *memory;
	HRESULT hr = IHostMemoryControl_QueryInterface(control, &IID_IHostMemoryManager,
						       &memory);

	if (FAILED(hr))
		return hr;
	hr = IHostMemoryManager_RegisterMemoryNotificationCallback(memory, &notices);
	(void)IHostMemoryManager_Release((IHostMemoryManager *)memory);
	return hr;
}

uint64_t hm_notices_count(EMemoryAvailable available)
{
	return atomic_load(&counts[available]);
}

void hm_notices_after_fork(void)
{
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		atomic_store(&counts[i], 0);
}
