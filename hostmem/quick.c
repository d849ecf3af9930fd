/*
 * Quick calls: stopping them.
 *
 * Entering is "I am inside, is there anything to attend to?", stopping is "attend to me, is
 * anybody inside?".  One of the two must see the other, so each must have its store behind
 * it before it loads.  On the side that enters that would be a fence, as dear as all else
 * that an allocation does; so the side that stops has the system issue it on every
 * processor that runs a thread of this process (os/fence.h).  Where that is not to be had
 * there is always something to attend to, and who enters does it by himself.
 *
 * A thread that is interrupted while it is inside keeps the one who stops waiting, as with
 * any lock; it is inside for a few dozen instructions, and seldom for some thousand.
 *
 * Who is kept out sleeps on one word for all.
 *
 * Locks: HM_RANK_QUICK is held from stop to resume.
 */
#include "quick.h"
#include "os/fence.h"
#include "os/lock.h"
#include "os/thread.h"

#include <stddef.h>

/* Looks at one who is inside before the processor is given away. */
#define SPINS 100U

/* ms */
#define STORES_ARRIVE 2U

static _Atomic(struct hm_quick *) all;
static _Atomic uint32_t stopped;
static _Atomic uint64_t fence; /* HM_QUICK_FENCE or 0 */
static struct hm_lock lock;

void hm_quick_prepare(void)
{
	if (FAILED(hm_fence_prepare()))
		atomic_store(&fence, HM_QUICK_FENCE);
}

void hm_quick_lock(void)
{
	hm_lock_acquire(&lock, HM_RANK_QUICK);
}

void hm_quick_unlock(void)
{
	hm_lock_release(&lock, HM_RANK_QUICK);
}

void hm_quick_register(struct hm_quick *quick)
{
	hm_quick_lock();
	atomic_store(&quick->purpose, HM_QUICK_UNUSUAL | atomic_load(&fence));
	quick->next = atomic_load(&all);
	atomic_store(&all, quick);
	hm_quick_unlock();
}

void hm_quick_set_unusual(struct hm_quick *quick, bool unusual)
{
	if (unusual)
		atomic_fetch_or(&quick->purpose, HM_QUICK_UNUSUAL);
	else
		atomic_fetch_and(&quick->purpose, ~HM_QUICK_UNUSUAL);
}

void hm_quick_set_purpose(struct hm_quick *quick, uint64_t purpose)
{
	atomic_store(&quick->purpose,
		     (atomic_load(&quick->purpose) & ~HM_QUICK_PURPOSE) | purpose);
}

void hm_quick_enter(struct hm_quick *quick)
{
	for (;;) {
		atomic_exchange(&quick->inside, 1);
		if (!(atomic_load(&quick->purpose) & HM_QUICK_CLOSED))
			return;
		hm_quick_leave(quick);
		hm_word_wait(&stopped, 1);
	}
}

static void wait_for(const struct hm_quick *quick)
{
	for (unsigned spins = 0;
	     atomic_load_explicit(&quick->inside, memory_order_acquire) != 0; spins++) {
		if (spins < SPINS)
			hm_thread_relax();
		else
			hm_thread_yield();
	}
}

/*
 * A sandbox was put up after hm_quick_prepare.  From now on who enters issues the fence;
 * who has just entered has his store on its way, and no processor keeps one back for as
 * long as this.
 */
static void do_without(void)
{
	static const _Atomic uint32_t never;

	atomic_store(&fence, HM_QUICK_FENCE);
	for (struct hm_quick *quick = atomic_load(&all); quick != NULL;
	     quick = quick->next)
		atomic_fetch_or(&quick->purpose, HM_QUICK_FENCE);
	hm_word_wait_for(&never, 0, STORES_ARRIVE);
}

void hm_quick_stop_alone(void)
{
	struct hm_quick *first = atomic_load(&all);

	atomic_store(&stopped, 1);
	for (struct hm_quick *quick = first; quick != NULL; quick = quick->next)
		atomic_fetch_or(&quick->purpose, HM_QUICK_CLOSED);
	if (first == NULL)
		return;
	if (atomic_load(&fence) == 0 && !hm_fence_others())
		do_without();
	for (const struct hm_quick *quick = first; quick != NULL; quick = quick->next)
		wait_for(quick);
}

void hm_quick_resume_alone(void)
{
	for (struct hm_quick *quick = atomic_load(&all); quick != NULL;
	     quick = quick->next)
		atomic_fetch_and(&quick->purpose, ~HM_QUICK_CLOSED);
	atomic_store(&stopped, 0);
	hm_word_wake_all(&stopped);
}

void hm_quick_stop(void)
{
	hm_quick_lock();
	hm_quick_stop_alone();
}

void hm_quick_resume(void)
{
	hm_quick_resume_alone();
	hm_quick_unlock();
}

void hm_quick_after_fork(void)
{
	for (struct hm_quick *quick = atomic_load(&all); quick != NULL;
	     quick = quick->next)
		atomic_store(&quick->inside, 0);
}
