#ifndef HOSTMEM_CONFORM_CALLBACK_H
#define HOSTMEM_CONFORM_CALLBACK_H

#include "trial.h"

/*
 * A runtime's side of OnMemoryNotification: an object that counts its references and
 * remembers what it was told.
 */

enum { HM_HEARD = 32 };

/* How well it keeps the rules of COM, and of the interface. */
enum hm_manners {
	HM_PROPER,
	HM_STATIC, /* the CLR's: AddRef and Release say 1, QueryInterface counts nothing */
	HM_NO_FACES,   /* QueryInterface refuses everything */
	HM_SAYS_FAILED /* OnMemoryNotification says E_FAIL */
};

struct hm_listener {
	ICLRMemoryNotificationCallback ICLRMemoryNotificationCallback_iface;
	enum hm_manners manners;
	_Atomic ULONG references; /* 1 to begin with, its maker's */
	_Atomic unsigned count;   /* of all calls; the last HM_HEARD are kept */
	EMemoryAvailable values[HM_HEARD];
	/* Called inside the call, if set. */
	void (*then)(struct hm_listener *listener, EMemoryAvailable available);
	/* Called inside each Release, if set. */
	void (*on_release)(struct hm_listener *listener);
	void *state;
	unsigned asked; /* how much of `count` hm_check_heard has seen */
};

/* Ends with whoever made it, who looks whether one reference is left. */
void hm_listener_init(struct hm_listener *listener);
/* As RegisterMemoryNotificationCallback; NULL takes the one before away. */
bool hm_register(struct hm_trial *t, struct hm_listener *listener);
/* What it was told since the last such check, as digits: "12" is a Low and a Neutral. */
#define CHECK_HEARD(t, listener, want) \
	hm_check_heard(t, listener, want, __FILE__, __LINE__)
bool hm_check_heard(struct hm_trial *t, struct hm_listener *listener, const char *want,
		    const char *file, int line);

#endif
