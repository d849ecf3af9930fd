/*
 * Locks on futex words.
 *
 * The three-state scheme: a free lock is taken by one compare-and-swap; the kernel is asked
 * only when somebody waits.  Two is stored by everybody who has waited, because he cannot
 * know whether he was the last.
 *
 * Giving a lock back is a plain store, and not the exchange that is usual, because that
 * costs as much as taking it, and most locks here are held for a few dozen instructions.
 * The price: who comes to sleep just between our look at the word and our store is not
 * woken.  So nobody sleeps longer than a millisecond without looking again.  Where hundreds
 * may wait that would be all that the machine does: those few locks do exchange.
 *
 * pthread_mutex_t was the alternative: ten times the size, and a fork child may not
 * even re-initialise one that another thread held.
 */
#include "lock.h"
#include "check.h"
#include "thread.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef HM_CHECKED
static _Thread_local unsigned ranks_held;

void hm_lock_push_rank(enum hm_rank rank)
{
	hm_assert((ranks_held >> rank) == 0);
	ranks_held |= 1U << rank;
}

void hm_lock_pop_rank(enum hm_rank rank)
{
	hm_assert((ranks_held & (1U << rank)) != 0);
	ranks_held &= ~(1U << rank);
}

void hm_lock_assert_none_held(void)
{
	hm_assert(ranks_held == 0);
}
#endif

static void futex(const _Atomic uint32_t *word, int operation, uint32_t value,
		  const struct timespec *timeout)
{
	int kept = errno;

	/* A failed wait is a reason to look again, which every caller does. */
	(void)syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, timeout,
		      NULL, 0);
	errno = kept;
}

void hm_word_wait(const _Atomic uint32_t *word, uint32_t value)
{
	futex(word, FUTEX_WAIT, value, NULL);
}

void hm_word_wait_for(const _Atomic uint32_t *word, uint32_t value, uint64_t ms)
{
	struct timespec timeout = { .tv_sec = (time_t)(ms / 1000),
				    .tv_nsec = (long)(ms % 1000) * 1000000 };

	futex(word, FUTEX_WAIT, value, &timeout);
}

void hm_word_wake_all(const _Atomic uint32_t *word)
{
	futex(word, FUTEX_WAKE, INT_MAX, NULL);
}

/* As long as most locks are held; beyond that the holder is in the kernel, or has lost his
 * processor. */
static bool wait_awake(const struct hm_lock *lock)
{
	for (unsigned i = 0; i < 100; i++) {
		if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0)
			return true;
		hm_thread_relax();
	}
	return false;
}

void hm_lock_acquire_slowly(struct hm_lock *lock, bool long_held)
{
	static const struct timespec a_while = { .tv_nsec = 1000000 };
	uint32_t expected = 0;

	if (wait_awake(lock) &&
	    atomic_compare_exchange_strong_explicit(&lock->word, &expected, 1,
						    memory_order_acquire,
						    memory_order_relaxed))
		return;
	while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
		futex(&lock->word, FUTEX_WAIT, 2, long_held ? NULL : &a_while);
}

void hm_lock_wake_one(struct hm_lock *lock)
{
	futex(&lock->word, FUTEX_WAKE, 1, NULL);
}
