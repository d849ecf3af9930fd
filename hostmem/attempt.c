/*
 * The path of a request.
 *
 * One attempt: fault rules that stand for the budget, the budget, the callbacks, fault rules
 * that stand for the system, the system.  A charge is pending from the budget's yes until
 * the system has delivered, so two threads cannot be promised the same bytes; whatever
 * fails later takes it back.
 *
 * A shortage need not be the end: the reclaimer is called, once, and then the request
 * waits, if its level may.  After each of these comes one more attempt.  A "no" of a
 * callback is final, and so is every failure that more memory would not mend; what could
 * not be granted even if nothing else was charged is refused at once.  An injected failure
 * goes the way of a real one: from here on nobody knows the difference.
 *
 * There is one failure event, at the very end.
 *
 * Locks: none.  A request that finds the gate closed in front of the system's part gives
 * its charge back before it waits: the owner of the gate may need it.
 */
#include "attempt.h"
#include "announce.h"
#include "calls.h"
#include "gate.h"
#include "heap.h"

#include <stddef.h>

/* ---- Failing ---- */

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void count_refusal(struct hm_host *host, HostMemReason reason)
{
	if (reason == HostMemByCallback)
		count(&host->refused_callback);
	else if (reason == HostMemByBudget || reason == HostMemByOverflow)
		count(&host->refused_budget);
	else if (reason == HostMemByFault)
		count(&host->refused_injected);
	else if (reason == HostMemBySystem)
		count(&host->failed_os);
}

/* Gives back all that is pending but `kept` bytes. */
static void keep(struct hm_request *request, size_t kept)
{
	size_t excess = request->pending - kept;

	request->pending = kept;
	if (excess == 0)
		return;
	hm_budget_cancel(&request->host->budget, excess);
	hm_host_offer(request->host, HM_OFFER_CHARGE);
}

static void take_back(struct hm_request *request)
{
	keep(request, 0);
}

/* What was never announced and is no shortage is a bad argument: no event. */
static bool is_told(const struct hm_request *request, HRESULT hr, HostMemReason reason)
{
	return request->asked_up_to != 0 || hr == E_OUTOFMEMORY ||
	       reason == HostMemByFault || reason == HostMemByTimeout ||
	       reason == HostMemByShutdown;
}

HRESULT hm_request_refuse(struct hm_request *request, HRESULT hr, HostMemReason reason)
{
	struct hm_host *host = request->host;
	bool always;

	take_back(request);
	/* Who waited in vain was refused by what it waited for. */
	count_refusal(host, reason == HostMemByTimeout ? request->shortage : reason);
	if (!request->observed || !is_told(request, hr, reason))
		return hr;
	/* What charges nothing has nothing to announce. */
	always = request->asked != 0 && hm_budget_announces_always(&host->budget);
	if (always && request->asked_up_to == 0)
		(void)hm_announce(request, request->asked, false);
	hm_announce_failure(request, hr, reason, always || reason == HostMemByCallback);
	return hr;
}

/* ---- One attempt ---- */

/* Time may have been moved by it, and something be due by time alone. */
static void look_at_the_time(struct hm_host *host)
{
	if (hm_clock_is_virtual(&host->clock))
		hm_availability_look(host);
}

static HRESULT ask_rules(struct hm_request *request, const struct hm_work *work,
			 uint32_t place)
{
	struct hm_host *host = request->host;
	const struct hm_fault_query query = {
		.operation = request->operation,
		.level = request->level,
		.place = place,
		.size = work->size,
	};
	HRESULT hr;
	uint32_t ms;

	/* A rule sees a request once, not once for each attempt, and one that turns out to
	 * need nothing not at all. */
	if (work->size == 0 || (request->faulted & (1U << place)) != 0)
		return S_OK;
	request->faulted |= 1U << place;
	if (!hm_faults_fire(&host->faults, &query, &hr, &ms))
		return S_OK;
	if (ms != 0) {
		hm_request_enroll(request);
		hm_host_let_pass(host, ms);
		look_at_the_time(host);
	}
	return hr;
}

static inline HRESULT pass_faults(struct hm_request *request, const struct hm_work *work,
				  uint32_t place)
{
	return hm_faults_any(&request->host->faults) ? ask_rules(request, work, place)
						     : S_OK;
}

/* What is pending already was admitted while it waited, or for an attempt that needed
 * more: it is not put at risk again. */
static HRESULT claim(struct hm_request *request, size_t charge, HostMemReason *reason)
{
	if (request->pending >= charge) {
		keep(request, charge);
		return S_OK;
	}
	take_back(request);
	if (!hm_budget_admit(&request->host->budget, request->level, charge, reason))
		return E_OUTOFMEMORY;
	request->pending = charge;
	return S_OK;
}

/*
 * Memory is short: what the host's heaps keep for later goes back, and the work itself may
 * have a way to do with less.  Whether to try again; this is not yet the end of an attempt.
 */
static bool economize(struct hm_request *request, struct hm_work *work)
{
	bool any = hm_heaps_trim(request->host);

	if (work->economize != NULL)
		any |= work->economize(work, request);
	request->asked = work->charge;
	return any;
}

/* Whether it could be granted if nothing else was charged, in this way or another. */
static bool is_possible(const struct hm_request *request, const struct hm_work *work)
{
	return work->want != NULL || hm_budget_could_admit(&request->host->budget,
							   request->level, work->charge);
}

/* Everything before the system. */
static HRESULT ask(struct hm_request *request, struct hm_work *work,
		   HostMemReason *reason)
{
	HRESULT hr;

	request->attempt++;
	request->asked = work->charge;
	*reason = HostMemByFault;
	hr = pass_faults(request, work, HOSTMEM_FAULT_BUDGET);
	if (FAILED(hr))
		return hr;
	hr = claim(request, work->charge, reason);
	if (FAILED(hr) && *reason == HostMemByBudget && is_possible(request, work) &&
	    economize(request, work))
		hr = claim(request, work->charge, reason);
	if (FAILED(hr))
		return hr;
	/* What charges nothing is nobody's business, unless something was announced. */
	if (request->observed && (work->charge != 0 || request->asked_up_to != 0) &&
	    !hm_announce(request, work->charge, true)) {
		*reason = HostMemByCallback;
		return E_OUTOFMEMORY;
	}
	*reason = HostMemByFault;
	return pass_faults(request, work, HOSTMEM_FAULT_SYSTEM);
}

static HostMemReason reason_at_gate(HRESULT hr)
{
	return hr == HOST_E_ABANDONED ? HostMemByShutdown : HostMemByTimeout;
}

/* The system's part. */
static HRESULT perform(struct hm_request *request, struct hm_work *work,
		       HostMemReason *reason)
{
	struct hm_host *host = request->host;
	HRESULT hr;

	hm_calls_enter();
	if (!hm_gate_passes(host)) {
		hm_calls_leave();
		take_back(request);
		/* Held from now on, since it goes on with the host in any case. */
		hr = hm_request_join(request);
		*reason = reason_at_gate(hr);
		return FAILED(hr) ? hr : S_FALSE;
	}
	hr = work->perform(work, request);
	hm_calls_leave();
	*reason = work->reason;
	return hm_host_result(host, hr);
}

/* *reason is that of a failure. */
static HRESULT attempt(struct hm_request *request, struct hm_work *work,
		       HostMemReason *reason)
{
	HRESULT hr;

	/* By the reclaimer, or while it waited: then it does not matter what there is. */
	if (request->attempt != 0 && hm_request_is_abandoned(request)) {
		*reason = HostMemByShutdown;
		return HOST_E_ABANDONED;
	}
	/* A commit that does not know yet how much it needs. */
	if (work->size != 0 || request->attempt != 0) {
		hr = ask(request, work, reason);
		if (FAILED(hr))
			return hm_host_result(request->host, hr);
	}
	if (hm_request_is_abandoned(request)) {
		*reason = HostMemByShutdown;
		return HOST_E_ABANDONED;
	}
	hr = perform(request, work, reason);
	if (hr == E_OUTOFMEMORY && *reason == HostMemBySystem && !request->economized) {
		request->economized = true;
		if (economize(request, work))
			return S_FALSE;
	}
	/* It needed nothing and was not asked about, but it was an attempt. */
	if (FAILED(hr) && request->attempt == 0)
		request->attempt = 1;
	return hr;
}

/* ---- After a shortage ---- */

/* Whether there is to be another attempt; *hr is another one if the gate has ended it. */
static bool reclaim(struct hm_request *request, size_t wanted, HRESULT *hr,
		    HostMemReason *reason)
{
	struct hm_host *host = request->host;
	HRESULT joined;

	if (request->reclaimed || hm_request_is_reclaiming(host))
		return false;
	request->reclaimed = true;
	if (!hm_reclaimers_any(&host->reclaimers))
		return false;
	/* First the gate: its owner may wait until nobody uses the reclaimer. */
	joined = hm_request_join(request);
	if (FAILED(joined)) {
		*hr = joined;
		*reason = reason_at_gate(joined);
		return false;
	}
	return hm_request_reclaim(request, wanted);
}

/*
 * Takes its place.  Who frees something keeps nothing for later while somebody is expected
 * to wait; who waits says so, then has what was kept given back, which calls out, and only
 * then is in the list.  Blocks he looks for after that, and calls nobody any more.  So
 * nothing is missed, and a fork in a callback finds no waiter of its own.
 */
static void begin_waiting(struct hm_request *request, struct hm_work *work,
			  struct hm_waiter *waiter)
{
	struct hm_host *host = request->host;

	request->expected = true;
	atomic_fetch_add(&host->waiting.expected, 1);
	hm_host_refresh(host);
	(void)hm_heaps_trim(host);
	if (work->want != NULL)
		atomic_fetch_add(work->want->waiters, 1);
	hm_waiting_begin(&host->waiting, &host->budget, waiter);
	if (work->want != NULL && work->economize(work, request))
		hm_waiting_cancel(&host->waiting, waiter);
}

static enum hm_wake sleep_waiting(struct hm_request *request, struct hm_work *work,
				  struct hm_waiter *waiter)
{
	struct hm_host *host = request->host;
	enum hm_wake wake = hm_waiting_sleep(&host->waiting, &host->clock, waiter);

	if (work->want != NULL)
		atomic_fetch_sub(work->want->waiters, 1);
	request->expected = false;
	atomic_fetch_sub(&host->waiting.expected, 1);
	hm_host_refresh(host);
	return wake;
}

/* Whether there is to be another attempt; else *hr and *reason are how it ends. */
static bool wait_for_memory(struct hm_request *request, struct hm_work *work,
			    size_t charged, HRESULT *hr, HostMemReason *reason)
{
	struct hm_host *host = request->host;
	uint32_t ms = hm_budget_wait(&host->budget, request->level);
	struct hm_waiter waiter = {
		.level = request->level,
		.charge = work->charge,
		.for_any_free = request->shortage != HostMemByBudget,
		.charged = charged,
		.want = work->want,
	};
	enum hm_wake wake;

	if (ms == 0 || hm_gate_is_mine(host))
		return false;
	hm_request_enroll(request);
	if (!request->waits)
		request->deadline = hm_clock_now(&host->clock) + ms;
	request->waits = true;
	waiter.deadline = request->deadline;
	/* In this order: whoever has closed the gate finds everybody in his place. */
	begin_waiting(request, work, &waiter);
	hm_gate_fall_asleep(host);
	wake = sleep_waiting(request, work, &waiter);
	look_at_the_time(host);
	if (wake == HM_WAKE_GRANTED)
		request->pending = waiter.charge;
	/* Whoever has closed the gate meanwhile may need it. */
	if (!hm_gate_is_open(host))
		take_back(request);
	*hr = hm_gate_wake_up(host, HM_IMPATIENT);
	if (wake == HM_WAKE_TIMEOUT)
		*hr = HOST_E_TIMEOUT;
	else if (wake == HM_WAKE_ENDED)
		*hr = HOST_E_ABANDONED;
	*reason = reason_at_gate(*hr);
	return SUCCEEDED(*hr);
}

/* Whether a failed attempt is to be followed by another one. */
static bool try_again(struct hm_request *request, struct hm_work *work, size_t charged,
		      HRESULT *hr, HostMemReason *reason)
{
	struct hm_budget *budget = &request->host->budget;
	size_t wanted;

	if (*hr != E_OUTOFMEMORY || *reason == HostMemByCallback ||
	    *reason == HostMemByOverflow || work->modest)
		return false;
	if (!hm_budget_could_admit(budget, request->level, work->charge))
		return false;
	wanted = work->size;
	if (*reason == HostMemByBudget)
		wanted = hm_budget_lacks(budget, request->level, work->charge);
	request->shortage = *reason;
	request->economized = false;
	take_back(request);
	if (reclaim(request, wanted, hr, reason))
		return true;
	return *hr == E_OUTOFMEMORY &&
	       wait_for_memory(request, work, charged, hr, reason);
}

HRESULT hm_request_run(struct hm_request *request, struct hm_work *work)
{
	HostMemReason reason = HostMemNoReason;
	size_t charged;
	HRESULT hr;

	do {
		charged = atomic_load_explicit(&request->host->budget.charged,
					       memory_order_relaxed);
		hr = attempt(request, work, &reason);
	} while (hr == S_FALSE ||
		 (FAILED(hr) && try_again(request, work, charged, &hr, &reason)));
	return FAILED(hr) ? hm_request_refuse(request, hr, reason) : hr;
}

/* ---- Charging ---- */

void hm_request_settle(struct hm_request *request)
{
	if (request->pending != 0)
		hm_budget_settle(&request->host->budget, request->pending);
	request->pending = 0;
}

void hm_request_unsettle(struct hm_request *request, size_t size)
{
	hm_budget_unsettle(&request->host->budget, size);
	request->pending = size;
}
