#ifndef HOSTMEM_TEST_DEFECTS_WRAPPER_H
#define HOSTMEM_TEST_DEFECTS_WRAPPER_H

#include "defects.h"

#include "abi/hostmem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/*
 * A host that stands between a client and a good host, and hands every call on.
 *
 * It has faces and a count of its own, so that COM's rules can be broken too; heaps and
 * callbacks are wrapped as well.  A wrapper that has come to its end is not freed before the
 * process ends: a call that is under way, because the last Release came from a callback, may
 * still look at it.
 */

enum { PAGE = 4096, GRANULE = 65536 };

struct subscription;

struct wrapper {
	IHostControl IHostControl_iface;
	IHostMemoryManager IHostMemoryManager_iface;
	IHostGCManager IHostGCManager_iface;
	IHostMemoryControl IHostMemoryControl_iface;
	IHostMemorySimulator IHostMemorySimulator_iface;
	IHostMemoryPages IHostMemoryPages_iface;
	IHostMemoryMonitor IHostMemoryMonitor_iface;
	_Atomic ULONG references;
	struct wrapper *older; /* all that ever were */

	/* The good host, which lives as long as these. */
	IHostControl *control;
	IHostMemoryManager *memory;
	IHostGCManager *gc;
	IHostMemoryControl *account;
	IHostMemorySimulator *simulator;
	IHostMemoryPages *pages;
	IHostMemoryMonitor *monitor;

	pthread_mutex_t lock; /* of subscriptions */
	struct subscription *subscriptions;

	/* What some defects have to remember. */
	pthread_mutex_t around; /* held around calls; recursive */
	_Atomic(void *) decommitted, released, acquired, reserved;
	_Atomic size_t reserved_size;
	_Atomic int suspended, gates; /* collections, and entries to the gate */
	_Atomic(bool) asked, ended;   /* a load is being asked for; it is shut down */
	_Atomic(void *) kept;         /* the page that wrapper_contents is of */
};

/* A new wrapper with its host. */
HRESULT wrapper_create(REFIID riid, void **ppv);
HRESULT wrapper_query(struct wrapper *self, REFIID riid, void **ppv);
ULONG wrapper_add(struct wrapper *self);
ULONG wrapper_release(struct wrapper *self);

/* IUnknown's three methods of a face, and the way from the face to the wrapper. */
#define WRAPPER_FACE(iface, prefix) \
	static struct wrapper *prefix##_wrapper(iface *self) \
	{ \
		return (struct wrapper *)((char *)self - \
					  offsetof(struct wrapper, iface##_iface)); \
	} \
	static HRESULT HOSTMEM_CALL prefix##_QueryInterface(iface *self, REFIID riid, \
							    void **ppv) \
	{ \
		return wrapper_query(prefix##_wrapper(self), riid, ppv); \
	} \
	static ULONG HOSTMEM_CALL prefix##_AddRef(iface *self) \
	{ \
		return wrapper_add(prefix##_wrapper(self)); \
	} \
	static ULONG HOSTMEM_CALL prefix##_Release(iface *self) \
	{ \
		return wrapper_release(prefix##_wrapper(self)); \
	}

extern const IHostControlVtbl wrapper_control_table;
extern const IHostMemoryManagerVtbl wrapper_manager_table;
extern const IHostGCManagerVtbl wrapper_gc_table;
extern const IHostMemoryControlVtbl wrapper_account_table;
extern const IHostMemorySimulatorVtbl wrapper_simulator_table;
extern const IHostMemoryPagesVtbl wrapper_pages_table;
extern const IHostMemoryMonitorVtbl wrapper_monitor_table;

/* ---- The methods of IHostMemoryManager that have files of their own ---- */

HRESULT HOSTMEM_CALL wrapper_VirtualAlloc(IHostMemoryManager *self, void *address,
					  SIZE_T size, DWORD type, DWORD protect,
					  EMemoryCriticalLevel level, void **ppMem);
HRESULT HOSTMEM_CALL wrapper_VirtualFree(IHostMemoryManager *self, void *address,
					 SIZE_T size, DWORD type);
HRESULT HOSTMEM_CALL wrapper_VirtualQuery(IHostMemoryManager *self, void *address,
					  void *buffer, SIZE_T length, SIZE_T *pResult);
HRESULT HOSTMEM_CALL wrapper_VirtualProtect(IHostMemoryManager *self, void *address,
					    SIZE_T size, DWORD protect,
					    DWORD *pOldProtect);
struct wrapper *wrapper_of_manager(IHostMemoryManager *self);

/* ---- Between the files ---- */

/* The contents of the page that was decommitted last, see "decommit-keeps-contents". */
extern unsigned char wrapper_contents[PAGE];
/* What the good host says of a page; false: nothing. */
bool wrapper_look(struct wrapper *self, const void *address,
		  MEMORY_BASIC_INFORMATION *run);
/* Whether the address is in a reservation of the host. */
bool wrapper_owns(struct wrapper *self, const void *address);
/* The first page of the run that an address is in. */
void *wrapper_run_start(struct wrapper *self, const void *address);
/* The host that was made last, if it still lives, else this one. */
struct wrapper *wrapper_newest(struct wrapper *self);
/* Around calls that some hosts make one by one. */
void wrapper_enter(struct wrapper *self);
void wrapper_leave(struct wrapper *self);
bool wrapper_walks_under_lock(void);
/* Takes over `heap`, a reference; gives a wrapped heap. */
HRESULT wrapper_heap_create(struct wrapper *self, IHostMalloc *heap,
			    IHostMalloc **ppMalloc);
/* A callback that tells `target`, with one reference; NULL: no memory. */
ICLRMemoryNotificationCallback *wrapper_callback_create(
	ICLRMemoryNotificationCallback *target);
/* Tells all subscribers of something that has not happened. */
void wrapper_pretend(struct wrapper *self, const HostMemEvent *event);

static inline void *at(const void *base, size_t offset)
{
	return (void *)((uintptr_t)base + offset);
}

#endif
