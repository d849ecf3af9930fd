/*
 * Changing the pages of a reservation in an arena.
 *
 * With guard pages, committing takes guards away, and decommitting and releasing puts them
 * back; the mapping stays as it is, so the kernel's list of mappings does not grow, and its
 * lock is not taken for writing.  Without, the mapping's access is changed, and the
 * contents dropped.
 *
 * Odd granules.  Another access than read-write is a change of the mapping; its granules
 * are marked odd first, and every commit in an odd granule sets the access anew.  The mark
 * also covers what the kernel would not do as usual: no guards on locked pages (mlockall),
 * no room for one more mapping.
 *
 * Locks: none but those inside places.c; the caller has the reservation's.
 */
#include "committing.h"
#include "opening.h"
#include "os/check.h"
#include "shelf.h"

/* Without guards.  Access first: a page that is touched after it was dropped would come
 * back. */
static HRESULT drop(void *start, size_t size)
{
	HRESULT hr = hm_memory_put_back(start, size, HM_ACCESS_NONE);

	if (!hm_memory_drop(start, size))
		return FAILED(hm_memory_blank(start, size)) ? E_FAIL : S_OK;
	return FAILED(hr) ? S_FALSE : S_OK;
}

/* Remembers that there are pages from which the system would not take access. */
static void leave_loose(const struct hm_place *place)
{
	hm_place_set(place, HM_GRANULE_ODD);
	atomic_store_explicit(&place->arena->set->loose, true, memory_order_relaxed);
}

/* Takes contents and access away; S_FALSE: the contents only, see hm_memory_clear. */
static HRESULT shut(struct hm_arena *arena, uintptr_t address, size_t size)
{
	struct hm_place place = hm_place_of(arena, address, size);
	void *start = (void *)address;
	HRESULT hr;

	if (arena->set->guards && SUCCEEDED(hm_memory_guard(start, size))) {
		/* The access that open granules start with, so that mappings merge. */
		if (hm_place_seen(&place) & HM_SOME_ODD)
			(void)hm_memory_put_back(start, size, HM_ACCESS_OPEN);
		return S_OK;
	}
	if (arena->set->guards) {
		hm_place_set(&place, HM_GRANULE_ODD);
		hr = hm_memory_clear(start, size);
	} else {
		hr = drop(start, size);
	}
	if (hr == S_FALSE)
		leave_loose(&place);
	return hr;
}

/* Undoes a change that stopped half-way. */
static HRESULT restore(struct hm_arena *arena, uintptr_t address, size_t size,
		       const struct hm_page_history *before)
{
	while (size != 0) {
		struct hm_page_run run = before->run_at(before, (void *)address);
		HRESULT hr;

		hm_assert(run.size != 0);
		run.size = hm_min(run.size, size);
		hr = run.committed
			     ? hm_memory_put_back((void *)address, run.size, run.access)
			     : shut(arena, address, run.size);
		/* What decommit could not take access away from is as it was. */
		if (FAILED(hr))
			return E_FAIL;
		address += run.size;
		size -= run.size;
	}
	return S_OK;
}

/* Whether the mapping has to be changed for pages of a place to get the access. */
static bool needs_access(const struct hm_place *place, unsigned access)
{
	return !place->arena->set->guards || access != HM_ACCESS_OPEN ||
	       (hm_place_seen(place) & HM_SOME_ODD);
}

static HRESULT change_access(const struct hm_place *place, uintptr_t address, size_t size,
			     unsigned access)
{
	if (!needs_access(place, access))
		return S_OK;
	if (place->arena->set->guards)
		hm_place_set(place, HM_GRANULE_ODD);
	return hm_memory_protect((void *)address, size, access);
}

HRESULT hm_commit_in(struct hm_arena *arena, uintptr_t address, size_t size,
		     unsigned access, const struct hm_page_history *before)
{
	struct hm_place place = hm_place_of(arena, address, size);
	HRESULT hr = S_OK;

	if (hm_place_seen(&place) & HM_SOME_BLANK)
		hr = hm_open(arena, address, size, before->start, before->end);
	if (atomic_load_explicit(&arena->set->loose, memory_order_relaxed))
		hm_pages_drop_uncommitted((void *)address, size, before);
	if (SUCCEEDED(hr))
		hr = change_access(&place, address, size, access);
	if (SUCCEEDED(hr) && arena->set->guards)
		hr = hm_memory_unguard((void *)address, size);
	if (SUCCEEDED(hr))
		return S_OK;
	return FAILED(restore(arena, address, size, before)) ? E_FAIL : hr;
}

HRESULT hm_protect_in(struct hm_arena *arena, uintptr_t address, size_t size,
		      unsigned access, const struct hm_page_history *before)
{
	struct hm_place place = hm_place_of(arena, address, size);
	struct hm_place whole = hm_place_whole(arena, address, size, before->start,
					       before->end);
	HRESULT hr;

	/* Only what has had another access comes back to this one. */
	if (access == HM_ACCESS_OPEN && whole.count == place.count &&
	    (hm_place_seen(&place) & HM_SOME_ODD))
		hm_set_apart(&place);
	hr = change_access(&place, address, size, access);
	if (FAILED(hr) && FAILED(restore(arena, address, size, before)))
		return E_FAIL;
	return hr;
}

/* ---- Giving back ---- */

/* The reservation that a range is cut out of. */
struct bounds {
	uintptr_t start, end;
};

/* Shuts all from the first to the last committed page; without a history, all. */
static HRESULT shut_committed(struct hm_arena *arena, uintptr_t address, size_t size,
			      const struct hm_page_history *before)
{
	uintptr_t end = address + size, first = end, last = address;

	if (before == NULL)
		return shut(arena, address, size);
	while (address < end) {
		struct hm_page_run run = before->run_at(before, (void *)address);
		size_t part = hm_min(run.size, end - address);

		if (run.committed && first == end)
			first = address;
		address += part;
		if (run.committed)
			last = address;
	}
	return first < last ? shut(arena, first, last - first) : S_OK;
}

/* Closes the granules that are whole, if they are many, and shuts what is beside them. */
static HRESULT close_or_shut(struct hm_arena *arena, uintptr_t address, size_t size,
			     struct bounds bounds, const struct hm_page_history *before)
{
	struct hm_place whole = hm_place_whole(arena, address, size, bounds.start,
					       bounds.end);
	uintptr_t low = hm_place_start(&whole), high = low + hm_place_size(&whole);
	HRESULT below = S_OK, above = S_OK;

	if (whole.count < HM_MANY || !hm_close(&whole))
		return shut_committed(arena, address, size, before);
	if (address < low)
		below = shut_committed(arena, address, low - address, before);
	if (high < address + size)
		above = shut_committed(arena, high, address + size - high, before);
	return below == S_OK ? above : below;
}

HRESULT hm_decommit_in(struct hm_arena *arena, uintptr_t address, size_t size,
		       const struct hm_page_history *before)
{
	struct bounds bounds = { before->start, before->end };
	HRESULT hr = close_or_shut(arena, address, size, bounds, before);

	hm_make_untidy(arena->set);
	return FAILED(hr) ? E_FAIL : S_OK;
}

/*
 * Makes odd granules ordinary again; where the system will not, they stay odd.  A page
 * that was never committed may have no guard yet, only no access.
 */
static void straighten(struct hm_arena *arena, uintptr_t address, size_t size,
		       struct bounds bounds)
{
	struct hm_place whole = hm_place_whole(arena, address, size, bounds.start,
					       bounds.end);
	void *start = (void *)hm_place_start(&whole);

	if (whole.count == 0 || !(hm_place_seen(&whole) & HM_SOME_ODD))
		return;
	hm_rejoin(&whole);
	if (SUCCEEDED(hm_memory_guard(start, hm_place_size(&whole))) &&
	    SUCCEEDED(hm_memory_put_back(start, hm_place_size(&whole), HM_ACCESS_OPEN)))
		hm_place_set(&whole, HM_GRANULE_OPEN);
}

/* Whether a reservation has its granules to itself. */
static bool is_alone(const struct hm_place *place, uintptr_t address)
{
	return address % HM_GRANULE_SIZE == 0 &&
	       !hm_place_is_shared(place->arena, place->first) &&
	       !hm_place_is_shared(place->arena, place->first + place->count - 1);
}

/* Takes contents and access from what is left of a reservation. */
static HRESULT empty(const struct hm_place *place, uintptr_t address, size_t size,
		     const struct hm_page_history *before)
{
	struct bounds bounds = { address, address + size };
	unsigned seen = hm_place_seen(place);
	HRESULT hr;

	if (!(seen & HM_SOME_OPEN))
		return S_OK;
	/* Among odd granules may be pages that a decommit could not take access from. */
	hr = close_or_shut(place->arena, address, size, bounds,
			   seen & HM_SOME_ODD ? NULL : before);
	hm_make_untidy(place->arena->set);
	/* Contents that stay wait with their addresses. */
	if (FAILED(hr))
		return S_FALSE;
	if (hr == S_OK && place->arena->set->guards)
		straighten(place->arena, address, size, bounds);
	return hr;
}

HRESULT hm_release_in(struct hm_arena *arena, uintptr_t address, size_t size,
		      const struct hm_page_history *before)
{
	struct hm_place place = hm_place_of(arena, address, size);
	HRESULT hr = empty(&place, address, size, before);

	if (hr != S_OK || (is_alone(&place, address) && hm_shelf_put(&place)))
		return hr;
	hm_leave(arena, address, size, address, address + size, false);
	return S_OK;
}
