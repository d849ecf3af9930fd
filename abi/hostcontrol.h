/*
 * IHostControl: where a runtime asks its host for managers.
 *
 * A face of the host: QueryInterface goes from here to every other.
 */
#ifndef HOSTMEM_HOSTCONTROL_H
#define HOSTMEM_HOSTCONTROL_H

#include "unknown.h"

HOSTMEM_INTERFACE(IHostControl)
	/**
	 * Gives the runtime a manager, if the host has it.
	 *
	 * @param riid  IID_IHostMemoryManager or IID_IHostGCManager.
	 * @param ppv   receives the manager with one reference, or NULL.
	 *
	 * Other faces, IUnknown among them, are reached through QueryInterface only.
	 *
	 * Owner:   the caller, until Release.  The CLR never releases its managers;
	 *          a host module has to live with that.
	 * Threads: any; takes no lock, calls nobody.
	 * Errors:  E_POINTER               ppv is NULL, or in C riid is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_NOINTERFACE           another manager
	 * Source:  the hosting reference; the two managers are our choice.
	 */
	HOSTMEM_METHOD(IHostControl, HRESULT, GetHostManager, REFIID riid, void **ppv);

	/**
	 * Tells the host about the manager of an application domain.
	 *
	 * @param domain   the domain's number.
	 * @param manager  its manager; may be NULL.
	 *
	 * Nothing is kept.
	 *
	 * Owner:   the caller; no reference is taken.
	 * Threads: any; takes no lock, calls nobody.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 * Source:  the hosting reference; that nothing is kept is ours.
	 */
	HOSTMEM_METHOD(IHostControl, HRESULT, SetAppDomainManager, DWORD domain,
		       IUnknown *manager);
HOSTMEM_INTERFACE_END

HOSTMEM_DECLARE_GUID(IID_IHostControl);

#ifndef __cplusplus
HOSTMEM_UNKNOWN_WRAPPERS(IHostControl)
HOSTMEM_WRAPPER(IHostControl, GetHostManager,
		(IHostControl *self, REFIID riid, void **ppv), (self, riid, ppv))
HOSTMEM_WRAPPER(IHostControl, SetAppDomainManager,
		(IHostControl *self, DWORD domain, IUnknown *manager),
		(self, domain, manager))
#endif

#endif /* HOSTMEM_HOSTCONTROL_H */
