#ifndef HOSTMEM_CONFORM_CONTROL_H
#define HOSTMEM_CONFORM_CONTROL_H

#include "memory.h"

/*
 * The words in which cases speak of a host's own interfaces (abi/memorycontrol.h).  A host
 * that only wraps the system has none of them: such a case is skipped, and says so.
 */

/* The control, with a budget without limits; NULL, and the case is skipped, if the host has
 * none, or charges what is reserved and not what is committed. */
IHostMemoryControl *hm_control(struct hm_trial *t);
/* The simulator.  Time is virtual from here on, and the machine is left out of it. */
IHostMemorySimulator *hm_simulator(struct hm_trial *t);
/* The other faces, if the host has them. */
IHostMemoryPages *hm_pages(struct hm_trial *t);
IHostMemoryMonitor *hm_monitor(struct hm_trial *t);

HostMemUsage hm_usage(struct hm_trial *t, IHostMemoryControl *control);
bool hm_set_budget(struct hm_trial *t, IHostMemoryControl *control,
		   const HostMemBudget *budget);
/* A budget with a limit and nothing else; SIZE_MAX ends that. */
bool hm_limit(struct hm_trial *t, IHostMemoryControl *control, size_t limit);
/* A heap for several threads; the case releases it. */
IHostMalloc *hm_heap(struct hm_trial *t);

/* One page at a time, or more, reserved and committed at once at some level; NULL if it is
 * refused, which has to be with that result. */
void *hm_grant(struct hm_trial *t, size_t pages, EMemoryCriticalLevel level,
	       HRESULT want);

/* Where a mapping of the runtime's is said to be: the host takes its word, and only counts. */
#define HM_MAPPING ((void *)(uintptr_t)0x2000000000)

/* A number of a sequence that is the same in every run. */
uint64_t hm_next(uint64_t *seed);

/* ---- Subscribers ---- */

enum {
	HM_ALLOCATE = 1 << HostMemEventAllocate,
	HM_FREE = 1 << HostMemEventFree,
	HM_FAILURE_BIT = 1 << HostMemEventFailure,
	HM_ALL_EVENTS = HM_ALLOCATE | HM_FREE | HM_FAILURE_BIT,
	HM_EVENTS = 32
};

/* Remembers the last events, and may say no.  Of one thread. */
struct hm_recorder {
	struct hm_trial *t;
	IHostMemoryControl *control;
	uint64_t cookie;
	bool refuse; /* the answer to allocations */
	/* Called inside the callback, if set. */
	void (*then)(struct hm_recorder *recorder, const HostMemEvent *event);
	void *state;
	unsigned count; /* of all; the last HM_EVENTS are kept */
	HostMemEvent events[HM_EVENTS];
};

bool hm_subscribe(struct hm_recorder *recorder, struct hm_trial *t,
		  IHostMemoryControl *control, DWORD mask);
void hm_unsubscribe(struct hm_recorder *recorder);
/* The `index`th event since the start, or of a record of zeros if there was none. */
const HostMemEvent *hm_event(const struct hm_recorder *recorder, unsigned index);

#define CHECK_EVENT(t, event, type, operation, size) \
	hm_check_event(t, event, type, operation, size, __FILE__, __LINE__)
bool hm_check_event(struct hm_trial *t, const HostMemEvent *event, HostMemEventType type,
		    HostMemOperation operation, size_t size, const char *file, int line);

/* ---- No lock is held ---- */

/* From inside a callback: another thread reserves, commits, protects, asks, decommits and
 * releases, and takes and frees a block of `heap` (NULL: of none), and has to come to an end
 * of it.  What that thread does raises events of its own; `busy` is true meanwhile. */
struct hm_bystander {
	struct hm_trial *t;
	IHostMalloc *heap;
	_Atomic bool busy;
	_Atomic unsigned failed; /* calls of the other thread */
};
void hm_let_others_call(struct hm_bystander *bystander);

#endif
