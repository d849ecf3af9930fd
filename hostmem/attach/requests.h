#ifndef HOSTMEM_ATTACH_REQUESTS_H
#define HOSTMEM_ATTACH_REQUESTS_H

#include "pieces.h"

#include "abi/hresult.h"
#include "abi/winmem.h"

/*
 * What the translator asks of the host: pages, in the host's words.
 *
 * Ranges are whole pages.  What concerns a piece concerns one of the host's (HM_PIECE_HOST);
 * its access, one of a heap's as well.
 */

/* The protection for a set of PROT_*. */
DWORD hm_protection_for(int protection);

/* Address space anywhere, committed unless the protection is PAGE_NOACCESS. */
HRESULT hm_request_anywhere(size_t size, DWORD protect, void **out);
/* The same exactly there, a multiple of 64 KiB. */
HRESULT hm_request_at(uintptr_t address, size_t size, DWORD protect, void **out);

/* Gives a piece the access; what is not committed becomes so, unless it is PAGE_NOACCESS or
 * a heap's.
 * Contents stay. */
HRESULT hm_request_access(const struct hm_piece *piece, DWORD protect);

/* Commits a piece as a mapping over it does: it is zero afterwards.  On failure its contents
 * are as they were. */
HRESULT hm_request_fresh(const struct hm_piece *piece, DWORD protect);

/* The contents go; the pages are reserved. */
HRESULT hm_request_decommit(const struct hm_piece *piece);

/* The piece goes back, with its addresses. */
HRESULT hm_request_release(const struct hm_piece *piece);

/* errno for a failure. */
int hm_errno_for(HRESULT hr);

#endif
