/*
 * The registered notification callback.
 *
 * AddRef and Release are the runtime's code and may do anything, so both happen outside
 * the lock: the new one is referenced before it can be seen, the old one released when
 * nobody can find it any more.  Registering the same object twice leaves one reference.
 *
 * Locks: HM_RANK_NOTIFY around the exchange of one pointer.
 */
#include "notify.h"
#include "calls.h"

#include <stddef.h>

void hm_notify_register(struct hm_notify *notify,
			ICLRMemoryNotificationCallback *callback)
{
	ICLRMemoryNotificationCallback *before;

	if (callback != NULL)
		(void)ICLRMemoryNotificationCallback_AddRef(callback);
	hm_calls_enter();
	hm_lock_acquire(&notify->lock, HM_RANK_NOTIFY);
	before = notify->callback;
	notify->callback = callback;
	hm_lock_release(&notify->lock, HM_RANK_NOTIFY);
	hm_calls_leave();
	if (before != NULL)
		(void)ICLRMemoryNotificationCallback_Release(before);
}
