#ifndef HOSTMEM_NOTIFY_H
#define HOSTMEM_NOTIFY_H

#include "os/lock.h"

#include "abi/memnotify.h"

/*
 * The runtime's notification callback: one at a time, one reference held.  Sending is a
 * later release's work; whoever sends will take a reference of its own under the lock,
 * so that a callback that is replaced meanwhile lives until its last call has returned.
 */
struct hm_notify {
	struct hm_lock lock; /* HM_RANK_NOTIFY */
	ICLRMemoryNotificationCallback *callback;
};

/* Replaces the callback; NULL = none.  Calls AddRef and Release, so no lock may be held. */
void hm_notify_register(struct hm_notify *notify,
			ICLRMemoryNotificationCallback *callback);

#endif
