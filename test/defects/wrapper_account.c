/*
 * The wrapper's IHostMemoryControl: the budget, the account, and who hears of events.
 *
 * Each subscriber is wrapped.  Its record is never freed before the process ends, because a
 * call of it may be under way when it unsubscribes.
 */
#include "wrapper.h"

#include <stdlib.h>
#include <string.h>

WRAPPER_FACE(IHostMemoryControl, account)

struct subscription {
	struct subscription *older;
	HostMemEventCallback callback;
	void *state;
	uint64_t cookie; /* 0: it has ended; guarded by the wrapper's lock */
	_Atomic(bool) heard;
};

/* ---- Events ---- */

static bool is_swallowed(struct subscription *self, const HostMemEvent *event)
{
	bool first = !atomic_exchange(&self->heard, true);

	if (defect("event-free-missing") && event->type == HostMemEventFree)
		return true;
	if (defect("event-failure-missing") && event->type == HostMemEventFailure)
		return true;
	if (defect("event-decommit-missing") && event->operation == HostMemDecommit)
		return true;
	return defect("event-first-missing") && first;
}

static void spoil_event(HostMemEvent *event)
{
	if (defect("event-free-before-free") && event->type == HostMemEventFree)
		event->cbCharged += event->size;
	if (defect("event-allocate-after-charge") && event->type == HostMemEventAllocate)
		event->cbCharged += event->size;
	if (defect("event-size-page-more"))
		event->size += PAGE;
	if (defect("event-of-commit-is-reserve") && event->operation == HostMemCommit)
		event->operation = HostMemReserve;
	if (defect("event-level-missing"))
		event->level = eTaskCritical;
	if (defect("event-request-not-numbered"))
		event->request = 1;
	if (defect("event-reason-missing"))
		event->reason = HostMemNoReason;
	if (defect("event-result-missing"))
		event->result = S_OK;
}

static BOOL HOSTMEM_CALL hear(void *state, const HostMemEvent *event)
{
	struct subscription *self = (struct subscription *)state;
	HostMemEvent spoilt = *event;
	BOOL answer;

	if (is_swallowed(self, event))
		return TRUE;
	spoil_event(&spoilt);
	if (defect("event-told-twice"))
		(void)self->callback(self->state, &spoilt);
	answer = self->callback(self->state, &spoilt);
	return defect("veto-ignored") ? TRUE : answer;
}

void wrapper_pretend(struct wrapper *self, const HostMemEvent *event)
{
	struct subscription *subscription;

	(void)pthread_mutex_lock(&self->lock);
	subscription = self->subscriptions;
	(void)pthread_mutex_unlock(&self->lock);
	for (; subscription != NULL; subscription = subscription->older) {
		if (subscription->cookie != 0)
			(void)subscription->callback(subscription->state, event);
	}
}

static HRESULT HOSTMEM_CALL account_Subscribe(IHostMemoryControl *self, DWORD mask,
					      HostMemEventCallback callback, void *state,
					      uint64_t *cookie)
{
	struct wrapper *wrapper = account_wrapper(self);
	struct subscription *subscription;
	HRESULT hr;

	if (defect("subscribe-mask-0-accepted") && mask == 0)
		mask = 1;
	if (defect("subscribe-mask-ignored") && mask != 0)
		mask |= 7;
	if (defect("subscribe-callback-not-timed"))
		mask &= ~HOSTMEM_TIME_CALLBACK;
	if (defect("subscribe-to-another-host"))
		wrapper = wrapper_newest(wrapper);
	if (callback == NULL || cookie == NULL)
		return IHostMemoryControl_Subscribe(wrapper->account, mask, callback,
						    state, cookie);
	subscription = (struct subscription *)calloc(1, sizeof(*subscription));
	if (subscription == NULL)
		return E_OUTOFMEMORY;
	subscription->callback = callback;
	subscription->state = state;
	(void)pthread_mutex_lock(&wrapper->lock);
	subscription->older = wrapper->subscriptions;
	wrapper->subscriptions = subscription;
	(void)pthread_mutex_unlock(&wrapper->lock);
	hr = IHostMemoryControl_Subscribe(wrapper->account, mask, hear, subscription,
					  cookie);
	(void)pthread_mutex_lock(&wrapper->lock);
	subscription->cookie = *cookie;
	(void)pthread_mutex_unlock(&wrapper->lock);
	return hr;
}

static HRESULT HOSTMEM_CALL account_Unsubscribe(IHostMemoryControl *self, uint64_t cookie)
{
	struct wrapper *wrapper = account_wrapper(self);
	struct subscription *subscription;
	HRESULT hr;

	if (defect("unsubscribe-does-nothing"))
		return S_OK;
	hr = IHostMemoryControl_Unsubscribe(wrapper->account, cookie);
	if (defect("unsubscribe-unknown-accepted") && hr == E_INVALIDARG)
		return S_OK;
	if (FAILED(hr))
		return hr;
	(void)pthread_mutex_lock(&wrapper->lock);
	for (subscription = wrapper->subscriptions; subscription != NULL;
	     subscription = subscription->older) {
		if (subscription->cookie == cookie)
			subscription->cookie = 0;
	}
	(void)pthread_mutex_unlock(&wrapper->lock);
	return hr;
}

/* ---- The budget and the account ---- */

static HRESULT HOSTMEM_CALL account_SetBudget(IHostMemoryControl *self,
					      const HostMemBudget *budget)
{
	struct wrapper *wrapper = account_wrapper(self);
	HostMemBudget spoilt;
	HRESULT hr;

	if (defect("set-budget-does-nothing"))
		return S_OK;
	if (budget == NULL || budget->cbSize != sizeof(spoilt))
		return IHostMemoryControl_SetBudget(wrapper->account, budget);
	spoilt = *budget;
	if (defect("budget-page-more") && spoilt.cbLimit < SIZE_MAX - PAGE)
		spoilt.cbLimit += PAGE;
	if (defect("budget-page-less") && spoilt.cbLimit < SIZE_MAX - PAGE)
		spoilt.cbLimit -= PAGE;
	if (defect("budget-headroom-ignored"))
		memset(spoilt.cbHeadroom, 0, sizeof(spoilt.cbHeadroom));
	if (defect("budget-soft-limit-ignored"))
		spoilt.cbSoftLimit = SIZE_MAX;
	if (defect("budget-waits-alike"))
		spoilt.msWait[1] = spoilt.msWait[2] = spoilt.msWait[0];
	if (defect("budget-stopped-at-gate") && wrapper->gates > 0)
		return HOST_E_TIMEOUT;
	if (defect("budget-largest-ignored"))
		memset(spoilt.cbLargest, 0xFF, sizeof(spoilt.cbLargest));
	hr = IHostMemoryControl_SetBudget(wrapper->account, &spoilt);
	if (defect("bad-budget-accepted") && hr == E_INVALIDARG)
		hr = S_OK;
	return hr;
}

static HRESULT HOSTMEM_CALL account_GetBudget(IHostMemoryControl *self,
					      HostMemBudget *budget)
{
	HRESULT hr = IHostMemoryControl_GetBudget(account_wrapper(self)->account, budget);

	if (defect("get-budget-of-no-size-accepted") && hr == E_INVALIDARG)
		return S_OK;
	if (defect("get-budget-of-no-size-is-bad-length") && hr == E_INVALIDARG)
		return HOSTMEM_HRESULT_FROM_WIN32(ERROR_BAD_LENGTH);
	if (defect("budget-not-told") && hr == S_OK)
		budget->cbLimit = SIZE_MAX;
	return hr;
}

static HRESULT HOSTMEM_CALL account_GetUsage(IHostMemoryControl *self,
					     HostMemUsage *usage)
{
	struct wrapper *wrapper = account_wrapper(self);
	uint32_t size = usage != NULL ? usage->cbSize : 0;
	HRESULT hr;

	if (defect("usage-of-another-host"))
		wrapper = wrapper_newest(wrapper);
	if (defect("usage-ends-with-shutdown") && wrapper->ended)
		return HOST_E_CLRNOTAVAILABLE;
	if (defect("usage-size-not-looked-at") && usage != NULL)
		usage->cbSize = sizeof(*usage);
	hr = IHostMemoryControl_GetUsage(wrapper->account, usage);
	if (defect("usage-size-left") && hr == S_OK)
		usage->cbSize = size;
	if (defect("usage-of-no-size-is-bad-length") && hr == E_INVALIDARG)
		hr = HOSTMEM_HRESULT_FROM_WIN32(ERROR_BAD_LENGTH);
	if (defect("usage-of-no-size-accepted") && hr == E_INVALIDARG)
		hr = S_OK;
	if (FAILED(hr) || usage->cbSize < sizeof(*usage))
		return hr;
	if (defect("reserve-and-commit-both-charged"))
		usage->cbCharged += usage->cbReserved;
	if (defect("peak-is-charged"))
		usage->cbPeakCharged = usage->cbCharged;
	if (defect("reserved-not-counted"))
		usage->cbReserved = usage->cbCommitted;
	if (defect("refusals-not-counted"))
		usage->cRefusedBudget = 0;
	if (defect("blocks-not-counted"))
		usage->cBlocks = 0;
	return hr;
}

static HRESULT HOSTMEM_CALL account_SetReclaimer(IHostMemoryControl *self,
						 HostMemReclaimCallback callback,
						 void *state)
{
	if (defect("reclaimer-not-heeded"))
		return S_OK;
	return IHostMemoryControl_SetReclaimer(account_wrapper(self)->account, callback,
					       state);
}

/* ---- The rest ---- */

static HRESULT HOSTMEM_CALL account_NotifyMemory(IHostMemoryControl *self,
						 EMemoryAvailable available)
{
	if (defect("notify-0-accepted") && available == 0)
		return S_OK;
	if (defect("notify-does-nothing"))
		return S_OK;
	return IHostMemoryControl_NotifyMemory(account_wrapper(self)->account, available);
}

static HRESULT HOSTMEM_CALL account_EnterGate(IHostMemoryControl *self, DWORD ms)
{
	struct wrapper *wrapper = account_wrapper(self);
	HRESULT hr;

	if (defect("gate-stays-open"))
		return S_OK;
	hr = IHostMemoryControl_EnterGate(wrapper->account, ms);
	wrapper->gates += hr == S_OK;
	return hr;
}

static HRESULT HOSTMEM_CALL account_LeaveGate(IHostMemoryControl *self)
{
	struct wrapper *wrapper = account_wrapper(self);
	HRESULT hr = IHostMemoryControl_LeaveGate(wrapper->account);

	wrapper->gates -= hr == S_OK;
	if (defect("gate-left-by-anybody") && hr == HOST_E_NOT_OWNER)
		hr = S_OK;
	return hr;
}

struct walk {
	HostMemRegionCallback callback;
	void *state;
};

struct snapshot {
	MEMORY_BASIC_INFORMATION runs[64];
	size_t count;
};

static BOOL HOSTMEM_CALL note(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	struct snapshot *all = (struct snapshot *)state;

	all->runs[all->count++] = *run;
	return all->count < sizeof(all->runs) / sizeof(all->runs[0]);
}

static BOOL HOSTMEM_CALL step(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	const struct walk *walk = (const struct walk *)state;

	if (defect("walk-skips-reserved") && run->State == MEM_RESERVE)
		return TRUE;
	if (defect("walk-does-not-end"))
		return (void)walk->callback(walk->state, run), TRUE;
	return walk->callback(walk->state, run);
}

/* Looks at all first, and then tells of what it saw. */
static HRESULT walk_later(struct wrapper *self, HostMemRegionCallback callback,
			  void *state)
{
	struct snapshot all = { .count = 0 };
	HRESULT hr = IHostMemoryControl_WalkRegions(self->account, note, &all);

	for (size_t i = 0; i < all.count && callback(state, &all.runs[i]); i++)
		continue;
	return hr;
}

static HRESULT HOSTMEM_CALL account_WalkRegions(IHostMemoryControl *self,
						HostMemRegionCallback callback,
						void *state)
{
	struct wrapper *wrapper = account_wrapper(self);
	struct walk walk = { callback, state };
	HRESULT hr;

	if (defect("walk-without-callback-is-e-invalidarg") && callback == NULL)
		return E_INVALIDARG;
	if (defect("walk-without-callback-is-ok") && callback == NULL)
		return S_OK;
	if (defect("walk-of-another-host"))
		wrapper = wrapper_newest(wrapper);
	if (callback == NULL)
		return IHostMemoryControl_WalkRegions(wrapper->account, NULL, NULL);
	if (defect("walk-of-a-snapshot"))
		return walk_later(wrapper, callback, state);
	if (wrapper_walks_under_lock())
		wrapper_enter(wrapper);
	hr = IHostMemoryControl_WalkRegions(wrapper->account, step, &walk);
	if (wrapper_walks_under_lock())
		wrapper_leave(wrapper);
	return hr;
}

static HRESULT HOSTMEM_CALL account_Shutdown(IHostMemoryControl *self)
{
	HRESULT hr;

	if (defect("shutdown-does-nothing"))
		return S_OK;
	hr = IHostMemoryControl_Shutdown(account_wrapper(self)->account);
	account_wrapper(self)->ended = true;
	if (defect("second-shutdown-accepted"))
		hr = S_OK;
	return hr;
}

struct search {
	const void *address;
	bool found;
};

static BOOL HOSTMEM_CALL compare(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	struct search *search = (struct search *)state;

	search->found = (uintptr_t)search->address - (uintptr_t)run->BaseAddress <
			run->RegionSize;
	return !search->found;
}

bool wrapper_owns(struct wrapper *self, const void *address)
{
	struct search search = { address, false };

	(void)IHostMemoryControl_WalkRegions(self->account, compare, &search);
	return search.found;
}

const IHostMemoryControlVtbl wrapper_account_table = {
	.QueryInterface = account_QueryInterface,
	.AddRef = account_AddRef,
	.Release = account_Release,
	.SetBudget = account_SetBudget,
	.GetBudget = account_GetBudget,
	.GetUsage = account_GetUsage,
	.Subscribe = account_Subscribe,
	.Unsubscribe = account_Unsubscribe,
	.SetReclaimer = account_SetReclaimer,
	.NotifyMemory = account_NotifyMemory,
	.EnterGate = account_EnterGate,
	.LeaveGate = account_LeaveGate,
	.WalkRegions = account_WalkRegions,
	.Shutdown = account_Shutdown,
};
