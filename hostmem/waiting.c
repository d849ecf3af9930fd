/*
 * Waiting for memory.
 *
 * Whoever gives memory back offers it to those who wait, in their order, and passes over
 * those whom it does not suffice.  The charge is admitted on the waiter's behalf before it
 * is woken: a woken thread that would have to ask again could find that a later one, or a
 * fresh request, was quicker, and its place in the order would mean nothing.  A fresh
 * request that fits does not queue behind those who do not fit.
 *
 * A waiter cannot be missed: it is counted, and then looks whether there is room; whoever
 * frees takes the bytes off, and then looks at the count.  Whichever comes second sees the
 * other.  Where the system was short there is nothing to look at but whether the host has
 * less than it had; a release in the moment between that does not show there costs the
 * waiter one turn, and its time limit ends the wait in any case.  A charge that came to
 * nothing gives the system nothing back, so it is not offered to those for whom the system
 * was short: two of them would wake each other with it until their time is up.
 *
 * In virtual time nobody sleeps: the clock is moved by what is left of the wait.
 *
 * Locks: HM_RANK_WAITING around the list.  A waiter may be gone as soon as its word is
 * written; waking it needs no more than the word's address.
 */
#include "waiting.h"
#include "calls.h"

#include <stddef.h>

static void insert_locked(struct hm_waiting *waiting, struct hm_waiter *waiter)
{
	struct hm_waiter *before = NULL, *after = waiting->first;

	while (after != NULL && after->level >= waiter->level) {
		before = after;
		after = after->next;
	}
	waiter->previous = before;
	waiter->next = after;
	if (after != NULL)
		after->previous = waiter;
	if (before != NULL)
		before->next = waiter;
	else
		waiting->first = waiter;
	waiting->uncharged += waiter->charge == 0;
	atomic_fetch_add(&waiting->count, 1);
}

static void unlink_locked(struct hm_waiting *waiting, struct hm_waiter *waiter)
{
	if (waiter->next != NULL)
		waiter->next->previous = waiter->previous;
	if (waiter->previous != NULL)
		waiter->previous->next = waiter->next;
	else
		waiting->first = waiter->next;
	waiting->uncharged -= waiter->charge == 0;
	atomic_fetch_sub(&waiting->count, 1);
}

static void wake_locked(struct hm_waiting *waiting, struct hm_waiter *waiter,
			enum hm_wake why)
{
	unlink_locked(waiting, waiter);
	atomic_store_explicit(&waiter->wake, why, memory_order_release);
	hm_word_wake_all(&waiter->wake);
}

/* Whoever wants nothing may have it, also beyond the limit. */
static bool admit(struct hm_budget *budget, const struct hm_waiter *waiter)
{
	HostMemReason reason;

	return waiter->charge == 0 ||
	       hm_budget_admit(budget, waiter->level, waiter->charge, &reason);
}

/* With many waiters most of them need not be looked at: they are on as many stacks. */
static bool is_over_locked(const struct hm_waiting *waiting,
			   const struct hm_budget *budget)
{
	return waiting->uncharged == 0 && hm_budget_is_full(budget);
}

/* `freed`: the system has got something back, too. */
static void offer_locked(struct hm_waiting *waiting, struct hm_budget *budget, bool freed)
{
	struct hm_waiter *waiter = waiting->first;

	while (waiter != NULL && !is_over_locked(waiting, budget)) {
		struct hm_waiter *next = waiter->next;

		if ((freed || !waiter->for_any_free) && admit(budget, waiter))
			wake_locked(waiting, waiter, HM_WAKE_GRANTED);
		waiter = next;
	}
}

static void wake_all_locked(struct hm_waiting *waiting, enum hm_wake why)
{
	while (waiting->first != NULL)
		wake_locked(waiting, waiting->first, why);
}

/* Whether there is no use in waiting, by the budget that there is. */
static bool is_hopeless(const struct hm_budget *budget, const struct hm_waiter *waiter)
{
	return !hm_budget_could_admit(budget, waiter->level, waiter->charge);
}

/* What there is to say before anybody sleeps.  The budget may have changed since somebody
 * thought that waiting was of use, and who changed it did not find this waiter. */
void hm_waiting_begin(struct hm_waiting *waiting, struct hm_budget *budget,
		      struct hm_waiter *waiter)
{
	atomic_store_explicit(&waiter->wake, HM_WAKE_NOT, memory_order_relaxed);
	hm_calls_enter();
	hm_lock_acquire(&waiting->lock, HM_RANK_WAITING);
	if (waiting->ended) {
		atomic_store_explicit(&waiter->wake, HM_WAKE_ENDED, memory_order_relaxed);
	} else {
		insert_locked(waiting, waiter);
		if (is_hopeless(budget, waiter))
			wake_locked(waiting, waiter, HM_WAKE_AGAIN);
		else if (!waiter->for_any_free)
			offer_locked(waiting, budget, false);
		else if (atomic_load(&budget->charged) < waiter->charged)
			wake_locked(waiting, waiter, HM_WAKE_AGAIN);
	}
	hm_lock_release(&waiting->lock, HM_RANK_WAITING);
	hm_calls_leave();
}

static enum hm_wake state_of(const struct hm_waiter *waiter)
{
	return (enum hm_wake)atomic_load_explicit(&waiter->wake, memory_order_acquire);
}

/* Unless somebody was quicker. */
static void end_wait(struct hm_waiting *waiting, struct hm_waiter *waiter,
		     enum hm_wake why)
{
	hm_calls_enter();
	hm_lock_acquire(&waiting->lock, HM_RANK_WAITING);
	if (state_of(waiter) == HM_WAKE_NOT)
		wake_locked(waiting, waiter, why);
	hm_lock_release(&waiting->lock, HM_RANK_WAITING);
	hm_calls_leave();
}

void hm_waiting_cancel(struct hm_waiting *waiting, struct hm_waiter *waiter)
{
	end_wait(waiting, waiter, HM_WAKE_AGAIN);
}

enum hm_wake hm_waiting_sleep(struct hm_waiting *waiting, struct hm_clock *clock,
			      struct hm_waiter *waiter)
{
	while (state_of(waiter) == HM_WAKE_NOT) {
		uint64_t now = hm_clock_now(clock);

		if (now >= waiter->deadline)
			end_wait(waiting, waiter, HM_WAKE_TIMEOUT);
		else if (hm_clock_is_virtual(clock))
			hm_clock_move(clock, waiter->deadline - now);
		else
			hm_word_wait_for(&waiter->wake, HM_WAKE_NOT,
					 waiter->deadline - now);
	}
	return state_of(waiter);
}

void hm_waiting_offer(struct hm_waiting *waiting, struct hm_budget *budget, bool freed)
{
	if (atomic_load(&waiting->count) == 0)
		return;
	hm_lock_acquire(&waiting->lock, HM_RANK_WAITING);
	offer_locked(waiting, budget, freed);
	hm_lock_release(&waiting->lock, HM_RANK_WAITING);
}

static bool is_content(const struct hm_block_want *want, const struct hm_heap *heap,
		       uintptr_t block, size_t size)
{
	return want != NULL && want->heap == heap && want->block == NULL &&
	       want->size <= size && block % want->alignment == 0;
}

static struct hm_waiter *find_content_locked(struct hm_waiting *waiting,
					     const struct hm_heap *heap,
					     const void *block, size_t size)
{
	struct hm_waiter *waiter = waiting->first;

	while (waiter != NULL && !is_content(waiter->want, heap, (uintptr_t)block, size))
		waiter = waiter->next;
	return waiter;
}

bool hm_waiting_wants(struct hm_waiting *waiting, const struct hm_heap *heap,
		      const void *block, size_t size)
{
	bool found;

	hm_lock_acquire(&waiting->lock, HM_RANK_WAITING);
	found = find_content_locked(waiting, heap, block, size) != NULL;
	hm_lock_release(&waiting->lock, HM_RANK_WAITING);
	return found;
}

bool hm_waiting_hand_over(struct hm_waiting *waiting, const struct hm_heap *heap,
			  void *block, size_t size)
{
	struct hm_waiter *waiter;

	hm_lock_acquire(&waiting->lock, HM_RANK_WAITING);
	waiter = find_content_locked(waiting, heap, block, size);
	if (waiter != NULL) {
		waiter->want->block = block;
		wake_locked(waiting, waiter, HM_WAKE_AGAIN);
	}
	hm_lock_release(&waiting->lock, HM_RANK_WAITING);
	return waiter != NULL;
}

void hm_waiting_look_again(struct hm_waiting *waiting, const struct hm_heap *heap)
{
	struct hm_waiter *next;

	hm_lock_acquire(&waiting->lock, HM_RANK_WAITING);
	for (struct hm_waiter *waiter = waiting->first; waiter != NULL; waiter = next) {
		next = waiter->next;
		if (waiter->want != NULL && waiter->want->heap == heap)
			wake_locked(waiting, waiter, HM_WAKE_AGAIN);
	}
	hm_lock_release(&waiting->lock, HM_RANK_WAITING);
}

void hm_waiting_judge(struct hm_waiting *waiting, struct hm_budget *budget, bool offer)
{
	struct hm_waiter *waiter;

	hm_lock_acquire(&waiting->lock, HM_RANK_WAITING);
	if (offer)
		offer_locked(waiting, budget, false);
	waiter = waiting->first;
	while (waiter != NULL) {
		struct hm_waiter *next = waiter->next;

		if (is_hopeless(budget, waiter))
			wake_locked(waiting, waiter, HM_WAKE_AGAIN);
		waiter = next;
	}
	hm_lock_release(&waiting->lock, HM_RANK_WAITING);
}

void hm_waiting_wake_all(struct hm_waiting *waiting)
{
	hm_lock_acquire(&waiting->lock, HM_RANK_WAITING);
	wake_all_locked(waiting, HM_WAKE_AGAIN);
	hm_lock_release(&waiting->lock, HM_RANK_WAITING);
}

void hm_waiting_end(struct hm_waiting *waiting)
{
	hm_lock_acquire(&waiting->lock, HM_RANK_WAITING);
	waiting->ended = true;
	wake_all_locked(waiting, HM_WAKE_ENDED);
	hm_lock_release(&waiting->lock, HM_RANK_WAITING);
}

void hm_waiting_after_fork(struct hm_waiting *waiting)
{
	waiting->first = NULL;
	waiting->uncharged = 0;
	atomic_store(&waiting->count, 0);
}
