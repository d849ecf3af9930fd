#ifndef HOSTMEM_BUDGET_H
#define HOSTMEM_BUDGET_H

#include "os/lock.h"

#include "abi/hostmem.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * What a host grants, and what its memory is charged with.
 *
 * Charges have two phases: one is pending from the time a request is admitted until the
 * system has delivered; pending charges count against the limit, but not as use.
 *
 * Index of the arrays: EMemoryCriticalLevel.
 */
struct hm_budget {
	/* Written rarely, read by every request. */
	_Atomic uint32_t version;  /* odd while the figures are being replaced */
	_Atomic uint32_t flags;    /* HostMemBudget.dwFlags */
	_Atomic size_t ceiling[3]; /* what may be claimed by a level: limit - headroom */
	_Atomic size_t largest[3];
	_Atomic uint32_t wait[3]; /* ms */
	_Atomic size_t limit, soft_limit;
	_Atomic size_t alarm; /* whoever charges more than that wakes the monitor */

	struct hm_lock lock; /* HM_RANK_BUDGET: replacing, and reading as a whole */
	HostMemBudget given;

	/* Written by every request. */
	_Alignas(64) _Atomic size_t claimed; /* charged and pending together */
	_Atomic size_t charged, peak;        /* peak of charged */
};

/* Arguments of a complete record: E_INVALIDARG for unknown flags, headroom or largest
 * that is not in the order of the levels, headroom above the limit. */
HRESULT hm_budget_check(const HostMemBudget *budget);

/* The first one; it has been checked, and nobody else knows the budget yet. */
void hm_budget_init(struct hm_budget *budget, const HostMemBudget *given);
/* Replaces it; E_INVALIDARG if it charges in another way than the first one. */
HRESULT hm_budget_set(struct hm_budget *budget, const HostMemBudget *given);
void hm_budget_get(struct hm_budget *budget, HostMemBudget *out);

/* Whether reserved pages are charged, and not committed ones: fixed from the beginning. */
static inline bool hm_budget_charges_reserve(const struct hm_budget *budget)
{
	return (atomic_load_explicit(&budget->flags, memory_order_relaxed) &
		HOSTMEM_CHARGE_RESERVE) != 0;
}

static inline bool hm_budget_announces_always(const struct hm_budget *budget)
{
	return (atomic_load_explicit(&budget->flags, memory_order_relaxed) &
		HOSTMEM_ANNOUNCE_ALWAYS) != 0;
}

/* ms that a refused request may wait. */
static inline uint32_t hm_budget_wait(const struct hm_budget *budget,
				      EMemoryCriticalLevel level)
{
	return atomic_load_explicit(&budget->wait[level], memory_order_relaxed);
}

/* Admits a charge; otherwise the reason why not, and nothing has changed. */
bool hm_budget_admit(struct hm_budget *budget, EMemoryCriticalLevel level, size_t size,
		     HostMemReason *reason);
/* Whether that could be admitted if nothing else was charged. */
bool hm_budget_could_admit(const struct hm_budget *budget, EMemoryCriticalLevel level,
			   size_t size);
/* Whether not even one byte can be admitted, at any level. */
bool hm_budget_is_full(const struct hm_budget *budget);
/* Bytes that would have to be given back before it is admitted. */
size_t hm_budget_lacks(const struct hm_budget *budget, EMemoryCriticalLevel level,
		       size_t size);

/* The system has delivered, or has not. */
void hm_budget_settle(struct hm_budget *budget, size_t size);
void hm_budget_cancel(struct hm_budget *budget, size_t size);
/* The peak begins anew, at what is charged; while nobody charges. */
void hm_budget_forget_peak(struct hm_budget *budget);
/* Charges what cannot be refused. */
void hm_budget_charge(struct hm_budget *budget, size_t size);
/* A charge that nobody has seen yet is pending again. */
void hm_budget_unsettle(struct hm_budget *budget, size_t size);
/* What was charged has been given back. */
void hm_budget_refund(struct hm_budget *budget, size_t size);
/* Whether more is charged than may be without anybody looking at it; once for each time that
 * the alarm was set. */
bool hm_budget_takes_alarm(struct hm_budget *budget);

static inline bool hm_budget_alarms(const struct hm_budget *budget)
{
	return atomic_load(&budget->charged) > atomic_load(&budget->alarm);
}

/* In a fork child: only `pending` of what was admitted is still under way. */
void hm_budget_after_fork(struct hm_budget *budget, size_t pending);

#endif
