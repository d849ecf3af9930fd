#ifndef HOSTMEM_EXTERNAL_H
#define HOSTMEM_EXTERNAL_H

#include "os/lock.h"

#include "budget.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Address space that the runtime took from the system itself and told the host of
 * (AcquiredVirtualAddressSpace): file mappings, mostly.
 *
 * Runs do not overlap: whoever acquires last has the addresses, since the system can only
 * have given them again after they were given up.  A run keeps the start under which it
 * was acquired, because that is all that ReleasedVirtualAddressSpace says.
 */
struct hm_external_run {
	uintptr_t start,
		end;        /* bytes, end not included; equal if nothing is left of it */
	uintptr_t acquired; /* the start that was announced */
};

struct hm_external {
	struct hm_lock lock;          /* HM_RANK_EXTERNAL */
	struct hm_external_run *runs; /* in no order */
	size_t count, room;
	_Atomic size_t bytes; /* of all runs */
};

/*
 * The three below charge and refund the budget together with the books, under one lock:
 * else a thread that displaces a run could refund what is not charged yet.
 */

/*
 * Remembers [start, start + size).  *displaced: bytes that earlier acquisitions lose by
 * it.  false: no memory for the note, nothing changed.
 */
bool hm_external_acquire(struct hm_external *external, struct hm_budget *budget,
			 uintptr_t start, size_t size, size_t *displaced);

/* Forgets all of a start, *size bytes; false if nothing was acquired there. */
bool hm_external_release(struct hm_external *external, struct hm_budget *budget,
			 uintptr_t start, size_t *size);

/* Forgets any one start, for a host that is thrown away; false: none left. */
bool hm_external_pop(struct hm_external *external, struct hm_budget *budget,
		     uintptr_t *start, size_t *size);

void hm_external_destroy(struct hm_external *external);

#endif
