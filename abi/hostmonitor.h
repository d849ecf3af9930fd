/*
 * IHostMemoryMonitor: how a host comes to know about memory.
 *
 * From the first non-NULL RegisterMemoryNotificationCallback on, a monitor watches the
 * host's own budget and whatever the system offers: a thread of the host's own, or the
 * program's libuv loop, see HOSTMEM_MONITOR_THREAD and its like.  What it finds is judged
 * by thresholds, and changes go to the callback, see memnotify.h.
 *
 * Each thing that can wake the monitor is a source.  A source that cannot be had is left
 * out, and so is one whose file fails, or calls 50 times within a quarter of a second (but for
 * HostMemSourceGroupUsage, whose file cannot do that for nothing); what it would have told is
 * then found when the monitor looks by itself, HostMemSourceTimer.  Every ten seconds those
 * that are left out are tried again, but by a thread that had no file descriptors when it began:
 * it has the timer and the budget until it ends.
 *
 * The monitor keeps files open: some six for its loop, two for the process, one to four for
 * each group, one for each source.  It allocates when it begins, and not after that.
 */
#ifndef HOSTMEM_HOSTMONITOR_H
#define HOSTMEM_HOSTMONITOR_H

#include "memnotify.h"
#include "unknown.h"

#include <stddef.h>
#include <stdint.h>

/* What can wake the monitor. */
typedef enum HostMemSource {
	HostMemSourceBudget = 0, /* what is charged has passed a threshold, or has grown by
				    a sixteenth of what the system had left; or the
				    budget was replaced */
	HostMemSourceTimer = 1, /* 100 ms to 1 s have gone by, the less the less memory is
				   left, but 500 ms at least where HostMemSourceGroupUsage
				   tells, and 10 ms while memory goes down quickly; or
				   something is due */
	HostMemSourceGroupUsage = 2, /* control groups of version 1: a group's usage has
					passed a threshold */
	HostMemSourceGroupEvents = 3, /* control groups of version 2: memory.events has
					 changed */
	HostMemSourceSomeStalled = 4, /* pressure stall information: some tasks stood still
					 for want of memory, 100 ms of 2 s */
	HostMemSourceAllStalled = 5 /* the same of all tasks at once ("full"), which makes
				       memory short by itself */
} HostMemSource;

#define HOSTMEM_SOURCES 6U

/**
 * What has become of a source.
 *
 * `result` is
 *
 *	S_OK           it is active
 *	S_FALSE        the monitor is not running: nobody has registered, it is off, the host
 *	               was shut down, or this is a fork child
 *	E_ACCESSDENIED this process may not use it
 *	E_OUTOFMEMORY  there was no memory for it
 *	E_ABORT        it was left out because it failed or called too often
 *	ERROR_NOT_SUPPORTED        this system has none, or none that it can tell of
 *	ERROR_NOT_FOUND            it has, but there is nothing to watch: no group of that
 *	                           version has a limit
 *	ERROR_TOO_MANY_OPEN_FILES  there was no file descriptor left
 *
 * the last three as HRESULT_FROM_WIN32.
 *
 * Source: ours.
 */
typedef struct HostMemSourceState {
	uint32_t cbSize; /* in: bytes the caller has */
	HRESULT result; /* see above */
	uint64_t cCalls; /* how often it has woken the monitor since that began */
} HostMemSourceState;

#define HOSTMEM_SOURCE_STATE_INIT \
	{ \
		sizeof(HostMemSourceState), S_FALSE, 0 \
	}

/**
 * When memory is short, and when there is plenty.
 *
 * The load is that of the fullest of the host's own budget, every control group from the
 * process's own up to the top, the limits of the process and the machine; available is what
 * the one with the least has left.  Memory is
 *
 *	Low      at once, with a load of dwLowLoad or more, with cbScarce or less
 *	         available, with more than cbSoftLimit charged, or when all tasks stood
 *	         still; until for msCalm the load was below dwCalmLoad, cbEnough or more
 *	         were available, no more than cbSoftLimit was charged, and for msStall
 *	         no task stood still in that way
 *	High     when for msPlenty the load was below dwHighLoad and cbEnough or more were
 *	         available; until, at once, the load is dwNeutralLoad or more, or less is
 *	         available
 *	Neutral  else, and in the beginning
 *
 * dwHighLoad <= dwCalmLoad <= dwLowLoad <= 100, dwHighLoad <= dwNeutralLoad <= dwLowLoad,
 * and cbScarce <= cbEnough.  Available bytes are those of the system; of the budget its load
 * and its soft limit count.  Of what has the fewest available, cbScarce is taken for an
 * eighth at most and cbEnough for a quarter: else small containers would be short for ever.
 *
 * Source: ours; the figures behind the defaults stand in hostmem/pressure.c.
 */
typedef struct HostMemThresholds {
	uint32_t cbSize; /* sizeof(HostMemThresholds) */
	uint32_t dwLowLoad; /* per cent */
	uint32_t dwCalmLoad; /* per cent */
	uint32_t dwHighLoad; /* per cent */
	uint32_t dwNeutralLoad; /* per cent */
	uint32_t msCalm; /* ms of the host's clock, as all times here */
	uint32_t msPlenty;
	uint32_t msStall;
	size_t cbScarce; /* bytes */
	size_t cbEnough; /* bytes */
} HostMemThresholds;

/* 90, 85, 70, 75 per cent; 2, 5, 4 s; 64 and 192 MiB. */
#define HOSTMEM_THRESHOLDS_INIT \
	{ \
		sizeof(HostMemThresholds), 90, 85, 70, 75, 2000, 5000, 4000, \
			(size_t)64 << 20, (size_t)192 << 20 \
	}

typedef enum HostMemBoundKind {
	HostMemBoundBudget = 0, /* the host's own limit */
	HostMemBoundMachine = 1, /* what the machine has */
	HostMemBoundAddressSpace = 2, /* RLIMIT_AS */
	HostMemBoundData = 3, /* RLIMIT_DATA */
	HostMemBoundGroup = 4 /* a control group */
} HostMemBoundKind;

/* Something that bounds the memory of the host. */
typedef struct HostMemBound {
	uint32_t cbSize; /* the library's */
	HostMemBoundKind kind;
	uint64_t cbLimit; /* bytes; UINT64_MAX: none, which is told of groups only */
	uint64_t cbUsed; /* bytes; of a group that has a limit, without the page cache
			    that goes first */
	const char *path; /* of a group: its directory, borrowed for the call; else NULL */
	uint32_t version; /* of a group: of its hierarchy, 1 or 2; else 0 */
} HostMemBound;

/* FALSE ends the walk. */
typedef BOOL(HOSTMEM_CALL *HostMemBoundCallback)(void *state, const HostMemBound *bound);

#define HOSTMEM_FEATURE_GUARD_PAGES 1U /* the kernel has guard pages, and the host uses
					  them for what is not committed */
#define HOSTMEM_FEATURE_QUICK_CALLS 2U /* the kernel has fences on all processors
					  (membarrier), so that heaps need none of their
					  own */

/* What a host found when it was made. */
typedef struct HostMemSystem {
	uint32_t cbSize; /* in: bytes the caller has */
	uint32_t dwFeatures; /* HOSTMEM_FEATURE_* */
	size_t cbPage; /* bytes */
	size_t cbGranularity; /* bytes: reservations start at multiples of it */
	size_t cbLargePage; /* bytes; 0: there are none */
	uint64_t cLargePages; /* of these, free now */
} HostMemSystem;

#define HOSTMEM_SYSTEM_INIT \
	{ \
		sizeof(HostMemSystem), 0, 0, 0, 0, 0 \
	}

/*
 * IHostMemoryMonitor.  A face of the host.
 */
HOSTMEM_INTERFACE(IHostMemoryMonitor)
	/**
	 * Tells what has become of a source.
	 *
	 * @param source  which one.
	 * @param state   receives it; as IHostMemoryControl::GetUsage treats its record.
	 *
	 * Threads: any.  Works after Shutdown.
	 * Errors:  E_POINTER     state is NULL
	 *          E_INVALIDARG  not a declared source; cbSize
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryMonitor, HRESULT, GetSource, HostMemSource source,
		       HostMemSourceState *state);

	/**
	 * Replaces the thresholds.
	 *
	 * @param thresholds  copied; what a smaller record lacks is as in
	 *                    HOSTMEM_THRESHOLDS_INIT.
	 *
	 * Times that run go on from where they are: a Low that has been calm for 3 s ends
	 * when msCalm is set to 2000.
	 *
	 * Threads: any; a notification that follows runs on this thread.
	 * Errors:  E_POINTER               thresholds is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            cbSize; not in the order said above
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryMonitor, HRESULT, SetThresholds,
		       const HostMemThresholds *thresholds);

	/**
	 * Tells the thresholds.
	 *
	 * @param thresholds  receives them; as IHostMemoryControl::GetUsage treats its
	 *                    record.
	 *
	 * Threads: any.
	 * Errors:  E_POINTER               thresholds is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            cbSize
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryMonitor, HRESULT, GetThresholds,
		       HostMemThresholds *thresholds);

	/**
	 * Looks at memory now, and tells the callback what follows.
	 *
	 * @param available  receives the state; 0 on failure.
	 *
	 * For a program that has a moment of its own for it, with HOSTMEM_MONITOR_OFF as
	 * well.  The system's figures are read; while they are simulated, or time is
	 * virtual, they are not.
	 *
	 * Threads: any; a notification that follows runs on this thread.
	 * Errors:  E_POINTER               available is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryMonitor, HRESULT, Look, EMemoryAvailable *available);

	/**
	 * Reports what bounds the memory of the host, as it is now.
	 *
	 * @param callback  called for each bound: the budget, if it has a limit; the
	 *                  machine; the limits of the process that are set; each control
	 *                  group from our own up to the top, also those without a limit.
	 * @param state     handed to it; may be NULL.
	 *
	 * S_OK also if the callback ended the walk.  What cannot be read is left out.
	 *
	 * Threads: any; the callback runs on this thread with no lock of the host held
	 *          and may call anything.  Works after Shutdown.
	 * Errors:  E_POINTER  callback is NULL
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryMonitor, HRESULT, WalkBounds,
		       HostMemBoundCallback callback, void *state);

	/**
	 * Tells what the host found of the system's memory.
	 *
	 * @param system  receives it; as IHostMemoryControl::GetUsage treats its record.
	 *
	 * Threads: any.  Works after Shutdown.
	 * Errors:  E_POINTER     system is NULL
	 *          E_INVALIDARG  cbSize
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryMonitor, HRESULT, GetSystem, HostMemSystem *system);
HOSTMEM_INTERFACE_END

HOSTMEM_DECLARE_GUID(IID_IHostMemoryMonitor);

#ifndef __cplusplus
HOSTMEM_UNKNOWN_WRAPPERS(IHostMemoryMonitor)
HOSTMEM_WRAPPER(IHostMemoryMonitor, GetSource,
		(IHostMemoryMonitor *self, HostMemSource source,
		 HostMemSourceState *state),
		(self, source, state))
HOSTMEM_WRAPPER(IHostMemoryMonitor, SetThresholds,
		(IHostMemoryMonitor *self, const HostMemThresholds *thresholds),
		(self, thresholds))
HOSTMEM_WRAPPER(IHostMemoryMonitor, GetThresholds,
		(IHostMemoryMonitor *self, HostMemThresholds *thresholds),
		(self, thresholds))
HOSTMEM_WRAPPER(IHostMemoryMonitor, Look,
		(IHostMemoryMonitor *self, EMemoryAvailable *available),
		(self, available))
HOSTMEM_WRAPPER(IHostMemoryMonitor, WalkBounds,
		(IHostMemoryMonitor *self, HostMemBoundCallback callback, void *state),
		(self, callback, state))
HOSTMEM_WRAPPER(IHostMemoryMonitor, GetSystem,
		(IHostMemoryMonitor *self, HostMemSystem *system), (self, system))
#endif

HOSTMEM_STATIC_ASSERT(sizeof(HostMemSource) == 4 && sizeof(HostMemBoundKind) == 4,
		      "enums have 32 bits");
HOSTMEM_STATIC_ASSERT(offsetof(HostMemThresholds, cbScarce) == 32, "no gaps before it");

#endif /* HOSTMEM_HOSTMONITOR_H */
