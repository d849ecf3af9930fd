#ifndef HOSTMEM_OPENING_H
#define HOSTMEM_OPENING_H

#include "places.h"

#include "abi/hresult.h"

/*
 * Opening granules, so that pages in them can be committed, and closing them.
 *
 * An open granule is in core dumps.  With guard pages it is a read-write mapping in which
 * every page is guarded that is not committed; without, it has no access until its
 * mapping is changed.
 */

/*
 * Opens what is blank of the granules of [address, address + size), a part of the
 * reservation [start, end) in which [address, address + size) is about to be committed.
 * Where it cannot be done as usual, those granules are odd instead; so it never fails for
 * want of something that a commit of these very pages would not want as well.
 */
HRESULT hm_open(struct hm_arena *arena, uintptr_t address, size_t size, uintptr_t start,
		uintptr_t end);

/* Notes that there may be something to tidy up: to be called after the change. */
static inline void hm_make_untidy(struct hm_arenas *set)
{
	if (!atomic_load_explicit(&set->untidy, memory_order_relaxed))
		atomic_store_explicit(&set->untidy, true, memory_order_relaxed);
}

/* Has the kernel keep the mapping of a place apart from its neighbours, unless there are
 * too many such already; and ends that. */
void hm_set_apart(const struct hm_place *place);
void hm_rejoin(const struct hm_place *place);

/* Opens what has just been taken, and what is free beside it; it may stay as it is. */
void hm_open_ahead(const struct hm_place *place);

/*
 * Closes granules that the caller owns, whatever is in them: they are as blank as on the
 * first day, the kernel's tables included.  false: the system would not, and they are as
 * they were.
 */
bool hm_close(const struct hm_place *place);

/* Gives a place back to its arena, and closes what is open there in excess. */
void hm_give(const struct hm_place *place);
void hm_leave(struct hm_arena *arena, uintptr_t address, size_t size, uintptr_t start,
	      uintptr_t end, bool held);

/* Notes, before anybody can see it, that [address, address + size) and what is beside it of
 * the reservation [start, end) are reservations of their own from now on. */
void hm_divide(struct hm_arena *arena, uintptr_t address, size_t size, uintptr_t start,
	       uintptr_t end);

/* So many granules are closed when they are given back, and opened without what is around
 * them: by then a change of the mapping costs less than guards. */
#define HM_MANY 8U

/* What the mapping of open granules allows, where there are guards. */
#define HM_ACCESS_OPEN (HM_ACCESS_READ | HM_ACCESS_WRITE)

#endif
