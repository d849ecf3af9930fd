#ifndef HOSTMEM_LENDING_H
#define HOSTMEM_LENDING_H

#include "places.h"

#include "abi/hresult.h"

/*
 * Arena space for a reservation that the arenas cannot make.
 *
 * A caller may want addresses of which some are free in an arena and others are nobody's,
 * or are another kind of arena's: VirtualQuery tells him that all of them are free.  So
 * the arenas give those granules up: they are unmapped, marked HM_GRANULE_LENT, and the
 * reservation is made as if there had never been an arena.  They do not come back, which
 * costs the arena addresses and nobody memory.
 */
#define HM_MOST_LENDERS 8U

struct hm_loan {
	struct hm_place parts[HM_MOST_LENDERS];
	unsigned count;
};

/*
 * Gives up what arenas have in [base, base + size).
 * HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS): a granule of it is taken, or more arenas than
 * HM_MOST_LENDERS are in it; E_OUTOFMEMORY: the system has no room to unmap it.  Then
 * nothing is lent.
 */
HRESULT hm_lend(uintptr_t base, size_t size, struct hm_loan *loan);

/* The reservation came to nothing: makes arena space of it again, where it is still free. */
void hm_take_back(const struct hm_loan *loan);

#endif
