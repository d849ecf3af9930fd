/*
 * Acquired mappings on their way through charge and events.  external.c keeps the books,
 * request.c raises the events; here is the order: what an acquisition displaces is freed
 * first, as a request of its own, so that nothing is counted twice in between.
 */
#include "mapping.h"
#include "calls.h"
#include "os/size.h"
#include "request.h"

#include <stddef.h>

HRESULT hm_mapping_acquired(struct hm_host *host, uintptr_t start, size_t size)
{
	struct hm_request request;
	size_t room = start < HM_SYSTEM_END ? HM_SYSTEM_END - start : 0;
	size_t displaced;
	HRESULT hr;
	bool noted;

	hr = hm_request_open(&request, host, HostMemMapping, eTaskCritical,
			     (void *)start);
	if (FAILED(hr))
		return hr;
	size = hm_min(size, room);
	hm_calls_enter();
	noted = hm_external_acquire(&host->external, start, size, &displaced);
	hm_calls_leave();
	if (noted) {
		atomic_fetch_add_explicit(&host->external_bytes, size - displaced,
					  memory_order_relaxed);
		hm_request_freed(&request, HostMemMapping, (void *)start, displaced);
		hm_request_renew(&request);
		hm_request_tell(&request, size);
		hm_request_settle(&request);
	}
	hm_request_close(&request);
	return S_OK;
}

HRESULT hm_mapping_released(struct hm_host *host, uintptr_t start)
{
	struct hm_request request;
	size_t size;
	bool known;
	HRESULT hr = hm_request_open(&request, host, HostMemMapping, eTaskCritical, NULL);

	if (FAILED(hr))
		return hr;
	hm_calls_enter();
	known = hm_external_release(&host->external, start, &size);
	hm_calls_leave();
	atomic_fetch_sub_explicit(&host->external_bytes, size, memory_order_relaxed);
	hm_request_freed(&request, HostMemMapping, (void *)start, size);
	hm_request_close(&request);
	return known ? S_OK : HOST_E_INVALIDOPERATION;
}
