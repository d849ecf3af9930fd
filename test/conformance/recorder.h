/*
 * Subscribers of the event tests: one that remembers every event and answers as it is
 * told, and the ledger, which adds events up as their description says.
 */
#ifndef HOSTMEM_CONFORMANCE_RECORDER_H
#define HOSTMEM_CONFORMANCE_RECORDER_H

#include "host.h"

#include <stdatomic.h>

#define ALLOCATE_BIT 1U
#define FREE_BIT 2U
#define FAILURE_BIT 4U
#define ALL_BITS 7U

enum { RECORDS = 64 };

struct recorder {
	const struct host *host;
	uint64_t cookie;
	size_t count;
	HostMemEvent events[RECORDS];
	size_t order[RECORDS]; /* of all recorders' events */
	bool refuse;
	void (*then)(struct recorder *recorder, const HostMemEvent *event);
	bool busy; /* in `then` */
};

static size_t recorder_order;

static inline BOOL HOSTMEM_CALL recorder_event(void *state, const HostMemEvent *event)
{
	struct recorder *recorder = (struct recorder *)state;

	CHECK_U32(event->cbSize, sizeof(HostMemEvent));
	CHECK(!recorder->busy);
	if (CHECK(recorder->count < RECORDS)) {
		recorder->order[recorder->count] = recorder_order++;
		recorder->events[recorder->count++] = *event;
	}
	if (recorder->then != NULL) {
		recorder->busy = true;
		recorder->then(recorder, event);
		recorder->busy = false;
	}
	return !recorder->refuse;
}

static inline void recorder_start(struct recorder *recorder, const struct host *host,
				  DWORD mask)
{
	recorder->host = host;
	CHECK_HR(IHostMemoryControl_Subscribe(host->control, mask, recorder_event,
					      recorder, &recorder->cookie),
		 S_OK);
	CHECK(recorder->cookie != 0);
}

static inline void recorder_stop(struct recorder *recorder)
{
	CHECK_HR(IHostMemoryControl_Unsubscribe(recorder->host->control,
						recorder->cookie),
		 S_OK);
}

static inline void recorder_clear(struct recorder *recorder)
{
	recorder->count = 0;
}

/* Checks what every kind of event has in common. */
#define CHECK_EVENT(event, type, operation, size) \
	recorder_check((event), (type), (operation), (size), __FILE__, __LINE__)

static inline void recorder_check(const HostMemEvent *event, HostMemEventType type,
				  HostMemOperation operation, size_t size,
				  const char *file, int line)
{
	tap_check_int(event->type, type, "type", file, line);
	tap_check_int(event->operation, operation, "operation", file, line);
	tap_check_unsigned(event->size, size, "size", file, line);
	tap_check(event->request != 0, "request != 0", file, line);
	tap_check((event->attempt == 0) == (type == HostMemEventFree),
		  "only a free has no attempts", file, line);
}

/* The sum of events, of any number of threads. */
struct ledger {
	_Atomic int64_t sum;
	uint64_t cookie;
	atomic_uint refuse_every; /* 0: never */
	atomic_uint calls;
};

static inline BOOL HOSTMEM_CALL ledger_event(void *state, const HostMemEvent *event)
{
	struct ledger *ledger = (struct ledger *)state;
	unsigned every = atomic_load(&ledger->refuse_every);
	int64_t change = -(int64_t)event->cbWithdrawn;

	if (event->type == HostMemEventAllocate)
		change += (int64_t)event->size;
	if (event->type == HostMemEventFree)
		change -= (int64_t)event->size;
	if (!event->announced && event->type == HostMemEventFailure)
		CHECK_SIZE(event->cbWithdrawn, 0);
	atomic_fetch_add(&ledger->sum, change);
	if (event->type != HostMemEventAllocate)
		return TRUE;
	return every == 0 || atomic_fetch_add(&ledger->calls, 1) % every != 0;
}

static inline void ledger_start(struct ledger *ledger, const struct host *host)
{
	CHECK_HR(IHostMemoryControl_Subscribe(host->control, ALL_BITS, ledger_event,
					      ledger, &ledger->cookie),
		 S_OK);
}

#endif
