/*
 * Who hears of a request, and what.
 *
 * Events balance: an allocate event that leads to nothing is followed by a failure event
 * with `announced` set, an attempt replaces the attempt before it, and a free event tells
 * what was refunded.
 *
 * A subscriber whose callback is running on this thread is passed over, see request.c.
 *
 * Locks: none; events.c says why the list may be walked.
 */
#include "announce.h"

#include <stddef.h>

#define PEEK(field) atomic_load_explicit(&(field), memory_order_relaxed)

static struct hm_subscriber *first_of(struct hm_request *request)
{
	return atomic_load_explicit(&request->host->events.first, memory_order_acquire);
}

static struct hm_subscriber *after(struct hm_subscriber *subscriber)
{
	return atomic_load_explicit(&subscriber->next, memory_order_acquire);
}

static bool hears(const struct hm_subscriber *subscriber, HostMemEventType type)
{
	return (subscriber->mask & HM_EVENT_BIT(type)) != 0 &&
	       !hm_request_is_running(subscriber);
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
	event->cbCharged = PEEK(host->budget.charged);
	event->cbLimit = PEEK(host->budget.limit);
	event->cbPeak = PEEK(host->budget.peak);
	event->cbWithdrawn = 0;
}

static BOOL call(struct hm_request *request, struct hm_subscriber *subscriber,
		 const HostMemEvent *event)
{
	BOOL answer;

	request->running = subscriber;
	answer = hm_subscriber_call(subscriber, event, &request->host->events);
	request->running = NULL;
	return answer;
}

/*
 * Bytes that a subscriber has been told of and that have not been taken back.  After a no
 * those behind the one who said it know of the attempt before only.
 */
static size_t standing(const struct hm_request *request,
		       const struct hm_subscriber *subscriber)
{
	if (subscriber->cookie <= request->told_up_to)
		return request->told;
	return subscriber->cookie <= request->asked_up_to ? request->told_before : 0;
}

bool hm_announce(struct hm_request *request, size_t size, bool refusable)
{
	uint64_t before = request->asked_up_to;

	request->told_before = request->told;
	request->told = size;
	request->told_up_to = 0;
	for (struct hm_subscriber *s = first_of(request); s != NULL; s = after(s)) {
		HostMemEvent event;

		if (!hears(s, HostMemEventAllocate))
			continue;
		fill_event(request, HostMemEventAllocate, size, &event);
		event.announced = s->cookie <= before;
		event.cbWithdrawn = standing(request, s);
		request->told_up_to = s->cookie;
		if (s->cookie > request->asked_up_to)
			request->asked_up_to = s->cookie;
		if (!call(request, s, &event) && refusable)
			return false;
	}
	return true;
}

void hm_announce_mapping(struct hm_request *request, size_t size)
{
	if (size == 0 || !request->observed)
		return;
	request->asked = size;
	request->attempt++;
	(void)hm_announce(request, size, false);
}

/*
 * After a veto only those who were asked are told, for the others nothing was ever going to
 * happen; the same holds where failures are always announced, for who has come in between.
 * One who only wants failures hears them all.
 */
void hm_announce_failure(struct hm_request *request, HRESULT hr, HostMemReason reason,
			 bool only_asked)
{
	for (struct hm_subscriber *s = first_of(request); s != NULL; s = after(s)) {
		bool asks = (s->mask & HM_EVENT_BIT(HostMemEventAllocate)) != 0;
		bool asked = asks && s->cookie <= request->asked_up_to;
		HostMemEvent event;

		if (!hears(s, HostMemEventFailure) || (only_asked && asks && !asked))
			continue;
		fill_event(request, HostMemEventFailure, request->asked, &event);
		event.reason = reason;
		event.result = hr;
		event.announced = asked;
		event.cbWithdrawn = asked ? standing(request, s) : 0;
		(void)call(request, s, &event);
	}
}

void hm_announce_free(struct hm_request *request, HostMemOperation operation,
		      void *address, size_t size)
{
	if (size == 0 || !request->observed)
		return;
	request->operation = operation;
	request->address = address;
	request->level = eTaskCritical;
	for (struct hm_subscriber *s = first_of(request); s != NULL; s = after(s)) {
		HostMemEvent event;

		if (!hears(s, HostMemEventFree))
			continue;
		fill_event(request, HostMemEventFree, size, &event);
		(void)call(request, s, &event);
	}
}
