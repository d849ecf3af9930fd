#ifndef HOSTMEM_OS_LOOP_H
#define HOSTMEM_OS_LOOP_H

#include "abi/hresult.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A loop that waits for time, for files and for being woken: on a thread of its own, or as a
 * part of the program's.
 *
 * `turn` is called on the loop's thread when it is woken or the time is up; neither comes by
 * itself in the beginning, but it may be called without.
 */
struct hm_loop;
struct uv_loop_s;

struct hm_loop_client {
	/* `woken`, or the time is up. */
	void (*turn)(void *state, bool woken);
	/* A watched file has something to tell, or is broken. */
	void (*ready)(void *state, unsigned slot);
	void *state;
};

/*
 * Begins one, on a thread of its own, or on the program's loop (on whose thread this is
 * called then).  Without file descriptors a thread of its own still has time and can be
 * woken, but watches no files; and so it is always in a build without libuv (loop_plain.c),
 * which has none on the program's loop.
 *
 * E_OUTOFMEMORY; on the program's loop also, as HRESULT_FROM_WIN32,
 * ERROR_TOO_MANY_OPEN_FILES, and ERROR_NOT_SUPPORTED without libuv.
 */
HRESULT hm_loop_start(const struct hm_loop_client *client, struct uv_loop_s *program,
		      struct hm_loop **out);

/* Has `turn` called.  Any thread, also in a signal handler; never waits; keeps errno; does
 * nothing for a loop that has been stopped. */
void hm_loop_wake(struct hm_loop *loop);

bool hm_loop_is_own_thread(const struct hm_loop *loop);
/* Whether this is the own thread of any of them. */
bool hm_loop_is_on_thread(void);

/* ---- On the loop's thread ---- */

/* `turn` is called when so many ms have gone by, once, whatever was set before; UINT64_MAX =
 * never. */
void hm_loop_set_timer(struct hm_loop *loop, uint64_t ms);

/* What a file has to tell: that there is something to read, or something exceptional. */
enum hm_loop_news {
	HM_NEWS_READABLE,
	HM_NEWS_EXCEPTIONAL,
};

/* At most so many at a time; the slot is a number below that. */
#define HM_LOOP_FILES 16U

/* Calls `ready` with that slot, which is free, until unwatched.  The file stays the caller's.
 * E_OUTOFMEMORY; as HRESULT_FROM_WIN32 ERROR_TOO_MANY_OPEN_FILES: the loop is a thread that
 * could open none; ERROR_NOT_SUPPORTED: it cannot be waited for, or there is no libuv. */
HRESULT hm_loop_watch(struct hm_loop *loop, unsigned slot, int file,
		      enum hm_loop_news news);
void hm_loop_unwatch(struct hm_loop *loop, unsigned slot);

/* Whether that slot may be used: it is not watched, and its last file has been let go. */
bool hm_loop_is_free(const struct hm_loop *loop, unsigned slot);

/*
 * Nothing is called any more when it returns, but for what calls it.  On the program's loop
 * this is called on its thread.  The loop's own thread may do it, too: it ends when it comes
 * back from there.
 */
void hm_loop_stop(struct hm_loop *loop);

/* ---- Its end ---- */

/* It has been stopped: returns when the thread of its own, which is not this one, has ended.
 * By one thread at a time. */
void hm_loop_await_end(struct hm_loop *loop);

/* It has been stopped, and nobody else knows it any more. */
void hm_loop_free(struct hm_loop *loop);

/* In a fork child: a thread of its own is gone, and what it had open is closed as far as we
 * know it; the rest of it is lost.  What was part of the program's loop stays one, and
 * nobody in the parent hears of it any more. */
void hm_loop_after_fork(struct hm_loop *loop, struct hm_loop **out);

#endif
