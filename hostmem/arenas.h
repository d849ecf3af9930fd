#ifndef HOSTMEM_ARENAS_H
#define HOSTMEM_ARENAS_H

#include "extents.h"
#include "granules.h"
#include "os/lock.h"
#include "os/size.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Arenas: address space that the system was asked for once, and that is handed out and
 * taken back in granules of 64 KiB without asking it again (places.h).
 *
 * Arenas belong to the process.  They come in two sets, by what takes access to their
 * pages away: guard pages, or a change of the mapping.  Looking one up takes no lock.
 */
#define HM_ARENA_LARGEST ((size_t)HM_EXTENTS_MOST << HM_GRANULE_SHIFT)
#define HM_ARENA_SMALLEST ((size_t)4 << 20)

enum hm_arena_phase {
	HM_ARENA_NONE, /* the record is not in use */
	HM_ARENA_CHANGING,
	HM_ARENA_LIVE,
};

struct hm_arena {
	struct hm_lock lock; /* HM_RANK_ARENA: around free space, and what counts it */
	_Atomic uint32_t phase;
	_Atomic uintptr_t base, end;  /* end 0: there is no arena here now */
	_Atomic uintptr_t mapped_end; /* the same, also before it is live and after */
	struct hm_arenas *set;
	struct hm_arena *next_in_set, *next_in_block; /* written before it is linked */
	_Atomic uint32_t room; /* free granules, for those who look without the lock */
	uint32_t open_room;    /* free ones that are open */
	uint32_t unopened; /* small reservations that were taken blank and still are */

	/* All zero when an arena is made, and touched as little as can be. */
	_Alignas(4096) struct hm_arena_book {
		struct hm_granules granules;
		uint64_t unopened[HM_GRANULE_WORDS]; /* first granules of the above */
		/* Reservations in a granule beyond the first, where part of one was
		 * released; written under the lock. */
		_Atomic uint8_t tenants[HM_EXTENTS_MOST];
		struct hm_extents extents;
	} book;
};

#define HM_ARENA_HOMES 8U
#define HM_SHELF_ROOM 4U

/* See shelf.h. */
struct hm_shelf {
	_Alignas(64) _Atomic uint64_t places[HM_SHELF_ROOM];
	_Atomic uint32_t turn; /* whose it is to go when it is full */
};

struct hm_arenas {
	bool guards; /* access is taken away with guard pages */
	_Atomic(struct hm_arena *) first;
	_Atomic(struct hm_arena *) homes[HM_ARENA_HOMES]; /* where a thread looks first */
	_Atomic size_t largest;    /* bytes of an arena that the system may give */
	_Atomic uint32_t idle;     /* arenas in which nothing is taken */
	_Atomic uint32_t openings; /* since they were last tidied, see tidy.h */
	_Atomic bool loose;        /* there may be such pages, see committing.c */
	_Atomic bool untidy;       /* something was opened or shut since then */
	struct hm_shelf shelves[HM_ARENA_HOMES];
	_Atomic uint32_t apart; /* granules that are set apart, see opening.c */
};

extern struct hm_arenas hm_arenas_with_guards, hm_arenas_without_guards;

/* The arena whose address this is, lent or not; NULL if there is none. */
struct hm_arena *hm_arena_at(uintptr_t address);
/* The same, unless the address is lent. */
struct hm_arena *hm_arena_of(uintptr_t address);
/* The same, also while it is being made or unmapped: not to be used, and nobody else's. */
struct hm_arena *hm_arena_around(uintptr_t address);
/* Where the arena's addresses that are not lent end, seen from one of them; the address
 * itself if it is lent, or the arena's no more. */
uintptr_t hm_arena_reach(const struct hm_arena *arena, uintptr_t address);
/* Cuts [*start, *end) at the borders of arenas, seen from `address`, which is in none. */
void hm_arenas_cut(uintptr_t address, uintptr_t *start, uintptr_t *end);

static inline uint32_t hm_arena_granule(const struct hm_arena *arena, uintptr_t address)
{
	return (uint32_t)((address -
			   atomic_load_explicit(&arena->base, memory_order_relaxed)) >>
			  HM_GRANULE_SHIFT);
}

static inline uintptr_t hm_arena_address(const struct hm_arena *arena, uint32_t granule)
{
	return atomic_load_explicit(&arena->base, memory_order_relaxed) +
	       ((uintptr_t)granule << HM_GRANULE_SHIFT);
}

/* Asks the system for an arena of at least `needed` bytes; NULL if there is none to be
 * had.  It is live, and anybody may take from it. */
struct hm_arena *hm_arena_make(struct hm_arenas *set, size_t needed);

/* How often somebody has set about making an arena, and how often that has come to its end:
 * where the two differ, address space may be an arena's before anybody can know. */
uint64_t hm_arenas_begun(void);
uint64_t hm_arenas_made(void);

/* Takes the arena's lock if it is live. */
bool hm_arena_lock(struct hm_arena *arena);
void hm_arena_unlock(struct hm_arena *arena);
bool hm_arena_is_free_locked(const struct hm_arena *arena);
/* Releases the lock and gives the system the arena, in which nothing is taken. */
void hm_arena_unmap_locked(struct hm_arena *arena);

/* Gives the system all arenas back in which nothing is taken; whether there were any. */
bool hm_arenas_trim(void);

/* NULL if all of it holds together (nobody at work), else the rule that is broken. */
const char *hm_arenas_check(const struct hm_arenas *set);

#endif
