/*
 * What the tests of waiting and of the gate share: calls of other threads, and how a test
 * knows without looking at a clock that one of them waits.
 *
 * For memory: its request has called the reclaimer, which comes right before the wait, and
 * since it is watched by a subscriber, the gate can only be had when it sleeps.  At the
 * gate: the call has begun, and the thread sleeps in the system.
 */
#ifndef HOSTMEM_CONFORMANCE_THREADS_H
#define HOSTMEM_CONFORMANCE_THREADS_H

#include "recorder.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOR_EVER UINT32_MAX
#define HOUR 3600000U

enum { WATCHDOG = 300 }; /* s */

struct caller {
	const struct host *host;
	HRESULT (*call)(struct caller *caller);
	EMemoryCriticalLevel level;
	size_t size;
	void *address;
	uint32_t ms;
	HRESULT result;
	void *out;
	unsigned served; /* the how many-th to come back, from 1 */
	_Atomic long id; /* of the thread, once it is about to call */
	_Atomic bool go, done;
	pthread_t thread;
};

static _Atomic unsigned callers_served;

static inline void *caller_run(void *argument)
{
	struct caller *caller = (struct caller *)argument;

	atomic_store(&caller->id, syscall(SYS_gettid));
	caller->result = caller->call(caller);
	caller->served = 1 + atomic_fetch_add(&callers_served, 1);
	atomic_store(&caller->done, true);
	return NULL;
}

static inline void caller_start(struct caller *caller, const struct host *host)
{
	caller->host = host;
	if (pthread_create(&caller->thread, NULL, caller_run, caller) != 0)
		abort();
}

static inline HRESULT caller_end(struct caller *caller)
{
	atomic_store(&caller->go, true);
	(void)pthread_join(caller->thread, NULL);
	return caller->result;
}

/* Sleeps in the system, or has come back. */
static inline bool caller_rests(struct caller *caller)
{
	char path[64], line[256] = "";
	const char *state;
	FILE *file;

	if (atomic_load(&caller->done))
		return true;
	snprintf(path, sizeof(path), "/proc/self/task/%ld/stat",
		 atomic_load(&caller->id));
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	if (fgets(line, sizeof(line), file) == NULL)
		line[0] = '\0';
	(void)fclose(file);
	state = strrchr(line, ')');
	return state != NULL && state[1] == ' ' && state[2] == 'S';
}

/* Returns when it waits at the gate, which is closed. */
static inline void caller_wait_at_gate(struct caller *caller)
{
	while (atomic_load(&caller->id) == 0 || !caller_rests(caller))
		(void)sched_yield();
	CHECK(!atomic_load(&caller->done));
}

/* ---- Calls ---- */

static inline HRESULT call_commit(struct caller *caller)
{
	return vm_alloc_at_level(caller->host, caller->address, caller->size, MEM_COMMIT,
				 PAGE_READWRITE, caller->level, &caller->out);
}

static inline HRESULT call_reserve(struct caller *caller)
{
	return vm_alloc(caller->host, NULL, caller->size, MEM_RESERVE, PAGE_READWRITE,
			&caller->out);
}

static inline HRESULT call_release(struct caller *caller)
{
	return vm_release(caller->host, caller->address);
}

static inline HRESULT call_decommit(struct caller *caller)
{
	return vm_free(caller->host, caller->address, caller->size, MEM_DECOMMIT);
}

static inline HRESULT call_protect(struct caller *caller)
{
	DWORD old;

	return vm_protect(caller->host, caller->address, caller->size, PAGE_READONLY,
			  &old);
}

static inline HRESULT call_enter_gate(struct caller *caller)
{
	HRESULT hr = IHostMemoryControl_EnterGate(caller->host->control, caller->ms);

	if (SUCCEEDED(hr))
		CHECK_HR(IHostMemoryControl_LeaveGate(caller->host->control), S_OK);
	return hr;
}

static inline HRESULT call_leave_gate(struct caller *caller)
{
	return IHostMemoryControl_LeaveGate(caller->host->control);
}

/* ---- Waiting for memory ---- */

static _Atomic unsigned threads_short; /* requests that ran short */

static inline size_t HOSTMEM_CALL count_shortage(void *state, size_t wanted)
{
	(void)state, (void)wanted;
	atomic_fetch_add(&threads_short, 1);
	return 0;
}

static inline BOOL HOSTMEM_CALL watch_event(void *state, const HostMemEvent *event)
{
	(void)state, (void)event;
	return TRUE;
}

/* A host with HOSTMEM_... flags of which each level may charge `limit` bytes and wait for an
 * hour. */
static inline bool waiting_host_with(struct host *host, HostMemBudget *budget,
				     size_t limit, uint32_t flags)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	uint64_t cookie;

	*budget = (HostMemBudget)HOSTMEM_BUDGET_INIT;
	budget->cbLimit = limit;
	for (size_t i = 0; i < 3; i++)
		budget->msWait[i] = HOUR;
	config.dwFlags = HOSTMEM_MONITOR_OFF | flags;
	config.budget = budget;
	config.msGateTimeout = FOR_EVER;
	atomic_store(&threads_short, 0);
	atomic_store(&callers_served, 0);
	return host_create_with(host, &config) &&
	       CHECK_HR(IHostMemoryControl_Subscribe(host->control, ALL_BITS, watch_event,
						     NULL, &cookie),
			S_OK) &&
	       CHECK_HR(IHostMemoryControl_SetReclaimer(host->control, count_shortage,
							NULL),
			S_OK);
}

static inline bool waiting_host(struct host *host, HostMemBudget *budget, size_t limit)
{
	return waiting_host_with(host, budget, limit, 0);
}

/* Starts a call which is refused, and returns when it waits for memory. */
static inline void caller_wait_for_memory(struct caller *caller, const struct host *host)
{
	unsigned before = atomic_load(&threads_short);

	caller_start(caller, host);
	while (atomic_load(&threads_short) == before)
		(void)sched_yield();
	CHECK_HR(IHostMemoryControl_EnterGate(host->control, FOR_EVER), S_OK);
	CHECK(!atomic_load(&caller->done));
	CHECK_HR(IHostMemoryControl_LeaveGate(host->control), S_OK);
}

static inline void let_out(const struct host *host, struct caller *caller, HRESULT want)
{
	CHECK_HR(caller_end(caller), want);
	if (caller->out != NULL)
		CHECK_HR(vm_release(host, caller->out), S_OK);
	caller->out = NULL;
}

#endif
