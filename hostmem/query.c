/*
 * VirtualQuery and the walk over a host's regions.
 *
 * A collector asks while it holds other threads still, and one of those may be inside us
 * with any lock: so nothing here takes one, as long as the memory is ours.  A view of a
 * region is read, the run is measured against it, and if the region's version has moved
 * meanwhile it is all read again; it only moves when somebody else got something done.
 *
 * Foreign memory is asked of the system, and asked again if the map of regions has
 * changed meanwhile: what was mapped when the system answered may have been ours.
 */
#include "query.h"
#include "calls.h"
#include "foreign.h"
#include "os/size.h"
#include "protection.h"
#include "regions.h"

#include <string.h>

#define MOST_ATTEMPTS 100U

/* The run at a page of a region as it was viewed; false if the view is out of date. */
static bool describe(const struct hm_region_view *view, uintptr_t page,
		     MEMORY_BASIC_INFORMATION *out)
{
	unsigned code = HM_STATE_RESERVED;
	size_t count = hm_states_run(&view->states, hm_pages(page - view->base),
				     hm_pages(view->end - page), &code);

	if (count == 0)
		return false;
	memset(out, 0, sizeof(*out));
	out->BaseAddress = (void *)page;
	out->AllocationBase = (void *)view->base;
	out->AllocationProtect = view->protection;
	out->RegionSize = hm_bytes(count);
	out->Type = MEM_PRIVATE;
	out->State = MEM_RESERVE;
	if (code != HM_STATE_RESERVED) {
		out->State = MEM_COMMIT;
		out->Protect = hm_protection_from_code(code) |
			       hm_protection_sticky(view->protection);
	}
	return true;
}

/* Whether the page is the host's; then *out tells its run. */
static bool query_own(const struct hm_host *host, uintptr_t page,
		      MEMORY_BASIC_INFORMATION *out)
{
	struct hm_region_view view;

	while (hm_regions_find(page, &view)) {
		if (view.host != host || view.phase != HM_REGION_LIVE)
			return false;
		if (describe(&view, page, out))
			return true;
	}
	return false;
}

/*
 * What the system says of a page, unless regions have come or gone meanwhile: then it may
 * have spoken of one of ours.  S_FALSE: ask again.
 */
static HRESULT query_foreign(const struct hm_host *host, uintptr_t page,
			     MEMORY_BASIC_INFORMATION *out)
{
	uint64_t changes = hm_regions_changes();
	HRESULT hr;

	hm_calls_enter();
	hr = hm_foreign_query(host, page, out);
	hm_calls_leave();
	return hr == S_OK && hm_regions_changes() != changes ? S_FALSE : hr;
}

HRESULT hm_query(const struct hm_host *host, uintptr_t address,
		 MEMORY_BASIC_INFORMATION *out)
{
	uintptr_t page = hm_round_down(address, HM_PAGE_SIZE);
	MEMORY_BASIC_INFORMATION foreign;
	HRESULT hr = S_FALSE;

	/* Where regions come and go without end, the last answer must do. */
	for (unsigned i = 0; i < MOST_ATTEMPTS && hr == S_FALSE; i++) {
		if (query_own(host, page, out))
			return S_OK;
		hr = query_foreign(host, page, &foreign);
	}
	if (query_own(host, page, out))
		return S_OK;
	if (FAILED(hr))
		return hr;
	*out = foreign;
	return S_OK;
}

void hm_walk(const struct hm_host *host, HostMemRegionCallback callback, void *state)
{
	struct hm_region_view view;
	uintptr_t at = 0;

	while (hm_regions_next(at, &view)) {
		uintptr_t page = view.base;

		at = view.base + HM_PAGE_SIZE;
		while (page < view.end && view.host == host) {
			MEMORY_BASIC_INFORMATION run;

			if (!query_own(host, page, &run) ||
			    (uintptr_t)run.AllocationBase != view.base)
				break;
			if (!callback(state, &run))
				return;
			page += run.RegionSize;
		}
	}
}
