#ifndef HOSTMEM_QUICK_H
#define HOSTMEM_QUICK_H

#include "os/compiler.h"

#include "abi/hresult.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Quick calls: those that take no lock, make no system call and call nobody, because all
 * that they touch is a thread's own.
 *
 * A thread enters with a store and a load.  Whoever has to find all of that at rest (a
 * fork, the gate, a heap that looks for its last free block) stops everybody: says so in
 * the word that each loads, has the system make every processor's stores and loads come to
 * pass, and waits for those who are inside.  So the price of the rare meeting is paid by
 * the rare party.  Whatever else is out of the ordinary is said in the same word, and what
 * the quick call is for.
 *
 * Two stores to say so, and to say the opposite, are a good part of what the shortest calls
 * do.  So these may say it with what they store anyway, see `at_work`.
 *
 * Who is inside takes no lock, enters nothing else and leaves at once.  A lock may be held
 * when entering; the one who stops needs none of those that may.
 */
struct hm_quick {
	_Atomic uint32_t inside;
	/* What it is for, a number of its user, and HM_QUICK_*; changed under
	 * hm_quick_lock.  One comparison tells whether it is that, and nothing else. */
	_Atomic uint64_t purpose;
	struct hm_quick *next; /* in the list of all, for good */
	/*
	 * NULL, or whether a call is inside that says so by other words than `inside`: by
	 * stores of the one who uses this, before hm_quick_is_for and when it is done.  Such
	 * a call may look at what it is about before it begins: if there was a stop
	 * meanwhile it may not go on, nor any other until one begins or enters.
	 */
	bool (*at_work)(const struct hm_quick *quick);
};

/* There was a stop, and nobody has begun or entered since; only where there is `at_work`. */
#define HM_QUICK_STOPPED (UINT64_C(1) << 60)
#define HM_QUICK_CLOSED (UINT64_C(1) << 61) /* wait */
/* The system has no such fence: each has to issue his own. */
#define HM_QUICK_FENCE (UINT64_C(1) << 62)
/* What there is to do is not for quick calls now. */
#define HM_QUICK_UNUSUAL (UINT64_C(1) << 63)
#define HM_QUICK_PURPOSE (HM_QUICK_STOPPED - 1)

/* Before the first of the following.  No error: where the system has no such fence,
 * entering costs more. */
void hm_quick_prepare(void);

/* From now on this one is waited for; one thread at a time may use it.  It is unusual, and
 * for nothing: 0.  `at_work` has been set. */
void hm_quick_register(struct hm_quick *quick);

HM_QUICK uint64_t hm_quick_purpose(const struct hm_quick *quick)
{
	return atomic_load_explicit(&quick->purpose, memory_order_relaxed) &
	       HM_QUICK_PURPOSE;
}

/* For who has just said that he is inside: whether he may go on.  The purpose is compared
 * where it is, which takes an instruction less. */
HM_QUICK bool hm_quick_is_for(const struct hm_quick *quick, const uint64_t *purpose)
{
	/* That the processor keeps the order is for hm_quick_stop to see to. */
	atomic_signal_fence(memory_order_seq_cst);
	return atomic_load_explicit(&quick->purpose, memory_order_acquire) == *purpose;
}

/* Whether it may go on, also after a stop; it has to leave in any case. */
static inline bool hm_quick_begin(struct hm_quick *quick, const uint64_t *purpose)
{
	atomic_store_explicit(&quick->inside, 1, memory_order_relaxed);
	if (HM_LIKELY(hm_quick_is_for(quick, purpose)))
		return true;
	if (atomic_load(&quick->purpose) != (*purpose | HM_QUICK_STOPPED))
		return false;
	/* Who stops the next time waits, and says so when he has done it. */
	atomic_fetch_and(&quick->purpose, ~HM_QUICK_STOPPED);
	return true;
}

/* Also where it is unusual. */
void hm_quick_enter(struct hm_quick *quick);

HM_QUICK void hm_quick_leave(struct hm_quick *quick)
{
	atomic_store_explicit(&quick->inside, 0, memory_order_release);
}

/* Between hm_calls_enter and hm_calls_leave, by a thread that is not inside.  What quick
 * calls touch is the caller's until it resumes.  false: nobody is stopped, since somebody has
 * been inside for too long; never so where no stops are expected. */
bool hm_quick_stop(void);
void hm_quick_resume(void);

/* From now on a thread may be held still while it is inside. */
void hm_quick_expect_stops(void);

/* HM_RANK_QUICK: keeps others from stopping.  Around deciding what is unusual. */
void hm_quick_lock(void);
void hm_quick_unlock(void);
void hm_quick_set_unusual(struct hm_quick *quick, bool unusual);
void hm_quick_set_purpose(struct hm_quick *quick, uint64_t purpose);

/* The same for a fork, when nobody is between hm_calls_enter and hm_calls_leave; no lock is
 * taken.  In the child nobody else is inside. */
bool hm_quick_stop_alone(void);
void hm_quick_resume_alone(void);
void hm_quick_after_fork(void);

#endif
