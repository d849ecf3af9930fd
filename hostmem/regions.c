/*
 * The map from addresses to regions.
 *
 * A region's record is found through the granule in which the region starts
 * (directory.c), so the region of an address is the one with the nearest start at or
 * below it.
 *
 * Regions start on a granule of their own, but for one case: giving up part of a
 * reservation may leave a rest that starts in the middle of a granule.  Records after the
 * first of a granule hang from its record as a list.
 *
 * Readers take no lock.  They read a version, the fields, and the version again; the
 * version moves whenever a record changes its meaning or nodes of its states are freed.
 * A reader that finds no region at all has seen a moment at which there was none, since
 * the map as a whole counts its changes.
 *
 * Nearly every question is answered by the first record that is looked at, so that is
 * looked at before anything else; only what it does not answer is searched for.
 *
 * Locks: the directory's around changes of its bitmaps and lists, never across a system
 * call.  A region's own lock is taken by whoever works on the region, system calls
 * included.
 */
#include "regions.h"
#include "directory.h"
#include "os/lock.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_acquire)

uint64_t hm_regions_changes(void)
{
	return hm_directory_changes();
}

/*
 * Reads a record, and the link to the next of its granule; false if it changed meanwhile.
 * A record not in use is read too.  The extent comes before the other fields: whoever
 * reads one that is in use reads all that was stored before it.
 */
static inline bool view_of(struct hm_region *region, struct hm_region_view *out,
			   struct hm_region **next)
{
	uintptr_t extent;

	out->region = region;
	out->states.seen = LOAD(region->version);
	extent = LOAD(region->extent);
	out->phase = (enum hm_region_phase)(extent & HM_REGION_PHASES);
	out->end = extent & ~(uintptr_t)HM_REGION_PHASES;
	out->host = LOAD(region->host);
	out->base = LOAD(region->base);
	out->protection = LOAD(region->protection);
	out->states.levels = LOAD(region->levels);
	out->states.root = LOAD(region->states);
	out->states.version = &region->version;
	*next = LOAD(region->next);
	return LOAD(region->version) == out->states.seen;
}

/*
 * The region with the highest base at or below the address, if one look is enough: the
 * nearest granule with a start has a single record, and that starts at or below the
 * address.  false does not mean that there is none.
 *
 * One look shows as much as a search would.  The record was in use and alone in its
 * granule at the moment that its version vouches for; and a start in between, which had a
 * bit already when the bitmap was read, would have been the nearest.
 */
static inline bool look(uintptr_t address, struct hm_region_view *out)
{
	struct hm_region *region = hm_directory_near(address), *next;

	/* One that is not in use has no end. */
	return region != NULL && view_of(region, out, &next) && next == NULL &&
	       out->base <= address && out->base < out->end;
}

enum search { FOUND, ABSENT, CHANGED };

/*
 * Of the regions of one granule whose base is in [low, high], the one with the highest
 * base, or the lowest.  The first record's version guards the list: it moves when the
 * list changes.
 */
static enum search search_granule(struct hm_region *first, uintptr_t low, uintptr_t high,
				  bool highest, struct hm_region_view *out)
{
	uint64_t version = LOAD(first->version);
	enum search result = ABSENT;

	for (struct hm_region *region = first; region != NULL;
	     region = LOAD(region->next)) {
		struct hm_region_view view;
		struct hm_region *next;

		if (!view_of(region, &view, &next) || LOAD(first->version) != version)
			return CHANGED;
		if (view.phase == HM_REGION_NONE || view.base < low || view.base > high ||
		    view.base >= view.end)
			continue;
		if (result == ABSENT || (view.base > out->base) == highest)
			*out = view;
		result = FOUND;
	}
	return LOAD(first->version) == version ? result : CHANGED;
}

static bool search_below(uintptr_t address, struct hm_region_view *out)
{
	uint64_t from = address >> HM_GRANULE_SHIFT;

	if (address >= HM_SYSTEM_END)
		return false;
	for (uint64_t granule = from;;) {
		struct hm_region *first = hm_directory_at_or_below(granule, &granule);
		enum search result;

		if (first == NULL)
			return false;
		result = search_granule(first, 0, address, true, out);
		if (result == FOUND)
			return true;
		if (result == CHANGED)
			granule = from;
		else if (granule-- == 0)
			return false;
	}
}

bool hm_regions_previous(uintptr_t address, struct hm_region_view *out)
{
	return look(address, out) || search_below(address, out);
}

/*
 * A search that finds nothing at the address may have passed the place of a region before
 * that was entered, and come to its left neighbour after that was cut off: what is split
 * is always covered, but not always by the same record.  Entering counts a change, and
 * the cut comes after that, so a gap is believed only if the count stood still.
 */
static bool search(uintptr_t address, struct hm_region_view *out)
{
	for (;;) {
		uint64_t changes = hm_regions_changes();

		if (hm_regions_previous(address, out) && address < out->end)
			return true;
		if (hm_regions_changes() == changes)
			return false;
	}
}

bool hm_regions_find(uintptr_t address, struct hm_region_view *out)
{
	return (look(address, out) && address < out->end) || search(address, out);
}

bool hm_regions_next(uintptr_t address, struct hm_region_view *out)
{
	uint64_t from = address >> HM_GRANULE_SHIFT;

	if (address >= HM_SYSTEM_END)
		return false;
	for (uint64_t granule = from;;) {
		struct hm_region *first = hm_directory_at_or_above(granule, &granule);
		enum search result;

		if (first == NULL)
			return false;
		result = search_granule(first, address, UINTPTR_MAX, false, out);
		if (result == FOUND)
			return true;
		if (result == CHANGED)
			granule = from;
		else if (++granule > HM_SYSTEM_END >> HM_GRANULE_SHIFT)
			return false;
	}
}

/* Whether a locked record is what hm_regions_lock wants, or an unlocked one seems so. */
static inline bool is_live_at(const struct hm_region *region, uintptr_t address)
{
	return hm_record_phase(region) == HM_REGION_LIVE &&
	       hm_region_base(region) <= address && address < hm_region_end(region);
}

/* A live region's lock is needed to end it, so what is true under it stays true. */
static inline bool lock_live(struct hm_region *region, const struct hm_host *host,
			     uintptr_t address)
{
	hm_lock_acquire(&region->lock, HM_RANK_REGION);
	if (is_live_at(region, address) && LOAD(region->host) == host)
		return true;
	hm_lock_release(&region->lock, HM_RANK_REGION);
	return false;
}

struct hm_region *hm_regions_lock(const struct hm_host *host, uintptr_t address)
{
	struct hm_region *region = hm_directory_near(address);
	struct hm_region_view view;

	/* What seems to be the region is locked without a view: that is for those who have
	 * no lock to be sure by. */
	if (region != NULL && is_live_at(region, address) && LOAD(region->host) == host &&
	    lock_live(region, host, address))
		return region;
	while (hm_regions_find(address, &view)) {
		if (view.phase != HM_REGION_LIVE || view.host != host)
			return NULL;
		if (lock_live(view.region, host, address))
			return view.region;
	}
	return NULL;
}

struct hm_region *hm_regions_lock_callers(const struct hm_host *host, uintptr_t address)
{
	struct hm_region *region = hm_regions_lock(host, address);

	if (region == NULL || !hm_region_is_heaps(region))
		return region;
	hm_regions_unlock(region);
	return NULL;
}

struct hm_region *hm_regions_try_lock(uintptr_t address, bool *busy)
{
	struct hm_region_view view;

	*busy = false;
	if (!hm_regions_find(address, &view) || view.phase != HM_REGION_LIVE)
		return NULL;
	*busy = true;
	if (!hm_lock_try(&view.region->lock, HM_RANK_REGION))
		return NULL;
	if (is_live_at(view.region, address))
		return view.region;
	hm_lock_release(&view.region->lock, HM_RANK_REGION);
	return NULL;
}

void hm_regions_unlock(struct hm_region *region)
{
	hm_lock_release(&region->lock, HM_RANK_REGION);
}

uint64_t hm_region_version(const struct hm_region *region)
{
	return LOAD(region->version);
}

struct hm_states_view hm_region_states(const struct hm_region *region)
{
	return (struct hm_states_view){
		.root = LOAD(region->states),
		.levels = LOAD(region->levels),
	};
}

size_t hm_region_page(const struct hm_region *region, uintptr_t address)
{
	return hm_pages(address - hm_region_base(region));
}

bool hm_region_prepare(const struct hm_region *region, uintptr_t address, size_t size,
		       unsigned code, enum hm_metadata_need need,
		       struct hm_states_change *out)
{
	struct hm_states_view states = hm_region_states(region);
	size_t first = hm_region_page(region, address);
	size_t count = hm_pages(size);

	/* Pages behind the end mean nothing, and a whole tree folds better. */
	if (address + size == hm_region_end(region) && !(code & HM_STATE_GUARD))
		count = hm_states_capacity(states.levels) - first;
	return hm_states_prepare(states.root, states.levels, first, count, code, need,
				 out);
}

void hm_region_publish(struct hm_region *region, const struct hm_states_change *change)
{
	hm_states_publish(&region->states, &region->version, change);
}

size_t hm_region_committed(const struct hm_region *region, uintptr_t address, size_t size)
{
	struct hm_states_view states = hm_region_states(region);

	/* Nothing at all is committed in what is reserved only, and that is known at once. */
	if (states.root == hm_states_uniform(states.levels, HM_STATE_RESERVED))
		return 0;
	return hm_bytes(hm_states_committed(states.root, states.levels,
					    hm_region_page(region, address),
					    hm_pages(size)));
}

const char *hm_regions_check(void)
{
	struct hm_region_view view;
	uintptr_t at = 0, end = 0;
	const char *broken = hm_directory_check();

	for (; broken == NULL && hm_regions_next(at, &view); end = view.end) {
		if (view.base < end)
			return "regions overlap";
		if (view.base % HM_PAGE_SIZE != 0 || view.end % HM_PAGE_SIZE != 0)
			return "a region is not made of pages";
		if (view.phase == HM_REGION_LIVE)
			broken = hm_states_check(view.states.root, view.states.levels);
		at = view.base + HM_PAGE_SIZE;
	}
	return broken;
}
