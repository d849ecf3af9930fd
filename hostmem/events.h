#ifndef HOSTMEM_EVENTS_H
#define HOSTMEM_EVENTS_H

#include "os/lock.h"

#include "abi/hostmem.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * The subscribers of one host.
 *
 * Walking the list takes no lock: the walker counts itself in (hm_host_hold), and what
 * is taken off the list is freed when nobody is counted.  A subscriber that has been
 * taken off still leads on to those after it.
 */
struct hm_subscriber {
	_Atomic(struct hm_subscriber *) next;
	struct hm_subscriber *next_retired;
	uint64_t cookie; /* ascending in order of registration */
	uint32_t mask;   /* bit t: events of type t; HOSTMEM_TIME_CALLBACK */
	HostMemEventCallback callback;
	void *state;
	_Atomic uint32_t running; /* calls of the callback in flight */
	_Atomic uint32_t removed;
};

struct hm_events {
	struct hm_lock lock; /* HM_RANK_EVENTS: changes of the list */
	_Atomic(struct hm_subscriber *) first;
	struct hm_subscriber *last;
	_Atomic(struct hm_subscriber *) retired; /* off the list, not yet freed */
	uint64_t last_cookie;
	_Atomic uint64_t last_request;
	/* Of subscribers that want their calls timed. */
	_Atomic uint64_t timed_calls, timed_ns, slowest_ns;
};

#define HM_EVENT_BIT(type) (1U << (unsigned)(type))

static inline bool hm_events_wanted(const struct hm_events *events)
{
	return atomic_load_explicit(&events->first, memory_order_relaxed) != NULL;
}

/* E_OUTOFMEMORY; nothing changed then.  Arguments have been checked. */
HRESULT hm_events_subscribe(struct hm_events *events, uint32_t mask,
			    HostMemEventCallback callback, void *state, uint64_t *cookie);

/*
 * Takes a subscriber off the list; E_INVALIDARG if there is no such cookie.  *out may be
 * waited for (hm_events_wait) as long as the host is held.
 */
HRESULT hm_events_unsubscribe(struct hm_events *events, uint64_t cookie,
			      struct hm_subscriber **out);

/* Returns when no call of the callback is in flight. */
void hm_events_wait(struct hm_subscriber *subscriber);

/* Calls the callback unless it has been unsubscribed: its answer, else TRUE. */
BOOL hm_subscriber_call(struct hm_subscriber *subscriber, const HostMemEvent *event,
			struct hm_events *events);

/* Frees what is off the list, if nobody but the caller may walk it: `holds` are his and, if
 * there are `references`, theirs. */
void hm_events_free_retired(struct hm_events *events, const _Atomic uint32_t *holds,
			    const _Atomic uint32_t *references);
/* Frees everything; nobody else knows the host any more. */
void hm_events_destroy(struct hm_events *events);

#endif
