/*
 * IHostMemoryControl: the embedding program's side.  A face of the host.
 *
 * Lifetime: each reference and heap holds the host, and each call under way that may call
 * out or waits.  Shutdown ends its work; the last Release sends a free event for each
 * reservation and mapping that is still charged, and gives everything back.
 */
#ifndef HOSTMEM_MEMORYCONTROL_H
#define HOSTMEM_MEMORYCONTROL_H

#include "hostmemory.h"
#include "memnotify.h"
#include "unknown.h"

#include <stddef.h>
#include <stdint.h>

/* HostMemBudget.dwFlags */
#define HOSTMEM_CHARGE_COMMIT 0U /* committed pages are charged */
#define HOSTMEM_CHARGE_RESERVE 1U /* reserved pages are charged, commit is free */
#define HOSTMEM_ANNOUNCE_ALWAYS 2U /* a failure event always follows an allocate event
				      of the same request, if that was to be charged */

/**
 * How much a host grants.
 *
 * A request of level i is granted while the charged bytes, with it and with the
 * requests under way, stay at or below cbLimit - cbHeadroom[i].  Charged are
 * committed pages, the pages of heaps, and mappings announced by
 * AcquiredVirtualAddressSpace; nothing is charged twice.
 *
 * The index of each array is an EMemoryCriticalLevel.  Because headroom falls and largest
 * grows with the level, what one level is refused every lower one is refused in the same
 * state: task-critical requests fail first, process-critical ones last.
 *
 * A request that runs short (the budget refuses it, the system has no memory, or a fault
 * rule says so with E_OUTOFMEMORY) is not lost yet: the reclaimer is called, once, then the
 * request waits as long as its level may, and after each of these comes one more attempt.
 * Waiting requests are served by level and then in the order in which they came; memory
 * that is given back is offered in that order, passing over those whom it does not
 * suffice, and a fresh request that fits is granted at once.  What could not be granted
 * even if nothing else was charged is refused without either.
 *
 * Waits run in the host's clock, see IHostMemorySimulator::SetVirtualTime.
 *
 * Crossing cbSoftLimit, or the share of cbLimit that makes memory short, wakes the monitor at
 * the end of the request that crosses it, see hostmonitor.h.
 *
 * Source: ours.
 */
typedef struct HostMemBudget {
	uint32_t cbSize; /* sizeof(HostMemBudget) */
	uint32_t dwFlags; /* HOSTMEM_CHARGE_*, which is fixed at creation, and
			     HOSTMEM_ANNOUNCE_ALWAYS */
	size_t cbLimit; /* bytes; no grant takes the charged bytes beyond it; SIZE_MAX =
			   none */
	size_t cbSoftLimit; /* bytes; crossing it reports Low; SIZE_MAX = none */
	size_t cbHeadroom[3]; /* bytes under cbLimit that a request of this level may not
				 use; task >= domain >= process, none above cbLimit */
	size_t cbLargest[3]; /* most bytes that one request of this level may charge;
				task <= domain <= process; SIZE_MAX = any */
	uint32_t msWait[3]; /* ms, by the host's clock, that a refused request of this
			       level may wait for memory; 0 = it is refused at once;
			       UINT32_MAX is 49 days, and not for ever */
} HostMemBudget;

/* No limits. */
#define HOSTMEM_BUDGET_INIT \
	{ \
		sizeof(HostMemBudget), HOSTMEM_CHARGE_COMMIT, SIZE_MAX, SIZE_MAX, \
			{ 0, 0, 0 }, { SIZE_MAX, SIZE_MAX, SIZE_MAX }, { 0, 0, 0 } \
	}

/**
 * What a host has given out.  One consistent picture is not promised while other
 * threads are at work: each figure was true at some moment of the call.
 *
 * Source: ours.
 */
typedef struct HostMemUsage {
	uint32_t cbSize; /* in: bytes the caller has */
	size_t cbReserved; /* bytes of all reservations, committed or not */
	size_t cbCommitted; /* bytes of all committed pages */
	size_t cbHeap; /* bytes in live blocks of all heaps, as IHostMalloc2::GetSize tells
			  them */
	size_t cbExternal; /* bytes announced by AcquiredVirtualAddressSpace */
	size_t cbCharged; /* bytes that the budget counts; requests under way are not
			     included */
	size_t cbPeakCharged; /* the most that cbCharged has been */
	size_t cbRetained; /* released bytes kept for reuse; not charged */
	uint64_t cRegions; /* reservations */
	uint64_t cBlocks; /* live blocks of all heaps */
	uint64_t cRefusedBudget; /* requests that the budget refused */
	uint64_t cRefusedCallback; /* requests that a subscriber refused */
	uint64_t cRefusedInjected; /* requests that a fault rule refused */
	uint64_t cFailedOs; /* requests that the system refused */
	uint64_t cNotifications; /* calls of OnMemoryNotification */
	uint64_t cTimedCallbacks; /* calls of subscribers with HOSTMEM_TIME_CALLBACK ... */
	uint64_t nsTimedCallbacks; /* ... the ns that they took together ... */
	uint64_t nsSlowestCallback; /* ... and those of the slowest */
	size_t cbHeapPages; /* bytes of the pages that all heaps have; these are charged */
	size_t cbLeaked; /* bytes in blocks that were live when their heap ended ... */
	uint64_t cLeakedBlocks; /* ... and how many those were */
} HostMemUsage;

#define HOSTMEM_USAGE_INIT \
	{ \
		sizeof(HostMemUsage), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
			0 \
	}

/* A bit of Subscribe's mask: the calls of this subscriber are timed.  Looking at the clock
 * takes longer than a short callback, so nobody else pays for it. */
#define HOSTMEM_TIME_CALLBACK 0x80000000U

/* The numbers are those of Chakra's JsMemoryEventType. */
typedef enum HostMemEventType {
	HostMemEventAllocate = 0, /* before; the answer counts */
	HostMemEventFree = 1, /* after */
	HostMemEventFailure = 2 /* after */
} HostMemEventType;

/* What a request is for. */
typedef enum HostMemOperation {
	HostMemReserve = 0,
	HostMemCommit = 1, /* also reserve and commit in one call */
	HostMemDecommit = 2,
	HostMemRelease = 3,
	HostMemHeap = 4, /* pages for a heap, or from one */
	HostMemMapping = 5 /* Acquired- and ReleasedVirtualAddressSpace */
} HostMemOperation;

/* Why a request failed. */
typedef enum HostMemReason {
	HostMemNoReason = 0, /* it did not */
	HostMemByCallback = 1, /* a subscriber said no */
	HostMemByBudget = 2,
	HostMemByOverflow = 3, /* the sum cannot be expressed */
	HostMemBySystem = 4,
	HostMemByFault = 5, /* a fault rule of the simulator */
	HostMemByTimeout = 6, /* it waited too long, for memory or at the gate */
	HostMemByShutdown = 7 /* the host ended while it waited or was in a callback */
} HostMemReason;

/**
 * One event.
 *
 * A call that charges or refunds nothing raises no allocate or free event, and bad
 * arguments raise none at all.  A request has one allocate event for each attempt
 * that passes the budget and at most one failure event, at its very end; each
 * VirtualFree and each span that a heap gives back has one free event.
 *
 * The sum of events is the usage, by this rule: an allocate event adds `size`, a free
 * event subtracts it, and every event subtracts `cbWithdrawn`.  For an allocate event of
 * attempt n + 1 of a request replaces that of attempt n: a commit whose pages another
 * thread has committed meanwhile announces again, with the size that is left, 0 included;
 * so does a request that ran short and is tried again.  And a failure event with
 * `announced` takes the last allocate event of its request back; one without changes
 * nothing.
 *
 * Source: ours; the three types are Chakra's.
 */
typedef struct HostMemEvent {
	uint32_t cbSize; /* sizeof(HostMemEvent), of the library */
	HostMemEventType type;
	HostMemOperation operation;
	EMemoryCriticalLevel level; /* of the request; of a free: eTaskCritical */
	HostMemReason reason; /* of a failure, else HostMemNoReason */
	HRESULT result; /* of a failure: what the caller will get, else S_OK */
	BOOL announced; /* of a failure: this subscriber saw an allocate event of this
			   request; of an allocation: it takes the place of such a one */
	uint32_t attempt; /* 1 for the first; one that the budget refuses counts; of a
			     free: 0 */
	uint64_t request; /* the same number in all events of one request; a free has its
			     own; never used again by this host */
	size_t size; /* bytes charged or refunded, or that would have been charged */
	void *address; /* of the first page, where it is known, else NULL */
	size_t cbCharged; /* as HostMemUsage, at the time of the event */
	size_t cbLimit; /* as HostMemBudget, at the time of the event */
	size_t cbPeak; /* cbPeakCharged of HostMemUsage, at the time of the event */
	size_t cbWithdrawn; /* bytes that the last allocate event of this request told this
			       subscriber of, and that no longer hold; else 0 */
} HostMemEvent;

/**
 * A subscriber: hears of events.
 *
 * @param state  what was given to Subscribe.
 * @param event  borrowed for the call.
 *
 * Called on the requesting thread with no lock of the host held.  It may call
 * anything; nested requests work and are accounted, and their events are not
 * delivered to a callback that is running on this thread already.  It must return:
 * no exception, no longjmp, no end of the thread.
 *
 * Returns: of an allocate event: FALSE refuses this attempt, every other value
 *          agrees.  Of other events: not looked at.
 */
typedef BOOL (HOSTMEM_CALL *HostMemEventCallback)(void *state, const HostMemEvent *event);

/**
 * A reclaimer: gives memory back because a request ran short, or because memory is low.
 *
 * @param state   what was given to SetReclaimer.
 * @param wanted  bytes that the request lacks under the limit, or, if it was not the
 *                budget that refused it, bytes that it is about.  Before a Low, bytes
 *                after which memory would not be low any more, as far as the figures
 *                tell; SIZE_MAX = as much as there is.
 *
 * Called once for a request, on its thread, with no lock of the host held; the
 * request is then tried again.  And on the thread that is about to tell Low to the
 * notification callback, each time before it does, when the host has given back what it
 * keeps itself.  It may call anything; what it asks for itself and is
 * refused does not call it again.  It must return: no exception, no longjmp, no end of
 * the thread.
 *
 * Returns: bytes it gave back, as a guide; not looked at in this release.
 */
typedef size_t (HOSTMEM_CALL *HostMemReclaimCallback)(void *state, size_t wanted);

/**
 * Hears of one run of pages during WalkRegions.
 *
 * @param state  what was given to WalkRegions.
 * @param run    the run as VirtualQuery describes it; borrowed for the call.
 *
 * Returns: FALSE ends the walk.
 */
typedef BOOL (HOSTMEM_CALL *HostMemRegionCallback)(void *state,
						   const MEMORY_BASIC_INFORMATION *run);

HOSTMEM_INTERFACE(IHostMemoryControl)
	/**
	 * Replaces the budget.
	 *
	 * @param budget  copied.
	 *
	 * A limit below what is charged takes nothing away; later requests are refused
	 * until there is room.  Requests that wait are judged anew.  A request under way
	 * on another thread is judged by the old budget or by the new one, as a whole.
	 * Passes a closed gate.
	 *
	 * Threads: any.
	 * Errors:  E_POINTER               budget is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            cbSize; unknown flags; another charge mode
	 *                                  than at creation; headroom or largest not in
	 *                                  order; headroom above the limit
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryControl, HRESULT, SetBudget,
		       const HostMemBudget *budget);

	/**
	 * Reads the budget.
	 *
	 * @param budget  receives it; cbSize is handled as by GetUsage.
	 *
	 * Threads: any.
	 * Errors:  E_POINTER               budget is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            cbSize
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryControl, HRESULT, GetBudget, HostMemBudget *budget);

	/**
	 * Reads the account.
	 *
	 * @param usage  cbSize says how many bytes the caller has: a multiple of 8, at
	 *               least 16.  The library fills at most so many and sets cbSize
	 *               to how many it has filled.
	 *
	 * Threads: any, also from callbacks, which see the request they are asked about
	 *          not yet included.  Takes no lock that is held while the system maps
	 *          memory, or takes it back.
	 *          Works after Shutdown.
	 * Errors:  E_POINTER     usage is NULL
	 *          E_INVALIDARG  cbSize is below 16 or not a multiple of 8
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryControl, HRESULT, GetUsage, HostMemUsage *usage);

	/**
	 * Subscribes to events.
	 *
	 * @param eventMask  bit t = events of HostMemEventType t; at least one.  With
	 *                   HOSTMEM_TIME_CALLBACK the calls are timed, see HostMemUsage.
	 * @param callback   the function.
	 * @param state      handed to it; may be NULL.
	 * @param cookie     receives the number by which Unsubscribe knows it; never 0.
	 *
	 * Subscribers are asked about an allocation in the order in which they came,
	 * until one says no.  The failure event of a veto then goes to all who were
	 * asked, and to those who subscribed to failures without allocations; that of
	 * another failure goes to all who subscribed to failures (with
	 * HOSTMEM_ANNOUNCE_ALWAYS it leaves out who came too late for its allocate event).
	 * Passes a closed gate.
	 *
	 * Owner:   `state` must live until Unsubscribe has returned, or the host is gone.
	 * Threads: any, also from callbacks.
	 * Errors:  E_POINTER               callback or cookie is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            eventMask is 0 or has another bit
	 *          E_OUTOFMEMORY           no memory to remember it
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryControl, HRESULT, Subscribe, DWORD eventMask,
		       HostMemEventCallback callback, void *state, uint64_t *cookie);

	/**
	 * Ends a subscription.
	 *
	 * @param cookie  from Subscribe.
	 *
	 * Returns when no call of this subscriber is under way and none will come; called
	 * from inside that subscriber, at once.  Passes a closed gate, works after
	 * Shutdown.  A call that sleeps for memory goes on when the gate is open: its
	 * owner would wait for itself.
	 *
	 * Threads: any, also from callbacks.  Hold no lock that the subscriber needs.
	 * Errors:  E_INVALIDARG  no such subscription
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryControl, HRESULT, Unsubscribe, uint64_t cookie);

	/**
	 * Says who gives memory back when a request runs short.
	 *
	 * @param callback  takes the place of the one before; NULL = nobody.
	 * @param state     handed to it; may be NULL.
	 *
	 * Returns when no call of the one before is under way and none will come; called
	 * from inside it, at once.  Passes a closed gate; for its owner the same holds as
	 * for Unsubscribe.
	 *
	 * Owner:   `state` must live until it is replaced or the host is gone.
	 * Threads: any, also from callbacks.  Hold no lock that the one before needs.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_OUTOFMEMORY           no memory to remember it
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryControl, HRESULT, SetReclaimer,
		       HostMemReclaimCallback callback, void *state);

	/**
	 * Tells the runtime's callback about memory now.
	 *
	 * @param available  what to tell.
	 *
	 * Takes the place of what the figures say, real or simulated, until that changes
	 * or IHostMemorySimulator::ClearAvailability.  The same value twice is S_OK
	 * without a call, and it is S_OK if there is no callback.
	 *
	 * Threads: any; the callback runs on this thread before the method returns, or
	 *          when the request or the suspension under way has ended.  If it is
	 *          being called already, on this thread or another, it is called again
	 *          after that, on that thread.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            not a declared value
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryControl, HRESULT, NotifyMemory,
		       EMemoryAvailable available);

	/**
	 * Holds the host still.
	 *
	 * @param ms  how long to wait, in ms of the host's clock; 0 = only try,
	 *            UINT32_MAX = for ever.
	 *
	 * Waits until no call of another thread that changes anything is under way, then
	 * holds new ones of other threads out until LeaveGate.  Requests that sleep for
	 * memory, and the caller's own calls if it comes from a callback, do not count;
	 * who has slept goes on when the gate is open again.  The owner's own calls pass
	 * and never wait for memory.  It nests.
	 *
	 * Frees and ReleaseRange, Acquired- and ReleasedVirtualAddressSpace wait at a
	 * closed gate without limit; allocations and VirtualProtect up to msGateTimeout,
	 * then HOST_E_TIMEOUT.  All else passes: SetBudget, Subscribe, Unsubscribe,
	 * SetReclaimer, Shutdown, notifications, the simulator, queries and
	 * HostMemHandleFault.  In virtual time a wait with a limit ends at once.
	 *
	 * Closing an open gate lets every call of the process that is inside the library,
	 * of other hosts too, finish the system call it makes, and holds new ones up for so
	 * long; `ms` does not limit that.
	 *
	 * Called from a callback while another thread has the gate, it may take longer
	 * than `ms`: if time runs out it returns when the gate is open, since the request
	 * around the callback must not go on behind a closed one.
	 *
	 * Threads: any.  The thread that enters is the one that leaves, and it has to:
	 *          a gate whose owner has ended stays closed.  In a fork child it is open.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          HOST_E_TIMEOUT          time ran out
	 *          HOST_E_ABANDONED        was waiting when the host ended
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryControl, HRESULT, EnterGate, DWORD ms);

	/**
	 * Lets the host go on, if it was entered only once.
	 *
	 * Threads: the one that entered.  Works after Shutdown.
	 * Errors:  HOST_E_NOT_OWNER  this thread does not hold the gate
	 * Source:  ours.
	 */
	HOSTMEM_METHOD_NONE(IHostMemoryControl, HRESULT, LeaveGate);

	/**
	 * Reports the host's own memory.
	 *
	 * @param callback  called for each run of like pages, in the order of addresses;
	 *                  free space and foreign memory are left out.
	 * @param state     handed to it; may be NULL.
	 *
	 * S_OK also if the callback ended the walk.  What other threads reserve or
	 * release meanwhile may be reported or not; each run was true at some moment.
	 *
	 * Threads: any; the callback runs on this thread with no lock of the host held
	 *          and may call anything.  Works after Shutdown.
	 * Errors:  E_POINTER  callback is NULL
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryControl, HRESULT, WalkRegions,
		       HostMemRegionCallback callback, void *state);

	/**
	 * Ends the work of the host.
	 *
	 * Ends waits (HOST_E_ABANDONED) and delays, delivers the Neutral that a last Low
	 * is owed, and returns when callbacks have ended; called from inside one, without
	 * waiting for that one.  A callback of another thread that itself waits for this
	 * one to end (in SetReclaimer or Unsubscribe, or to replace a notification
	 * callback) is waited for in vain, and by the last Release as well.  From then on
	 * HOST_E_CLRNOTAVAILABLE is the answer, see hostmemory.h.  Memory stays mapped
	 * until the last Release.  Passes a closed gate.
	 *
	 * Threads: any.  With HOSTMEM_MONITOR_LOOP the loop's.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  it was shut down before, or after an E_FAIL
	 * Source:  ours.
	 */
	HOSTMEM_METHOD_NONE(IHostMemoryControl, HRESULT, Shutdown);
HOSTMEM_INTERFACE_END

HOSTMEM_DECLARE_GUID(IID_IHostMemoryControl);

#ifndef __cplusplus
HOSTMEM_UNKNOWN_WRAPPERS(IHostMemoryControl)
HOSTMEM_WRAPPER(IHostMemoryControl, SetBudget,
		(IHostMemoryControl *self, const HostMemBudget *budget), (self, budget))
HOSTMEM_WRAPPER(IHostMemoryControl, GetBudget,
		(IHostMemoryControl *self, HostMemBudget *budget), (self, budget))
HOSTMEM_WRAPPER(IHostMemoryControl, GetUsage,
		(IHostMemoryControl *self, HostMemUsage *usage), (self, usage))
HOSTMEM_WRAPPER(IHostMemoryControl, Subscribe,
		(IHostMemoryControl *self, DWORD eventMask, HostMemEventCallback callback,
		 void *state, uint64_t *cookie),
		(self, eventMask, callback, state, cookie))
HOSTMEM_WRAPPER(IHostMemoryControl, Unsubscribe,
		(IHostMemoryControl *self, uint64_t cookie), (self, cookie))
HOSTMEM_WRAPPER(IHostMemoryControl, SetReclaimer,
		(IHostMemoryControl *self, HostMemReclaimCallback callback, void *state),
		(self, callback, state))
HOSTMEM_WRAPPER(IHostMemoryControl, NotifyMemory,
		(IHostMemoryControl *self, EMemoryAvailable available), (self, available))
HOSTMEM_WRAPPER(IHostMemoryControl, EnterGate,
		(IHostMemoryControl *self, DWORD ms), (self, ms))
HOSTMEM_WRAPPER(IHostMemoryControl, LeaveGate, (IHostMemoryControl *self), (self))
HOSTMEM_WRAPPER(IHostMemoryControl, WalkRegions,
		(IHostMemoryControl *self, HostMemRegionCallback callback, void *state),
		(self, callback, state))
HOSTMEM_WRAPPER(IHostMemoryControl, Shutdown, (IHostMemoryControl *self), (self))
#endif

HOSTMEM_STATIC_ASSERT(sizeof(HostMemOperation) == 4, "enums have 32 bits");
HOSTMEM_STATIC_ASSERT(offsetof(HostMemEvent, request) == 32, "no gaps before it");

#endif /* HOSTMEM_MEMORYCONTROL_H */
