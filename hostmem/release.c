/*
 * Giving memory back: decommit, release, and release of a part.
 *
 * A region that is released first becomes LEAVING: from that moment it is free for
 * everybody who looks, while the record still keeps the addresses from being taken for
 * foreign memory.  Then the system takes them back, and the record goes.  Since the
 * system may hand them out again at once, whoever is given them may take the record out
 * before we do.
 *
 * A part is released by splitting: what is right of it becomes a region of its own, the
 * hole becomes a region that is leaving, and the old one is cut off in front of it.  Each
 * of these is one store for a reader, in an order in which every address always has its
 * answer.  All that can fail comes before the first of them.
 *
 * What the system cannot take back (it has no room to split a mapping) is parked, and the
 * caller's release has succeeded: memory is never kept because it could not be freed.
 *
 * Those who wait for memory are offered what has come back after the callbacks have heard
 * of it, so that a log tells of the release before it tells of what became possible by it.
 *
 * Locks: the region's, across the system call; callbacks after it.
 */
#include "release.h"
#include "announce.h"
#include "arenapages.h"
#include "calls.h"
#include "commit.h"
#include "gate.h"
#include "os/check.h"
#include "os/size.h"
#include "parked.h"
#include "regions.h"
#include "tidy.h"

#define NOT_AT_BASE HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)

/* Takes off the books what goes, and returns how much of it was charged. */
static size_t uncount(struct hm_host *host, size_t committed, size_t reserved)
{
	size_t charged = hm_budget_charges_reserve(&host->budget) ? reserved : committed;

	if (committed != 0)
		hm_figures_commit(&host->figures, -(ptrdiff_t)committed);
	if (charged != 0)
		hm_budget_refund(&host->budget, charged);
	return charged;
}

/* A host that has given everything back is at rest; there is time to tidy up after it. */
static void tidy_at_rest(const struct hm_host *host)
{
	if (atomic_load_explicit(&host->budget.charged, memory_order_relaxed) == 0)
		hm_tidy_at_rest(host->pages);
}

static void after_giving_back(const struct hm_host *host)
{
	hm_unpark(host->pages);
	tidy_at_rest(host);
}

static bool is_at_base(const struct hm_region *region, uintptr_t address)
{
	return hm_round_down(address, HM_PAGE_SIZE) == hm_region_base(region);
}

static HRESULT decommit_locked(struct hm_host *host, struct hm_region *region,
			       uintptr_t address, size_t size, size_t *freed)
{
	struct hm_region_history before = hm_region_history(region);
	struct hm_states_change change;
	size_t committed;
	HRESULT hr;

	if (address + size > hm_region_end(region) ||
	    !hm_region_whole_pages(host, region, address, size))
		return E_INVALIDARG;
	committed = hm_region_committed(region, address, size);
	if (committed == 0)
		return S_OK;
	if (!hm_region_prepare(region, address, size, HM_STATE_RESERVED, HM_NEED_TO_FREE,
			       &change))
		return E_OUTOFMEMORY;
	hr = host->pages->decommit(host->pages, (void *)address, size, &before.history);
	if (FAILED(hr)) {
		hm_states_abandon(&change);
		return hr;
	}
	hm_region_publish(region, &change);
	*freed = uncount(host, committed, 0);
	return S_OK;
}

HRESULT hm_decommit(struct hm_host *host, uintptr_t address, size_t size)
{
	uintptr_t start = hm_round_down(address, HM_PAGE_SIZE);
	size_t bytes = hm_round_up(address + size, HM_PAGE_SIZE) - start;
	struct hm_request request;
	struct hm_region *region;
	size_t freed = 0;
	HRESULT hr = hm_request_open_free(&request, host, HostMemDecommit);

	if (FAILED(hr))
		return hr;
	region = hm_regions_lock_callers(host, address);
	if (region == NULL) {
		hr = HOST_E_INVALIDOPERATION;
	} else {
		if (size == 0)
			bytes = hm_region_end(region) - hm_region_base(region);
		if (size == 0 && !is_at_base(region, address))
			hr = NOT_AT_BASE;
		else
			hr = decommit_locked(host, region, start, bytes, &freed);
		hm_regions_unlock(region);
	}
	if (freed != 0)
		tidy_at_rest(host);
	hm_calls_leave();
	hr = hm_host_result(host, hr);
	hm_announce_free(&request, HostMemDecommit, (void *)start, freed);
	hm_host_offer(host, HM_OFFER_MEMORY);
	hm_request_close(&request);
	return hr;
}

/*
 * Whether what is released is worth keeping: a whole region, all of it committed read-write,
 * in ordinary granules.
 */
static bool is_retainable(const struct hm_host *host, uintptr_t base, size_t size,
			  const struct hm_region_history *before)
{
	struct hm_page_run run;

	if (!hm_retained_wants(&host->retained, size))
		return false;
	run = before->history.run_at(&before->history, (void *)base);
	return run.size == size && run.committed &&
	       run.access == (HM_ACCESS_READ | HM_ACCESS_WRITE) &&
	       hm_pages_are_ordinary(host->pages, base, size);
}

/* What is kept: its record goes, its pages stay. */
static HRESULT retain(struct hm_host *host, struct hm_region *region, uintptr_t base,
		      size_t size)
{
	struct hm_region_ticket ticket = { region, hm_region_version(region) };

	hm_regions_remove(&ticket);
	hm_retained_put(&host->retained, host->pages, base, size);
	return S_OK;
}

/* The last of a LEAVING region: the system takes the addresses, the record goes. */
static HRESULT leave(struct hm_host *host, struct hm_region *region, uintptr_t base,
		     size_t size, const struct hm_region_history *before)
{
	struct hm_region_ticket ticket = { region, hm_region_version(region) };
	HRESULT hr;

	hr = host->pages->release(host->pages, (void *)base, size, &before->history);
	if (hr == S_OK)
		hm_regions_remove(&ticket);
	else
		hm_park(region);
	return FAILED(hr) ? hr : S_OK;
}

static HRESULT release_locked(struct hm_host *host, struct hm_region *region,
			      size_t *freed)
{
	struct hm_region_history before = hm_region_history(region);
	uintptr_t base = hm_region_base(region);
	size_t size = hm_region_end(region) - base;
	size_t committed = hm_region_committed(region, base, size);
	HRESULT hr;

	hm_region_set_phase(region, HM_REGION_LEAVING);
	*freed = uncount(host, committed, size);
	hm_figures_reserve(&host->figures, -(ptrdiff_t)size, -1);
	hr = is_retainable(host, base, size, &before)
		     ? retain(host, region, base, size)
		     : leave(host, region, base, size, &before);
	hm_states_free(before.states.root, before.states.levels);
	return hr;
}

/* *base and *freed are for those who listen. */
static HRESULT release_at(struct hm_host *host, uintptr_t address, uintptr_t *base,
			  size_t *freed)
{
	struct hm_region *region;
	HRESULT hr = hm_gate_enter_calls(host, HM_PATIENT);

	if (FAILED(hr))
		return hr;
	hr = HOST_E_INVALIDOPERATION;
	region = hm_regions_lock_callers(host, address);
	if (region != NULL) {
		*base = hm_region_base(region);
		hr = is_at_base(region, address) ? release_locked(host, region, freed)
						 : NOT_AT_BASE;
		hm_regions_unlock(region);
	}
	if (SUCCEEDED(hr))
		after_giving_back(host);
	hm_calls_leave();
	return hm_host_result(host, hr);
}

HRESULT hm_release(struct hm_host *host, uintptr_t address)
{
	struct hm_request request;
	uintptr_t base = 0;
	size_t freed = 0;
	HRESULT hr;

	if (!hm_events_wanted(&host->events)) {
		hr = release_at(host, address, &base, &freed);
		hm_host_offer(host, HM_OFFER_MEMORY);
		return hr;
	}
	hr = hm_request_open(&request, host, HostMemRelease, eTaskCritical, NULL);
	if (FAILED(hr))
		return hr;
	hr = release_at(host, address, &base, &freed);
	hm_announce_free(&request, HostMemRelease, (void *)base, freed);
	hm_host_offer(host, HM_OFFER_MEMORY);
	hm_request_close(&request);
	return hr;
}

HRESULT hm_release_heaps(struct hm_host *host, uintptr_t base, size_t *freed)
{
	struct hm_region *region = hm_regions_lock(host, base);
	HRESULT hr;

	hm_assert(region != NULL && hm_region_is_heaps(region));
	hr = release_locked(host, region, freed);
	hm_regions_unlock(region);
	if (SUCCEEDED(hr))
		after_giving_back(host);
	return hr;
}

HRESULT hm_decommit_heaps(struct hm_host *host, uintptr_t base, size_t kept,
			  size_t *freed)
{
	struct hm_region *region = hm_regions_lock(host, base);
	HRESULT hr;

	hm_assert(region != NULL && hm_region_is_heaps(region));
	hr = decommit_locked(host, region, base + kept,
			     hm_region_end(region) - base - kept, freed);
	hm_regions_unlock(region);
	return hr;
}

/* What a part of a region inherits. */
static struct hm_region_fields part_of(const struct hm_region *region,
				       struct hm_host *host, uintptr_t base,
				       uintptr_t end)
{
	return (struct hm_region_fields){
		.host = host,
		.base = base,
		.end = end,
		.states = hm_states_uniform(hm_states_levels(hm_pages(end - base)),
					    HM_STATE_RESERVED),
		.protection = atomic_load_explicit(&region->protection,
						   memory_order_relaxed),
		.traits = atomic_load_explicit(&region->traits, memory_order_relaxed),
	};
}

/*
 * Splits the region so that the hole has a record of its own, which is leaving.  Where
 * nothing remains on the left, the old record itself becomes the hole's.
 */
static HRESULT split(struct hm_host *host, struct hm_region *region, uintptr_t address,
		     size_t size, struct hm_region **hole)
{
	uintptr_t base = hm_region_base(region), end = hm_region_end(region);
	uintptr_t behind = address + size;
	struct hm_region_fields hole_fields = part_of(region, host, address, behind);
	struct hm_region_fields right = part_of(region, host, behind, end);
	struct hm_states_view states = hm_region_states(region);
	HRESULT hr;

	if (behind != end &&
	    !hm_states_extract(states.root, states.levels, hm_region_page(region, behind),
			       hm_pages(end - behind), &right.states))
		return E_OUTOFMEMORY;
	right.phase = HM_REGION_LIVE;
	hole_fields.phase = HM_REGION_LEAVING;
	/* At the front the old record is cut down to the hole, and what is left moves out. */
	if (address == base)
		hr = hm_regions_split(region, HM_REGION_LEAVING, &right, NULL, hole);
	else
		hr = hm_regions_split(region, HM_REGION_LIVE, &hole_fields,
				      behind != end ? &right : NULL, hole);
	if (FAILED(hr) && behind != end)
		hm_states_free(right.states, hm_states_levels(hm_pages(end - behind)));
	if (SUCCEEDED(hr) && address == base)
		*hole = region;
	return hr;
}

static HRESULT release_part_locked(struct hm_host *host, struct hm_region *region,
				   uintptr_t address, size_t size, size_t *freed)
{
	struct hm_region_history before = hm_region_history(region);
	size_t committed = hm_region_committed(region, address, size);
	bool in_the_middle = address != hm_region_base(region) &&
			     address + size != hm_region_end(region);
	struct hm_region *hole;
	HRESULT hr;

	host->pages->divide(host->pages, (void *)address, size, &before.history);
	hr = split(host, region, address, size, &hole);
	if (FAILED(hr)) {
		host->pages->unite(host->pages, (void *)address, size, &before.history);
		return hr;
	}
	*freed = uncount(host, committed, size);
	hm_figures_reserve(&host->figures, -(ptrdiff_t)size, in_the_middle ? 1 : 0);
	/* The hole is a reservation of its own now, with the pages that it had. */
	before.history.start = address;
	before.history.end = address + size;
	hr = leave(host, hole, address, size, &before);
	/* At the front it is the old record that leaves, with its states. */
	if (hole == region)
		hm_states_free(before.states.root, before.states.levels);
	return hr;
}

HRESULT hm_release_range(struct hm_host *host, uintptr_t address, size_t size)
{
	size_t bytes = hm_round_up(size, HM_PAGE_SIZE);
	struct hm_request request;
	struct hm_region *region;
	size_t freed = 0;
	HRESULT hr = hm_request_open_free(&request, host, HostMemRelease);

	if (FAILED(hr))
		return hr;
	region = hm_regions_lock_callers(host, address);
	if (region == NULL) {
		hr = HOST_E_INVALIDOPERATION;
	} else {
		uintptr_t end = hm_region_end(region);

		if (bytes > end - address ||
		    !hm_region_whole_pages(host, region, address, bytes))
			hr = E_INVALIDARG;
		else if (address == hm_region_base(region) && address + bytes == end)
			hr = release_locked(host, region, &freed);
		else
			hr = release_part_locked(host, region, address, bytes, &freed);
		hm_regions_unlock(region);
	}
	if (SUCCEEDED(hr))
		after_giving_back(host);
	hm_calls_leave();
	hr = hm_host_result(host, hr);
	hm_announce_free(&request, HostMemRelease, (void *)address, freed);
	hm_host_offer(host, HM_OFFER_MEMORY);
	hm_request_close(&request);
	return hr;
}

static void release_regions(struct hm_host *host, struct hm_request *request)
{
	struct hm_region_view view;
	uintptr_t at = 0;

	while (hm_regions_next(at, &view)) {
		struct hm_region *region = NULL;
		size_t freed = 0;

		at = view.base + HM_PAGE_SIZE;
		hm_calls_enter();
		if (view.host == host)
			region = hm_regions_lock(host, view.base);
		if (region != NULL) {
			(void)release_locked(host, region, &freed);
			hm_regions_unlock(region);
		}
		hm_calls_leave();
		hm_request_renew(request);
		hm_announce_free(request, HostMemRelease, (void *)view.base, freed);
	}
}

void hm_release_everything(struct hm_host *host, struct hm_request *request)
{
	uintptr_t start;
	size_t size;
	bool more;

	release_regions(host, request);
	do {
		hm_calls_enter();
		more = hm_external_pop(&host->external, &host->budget, &start, &size);
		hm_calls_leave();
		hm_request_renew(request);
		if (more)
			hm_announce_free(request, HostMemMapping, (void *)start, size);
	} while (more);
	hm_calls_enter();
	after_giving_back(host);
	hm_calls_leave();
}
