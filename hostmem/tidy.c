/*
 * Tidying: a walk over the arenas' free space and over the regions in them.
 *
 * Free extents are taken, closed and given back.  A region is locked, as for any change of
 * its pages, and the part of each 2 MiB window that is its own is closed if nothing in it
 * is committed.  One region at a time, so nobody waits longer than for any other change.
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

static bool close_free(struct hm_arena *arena)
{
	struct hm_place place = { .arena = arena };
	bool any = false;

	for (uint32_t from = 0; hm_place_take_open(arena, from, &place);
	     from = place.first + place.count) {
		any |= hm_close(&place);
		hm_place_give(&place, NULL);
	}
	return any;
}

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
	while (rest.count != 0)
		any |= close_window(region, &rest);
	return any;
}

static bool close_regions(uintptr_t at, uintptr_t end)
{
	struct hm_region_view view;
	bool any = false;

	while (hm_regions_next(at, &view) && view.base < end) {
		struct hm_region *region = NULL;

		at = view.base + HM_PAGE_SIZE;
		if (view.phase == HM_REGION_LIVE)
			region = hm_regions_lock(view.host, view.base);
		if (region == NULL)
			continue;
		any |= close_region(region);
		hm_regions_unlock(region);
	}
	return any;
}

bool hm_tidy(const struct hm_page_source *pages)
{
	struct hm_arenas *set = hm_pages_arenas(pages);
	struct hm_arena *arena;
	bool any = false;

	/* What has not changed since it was looked through need not be looked through. */
	if (set == NULL || !atomic_exchange(&set->untidy, false))
		return false;
	atomic_store_explicit(&set->openings, 0, memory_order_relaxed);
	(void)hm_shelves_clear(set);
	arena = atomic_load_explicit(&set->first, memory_order_acquire);
	for (; arena != NULL; arena = arena->next_in_set) {
		any |= close_free(arena);
		any |= close_regions(arena->base, arena->end);
	}
	return any;
}

void hm_tidy_at_rest(const struct hm_page_source *pages)
{
	const struct hm_arenas *set = hm_pages_arenas(pages);

	if (set != NULL &&
	    atomic_load_explicit(&set->openings, memory_order_relaxed) > FEW)
		(void)hm_tidy(pages);
}
