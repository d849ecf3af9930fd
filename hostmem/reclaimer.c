/*
 * The reclaimer.
 *
 * It runs with no lock held and may do anything, replacing itself included.  So whoever
 * calls it counts as a user, and whoever replaces it waits until there is no other user;
 * from inside the call that would be for ever, and then the last user frees it instead.
 *
 * Locks: HM_RANK_RECLAIMER, so that nobody comes to use one that has just been replaced.
 * It is taken only when a request has run short.
 */
#include "reclaimer.h"
#include "calls.h"
#include "metadata.h"

static struct hm_reclaimer *exchange(struct hm_reclaimers *reclaimers,
				     struct hm_reclaimer *reclaimer)
{
	struct hm_reclaimer *before;

	hm_lock_acquire(&reclaimers->lock, HM_RANK_RECLAIMER);
	before = atomic_load_explicit(&reclaimers->current, memory_order_relaxed);
	atomic_store_explicit(&reclaimers->current, reclaimer, memory_order_relaxed);
	hm_lock_release(&reclaimers->lock, HM_RANK_RECLAIMER);
	return before;
}

HRESULT hm_reclaimers_set(struct hm_reclaimers *reclaimers,
			  HostMemReclaimCallback callback, void *state,
			  struct hm_reclaimer **before)
{
	struct hm_reclaimer *reclaimer = NULL;

	*before = NULL;
	hm_calls_enter();
	if (callback != NULL) {
		reclaimer = hm_metadata_alloc(sizeof(*reclaimer));
		if (reclaimer == NULL) {
			hm_calls_leave();
			return E_OUTOFMEMORY;
		}
		atomic_store(&reclaimer->users, 1);
		reclaimer->callback = callback;
		reclaimer->state = state;
	}
	*before = exchange(reclaimers, reclaimer);
	hm_calls_leave();
	return S_OK;
}

struct hm_reclaimer *hm_reclaimers_enter(struct hm_reclaimers *reclaimers)
{
	struct hm_reclaimer *reclaimer;

	if (!hm_reclaimers_any(reclaimers))
		return NULL;
	hm_calls_enter();
	hm_lock_acquire(&reclaimers->lock, HM_RANK_RECLAIMER);
	reclaimer = atomic_load_explicit(&reclaimers->current, memory_order_relaxed);
	if (reclaimer != NULL)
		atomic_fetch_add(&reclaimer->users, 1);
	hm_lock_release(&reclaimers->lock, HM_RANK_RECLAIMER);
	hm_calls_leave();
	return reclaimer;
}

static void free_record(struct hm_reclaimer *reclaimer)
{
	hm_calls_enter();
	hm_metadata_free(reclaimer, sizeof(*reclaimer));
	hm_calls_leave();
}

void hm_reclaimer_leave(struct hm_reclaimer *reclaimer)
{
	/* One left may be somebody who waits to free it; its address is enough. */
	if (atomic_fetch_sub(&reclaimer->users, 1) == 1)
		free_record(reclaimer);
	else
		hm_word_wake_all(&reclaimer->users);
}

void hm_reclaimer_retire(struct hm_reclaimer *reclaimer, bool inside)
{
	uint32_t users;

	while (!inside && (users = atomic_load(&reclaimer->users)) != 1)
		hm_word_wait(&reclaimer->users, users);
	hm_reclaimer_leave(reclaimer);
}

void hm_reclaimers_destroy(struct hm_reclaimers *reclaimers)
{
	struct hm_reclaimer *before;

	hm_calls_enter();
	before = exchange(reclaimers, NULL);
	hm_calls_leave();
	if (before != NULL)
		hm_reclaimer_leave(before);
}

void hm_reclaimers_after_fork(struct hm_reclaimers *reclaimers, uint32_t calls)
{
	struct hm_reclaimer *current = atomic_load(&reclaimers->current);

	if (current != NULL)
		atomic_store(&current->users, 1 + calls);
}
