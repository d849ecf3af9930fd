/*
 * ICLRMemoryNotificationCallback: how a host tells a runtime about memory.
 *
 * The runtime implements it and hands it to
 * IHostMemoryManager::RegisterMemoryNotificationCallback.  What is told, and when, is judged
 * by the monitor (hostmonitor.h), or said by IHostMemoryControl::NotifyMemory and the simulator.
 */
#ifndef HOSTMEM_MEMNOTIFY_H
#define HOSTMEM_MEMNOTIFY_H

#include "unknown.h"

/* How much memory there is.  There is no value 0. */
typedef enum EMemoryAvailable {
	eMemoryAvailableLow = 1, /* short: collect, give back what is not needed */
	eMemoryAvailableNeutral = 2, /* neither short nor plenty; ends a Low */
	eMemoryAvailableHigh = 3 /* plenty; ends a Low too */
} EMemoryAvailable;

HOSTMEM_INTERFACE(ICLRMemoryNotificationCallback)
	/**
	 * Tells the runtime that the amount of available memory has changed.
	 *
	 * @param available  the new state.
	 *
	 * The host calls this on its monitor's thread or loop, inside
	 * IHostMemoryControl::NotifyMemory and the simulator, or at the end of its life;
	 * with no lock held.  Inside a request of the thread, and between
	 * SuspensionStarting and SuspensionEnding, it is held back, and then told on the
	 * thread that ends these.  It tells of changes: what came and
	 * went while it was held back is not told.  After a Low there is always a
	 * Neutral or a High, at Shutdown or the last Release at the latest; a Low that
	 * lasts is repeated at most every 8192 ms.
	 *
	 * The implementation returns at once, does not throw and does not jump out.
	 * It may call anything: allocate, register another callback or none, shut the
	 * host down or release it, fork.  A value that is set meanwhile is told when
	 * this call has returned; of several, the last.
	 *
	 * Owner:   the host holds one reference from Register until the callback is
	 *          replaced or taken away and its last call has returned, or the host is
	 *          gone.
	 * Threads: the host makes one call at a time.  What another thread sets during
	 *          one is told afterwards, by the thread that makes that call.
	 * Errors:  whatever it returns changes nothing.
	 * Source:  name, slot and the promise not to block are the hosting
	 *          reference's; threads, order and repetition are ours.
	 */
	HOSTMEM_METHOD(ICLRMemoryNotificationCallback, HRESULT, OnMemoryNotification,
		       EMemoryAvailable available);
HOSTMEM_INTERFACE_END

HOSTMEM_DECLARE_GUID(IID_ICLRMemoryNotificationCallback);

/* An older name for the same interface. */
#define IID_IHostMemoryNeededCallback IID_ICLRMemoryNotificationCallback

#ifndef __cplusplus
HOSTMEM_UNKNOWN_WRAPPERS(ICLRMemoryNotificationCallback)
HOSTMEM_WRAPPER(ICLRMemoryNotificationCallback, OnMemoryNotification,
		(ICLRMemoryNotificationCallback *self, EMemoryAvailable available),
		(self, available))
#endif

HOSTMEM_STATIC_ASSERT(sizeof(EMemoryAvailable) == 4, "enums have 32 bits");

#endif /* HOSTMEM_MEMNOTIFY_H */
