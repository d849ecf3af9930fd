/*
 * IHostMemorySimulator: low memory and failures on demand.  A face of the host.
 *
 * What is injected takes the path of the real thing: same events, same account,
 * same waiting threads.  The same calls give the same results.
 *
 * Wherever a method may notify, it does so as IHostMemoryControl::NotifyMemory does.
 */
#ifndef HOSTMEM_HOSTSIMULATOR_H
#define HOSTMEM_HOSTSIMULATOR_H

#include "hostmemory.h"
#include "memnotify.h"
#include "unknown.h"

#include <stddef.h>
#include <stdint.h>

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

HOSTMEM_DECLARE_GUID(IID_IHostMemorySimulator);

#ifndef __cplusplus
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
#endif

#endif /* HOSTMEM_HOSTSIMULATOR_H */
