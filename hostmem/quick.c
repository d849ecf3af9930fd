/*
 * Quick calls: stopping them.
 *
 * Entering is "I am inside, is the door closed?", stopping is "the door is closed, is
 * anybody inside?".  One of the two must see the other, so each must have its store behind
 * it before it loads.  On the side that enters that would be a fence, as dear as all else
 * that an allocation does; so the side that stops has the system issue it on every
 * processor that runs a thread of this process (os/fence.h).  Where that is not to be had
 * the door is never quite open, and who enters does it by himself.
 *
 * A thread that is interrupted while it is inside keeps the one who stops waiting, as with
 * any lock; it is inside for some ten instructions.
 *
 * Locks: HM_RANK_QUICK is held from stop to resume.
 */
#include "quick.h"
#include "os/fence.h"
#include "os/lock.h"
#include "os/thread.h"

#include <stddef.h>

/* Looks at the door of one who is inside before the processor is given away. */
#define SPINS 100U

/* ms */
#define STORES_ARRIVE 2U

_Atomic uint32_t hm_quick_door;
static _Atomic(struct hm_quick *) all;
static struct hm_lock stopping;

void hm_quick_prepare(void)
{
	if (FAILED(hm_fence_prepare()))
		atomic_fetch_or(&hm_quick_door, HM_QUICK_FENCE);
}

void hm_quick_register(struct hm_quick *quick)
{
	quick->next = atomic_load_explicit(&all, memory_order_relaxed);
	while (!atomic_compare_exchange_weak(&all, &quick->next, quick))
		continue;
}

void hm_quick_enter_slowly(struct hm_quick *quick)
{
	for (;;) {
		uint32_t door;

		atomic_exchange(&quick->inside, 1);
		door = atomic_load(&hm_quick_door);
		if (!(door & HM_QUICK_CLOSED))
			return;
		hm_quick_leave(quick);
		hm_word_wait(&hm_quick_door, door);
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

	atomic_fetch_or(&hm_quick_door, HM_QUICK_FENCE);
	hm_word_wait_for(&never, 0, STORES_ARRIVE);
}

void hm_quick_stop_alone(void)
{
	uint32_t before = atomic_fetch_or(&hm_quick_door, HM_QUICK_CLOSED);

	if (!(before & HM_QUICK_FENCE) && !hm_fence_others())
		do_without();
	for (const struct hm_quick *quick = atomic_load(&all); quick != NULL;
	     quick = quick->next)
		wait_for(quick);
}

void hm_quick_resume_alone(void)
{
	atomic_fetch_and(&hm_quick_door, ~(uint32_t)HM_QUICK_CLOSED);
	hm_word_wake_all(&hm_quick_door);
}

void hm_quick_stop(void)
{
	hm_lock_acquire(&stopping, HM_RANK_QUICK);
	hm_quick_stop_alone();
}

void hm_quick_resume(void)
{
	hm_quick_resume_alone();
	hm_lock_release(&stopping, HM_RANK_QUICK);
}

void hm_quick_after_fork(void)
{
	for (struct hm_quick *quick = atomic_load(&all); quick != NULL;
	     quick = quick->next)
		atomic_store(&quick->inside, 0);
}
