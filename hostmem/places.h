#ifndef HOSTMEM_PLACES_H
#define HOSTMEM_PLACES_H

#include "arenas.h"

/*
 * Places: granules of an arena that somebody has taken.
 *
 * A granule that is taken belongs to whoever took it.  After part of a reservation was
 * released, two reservations may share one: then it is not blank, so that nobody need
 * change its state whatever happens to single pages of it.
 */
struct hm_place {
	struct hm_arena *arena;
	uint32_t first, count;
};

/* Granules are opened together with those beside them in the same 2 MiB. */
#define HM_WINDOW 32U

static inline uintptr_t hm_place_start(const struct hm_place *place)
{
	return hm_arena_address(place->arena, place->first);
}

static inline size_t hm_place_size(const struct hm_place *place)
{
	return (size_t)place->count << HM_GRANULE_SHIFT;
}

static inline unsigned hm_place_seen(const struct hm_place *place)
{
	return hm_granules_seen(&place->arena->book.granules, place->first, place->count);
}

static inline void hm_place_set(const struct hm_place *place, enum hm_granule_state state)
{
	hm_granules_set(&place->arena->book.granules, place->first, place->count, state);
}

/* Whether another reservation has pages in a granule beside the one that asks. */
static inline bool hm_place_is_shared(const struct hm_arena *arena, uint32_t granule)
{
	return atomic_load_explicit(&arena->book.tenants[granule],
				    memory_order_acquire) != 0;
}

/* The granules of [address, address + size), which is in the arena. */
struct hm_place hm_place_of(struct hm_arena *arena, uintptr_t address, size_t size);

/* Takes the next run of one state off the front of a place. */
struct hm_place hm_place_next_run(struct hm_place *rest, enum hm_granule_state *state);

/*
 * Those granules of [address, address + size), a part of the reservation [start, end), in
 * which nobody else has a page: those inside, and those at its ends of which the rest is
 * in no reservation.
 */
struct hm_place hm_place_whole(struct hm_arena *arena, uintptr_t address, size_t size,
			       uintptr_t start, uintptr_t end);

/*
 * Takes neighbouring granules whose address is a multiple of `alignment` granules, where
 * they can be had or an arena can be made; false if not.  `small` ones are open if
 * there are open ones, others blank if there are blank ones.  *crowded: there are so many
 * small blank ones already that this one had better be opened now (with guards only)
 */
bool hm_place_take(struct hm_arenas *set, uint32_t count, uint32_t alignment, bool small,
		   struct hm_place *out, bool *crowded);
/* Takes what an arena has at [address, address + size); false if some of it is taken, or
 * there is another arena by now. */
bool hm_place_take_at(struct hm_arena *arena, uintptr_t address, size_t size,
		      struct hm_place *out);
/* Takes these very granules; false if one of them is taken, or the arena is gone. */
bool hm_place_take_exactly(const struct hm_place *place);
/* Takes the first free open granules at or above `from`, or all of an arena in which nothing
 * is taken and something is open; false if there are none. */
bool hm_place_take_open(struct hm_arena *arena, uint32_t from, struct hm_place *out);

/*
 * The place, which is blank, is about to be opened: `wide`, the free blank granules beside
 * it are taken in addition that are in the same window as its first and its last; those
 * below only if it begins at granule `first`, those above only if it ends before granule
 * `end`, which are the reservation's.
 */
void hm_place_widen(struct hm_place *place, uint32_t first, uint32_t end, bool wide);

/*
 * Gives granules back, whose states tell what they are now.  If so many open ones are free
 * that some should be closed, those are taken again and *excess has them (count 0: none);
 * NULL leaves them open.  The arena may be unmapped.
 */
void hm_place_give(const struct hm_place *place, struct hm_place *excess);

/*
 * Gives back what nobody is in any more after the reservation [start, end) has lost
 * [address, address + size).  `held`: it is not lost, only a reservation of its own from
 * now on.
 */
void hm_place_leave(struct hm_arena *arena, uintptr_t address, size_t size,
		    uintptr_t start, uintptr_t end, bool held, struct hm_place *excess);

/* Takes back what the same call with `held` has noted. */
void hm_place_reunite(struct hm_arena *arena, uintptr_t address, size_t size,
		      uintptr_t start, uintptr_t end);

#endif
