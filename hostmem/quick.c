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
 * any lock; it is inside for a few dozen instructions, and seldom for some thousand.  Where
 * the runtime holds threads still by signals, who stops may be the one who would let it run,
 * so he waits for no longer than a processor may be away.
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
#define PATIENCE 100U

static _Atomic(struct hm_quick *) all;
static _Atomic uint32_t stopped;
static _Atomic uint64_t fence; /* HM_QUICK_FENCE or 0 */
static _Atomic bool stops_expected;
static struct hm_lock lock;

void hm_quick_prepare(void)
{
	if (FAILED(hm_fence_prepare()))
		atomic_store(&fence, HM_QUICK_FENCE);
}

void hm_quick_expect_stops(void)
{
	atomic_store(&stops_expected, true);
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
		uint64_t purpose;

		atomic_exchange(&quick->inside, 1);
		purpose = atomic_load(&quick->purpose);
		if (!(purpose & HM_QUICK_CLOSED)) {
			if (purpose & HM_QUICK_STOPPED)
				atomic_fetch_and(&quick->purpose, ~HM_QUICK_STOPPED);
			return;
		}
		hm_quick_leave(quick);
		hm_word_wait(&stopped, 1);
	}
}

static bool is_inside(const struct hm_quick *quick)
{
	return atomic_load_explicit(&quick->inside, memory_order_acquire) != 0 ||
	       (quick->at_work != NULL && quick->at_work(quick));
}

/* false: it is still inside. */
static bool wait_for(const struct hm_quick *quick)
{
	bool patient = !atomic_load_explicit(&stops_expected, memory_order_relaxed);
	uint64_t began;

	for (unsigned spins = 0; is_inside(quick) && spins < SPINS; spins++)
		hm_thread_relax();
	if (!is_inside(quick))
		return true;
	for (began = hm_thread_now(); is_inside(quick); hm_thread_yield()) {
		if (!patient && hm_thread_now() - began > PATIENCE)
			return false;
	}
	return true;
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

bool hm_quick_stop_alone(void)
{
	struct hm_quick *first = atomic_load(&all);
	bool stopped_all = true;

	atomic_store(&stopped, 1);
	for (struct hm_quick *quick = first; quick != NULL; quick = quick->next)
		atomic_fetch_or(&quick->purpose, HM_QUICK_CLOSED);
	if (first == NULL)
		return true;
	if (atomic_load(&fence) == 0 && !hm_fence_others())
		do_without();
	for (const struct hm_quick *quick = first; quick != NULL && stopped_all;
	     quick = quick->next)
		stopped_all = wait_for(quick);
	if (!stopped_all)
		hm_quick_resume_alone();
	return stopped_all;
}

void hm_quick_resume_alone(void)
{
	for (struct hm_quick *quick = atomic_load(&all); quick != NULL;
	     quick = quick->next) {
		if (quick->at_work != NULL)
			atomic_fetch_or(&quick->purpose, HM_QUICK_STOPPED);
		atomic_fetch_and(&quick->purpose, ~HM_QUICK_CLOSED);
	}
	atomic_store(&stopped, 0);
	hm_word_wake_all(&stopped);
}

bool hm_quick_stop(void)
{
	hm_quick_lock();
	if (hm_quick_stop_alone())
		return true;
	hm_quick_unlock();
	return false;
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
