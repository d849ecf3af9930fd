#ifndef HOSTMEM_COM_OBJECT_H
#define HOSTMEM_COM_OBJECT_H

#include "hostmem/host.h"
#include "hostmem/os/check.h"
#include "hostmem/os/container.h"

#include "abi/hostmem.h"

/*
 * The host object: all its faces, and the host that the rules know.
 *
 * Every face has the same references, so QueryInterface goes from any to any, and
 * IUnknown is always the first of them.
 */
struct host_object {
	IHostControl IHostControl_iface;
	IHostMemoryManager IHostMemoryManager_iface;
	IHostGCManager IHostGCManager_iface;
	IHostMemoryControl IHostMemoryControl_iface;
	IHostMemorySimulator IHostMemorySimulator_iface;
	IHostMemoryPages IHostMemoryPages_iface;
	IHostMemoryMonitor IHostMemoryMonitor_iface;
	struct hm_host host;
};

extern const IHostControlVtbl host_control_vtbl;
extern const IHostMemoryManagerVtbl host_memory_manager_vtbl;
extern const IHostGCManagerVtbl host_gc_manager_vtbl;
extern const IHostMemoryControlVtbl host_memory_control_vtbl;
extern const IHostMemorySimulatorVtbl host_memory_simulator_vtbl;
extern const IHostMemoryPagesVtbl host_memory_pages_vtbl;
extern const IHostMemoryMonitorVtbl host_memory_monitor_vtbl;

/* QueryInterface of every face.  E_POINTER, E_NOINTERFACE; *out is cleared then. */
HRESULT host_object_query(struct host_object *object, REFIID riid, void **out);

/* IUnknown's three methods of one face, and the way back from it to the object. */
#define HOST_OBJECT_FACE(interface_name, prefix, vtbl) \
	static struct host_object *impl_from_##interface_name(interface_name *iface) \
	{ \
		hm_assert(iface->lpVtbl == &(vtbl)); \
		return hm_container_of(iface, struct host_object, \
				       interface_name##_iface); \
	} \
\
	static HRESULT HOSTMEM_CALL prefix##_QueryInterface(interface_name *iface, \
							    REFIID riid, void **out) \
	{ \
		return host_object_query(impl_from_##interface_name(iface), riid, out); \
	} \
\
	static ULONG HOSTMEM_CALL prefix##_AddRef(interface_name *iface) \
	{ \
		return hm_host_add_reference(&impl_from_##interface_name(iface)->host); \
	} \
\
	static ULONG HOSTMEM_CALL prefix##_Release(interface_name *iface) \
	{ \
		return hm_host_release(&impl_from_##interface_name(iface)->host); \
	}

#endif
