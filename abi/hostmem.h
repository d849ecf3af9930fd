/*
 * hostmem: a host memory manager for managed runtimes.
 *
 * A runtime asks its host for every page and block; the host decides, accounts and
 * notifies.  One object, made by HostMemCreate, has all faces, and QueryInterface
 * goes from any to any:
 *
 *	the runtime's side      IHostControl, IHostMemoryManager, IHostGCManager
 *	the embedding program's IHostMemoryControl, IHostMemorySimulator,
 *	                        IHostMemoryPages, IHostMemoryMonitor
 *	a heap's, its own object IHostMalloc, IHostMalloc2
 *
 * This header brings all public headers but jsrt.h.  Rules that hold for every
 * method, and the words used here, stand at the head of hostmemory.h.
 *
 * Records that begin with cbSize grow at their end.  The caller sets cbSize to the
 * size it was compiled with, as the _INIT macros do; what a smaller record lacks
 * counts as its default.
 *
 *   - In:  cbSize below the library's own has to end where a field begins, and
 *     above it is refused; both are E_INVALIDARG.
 *   - Out: see IHostMemoryControl::GetUsage.
 *   - Events: cbSize is the size of the library's record.
 */
#ifndef HOSTMEM_HOSTMEM_H
#define HOSTMEM_HOSTMEM_H

#include "guid.h"
#include "hostcontrol.h"
#include "hostgc.h"
#include "hostmalloc.h"
#include "hostmemory.h"
#include "hostmonitor.h"
#include "hresult.h"
#include "memnotify.h"
#include "unknown.h"
#include "winmem.h"

/* The release this header belongs to; HostMemVersion tells that of the library. */
#define HOSTMEM_VERSION_MAJOR 0
#define HOSTMEM_VERSION_MINOR 1
#define HOSTMEM_VERSION_PATCH 0
#define HOSTMEM_VERSION "0.1.0"

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

/* HostMemConfig.dwFlags: one of the first three, and any of the others. */
#define HOSTMEM_MONITOR_THREAD 0U /* a thread of the host's own watches the memory; see
				     HostMemConfig */
#define HOSTMEM_MONITOR_LOOP 1U /* the program's libuv loop does */
#define HOSTMEM_MONITOR_OFF 2U /* nobody does */
#define HOSTMEM_STRICT_EXECUTE 4U /* no page is writable and executable */
#define HOSTMEM_DEBUG_HEAP 8U /* heaps look for damage and report leaks; see
				 HostMemConfig */
#define HOSTMEM_NO_GUARD_PAGES 16U /* does not use guard pages of the kernel for what is
				      not committed, even where it has them */
#define HOSTMEM_PREFER_HUGE_PAGES 32U /* asks for transparent huge pages under commits of
					 2 MiB and more, and reserves 2 MiB and more at
					 multiples of 2 MiB */

struct uv_loop_s;

/**
 * What a host is made from.
 *
 * Memory that is decommitted or released faults from then on.  cbRetain trades that for
 * speed: reservations of at most 1 MiB that are committed read-write from end to end when
 * they are released are kept as they are, up to so many bytes for each host and one for
 * each 64 KiB of them, and handed out again, zeroed, to a reservation of the same size
 * that is committed read-write at once.  Until then they can still be touched; they are
 * told as free, are not charged, and go back to the system when the runtime is told that
 * memory is low, and before the system's refusal becomes the host's.
 *
 * The environment variable HOSTMEM_PAGES, if it is `guard`, `protect` or `direct` when a
 * host is made, says how the host takes access away from pages: with guard pages (where
 * the kernel has them), as if HOSTMEM_NO_GUARD_PAGES was given, or with a mapping for each
 * reservation.  It is for finding faults: all three keep every promise made here.
 *
 * HOSTMEM_DEBUG_HEAP: each block of a heap lies between bytes that nobody should write, at
 * least 16 on either side; fresh bytes are not zero; and what is freed is filled and kept
 * for a while, in the order of Free, up to 1 MiB of such blocks for each heap.  A Free or
 * Realloc that finds a block damaged, freed before or not a block at all reports it and
 * answers HOST_E_INVALIDOPERATION; a damaged block stays live.  What has been written to
 * after its Free is reported when it is kept no longer: when others take its turn, with
 * Trim, before the host refuses a request for want of memory, and at the heap's end.  There
 * each live block is reported, in the order in which they were made, after what is damaged
 * about it.
 *
 * Such heaps count what was asked for and no more (GetSize, cbHeap); the pages of the bytes
 * around blocks, and of blocks that are kept, are charged.  Realloc moves a block unless
 * HOSTMEM_HEAP_IN_PLACE forbids it.  Whoever has made pages of a heap read-only makes them
 * writable before he frees what is there.
 *
 * Reports go to `report`, or, if that is NULL, to the standard error, one line each.
 * Without HOSTMEM_DEBUG_HEAP a heap's end reports those live blocks that DebugAlloc made,
 * if `report` is set, and nothing else is reported.
 *
 * A program that runs under valgrind, or is built with AddressSanitizer, needs no such
 * heaps: without HOSTMEM_DEBUG_HEAP these tools are told where blocks begin and end, and
 * find overruns and uses after Free by themselves.  Heaps work as with it, but write
 * nothing around blocks, and report nothing more than without it.  With HOSTMEM_DEBUG_HEAP
 * the tools are told nothing, since they would end the program before it is reported.
 *
 * The monitor (hostmonitor.h) begins with the first callback that is registered.
 * HOSTMEM_MONITOR_THREAD, the default: on a thread of the host's own, which handles none of
 * the program's signals but those that a fault of its own raises, and ends with Shutdown or
 * the last Release.  HOSTMEM_MONITOR_LOOP: on the program's libuv loop, which its handles do
 * not keep alive; the loop has to run once more after the last Release before it can be
 * closed.  HOSTMEM_MONITOR_OFF: nobody watches, and IHostMemoryMonitor::Look is there for a
 * program that has a moment of its own.
 *
 * In a fork child the monitor is off until a callback is registered again, with
 * HOSTMEM_MONITOR_LOOP on the loop's thread and after uv_loop_fork.  Some file descriptors of
 * a thread's loop stay open in the child, but not across exec.
 *
 * Source: ours.
 */
typedef struct HostMemConfig {
	uint32_t cbSize; /* sizeof(HostMemConfig) */
	uint32_t dwFlags; /* HOSTMEM_MONITOR_* and the flags after it */
	const HostMemBudget *budget; /* borrowed for the call, copied; NULL = no limits */
	size_t cbRetain; /* bytes of released memory kept for reuse, see above; 0 = it is
			    given back, and inaccessible, at once */
	uint32_t msGateTimeout; /* ms that an allocation or VirtualProtect waits at a
				   closed gate; 0 = 5000, UINT32_MAX = for ever */
	struct uv_loop_s *loop; /* of HOSTMEM_MONITOR_LOOP: borrowed until the host is
				   gone; create, Shutdown and last Release then belong
				   on its thread.  Else not looked at */
	HostMemReportCallback report; /* hears of damage and leaks, see above; NULL =
					 lines on the standard error, and those of
					 HOSTMEM_DEBUG_HEAP only */
	void *reportState; /* passed to it */
} HostMemConfig;

/* A thread as monitor, no limits, nothing retained, 5 s at the gate. */
#define HOSTMEM_CONFIG_INIT \
	{ \
		sizeof(HostMemConfig), HOSTMEM_MONITOR_THREAD, NULL, 0, 0, NULL, NULL, \
			NULL \
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

/* HostMemFault.place */
#define HOSTMEM_FAULT_BUDGET 0U /* as if the budget refused, before the callbacks */
#define HOSTMEM_FAULT_SYSTEM 1U /* as if the system refused, after the callbacks */

/**
 * A fault rule: which requests fail, and how.
 *
 * A request matches a rule if the rule names its operation and level and its size is in
 * range.  Only HostMemReserve, HostMemCommit and HostMemHeap are refused: what gives
 * memory back and what only tells of a mapping cannot fail for lack of memory, and never
 * matches, whatever `operations` says.  The size of a commit is that of the pages which
 * are not committed yet; where there are none it asks for nothing, and matches no rule.
 *
 * Which matches fire, counted from 1:
 *
 *	nth   every  probability
 *	0     0      0      each
 *	n     0      0      match n and no other
 *	n     e      0      match n, n + e, n + 2e ...
 *	0     e      0      match e, 2e, 3e ...
 *	0     0      p      each with probability p; 1 is always
 *
 * A rule that has fired `count` times does not fire again; RemoveFault still knows it.
 *
 * A request is matched once, not once for each attempt.  Rules are looked at in the order
 * in which they were added, those of place HOSTMEM_FAULT_BUDGET before the budget and
 * those of place HOSTMEM_FAULT_SYSTEM after the callbacks; the first that fires ends the
 * search, so the rules after it do not count that request.
 *
 * The same rules, seed and calls fail in the same places, on every machine: the draws of
 * a rule are its own, the numbers of splitmix64 from `seed` on, one for each match.  A
 * draw fires if its upper 53 bits are below probability * 2^53, rounded down.  With
 * several threads the order of their requests is theirs.
 *
 * Source: ours.
 */
typedef struct HostMemFault {
	uint32_t cbSize; /* sizeof(HostMemFault) */
	uint32_t operations; /* bit o = HostMemOperation o; 0 = all; see above */
	uint32_t levels; /* bit l = EMemoryCriticalLevel l; 0 = all */
	uint32_t place; /* HOSTMEM_FAULT_BUDGET or HOSTMEM_FAULT_SYSTEM */
	size_t cbMin; /* bytes of the smallest request that matches */
	size_t cbMax; /* bytes of the largest request that matches; 0 = any */
	uint64_t nth; /* fires on this match, counted from 1 ... */
	uint64_t every; /* ... and on each `every`th match after it; see above */
	double probability; /* 0 = not used; else each match fires with it; not beside nth
			       or every */
	uint64_t seed; /* what the draws of `probability` start from */
	uint64_t count; /* most firings; 0 = for good */
	HRESULT result; /* the answer, a failure; E_FAIL puts the host out of use */
	uint32_t msDelay; /* ms of the host's clock that a firing takes before it answers */
} HostMemFault;

/* The next request that can be refused fails with E_OUTOFMEMORY; then none. */
#define HOSTMEM_FAULT_INIT \
	{ \
		sizeof(HostMemFault), 0, 0, HOSTMEM_FAULT_BUDGET, 0, 0, 0, 0, 0.0, 0, 1, \
			E_OUTOFMEMORY, 0 \
	}

/*
 * IHostMemoryControl: the embedding program's side.  A face of the host.
 *
 * Lifetime: each reference and heap holds the host, and each call under way that may call
 * out or waits.  Shutdown ends its work; the last Release sends a free event for each
 * reservation and mapping that is still charged, and gives everything back.
 */
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

/*
 * IHostMemorySimulator: low memory and failures on demand.  A face of the host.
 *
 * What is injected takes the path of the real thing: same events, same account,
 * same waiting threads.  The same calls give the same results.
 *
 * Wherever a method may notify, it does so as IHostMemoryControl::NotifyMemory does.
 */
HOSTMEM_INTERFACE(IHostMemorySimulator)
	/**
	 * Adds a fault rule.
	 *
	 * @param fault   copied; what a smaller record lacks is as in HOSTMEM_FAULT_INIT.
	 * @param cookie  receives the number by which RemoveFault knows it; never 0, and
	 *                never used again.  0 on failure.
	 *
	 * The rule stands behind those that are there and begins to count with the next
	 * request that comes to its place; one that is under way may be counted.
	 *
	 * Threads: any.
	 * Errors:  E_POINTER               fault or cookie is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            cbSize; an unknown bit or place; operations
	 *                                  without one that can be refused; cbMin above
	 *                                  a cbMax that is not 0; result is a success;
	 *                                  nth or every beside probability; a
	 *                                  probability outside 0 to 1, NaN included
	 *          E_OUTOFMEMORY           no memory to remember it
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemorySimulator, HRESULT, AddFault, const HostMemFault *fault,
		       uint64_t *cookie);

	/**
	 * Takes a fault rule away.
	 *
	 * @param cookie  from AddFault.
	 *
	 * No request is refused by it from then on, but for those that it has refused
	 * already and whose delay is not over.
	 *
	 * Threads: any.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            no such rule, or not any more; 0
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemorySimulator, HRESULT, RemoveFault, uint64_t cookie);

	/**
	 * Replaces what the monitor sees.
	 *
	 * @param percent    load, 0 to 100.
	 * @param available  bytes available.
	 *
	 * GetMemoryLoad answers exactly these figures, and the state of the memory is
	 * judged by them and by the host's own account, until ClearMemoryLoad: as
	 * HostMemThresholds says (hostmonitor.h), where the load is `percent`, or the
	 * charged part of cbLimit in per cent, whichever is higher, and cbScarce and
	 * cbEnough are taken as they are.  The times run in the host's clock, see
	 * SetVirtualTime.
	 *
	 * The monitor looks again when such a time is over, or when more is charged.  In
	 * virtual time it does not; there Advance does, and every wait or delay.
	 *
	 * Threads: any; a notification that follows runs on this thread.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            percent above 100
	 * Source:  ours; where the figures come from stands in hostmem/pressure.c.
	 */
	HOSTMEM_METHOD(IHostMemorySimulator, HRESULT, SetMemoryLoad, DWORD percent,
		       SIZE_T available);

	/**
	 * Lets the monitor see the real figures again.
	 *
	 * The judgement starts afresh: what the simulated figures have brought about ends
	 * at once.  Without simulated figures it has no effect.
	 *
	 * Threads: any; a notification that follows runs on this thread.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 * Source:  ours.
	 */
	HOSTMEM_METHOD_NONE(IHostMemorySimulator, HRESULT, ClearMemoryLoad);

	/**
	 * Replaces the state of the memory.
	 *
	 * @param available  the state, until it changes by itself or ClearAvailability.
	 *
	 * The same as IHostMemoryControl::NotifyMemory.  The same value twice is S_OK
	 * without a call.
	 *
	 * Threads: any; the notification runs on this thread, or when the request or the
	 *          suspension under way has ended.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            not a declared value
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemorySimulator, HRESULT, SetAvailability,
		       EMemoryAvailable available);

	/**
	 * Lets the state of the memory be judged by the figures again.
	 *
	 * Ends what NotifyMemory has said, too.
	 *
	 * Threads: any; a notification that follows runs on this thread.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 * Source:  ours.
	 */
	HOSTMEM_METHOD_NONE(IHostMemorySimulator, HRESULT, ClearAvailability);

	/**
	 * Chooses the clock.
	 *
	 * @param on  TRUE: time stands still but for Advance, and a wait or a delay
	 *            moves it by what is left of it at once.  FALSE: monotonic time.
	 *
	 * Time goes on from where it stood, and never back.  What is chosen already is
	 * S_OK.  While it is virtual, memory is judged by what is simulated and by the
	 * host's own account; the machine is left out.
	 *
	 * Threads: any.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemorySimulator, HRESULT, SetVirtualTime, BOOL on);

	/**
	 * Moves virtual time.
	 *
	 * @param ms  by how many ms; what is due by then happens during the call, in
	 *            order.
	 *
	 * Due are the changes that SetMemoryLoad describes, and each 8192 ms the
	 * repetition of a Low that stands.
	 *
	 * Threads: any; notifications that follow run on this thread.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            time is not virtual
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemorySimulator, HRESULT, Advance, DWORD ms);
HOSTMEM_INTERFACE_END

/*
 * IHostMemoryPages: what VirtualAlloc and VirtualFree cannot say.  A face of the host.
 *
 * Runtimes that were written for mmap ask for aligned blocks and give parts back.
 */
HOSTMEM_INTERFACE(IHostMemoryPages)
	/**
	 * Makes a reservation at a multiple of a given size.
	 *
	 * @param size       bytes, rounded up to pages.
	 * @param alignment  bytes; 0 means 64 KiB, else a power of two of at least one
	 *                   page; below 64 KiB counts as 64 KiB.
	 * @param type       MEM_RESERVE, perhaps with MEM_COMMIT and MEM_TOP_DOWN.
	 * @param protect    as VirtualAlloc.
	 * @param level      what is lost if this fails.
	 * @param ppMem      receives the first page.
	 *
	 * In all else this is VirtualAlloc at NULL.
	 *
	 * Owner:   the caller, until VirtualFree or ReleaseRange; what is left goes with
	 *          the host.
	 * Threads: as VirtualAlloc.
	 * Errors:  E_POINTER               ppMem is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            size 0 or beyond user space; alignment; type;
	 *                                  a bad protection; level is not a declared
	 *                                  value
	 *          E_ACCESSDENIED          as VirtualAlloc
	 *          E_OUTOFMEMORY           budget, callback or system refused, or there
	 *                                  is no such place
	 *          HOST_E_TIMEOUT          as VirtualAlloc
	 *          HOST_E_ABANDONED        as VirtualAlloc
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryPages, HRESULT, ReserveAligned, SIZE_T size,
		       SIZE_T alignment, DWORD type, DWORD protect,
		       EMemoryCriticalLevel level, void **ppMem);

	/**
	 * Gives a part of a reservation back, exact to the page.
	 *
	 * @param address  the first page; a multiple of the page size.
	 * @param size     bytes, rounded up to pages.
	 *
	 * What remains below and above stays as reservations of their own, each with an
	 * AllocationBase of its own; contents and protections are kept.  The addresses
	 * given back are free at once, but a new reservation starts at a multiple of 64
	 * KiB.
	 *
	 * Threads: any; event callbacks run on this thread, afterwards.  Waits at a
	 *          closed gate, without limit.
	 * Errors:  HOST_E_CLRNOTAVAILABLE   after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG             address not at a page; size 0; end beyond
	 *                                   user space or past the end of the
	 *                                   reservation; a part of a huge page
	 *          HOST_E_INVALIDOPERATION  address in no reservation of this host, NULL
	 *                                   included
	 *          E_OUTOFMEMORY            no memory for the books of what remains
	 *          HOST_E_ABANDONED         the host ended while it waited
	 * Source:  ours; what remains behaves as after NtFreeVirtualMemory with a size.
	 */
	HOSTMEM_METHOD(IHostMemoryPages, HRESULT, ReleaseRange, void *address,
		       SIZE_T size);
HOSTMEM_INTERFACE_END

HOSTMEM_DECLARE_GUID(IID_IHostMemoryControl);
HOSTMEM_DECLARE_GUID(IID_IHostMemorySimulator);
HOSTMEM_DECLARE_GUID(IID_IHostMemoryPages);

/* The class that every host module has. */
HOSTMEM_DECLARE_GUID(CLSID_HostMemory);

/**
 * Makes a host.
 *
 * @param config  borrowed for the call; NULL = HOSTMEM_CONFIG_INIT.
 * @param riid    the face wanted: IID_IUnknown, IID_IHostControl,
 *                IID_IHostMemoryManager, IID_IHostGCManager,
 *                IID_IHostMemoryControl, IID_IHostMemorySimulator,
 *                IID_IHostMemoryPages or IID_IHostMemoryMonitor.
 * @param ppv     receives that face with one reference.
 *
 * A process may have several hosts; each has its own account, and one host's memory
 * is foreign to another.
 *
 * Owner:   the caller, until Release.
 * Threads: any.
 * Errors:  E_POINTER            ppv is NULL, or in C riid is NULL
 *          E_INVALIDARG         cbSize of config or budget; unknown flags;
 *                               HOSTMEM_MONITOR_LOOP without a loop or together with
 *                               HOSTMEM_MONITOR_OFF; headroom or largest not in
 *                               order, headroom above the limit
 *          ERROR_NOT_SUPPORTED  as HRESULT_FROM_WIN32: the system's pages are not
 *                               4096 bytes
 *          E_NOINTERFACE        no such face
 *          E_OUTOFMEMORY        the system refused
 *          ERROR_TOO_MANY_OPEN_FILES  as HRESULT_FROM_WIN32: HOSTMEM_MONITOR_LOOP, and
 *                               there was no file descriptor left
 * Source:  ours.
 */
HOSTMEM_API HRESULT HostMemCreate(const HostMemConfig *config, REFIID riid, void **ppv);

/**
 * Makes a host from a host module.
 *
 * @param path  names the file; must have a slash, since no search path is used.
 * @param riid  the face wanted.
 * @param ppv   receives that face with one reference.
 *
 * A host module is a shared object that exports DllGetClassObject (see unknown.h) and
 * knows CLSID_HostMemory.  It stays loaded until the process ends.  It may export
 * HostMemHandleFault as well, for its own hosts; without it their guard pages are of no use
 * to the program, which finds it with dlsym.
 *
 * Owner:   the caller, until Release.
 * Threads: any.
 * Errors:  E_POINTER             ppv or path is NULL, or in C riid is NULL
 *          E_INVALIDARG          path has no slash
 *          ERROR_MOD_NOT_FOUND   no such file, or it cannot be read
 *          ERROR_BAD_EXE_FORMAT  it cannot be loaded
 *          ERROR_PROC_NOT_FOUND  it has no DllGetClassObject
 *          others                what the module answered; if it answered a success
 *                                without an object: E_UNEXPECTED
 * Source:  ours; the entry and the factory are COM's.  The ERROR_ codes come as
 *          HRESULT_FROM_WIN32.
 */
HOSTMEM_API HRESULT HostMemLoadModule(const char *path, REFIID riid, void **ppv);

/**
 * Tells whether a fault is one that a host expects.
 *
 * @param address  the address that faulted (si_addr).
 * @param write    TRUE if it was a write, as far as the program knows.
 *
 * Meant for the program's SIGSEGV handler; hostmem installs none.  It serves every host
 * of the process that this library has made; hosts of a module are served by that of the
 * module, see HostMemLoadModule.  A hit on a PAGE_GUARD page takes the modifier away from that page,
 * after which its own protection holds.
 *
 * A system call that touches a guard page gets EFAULT, and the guard stays.
 *
 * Returns: S_OK     retry the instruction.  It comes also if another thread has served
 *                   the same page already, or is just changing that reservation; in
 *                   the latter case the retry faults again.
 *          S_FALSE  not ours: go on as for any other fault.
 * Threads: any; async-signal-safe, keeps errno, never waits, calls nobody.
 * Errors:  none.
 * Source:  ours; what a guard page does is Win32's.
 */
HOSTMEM_API HRESULT HostMemHandleFault(void *address, BOOL write);

/**
 * Names a result code.
 *
 * @param hr  any code.
 *
 * Returns: its name, as "HOST_E_TIMEOUT" or "ERROR_INVALID_ADDRESS", or the number as
 *          "0x8007abcd" if it has none here; never NULL.  A name lives for ever, a
 *          number until the next call on this thread.
 * Threads: any; takes no lock.
 * Source:  ours.
 */
HOSTMEM_API const char *HostMemResultName(HRESULT hr);

/**
 * Tells the release of the library, as "0.1.0".
 *
 * Returns: a string that lives for ever.
 * Threads: any; takes no lock.
 * Source:  ours.
 */
HOSTMEM_API const char *HostMemVersion(void);

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

HOSTMEM_UNKNOWN_WRAPPERS(IHostMemorySimulator)
HOSTMEM_WRAPPER(IHostMemorySimulator, AddFault,
		(IHostMemorySimulator *self, const HostMemFault *fault, uint64_t *cookie),
		(self, fault, cookie))
HOSTMEM_WRAPPER(IHostMemorySimulator, RemoveFault,
		(IHostMemorySimulator *self, uint64_t cookie), (self, cookie))
HOSTMEM_WRAPPER(IHostMemorySimulator, SetMemoryLoad,
		(IHostMemorySimulator *self, DWORD percent, SIZE_T available),
		(self, percent, available))
HOSTMEM_WRAPPER(IHostMemorySimulator, ClearMemoryLoad,
		(IHostMemorySimulator *self), (self))
HOSTMEM_WRAPPER(IHostMemorySimulator, SetAvailability,
		(IHostMemorySimulator *self, EMemoryAvailable available),
		(self, available))
HOSTMEM_WRAPPER(IHostMemorySimulator, ClearAvailability,
		(IHostMemorySimulator *self), (self))
HOSTMEM_WRAPPER(IHostMemorySimulator, SetVirtualTime,
		(IHostMemorySimulator *self, BOOL on), (self, on))
HOSTMEM_WRAPPER(IHostMemorySimulator, Advance,
		(IHostMemorySimulator *self, DWORD ms), (self, ms))

HOSTMEM_UNKNOWN_WRAPPERS(IHostMemoryPages)
HOSTMEM_WRAPPER(IHostMemoryPages, ReserveAligned,
		(IHostMemoryPages *self, SIZE_T size, SIZE_T alignment, DWORD type,
		 DWORD protect, EMemoryCriticalLevel level, void **ppMem),
		(self, size, alignment, type, protect, level, ppMem))
HOSTMEM_WRAPPER(IHostMemoryPages, ReleaseRange,
		(IHostMemoryPages *self, void *address, SIZE_T size),
		(self, address, size))
#endif

HOSTMEM_STATIC_ASSERT(sizeof(HostMemOperation) == 4, "enums have 32 bits");
HOSTMEM_STATIC_ASSERT(offsetof(HostMemEvent, request) == 32, "no gaps before it");

#endif /* HOSTMEM_HOSTMEM_H */
