/*
 * Arenas: making them, finding them, and who has which granule.
 *
 * An arena is at most 4 GiB and lies at a multiple of its size, so that a table with an
 * entry for each 4 GiB of the address space finds it.  Where the system does not give
 * 4 GiB (RLIMIT_AS), smaller ones are asked for, and several share an entry.  Under a
 * limit of address space an arena is at most a sixteenth of it: what we keep, the program
 * cannot have.
 *
 * One arena for the whole address space was rejected: its tables would be as large, and
 * every thread would take the same lock.  As it is, each thread has an arena where it
 * looks first.
 *
 * An arena that has become free altogether is unmapped if another one is free as well:
 * keeping one saves a program that comes and goes from paying each time.  What describes
 * an arena stays linked for good, since readers without a lock follow those links, and is
 * used again for the next one in the same 4 GiB.
 *
 * To VirtualQuery the addresses of an arena are free from the moment they are mapped to
 * the moment they are not, which is longer than anybody may take from it; so its record
 * says both.  Between the system's answer and the record there is a moment all the same,
 * in which only the count of those who are making arenas tells of it.
 *
 * Locks: each arena's own, around a few words of its books; never across a system call.
 */
#include "arenas.h"
#include "metadata.h"
#include "os/check.h"
#include "os/memory.h"
#include "os/pages.h"

#define BLOCK_SHIFT 32
#define BLOCKS 32768U

/* Of the address space that a process may have, an arena takes this part. */
#define SHARE 16U

struct hm_arenas hm_arenas_with_guards = { .guards = true, .largest = HM_ARENA_LARGEST };
struct hm_arenas hm_arenas_without_guards = { .largest = HM_ARENA_LARGEST };

static _Atomic(struct hm_arena *) blocks[BLOCKS];
static _Atomic uint64_t begun, made; /* arenas, in vain or not */

_Static_assert((uint64_t)BLOCKS << BLOCK_SHIFT >= HM_SYSTEM_END,
	       "the table covers it all");
_Static_assert(HM_ARENA_LARGEST == (size_t)1 << BLOCK_SHIFT, "an arena is in one block");

#define LOAD(field) atomic_load_explicit(&(field), memory_order_acquire)
#define PEEK(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_release)

/* ---- Finding ---- */

static uintptr_t end_of(const struct hm_arena *arena, bool live)
{
	return live ? LOAD(arena->end) : LOAD(arena->mapped_end);
}

/* *base is that of the arena as it was found: the record may be another's at any time. */
static struct hm_arena *find(uintptr_t address, bool live, uintptr_t *base)
{
	struct hm_arena *arena;

	if (address >= HM_SYSTEM_END)
		return NULL;
	for (arena = LOAD(blocks[address >> BLOCK_SHIFT]); arena != NULL;
	     arena = arena->next_in_block) {
		uintptr_t end = end_of(arena, live);

		*base = LOAD(arena->base);
		/* The base does not change while the end stands. */
		if (address < end && *base <= address && end_of(arena, live) == end)
			return arena;
	}
	return NULL;
}

struct hm_arena *hm_arena_at(uintptr_t address)
{
	uintptr_t base;

	return find(address, true, &base);
}

static struct hm_arena *find_unless_lent(uintptr_t address, bool live)
{
	uintptr_t base;
	struct hm_arena *arena = find(address, live, &base);

	if (arena == NULL ||
	    hm_granules_state(&arena->book.granules,
			      (uint32_t)((address - base) >> HM_GRANULE_SHIFT)) ==
		    HM_GRANULE_LENT)
		return NULL;
	return arena;
}

struct hm_arena *hm_arena_of(uintptr_t address)
{
	return find_unless_lent(address, true);
}

struct hm_arena *hm_arena_around(uintptr_t address)
{
	return find_unless_lent(address, false);
}

uintptr_t hm_arena_reach(const struct hm_arena *arena, uintptr_t address)
{
	uintptr_t base = LOAD(arena->base), end = LOAD(arena->mapped_end);
	uintptr_t at = hm_round_down(address, HM_GRANULE_SIZE);

	/* It may be another arena by now. */
	if (address < base)
		return address;
	while (at < end) {
		enum hm_granule_state state;
		uint32_t run =
			hm_granules_run(&arena->book.granules,
					(uint32_t)((at - base) >> HM_GRANULE_SHIFT),
					(uint32_t)((end - at) >> HM_GRANULE_SHIFT),
					&state);

		if (state == HM_GRANULE_LENT)
			return hm_max(at, address);
		at += (uintptr_t)run << HM_GRANULE_SHIFT;
	}
	return hm_max(end, address);
}

static void cut_at(const struct hm_arena *arena, uintptr_t address, uintptr_t *start,
		   uintptr_t *end)
{
	uintptr_t high = LOAD(arena->mapped_end), low = LOAD(arena->base);

	if (high == 0)
		return;
	if (high <= address)
		*start = hm_max(*start, high);
	else if (low > address)
		*end = hm_min(*end, low);
}

void hm_arenas_cut(uintptr_t address, uintptr_t *start, uintptr_t *end)
{
	const struct hm_arenas *sets[] = { &hm_arenas_with_guards,
					   &hm_arenas_without_guards };

	for (unsigned i = 0; i < 2; i++) {
		for (const struct hm_arena *arena = LOAD(sets[i]->first); arena != NULL;
		     arena = arena->next_in_set)
			cut_at(arena, address, start, end);
	}
}

/* ---- Making ---- */

/* What describes an arena in that block and is not in use, else a new one. */
static struct hm_arena *find_record(struct hm_arenas *set, uintptr_t base)
{
	_Atomic(struct hm_arena *) *block = &blocks[base >> BLOCK_SHIFT];
	struct hm_arena *arena;

	for (arena = LOAD(*block); arena != NULL; arena = arena->next_in_block) {
		uint32_t none = HM_ARENA_NONE;

		if (arena->set == set &&
		    atomic_compare_exchange_strong(&arena->phase, &none,
						   HM_ARENA_CHANGING))
			return arena;
	}
	arena = hm_metadata_map_forever(sizeof(*arena));
	if (arena == NULL)
		return NULL;
	arena->set = set;
	STORE(arena->phase, HM_ARENA_CHANGING);
	arena->next_in_block = LOAD(*block);
	while (!atomic_compare_exchange_weak(block, &arena->next_in_block, arena))
		;
	arena->next_in_set = LOAD(set->first);
	while (!atomic_compare_exchange_weak(&set->first, &arena->next_in_set, arena))
		;
	return arena;
}

/* Address space for an arena of that many bytes, at a multiple of them; 0 = none. */
static uintptr_t map_space(size_t size)
{
	void *address;

	if (FAILED(hm_pages_posix.reserve(&hm_pages_posix, NULL, size, size, 0,
					  HM_ACCESS_NONE, &address)))
		return 0;
	return (uintptr_t)address;
}

static size_t power_of_two_within(size_t size)
{
	return (size_t)1 << (63 - __builtin_clzll(size));
}

static size_t power_of_two_from(size_t size)
{
	return power_of_two_within(2 * size - 1);
}

/* The space and its size; 0 = none that would hold `needed` bytes. */
static uintptr_t find_space(struct hm_arenas *set, size_t needed, size_t *size)
{
	size_t share = hm_memory_space() / SHARE;
	uintptr_t base;

	/* An arena is at a multiple of its size. */
	needed = power_of_two_from(hm_max(needed, HM_ARENA_SMALLEST));
	*size = hm_max(PEEK(set->largest), needed);
	if (share < needed)
		return 0;
	*size = power_of_two_within(hm_min(*size, hm_min(share, HM_ARENA_LARGEST)));
	for (; *size >= needed; *size /= 2) {
		base = map_space(*size);
		if (base == 0)
			continue;
		atomic_store_explicit(&set->largest, hm_min(*size * 2, HM_ARENA_LARGEST),
				      memory_order_relaxed);
		return base;
	}
	/* So that a process at its limit does not ask for all the sizes again and again. */
	atomic_store_explicit(&set->largest, HM_ARENA_SMALLEST, memory_order_relaxed);
	return 0;
}

/* Address space, and a record that says whose it is; NULL if one of them is not to be had. */
static struct hm_arena *map_arena(struct hm_arenas *set, size_t needed, size_t *size)
{
	struct hm_arena *arena;
	uintptr_t base = find_space(set, needed, size);

	if (base == 0)
		return NULL;
	arena = find_record(set, base);
	if (arena == NULL) {
		hm_pages_posix.give_up(&hm_pages_posix, (void *)base, *size);
		return NULL;
	}
	STORE(arena->base, base);
	STORE(arena->mapped_end, base + *size);
	return arena;
}

/* Gives the system what is not live, or not any more. */
static void unmap(struct hm_arena *arena)
{
	uintptr_t base = arena->base;

	hm_pages_posix.give_up(&hm_pages_posix, (void *)base, arena->mapped_end - base);
	STORE(arena->mapped_end, 0);
	/* If its books cannot be made zero again, the record is not used again either. */
	if (hm_memory_drop(&arena->book, hm_round_up(sizeof(arena->book), HM_PAGE_SIZE)))
		STORE(arena->phase, HM_ARENA_NONE);
}

struct hm_arena *hm_arena_make(struct hm_arenas *set, size_t needed)
{
	struct hm_arena *arena;
	uint32_t granules;
	size_t size;
	void *base;

	atomic_fetch_add(&begun, 1);
	arena = map_arena(set, needed, &size);
	atomic_fetch_add(&made, 1);
	if (arena == NULL)
		return NULL;
	base = (void *)PEEK(arena->base);
	granules = (uint32_t)(size >> HM_GRANULE_SHIFT);
	hm_memory_dump(base, size, false);
	if (!hm_memory_keep_mergeable(base)) {
		unmap(arena);
		return NULL;
	}
	hm_extents_init(&arena->book.extents,
			(uint32_t)((uintptr_t)base >> HM_GRANULE_SHIFT), granules);
	STORE(arena->room, granules);
	STORE(arena->end, (uintptr_t)base + size);
	STORE(arena->phase, HM_ARENA_LIVE);
	atomic_fetch_add_explicit(&set->idle, 1, memory_order_relaxed);
	return arena;
}

uint64_t hm_arenas_begun(void)
{
	return atomic_load(&begun);
}

uint64_t hm_arenas_made(void)
{
	return atomic_load(&made);
}

/* ---- Unmapping ---- */

bool hm_arena_lock(struct hm_arena *arena)
{
	hm_lock_acquire(&arena->lock, HM_RANK_ARENA);
	/* Whoever made it wrote the books without the lock, and then the phase. */
	if (LOAD(arena->phase) == HM_ARENA_LIVE)
		return true;
	hm_lock_release(&arena->lock, HM_RANK_ARENA);
	return false;
}

void hm_arena_unlock(struct hm_arena *arena)
{
	hm_lock_release(&arena->lock, HM_RANK_ARENA);
}

bool hm_arena_is_free_locked(const struct hm_arena *arena)
{
	return hm_extents_free(&arena->book.extents) == arena->book.extents.count;
}

void hm_arena_unmap_locked(struct hm_arena *arena)
{
	STORE(arena->phase, HM_ARENA_CHANGING);
	STORE(arena->end, 0);
	STORE(arena->room, 0);
	arena->unopened = 0;
	arena->open_room = 0;
	atomic_fetch_sub_explicit(&arena->set->idle, 1, memory_order_relaxed);
	hm_arena_unlock(arena);
	unmap(arena);
}

static bool unmap_if_free(struct hm_arena *arena)
{
	if (!hm_arena_lock(arena))
		return false;
	if (hm_arena_is_free_locked(arena)) {
		hm_arena_unmap_locked(arena);
		return true;
	}
	hm_arena_unlock(arena);
	return false;
}

bool hm_arenas_trim(void)
{
	struct hm_arenas *sets[] = { &hm_arenas_with_guards, &hm_arenas_without_guards };
	bool any = false;

	for (unsigned i = 0; i < 2; i++) {
		for (struct hm_arena *arena = LOAD(sets[i]->first); arena != NULL;
		     arena = arena->next_in_set)
			any |= unmap_if_free(arena);
	}
	return any;
}

const char *hm_arenas_check(const struct hm_arenas *set)
{
	uint32_t idle = 0;

	for (const struct hm_arena *arena = LOAD(set->first); arena != NULL;
	     arena = arena->next_in_set) {
		const char *broken;

		if (PEEK(arena->phase) != HM_ARENA_LIVE)
			continue;
		broken = hm_extents_check(&arena->book.extents);
		if (broken != NULL)
			return broken;
		if (PEEK(arena->room) != hm_extents_free(&arena->book.extents))
			return "an arena's room is not what is free in it";
		idle += hm_arena_is_free_locked(arena);
	}
	return idle == PEEK(set->idle) ? NULL : "the idle arenas are not counted right";
}
