#ifndef HOSTMEM_CONFORM_CALLBACK_H
#define HOSTMEM_CONFORM_CALLBACK_H

#include "abi/hostmem.h"

/*
 * A runtime's side of OnMemoryNotification: an object that counts its references and
 * remembers what it was told.
 */

enum { HM_HEARD = 32 };

struct hm_listener {
	ICLRMemoryNotificationCallback ICLRMemoryNotificationCallback_iface;
	_Atomic ULONG references; /* 1 to begin with, its maker's */
	_Atomic unsigned count;   /* of all calls; the last HM_HEARD are kept */
	EMemoryAvailable values[HM_HEARD];
	/* Called inside the call, if set. */
	void (*then)(struct hm_listener *listener, EMemoryAvailable available);
	void *state;
};

/* Ends with whoever made it, who looks whether one reference is left. */
void hm_listener_init(struct hm_listener *listener);

#endif
