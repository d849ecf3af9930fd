/*
 * What the good host is given instead of a runtime's callback.
 *
 * It holds one reference to the runtime's, and gives it back when the good host has given back
 * its last one: when the callback is replaced and its last call has returned.
 */
#include "wrapper.h"

#include <stdlib.h>

struct callback {
	ICLRMemoryNotificationCallback ICLRMemoryNotificationCallback_iface;
	_Atomic ULONG references;
	ICLRMemoryNotificationCallback *target;
};

static struct callback *from_face(ICLRMemoryNotificationCallback *self)
{
	return (struct callback *)((char *)self -
				   offsetof(struct callback,
					    ICLRMemoryNotificationCallback_iface));
}

static ULONG HOSTMEM_CALL callback_AddRef(ICLRMemoryNotificationCallback *self)
{
	return atomic_fetch_add(&from_face(self)->references, 1) + 1;
}

static ULONG HOSTMEM_CALL callback_Release(ICLRMemoryNotificationCallback *self)
{
	struct callback *callback = from_face(self);
	ULONG left = atomic_fetch_sub(&callback->references, 1) - 1;

	if (left != 0)
		return left;
	if (!defect("callback-never-released"))
		(void)ICLRMemoryNotificationCallback_Release(callback->target);
	free(callback);
	return 0;
}

static HRESULT HOSTMEM_CALL callback_QueryInterface(ICLRMemoryNotificationCallback *self,
						    REFIID riid, void **ppv)
{
	*ppv = NULL;
	if (!IsEqualIID(riid, &IID_IUnknown) &&
	    !IsEqualIID(riid, &IID_ICLRMemoryNotificationCallback))
		return E_NOINTERFACE;
	*ppv = self;
	(void)callback_AddRef(self);
	return S_OK;
}

static HRESULT HOSTMEM_CALL callback_Tell(ICLRMemoryNotificationCallback *self,
					  EMemoryAvailable available)
{
	ICLRMemoryNotificationCallback *target = from_face(self)->target;

	if (defect("notification-never-told"))
		return S_OK;
	if (defect("low-without-neutral") && available == eMemoryAvailableNeutral)
		return S_OK;
	if (defect("high-never-told") && available == eMemoryAvailableHigh)
		return S_OK;
	if (defect("notification-told-twice"))
		(void)ICLRMemoryNotificationCallback_OnMemoryNotification(target,
									  available);
	if (defect("notification-counts-from-0"))
		available = (EMemoryAvailable)(available - 1);
	return ICLRMemoryNotificationCallback_OnMemoryNotification(target, available);
}

static const ICLRMemoryNotificationCallbackVtbl callback_table = {
	.QueryInterface = callback_QueryInterface,
	.AddRef = callback_AddRef,
	.Release = callback_Release,
	.OnMemoryNotification = callback_Tell,
};

ICLRMemoryNotificationCallback *wrapper_callback_create(
	ICLRMemoryNotificationCallback *target)
{
	struct callback *callback = (struct callback *)calloc(1, sizeof(*callback));

	if (callback == NULL)
		return NULL;
	callback->ICLRMemoryNotificationCallback_iface.lpVtbl = &callback_table;
	atomic_init(&callback->references, 1);
	callback->target = target;
	if (!defect("callback-not-referenced"))
		(void)ICLRMemoryNotificationCallback_AddRef(target);
	if (defect("callback-referenced-twice"))
		(void)ICLRMemoryNotificationCallback_AddRef(target);
	return &callback->ICLRMemoryNotificationCallback_iface;
}
