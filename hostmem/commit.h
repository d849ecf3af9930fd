#ifndef HOSTMEM_COMMIT_H
#define HOSTMEM_COMMIT_H

#include "regions.h"
#include "request.h"
#include "reserve.h"

/*
 * MEM_COMMIT at an address.
 *
 *   HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)  not wholly in one reservation of the host
 *   E_ACCESSDENIED                             strict, or the system's policy
 *   E_INVALIDARG                               part of a large page
 *   E_OUTOFMEMORY, HOST_E_ABANDONED            see request.h
 */
HRESULT hm_commit(struct hm_host *host, const struct hm_allocation *want, void **out);

/*
 * The system's part of a commit of pages, none of which is committed, in a reservation of
 * the host's own; for `perform` of a request.  What is pending is settled.  E_OUTOFMEMORY,
 * E_ACCESSDENIED, E_FAIL.
 */
HRESULT hm_commit_granted(struct hm_request *request, uintptr_t address, size_t size,
			  DWORD protect);

/* Whether all of a range is committed with that protection; at one moment, without a lock. */
bool hm_committed_as(const struct hm_host *host, uintptr_t address, size_t size,
		     DWORD protect);

/*
 * MEM_RESET and MEM_RESET_UNDO.
 *
 *   HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)  not wholly in one reservation of the host
 *   HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)    UNDO, and contents may be gone
 */
HRESULT hm_reset(struct hm_host *host, const struct hm_allocation *want, void **out);

/* The runs of a locked region as they are now; holds until its states are freed. */
struct hm_region_history {
	struct hm_page_history history;
	struct hm_states_view states;
	uintptr_t base; /* of the first state */
};
struct hm_region_history hm_region_history(const struct hm_region *region);

/*
 * Whether every page of the range is committed; *first is the code of the first, and
 * *uniform tells whether all have it.  The region is locked.
 */
bool hm_region_all_committed(const struct hm_region *region, uintptr_t address,
			     size_t size, unsigned *first, bool *uniform);

/* Whether a range of a region of large pages is made of whole ones. */
bool hm_region_whole_pages(const struct hm_host *host, const struct hm_region *region,
			   uintptr_t address, size_t size);

#endif
