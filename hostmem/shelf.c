/*
 * Shelves: words that each name a place, or nothing.
 *
 * Taking a place from an arena and giving it back costs two locks, and the structure of the
 * arena's free space; a word costs one exchange.  Four words are enough for what a runtime
 * does in one breath, and few enough to look through.
 *
 * A word has the number of the first granule in the address space, and the count of
 * granules below it.
 */
#include "shelf.h"
#include "calls.h"
#include "opening.h"

#define COUNT_BITS 17
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

_Static_assert(HM_EXTENTS_MOST <= COUNT_MASK, "a count has room");

static struct hm_shelf *own_shelf(struct hm_arenas *set)
{
	return &set->shelves[hm_calls_slot() % HM_ARENA_HOMES];
}

static uint64_t word_of(const struct hm_place *place)
{
	return (uint64_t)(hm_place_start(place) >> HM_GRANULE_SHIFT) << COUNT_BITS |
	       place->count;
}

static uintptr_t start_of(uint64_t word)
{
	return (uintptr_t)(word >> COUNT_BITS) << HM_GRANULE_SHIFT;
}

static size_t size_of(uint64_t word)
{
	return (size_t)(word & COUNT_MASK) << HM_GRANULE_SHIFT;
}

static uint64_t peek(const struct hm_shelf *shelf, unsigned i)
{
	return atomic_load_explicit(&shelf->places[i], memory_order_relaxed);
}

static bool change(struct hm_shelf *shelf, unsigned i, uint64_t from, uint64_t to)
{
	return atomic_compare_exchange_strong_explicit(&shelf->places[i], &from, to,
						       memory_order_acq_rel,
						       memory_order_relaxed);
}

static void give(uint64_t word)
{
	struct hm_place place = hm_place_of(hm_arena_at(start_of(word)), start_of(word),
					    size_of(word));

	hm_give(&place);
}

/* So that a shelf full of what nobody wants any more has room the next time. */
static void give_one(struct hm_shelf *shelf)
{
	unsigned i = atomic_fetch_add_explicit(&shelf->turn, 1, memory_order_relaxed) %
		     HM_SHELF_ROOM;
	uint64_t word = peek(shelf, i);

	if (word != 0 && change(shelf, i, word, 0))
		give(word);
}

bool hm_shelf_put(const struct hm_place *place)
{
	struct hm_shelf *shelf = own_shelf(place->arena->set);

	for (unsigned i = 0; i < HM_SHELF_ROOM; i++) {
		if (peek(shelf, i) == 0 && change(shelf, i, 0, word_of(place)))
			return true;
	}
	give_one(shelf);
	return false;
}

uintptr_t hm_shelf_take(struct hm_arenas *set, uint32_t count, uint32_t alignment)
{
	struct hm_shelf *shelf = own_shelf(set);

	for (unsigned i = 0; i < HM_SHELF_ROOM; i++) {
		uint64_t word = peek(shelf, i);

		if ((word & COUNT_MASK) == count &&
		    (word >> COUNT_BITS & (alignment - 1)) == 0 &&
		    change(shelf, i, word, 0))
			return start_of(word);
	}
	return 0;
}

static bool clear(struct hm_shelf *shelf)
{
	bool any = false;

	for (unsigned i = 0; i < HM_SHELF_ROOM; i++) {
		uint64_t word = peek(shelf, i);

		if (word == 0 || !change(shelf, i, word, 0))
			continue;
		give(word);
		any = true;
	}
	return any;
}

bool hm_shelves_clear(struct hm_arenas *set)
{
	bool any = false;

	for (unsigned i = 0; i < HM_ARENA_HOMES; i++)
		any |= clear(&set->shelves[i]);
	return any;
}
