#ifndef HOSTMEM_GRANULES_H
#define HOSTMEM_GRANULES_H

#include "extents.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The states of an arena's granules: two bits each.
 *
 * Whoever has taken a granule changes its state and nobody else does; anybody may read it,
 * without a lock.  Granules of several owners share a word, so changes are atomic.
 *
 * Zeroed granules are blank ones.
 */
enum hm_granule_state {
	HM_GRANULE_BLANK = 0, /* as it was mapped: no access, and not in core dumps */
	HM_GRANULE_OPEN = 1,  /* prepared for committed pages, see opening.h */
	HM_GRANULE_LENT = 2,  /* not the arena's any more, see lending.h */
	HM_GRANULE_ODD = 3,   /* open, but the mapping may have another access than open
				 granules start with */
};

#define HM_GRANULE_WORDS (HM_EXTENTS_MOST / 64U)

struct hm_granules {
	_Atomic uint64_t open[HM_GRANULE_WORDS]; /* the state's lower bit */
	_Atomic uint64_t odd[HM_GRANULE_WORDS];  /* the upper one */
	/* A word whose bit is not set here is blank: a large reservation that was never
	 * used is looked through in no time. */
	_Atomic uint64_t touched[HM_GRANULE_WORDS / 64];
	_Atomic uint64_t apart[HM_GRANULE_WORDS]; /* see opening.c */
};

/* What is among some granules: a set. */
enum hm_granules_seen {
	HM_SOME_BLANK = 1, /* or lent */
	HM_SOME_OPEN = 2,  /* or odd */
	HM_SOME_ODD = 4,   /* or lent */
};

unsigned hm_granules_look(const struct hm_granules *granules, uint32_t first,
			  uint32_t count);

/* The same; most often the granules are few, and of one word. */
static inline unsigned hm_granules_seen(const struct hm_granules *granules,
					uint32_t first, uint32_t count)
{
	uint64_t mask, open, odd;

	if (first % 64 + count > 64)
		return hm_granules_look(granules, first, count);
	mask = (UINT64_MAX >> (64 - count)) << (first % 64);
	open = mask &
	       atomic_load_explicit(&granules->open[first / 64], memory_order_relaxed);
	odd = mask &
	      atomic_load_explicit(&granules->odd[first / 64], memory_order_relaxed);
	return (open != mask ? HM_SOME_BLANK : 0U) | (open != 0 ? HM_SOME_OPEN : 0U) |
	       (odd != 0 ? HM_SOME_ODD : 0U);
}

static inline enum hm_granule_state hm_granules_state(const struct hm_granules *granules,
						      uint32_t granule)
{
	uint64_t open = atomic_load_explicit(&granules->open[granule / 64],
					     memory_order_relaxed);
	uint64_t odd = atomic_load_explicit(&granules->odd[granule / 64],
					    memory_order_relaxed);

	return (enum hm_granule_state)((open >> (granule % 64) & 1) |
				       (odd >> (granule % 64) & 1) << 1);
}

/* Granules from `first` on, at most `limit`, that share the state *state. */
uint32_t hm_granules_run(const struct hm_granules *granules, uint32_t first,
			 uint32_t limit, enum hm_granule_state *state);

/* Whether the kernel keeps the mapping of some of them apart from its neighbours. */
bool hm_granules_any_apart(const struct hm_granules *granules, uint32_t first,
			   uint32_t count);
/* How many have changed. */
uint32_t hm_granules_set_apart(struct hm_granules *granules, uint32_t first,
			       uint32_t count, bool apart);

void hm_granules_set(struct hm_granules *granules, uint32_t first, uint32_t count,
		     enum hm_granule_state state);

#endif
