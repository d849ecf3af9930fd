/*
 * Threads and fork, by POSIX.  libuv's thread calls were the alternative; they have no
 * word for fork, and the preload library that is to come must not link libuv.
 */
#include "thread.h"
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
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

/* ---- Threads of our own ---- */

_Static_assert(sizeof(pthread_t) <= sizeof(uint64_t), "a thread's name fits");

_Static_assert(sizeof(sigset_t) <= sizeof(struct hm_signal_mask), "a set fits");

/* What a signal handler of the program has to see, since it may be about our memory. */
static void hold_signals(sigset_t *before)
{
	static const int own[] = { SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
				   SIGTRAP, SIGABRT, SIGSYS };
	sigset_t all;

	(void)sigfillset(&all);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		(void)sigdelset(&all, own[i]);
	(void)pthread_sigmask(SIG_SETMASK, &all, before);
}

void hm_thread_hold_signals(struct hm_signal_mask *before)
{
	sigset_t set;

	hold_signals(&set);
	memcpy(before, &set, sizeof(set));
}

void hm_thread_release_signals(const struct hm_signal_mask *before)
{
	sigset_t set;

	memcpy(&set, before, sizeof(set));
	(void)pthread_sigmask(SIG_SETMASK, &set, NULL);
}

HRESULT hm_thread_start(struct hm_thread *thread, const char *name,
			void *(*function)(void *argument), void *argument)
{
	pthread_t handle;
	sigset_t before;
	int error;

	hold_signals(&before);
	error = pthread_create(&handle, NULL, function, argument);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		return E_OUTOFMEMORY;
	(void)pthread_setname_np(handle, name);
	memcpy(&thread->id, &handle, sizeof(handle));
	return S_OK;
}

void hm_thread_join(struct hm_thread *thread)
{
	pthread_t handle;

	memcpy(&handle, &thread->id, sizeof(handle));
	(void)pthread_join(handle, NULL);
}

void hm_thread_detach_self(void)
{
	(void)pthread_detach(pthread_self());
}

/* ---- Fork, and the end ---- */

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
