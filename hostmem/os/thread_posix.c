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

static pthread_key_t at_end;
static void (*end_of_thread)(void);

static void run_at_end(void *value)
{
	(void)value;
	end_of_thread();
}

HRESULT hm_thread_at_end(void (*function)(void))
{
	end_of_thread = function;
	return pthread_key_create(&at_end, run_at_end) == 0 ? S_OK : E_OUTOFMEMORY;
}

void hm_thread_watch_end(void)
{
	/* Any value but NULL.  If there is no memory for it, the thread's caches stay as they
	 * are until their heap ends, or somebody is short of memory. */
	(void)pthread_setspecific(at_end, &at_end);
}
