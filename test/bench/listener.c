/*
 * A host with a monitor, and a callback that says what it hears.
 */
#include "listener.h"
#include "latency.h"

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static HRESULT HOSTMEM_CALL query(ICLRMemoryNotificationCallback *self, REFIID riid,
				  void **ppv)
{
	(void)self;
	(void)riid;
	*ppv = NULL;
	return E_NOINTERFACE;
}

/* It is static, and outlives whoever counts. */
static ULONG HOSTMEM_CALL count(ICLRMemoryNotificationCallback *self)
{
	(void)self;
	return 1;
}

static HRESULT HOSTMEM_CALL hear(ICLRMemoryNotificationCallback *self,
				 EMemoryAvailable available)
{
	(void)self;
	if (available == eMemoryAvailableLow)
		latency_heard_short();
	else
		latency_heard_calm();
	return S_OK;
}

static const ICLRMemoryNotificationCallbackVtbl table = {
	.QueryInterface = query,
	.AddRef = count,
	.Release = count,
	.OnMemoryNotification = hear,
};

static ICLRMemoryNotificationCallback callback = { &table };

static HRESULT state_of(const struct listener *listener, HostMemSource source)
{
	HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;

	(void)IHostMemoryMonitor_GetSource(listener->monitor, source, &state);
	return state.result;
}

const char *listener_lacks(const struct listener *listener, HostMemSource source)
{
	static char why[64];
	HRESULT hr = state_of(listener, source);

	if (hr == S_OK)
		return NULL;
	snprintf(why, sizeof(why), "this source is not active: 0x%08X", (unsigned)hr);
	return why;
}

/* The last that becomes active. */
static bool wait_until_it_looks(const struct listener *listener)
{
	for (unsigned i = 0; i < 2000; i++) {
		if (state_of(listener, HostMemSourceAllStalled) != S_FALSE)
			return state_of(listener, HostMemSourceTimer) == S_OK;
		(void)usleep(1000);
	}
	return false;
}

const char *listener_open(struct listener *listener, const HostMemBudget *budget,
			  const HostMemThresholds *thresholds)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	void *manager, *monitor;

	config.budget = budget;
	if (FAILED(HostMemCreate(&config, &IID_IHostMemoryManager, &manager)))
		return "no host to be had";
	listener->manager = manager;
	(void)IHostMemoryManager_QueryInterface(listener->manager,
						&IID_IHostMemoryMonitor, &monitor);
	listener->monitor = monitor;
	if ((thresholds == NULL ||
	     SUCCEEDED(
		     IHostMemoryMonitor_SetThresholds(listener->monitor, thresholds))) &&
	    SUCCEEDED(IHostMemoryManager_RegisterMemoryNotificationCallback(
		    listener->manager, &callback)) &&
	    wait_until_it_looks(listener))
		return NULL;
	listener_close(listener);
	return "its monitor does not run";
}

void listener_close(struct listener *listener)
{
	(void)IHostMemoryMonitor_Release(listener->monitor);
	(void)IHostMemoryManager_Release(listener->manager);
}

bool listener_is_short(const struct listener *listener)
{
	EMemoryAvailable available;

	return SUCCEEDED(IHostMemoryMonitor_Look(listener->monitor, &available)) &&
	       available == eMemoryAvailableLow;
}
