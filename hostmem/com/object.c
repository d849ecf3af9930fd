/*
 * The host object: its identity and its making.
 *
 * One allocation holds all faces; a reference through one is a reference to all.  It comes
 * from the library's own metadata, like everything we keep: a program's malloc may stand
 * on this very host.
 *
 * HostMemCreate checks the whole configuration before it makes anything.
 */
#include "object.h"
#include "record.h"
#include "hostmem/arenapages.h"
#include "hostmem/calls.h"
#include "hostmem/metadata.h"

#include <string.h>

#define FACE(name) \
	{ \
		&IID_##name, offsetof(struct host_object, name##_iface) \
	}

static const struct {
	const IID *iid;
	size_t offset;
} faces[] = {
	/* IUnknown is the same pointer from every face. */
	{ &IID_IUnknown, offsetof(struct host_object, IHostControl_iface) },
	FACE(IHostControl),
	FACE(IHostMemoryManager),
	FACE(IHostGCManager),
	FACE(IHostMemoryControl),
	FACE(IHostMemorySimulator),
	FACE(IHostMemoryPages),
	FACE(IHostMemoryMonitor),
};

HRESULT host_object_query(struct host_object *object, REFIID riid, void **out)
{
	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	if (riid == NULL)
		return E_POINTER;
	for (size_t i = 0; i < sizeof(faces) / sizeof(faces[0]); i++) {
		if (!IsEqualGUID(riid, faces[i].iid))
			continue;
		*out = (char *)object + faces[i].offset;
		(void)hm_host_add_reference(&object->host);
		return S_OK;
	}
	return E_NOINTERFACE;
}

/* *budget is complete, whatever the caller gave. */
static HRESULT read_config(const HostMemConfig *config, HostMemConfig *out,
			   HostMemBudget *budget)
{
	static const size_t ends[] = {
		RECORD_END(HostMemConfig, dwFlags),
		RECORD_END(HostMemConfig, budget),
		RECORD_END(HostMemConfig, cbRetain),
		RECORD_END(HostMemConfig, msGateTimeout),
		RECORD_END(HostMemConfig, loop),
		RECORD_END(HostMemConfig, report),
		RECORD_END(HostMemConfig, reportState),
	};
	const DWORD monitors = HOSTMEM_MONITOR_LOOP | HOSTMEM_MONITOR_OFF;
	const DWORD known = monitors | HOSTMEM_STRICT_EXECUTE | HOSTMEM_DEBUG_HEAP |
			    HOSTMEM_NO_GUARD_PAGES | HOSTMEM_PREFER_HUGE_PAGES;
	HRESULT hr;

	if (config != NULL) {
		hr = record_read(out, sizeof(*out), config, ends,
				 sizeof(ends) / sizeof(ends[0]));
		if (FAILED(hr))
			return hr;
	}
	if ((out->dwFlags & ~known) || (out->dwFlags & monitors) == monitors)
		return E_INVALIDARG;
	if ((out->dwFlags & HOSTMEM_MONITOR_LOOP) && out->loop == NULL)
		return E_INVALIDARG;
	return out->budget != NULL ? budget_read(out->budget, budget) : S_OK;
}

static void host_object_destroy(struct hm_host *host)
{
	struct host_object *object = hm_container_of(host, struct host_object, host);

	hm_calls_enter();
	hm_metadata_free_object(object, sizeof(*object));
	hm_calls_leave();
}

static enum hm_monitor_place place_of(uint32_t flags)
{
	if (flags & HOSTMEM_MONITOR_LOOP)
		return HM_MONITOR_PROGRAM;
	return flags & HOSTMEM_MONITOR_OFF ? HM_MONITOR_OFF : HM_MONITOR_THREAD;
}

/* A new object with one reference; NULL if there is no memory. */
static struct host_object *host_object_new(const HostMemConfig *config,
					   const HostMemBudget *budget)
{
	struct host_object *object = NULL;

	hm_calls_enter();
	if (hm_metadata_prepare())
		object = hm_metadata_alloc(sizeof(*object));
	if (object != NULL &&
	    !hm_retained_init(&object->host.retained, config->cbRetain)) {
		hm_metadata_free(object, sizeof(*object));
		object = NULL;
	}
	hm_calls_leave();
	if (object == NULL)
		return NULL;
	object->IHostControl_iface.lpVtbl = &host_control_vtbl;
	object->IHostMemoryManager_iface.lpVtbl = &host_memory_manager_vtbl;
	object->IHostGCManager_iface.lpVtbl = &host_gc_manager_vtbl;
	object->IHostMemoryControl_iface.lpVtbl = &host_memory_control_vtbl;
	object->IHostMemorySimulator_iface.lpVtbl = &host_memory_simulator_vtbl;
	object->IHostMemoryPages_iface.lpVtbl = &host_memory_pages_vtbl;
	object->IHostMemoryMonitor_iface.lpVtbl = &host_memory_monitor_vtbl;
	hm_host_init(&object->host, hm_pages_choose(config->dwFlags),
		     host_object_destroy);
	hm_budget_init(&object->host.budget, budget);
	hm_monitor_init(&object->host.monitor, place_of(config->dwFlags), config->loop);
	if (config->msGateTimeout != 0)
		object->host.gate.patience = config->msGateTimeout;
	object->host.strict_execute = (config->dwFlags & HOSTMEM_STRICT_EXECUTE) != 0;
	object->host.debug_heaps = (config->dwFlags & HOSTMEM_DEBUG_HEAP) != 0;
	object->host.report = config->report;
	object->host.report_state = config->reportState;
	object->host.huge_pages = (config->dwFlags & HOSTMEM_PREFER_HUGE_PAGES) != 0;
	return object;
}

HRESULT HostMemCreate(const HostMemConfig *config, REFIID riid, void **ppv)
{
	HostMemConfig given = HOSTMEM_CONFIG_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	struct host_object *object;
	HRESULT hr;

	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	hr = read_config(config, &given, &budget);
	if (FAILED(hr))
		return hr;
	if (!hm_pages_usable())
		return HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED);
	hr = hm_calls_prepare();
	if (FAILED(hr))
		return hr;
	object = host_object_new(&given, &budget);
	if (object == NULL)
		return E_OUTOFMEMORY;
	hr = hm_monitor_attach(&object->host);
	if (SUCCEEDED(hr))
		hr = host_object_query(object, riid, ppv);
	(void)hm_host_release(&object->host);
	return hr;
}
