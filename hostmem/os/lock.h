#ifndef HOSTMEM_OS_LOCK_H
#define HOSTMEM_OS_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A lock of four bytes, and waiting on a word.
 *
 * Each region has a lock of its own, and there may be a million regions: a
 * pthread_mutex_t of 40 bytes would be most of what a region costs.  A zeroed lock is a
 * free one, so locks may live in memory that is never initialised.
 *
 * Rules
 *   - a lock is only taken between hm_calls_enter and hm_calls_leave (calls.h), so
 *     that a fork can wait until every lock is free;
 *   - locks are taken in the order of their rank, never two of one rank, and none is
 *     held while a callback runs.  Checked builds abort where that is broken;
 *   - errno is kept.
 */
enum hm_rank {
	HM_RANK_HEAPS = 1, /* the heaps of all hosts, process-wide */
	HM_RANK_RECORDS,   /* what is known of single blocks of one heap */
	HM_RANK_HEAP,      /* what the threads of one heap share */
	HM_RANK_QUICK,     /* holding the quick calls of all threads up */
	HM_RANK_DOOMED,    /* spans of the heaps of one host that are to be given back */
	HM_RANK_REGION,    /* one region: its states, and the system calls on it */
	HM_RANK_DIRECTORY, /* address -> region, process-wide; never across a system call */
	HM_RANK_ARENA, /* who has which granule of one arena; never across a system call */
	HM_RANK_PARKED,    /* released regions that the system would not take */
	HM_RANK_EXTERNAL,  /* the acquired mappings of one host */
	HM_RANK_EVENTS,    /* the subscribers of one host */
	HM_RANK_FAULTS,    /* the fault rules of one host */
	HM_RANK_RECLAIMER, /* who gives memory back to one host */
	HM_RANK_BUDGET,    /* the figures of one host's budget, while they are replaced */
	HM_RANK_WAITING,   /* who waits for memory of one host */
	HM_RANK_NOTIFY,    /* the notification callback of one host */
	HM_RANK_HOSTS,     /* the list of hosts, process-wide */
	HM_RANK_RETAINED,  /* released memory that one host keeps */
	HM_RANK_MAPPINGS,  /* the open file of the process's mappings */
	HM_RANK_LEFTOVERS, /* address space that could not be given up, process-wide */
	HM_RANK_OVERLAYS,  /* files mapped over reservations, process-wide */
	HM_RANK_LEAVES,    /* the table of spans, while a leaf is made */
	HM_RANK_METADATA,  /* free metadata blocks, process-wide */
	HM_RANKS
};

struct hm_lock {
	_Atomic uint32_t word; /* 0 free, 1 held, 2 held and somebody may sleep */
};

/* What checked builds know of each thread; aborts if it holds any lock. */
#ifdef HM_CHECKED
void hm_lock_push_rank(enum hm_rank rank);
void hm_lock_pop_rank(enum hm_rank rank);
void hm_lock_assert_none_held(void);
#else
static inline void hm_lock_push_rank(enum hm_rank rank)
{
	(void)rank;
}

static inline void hm_lock_pop_rank(enum hm_rank rank)
{
	(void)rank;
}

static inline void hm_lock_assert_none_held(void)
{
}
#endif

/* Held while everybody is stopped, so that hundreds may come to wait: who waits sleeps until
 * he is woken, and does not look from time to time. */
static inline bool hm_rank_is_long_held(enum hm_rank rank)
{
	return rank <= HM_RANK_QUICK;
}

/* When the lock is not to be had at once, or somebody may sleep. */
void hm_lock_acquire_slowly(struct hm_lock *lock, bool long_held);
void hm_lock_wake_one(struct hm_lock *lock);

static inline bool hm_lock_try(struct hm_lock *lock, enum hm_rank rank)
{
	uint32_t expected = 0;

	if (!atomic_compare_exchange_strong_explicit(&lock->word, &expected, 1,
						     memory_order_acquire,
						     memory_order_relaxed))
		return false;
	hm_lock_push_rank(rank);
	return true;
}

static inline void hm_lock_acquire(struct hm_lock *lock, enum hm_rank rank)
{
	uint32_t expected = 0;

	hm_lock_push_rank(rank);
	if (!atomic_compare_exchange_strong_explicit(&lock->word, &expected, 1,
						     memory_order_acquire,
						     memory_order_relaxed))
		hm_lock_acquire_slowly(lock, hm_rank_is_long_held(rank));
}

/* A plain store, as a rule; see lock_linux.c for why that will do. */
static inline void hm_lock_release(struct hm_lock *lock, enum hm_rank rank)
{
	uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);

	hm_lock_pop_rank(rank);
	if (hm_rank_is_long_held(rank))
		word = atomic_exchange_explicit(&lock->word, 0, memory_order_release);
	else
		atomic_store_explicit(&lock->word, 0, memory_order_release);
	if (word == 2)
		hm_lock_wake_one(lock);
}

/* Sleeps while *word == value; may return early, so the caller looks again. */
void hm_word_wait(const _Atomic uint32_t *word, uint32_t value);
/* The same, for so many ms at the longest. */
void hm_word_wait_for(const _Atomic uint32_t *word, uint32_t value, uint64_t ms);
void hm_word_wake_all(const _Atomic uint32_t *word);

#endif
