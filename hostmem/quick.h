#ifndef HOSTMEM_QUICK_H
#define HOSTMEM_QUICK_H

#include "abi/hresult.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Quick calls: those that take no lock, make no system call and call nobody, because all
 * that they touch is a thread's own.
 *
 * A thread enters with a store and a load.  Whoever has to find all of that at rest (a
 * fork, the gate, a heap that looks for its last free block) stops everybody: closes the
 * door, has the system make every processor's stores and loads come to pass, and waits for
 * those who are inside.  So the price of the rare meeting is paid by the rare party.
 *
 * Who is inside holds no lock, enters nothing else and leaves at once.  A lock may be held
 * when entering; the one who stops needs none of those that may.
 */
struct hm_quick {
	_Atomic uint32_t inside;
	struct hm_quick *next; /* in the list of all, for good */
};

enum {
	HM_QUICK_CLOSED = 1, /* wait */
	HM_QUICK_FENCE = 2,  /* the system cannot do that: each has to by himself */
};
extern _Atomic uint32_t hm_quick_door;

/* Makes sure of the above; before the first of the following.  No error: where the system
 * has no such call, entering costs more. */
void hm_quick_prepare(void);

/* From now on this one is waited for; it may be used by one thread at a time. */
void hm_quick_register(struct hm_quick *quick);

void hm_quick_enter_slowly(struct hm_quick *quick);

static inline void hm_quick_enter(struct hm_quick *quick)
{
	atomic_store_explicit(&quick->inside, 1, memory_order_relaxed);
	/* That the processor keeps the order is for hm_quick_stop to see to. */
	atomic_signal_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&hm_quick_door, memory_order_acquire) != 0)
		hm_quick_enter_slowly(quick);
}

static inline void hm_quick_leave(struct hm_quick *quick)
{
	atomic_store_explicit(&quick->inside, 0, memory_order_release);
}

/* Between hm_calls_enter and hm_calls_leave, by a thread that is not inside.  What quick
 * calls touch is the caller's until it resumes. */
void hm_quick_stop(void);
void hm_quick_resume(void);

/* The same for a fork, when nobody is between hm_calls_enter and hm_calls_leave; no lock is
 * taken.  In the child nobody else is inside. */
void hm_quick_stop_alone(void);
void hm_quick_resume_alone(void);
void hm_quick_after_fork(void);

#endif
