#ifndef HOSTMEM_RELEASE_H
#define HOSTMEM_RELEASE_H

#include "request.h"

/*
 * MEM_DECOMMIT of [address, address + size), or of the whole reservation with size 0.
 * MEM_RELEASE of the reservation.  Ranges have been checked to lie in user space.
 *
 *   HOST_E_INVALIDOPERATION                    in no reservation of this host
 *   HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)  whole reservation, and not at its base
 *   E_INVALIDARG                               past its end, or part of a large page
 *   E_OUTOFMEMORY                              no memory for the books; nothing changed
 */
HRESULT hm_decommit(struct hm_host *host, uintptr_t address, size_t size);
HRESULT hm_release(struct hm_host *host, uintptr_t address);

/* Gives up part of a reservation; what remains on either side is one of its own. */
HRESULT hm_release_range(struct hm_host *host, uintptr_t address, size_t size);

/* The system's part of the release of a heap's reservation, and its refund: *freed bytes.
 * Between hm_calls_enter and hm_calls_leave.  S_OK or E_FAIL. */
HRESULT hm_release_heaps(struct hm_host *host, uintptr_t base, size_t *freed);
/* The same for the pages behind `kept` bytes, which stay reserved; E_OUTOFMEMORY: no memory
 * for the books, nothing changed. */
HRESULT hm_decommit_heaps(struct hm_host *host, uintptr_t base, size_t kept,
			  size_t *freed);

/* All of a host that has ended. */
void hm_release_everything(struct hm_host *host, struct hm_request *request);

#endif
