/*
 * JSRT-like memory functions, with Chakra's names, values and argument order.
 *
 * The functions are in libhostmem-jsrt, a library of its own (pkg-config hostmem-jsrt),
 * because a program may link Chakra, which has the same names.  For the same reason
 * hostmem.h does not bring this header.  Include this one or Chakra's.
 *
 * A runtime handle is a host of its own, without an engine: the engine allocates
 * through HostMemRuntimeGetHost, and HostMemRuntimeSetCollector says what
 * JsCollectGarbage runs.  Usage counts what the budget of that host charges: committed
 * pages, the pages of heaps, acquired mappings.  A new runtime uses nothing.
 *
 * Rules of every function that answers a JsErrorCode
 *   - A handle that is NULL is JsErrorInvalidArgument, found before an out pointer that
 *     is NULL, which is JsErrorNullArgument.  A handle that is neither NULL nor live is
 *     an error of the caller that cannot be reported.
 *   - What an out pointer points to is NULL or 0 on every other failure; after a NULL
 *     handle it is as it was.
 *   - Any thread may call, also from callbacks, which run with no lock held.
 *   - After IHostMemoryControl::Shutdown of the host, or after an E_FAIL of it, usage
 *     can still be read, callbacks can be set, and JsDisposeRuntime is due.
 *
 * Callbacks, of all three kinds
 *   - There is one of each kind.  Setting one returns when no call of the one before is
 *     under way and none will come; from inside that one, at once, and then other threads
 *     may still be in it.  So hold no lock that it needs.
 *   - NULL is none and never fails.
 *   - Its state must live until it is replaced or the runtime is disposed.
 *   - It may call anything here but JsDisposeRuntime of its own runtime.  It must return:
 *     no exception, no longjmp, no end of the thread.
 *
 * Source: names, values and the order of arguments and of their checks are Chakra's
 * (ChakraCommon.h); what is "ours" is said where it stands.
 */
#ifndef HOSTMEM_JSRT_H
#define HOSTMEM_JSRT_H

#include "guid.h"

#include <stdbool.h>

/* A runtime; NULL is none. */
typedef void *JsRuntimeHandle;

#define JS_INVALID_RUNTIME_HANDLE ((JsRuntimeHandle)0)

/* What the functions answer; those of this header answer only the marked ones. */
typedef enum JsErrorCode {
	JsNoError = 0, /* here */

	JsErrorCategoryUsage = 0x10000,
	JsErrorInvalidArgument = 0x10001, /* here */
	JsErrorNullArgument = 0x10002, /* here */
	JsErrorNoCurrentContext = 0x10003,
	JsErrorInExceptionState = 0x10004,
	JsErrorNotImplemented = 0x10005,
	JsErrorWrongThread = 0x10006,
	JsErrorRuntimeInUse = 0x10007, /* here */
	JsErrorBadSerializedScript = 0x10008,
	JsErrorInDisabledState = 0x10009,
	JsErrorCannotDisableExecution = 0x1000A,
	JsErrorHeapEnumInProgress = 0x1000B,
	JsErrorArgumentNotObject = 0x1000C,
	JsErrorInProfileCallback = 0x1000D,
	JsErrorInThreadServiceCallback = 0x1000E,
	JsErrorCannotSerializeDebugScript = 0x1000F,
	JsErrorAlreadyDebuggingContext = 0x10010,
	JsErrorAlreadyProfilingContext = 0x10011,
	JsErrorIdleNotEnabled = 0x10012,
	JsCannotSetProjectionEnqueueCallback = 0x10013,
	JsErrorCannotStartProjection = 0x10014,
	JsErrorInObjectBeforeCollectCallback = 0x10015,
	JsErrorObjectNotInspectable = 0x10016,
	JsErrorPropertyNotSymbol = 0x10017,
	JsErrorPropertyNotString = 0x10018,
	JsErrorInvalidContext = 0x10019,
	JsInvalidModuleHostInfoKind = 0x1001A,
	JsErrorModuleParsed = 0x1001B,
	JsNoWeakRefRequired = 0x1001C,
	JsErrorPromisePending = 0x1001D,
	JsErrorModuleNotEvaluated = 0x1001E,

	JsErrorCategoryEngine = 0x20000,
	JsErrorOutOfMemory = 0x20001, /* here */
	JsErrorBadFPUState = 0x20002,

	JsErrorCategoryScript = 0x30000,
	JsErrorScriptException = 0x30001,
	JsErrorScriptCompile = 0x30002,
	JsErrorScriptTerminated = 0x30003,
	JsErrorScriptEvalDisabled = 0x30004,

	JsErrorCategoryFatal = 0x40000,
	JsErrorFatal = 0x40001, /* here */
	JsErrorWrongRuntime = 0x40002,

	JsErrorCategoryDiagError = 0x50000
} JsErrorCode;

/* What a memory callback hears of; the numbers are those of HostMemEventType. */
typedef enum JsMemoryEventType {
	JsMemoryAllocate = 0, /* before; the answer counts */
	JsMemoryFree = 1, /* after */
	JsMemoryFailure = 2 /* after */
} JsMemoryEventType;

/* Attributes of a runtime, bits.  All are accepted; none changes a host. */
typedef enum JsRuntimeAttributes {
	JsRuntimeAttributeNone = 0x000,
	JsRuntimeAttributeDisableBackgroundWork = 0x001,
	JsRuntimeAttributeAllowScriptInterrupt = 0x002,
	JsRuntimeAttributeEnableIdleProcessing = 0x004,
	JsRuntimeAttributeDisableNativeCodeGeneration = 0x008,
	JsRuntimeAttributeDisableEval = 0x010,
	JsRuntimeAttributeEnableExperimentalFeatures = 0x020,
	JsRuntimeAttributeDispatchSetExceptionsToDebugger = 0x040,
	JsRuntimeAttributeDisableFatalOnOOM = 0x080,
	JsRuntimeAttributeDisableExecutablePageAllocation = 0x100
} JsRuntimeAttributes;

/**
 * A piece of work that an engine would hand to a thread service.
 *
 * @param callbackState  the engine's.
 */
typedef void (HOSTMEM_CALL *JsBackgroundWorkItemCallback)(void *callbackState);

/**
 * A thread service.  Accepted and never called: a host has no background work.
 *
 * @param callback       what to run.
 * @param callbackState  handed to it.
 *
 * Returns: true if it will be run on a thread of the service's choice.
 */
typedef bool (HOSTMEM_CALL *JsThreadServiceCallback)(
	JsBackgroundWorkItemCallback callback, void *callbackState);

/**
 * Hears of the memory of a runtime.
 *
 * @param callbackState    what was given on registration.
 * @param allocationEvent  what happens.
 * @param allocationSize   bytes; see there.
 *
 *	JsMemoryAllocate  bytes about to be charged; usage does not have them yet
 *	JsMemoryFree      bytes refunded; usage is without them
 *	JsMemoryFailure   bytes that were not granted, 0 for a reservation, which is
 *	                  free of charge; usage is without them
 *
 * Called on the thread that allocates or frees, with no lock held.  Requests that it
 * makes itself are granted, refused and charged as any other, and it does not hear of
 * them.  What is allocated before it is set, it has not heard of: a counter begins with
 * JsGetRuntimeMemoryUsage.
 *
 * Failures.  A no, or a refusal of the system, gives a failure event after the allocate
 * event, with the same size.  A request that the limit refuses gives a failure event
 * alone, as in Chakra.  HOSTMEM_ANNOUNCE_ALWAYS in the budget of the host gives both
 * then, so that a counter balances which adds on allocate and subtracts on free and on
 * failure.  Its answer to such an allocate event is not looked at.
 *
 * Where the host tries a request again (HostMemEvent.attempt), the attempt before is
 * shown as a failure of its own, so that the counter balances there too.  A callback that
 * is replaced during a request hands over to the new one, which may get the failure of
 * what it has not seen allocated.
 *
 * Returns: of an allocate event: false refuses it; that is not remembered.  Of others:
 *          not looked at.
 */
typedef bool (HOSTMEM_CALL *JsMemoryAllocationCallback)(void *callbackState,
							JsMemoryEventType allocationEvent,
							size_t allocationSize);

/**
 * Hears that a collection is about to begin.
 *
 * @param callbackState  what was given on registration.
 *
 * Called by JsCollectGarbage only, on its thread.
 */
typedef void (HOSTMEM_CALL *JsBeforeCollectCallback)(void *callbackState);

/**
 * Collects garbage, for JsCollectGarbage.
 *
 * @param state  what was given to HostMemRuntimeSetCollector.
 *
 * Called by JsCollectGarbage only, on its thread; by several threads at once, if they
 * call it at once.
 */
typedef void (HOSTMEM_CALL *HostMemCollectCallback)(void *state);

/**
 * Makes a runtime.
 *
 * @param attributes     declared bits only.
 * @param threadService  not looked at; may be NULL.
 * @param runtime        receives the handle, or NULL.
 *
 * Owner:   the caller, until JsDisposeRuntime.
 * Threads: any.
 * Errors:  JsErrorNullArgument     runtime is NULL
 *          JsErrorInvalidArgument  an unknown attribute
 *          JsErrorOutOfMemory      the system refused
 *          JsErrorFatal            HostMemCreate cannot make a host on this system
 * Source:  Chakra's.
 */
HOSTMEM_API JsErrorCode JsCreateRuntime(JsRuntimeAttributes attributes,
					JsThreadServiceCallback threadService,
					JsRuntimeHandle *runtime);

/**
 * Ends a runtime.
 *
 * @param runtime  not to be used afterwards.
 *
 * Shutdown of the host and Release: what is left is freed, and reported to the memory
 * callback until the function returns; its state has to live so long.
 *
 * Who has references to the host, from HostMemRuntimeGetHost or by a heap, gives them
 * back before.  If there are any, or if this is called from inside a subscriber of the
 * host, the host and its memory live on as long as that, and the memory callback hears of
 * nothing any more when this function has returned.
 *
 * Threads: any, but not from a callback of this runtime, and not while another thread
 *          is in a function with this handle.
 * Errors:  JsErrorInvalidArgument  runtime is NULL
 *          JsErrorRuntimeInUse     called from a callback of this runtime: the memory
 *                                  callback, that before a collection, the collector
 * Source:  Chakra's; what JsErrorRuntimeInUse stands for is ours.
 */
HOSTMEM_API JsErrorCode JsDisposeRuntime(JsRuntimeHandle runtime);

/**
 * Tells how much a runtime uses.
 *
 * @param runtime      the runtime.
 * @param memoryUsage  receives the bytes charged; inside a memory callback without the
 *                     request that is asked about.
 *
 * Threads: any, also from callbacks.
 * Errors:  JsErrorInvalidArgument  runtime is NULL
 *          JsErrorNullArgument     memoryUsage is NULL
 * Source:  Chakra's; that committed memory is what counts is ours.
 */
HOSTMEM_API JsErrorCode JsGetRuntimeMemoryUsage(JsRuntimeHandle runtime,
						size_t *memoryUsage);

/**
 * Tells the limit of a runtime.
 *
 * @param runtime      the runtime.
 * @param memoryLimit  receives the limit in bytes; SIZE_MAX = none.
 *
 * Threads: any, also from callbacks.
 * Errors:  JsErrorInvalidArgument  runtime is NULL
 *          JsErrorNullArgument     memoryLimit is NULL
 *          JsErrorFatal            the host was shut down, or has failed
 * Source:  Chakra's.
 */
HOSTMEM_API JsErrorCode JsGetRuntimeMemoryLimit(JsRuntimeHandle runtime,
						size_t *memoryLimit);

/**
 * Sets the limit of a runtime.
 *
 * @param runtime      the runtime.
 * @param memoryLimit  bytes; SIZE_MAX = none.  Usage may reach it, not exceed it.
 *
 * A limit below the usage takes nothing away; requests are refused until there is room.
 * A request whose allocate event has been told is not asked again.
 *
 * It is cbLimit of the host's budget (HostMemBudget), the rest of which stays, but for
 * headroom above the limit, which comes down to it.  SetBudget of another thread at the
 * same moment may undo it, or be undone.
 *
 * Threads: any, also from callbacks.
 * Errors:  JsErrorInvalidArgument  runtime is NULL
 *          JsErrorFatal            the host was shut down, or has failed
 * Source:  Chakra's.
 */
HOSTMEM_API JsErrorCode JsSetRuntimeMemoryLimit(JsRuntimeHandle runtime,
						size_t memoryLimit);

/**
 * Registers the memory callback of a runtime.
 *
 * @param runtime             the runtime.
 * @param callbackState       handed to the callback; may be NULL.
 * @param allocationCallback  takes the place of the one before; NULL = none.
 *
 * No event of another thread is lost or told twice in between.  It has nothing to do with
 * the limit; either may be set first, or alone.
 *
 * Owner:   the state must live until the callback is replaced or the runtime disposed.
 * Threads: any, also from callbacks.
 * Errors:  JsErrorInvalidArgument  runtime is NULL
 *          JsErrorOutOfMemory      no memory to remember it
 * Source:  Chakra's; that it waits for the one before is ours.
 */
HOSTMEM_API JsErrorCode JsSetRuntimeMemoryAllocationCallback(
	JsRuntimeHandle runtime, void *callbackState,
	JsMemoryAllocationCallback allocationCallback);

/**
 * Registers what is called before a collection.
 *
 * @param runtime                the runtime.
 * @param callbackState          handed to the callback; may be NULL.
 * @param beforeCollectCallback  takes the place of the one before; NULL = none.
 *
 * Owner:   the state must live until the callback is replaced or the runtime disposed.
 * Threads: any, also from callbacks.
 * Errors:  JsErrorInvalidArgument  runtime is NULL
 *          JsErrorOutOfMemory      no memory to remember it
 * Source:  Chakra's; that it waits for the one before is ours.
 */
HOSTMEM_API JsErrorCode JsSetRuntimeBeforeCollectCallback(
	JsRuntimeHandle runtime, void *callbackState,
	JsBeforeCollectCallback beforeCollectCallback);

/**
 * Collects the garbage of a runtime.
 *
 * @param runtime  the runtime.
 *
 * Calls the before-collect callback, then the collector; without a collector that is all.
 * Called from inside one of them, on the same thread, it does nothing: the collection
 * under way serves.  The host never collects by itself.
 *
 * Threads: any, also from callbacks; both run on this thread with no lock held.
 * Errors:  JsErrorInvalidArgument  runtime is NULL
 * Source:  Chakra's; the collector is ours.
 */
HOSTMEM_API JsErrorCode JsCollectGarbage(JsRuntimeHandle runtime);

/**
 * Gives the host behind a runtime.
 *
 * @param runtime  the runtime.
 * @param riid     the face wanted, see HostMemCreate.
 * @param ppv      receives that face with one reference, or NULL.
 *
 * Owner:   the caller, until Release.
 * Threads: any.
 * Errors:  E_POINTER      ppv is NULL, or in C riid is NULL; found first, as by every
 *                         method of a host
 *          E_INVALIDARG   runtime is NULL
 *          E_NOINTERFACE  no such face
 * Source:  ours.
 */
HOSTMEM_API HRESULT HostMemRuntimeGetHost(JsRuntimeHandle runtime, REFIID riid,
					  void **ppv);

/**
 * Says what JsCollectGarbage runs.
 *
 * @param runtime   the runtime.
 * @param callback  takes the place of the one before; NULL = nothing.
 * @param state     handed to it; may be NULL.
 *
 * Owner:   the state must live until the callback is replaced or the runtime disposed.
 * Threads: any, also from callbacks.
 * Errors:  E_INVALIDARG   runtime is NULL
 *          E_OUTOFMEMORY  no memory to remember it
 * Source:  ours.
 */
HOSTMEM_API HRESULT HostMemRuntimeSetCollector(JsRuntimeHandle runtime,
					       HostMemCollectCallback callback,
					       void *state);

HOSTMEM_STATIC_ASSERT(sizeof(JsErrorCode) == 4, "enums have 32 bits");
HOSTMEM_STATIC_ASSERT(sizeof(bool) == 1, "bool has 8 bits");

#endif /* HOSTMEM_JSRT_H */
