#ifndef HOSTMEM_WAITING_H
#define HOSTMEM_WAITING_H

#include "budget.h"
#include "clock.h"

/*
 * Who waits for memory of one host, in the order in which freed memory is offered: by
 * level, the most critical first, then by arrival.
 */
enum hm_wake {
	HM_WAKE_NOT,     /* it sleeps */
	HM_WAKE_GRANTED, /* its charge is pending, admitted on its behalf */
	HM_WAKE_AGAIN,   /* something has changed, it has to look again */
	HM_WAKE_ENDED,   /* the host has ended */
	HM_WAKE_TIMEOUT,
};

struct hm_heap;

/* Who waits for memory because it wants a block of a heap is content with such a block. */
struct hm_block_want {
	const struct hm_heap *heap;
	size_t size, alignment;
	_Atomic uint32_t *waiters; /* how many there are for that heap */
	void *block;               /* what it was given while it waited */
};

/* Lives on the stack of the thread that waits. */
struct hm_waiter {
	struct hm_waiter *next, *previous;
	EMemoryCriticalLevel level;
	size_t charge;
	bool for_any_free;          /* the system was short and not the budget */
	size_t charged;             /* by the host when it was found short */
	uint64_t deadline;          /* by the host's clock */
	struct hm_block_want *want; /* NULL: it wants pages */
	_Atomic uint32_t wake;
};

struct hm_waiting {
	struct hm_lock lock; /* HM_RANK_WAITING */
	struct hm_waiter *first;
	_Atomic uint32_t count;
	_Atomic uint32_t expected; /* who is about to wait, or waits */
	uint32_t uncharged;        /* of these: who want no charge */
	bool ended;
};

/* Waits: takes its place, then sleeps until it is woken.  The caller is outside
 * hm_calls_enter, and the fields up to `deadline` are set. */
void hm_waiting_begin(struct hm_waiting *waiting, struct hm_budget *budget,
		      struct hm_waiter *waiter);
/* It has found something by itself: looks again instead of sleeping. */
void hm_waiting_cancel(struct hm_waiting *waiting, struct hm_waiter *waiter);
enum hm_wake hm_waiting_sleep(struct hm_waiting *waiting, struct hm_clock *clock,
			      struct hm_waiter *waiter);

/* The rest is called between hm_calls_enter and hm_calls_leave. */

/* Something has been given back: offers it.  `freed`: to the system as well, and not only
 * to the budget. */
void hm_waiting_offer(struct hm_waiting *waiting, struct hm_budget *budget, bool freed);
/* The budget is another one: offers what it leaves, if it is to be offered now, and wakes
 * those who can never have what they wait for. */
void hm_waiting_judge(struct hm_waiting *waiting, struct hm_budget *budget, bool offer);
/* A live block of a heap is not needed any more: to the first who is content with it.
 * false: there is none. */
bool hm_waiting_hand_over(struct hm_waiting *waiting, const struct hm_heap *heap,
			  void *block, size_t size);
/* Whether somebody would take it; he may be gone by the time it is handed over. */
bool hm_waiting_wants(struct hm_waiting *waiting, const struct hm_heap *heap,
		      const void *block, size_t size);
/* There are more blocks in a heap: who waits for one looks again. */
void hm_waiting_look_again(struct hm_waiting *waiting, const struct hm_heap *heap);
/* The time is another one: everybody looks again. */
void hm_waiting_wake_all(struct hm_waiting *waiting);
/* Nobody waits any more, from now on. */
void hm_waiting_end(struct hm_waiting *waiting);

/* In a fork child: those who wait have stayed behind. */
void hm_waiting_after_fork(struct hm_waiting *waiting);

#endif
