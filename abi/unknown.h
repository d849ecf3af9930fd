/*
 * IUnknown, IClassFactory, and the words in which every interface is declared.
 *
 * An interface is a pointer to a pointer to a table of functions.  Slots 0 to 2
 * of every table are IUnknown's; own methods start at slot 3, in the order in
 * which they are declared.  A published interface never changes: neither slots
 * nor parameters, nor what an IID names.
 *
 * C callers may go through the table, `heap->lpVtbl->Free(heap, block)`, or use
 * the wrapper of each method, `IHostMalloc_Free(heap, block)`.  A wrapper whose
 * `self` is NULL calls nothing and answers E_POINTER (AddRef and Release: 0); it
 * leaves the out parameters as they are.
 *
 * In every description below, `self` or `this` is borrowed for the call, out
 * parameters are written on every path (NULL or 0 on failure, where nothing else
 * is said), sizes are bytes, and `ppv` is the last parameter.
 */
#ifndef HOSTMEM_UNKNOWN_H
#define HOSTMEM_UNKNOWN_H

#include "guid.h"

#ifdef _WIN32
#include <unknwn.h>
#endif

/*
 * One declaration serves both languages:
 *
 *	HOSTMEM_INTERFACE(IFoo)
 *		HOSTMEM_METHOD(IFoo, HRESULT, Open, DWORD flags, void **out);
 *		HOSTMEM_METHOD_NONE(IFoo, HRESULT, Close);
 *	HOSTMEM_INTERFACE_END
 *
 * In C this is `struct IFoo { const IFooVtbl *lpVtbl; }` and a struct IFooVtbl
 * of function pointers named after the methods, IUnknown's three first, each
 * with `IFoo *self` before the parameters shown.  In C++ it is an abstract class
 * derived from IUnknown with the same methods and no destructor, so that the
 * vtable has the same slots.
 */
#ifdef __cplusplus

#define HOSTMEM_INTERFACE(iface) struct iface : public IUnknown {
#define HOSTMEM_METHOD(iface, result, method, ...) \
	virtual result HOSTMEM_CALL method(__VA_ARGS__) = 0
#define HOSTMEM_METHOD_NONE(iface, result, method) \
	virtual result HOSTMEM_CALL method() = 0
#define HOSTMEM_INTERFACE_END };

#else

#define HOSTMEM_UNKNOWN_SLOTS(iface) \
	HRESULT (HOSTMEM_CALL *QueryInterface)(iface *self, REFIID riid, void **ppv); \
	ULONG (HOSTMEM_CALL *AddRef)(iface *self); \
	ULONG (HOSTMEM_CALL *Release)(iface *self);

#define HOSTMEM_INTERFACE(iface) \
	typedef struct iface iface; \
	typedef struct iface##Vtbl iface##Vtbl; \
	struct iface { \
		const iface##Vtbl *lpVtbl; \
	}; \
	struct iface##Vtbl { \
		HOSTMEM_UNKNOWN_SLOTS(iface)
#define HOSTMEM_METHOD(iface, result, method, ...) \
	result (HOSTMEM_CALL *method)(iface *self, __VA_ARGS__)
#define HOSTMEM_METHOD_NONE(iface, result, method) \
	result (HOSTMEM_CALL *method)(iface *self)
#define HOSTMEM_INTERFACE_END };

/* The wrapper of one method, as IFoo_Open; parameters and arguments in brackets. */
#define HOSTMEM_WRAPPER(iface, method, parameters, arguments) \
	static inline HRESULT iface##_##method parameters \
	{ \
		return self ? self->lpVtbl->method arguments : E_POINTER; \
	}

/* The wrappers of IUnknown's three methods for one interface. */
#define HOSTMEM_UNKNOWN_WRAPPERS(iface) \
	HOSTMEM_WRAPPER(iface, QueryInterface, (iface *self, REFIID riid, void **ppv), \
			(self, riid, ppv)) \
	static inline ULONG iface##_AddRef(iface *self) \
	{ \
		return self ? self->lpVtbl->AddRef(self) : 0; \
	} \
	static inline ULONG iface##_Release(iface *self) \
	{ \
		return self ? self->lpVtbl->Release(self) : 0; \
	}

#endif /* __cplusplus */

#ifndef _WIN32

/*
 * IUnknown: identity and lifetime.  Slots 0 to 2 of every interface.
 *
 * QueryInterface gives another face of the same object and takes a reference on
 * it.  From any face one reaches every other, the answer never changes, and the
 * face for IID_IUnknown is the same pointer each time: it is the object's identity.
 *
 *	riid    the interface wanted
 *	ppv     receives the face, or NULL
 *	Owner:  the caller, who ends with Release.
 *	Errors: E_POINTER      ppv is NULL, or in C riid is NULL
 *	        E_NOINTERFACE  the object has no such face
 *
 * AddRef takes a reference and returns the count afterwards; Release gives one
 * back and returns the count afterwards, and at 0 the object is gone.  Counts are
 * for debugging only: another thread may have changed them meanwhile.  A count that
 * reaches 0xFFFFFFFF stays there, and the object lives for ever.  One Release too many
 * is an error of the caller that cannot be reported.
 *
 * Threads: any, at any time, also after Shutdown of a host.  The last Release may
 *          call callbacks (see IHostMemoryControl), and waits for one that a host's
 *          monitor is in; take no lock around it that they need.  On the thread of any
 *          host's monitor it does not wait: the host ends when that callback is over.
 * Source:  COM.
 */
#ifdef __cplusplus
struct IUnknown {
	virtual HRESULT HOSTMEM_CALL QueryInterface(REFIID riid, void **ppv) = 0;
	virtual ULONG HOSTMEM_CALL AddRef() = 0;
	virtual ULONG HOSTMEM_CALL Release() = 0;
};
#else
HOSTMEM_INTERFACE(IUnknown)
HOSTMEM_INTERFACE_END
#endif

/* IClassFactory: makes the objects of a host module. */
HOSTMEM_INTERFACE(IClassFactory)
	/**
	 * Makes an object.
	 *
	 * @param outer  NULL; a host is never part of another object.
	 * @param riid   the face of the new object that is wanted.
	 * @param ppv    receives that face with one reference.
	 *
	 * Owner:   the caller, until Release.
	 * Threads: any.
	 * Errors:  E_POINTER              ppv is NULL, or in C riid is NULL
	 *          CLASS_E_NOAGGREGATION  outer is not NULL
	 *          E_NOINTERFACE          the object has no such face
	 *          E_OUTOFMEMORY          the system refused
	 * Source:  COM.
	 */
	HOSTMEM_METHOD(IClassFactory, HRESULT, CreateInstance, IUnknown *outer,
		       REFIID riid, void **ppv);

	/**
	 * Keeps the module loaded while no object of it lives.
	 *
	 * @param lock  TRUE to add a lock, FALSE to take one away.
	 *
	 * Modules are never unloaded by hostmem, so in ours this has no effect.
	 *
	 * Threads: any.
	 * Errors:  none; S_OK.
	 * Source:  COM.
	 */
	HOSTMEM_METHOD(IClassFactory, HRESULT, LockServer, BOOL lock);
HOSTMEM_INTERFACE_END

HOSTMEM_DECLARE_GUID(IID_IUnknown);
HOSTMEM_DECLARE_GUID(IID_IClassFactory);

/**
 * The entry of a host module.
 *
 * @param clsid  the class wanted; a host module has CLSID_HostMemory.
 * @param riid   the face of its factory, as a rule IID_IClassFactory.
 * @param ppv    receives that face with one reference.
 *
 * libhostmem does not have this function: whoever writes a host module defines it
 * with this declaration and exports it.  HostMemLoadModule looks it up.
 *
 * Owner:   the caller, until Release.
 * Threads: any.
 * Errors:  E_POINTER                  ppv is NULL, or in C another pointer is NULL
 *          CLASS_E_CLASSNOTAVAILABLE  the module has no such class
 *          E_NOINTERFACE              the factory has no such face
 * Source:  COM's entry of an in-process server; its use on Unix is ours.
 */
HOSTMEM_API HRESULT HOSTMEM_CALL DllGetClassObject(REFCLSID clsid, REFIID riid,
						    void **ppv);

#endif /* _WIN32 */

#ifndef __cplusplus

#ifndef IUnknown_QueryInterface /* COBJMACROS gives macros of these names */
HOSTMEM_UNKNOWN_WRAPPERS(IUnknown)
#endif

#ifndef IClassFactory_QueryInterface
HOSTMEM_UNKNOWN_WRAPPERS(IClassFactory)
HOSTMEM_WRAPPER(IClassFactory, CreateInstance,
		(IClassFactory *self, IUnknown *outer, REFIID riid, void **ppv),
		(self, outer, riid, ppv))
HOSTMEM_WRAPPER(IClassFactory, LockServer, (IClassFactory *self, BOOL lock), (self, lock))
#endif

#endif /* __cplusplus */

#endif /* HOSTMEM_UNKNOWN_H */
