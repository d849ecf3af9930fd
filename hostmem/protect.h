#ifndef HOSTMEM_PROTECT_H
#define HOSTMEM_PROTECT_H

#include "host.h"

/*
 * VirtualProtect of [address, address + size), arguments checked.  *old is written on
 * success only.
 *
 *   HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)  not wholly in one reservation, or a page of
 *                                              it is not committed
 *   E_ACCESSDENIED                             strict, or the system's policy
 *   E_INVALIDARG                               part of a large page
 *   E_OUTOFMEMORY                              the system has no room for the change
 *   and what foreign.h says, of memory that is in no reservation of ours
 */
HRESULT hm_protect(struct hm_host *host, uintptr_t address, size_t size, DWORD protect,
		   DWORD *old);

/*
 * HostMemHandleFault: S_OK = look again, S_FALSE = not ours.  Async-signal-safe; takes no
 * lock that is held, so it never waits.
 */
HRESULT hm_handle_fault(uintptr_t address, bool write);

#endif
