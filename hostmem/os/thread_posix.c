/*
 * Threads and fork, by POSIX.  libuv's thread calls were the alternative; they have no
 * word for fork, and the preload library that is to come must not link libuv.
 */
#include "thread.h"
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

void hm_thread_yield(void)
{
	(void)sched_yield();
}

uint64_t hm_thread_nanoseconds(void)
{
	struct timespec now;
	int result = clock_gettime(CLOCK_MONOTONIC, &now);

	hm_assert(result == 0);
	(void)result;
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t hm_thread_now(void)
{
	return hm_thread_nanoseconds() / 1000000;
}

HRESULT hm_fork_handlers(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	return pthread_atfork(prepare, parent, child) == 0 ? S_OK : E_OUTOFMEMORY;
}
