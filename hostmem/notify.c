/*
 * Telling the runtime about memory.
 *
 * What is to be known is one value, not a queue: it is told when it differs from what was
 * told last.  So a value that comes while nothing may be told takes the place of the one
 * before, a Low that was over before it could be told is never told, and a callback that
 * sets another value finds it told after it has returned, not inside itself.
 *
 * The callback may do anything: allocate, register another, throw the host away.  So it
 * runs with no lock held and the host held.  One thread tells at a time, until nothing is
 * due; another that has something to tell leaves it to that one.  Waiting for it was
 * rejected: the callback may be waiting for the other thread.
 *
 * Who replaces a callback waits until its call in flight has returned and then gives its
 * reference back, so a call needs no reference of its own.  AddRef under the lock would be
 * the runtime's code under a lock, and outside of it comes too late.  Only the callback
 * itself cannot wait for its own end: what it replaces is released by its caller, after it.
 *
 * To be held back is a question of the thread for requests, and of the host for
 * suspensions.  Whether there is something to tell and whether it is held back are two
 * words: who sets one looks at the other afterwards, so that one of two threads sees both;
 * hence sequential consistency for both.  A call that has begun goes on when a suspension
 * starts, since a collector must not wait for it.
 *
 * Edges are the host's: a callback that comes later is not told what its predecessor
 * knows, but a Low that stands is repeated to it.
 *
 * What this is not: it does not judge (availability.c, pressure.c).
 *
 * Locks: HM_RANK_NOTIFY.
 */
#include "notify.h"
#include "calls.h"
#include "gate.h"
#include "heap.h"
#include "host.h"
#include "request.h"

#include <stddef.h>

static HM_THREAD_LOCAL struct hm_delivery *innermost;

static void lock(struct hm_notify *notify)
{
	hm_calls_enter();
	hm_lock_acquire(&notify->lock, HM_RANK_NOTIFY);
}

static void unlock(struct hm_notify *notify)
{
	hm_lock_release(&notify->lock, HM_RANK_NOTIFY);
	hm_calls_leave();
}

/* ---- Who tells ---- */

/* The host is held for it. */
static void push(struct hm_delivery *delivery, struct hm_host *host)
{
	*delivery = (struct hm_delivery){ .host = host, .below = innermost };
	/* Whoever has closed the gate before did not see it. */
	delivery->outside = !hm_gate_passes(host);
	innermost = delivery;
}

static void pop(struct hm_delivery *delivery)
{
	innermost = delivery->below;
	hm_host_drop(delivery->host);
}

static HRESULT enter_held(struct hm_delivery *delivery, struct hm_host *host)
{
	HRESULT hr;

	push(delivery, host);
	/* Shutdown waits for those it can see; whoever it cannot see must see it. */
	hr = hm_host_check(host);
	if (FAILED(hr))
		pop(delivery);
	return hr;
}

HRESULT hm_notify_enter(struct hm_delivery *delivery, struct hm_host *host)
{
	hm_host_hold(host);
	return enter_held(delivery, host);
}

bool hm_notify_try_enter(struct hm_delivery *delivery, struct hm_host *host)
{
	return hm_host_try_hold(host) && SUCCEEDED(enter_held(delivery, host));
}

void hm_notify_leave(struct hm_delivery *delivery)
{
	hm_notify_flush(delivery->host);
	pop(delivery);
}

uint32_t hm_notify_holds(const struct hm_host *host)
{
	uint32_t holds = 0;

	for (const struct hm_delivery *d = innermost; d != NULL; d = d->below) {
		if (d->host == host)
			holds++;
	}
	return holds;
}

uint32_t hm_notify_inside(const struct hm_host *host)
{
	uint32_t inside = 0;

	for (const struct hm_delivery *d = innermost; d != NULL; d = d->below) {
		if (d->host == host && !d->outside)
			inside++;
	}
	return inside;
}

void hm_notify_set_inside(const struct hm_host *host, bool inside)
{
	for (struct hm_delivery *d = innermost; d != NULL; d = d->below) {
		if (d->host == host)
			d->outside = !inside;
	}
}

/* The delivery of this thread that is in a call of this callback, or NULL. */
static struct hm_delivery *find_running(const struct hm_notify *notify,
					const ICLRMemoryNotificationCallback *callback)
{
	struct hm_delivery *found = innermost;

	while (found != NULL &&
	       (&found->host->notify != notify || found->running != callback))
		found = found->below;
	return found;
}

/* ---- What is told ---- */

static void update_due_locked(struct hm_notify *notify)
{
	atomic_store(&notify->due, notify->value != notify->told || notify->again);
}

void hm_notify_set_locked(struct hm_notify *notify, EMemoryAvailable value)
{
	notify->value = value;
	update_due_locked(notify);
}

uint64_t hm_notify_repeat_at_locked(const struct hm_notify *notify)
{
	if (notify->callback == NULL || notify->again ||
	    notify->told != eMemoryAvailableLow || notify->value != eMemoryAvailableLow ||
	    notify->told_at > UINT64_MAX - HM_NOTIFY_REPEAT_MS)
		return UINT64_MAX;
	return notify->told_at + HM_NOTIFY_REPEAT_MS;
}

void hm_notify_repeat_locked(struct hm_notify *notify, uint64_t now)
{
	uint64_t at = hm_notify_repeat_at_locked(notify);

	if (at == UINT64_MAX || now < at)
		return;
	notify->again = true;
	update_due_locked(notify);
}

/* Makes what is due a call of this delivery, if there is somebody to call now. */
static void take_locked(struct hm_delivery *delivery)
{
	struct hm_host *host = delivery->host;
	struct hm_notify *notify = &host->notify;

	if (atomic_load(&notify->due) == 0 || notify->calling != NULL ||
	    atomic_load(&notify->suspensions) != 0)
		return;
	notify->told = notify->value;
	notify->told_at = hm_clock_now(&host->clock);
	notify->again = false;
	update_due_locked(notify);
	notify->calling = notify->callback;
	notify->owes = notify->callback != NULL && notify->told == eMemoryAvailableLow;
	delivery->running = notify->callback;
	delivery->value = notify->told;
}

static bool begin_call(struct hm_delivery *delivery)
{
	struct hm_notify *notify = &delivery->host->notify;

	lock(notify);
	take_locked(delivery);
	unlock(notify);
	return delivery->running != NULL;
}

static void end_call(struct hm_delivery *delivery)
{
	struct hm_notify *notify = &delivery->host->notify;
	ICLRMemoryNotificationCallback *callback = delivery->running;

	lock(notify);
	notify->calling = NULL;
	delivery->running = NULL;
	atomic_fetch_add(&notify->ended, 1);
	unlock(notify);
	hm_word_wake_all(&notify->ended);
	for (; delivery->releases != 0; delivery->releases--)
		(void)ICLRMemoryNotificationCallback_Release(callback);
}

/* What is kept for speed goes before anybody is asked for his. */
static void give_back(struct hm_host *host)
{
	struct hm_request request;

	hm_calls_enter();
	hm_retained_trim(&host->retained, host->pages);
	hm_calls_leave();
	(void)hm_heaps_trim(host);
	if (!hm_reclaimers_any(&host->reclaimers))
		return;
	hm_request_visit(&request, host);
	(void)hm_request_reclaim(&request, hm_availability_lacks(host));
	hm_request_close(&request);
}

bool hm_notify_is_due(const struct hm_host *host)
{
	return atomic_load(&host->notify.due) != 0;
}

void hm_notify_flush(struct hm_host *host)
{
	struct hm_delivery delivery;

	/* Who allocates during a suspension does not wait for a lock either. */
	if (atomic_load(&host->notify.due) == 0 || hm_request_holds(host) != 0 ||
	    atomic_load(&host->notify.suspensions) != 0)
		return;
	hm_host_hold(host);
	push(&delivery, host);
	while (begin_call(&delivery)) {
		hm_lock_assert_none_held();
		if (delivery.value == eMemoryAvailableLow)
			give_back(host);
		atomic_fetch_add_explicit(&host->notify.calls, 1, memory_order_relaxed);
		(void)ICLRMemoryNotificationCallback_OnMemoryNotification(
			delivery.running, delivery.value);
		end_call(&delivery);
	}
	pop(&delivery);
}

/* ---- Who is told ---- */

/* Returns when more calls have ended than that. */
static void wait_for_end(struct hm_host *host, uint32_t ended)
{
	bool inside = hm_request_holds(host) + hm_notify_holds(host) != 0;

	/* From inside another callback: a call may wait for a gate that must not wait for
	 * us. */
	if (inside)
		hm_gate_fall_asleep(host);
	while (atomic_load(&host->notify.ended) == ended)
		hm_word_wait(&host->notify.ended, ended);
	if (inside)
		(void)hm_gate_wake_up(host, HM_PATIENT);
}

void hm_notify_register(struct hm_host *host, ICLRMemoryNotificationCallback *callback)
{
	struct hm_notify *notify = &host->notify;
	ICLRMemoryNotificationCallback *before;
	struct hm_delivery *own;
	uint32_t ended;
	bool in_flight;

	if (callback != NULL)
		(void)ICLRMemoryNotificationCallback_AddRef(callback);
	lock(notify);
	before = notify->callback;
	notify->callback = callback;
	if (before != callback)
		notify->owes = false;
	in_flight = before != NULL && before != callback && notify->calling == before;
	ended = atomic_load(&notify->ended);
	unlock(notify);
	if (before == NULL)
		return;
	own = in_flight ? find_running(notify, before) : NULL;
	if (own != NULL) {
		own->releases++;
		return;
	}
	if (in_flight)
		wait_for_end(host, ended);
	(void)ICLRMemoryNotificationCallback_Release(before);
}

/* ---- Suspensions, and the end ---- */

HRESULT hm_notify_suspend(struct hm_host *host)
{
	HRESULT hr = hm_host_check(host);

	if (SUCCEEDED(hr))
		atomic_fetch_add(&host->notify.suspensions, 1);
	return hr;
}

HRESULT hm_notify_resume(struct hm_host *host)
{
	struct hm_delivery delivery;
	HRESULT hr = hm_notify_enter(&delivery, host);
	uint32_t suspensions;

	if (FAILED(hr))
		return hr;
	suspensions = atomic_load(&host->notify.suspensions);
	/* An end without a start counts for nothing. */
	while (suspensions != 0 &&
	       !atomic_compare_exchange_weak(&host->notify.suspensions, &suspensions,
					     suspensions - 1))
		;
	hm_notify_leave(&delivery);
	return S_OK;
}

void hm_notify_end(struct hm_host *host)
{
	struct hm_notify *notify = &host->notify;

	lock(notify);
	notify->again = false;
	hm_notify_set_locked(notify,
			     notify->owes ? eMemoryAvailableNeutral : notify->told);
	unlock(notify);
	hm_notify_flush(host);
}

void hm_notify_destroy(struct hm_host *host)
{
	/* Nobody is left who could end one. */
	atomic_store(&host->notify.suspensions, 0);
	hm_notify_end(host);
	hm_notify_register(host, NULL);
}

void hm_notify_after_fork(struct hm_host *host)
{
	struct hm_notify *notify = &host->notify;

	if (notify->calling != NULL && find_running(notify, notify->calling) == NULL)
		notify->calling = NULL;
	/* If this thread was to tell it, it does, and then there is nothing to look for. */
	notify->left = atomic_load(&notify->due) != 0;
}
