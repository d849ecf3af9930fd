/*
 * Charging.
 *
 * One word holds charged and pending bytes together, and is only ever raised by a
 * compare-and-swap that has looked at the limit: so requests of many threads cannot
 * overshoot it together, not by a byte, and no lock is needed.  The charged bytes and
 * their peak are separate words for those who read them.
 */
#include "budget.h"
#include "os/check.h"

void hm_budget_init(struct hm_budget *budget)
{
	budget->limit = SIZE_MAX;
}

bool hm_budget_admit(struct hm_budget *budget, size_t size, HostMemReason *reason)
{
	size_t claimed = atomic_load_explicit(&budget->claimed, memory_order_relaxed);

	do {
		if (size > SIZE_MAX - claimed) {
			*reason = HostMemByOverflow;
			return false;
		}
		if (claimed + size > budget->limit) {
			*reason = HostMemByBudget;
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(&budget->claimed, &claimed,
							claimed + size,
							memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

void hm_budget_settle(struct hm_budget *budget, size_t size)
{
	size_t charged = size + atomic_fetch_add_explicit(&budget->charged, size,
							  memory_order_relaxed);
	size_t peak = atomic_load_explicit(&budget->peak, memory_order_relaxed);

	while (peak < charged &&
	       !atomic_compare_exchange_weak_explicit(&budget->peak, &peak, charged,
						      memory_order_relaxed,
						      memory_order_relaxed))
		;
}

void hm_budget_charge(struct hm_budget *budget, size_t size)
{
	atomic_fetch_add_explicit(&budget->claimed, size, memory_order_relaxed);
	hm_budget_settle(budget, size);
}

static void take_off(_Atomic size_t *figure, size_t size)
{
	size_t before = atomic_fetch_sub_explicit(figure, size, memory_order_relaxed);

	hm_assert(before >= size);
	(void)before;
}

void hm_budget_cancel(struct hm_budget *budget, size_t size)
{
	take_off(&budget->claimed, size);
}

void hm_budget_unsettle(struct hm_budget *budget, size_t size)
{
	take_off(&budget->charged, size);
}

void hm_budget_refund(struct hm_budget *budget, size_t size)
{
	take_off(&budget->charged, size);
	take_off(&budget->claimed, size);
}

void hm_budget_after_fork(struct hm_budget *budget, size_t pending)
{
	size_t charged = atomic_load_explicit(&budget->charged, memory_order_relaxed);

	atomic_store_explicit(&budget->claimed, charged + pending, memory_order_relaxed);
}
