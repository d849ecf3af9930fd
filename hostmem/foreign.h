#ifndef HOSTMEM_FOREIGN_H
#define HOSTMEM_FOREIGN_H

#include "abi/hresult.h"
#include "abi/winmem.h"

#include <stddef.h>
#include <stdint.h>

struct hm_host;

/*
 * Memory that is in no reservation of the host that is asked: stacks, images, libc's heap,
 * other hosts, and what is free.  Runtimes ask about all of it (their stack's bounds, a
 * free place near their code) and change the protection of some, so the answer is the
 * system's truth.
 *
 * Called between hm_calls_enter and hm_calls_leave.
 */

/*
 * What the system has at a page.
 * S_FALSE: the page is in a region, of `host` as a rule, which has come meanwhile;
 * E_INVALIDARG: beyond user space, and nothing is mapped there; E_OUTOFMEMORY: the system's
 * list cannot be read.
 */
HRESULT hm_foreign_query(const struct hm_host *host, uintptr_t page,
			 MEMORY_BASIC_INFORMATION *out);

/*
 * Changes the protection of whole pages.
 *   HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)    PAGE_GUARD
 *   HOST_E_INVALIDOPERATION                    the library's own records, or another host's
 *   HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)  not wholly in one allocation;
 *                                              E_INVALIDARG if it leaves user space as well
 *   E_ACCESSDENIED                             the system forbids it
 *   E_OUTOFMEMORY                              the system has no room for the change
 */
HRESULT hm_foreign_protect(uintptr_t page, size_t size, DWORD protect, DWORD *old);

#endif
