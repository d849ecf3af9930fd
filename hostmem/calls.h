#ifndef HOSTMEM_CALLS_H
#define HOSTMEM_CALLS_H

#include "os/thread.h"

#include "abi/hresult.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Calls in flight: who is inside the library with a lock or a system call.
 *
 * Every lock is taken between enter and leave, and no callback runs there.  Entering
 * costs one atomic addition on a word that other threads seldom touch.  Entries do not
 * nest: one that nested would wait for a fork that waits for it.
 */

/* Once per process, before the first enter; E_OUTOFMEMORY if fork cannot be watched. */
HRESULT hm_calls_prepare(void);

void hm_calls_enter(void);
void hm_calls_leave(void);

/* For a signal handler: false instead of waiting. */
bool hm_calls_try_enter(void);

/*
 * From now on no thread is stopped by a signal between enter and leave, for the rest of the
 * process: its runtime may hold threads still wherever they are, and go on to ask for memory,
 * or fork, before it lets them run.
 */
void hm_calls_expect_stops(void);
/* The same from here on, for several calls in a row; nests, with enter and leave too. */
void hm_calls_hold_signals(void);
void hm_calls_release_signals(void);

/* Returns when everybody who was inside has been outside once.  The caller is outside. */
void hm_calls_flush(void);

/* A small number that this thread keeps: few threads have the same. */
#define HM_CALLS_SLOTS 32U
extern HM_THREAD_LOCAL uint32_t hm_calls_own_slot; /* 1-based; 0 = none yet */
uint32_t hm_calls_choose_slot(void);

static inline uint32_t hm_calls_slot(void)
{
	return hm_calls_own_slot != 0 ? hm_calls_own_slot - 1 : hm_calls_choose_slot();
}

#endif
