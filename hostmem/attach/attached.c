/*
 * The attached host: taken once, with a heap of its own, and kept for good.
 *
 * Only hosts of this library will do.  Whether a page is the host's is asked with every call
 * of the runtime, and for a page that is not, VirtualQuery would read the system's list of
 * mappings; the map of regions tells it without a lock.
 *
 * Locks: none; who comes first is decided by one exchange.
 */
#include "attached.h"
#include "hostmem/calls.h"
#include "hostmem/com/object.h"
#include "hostmem/com/record.h"

struct hm_attached hm_attached;

static atomic_flag taken = ATOMIC_FLAG_INIT;

static HRESULT read_attachment(const HostMemAttachment *how, HostMemAttachment *out)
{
	static const size_t ends[] = {
		RECORD_END(HostMemAttachment, dwFlags),
		RECORD_END(HostMemAttachment, profile),
	};
	HRESULT hr;

	if (how != NULL) {
		hr = record_read(out, sizeof(*out), how, ends,
				 sizeof(ends) / sizeof(ends[0]));
		if (FAILED(hr))
			return hr;
	}
	return out->dwFlags & ~HOSTMEM_ATTACH_STARTING ? E_INVALIDARG : S_OK;
}

/* Another module's host has the interface, too, with methods of its own. */
static HRESULT own_pages(IUnknown *host, IHostMemoryPages **out)
{
	void *pages;
	HRESULT hr = IUnknown_QueryInterface(host, &IID_IHostMemoryPages, &pages);

	*out = NULL;
	if (FAILED(hr))
		return E_NOINTERFACE;
	if (((IHostMemoryPages *)pages)->lpVtbl != &host_memory_pages_vtbl) {
		(void)IHostMemoryPages_Release((IHostMemoryPages *)pages);
		return E_NOINTERFACE;
	}
	*out = pages;
	return S_OK;
}

/* The heap of the process; its reference to the host keeps that, too. */
static HRESULT make_heap(IHostMemoryManager *memory, IHostMalloc2 **out)
{
	IHostMalloc *heap;
	void *face = NULL;
	HRESULT hr = IHostMemoryManager_CreateMalloc(memory, MALLOC_THREADSAFE, &heap);

	if (SUCCEEDED(hr)) {
		hr = IHostMalloc_QueryInterface(heap, &IID_IHostMalloc2, &face);
		(void)IHostMalloc_Release(heap);
	}
	*out = face;
	return hr;
}

static HRESULT take(struct host_object *object, const HostMemAttachment *how,
		    const struct hm_profile *profile)
{
	IHostMemoryManager *memory = &object->IHostMemoryManager_iface;
	IHostMalloc2 *heap;
	HRESULT hr = make_heap(memory, &heap);

	if (FAILED(hr))
		return hr;
	if (atomic_flag_test_and_set(&taken)) {
		(void)IHostMalloc2_Release(heap);
		return HOST_E_INVALIDOPERATION;
	}
	hm_attached.memory = memory;
	hm_attached.pages = &object->IHostMemoryPages_iface;
	hm_attached.heap = heap;
	hm_attached.host = &object->host;
	hm_attached.profile = profile;
	atomic_store(&hm_attached.starting,
		     (how->dwFlags & HOSTMEM_ATTACH_STARTING) != 0);
	hm_calls_expect_stops();
	atomic_store_explicit(&hm_attached.ready, true, memory_order_release);
	return S_OK;
}

HRESULT HostMemAttach(IUnknown *host, const HostMemAttachment *how)
{
	HostMemAttachment read = HOSTMEM_ATTACHMENT_INIT;
	const struct hm_profile *profile;
	IHostMemoryPages *pages;
	HRESULT hr;

	if (host == NULL)
		return E_POINTER;
	hr = read_attachment(how, &read);
	if (FAILED(hr))
		return hr;
	profile = hm_profile_find(read.profile != NULL ? read.profile : "generic");
	if (profile == NULL)
		return E_INVALIDARG;
	hr = own_pages(host, &pages);
	if (FAILED(hr))
		return hr;
	hr = hm_is_attached() ? HOST_E_INVALIDOPERATION
			      : take(hm_container_of(pages, struct host_object,
						     IHostMemoryPages_iface),
				     &read, profile);
	/* The reference that was taken for the face is the process's own from now on. */
	if (FAILED(hr))
		(void)IHostMemoryPages_Release(pages);
	return hr;
}

void hm_attached_forget_peak(void)
{
	hm_budget_forget_peak(&hm_attached.host->budget);
}

void HostMemAttachStarted(void)
{
	atomic_store(&hm_attached.starting, false);
}

HRESULT HostMemAttachedHost(REFIID riid, void **ppv)
{
	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	return hm_is_attached()
		       ? IHostMemoryManager_QueryInterface(hm_attached.memory, riid, ppv)
		       : S_FALSE;
}
