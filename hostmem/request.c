/*
 * The life of a request.
 *
 * Whether a request raises events is decided once, when it is opened, so that nobody hears
 * the end of something whose beginning was not told.
 *
 * The requests of a thread form a chain, innermost first.  A subscriber whose callback is
 * somewhere in the chain is not told of requests made inside it: it would be called while
 * it runs; nor is a reclaimer asked for what it asks for itself.  A request that nobody
 * observes is not in the chain, and does not hold the host, until it is about to wait or to
 * call the reclaimer: that is what keeps the many that succeed at once cheap.
 *
 * Locks: none.  The host is held while anybody may be called, so a callback may release
 * the last reference.
 */
#include "request.h"
#include "gate.h"
#include "monitor.h"
#include "os/check.h"
#include "os/thread.h"

#include <stddef.h>

static HM_THREAD_LOCAL struct hm_request *innermost;

static void start(struct hm_request *request, struct hm_host *host)
{
	*request = (struct hm_request){
		.host = host,
		.observed = hm_events_wanted(&host->events),
	};
}

static void push(struct hm_request *request)
{
	request->in_chain = true;
	request->below = innermost;
	innermost = request;
}

static enum hm_patience patience_of(HostMemOperation operation)
{
	return operation == HostMemReserve || operation == HostMemCommit ||
			       operation == HostMemHeap
		       ? HM_IMPATIENT
		       : HM_PATIENT;
}

/* Holds the host, when it is sure that the gate has seen it. */
static HRESULT hold(struct hm_host *host, HostMemOperation operation)
{
	for (;;) {
		HRESULT hr;

		hm_host_hold(host);
		/* Shutdown waits for those it can see; whoever it cannot see must see it. */
		hr = hm_host_check(host);
		if (SUCCEEDED(hr) && hm_gate_passes(host))
			return S_OK;
		hm_host_drop(host);
		if (SUCCEEDED(hr))
			hr = hm_gate_wait(host, patience_of(operation));
		if (FAILED(hr))
			return hr;
	}
}

HRESULT hm_request_open(struct hm_request *request, struct hm_host *host,
			HostMemOperation operation, EMemoryCriticalLevel level,
			void *address)
{
	HRESULT hr;

	start(request, host);
	request->operation = operation;
	request->level = level;
	request->address = address;
	if (!request->observed)
		return S_OK;
	hr = hold(host, operation);
	if (FAILED(hr))
		return hr;
	request->holds = true;
	push(request);
	return S_OK;
}

HRESULT hm_request_open_free(struct hm_request *request, struct hm_host *host,
			     HostMemOperation operation)
{
	HRESULT hr = hm_request_open(request, host, operation, eTaskCritical, NULL);

	if (FAILED(hr))
		return hr;
	hr = hm_gate_enter_calls(host, HM_PATIENT);
	if (FAILED(hr))
		hm_request_close(request);
	return hr;
}

void hm_request_open_last(struct hm_request *request, struct hm_host *host)
{
	start(request, host);
	if (request->observed)
		push(request);
}

void hm_request_visit(struct hm_request *request, struct hm_host *host)
{
	start(request, host);
	request->observed = false;
	hm_request_enroll(request);
}

void hm_request_enroll(struct hm_request *request)
{
	if (request->in_chain)
		return;
	hm_host_hold(request->host);
	request->holds = true;
	/* Whoever has closed the gate before did not see it. */
	request->outside = !hm_gate_passes(request->host);
	push(request);
}

bool hm_request_is_abandoned(const struct hm_request *request)
{
	return request->in_chain &&
	       (FAILED(hm_host_check(request->host)) || hm_host_abandoned(request->host));
}

HRESULT hm_request_join(struct hm_request *request)
{
	hm_request_enroll(request);
	/* Shutdown waits for those it can see; whoever it cannot see must see it. */
	if (hm_request_is_abandoned(request))
		return HOST_E_ABANDONED;
	if (!request->outside)
		return S_OK;
	hm_gate_fall_asleep(request->host);
	return hm_gate_wake_up(request->host, HM_IMPATIENT);
}

bool hm_request_reclaim(struct hm_request *request, size_t wanted)
{
	struct hm_reclaimer *reclaimer;

	if (hm_request_is_reclaiming(request->host))
		return false;
	reclaimer = hm_reclaimers_enter(&request->host->reclaimers);
	if (reclaimer == NULL)
		return false;
	request->reclaiming = reclaimer;
	hm_lock_assert_none_held();
	(void)reclaimer->callback(reclaimer->state, wanted);
	request->reclaiming = NULL;
	hm_reclaimer_leave(reclaimer);
	return true;
}

void hm_request_close(struct hm_request *request)
{
	hm_assert(request->pending == 0);
	if (hm_budget_alarms(&request->host->budget))
		hm_monitor_ring(request->host);
	if (!request->in_chain)
		return;
	hm_assert(innermost == request);
	innermost = request->below;
	if (!request->holds)
		return;
	/* What was to be told during the request was held back until now. */
	hm_notify_flush(request->host);
	hm_host_drop(request->host);
}

void hm_request_renew(struct hm_request *request)
{
	hm_assert(request->pending == 0);
	request->number = 0;
	request->attempt = 0;
	request->asked = 0;
	request->asked_up_to = 0;
	request->told_up_to = 0;
	request->told = 0;
	request->told_before = 0;
}

bool hm_request_is_running(const struct hm_subscriber *subscriber)
{
	for (const struct hm_request *r = innermost; r != NULL; r = r->below) {
		if (r->running == subscriber)
			return true;
	}
	return false;
}

bool hm_request_is_reclaiming(const struct hm_host *host)
{
	for (const struct hm_request *r = innermost; r != NULL; r = r->below) {
		if (r->host == host && r->reclaiming != NULL)
			return true;
	}
	return false;
}

bool hm_request_is_inside(const struct hm_reclaimer *reclaimer)
{
	for (const struct hm_request *r = innermost; r != NULL; r = r->below) {
		if (r->reclaiming == reclaimer)
			return true;
	}
	return false;
}

uint32_t hm_request_holds(const struct hm_host *host)
{
	uint32_t holds = 0;

	for (const struct hm_request *r = innermost; r != NULL; r = r->below) {
		if (r->host == host)
			holds++;
	}
	return holds;
}

uint32_t hm_request_inside(const struct hm_host *host)
{
	uint32_t inside = 0;

	for (const struct hm_request *r = innermost; r != NULL; r = r->below) {
		if (r->host == host && !r->outside)
			inside++;
	}
	return inside;
}

void hm_request_set_inside(const struct hm_host *host, bool inside)
{
	for (struct hm_request *r = innermost; r != NULL; r = r->below) {
		if (r->host == host)
			r->outside = !inside;
	}
}

void hm_requests_after_fork(struct hm_host *host)
{
	struct hm_reclaimer *current = atomic_load(&host->reclaimers.current);
	size_t pending = 0;
	uint32_t reclaiming = 0, expected = 0;

	for (struct hm_subscriber *s = atomic_load(&host->events.first); s != NULL;
	     s = atomic_load(&s->next))
		atomic_store(&s->running, 0);
	for (struct hm_request *r = innermost; r != NULL; r = r->below) {
		if (r->host != host)
			continue;
		pending += r->pending;
		expected += r->expected;
		if (r->running != NULL)
			atomic_fetch_add(&r->running->running, 1);
		reclaiming += current != NULL && r->reclaiming == current;
	}
	hm_budget_after_fork(&host->budget, pending);
	atomic_store(&host->waiting.expected, expected);
	hm_reclaimers_after_fork(&host->reclaimers, reclaiming);
}
