/*
 * Tidying: a walk over what is open in the arenas.
 *
 * Free extents are taken, closed and given back.  A region is locked, as for any change of
 * its pages, and closed if nothing in it is committed, else window by window.  One region
 * at a time, so nobody waits longer than for any other change.
 *
 * Small regions that are open side by side are one mapping however many they are, and
 * closing them would take a call for each.  So at rest those are left alone where they are
 * thousands; only who is short of something closes them too.
 *
 * A list of what has become idle was the alternative.  It would have to be kept at each
 * decommit, which is what has to be fast, for the sake of moments that are rare.
 *
 * Locks: the arena's for taking and giving; the region's across the system call.
 */
#include "tidy.h"
#include "arenapages.h"
#include "opening.h"
#include "regions.h"
#include "shelf.h"

/* Fewer are not worth the walk: each is a mapping or two. */
#define FEW 3U

/* Granules of a run that is too long to be closed one by one: 256 MiB. */
#define LONG 4096U

static bool is_idle(const struct hm_region *region, uintptr_t start, uintptr_t end)
{
	uintptr_t stop = hm_min(end, hm_region_end(region));

	start = hm_max(start, hm_region_base(region));
	return hm_region_committed(region, start, stop - start) == 0;
}

/* Closes the granules of one window, which all are the region's, if they are idle. */
static bool close_window(const struct hm_region *region, struct hm_place *rest)
{
	struct hm_place place = *rest;
	uint32_t left = HM_WINDOW - place.first % HM_WINDOW;
	enum hm_granule_state state;
	uintptr_t start;

	place.count = (uint32_t)hm_min(left, place.count);
	place = hm_place_next_run(&place, &state);
	rest->first += place.count;
	rest->count -= place.count;
	if (state == HM_GRANULE_BLANK)
		return false;
	start = hm_place_start(&place);
	return is_idle(region, start, start + hm_place_size(&place)) && hm_close(&place);
}

static bool close_region(const struct hm_region *region)
{
	uintptr_t base = hm_region_base(region), end = hm_region_end(region);
	struct hm_arena *arena = hm_arena_of(base);
	struct hm_place rest;
	bool any = false;

	if (arena == NULL)
		return false;
	rest = hm_place_whole(arena, base, end - base, base, end);
	if (rest.count == 0 || !(hm_place_seen(&rest) & HM_SOME_OPEN))
		return false;
	if (is_idle(region, base, end))
		return hm_close(&rest);
	while (rest.count != 0)
		any |= close_window(region, &rest);
	return any;
}

static bool lock_and_close(const struct hm_region_view *view)
{
	struct hm_region *region = hm_regions_lock(view->host, view->base);
	bool any;

	if (region == NULL)
		return false;
	any = close_region(region);
	hm_regions_unlock(region);
	return any;
}

/* Closes the free extent at a granule; the granule behind it, or behind `granule` if
 * there is none. */
static uint32_t close_free(struct hm_arena *arena, uint32_t granule, bool *any)
{
	struct hm_place place;

	if (!hm_place_take_open(arena, granule, &place))
		return granule + 1;
	*any |= hm_close(&place);
	hm_place_give(&place, NULL);
	return place.first <= granule ? place.first + place.count : granule + 1;
}

/* What is open from granule `at` on, at least one of them; where to go on. */
static uint32_t close_next(struct hm_arena *arena, uint32_t at, bool *any)
{
	uintptr_t address = hm_arena_address(arena, at);
	struct hm_region_view view;

	if (!hm_regions_find(address, &view))
		return close_free(arena, at, any);
	if (view.phase == HM_REGION_LIVE)
		*any |= lock_and_close(&view);
	/* It may have been another one when it was looked up. */
	return (uint32_t)hm_max(at + 1, hm_arena_granule(arena, view.end - 1) + 1);
}

/* Whether small regions lie at a granule, or may: closing a part of what is open there
 * would make two mappings of one. */
static bool is_small(const struct hm_arena *arena, uint32_t granule)
{
	struct hm_region_view view;

	return hm_regions_find(hm_arena_address(arena, granule), &view) &&
	       view.end - view.base < HM_WINDOW << HM_GRANULE_SHIFT;
}

static bool tidy_arena(struct hm_arena *arena, bool at_rest)
{
	uintptr_t base = arena->base, end = arena->end;
	uint32_t count = end > base ? (uint32_t)((end - base) >> HM_GRANULE_SHIFT) : 0;
	bool any = false;

	/* All of the arena at once, if nothing in it is taken. */
	(void)close_free(arena, 0, &any);
	for (uint32_t at = 0; at < count;) {
		enum hm_granule_state state;
		uint32_t run = hm_granules_run(&arena->book.granules, at, count - at,
					       &state);
		uint32_t stop = at + run;

		if (!(state & HM_GRANULE_OPEN) ||
		    (at_rest && run >= LONG && is_small(arena, at)))
			at = stop;
		while (at < stop)
			at = close_next(arena, at, &any);
	}
	return any;
}

static bool tidy(struct hm_arenas *set, bool at_rest)
{
	bool any = false;

	atomic_store_explicit(&set->openings, 0, memory_order_relaxed);
	(void)hm_shelves_clear(set);
	for (struct hm_arena *arena =
		     atomic_load_explicit(&set->first, memory_order_acquire);
	     arena != NULL; arena = arena->next_in_set)
		any |= tidy_arena(arena, at_rest);
	return any;
}

bool hm_tidy(const struct hm_page_source *pages)
{
	struct hm_arenas *set = hm_pages_arenas(pages);

	/* What has not changed since it was looked through need not be looked through. */
	return set != NULL && atomic_exchange(&set->untidy, false) && tidy(set, false);
}

void hm_tidy_at_rest(const struct hm_page_source *pages)
{
	struct hm_arenas *set = hm_pages_arenas(pages);

	if (set != NULL &&
	    atomic_load_explicit(&set->openings, memory_order_relaxed) > FEW)
		(void)tidy(set, true);
}
