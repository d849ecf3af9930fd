/*
 * MEM_COMMIT, MEM_RESET, MEM_RESET_UNDO: what happens to pages of a reservation.
 *
 * A commit is charged with the pages that are not committed yet.  How many those are can
 * only be told under the region's lock, and the callbacks that may refuse them run
 * without it.  So the range is counted, the request asked, and the range counted again:
 * if others have changed it meanwhile, the request is asked anew with what is left.  An
 * attempt replaces the one before it, down to 0 bytes.  Holding the lock instead would
 * hang the callback that commits in the same region, and marking the pages as promised
 * would make others wait for a callback that waits for them.
 *
 * Locks: the region's, across the system call.
 */
#include "commit.h"
#include "attempt.h"
#include "calls.h"
#include "gate.h"
#include "os/check.h"
#include "os/container.h"
#include "os/size.h"
#include "protection.h"

#define BAD_ADDRESS HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)

static struct hm_page_run run_at(const struct hm_page_history *self, void *address)
{
	const struct hm_region_history *before =
		hm_const_container_of(self, struct hm_region_history, history);
	uintptr_t at = (uintptr_t)address;
	unsigned code;
	size_t count = hm_states_run(&before->states, hm_pages(at - before->base),
				     hm_pages(self->end - at), &code);

	return (struct hm_page_run){
		.size = hm_bytes(count),
		.committed = code != HM_STATE_RESERVED,
		.access = hm_access_from_code(code),
	};
}

struct hm_region_history hm_region_history(const struct hm_region *region)
{
	return (struct hm_region_history){
		.history = { .run_at = run_at,
			     .start = hm_region_base(region),
			     .end = hm_region_end(region) },
		.states = hm_region_states(region),
		.base = hm_region_base(region),
	};
}

bool hm_region_all_committed(const struct hm_region *region, uintptr_t address,
			     size_t size, unsigned *first, bool *uniform)
{
	struct hm_states_view states = hm_region_states(region);
	size_t page = hm_region_page(region, address);
	size_t end = page + hm_pages(size);
	unsigned code;

	page += hm_states_run(&states, page, end - page, first);
	*uniform = page == end;
	for (code = *first; page < end && code != HM_STATE_RESERVED;)
		page += hm_states_run(&states, page, end - page, &code);
	return code != HM_STATE_RESERVED;
}

bool hm_region_whole_pages(const struct hm_host *host, const struct hm_region *region,
			   uintptr_t address, size_t size)
{
	size_t large;

	if (!(atomic_load_explicit(&region->traits, memory_order_relaxed) &
	      HM_REGION_LARGE))
		return true;
	large = host->pages->large_page_size(host->pages);
	return large != 0 && address % large == 0 && size % large == 0;
}

/* Does it, on a locked region of which `fresh` bytes in the range are not committed yet. */
static HRESULT apply(struct hm_request *request, struct hm_region *region,
		     uintptr_t address, size_t size, unsigned code, size_t fresh)
{
	struct hm_host *host = request->host;
	struct hm_region_history before = hm_region_history(region);
	struct hm_states_change change;
	unsigned first;
	bool uniform;
	HRESULT hr;

	if (hm_region_all_committed(region, address, size, &first, &uniform) && uniform &&
	    first == code)
		return S_OK;
	if (!hm_region_prepare(region, address, size, code, HM_NEED_NORMAL, &change))
		return E_OUTOFMEMORY;
	hr = host->pages->commit(host->pages, (void *)address, size,
				 hm_access_from_code(code), &before.history);
	if (FAILED(hr)) {
		hm_states_abandon(&change);
		return hr;
	}
	hm_prefer_huge(host, address, size);
	hm_figures_commit(&host->figures, (ptrdiff_t)fresh);
	hm_request_settle(request);
	hm_region_publish(region, &change);
	return S_OK;
}

static bool is_too_lax(const struct hm_host *host, const struct hm_allocation *want)
{
	return host->strict_execute && hm_protection_writes_and_executes(want->protect);
}

/* Whose "no" a failed attempt was: the system's, or that of our own rules. */
static HostMemReason reason_of(const struct hm_host *host,
			       const struct hm_allocation *want, HRESULT hr)
{
	if (hr == BAD_ADDRESS || hr == E_INVALIDARG || is_too_lax(host, want))
		return HostMemNoReason;
	return HostMemBySystem;
}

struct commitment {
	struct hm_work work; /* size: bytes that were not committed when last counted */
	const struct hm_allocation *want;
	uintptr_t address;
	size_t bytes;
};

/* S_FALSE if the range needs something else than was asked for. */
static HRESULT commit_locked(struct commitment *self, struct hm_request *request,
			     struct hm_region *region)
{
	struct hm_host *host = request->host;
	size_t fresh;

	if (self->address + self->bytes > hm_region_end(region))
		return BAD_ADDRESS;
	if (!hm_region_whole_pages(host, region, self->address, self->bytes))
		return E_INVALIDARG;
	if (is_too_lax(host, self->want))
		return E_ACCESSDENIED;
	fresh = self->bytes - hm_region_committed(region, self->address, self->bytes);
	if (fresh == self->work.size)
		return apply(request, region, self->address, self->bytes,
			     hm_code_from_protection(self->want->protect), fresh);
	self->work.size = fresh;
	self->work.charge = hm_budget_charges_reserve(&host->budget) ? 0 : fresh;
	return S_FALSE;
}

static HRESULT try_commit(struct commitment *self, struct hm_request *request)
{
	struct hm_region *region = hm_regions_lock_callers(request->host, self->address);
	HRESULT hr;

	if (region == NULL)
		return BAD_ADDRESS;
	hr = commit_locked(self, request, region);
	hm_regions_unlock(region);
	return hr;
}

static HRESULT perform(struct hm_work *work, struct hm_request *request)
{
	struct commitment *self = hm_container_of(work, struct commitment, work);
	HRESULT hr = try_commit(self, request);

	if (hr == E_OUTOFMEMORY && hm_host_relieve(request->host))
		hr = try_commit(self, request);
	work->reason = reason_of(request->host, self->want, hr);
	return hr;
}

bool hm_committed_as(const struct hm_host *host, uintptr_t address, size_t size,
		     DWORD protect)
{
	struct hm_region_view view;
	unsigned code;

	if (!hm_regions_find(address, &view) || view.host != host ||
	    view.phase != HM_REGION_LIVE || size > view.end - address)
		return false;
	return hm_states_run(&view.states, hm_pages(address - view.base), hm_pages(size),
			     &code) == hm_pages(size) &&
	       code == hm_code_from_protection(protect);
}

/*
 * A commit that changes nothing is the most frequent one there is (runtimes do not keep
 * count), so it takes no lock: what is read here stood so at one moment, and that is when
 * the call took place.
 */
static bool is_done(const struct hm_host *host, const struct hm_allocation *want,
		    uintptr_t address, size_t size)
{
	struct hm_region_view view;

	return hm_committed_as(host, address, size, want->protect) &&
	       !is_too_lax(host, want) && hm_regions_find(address, &view) &&
	       !hm_region_is_heaps(view.region);
}

HRESULT hm_commit(struct hm_host *host, const struct hm_allocation *want, void **out)
{
	uintptr_t address = hm_round_down(want->address, HM_PAGE_SIZE);
	struct commitment self = {
		.work = { .perform = perform },
		.want = want,
		.address = address,
		.bytes = hm_round_up(want->address + want->size, HM_PAGE_SIZE) - address,
	};
	struct hm_request request;
	HRESULT hr;

	if (is_done(host, want, address, self.bytes)) {
		*out = (void *)address;
		return S_OK;
	}
	hr = hm_request_open(&request, host, HostMemCommit, want->level, (void *)address);
	if (FAILED(hr))
		return hr;
	hr = hm_request_run(&request, &self.work);
	if (SUCCEEDED(hr))
		*out = (void *)address;
	hm_request_close(&request);
	return hr;
}

HRESULT hm_commit_granted(struct hm_request *request, uintptr_t address, size_t size,
			  DWORD protect)
{
	struct hm_host *host = request->host;
	struct hm_region *region = hm_regions_lock(host, address);
	HRESULT hr;

	hm_assert(region != NULL && address + size <= hm_region_end(region));
	hr = apply(request, region, address, size, hm_code_from_protection(protect),
		   size);
	hm_regions_unlock(region);
	return hr;
}

/* Drops the contents of the committed pages that lie wholly inside. */
static void discard(struct hm_host *host, struct hm_region *region, uintptr_t address,
		    uintptr_t end)
{
	struct hm_states_view states = hm_region_states(region);

	while (address < end) {
		unsigned code;
		size_t size = hm_bytes(hm_states_run(&states,
						     hm_region_page(region, address),
						     hm_pages(end - address), &code));

		if (code != HM_STATE_RESERVED)
			host->pages->discard(host->pages, (void *)address, size);
		address += size;
	}
}

static HRESULT reset_locked(struct hm_host *host, const struct hm_allocation *want,
			    struct hm_region *region)
{
	uintptr_t end = want->address + want->size;
	uint8_t traits = atomic_load_explicit(&region->traits, memory_order_relaxed);
	uintptr_t inner = hm_round_up(want->address, HM_PAGE_SIZE);

	if (end > hm_region_end(region))
		return BAD_ADDRESS;
	if (want->type & MEM_RESET_UNDO)
		return traits & HM_REGION_RESET ? HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)
						: S_OK;
	if (inner >= hm_round_down(end, HM_PAGE_SIZE) || (traits & HM_REGION_LARGE))
		return S_OK;
	atomic_store_explicit(&region->traits, traits | HM_REGION_RESET,
			      memory_order_release);
	discard(host, region, inner, hm_round_down(end, HM_PAGE_SIZE));
	return S_OK;
}

HRESULT hm_reset(struct hm_host *host, const struct hm_allocation *want, void **out)
{
	uintptr_t address = hm_round_down(want->address, HM_PAGE_SIZE);
	struct hm_region *region;
	HRESULT hr = hm_gate_enter_calls(host, HM_IMPATIENT);

	if (FAILED(hr))
		return hr;
	hr = BAD_ADDRESS;
	region = hm_regions_lock_callers(host, address);
	if (region != NULL) {
		hr = reset_locked(host, want, region);
		hm_regions_unlock(region);
	}
	hm_calls_leave();
	if (SUCCEEDED(hr))
		*out = (void *)address;
	return hr;
}
