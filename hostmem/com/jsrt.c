/*
 * JSRT-like functions: Chakra's memory interface in front of a host.
 *
 * A library of its own, because its names are Chakra's and a program may link Chakra as
 * well.  It is a client of libhostmem like any other: a runtime is a host that it made,
 * one subscription to all events of that host, and three slots for callbacks (slot.c).
 * The subscription lasts as long as the host, whether there is a memory callback or not,
 * so that a callback can be replaced without a moment in which an event goes to nobody or
 * to both; the price is a call that finds the slot empty where nobody listens.
 *
 * An event of the host tells much more than the three arguments of a memory callback.  The
 * translation has to keep a plain counter right: add on allocate, subtract on free and on
 * failure.  A host that tries a request again announces it again, and the new
 * announcement replaces the old one; the counter would add both.  So the old one is shown
 * as having failed first, which is also what Chakra shows when it collects and tries
 * again.  How much that was, the event says (`cbWithdrawn`).  Remembering it here was
 * rejected: it would be one figure for each request under way, on each thread, as deep as
 * requests nest; and a request that is granted ends without an event, so nothing could
 * ever be forgotten.
 *
 * A refusal by the limit is shown as Chakra does it, a failure without an allocate event;
 * with HOSTMEM_ANNOUNCE_ALWAYS the host sends both, and here is nothing to do.
 *
 * The end.  Free events have to come until JsDisposeRuntime returns, but there is no
 * event that says "this was the last", and what they are told through must not be gone
 * before it.  If others hold references, the host will outlive the call: then the
 * subscription ends first, and with it all events; likewise if nothing is charged, since
 * what may come then is no free event.  If not, the host ends in our Release,
 * unless this thread is inside a callback of another subscriber, in which case it ends a
 * moment later.  What is still to come is known: the sum of events is the usage.  So the
 * runtime goes with the free event that brings this sum to zero.
 *
 * Locks: none.  No callback runs inside anything that must not be re-entered.
 */
#include "slot.h"

#include "abi/hostmem.h"
#include "abi/jsrt.h"

#include <stddef.h>
#include <stdlib.h>

#define EVERY_EVENT \
	(1U << HostMemEventAllocate | 1U << HostMemEventFree | 1U << HostMemEventFailure)
#define EVERY_ATTRIBUTE 0x1FFU

struct runtime {
	IHostMemoryControl *control;
	uint64_t cookie;
	struct hm_slot memory;         /* JsMemoryAllocationCallback */
	struct hm_slot before_collect; /* JsBeforeCollectCallback */
	struct hm_slot collector;      /* HostMemCollectCallback */
	_Atomic bool ending;
	/* While it ends: bytes whose free events are to come, and one for JsDisposeRuntime. */
	_Atomic size_t owed;
};

static JsErrorCode error_of(HRESULT hr)
{
	if (SUCCEEDED(hr))
		return JsNoError;
	return hr == E_OUTOFMEMORY ? JsErrorOutOfMemory : JsErrorFatal;
}

static void destroy(struct runtime *runtime)
{
	hm_slot_destroy(&runtime->memory);
	hm_slot_destroy(&runtime->before_collect);
	hm_slot_destroy(&runtime->collector);
	free(runtime);
}

static void settle(struct runtime *runtime, size_t size)
{
	if (atomic_fetch_sub(&runtime->owed, size) == size)
		destroy(runtime);
}

/* The callback's answer, or yes if there is none. */
static bool show(struct runtime *runtime, JsMemoryEventType type, size_t size)
{
	struct hm_slot_call call;
	bool answer;

	if (!hm_slot_enter(&runtime->memory, runtime, &call))
		return true;
	answer = ((JsMemoryAllocationCallback)call.function)(call.state, type, size);
	hm_slot_leave(&call);
	return answer;
}

static BOOL HOSTMEM_CALL memory_event(void *state, const HostMemEvent *event)
{
	struct runtime *runtime = (struct runtime *)state;

	switch (event->type) {
	case HostMemEventAllocate:
		if (event->cbWithdrawn != 0)
			(void)show(runtime, JsMemoryFailure, event->cbWithdrawn);
		return show(runtime, JsMemoryAllocate, event->size);
	case HostMemEventFree:
		(void)show(runtime, JsMemoryFree, event->size);
		if (atomic_load(&runtime->ending))
			settle(runtime, event->size);
		return TRUE;
	case HostMemEventFailure:
		(void)show(runtime, JsMemoryFailure,
			   event->announced ? event->cbWithdrawn : event->size);
		return TRUE;
	}
	return TRUE;
}

static HRESULT create_host(struct runtime *runtime)
{
	void *control;
	HRESULT hr = HostMemCreate(NULL, &IID_IHostMemoryControl, &control);

	if (FAILED(hr))
		return hr;
	runtime->control = (IHostMemoryControl *)control;
	hr = IHostMemoryControl_Subscribe(runtime->control, EVERY_EVENT, memory_event,
					  runtime, &runtime->cookie);
	if (FAILED(hr))
		IHostMemoryControl_Release(runtime->control);
	return hr;
}

JsErrorCode JsCreateRuntime(JsRuntimeAttributes attributes,
			    JsThreadServiceCallback threadService,
			    JsRuntimeHandle *runtime)
{
	struct runtime *created;
	HRESULT hr;

	(void)threadService;
	if (runtime == NULL)
		return JsErrorNullArgument;
	*runtime = JS_INVALID_RUNTIME_HANDLE;
	if ((uint32_t)attributes & ~EVERY_ATTRIBUTE)
		return JsErrorInvalidArgument;
	hr = hm_slot_prepare();
	if (FAILED(hr))
		return error_of(hr);

	created = calloc(1, sizeof(*created));
	if (created == NULL)
		return JsErrorOutOfMemory;
	hr = create_host(created);
	if (FAILED(hr)) {
		free(created);
		return error_of(hr);
	}
	*runtime = created;
	return JsNoError;
}

static size_t charged(IHostMemoryControl *control)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;

	(void)IHostMemoryControl_GetUsage(control, &usage);
	return usage.cbCharged;
}

/* Nobody but us can make it more, so it stays true. */
static bool is_last_reference(IHostMemoryControl *control)
{
	IHostMemoryControl_AddRef(control);
	return IHostMemoryControl_Release(control) == 1;
}

JsErrorCode JsDisposeRuntime(JsRuntimeHandle handle)
{
	struct runtime *runtime = (struct runtime *)handle;
	IHostMemoryControl *control;
	size_t owed;

	if (runtime == NULL)
		return JsErrorInvalidArgument;
	if (hm_slot_is_inside(runtime, NULL))
		return JsErrorRuntimeInUse;
	control = runtime->control;
	/* It may have been shut down already, or have failed: the end is the same. */
	(void)IHostMemoryControl_Shutdown(control);
	owed = charged(control);
	if (owed == 0 || !is_last_reference(control)) {
		(void)IHostMemoryControl_Unsubscribe(control, runtime->cookie);
		IHostMemoryControl_Release(control);
		destroy(runtime);
		return JsNoError;
	}
	atomic_store(&runtime->owed, owed + 1);
	atomic_store(&runtime->ending, true);
	IHostMemoryControl_Release(control);
	(void)hm_slot_set(&runtime->memory, NULL, NULL);
	settle(runtime, 1);
	return JsNoError;
}

JsErrorCode JsGetRuntimeMemoryUsage(JsRuntimeHandle handle, size_t *memoryUsage)
{
	struct runtime *runtime = (struct runtime *)handle;

	if (runtime == NULL)
		return JsErrorInvalidArgument;
	if (memoryUsage == NULL)
		return JsErrorNullArgument;
	*memoryUsage = charged(runtime->control);
	return JsNoError;
}

JsErrorCode JsGetRuntimeMemoryLimit(JsRuntimeHandle handle, size_t *memoryLimit)
{
	struct runtime *runtime = (struct runtime *)handle;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	HRESULT hr;

	if (runtime == NULL)
		return JsErrorInvalidArgument;
	if (memoryLimit == NULL)
		return JsErrorNullArgument;
	*memoryLimit = 0;
	hr = IHostMemoryControl_GetBudget(runtime->control, &budget);
	if (FAILED(hr))
		return error_of(hr);
	*memoryLimit = budget.cbLimit;
	return JsNoError;
}

JsErrorCode JsSetRuntimeMemoryLimit(JsRuntimeHandle handle, size_t memoryLimit)
{
	struct runtime *runtime = (struct runtime *)handle;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	HRESULT hr;

	if (runtime == NULL)
		return JsErrorInvalidArgument;
	hr = IHostMemoryControl_GetBudget(runtime->control, &budget);
	if (FAILED(hr))
		return error_of(hr);
	budget.cbLimit = memoryLimit;
	/* A limit can always be set; more room than there is cannot be kept free. */
	for (size_t level = 0; level < 3; level++) {
		if (budget.cbHeadroom[level] > memoryLimit)
			budget.cbHeadroom[level] = memoryLimit;
	}
	return error_of(IHostMemoryControl_SetBudget(runtime->control, &budget));
}

JsErrorCode JsSetRuntimeMemoryAllocationCallback(
	JsRuntimeHandle handle, void *callbackState,
	JsMemoryAllocationCallback allocationCallback)
{
	struct runtime *runtime = (struct runtime *)handle;

	if (runtime == NULL)
		return JsErrorInvalidArgument;
	return error_of(hm_slot_set(&runtime->memory,
				    (hm_slot_function)allocationCallback, callbackState));
}

JsErrorCode JsSetRuntimeBeforeCollectCallback(
	JsRuntimeHandle handle, void *callbackState,
	JsBeforeCollectCallback beforeCollectCallback)
{
	struct runtime *runtime = (struct runtime *)handle;

	if (runtime == NULL)
		return JsErrorInvalidArgument;
	return error_of(hm_slot_set(&runtime->before_collect,
				    (hm_slot_function)beforeCollectCallback,
				    callbackState));
}

/* Calls a callback that takes its state and nothing else. */
static void run(struct runtime *runtime, struct hm_slot *slot)
{
	struct hm_slot_call call;

	if (!hm_slot_enter(slot, runtime, &call))
		return;
	((HostMemCollectCallback)call.function)(call.state);
	hm_slot_leave(&call);
}

JsErrorCode JsCollectGarbage(JsRuntimeHandle handle)
{
	struct runtime *runtime = (struct runtime *)handle;

	if (runtime == NULL)
		return JsErrorInvalidArgument;
	/* A collector that runs short itself asks for what it is about to do. */
	if (hm_slot_is_inside(runtime, &runtime->before_collect) ||
	    hm_slot_is_inside(runtime, &runtime->collector))
		return JsNoError;
	run(runtime, &runtime->before_collect);
	run(runtime, &runtime->collector);
	return JsNoError;
}

HRESULT HostMemRuntimeGetHost(JsRuntimeHandle handle, REFIID riid, void **ppv)
{
	struct runtime *runtime = (struct runtime *)handle;

	if (ppv == NULL)
		return E_POINTER;
	*ppv = NULL;
	if (riid == NULL)
		return E_POINTER;
	if (runtime == NULL)
		return E_INVALIDARG;
	return IHostMemoryControl_QueryInterface(runtime->control, riid, ppv);
}

HRESULT HostMemRuntimeSetCollector(JsRuntimeHandle handle,
				   HostMemCollectCallback callback, void *state)
{
	struct runtime *runtime = (struct runtime *)handle;

	if (runtime == NULL)
		return E_INVALIDARG;
	return hm_slot_set(&runtime->collector, (hm_slot_function)callback, state);
}
