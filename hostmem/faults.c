/*
 * Fault rules: which requests fail on demand.
 *
 * Whoever tests a runtime wants the third commit above a megabyte to fail, and the same
 * one in every run.  So a rule decides by what it has counted, or by numbers drawn from a
 * seed of its own, and by nothing else: no clock, no address, no other rule's draws.
 *
 * Rules are asked in the order in which they were added, and the first that fires ends
 * the search: a rule behind it does not count the request.  If all of them counted, a
 * request on which two fire would use up a firing of each for a single failure.
 *
 * The draws are splitmix64 in words of our own: the system's generators differ from one
 * to the next, and would be shared with the program.  The upper 53 bits of a draw are
 * compared with the probability as a whole number of 2^-53.  That number is worked out
 * once, and multiplying by a power of two is exact, so no compiler comes to another one.
 *
 * A rule that has fired as often as it may stays on the list, since RemoveFault has
 * promised to know it.
 *
 * Not here: the wait for the delay, attempts, counters and events, which are for the path
 * of a request; and refusing the system calls themselves, for which os/system.h is there.
 *
 * Locks: HM_RANK_FAULTS around the list and all that its rules count.  Walking without
 * it, as subscribers are walked, would not do: whoever matches a rule changes it.
 */
#include "faults.h"
#include "calls.h"
#include "metadata.h"

#include <stddef.h>

#define BIT(number) (1U << (unsigned)(number))

enum {
	OPERATIONS = BIT(HostMemMapping + 1) - 1,
	/* Not what is given back, nor what the runtime has mapped already. */
	REFUSABLE = BIT(HostMemReserve) | BIT(HostMemCommit) | BIT(HostMemHeap),
	LEVELS = BIT(eProcessCritical + 1) - 1,
	DRAW_BITS = 53, /* as many as a double has */
};

HRESULT hm_faults_check(const HostMemFault *fault)
{
	bool counts = fault->nth != 0 || fault->every != 0;

	if ((fault->operations & ~(uint32_t)OPERATIONS) ||
	    (fault->levels & ~(uint32_t)LEVELS))
		return E_INVALIDARG;
	/* A rule for frees alone would never fire, and its author would never know. */
	if (fault->operations != 0 && !(fault->operations & REFUSABLE))
		return E_INVALIDARG;
	if (fault->place != HOSTMEM_FAULT_BUDGET && fault->place != HOSTMEM_FAULT_SYSTEM)
		return E_INVALIDARG;
	if (fault->cbMax != 0 && fault->cbMin > fault->cbMax)
		return E_INVALIDARG;
	/* In these words, since NaN is not in the range and not outside it either. */
	if (!(fault->probability >= 0.0 && fault->probability <= 1.0))
		return E_INVALIDARG;
	if (counts && fault->probability > 0.0)
		return E_INVALIDARG;
	return FAILED(fault->result) ? S_OK : E_INVALIDARG;
}

static void fill(struct hm_fault_rule *rule, const HostMemFault *fault)
{
	rule->fault = *fault;
	if (rule->fault.operations == 0)
		rule->fault.operations = OPERATIONS;
	rule->fault.operations &= REFUSABLE;
	if (rule->fault.levels == 0)
		rule->fault.levels = LEVELS;
	if (rule->fault.cbMax == 0)
		rule->fault.cbMax = SIZE_MAX;
	rule->state = fault->seed;
	rule->threshold =
		(uint64_t)(fault->probability * (double)((uint64_t)1 << DRAW_BITS));
}

HRESULT hm_faults_add(struct hm_faults *faults, const HostMemFault *fault,
		      uint64_t *cookie)
{
	struct hm_fault_rule *rule;

	hm_calls_enter();
	rule = hm_metadata_alloc(sizeof(*rule));
	if (rule == NULL) {
		hm_calls_leave();
		return E_OUTOFMEMORY;
	}
	fill(rule, fault);
	hm_lock_acquire(&faults->lock, HM_RANK_FAULTS);
	rule->cookie = ++faults->last_cookie;
	*cookie = rule->cookie;
	if (faults->last != NULL)
		faults->last->next = rule;
	else
		atomic_store_explicit(&faults->first, rule, memory_order_relaxed);
	faults->last = rule;
	hm_lock_release(&faults->lock, HM_RANK_FAULTS);
	hm_calls_leave();
	return S_OK;
}

static struct hm_fault_rule *first_locked(const struct hm_faults *faults)
{
	return atomic_load_explicit(&faults->first, memory_order_relaxed);
}

static struct hm_fault_rule *unlink_locked(struct hm_faults *faults, uint64_t cookie)
{
	struct hm_fault_rule *before = NULL;
	struct hm_fault_rule *found = first_locked(faults);

	while (found != NULL && found->cookie != cookie) {
		before = found;
		found = found->next;
	}
	if (found == NULL)
		return NULL;
	if (before != NULL)
		before->next = found->next;
	else
		atomic_store_explicit(&faults->first, found->next, memory_order_relaxed);
	if (faults->last == found)
		faults->last = before;
	return found;
}

HRESULT hm_faults_remove(struct hm_faults *faults, uint64_t cookie)
{
	struct hm_fault_rule *rule;

	hm_calls_enter();
	hm_lock_acquire(&faults->lock, HM_RANK_FAULTS);
	rule = unlink_locked(faults, cookie);
	hm_lock_release(&faults->lock, HM_RANK_FAULTS);
	if (rule != NULL)
		hm_metadata_free(rule, sizeof(*rule));
	hm_calls_leave();
	return rule != NULL ? S_OK : E_INVALIDARG;
}

static bool matches(const HostMemFault *fault, const struct hm_fault_query *query)
{
	return fault->place == query->place &&
	       (fault->operations & BIT(query->operation)) != 0 &&
	       (fault->levels & BIT(query->level)) != 0 && query->size >= fault->cbMin &&
	       query->size <= fault->cbMax;
}

/* The next number of splitmix64, as Sebastiano Vigna wrote it down. */
static uint64_t draw(uint64_t *state)
{
	uint64_t number = *state += 0x9E3779B97F4A7C15;

	number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9;
	number = (number ^ (number >> 27)) * 0x94D049BB133111EB;
	return number ^ (number >> 31);
}

/* Counts a match and says whether it is one that fires, firings left or not. */
static bool is_due(struct hm_fault_rule *rule)
{
	const HostMemFault *fault = &rule->fault;
	uint64_t match = ++rule->matches;

	if (fault->probability > 0.0)
		return draw(&rule->state) >> (64 - DRAW_BITS) < rule->threshold;
	if (fault->every == 0)
		return fault->nth == 0 || match == fault->nth;
	return match >= fault->nth && (match - fault->nth) % fault->every == 0;
}

static bool fires_locked(struct hm_fault_rule *rule, const struct hm_fault_query *query)
{
	bool left = rule->fault.count == 0 || rule->firings < rule->fault.count;

	if (!left || !matches(&rule->fault, query) || !is_due(rule))
		return false;
	rule->firings++;
	return true;
}

bool hm_faults_fire(struct hm_faults *faults, const struct hm_fault_query *query,
		    HRESULT *result, uint32_t *ms)
{
	struct hm_fault_rule *rule;

	hm_calls_enter();
	hm_lock_acquire(&faults->lock, HM_RANK_FAULTS);
	rule = first_locked(faults);
	while (rule != NULL && !fires_locked(rule, query))
		rule = rule->next;
	if (rule != NULL) {
		*result = rule->fault.result;
		*ms = rule->fault.msDelay;
	}
	hm_lock_release(&faults->lock, HM_RANK_FAULTS);
	hm_calls_leave();
	return rule != NULL;
}

void hm_faults_destroy(struct hm_faults *faults)
{
	struct hm_fault_rule *rule = first_locked(faults);

	hm_calls_enter();
	while (rule != NULL) {
		struct hm_fault_rule *next = rule->next;

		hm_metadata_free(rule, sizeof(*rule));
		rule = next;
	}
	hm_calls_leave();
}
