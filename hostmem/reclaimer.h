#ifndef HOSTMEM_RECLAIMER_H
#define HOSTMEM_RECLAIMER_H

#include "os/lock.h"

#include "abi/hostmem.h"

#include <stddef.h>

/*
 * Who gives memory back when a request of a host runs short: one at a time.
 *
 * A reclaimer lives as long as it is the host's, or is called.
 */
struct hm_reclaimer {
	_Atomic uint32_t
		users; /* calls in flight, and one for the host or for who waits */
	HostMemReclaimCallback callback;
	void *state;
};

struct hm_reclaimers {
	struct hm_lock lock; /* HM_RANK_RECLAIMER */
	_Atomic(struct hm_reclaimer *) current;
};

/* NULL callback = nobody.  *before, if there was one, belongs to the caller: for
 * hm_reclaimer_retire.  E_OUTOFMEMORY: nothing changed. */
HRESULT hm_reclaimers_set(struct hm_reclaimers *reclaimers,
			  HostMemReclaimCallback callback, void *state,
			  struct hm_reclaimer **before);

static inline bool hm_reclaimers_any(const struct hm_reclaimers *reclaimers)
{
	return atomic_load_explicit(&reclaimers->current, memory_order_relaxed) != NULL;
}

/* The current one, in use until hm_reclaimer_leave; NULL = nobody. */
struct hm_reclaimer *hm_reclaimers_enter(struct hm_reclaimers *reclaimers);
void hm_reclaimer_leave(struct hm_reclaimer *reclaimer);

/* Returns when no call of it is in flight; `inside` one, at once. */
void hm_reclaimer_retire(struct hm_reclaimer *reclaimer, bool inside);

void hm_reclaimers_destroy(struct hm_reclaimers *reclaimers);

/* In a fork child: only `calls` of the current one are still in flight. */
void hm_reclaimers_after_fork(struct hm_reclaimers *reclaimers, uint32_t calls);

#endif
