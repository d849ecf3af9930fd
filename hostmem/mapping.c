/*
 * Acquired mappings on their way through events and charge.  external.c keeps the books
 * and charges with them; here is the order for those who listen: the allocate event
 * first, as for every request, and afterwards a free event for what it has displaced.
 *
 * The runtime has made the mapping already, so it waits at the gate as long as it takes.
 *
 * Locks: none but external.c's.
 */
#include "mapping.h"
#include "announce.h"
#include "attempt.h"
#include "calls.h"
#include "gate.h"
#include "os/size.h"

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
	hm_announce_mapping(&request, size);
	/* What a host that has ended is charged would be given back after its end. */
	hr = hm_request_is_abandoned(&request) ? HOST_E_ABANDONED
					       : hm_gate_enter_calls(host, HM_PATIENT);
	if (FAILED(hr)) {
		(void)hm_request_refuse(&request, hr, HostMemByShutdown);
		hm_request_close(&request);
		return hr;
	}
	noted = hm_external_acquire(&host->external, &host->budget, start, size,
				    &displaced);
	hm_calls_leave();
	if (!noted) {
		/* Not counted, then, and the event is taken back; the caller has its mapping. */
		(void)hm_request_refuse(&request, E_OUTOFMEMORY, HostMemBySystem);
	} else {
		hm_request_renew(&request);
		hm_announce_free(&request, HostMemMapping, (void *)start, displaced);
	}
	hm_host_offer(host, HM_OFFER_MEMORY);
	hm_request_close(&request);
	return S_OK;
}

HRESULT hm_mapping_released(struct hm_host *host, uintptr_t start)
{
	struct hm_request request;
	size_t size;
	bool known;
	HRESULT hr = hm_request_open_free(&request, host, HostMemMapping);

	if (FAILED(hr))
		return hr;
	known = hm_external_release(&host->external, &host->budget, start, &size);
	hm_calls_leave();
	hm_announce_free(&request, HostMemMapping, (void *)start, size);
	hm_host_offer(host, HM_OFFER_MEMORY);
	hm_request_close(&request);
	return known ? S_OK : HOST_E_INVALIDOPERATION;
}
