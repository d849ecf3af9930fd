/*
 * Threads and fork, by POSIX.  libuv's thread calls were the alternative; they have no
 * word for fork, and the preload library that is to come must not link libuv.
 */
#include "thread.h"

#include <pthread.h>
#include <sched.h>

void hm_thread_yield(void)
{
	(void)sched_yield();
}

HRESULT hm_fork_handlers(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	return pthread_atfork(prepare, parent, child) == 0 ? S_OK : E_OUTOFMEMORY;
}
