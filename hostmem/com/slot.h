#ifndef HOSTMEM_COM_SLOT_H
#define HOSTMEM_COM_SLOT_H

#include "abi/hresult.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A place for one callback, which any thread may replace at any time: while it runs, and
 * from inside it.  A zeroed slot is empty.
 *
 * Whoever calls the callback does so between enter and leave, on one thread:
 *
 *     struct hm_slot_call call;
 *
 *     if (hm_slot_enter(slot, owner, &call)) {
 *         ((the_type)call.function)(call.state);
 *         hm_slot_leave(&call);
 *     }
 *
 * Calls nest: of one slot and of several.
 */
typedef void (*hm_slot_function)(void); /* of whatever type the slot is for */

struct hm_registration {
	struct hm_registration *next; /* of all of the slot; constant */
	_Atomic uint32_t taken;       /* 0: may be used for another callback */
	_Atomic uint32_t inside;      /* calls that use it; upper half: see slot.c */
	hm_slot_function function;
	void *state;
};

struct hm_slot {
	_Atomic(struct hm_registration *) current; /* NULL: no callback */
	_Atomic(struct hm_registration *) all;
};

struct hm_slot_call {
	hm_slot_function function;
	void *state;
	/* The rest is slot.c's own. */
	struct hm_slot_call *below; /* on this thread */
	const void *owner;
	struct hm_slot *slot;
	struct hm_registration *registration;
	uint32_t generation;
};

/* To be called before anything else, any number of times: what a fork does with calls of
 * other threads.  E_OUTOFMEMORY. */
HRESULT hm_slot_prepare(void);

/* Begins a call of the callback that is there now; false if there is none.  `owner` is for
 * hm_slot_is_inside and not looked at. */
bool hm_slot_enter(struct hm_slot *slot, const void *owner, struct hm_slot_call *call);
void hm_slot_leave(struct hm_slot_call *call);

/* Whether this thread is in a call with this owner; of this slot, or with NULL of any. */
bool hm_slot_is_inside(const void *owner, const struct hm_slot *slot);

/*
 * Replaces the callback; a NULL function is none, and that never fails.  Returns when no
 * call of the one before is under way and none will come; from inside that one, at once.
 * Hold no lock.  E_OUTOFMEMORY; nothing changed then.
 */
HRESULT hm_slot_set(struct hm_slot *slot, hm_slot_function function, void *state);

/* Frees what the slot remembers; nobody else uses it any more. */
void hm_slot_destroy(struct hm_slot *slot);

#endif
