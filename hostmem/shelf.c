/*
 * Shelves: words that each hold the address of a granule, or nothing.
 *
 * Taking a granule from an arena and giving it back costs two locks, and the structure of
 * its free space; a word costs one exchange.  Four words are enough for what a runtime
 * does in one breath, and few enough to look through.
 */
#include "shelf.h"
#include "calls.h"
#include "opening.h"

static struct hm_shelf *own_shelf(struct hm_arenas *set)
{
	return &set->shelves[hm_calls_slot() % HM_ARENA_HOMES];
}

bool hm_shelf_put(struct hm_arenas *set, uintptr_t granule)
{
	struct hm_shelf *shelf = own_shelf(set);

	for (unsigned i = 0; i < HM_SHELF_ROOM; i++) {
		uintptr_t nothing = 0;

		if (atomic_load_explicit(&shelf->granules[i], memory_order_relaxed) == 0 &&
		    atomic_compare_exchange_strong_explicit(
			    &shelf->granules[i], &nothing, granule, memory_order_release,
			    memory_order_relaxed))
			return true;
	}
	return false;
}

static uintptr_t take_from(struct hm_shelf *shelf)
{
	for (unsigned i = HM_SHELF_ROOM; i-- > 0;) {
		uintptr_t granule;

		if (atomic_load_explicit(&shelf->granules[i], memory_order_relaxed) == 0)
			continue;
		granule = atomic_exchange_explicit(&shelf->granules[i], 0,
						   memory_order_acquire);
		if (granule != 0)
			return granule;
	}
	return 0;
}

uintptr_t hm_shelf_take(struct hm_arenas *set)
{
	return take_from(own_shelf(set));
}

bool hm_shelves_clear(struct hm_arenas *set)
{
	bool any = false;

	for (unsigned i = 0; i < HM_ARENA_HOMES; i++) {
		uintptr_t granule;

		while ((granule = take_from(&set->shelves[i])) != 0) {
			struct hm_place place = hm_place_of(hm_arena_at(granule), granule,
							    HM_GRANULE_SIZE);

			hm_give(&place);
			any = true;
		}
	}
	return any;
}
