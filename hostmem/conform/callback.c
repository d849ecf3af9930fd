/*
 * The object that a runtime registers for news of memory.
 *
 * It has no life of its own: whoever made it holds one reference, sees by the count what the
 * host holds, and keeps the memory.  So a host that releases it once too often is found
 * and does no harm.
 */
#include "callback.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static struct hm_listener *listener_of(ICLRMemoryNotificationCallback *iface)
{
	return (struct hm_listener *)((uintptr_t)iface -
				      offsetof(struct hm_listener,
					       ICLRMemoryNotificationCallback_iface));
}

static ULONG HOSTMEM_CALL listener_AddRef(ICLRMemoryNotificationCallback *iface)
{
	struct hm_listener *listener = listener_of(iface);
	ULONG references = ++listener->references;

	return listener->manners == HM_STATIC ? 1 : references;
}

static ULONG HOSTMEM_CALL listener_Release(ICLRMemoryNotificationCallback *iface)
{
	struct hm_listener *listener = listener_of(iface);
	ULONG references = --listener->references;

	if (listener->on_release != NULL)
		listener->on_release(listener);
	return listener->manners == HM_STATIC ? 1 : references;
}

static HRESULT HOSTMEM_CALL listener_QueryInterface(ICLRMemoryNotificationCallback *iface,
						    REFIID riid, void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (listener_of(iface)->manners == HM_NO_FACES)
		return E_NOINTERFACE;
	if (memcmp(riid, &IID_IUnknown, sizeof(IID)) != 0 &&
	    memcmp(riid, &IID_ICLRMemoryNotificationCallback, sizeof(IID)) != 0)
		return E_NOINTERFACE;
	*ppv = iface;
	if (listener_of(iface)->manners != HM_STATIC)
		(void)listener_AddRef(iface);
	return S_OK;
}

static HRESULT HOSTMEM_CALL listener_OnMemoryNotification(
	ICLRMemoryNotificationCallback *iface, EMemoryAvailable available)
{
	struct hm_listener *listener = listener_of(iface);

	listener->values[listener->count % HM_HEARD] = available;
	listener->count++;
	if (listener->then != NULL)
		listener->then(listener, available);
	return listener->manners == HM_SAYS_FAILED ? E_FAIL : S_OK;
}

void hm_listener_init(struct hm_listener *listener)
{
	static const ICLRMemoryNotificationCallbackVtbl vtbl = {
		.QueryInterface = listener_QueryInterface,
		.AddRef = listener_AddRef,
		.Release = listener_Release,
		.OnMemoryNotification = listener_OnMemoryNotification,
	};

	memset(listener, 0, sizeof(*listener));
	listener->ICLRMemoryNotificationCallback_iface.lpVtbl = &vtbl;
	listener->references = 1;
}

bool hm_register(struct hm_trial *t, struct hm_listener *listener)
{
	HRESULT hr;

	if (listener != NULL)
		hm_warm_up_watching(t);
	hr = IHostMemoryManager_RegisterMemoryNotificationCallback(
		t->memory, listener != NULL
				   ? &listener->ICLRMemoryNotificationCallback_iface
				   : NULL);

	return hm_check_hr(t, hr, S_OK,
			   listener != NULL ? "RegisterMemoryNotificationCallback"
					    : "RegisterMemoryNotificationCallback(NULL)",
			   __FILE__, __LINE__);
}

bool hm_check_heard(struct hm_trial *t, struct hm_listener *listener, const char *want,
		    const char *file, int line)
{
	char heard[HM_HEARD + 1], text[3 * HM_HEARD];
	unsigned count = listener->count, length = 0;

	for (; listener->asked < count; listener->asked++) {
		if (count - listener->asked <= HM_HEARD)
			heard[length++] =
				(char)('0' +
				       listener->values[listener->asked % HM_HEARD]);
	}
	heard[length] = '\0';
	(void)snprintf(text, sizeof(text), "heard \"%s\", not \"%.*s\"", heard, HM_HEARD,
		       want);
	return hm_check(t, strcmp(heard, want) == 0, text, file, line);
}
