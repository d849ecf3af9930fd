/*
 * The path of a request, and the events it raises.
 *
 * Order: budget, callbacks, system.  (Fault rules will stand before the budget and before
 * the system.)  A charge is pending from the budget's yes until the system has delivered,
 * so two threads cannot be promised the same bytes; whatever fails later takes it back.
 *
 * Events balance: an allocate event that leads to nothing is followed by a failure event
 * with `announced` set, an attempt replaces the attempt before it, and a free event tells
 * what was refunded.  Whether a request raises events is decided once, when it is opened,
 * so that nobody hears the end of something whose beginning was not told.
 *
 * The requests of a thread form a chain, innermost first.  A subscriber whose callback is
 * somewhere in the chain is not told of requests made inside it: it would be called while
 * it runs.
 *
 * Locks: none.  The host is held from open to close if anybody may be called, so a
 * callback may release the last reference.
 */
#include "request.h"
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
	request->below = innermost;
	innermost = request;
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
	hm_host_hold(host);
	/* Shutdown waits for those it can see; whoever it cannot see must see it. */
	hr = hm_host_check(host);
	if (FAILED(hr)) {
		hm_host_drop(host);
		return hr;
	}
	request->holds = true;
	push(request);
	return S_OK;
}

void hm_request_open_last(struct hm_request *request, struct hm_host *host)
{
	start(request, host);
	if (request->observed)
		push(request);
}

void hm_request_close(struct hm_request *request)
{
	hm_assert(request->pending == 0);
	if (!request->observed)
		return;
	hm_assert(innermost == request);
	innermost = request->below;
	if (request->holds)
		hm_host_drop(request->host);
}

bool hm_request_is_running(const struct hm_subscriber *subscriber)
{
	for (const struct hm_request *r = innermost; r != NULL; r = r->below) {
		if (r->running == subscriber)
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

static void fill_event(struct hm_request *request, HostMemEventType type, size_t size,
		       HostMemEvent *event)
{
	struct hm_host *host = request->host;

	if (request->number == 0)
		request->number = 1 +
				  atomic_fetch_add_explicit(&host->events.last_request, 1,
							    memory_order_relaxed);
	event->cbSize = sizeof(*event);
	event->type = type;
	event->operation = request->operation;
	event->level = request->level;
	event->reason = HostMemNoReason;
	event->result = S_OK;
	event->announced = FALSE;
	event->attempt = request->attempt;
	event->request = request->number;
	event->size = size;
	event->address = request->address;
	event->cbCharged = atomic_load_explicit(&host->budget.charged,
						memory_order_relaxed);
	event->cbLimit = host->budget.limit;
	event->cbPeak = atomic_load_explicit(&host->budget.peak, memory_order_relaxed);
}

static BOOL call(struct hm_request *request, struct hm_subscriber *subscriber,
		 const HostMemEvent *event)
{
	BOOL answer;

	request->running = subscriber;
	answer = hm_subscriber_call(subscriber, event);
	request->running = NULL;
	return answer;
}

static struct hm_subscriber *first_of(struct hm_request *request)
{
	return atomic_load_explicit(&request->host->events.first, memory_order_acquire);
}

static struct hm_subscriber *after(struct hm_subscriber *subscriber)
{
	return atomic_load_explicit(&subscriber->next, memory_order_acquire);
}

/* Asks everybody who wants allocate events, in order, until one says no and that counts. */
static bool announce(struct hm_request *request, size_t size, bool refusable)
{
	for (struct hm_subscriber *s = first_of(request); s != NULL; s = after(s)) {
		HostMemEvent event;

		if (!(s->mask & HM_EVENT_BIT(HostMemEventAllocate)) ||
		    hm_request_is_running(s))
			continue;
		fill_event(request, HostMemEventAllocate, size, &event);
		if (s->cookie > request->asked_up_to)
			request->asked_up_to = s->cookie;
		if (!call(request, s, &event) && refusable)
			return false;
	}
	return true;
}

/*
 * Raises the failure event.  After a veto only those who were asked are told, for the
 * others nothing was ever going to happen; one who only wants failures hears them all.
 */
static void announce_failure(struct hm_request *request, size_t size, HRESULT hr,
			     HostMemReason reason)
{
	for (struct hm_subscriber *s = first_of(request); s != NULL; s = after(s)) {
		bool asks = (s->mask & HM_EVENT_BIT(HostMemEventAllocate)) != 0;
		bool asked = asks && s->cookie <= request->asked_up_to;
		HostMemEvent event;

		if (!(s->mask & HM_EVENT_BIT(HostMemEventFailure)) ||
		    hm_request_is_running(s))
			continue;
		if (reason == HostMemByCallback && asks && !asked)
			continue;
		fill_event(request, HostMemEventFailure, size, &event);
		event.reason = reason;
		event.result = hr;
		event.announced = asked;
		(void)call(request, s, &event);
	}
}

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
	else if (reason == HostMemBySystem)
		count(&host->failed_os);
}

static void take_back(struct hm_request *request)
{
	hm_budget_cancel(&request->host->budget, request->pending);
	request->pending = 0;
}

/* Admits and announces; the reason if the answer is no. */
static bool attempt(struct hm_request *request, size_t size, HostMemReason *reason)
{
	take_back(request);
	if (!hm_budget_admit(&request->host->budget, size, reason))
		return false;
	request->pending = size;
	request->asked = size;
	request->attempt++;
	if (!request->observed || announce(request, size, true))
		return true;
	*reason = HostMemByCallback;
	return false;
}

HRESULT hm_request_ask(struct hm_request *request, size_t size)
{
	HostMemReason reason;

	/* A request for nothing is nobody's business, unless something was announced. */
	if (size == 0 && request->attempt == 0)
		return S_OK;
	if (!attempt(request, size, &reason)) {
		HRESULT hr = E_OUTOFMEMORY;

		count_refusal(request->host, reason);
		take_back(request);
		if (request->observed)
			announce_failure(request, size, hr, reason);
		return hr;
	}
	if (request->observed &&
	    (FAILED(hm_host_check(request->host)) || hm_host_abandoned(request->host)))
		return hm_request_refuse(request, HOST_E_ABANDONED, HostMemByShutdown);
	return S_OK;
}

void hm_request_tell(struct hm_request *request, size_t size)
{
	if (size == 0 || !request->observed)
		return;
	request->asked = size;
	request->attempt++;
	(void)announce(request, size, false);
}

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

HRESULT hm_request_refuse(struct hm_request *request, HRESULT hr, HostMemReason reason)
{
	take_back(request);
	count_refusal(request->host, reason);
	/* What was never announced and is no shortage is a bad argument: no event. */
	if (request->observed && (request->asked_up_to != 0 || hr == E_OUTOFMEMORY))
		announce_failure(request, request->asked, hr, reason);
	return hr;
}

void hm_request_announce_free(struct hm_request *request, HostMemOperation operation,
			      void *address, size_t size)
{
	if (size == 0 || !request->observed)
		return;
	request->operation = operation;
	request->address = address;
	request->level = eTaskCritical;
	for (struct hm_subscriber *s = first_of(request); s != NULL; s = after(s)) {
		HostMemEvent event;

		if (!(s->mask & HM_EVENT_BIT(HostMemEventFree)) ||
		    hm_request_is_running(s))
			continue;
		fill_event(request, HostMemEventFree, size, &event);
		(void)call(request, s, &event);
	}
}

void hm_request_renew(struct hm_request *request)
{
	hm_assert(request->pending == 0);
	request->number = 0;
	request->attempt = 0;
	request->asked = 0;
	request->asked_up_to = 0;
}

void hm_requests_after_fork(struct hm_host *host)
{
	size_t pending = 0;

	for (struct hm_subscriber *s = atomic_load(&host->events.first); s != NULL;
	     s = after(s))
		atomic_store(&s->running, 0);
	for (struct hm_request *r = innermost; r != NULL; r = r->below) {
		if (r->host != host)
			continue;
		pending += r->pending;
		if (r->running != NULL)
			atomic_fetch_add(&r->running->running, 1);
	}
	hm_budget_after_fork(&host->budget, pending);
}
