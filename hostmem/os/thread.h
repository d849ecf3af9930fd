#ifndef HOSTMEM_OS_THREAD_H
#define HOSTMEM_OS_THREAD_H

#include "abi/hresult.h"

#include <stdint.h>

/*
 * What the rules need to know about threads and processes.
 *
 * HM_THREAD_LOCAL names the initial-exec model: a few bytes of it can be had even when
 * the library comes in by dlopen, and reading it never allocates, which the general
 * model does at a thread's first use.
 */
#define HM_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))

void hm_thread_yield(void);

/* Since some moment, by a clock that never goes back. */
uint64_t hm_thread_nanoseconds(void);
uint64_t hm_thread_now(void); /* ms */

/* Between two looks at a word that another processor is about to change. */
static inline void hm_thread_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/*
 * A thread of the library's own, with that name in the system's lists.  Signals that the
 * program handles go to its own threads; those that are the thread's own fault stay.
 * E_OUTOFMEMORY: there is no room for one more.
 */
struct hm_thread {
	uint64_t id; /* the system's */
};

HRESULT hm_thread_start(struct hm_thread *thread, const char *name,
			void *(*function)(void *argument), void *argument);
/* Returns when it has ended. */
void hm_thread_join(struct hm_thread *thread);
/* Nobody will wait for the end of the thread that calls this. */
void hm_thread_detach_self(void);

/*
 * Holds back the signals that others send to this thread, and lets them come again; those
 * that a fault of its own raises are not held back.  A few hundred ns each.
 */
struct hm_signal_mask {
	uint64_t words[16]; /* the system's */
};

void hm_thread_hold_signals(struct hm_signal_mask *before);
void hm_thread_release_signals(const struct hm_signal_mask *before);

/*
 * Runs `prepare` before, `parent` and `child` after every fork of this process.
 * E_OUTOFMEMORY if the system has no room for the three pointers.
 */
HRESULT hm_fork_handlers(void (*prepare)(void), void (*parent)(void),
			 void (*child)(void));

/*
 * Says what runs at the end of each thread that has asked for it, on that thread; once per
 * process.  E_OUTOFMEMORY if the system has no key for it.
 */
HRESULT hm_thread_at_end(void (*function)(void));
void hm_thread_watch_end(void);

#endif
