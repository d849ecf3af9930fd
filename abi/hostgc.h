/*
 * IHostGCManager: a runtime tells its host when a collection stops its threads.
 *
 * A face of the host.  Between SuspensionStarting and SuspensionEnding the host
 * holds notifications back, because the threads that would act on them do not run.
 * It nests: the last SuspensionEnding counts.
 */
#ifndef HOSTMEM_HOSTGC_H
#define HOSTMEM_HOSTGC_H

#include "unknown.h"

HOSTMEM_INTERFACE(IHostGCManager)
	/**
	 * Says that the calling thread is about to block for a suspension.
	 *
	 * Threads: the thread that blocks; takes no lock that is held while waiting,
	 *          calls nobody.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 * Source:  the hosting reference.
	 */
	HOSTMEM_METHOD_NONE(IHostGCManager, HRESULT, ThreadIsBlockingForSuspension);

	/**
	 * Says that the runtime begins to suspend its threads.
	 *
	 * A notification that is being told already is not waited for.
	 *
	 * Threads are to be held still in the runtime's own code: one that is held in the
	 * middle of a call to the host may have a lock for which the collecting thread then
	 * waits.  Most calls of Alloc and Free have none, and from here on what the collecting
	 * thread calls does not wait for them, but where it forks, gives a heap up, or frees
	 * a block while another thread waits for one (msWait).  It also does where a thread
	 * that was not held ends, forks or gives a heap up meanwhile, or was in a Trim.
	 *
	 * Threads: any; does not wait, calls nobody.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 * Source:  the hosting reference; that notifications are held is ours, as is whom
	 *          a collecting thread waits for.
	 */
	HOSTMEM_METHOD_NONE(IHostGCManager, HRESULT, SuspensionStarting);

	/**
	 * Says that the threads run again.
	 *
	 * @param generation  the generation that was collected; not looked at.
	 *
	 * Without a SuspensionStarting before it this is S_OK and has no effect.
	 *
	 * Threads: any; the notification that was held back runs on this thread.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 * Source:  the hosting reference; the answer without a start is ours.
	 */
	HOSTMEM_METHOD(IHostGCManager, HRESULT, SuspensionEnding, DWORD generation);
HOSTMEM_INTERFACE_END

HOSTMEM_DECLARE_GUID(IID_IHostGCManager);

#ifndef __cplusplus
HOSTMEM_UNKNOWN_WRAPPERS(IHostGCManager)
HOSTMEM_WRAPPER(IHostGCManager, ThreadIsBlockingForSuspension,
		(IHostGCManager *self), (self))
HOSTMEM_WRAPPER(IHostGCManager, SuspensionStarting, (IHostGCManager *self), (self))
HOSTMEM_WRAPPER(IHostGCManager, SuspensionEnding,
		(IHostGCManager *self, DWORD generation), (self, generation))
#endif

#endif /* HOSTMEM_HOSTGC_H */
