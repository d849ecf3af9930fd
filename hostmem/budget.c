/*
 * The budget: limits, and charging.
 *
 * One word holds charged and pending bytes together, and is only ever raised by a
 * compare-and-swap that has looked at the limit: so requests of many threads cannot
 * overshoot it together, not by a byte, and no lock is needed.  The charged bytes and
 * their peak are separate words for those who read them.
 *
 * The figures may be replaced at any time.  A request must not be judged by half of the
 * old ones and half of the new: a generous size from one and a generous limit from the
 * other would admit what neither does.  So they have a version, which is looked at again
 * between the verdict and the swap: what then raises the word was judged by figures that
 * belonged together, and that the next ones come in between is the luck of a request under
 * way.  Looking after the swap and taking the charge back was rejected: for that moment
 * others would be refused, or would go to sleep, because of bytes that nobody gets.  So was
 * a lock around both: it would be the one lock that all requests of a host take.
 *
 * What may be claimed is worked out once for each level when the figures are set.  It grows
 * with the level, as does the largest request, which is all there is to the law that what
 * a level is refused every lower one is refused as well.
 *
 * Locks: HM_RANK_BUDGET around replacing the figures and reading all of them.
 */
#include "budget.h"
#include "calls.h"
#include "os/check.h"
#include "os/thread.h"

#define KNOWN_FLAGS (HOSTMEM_CHARGE_RESERVE | HOSTMEM_ANNOUNCE_ALWAYS)

#define PEEK(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define LOAD(field) atomic_load_explicit(&(field), memory_order_acquire)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_release)

/* ---- The figures ---- */

HRESULT hm_budget_check(const HostMemBudget *budget)
{
	if (budget->dwFlags & ~KNOWN_FLAGS)
		return E_INVALIDARG;
	if (budget->cbHeadroom[eTaskCritical] > budget->cbLimit)
		return E_INVALIDARG;
	for (unsigned level = eTaskCritical; level < eProcessCritical; level++) {
		if (budget->cbHeadroom[level] < budget->cbHeadroom[level + 1] ||
		    budget->cbLargest[level] > budget->cbLargest[level + 1])
			return E_INVALIDARG;
	}
	return S_OK;
}

static void put_figures(struct hm_budget *budget, const HostMemBudget *given)
{
	budget->given = *given;
	for (unsigned level = eTaskCritical; level <= eProcessCritical; level++) {
		STORE(budget->ceiling[level], given->cbLimit - given->cbHeadroom[level]);
		STORE(budget->largest[level], given->cbLargest[level]);
		STORE(budget->wait[level], given->msWait[level]);
	}
	STORE(budget->limit, given->cbLimit);
	STORE(budget->soft_limit, given->cbSoftLimit);
	STORE(budget->flags, given->dwFlags);
}

void hm_budget_init(struct hm_budget *budget, const HostMemBudget *given)
{
	put_figures(budget, given);
	STORE(budget->alarm, SIZE_MAX);
}

HRESULT hm_budget_set(struct hm_budget *budget, const HostMemBudget *given)
{
	uint32_t version;

	if (((given->dwFlags ^ PEEK(budget->flags)) & HOSTMEM_CHARGE_RESERVE) != 0)
		return E_INVALIDARG;
	hm_calls_enter();
	hm_lock_acquire(&budget->lock, HM_RANK_BUDGET);
	version = PEEK(budget->version);
	/* Whoever loads one of the figures that follow sees this as well. */
	STORE(budget->version, version + 1);
	put_figures(budget, given);
	STORE(budget->version, version + 2);
	hm_lock_release(&budget->lock, HM_RANK_BUDGET);
	hm_calls_leave();
	return S_OK;
}

void hm_budget_get(struct hm_budget *budget, HostMemBudget *out)
{
	hm_calls_enter();
	hm_lock_acquire(&budget->lock, HM_RANK_BUDGET);
	*out = budget->given;
	hm_lock_release(&budget->lock, HM_RANK_BUDGET);
	hm_calls_leave();
}

/* ---- Admission ---- */

/* HostMemNoReason: it fits. */
static inline HostMemReason judge(const struct hm_budget *budget,
				  EMemoryCriticalLevel level, size_t size, size_t claimed)
{
	size_t ceiling = LOAD(budget->ceiling[level]);
	size_t largest = LOAD(budget->largest[level]);

	if (size > SIZE_MAX - claimed)
		return HostMemByOverflow;
	if (claimed + size > ceiling || size > largest)
		return HostMemByBudget;
	return HostMemNoReason;
}

static inline bool still_stands(const struct hm_budget *budget, uint32_t version)
{
	return (version & 1) == 0 && PEEK(budget->version) == version;
}

bool hm_budget_admit(struct hm_budget *budget, EMemoryCriticalLevel level, size_t size,
		     HostMemReason *reason)
{
	for (;;) {
		uint32_t version = LOAD(budget->version);
		size_t claimed = PEEK(budget->claimed);

		*reason = judge(budget, level, size, claimed);
		if (still_stands(budget, version)) {
			if (*reason != HostMemNoReason)
				return false;
			if (atomic_compare_exchange_weak(&budget->claimed, &claimed,
							 claimed + size))
				return true;
		}
		hm_thread_relax();
	}
}

bool hm_budget_could_admit(const struct hm_budget *budget, EMemoryCriticalLevel level,
			   size_t size)
{
	return judge(budget, level, size, 0) == HostMemNoReason;
}

bool hm_budget_is_full(const struct hm_budget *budget)
{
	return atomic_load(&budget->claimed) >= LOAD(budget->ceiling[eProcessCritical]);
}

size_t hm_budget_lacks(const struct hm_budget *budget, EMemoryCriticalLevel level,
		       size_t size)
{
	size_t claimed = PEEK(budget->claimed), ceiling = PEEK(budget->ceiling[level]);
	size_t room = ceiling > claimed ? ceiling - claimed : 0;

	return size > room ? size - room : 0;
}

/* ---- Charging ---- */

void hm_budget_settle(struct hm_budget *budget, size_t size)
{
	/* Sequentially consistent: who charges then looks at the alarm, and who sets that then
	 * looks at the charge. */
	size_t charged = size + atomic_fetch_add(&budget->charged, size);
	size_t peak = PEEK(budget->peak);

	while (peak < charged &&
	       !atomic_compare_exchange_weak_explicit(&budget->peak, &peak, charged,
						      memory_order_relaxed,
						      memory_order_relaxed))
		;
}

void hm_budget_forget_peak(struct hm_budget *budget)
{
	atomic_store_explicit(&budget->peak, PEEK(budget->charged), memory_order_relaxed);
}

void hm_budget_charge(struct hm_budget *budget, size_t size)
{
	atomic_fetch_add_explicit(&budget->claimed, size, memory_order_relaxed);
	hm_budget_settle(budget, size);
}

/* Sequentially consistent: whoever takes off then looks for waiters, and a waiter is seen
 * before it looks at the figure. */
static void take_off(_Atomic size_t *figure, size_t size)
{
	size_t before = atomic_fetch_sub(figure, size);

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

bool hm_budget_takes_alarm(struct hm_budget *budget)
{
	return hm_budget_alarms(budget) &&
	       atomic_exchange(&budget->alarm, SIZE_MAX) != SIZE_MAX;
}

void hm_budget_after_fork(struct hm_budget *budget, size_t pending)
{
	STORE(budget->claimed, PEEK(budget->charged) + pending);
}
