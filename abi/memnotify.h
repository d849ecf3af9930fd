/*
 * ICLRMemoryNotificationCallback: how a host tells a runtime about memory.
 *
 * The runtime implements it and hands it to
 * IHostMemoryManager::RegisterMemoryNotificationCallback.
 *
 * Not in this release: the callback is stored, replaced and released, but nothing
 * is sent yet.
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
	 * The host calls this on its monitor's thread or loop, or inside
	 * IHostMemoryControl::NotifyMemory and the simulator; with no lock held, and
	 * never inside a request or between SuspensionStarting and SuspensionEnding.
	 * After a Low there is always a Neutral or a High; a Low that lasts is
	 * repeated at most every 8192 ms.
	 *
	 * The implementation returns at once, does not throw and does not jump out.
	 * It may call the host, also to register another callback.  What it returns
	 * is counted and changes nothing.
	 *
	 * Owner:   the host holds one reference from Register until the callback is
	 *          replaced or taken away, or the host is gone.
	 * Threads: the host serialises its calls to one object.
	 * Errors:  the implementation answers S_OK.
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
