/*
 * Subscribers: who wants to hear of requests.
 *
 * A callback may subscribe, unsubscribe itself or others, allocate, or throw the host
 * away, so it runs with no lock held and the list may change under the walker.  A list of
 * nodes that stay where they are until nobody walks serves for that; a fresh array per
 * change was rejected because ten thousand subscribers would copy it ten thousand times.
 *
 * Unsubscribe promises that no call will come any more.  The caller of a callback counts
 * itself in and then looks whether the subscriber is removed; unsubscribe marks it
 * removed and then looks at the count.  Whichever comes second sees the other.
 *
 * Locks: HM_RANK_EVENTS around changes of the list.  Who gets which event, and when, is
 * decided in announce.c.
 */
#include "events.h"
#include "calls.h"
#include "metadata.h"
#include "os/thread.h"

#include <stddef.h>

HRESULT hm_events_subscribe(struct hm_events *events, uint32_t mask,
			    HostMemEventCallback callback, void *state, uint64_t *cookie)
{
	struct hm_subscriber *subscriber;
	_Atomic(struct hm_subscriber *) *last;

	hm_calls_enter();
	subscriber = hm_metadata_alloc(sizeof(*subscriber));
	if (subscriber == NULL) {
		hm_calls_leave();
		return E_OUTOFMEMORY;
	}
	subscriber->mask = mask;
	subscriber->callback = callback;
	subscriber->state = state;
	hm_lock_acquire(&events->lock, HM_RANK_EVENTS);
	subscriber->cookie = ++events->last_cookie;
	*cookie = subscriber->cookie;
	last = events->last != NULL ? &events->last->next : &events->first;
	atomic_store_explicit(last, subscriber, memory_order_release);
	events->last = subscriber;
	hm_lock_release(&events->lock, HM_RANK_EVENTS);
	hm_calls_leave();
	return S_OK;
}

static struct hm_subscriber *unlink_locked(struct hm_events *events, uint64_t cookie)
{
	_Atomic(struct hm_subscriber *) *place = &events->first;
	struct hm_subscriber *before = NULL;
	struct hm_subscriber *found = atomic_load_explicit(place, memory_order_acquire);

	while (found != NULL && found->cookie != cookie) {
		before = found;
		place = &found->next;
		found = atomic_load_explicit(place, memory_order_acquire);
	}
	if (found == NULL)
		return NULL;
	atomic_store_explicit(place,
			      atomic_load_explicit(&found->next, memory_order_relaxed),
			      memory_order_release);
	if (events->last == found)
		events->last = before;
	found->next_retired = atomic_load_explicit(&events->retired,
						   memory_order_relaxed);
	atomic_store_explicit(&events->retired, found, memory_order_relaxed);
	return found;
}

HRESULT hm_events_unsubscribe(struct hm_events *events, uint64_t cookie,
			      struct hm_subscriber **out)
{
	hm_calls_enter();
	hm_lock_acquire(&events->lock, HM_RANK_EVENTS);
	*out = unlink_locked(events, cookie);
	hm_lock_release(&events->lock, HM_RANK_EVENTS);
	hm_calls_leave();
	if (*out == NULL)
		return E_INVALIDARG;
	atomic_store(&(*out)->removed, 1);
	return S_OK;
}

void hm_events_wait(struct hm_subscriber *subscriber)
{
	uint32_t running;

	while ((running = atomic_load(&subscriber->running)) != 0)
		hm_word_wait(&subscriber->running, running);
}

static void add_time(struct hm_events *events, uint64_t ns)
{
	uint64_t slowest = atomic_load_explicit(&events->slowest_ns,
						memory_order_relaxed);

	atomic_fetch_add_explicit(&events->timed_calls, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&events->timed_ns, ns, memory_order_relaxed);
	while (slowest < ns &&
	       !atomic_compare_exchange_weak_explicit(&events->slowest_ns, &slowest, ns,
						      memory_order_relaxed,
						      memory_order_relaxed))
		;
}

/* Two looks at the clock cost more than a short callback, so only who asks for it pays. */
static BOOL call_timed(const struct hm_subscriber *subscriber, const HostMemEvent *event,
		       struct hm_events *events)
{
	uint64_t start = hm_thread_nanoseconds();
	BOOL answer = subscriber->callback(subscriber->state, event);

	add_time(events, hm_thread_nanoseconds() - start);
	return answer;
}

BOOL hm_subscriber_call(struct hm_subscriber *subscriber, const HostMemEvent *event,
			struct hm_events *events)
{
	BOOL answer = TRUE;

	atomic_fetch_add(&subscriber->running, 1);
	if (atomic_load(&subscriber->removed) == 0) {
		hm_lock_assert_none_held();
		if (subscriber->mask & HOSTMEM_TIME_CALLBACK)
			answer = call_timed(subscriber, event, events);
		else
			answer = subscriber->callback(subscriber->state, event);
	}
	atomic_fetch_sub(&subscriber->running, 1);
	if (atomic_load(&subscriber->removed) != 0)
		hm_word_wake_all(&subscriber->running);
	return answer;
}

static void free_chain(struct hm_subscriber *retired)
{
	while (retired != NULL) {
		struct hm_subscriber *next = retired->next_retired;

		hm_metadata_free(retired, sizeof(*retired));
		retired = next;
	}
}

/* In this order: references that are still there hold it in what was read before. */
static bool only_one_walks(const _Atomic uint32_t *holds,
			   const _Atomic uint32_t *references)
{
	uint32_t held = atomic_load(holds);

	return held == (atomic_load(references) == 0 ? 1 : 2);
}

void hm_events_free_retired(struct hm_events *events, const _Atomic uint32_t *holds,
			    const _Atomic uint32_t *references)
{
	struct hm_subscriber *retired = NULL;

	if (atomic_load_explicit(&events->retired, memory_order_relaxed) == NULL)
		return;
	hm_calls_enter();
	hm_lock_acquire(&events->lock, HM_RANK_EVENTS);
	/* Who comes from now on cannot find them; who came before is still counted. */
	if (only_one_walks(holds, references))
		retired = atomic_exchange_explicit(&events->retired, NULL,
						   memory_order_relaxed);
	hm_lock_release(&events->lock, HM_RANK_EVENTS);
	free_chain(retired);
	hm_calls_leave();
}

void hm_events_destroy(struct hm_events *events)
{
	struct hm_subscriber *subscriber = atomic_load(&events->first);

	hm_calls_enter();
	free_chain(atomic_load(&events->retired));
	while (subscriber != NULL) {
		struct hm_subscriber *next = atomic_load(&subscriber->next);

		hm_metadata_free(subscriber, sizeof(*subscriber));
		subscriber = next;
	}
	hm_calls_leave();
}
