/*
 * Taking granules of arenas and giving them back.
 *
 * Small reservations take open granules if there are any, since committing in those is
 * cheap; large ones take blank ones, and open what they need.  A small one that is blank
 * is opened when it is first committed, and may be a mapping of its own from then on.  So
 * there are to be few of them: beyond a thousand in an arena, small reservations are
 * opened 2 MiB at a time when they are taken.
 *
 * Free open granules cost the kernel's tables.  Beyond 16 MiB of them in an arena, whole
 * windows are handed to whoever gives them back, to be closed.
 *
 * Locks: the arena's, around a few words of its books; never across a system call.
 */
#include "places.h"
#include "calls.h"
#include "os/check.h"
#include "os/memory.h"

#define MOST_UNOPENED 1024U
#define MOST_OPEN 256U

#define LOAD(field) atomic_load_explicit(&(field), memory_order_acquire)
#define PEEK(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_release)

struct hm_place hm_place_of(struct hm_arena *arena, uintptr_t address, size_t size)
{
	uint32_t first = hm_arena_granule(arena, address);

	return (struct hm_place){
		arena, first, hm_arena_granule(arena, address + size - 1) - first + 1
	};
}

struct hm_place hm_place_next_run(struct hm_place *rest, enum hm_granule_state *state)
{
	struct hm_place run = *rest;

	run.count = hm_granules_run(&rest->arena->book.granules, rest->first, rest->count,
				    state);
	rest->first += run.count;
	rest->count -= run.count;
	return run;
}

struct hm_place hm_place_whole(struct hm_arena *arena, uintptr_t address, size_t size,
			       uintptr_t start, uintptr_t end)
{
	struct hm_place place = hm_place_of(arena, address, size);
	uintptr_t behind = address + size;

	if (address % HM_GRANULE_SIZE != 0 &&
	    (address != start || hm_place_is_shared(arena, place.first))) {
		place.first++;
		place.count--;
	}
	if (place.count != 0 && behind % HM_GRANULE_SIZE != 0 &&
	    (behind != end || hm_place_is_shared(arena, place.first + place.count - 1)))
		place.count--;
	return place;
}

/* ---- Taking ---- */

/* Ends what was begun with the arena's lock. */
static void finish(struct hm_arena *arena, bool was_free)
{
	uint32_t room = hm_extents_free(&arena->book.extents);
	bool is_free = room == arena->book.extents.count;

	atomic_store_explicit(&arena->room, room, memory_order_relaxed);
	if (is_free != was_free)
		atomic_fetch_add_explicit(&arena->set->idle, is_free ? 1U : UINT32_MAX,
					  memory_order_relaxed);
	hm_arena_unlock(arena);
}

/* How many granules of a place are open: they come or go as such. */
static uint32_t count_open(const struct hm_place *place)
{
	struct hm_place rest = *place;
	enum hm_granule_state state;
	uint32_t open = 0;

	while (rest.count != 0) {
		struct hm_place run = hm_place_next_run(&rest, &state);

		open += state & HM_GRANULE_OPEN ? run.count : 0;
	}
	return open;
}

static uint64_t bit_of(uint32_t granule)
{
	return UINT64_C(1) << (granule % 64);
}

/* Counts a small reservation that was taken blank; false if there are too many. */
static bool count_unopened_locked(struct hm_arena *arena, uint32_t first)
{
	if (arena->unopened >= MOST_UNOPENED)
		return false;
	arena->unopened++;
	arena->book.unopened[first / 64] |= bit_of(first);
	return true;
}

static void uncount_locked(struct hm_arena *arena, uint32_t first)
{
	if (!(arena->book.unopened[first / 64] & bit_of(first)))
		return;
	arena->book.unopened[first / 64] &= ~bit_of(first);
	arena->unopened--;
}

static bool take_locked(struct hm_arena *arena, uint32_t alignment, bool small,
			struct hm_place *place)
{
	struct hm_extents *extents = &arena->book.extents;
	enum hm_extent_kind kind = small ? HM_EXTENT_OPEN : HM_EXTENT_BLANK;

	for (unsigned i = 0; i < HM_EXTENT_KINDS; i++, kind = HM_EXTENT_OPEN - kind) {
		if (!hm_extents_take(extents, kind, place->count, alignment,
				     &place->first))
			continue;
		if (kind == HM_EXTENT_OPEN)
			arena->open_room -= place->count;
		return true;
	}
	return false;
}

static bool take_from(struct hm_arena *arena, uint32_t alignment, bool small,
		      struct hm_place *place, bool *crowded)
{
	bool was_free, taken;

	if (arena == NULL || PEEK(arena->room) < place->count || !hm_arena_lock(arena))
		return false;
	place->arena = arena;
	was_free = hm_arena_is_free_locked(arena);
	taken = take_locked(arena, alignment, small, place);
	if (taken && small && arena->set->guards &&
	    (hm_place_seen(place) & HM_SOME_BLANK))
		*crowded = !count_unopened_locked(arena, place->first);
	finish(arena, was_free);
	return taken;
}

/* Any arena of the set but `home`. */
static bool take_elsewhere(struct hm_arenas *set, const struct hm_arena *home,
			   uint32_t alignment, bool small, struct hm_place *place,
			   bool *crowded)
{
	for (struct hm_arena *arena = LOAD(set->first); arena != NULL;
	     arena = arena->next_in_set) {
		if (arena != home && take_from(arena, alignment, small, place, crowded))
			return true;
	}
	return false;
}

/*
 * A thread that has no arena yet gets one of its own, unless addresses are short: then it
 * goes where the others are.
 */
static bool take_slowly(struct hm_arenas *set, const struct hm_arena *home,
			uint32_t alignment, bool small, struct hm_place *place,
			bool *crowded)
{
	size_t needed = (size_t)(place->count > alignment ? place->count : alignment)
			<< HM_GRANULE_SHIFT;
	bool shares = home != NULL || hm_memory_space() != SIZE_MAX;

	if (shares && take_elsewhere(set, home, alignment, small, place, crowded))
		return true;
	return take_from(hm_arena_make(set, needed), alignment, small, place, crowded) ||
	       take_elsewhere(set, home, alignment, small, place, crowded);
}

bool hm_place_take(struct hm_arenas *set, uint32_t count, uint32_t alignment, bool small,
		   struct hm_place *out, bool *crowded)
{
	_Atomic(struct hm_arena *) *home = &set->homes[hm_calls_slot() % HM_ARENA_HOMES];
	struct hm_arena *arena = LOAD(*home);

	*crowded = false;
	out->count = count;
	if (take_from(arena, alignment, small, out, crowded))
		return true;
	if (!take_slowly(set, arena, alignment, small, out, crowded))
		return false;
	STORE(*home, out->arena);
	return true;
}

bool hm_place_take_exactly(const struct hm_place *place)
{
	struct hm_arena *arena = place->arena;
	bool was_free, taken;

	if (!hm_arena_lock(arena))
		return false;
	was_free = hm_arena_is_free_locked(arena);
	taken = hm_extents_take_at(&arena->book.extents, place->first, place->count);
	if (taken)
		arena->open_room -= count_open(place);
	finish(arena, was_free);
	return taken;
}

bool hm_place_take_at(struct hm_arena *arena, uintptr_t address, size_t size,
		      struct hm_place *out)
{
	*out = hm_place_of(arena, address, size);
	if (!hm_place_take_exactly(out))
		return false;
	/* The arena may have been unmapped since it was looked up, and its record be used for
	 * another one; not any more, now that we have a place in it. */
	if (hm_place_start(out) == hm_round_down(address, HM_GRANULE_SIZE))
		return true;
	hm_place_give(out, NULL);
	return false;
}

/* In an arena in which nothing is taken, all of it at once. */
static bool take_open_locked(struct hm_arena *arena, uint32_t from,
			     struct hm_extent *extent)
{
	struct hm_extents *extents = &arena->book.extents;

	if (hm_arena_is_free_locked(arena)) {
		*extent = (struct hm_extent){ 0, extents->count, HM_EXTENT_OPEN };
		return from == 0 && arena->open_room != 0 &&
		       hm_extents_take_at(extents, 0, extents->count);
	}
	for (; hm_extents_next(extents, from, extent); from += extent->count) {
		from = extent->first;
		if (extent->kind == HM_EXTENT_OPEN)
			return hm_extents_take_at(extents, extent->first, extent->count);
	}
	return false;
}

bool hm_place_take_open(struct hm_arena *arena, uint32_t from, struct hm_place *out)
{
	struct hm_extent extent;
	bool was_free, taken;

	if (!hm_arena_lock(arena))
		return false;
	was_free = hm_arena_is_free_locked(arena);
	taken = take_open_locked(arena, from, &extent);
	if (taken) {
		*out = (struct hm_place){ arena, extent.first, extent.count };
		arena->open_room -= count_open(out);
	}
	finish(arena, was_free);
	return taken;
}

void hm_place_widen(struct hm_place *place, uint32_t first, uint32_t end, bool wide)
{
	struct hm_arena *arena = place->arena;
	struct hm_extents *extents = &arena->book.extents;
	uint32_t low = place->first / HM_WINDOW * HM_WINDOW;
	uint32_t last = place->first + place->count;
	uint32_t high = (last + HM_WINDOW - 1) / HM_WINDOW * HM_WINDOW;
	uint32_t taken = 0;

	hm_lock_acquire(&arena->lock, HM_RANK_ARENA);
	uncount_locked(arena, first);
	if (wide && place->first == first)
		taken = hm_extents_take_below(extents, HM_EXTENT_BLANK, first, low);
	place->first -= taken;
	if (wide && last == end)
		taken += hm_extents_take_above(extents, HM_EXTENT_BLANK, end,
					       high < extents->count ? high
								     : extents->count);
	place->count += taken;
	finish(arena, false);
}

/* ---- Giving back ---- */

/* Takes the whole windows of a free open extent again, if too much is open. */
static void skim_locked(struct hm_arena *arena, const struct hm_extent *extent,
			struct hm_place *excess)
{
	uint32_t first = (extent->first + HM_WINDOW - 1) / HM_WINDOW * HM_WINDOW;
	uint32_t end = (extent->first + extent->count) / HM_WINDOW * HM_WINDOW;

	if (arena->open_room <= MOST_OPEN || first >= end ||
	    !hm_extents_take_at(&arena->book.extents, first, end - first))
		return;
	arena->open_room -= end - first;
	*excess = (struct hm_place){ arena, first, end - first };
}

/* Gives back granules of one kind. */
static void give_run_locked(const struct hm_place *run, enum hm_extent_kind kind,
			    struct hm_place *excess)
{
	struct hm_arena *arena = run->arena;
	struct hm_extent extent = { run->first, run->count, kind };

	if (kind == HM_EXTENT_BLANK) {
		hm_extents_give(&arena->book.extents, &extent, NULL);
		return;
	}
	arena->open_room += run->count;
	hm_extents_give(&arena->book.extents, &extent, &extent);
	if (excess != NULL && excess->count == 0)
		skim_locked(arena, &extent, excess);
}

static void give_locked(const struct hm_place *place, struct hm_place *excess)
{
	struct hm_place rest = *place;

	/* Most are of one kind. */
	if (!(hm_place_seen(place) & HM_SOME_OPEN)) {
		give_run_locked(place, HM_EXTENT_BLANK, excess);
		return;
	}
	while (rest.count != 0) {
		enum hm_granule_state state;
		struct hm_place run = hm_place_next_run(&rest, &state);

		give_run_locked(&run,
				state & HM_GRANULE_OPEN ? HM_EXTENT_OPEN
							: HM_EXTENT_BLANK,
				excess);
	}
}

/* One arena in which nothing is taken is kept, a second one is not. */
static void finish_giving(struct hm_arena *arena)
{
	struct hm_arenas *set = arena->set;

	if (!hm_arena_is_free_locked(arena) || PEEK(set->idle) == 0) {
		finish(arena, false);
		return;
	}
	atomic_fetch_add_explicit(&set->idle, 1, memory_order_relaxed);
	hm_arena_unmap_locked(arena);
}

void hm_place_give(const struct hm_place *place, struct hm_place *excess)
{
	if (excess != NULL)
		excess->count = 0;
	if (place->count == 0)
		return;
	hm_lock_acquire(&place->arena->lock, HM_RANK_ARENA);
	uncount_locked(place->arena, place->first);
	give_locked(place, excess);
	finish_giving(place->arena);
}

/*
 * Whether nobody is in a granule any more after [address, behind) has been cut out of the
 * reservation [start, end).
 */
static bool vacate_locked(struct hm_arena *arena, uint32_t granule, uintptr_t address,
			  uintptr_t behind, uintptr_t start, uintptr_t end, bool held)
{
	uintptr_t low = hm_arena_address(arena, granule);
	uintptr_t high = low + HM_GRANULE_SIZE;
	int rests = (address > hm_max(start, low)) + (behind < hm_min(end, high));
	/* The hole counts as long as it is held. */
	int more = rests + (held ? 1 : 0) - 1;
	int tenants = PEEK(arena->book.tenants[granule]) + more;
	struct hm_place place = { arena, granule, 1 };

	if (tenants < 0)
		return true;
	if (more > 0 && (hm_place_seen(&place) & HM_SOME_BLANK))
		hm_place_set(&place, HM_GRANULE_ODD);
	atomic_store_explicit(&arena->book.tenants[granule], (uint8_t)tenants,
			      memory_order_release);
	return false;
}

/* The same for the granules at both ends; takes those off that are still somebody's. */
static void vacate_ends_locked(struct hm_place *place, uintptr_t address,
			       uintptr_t behind, uintptr_t start, uintptr_t end,
			       bool held)
{
	struct hm_arena *arena = place->arena;
	uint32_t last = place->first + place->count - 1;

	if (last != place->first &&
	    !vacate_locked(arena, last, address, behind, start, end, held))
		place->count--;
	if (!vacate_locked(arena, place->first, address, behind, start, end, held)) {
		place->first++;
		place->count--;
	}
}

void hm_place_leave(struct hm_arena *arena, uintptr_t address, size_t size,
		    uintptr_t start, uintptr_t end, bool held, struct hm_place *excess)
{
	struct hm_place place = hm_place_of(arena, address, size);
	uintptr_t behind = address + size;

	excess->count = 0;
	hm_lock_acquire(&arena->lock, HM_RANK_ARENA);
	/* What fills its granules has them to itself. */
	if (held || (address | behind) % HM_GRANULE_SIZE != 0)
		vacate_ends_locked(&place, address, behind, start, end, held);
	if (!held && place.count != 0) {
		uncount_locked(arena, place.first);
		give_locked(&place, excess);
	}
	finish_giving(arena);
}

/* Ends that the pieces beside [address, behind) count in a granule. */
static void forget_rests_locked(struct hm_arena *arena, uint32_t granule,
				uintptr_t address, uintptr_t behind, uintptr_t start,
				uintptr_t end)
{
	uintptr_t low = hm_arena_address(arena, granule);
	int rests = (address > hm_max(start, low)) +
		    (behind < hm_min(end, low + HM_GRANULE_SIZE));

	atomic_store_explicit(&arena->book.tenants[granule],
			      (uint8_t)(PEEK(arena->book.tenants[granule]) - rests),
			      memory_order_release);
}

void hm_place_reunite(struct hm_arena *arena, uintptr_t address, size_t size,
		      uintptr_t start, uintptr_t end)
{
	uint32_t first = hm_arena_granule(arena, address);
	uint32_t last = hm_arena_granule(arena, address + size - 1);

	hm_lock_acquire(&arena->lock, HM_RANK_ARENA);
	forget_rests_locked(arena, first, address, address + size, start, end);
	if (last != first)
		forget_rests_locked(arena, last, address, address + size, start, end);
	hm_lock_release(&arena->lock, HM_RANK_ARENA);
}
