#ifndef HOSTMEM_OS_LOOP_THREAD_H
#define HOSTMEM_OS_LOOP_THREAD_H

#include "loop.h"
#include "thread.h"

#include <stdatomic.h>

/*
 * What loops on threads of their own have in common, and the plainest of them: a thread that
 * sleeps on a word, which has time and can be woken, and opens nothing.
 *
 * For the two that make loop.h of it, loop_uv.c and loop_plain.c, whose records begin with
 * this one.  A loop on the program's thread is one without a thread here.
 *
 * Fields without a word about it belong to the loop's thread.
 */
struct hm_loop_thread {
	struct hm_loop_client client;
	/* What the thread does until it is stopped; hm_loop_thread_sleep, or something else. */
	void (*run)(struct hm_loop_thread *loop);
	/* Gives the record back. */
	void (*give_back)(struct hm_loop_thread *loop);

	uint64_t sleep;          /* ms until the next turn by time */
	_Atomic uint32_t turns;  /* moves with each wake */
	_Atomic uint32_t ending; /* it has been stopped */
	bool has_thread;         /* for whose end nobody has waited */
	bool freed; /* by its owner, on its own thread, which does the rest */
	struct hm_thread thread;
};

/* Of a zeroed record: no time is set, nobody has woken it. */
void hm_loop_thread_init(struct hm_loop_thread *loop, const struct hm_loop_client *client,
			 void (*give_back)(struct hm_loop_thread *loop));

/* E_OUTOFMEMORY: as before. */
HRESULT hm_loop_thread_start(struct hm_loop_thread *loop,
			     void (*run)(struct hm_loop_thread *loop));

/* Sleeps, and has turns, until it is stopped. */
void hm_loop_thread_sleep(struct hm_loop_thread *loop);

/* A turn, unless it has been stopped. */
void hm_loop_thread_turn(struct hm_loop_thread *loop, bool woken);

/* From hm_loop_thread_sleep.  As hm_loop_wake. */
void hm_loop_thread_wake(struct hm_loop_thread *loop);

/* As hm_loop_is_own_thread. */
bool hm_loop_thread_is_own(const struct hm_loop_thread *loop);

static inline bool hm_loop_thread_is_stopped(const struct hm_loop_thread *loop)
{
	return atomic_load(&loop->ending) != 0;
}

/* false: somebody else has stopped it already. */
bool hm_loop_thread_stop(struct hm_loop_thread *loop);
/* As hm_loop_await_end. */
void hm_loop_thread_await_end(struct hm_loop_thread *loop);
/* As hm_loop_free; false: the caller gives the record back, which nothing runs on now. */
bool hm_loop_thread_free(struct hm_loop_thread *loop);

/*
 * As hm_loop_after_fork, of one with a thread.  true: it runs no more, and its record is to be
 * kept.  false: it had been stopped, and its owner frees it as always.
 */
bool hm_loop_thread_after_fork(struct hm_loop_thread *loop);

#endif
