#ifndef HOSTMEM_NOTIFY_H
#define HOSTMEM_NOTIFY_H

#include "os/lock.h"

#include "abi/hresult.h"
#include "abi/memnotify.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The runtime's notification callback, one at a time, and what it has to be told.
 *
 * One reference is held, from Register until the callback is replaced, and given back when
 * its last call has returned.  Calls do not overlap.
 */
struct hm_host;

struct hm_notify {
	struct hm_lock lock;          /* HM_RANK_NOTIFY, also over hm_availability */
	_Atomic uint32_t due;         /* there is something to tell */
	_Atomic uint32_t suspensions; /* SuspensionStarting without its end */
	_Atomic uint32_t ended;       /* calls that have returned */
	_Atomic uint64_t calls;       /* that were made */

	/* Guarded by the lock. */
	ICLRMemoryNotificationCallback *callback;
	ICLRMemoryNotificationCallback *calling; /* whose call is in flight */
	EMemoryAvailable value;                  /* what is to be known; 0: nothing yet */
	EMemoryAvailable told;                   /* what was told last */
	uint64_t told_at;                        /* ms of the host's clock */
	bool again; /* a Low that stands is to be told once more */
	bool owes;  /* the callback was told Low and nothing since */
	bool left;  /* in a fork child: who was to tell what is due may not be there */
};

/* How often a Low that stands may be told: as often as the CLR acts on it. */
#define HM_NOTIFY_REPEAT_MS 8192U

/*
 * A call that may have to tell something: it holds the host, so that the callback may
 * release the last reference, and is on the stack of its thread.
 */
struct hm_delivery {
	struct hm_host *host;
	struct hm_delivery *below;
	ICLRMemoryNotificationCallback *running; /* whose call it is making, or NULL */
	EMemoryAvailable value;                  /* what it tells */
	uint32_t releases;                       /* that wait until that has returned */
	bool outside;                            /* of the gate, as in hm_request */
};

/* HOST_E_CLRNOTAVAILABLE if the host is not to be used any more; then it is not held. */
HRESULT hm_notify_enter(struct hm_delivery *delivery, struct hm_host *host);
/* The same for who has no reference, while the host's memory is there: false also if it has
 * come to its end. */
bool hm_notify_try_enter(struct hm_delivery *delivery, struct hm_host *host);
/* Tells what is due; the host may be gone afterwards. */
void hm_notify_leave(struct hm_delivery *delivery);

/*
 * Tells what is due, on this thread, unless that has to wait: for the end of this thread's
 * requests on the host, of a suspension, or of a call in flight, whose thread tells it
 * then.  Whoever ends one of these calls this.  No lock may be held, and if nobody holds
 * the host it may be gone afterwards.
 */
void hm_notify_flush(struct hm_host *host);

/* Whether there is something to tell. */
bool hm_notify_is_due(const struct hm_host *host);

/* Says what is to be known from now on; telling it takes a flush.  The lock is held. */
void hm_notify_set_locked(struct hm_notify *notify, EMemoryAvailable value);

/* A Low that stands and is due again at `now` is to be told again.  The lock is held. */
void hm_notify_repeat_locked(struct hm_notify *notify, uint64_t now);
/* When that is; UINT64_MAX: it is not to be expected.  The lock is held. */
uint64_t hm_notify_repeat_at_locked(const struct hm_notify *notify);

/*
 * Replaces the callback; NULL = none.  Returns when no call of the one before is in
 * flight; from inside that call, at once.  Calls AddRef and Release, so no lock may be
 * held.
 */
void hm_notify_register(struct hm_host *host, ICLRMemoryNotificationCallback *callback);

/* Holds notifications back, and the end of that; HOST_E_CLRNOTAVAILABLE. */
HRESULT hm_notify_suspend(struct hm_host *host);
HRESULT hm_notify_resume(struct hm_host *host);

/* The host has been shut down: nothing is told any more but the Neutral that is owed. */
void hm_notify_end(struct hm_host *host);
/* The host is at its end: the same, also during a suspension, and no callback. */
void hm_notify_destroy(struct hm_host *host);

/* Deliveries of this thread on a host; those of them that are inside of its gate. */
uint32_t hm_notify_holds(const struct hm_host *host);
uint32_t hm_notify_inside(const struct hm_host *host);
void hm_notify_set_inside(const struct hm_host *host, bool inside);

/* In a fork child: calls of other threads will never return, forget them. */
void hm_notify_after_fork(struct hm_host *host);

#endif
