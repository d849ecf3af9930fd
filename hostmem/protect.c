/*
 * VirtualProtect, and the faults of guarded pages.
 *
 * A guarded page is committed memory without access.  Whoever touches it faults; the
 * program's handler asks us; the guard goes, the page gets the access it has beside the
 * guard, and the instruction runs again.  A second thread that faulted on the same page
 * finds the guard gone: that is "look again" too, because the access is allowed now.  But
 * an instruction fetch from a readable page looks the same to us, and must not be
 * retried for ever; so a thread that comes back with the same address again and again is
 * told that it is not ours.
 *
 * The handler must not wait, so it only tries the region's lock.  Where another thread
 * has it, "look again" is true as well: the fault comes back until the lock is free.
 *
 * Locks: the region's, across the system call.
 */
#include "protect.h"
#include "calls.h"
#include "commit.h"
#include "foreign.h"
#include "gate.h"
#include "os/size.h"
#include "os/thread.h"
#include "protection.h"
#include "regions.h"

#define BAD_ADDRESS HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)

/* As often as this a fault may find its page accessible before it is not believed. */
#define MOST_LATE 64U

static HM_THREAD_LOCAL struct {
	uintptr_t page;
	uint64_t version; /* of the region: another guard may have been set since */
	unsigned count;
} late;

static HRESULT protect_locked(struct hm_host *host, struct hm_region *region,
			      uintptr_t address, size_t size, DWORD protect, DWORD *old)
{
	struct hm_region_history before = hm_region_history(region);
	unsigned code = hm_code_from_protection(protect);
	struct hm_states_change change;
	unsigned first;
	bool uniform;
	HRESULT hr;

	if (address + size > hm_region_end(region) ||
	    !hm_region_all_committed(region, address, size, &first, &uniform))
		return BAD_ADDRESS;
	if (!hm_region_whole_pages(host, region, address, size))
		return E_INVALIDARG;
	if (host->strict_execute && hm_protection_writes_and_executes(protect))
		return E_ACCESSDENIED;
	if (!uniform || first != code) {
		if (!hm_region_prepare(region, address, size, code, HM_NEED_NORMAL,
				       &change))
			return E_OUTOFMEMORY;
		hr = host->pages->protect(host->pages, (void *)address, size,
					  hm_access_from_code(code), &before.history);
		if (FAILED(hr)) {
			hm_states_abandon(&change);
			return hr;
		}
		hm_region_publish(region, &change);
	}
	*old = hm_protection_from_code(first) |
	       hm_protection_sticky(
		       atomic_load_explicit(&region->protection, memory_order_relaxed));
	return S_OK;
}

/* Once more, after what was held ready for later has been given back. */
static HRESULT protect_again(struct hm_host *host, uintptr_t start, size_t size,
			     DWORD protect, DWORD *old)
{
	struct hm_region *region = hm_regions_lock(host, start);
	HRESULT hr = BAD_ADDRESS;

	if (region != NULL) {
		hr = protect_locked(host, region, start, size, protect, old);
		hm_regions_unlock(region);
	}
	return hr;
}

HRESULT hm_protect(struct hm_host *host, uintptr_t address, size_t size, DWORD protect,
		   DWORD *old)
{
	uintptr_t start = hm_round_down(address, HM_PAGE_SIZE);
	size_t bytes = hm_round_up(address + size, HM_PAGE_SIZE) - start;
	struct hm_region *region;
	HRESULT hr = hm_gate_enter_calls(host, HM_IMPATIENT);

	if (FAILED(hr))
		return hr;
	region = hm_regions_lock(host, start);
	if (region != NULL) {
		hr = protect_locked(host, region, start, bytes, protect, old);
		hm_regions_unlock(region);
		if (hr == E_OUTOFMEMORY && hm_host_relieve(host))
			hr = protect_again(host, start, bytes, protect, old);
	} else if (host->strict_execute && hm_protection_writes_and_executes(protect)) {
		hr = E_ACCESSDENIED;
	} else {
		hr = hm_foreign_protect(start, bytes, protect, old);
	}
	hm_calls_leave();
	if (hr == E_OUTOFMEMORY)
		atomic_fetch_add_explicit(&host->failed_os, 1, memory_order_relaxed);
	return hm_host_result(host, hr);
}

/* A fault on a page that is accessible now: true while it may be a late one. */
static bool may_be_late(const struct hm_region *region, uintptr_t page)
{
	uint64_t version = hm_region_version(region);

	if (late.page != page || late.version != version) {
		late.page = page;
		late.version = version;
		late.count = 0;
	}
	return ++late.count <= MOST_LATE;
}

static HRESULT fault_locked(struct hm_region *region, uintptr_t page, bool write)
{
	struct hm_states_view states = hm_region_states(region);
	size_t number = hm_region_page(region, page);
	const struct hm_page_source *pages = hm_region_host(region)->pages;
	struct hm_region_history before = hm_region_history(region);
	unsigned code, access;

	(void)hm_states_run(&states, number, 1, &code);
	if (code == HM_STATE_RESERVED)
		return S_FALSE;
	access = hm_access_from_code(code & ~HM_STATE_GUARD);
	if (!(code & HM_STATE_GUARD)) {
		if (!(access &
		      (write ? HM_ACCESS_WRITE : HM_ACCESS_READ | HM_ACCESS_EXECUTE)))
			return S_FALSE;
		return may_be_late(region, page) ? S_OK : S_FALSE;
	}
	if (FAILED(pages->protect(pages, (void *)page, HM_PAGE_SIZE, access,
				  &before.history)))
		return S_FALSE;
	(void)hm_states_clear_guard(&region->states, states.levels, number);
	late.page = 0;
	return S_OK;
}

HRESULT hm_handle_fault(uintptr_t address, bool write)
{
	uintptr_t page = hm_round_down(address, HM_PAGE_SIZE);
	struct hm_region *region;
	HRESULT hr;
	bool busy;

	if (!hm_calls_try_enter())
		return S_OK;
	region = hm_regions_try_lock(page, &busy);
	if (region == NULL) {
		hr = busy ? S_OK : S_FALSE;
	} else {
		hr = fault_locked(region, page, write);
		hm_regions_unlock(region);
	}
	hm_calls_leave();
	return hr;
}
