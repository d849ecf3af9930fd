/*
 * The words of cases for a host's own interfaces: accounts, budgets, subscribers.
 *
 * Each case begins with a budget without limits, whatever the host was made with, and with
 * virtual time wherever something could be waited for: then nothing depends on the machine,
 * and no case waits.
 */
#include "control.h"

#include <string.h>

/* Longer than any of these calls takes; only a host that is wrong is waited for so long. */
enum { PATIENCE_MS = 2000 };

/* ---- Faces ---- */

IHostMemoryControl *hm_control(struct hm_trial *t)
{
	IHostMemoryControl *control =
		(IHostMemoryControl *)hm_need(t, &IID_IHostMemoryControl,
					      "IHostMemoryControl");
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	if (control == NULL)
		return NULL;
	CHECK_HR(t, IHostMemoryControl_GetBudget(control, &budget), S_OK);
	if ((budget.dwFlags & HOSTMEM_CHARGE_RESERVE) != 0) {
		hm_skip(t, "the host charges what is reserved");
		return NULL;
	}
	return hm_limit(t, control, SIZE_MAX) ? control : NULL;
}

IHostMemorySimulator *hm_simulator(struct hm_trial *t)
{
	IHostMemorySimulator *simulator =
		(IHostMemorySimulator *)hm_need(t, &IID_IHostMemorySimulator,
						"IHostMemorySimulator");

	if (simulator != NULL &&
	    !CHECK_HR(t, IHostMemorySimulator_SetVirtualTime(simulator, TRUE), S_OK))
		return NULL;
	return simulator;
}

IHostMemoryPages *hm_pages(struct hm_trial *t)
{
	return (IHostMemoryPages *)hm_need(t, &IID_IHostMemoryPages, "IHostMemoryPages");
}

IHostMemoryMonitor *hm_monitor(struct hm_trial *t)
{
	return (IHostMemoryMonitor *)hm_need(t, &IID_IHostMemoryMonitor,
					     "IHostMemoryMonitor");
}

HostMemUsage hm_usage(struct hm_trial *t, IHostMemoryControl *control)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;

	CHECK_HR(t, IHostMemoryControl_GetUsage(control, &usage), S_OK);
	return usage;
}

bool hm_set_budget(struct hm_trial *t, IHostMemoryControl *control,
		   const HostMemBudget *budget)
{
	return CHECK_HR(t, IHostMemoryControl_SetBudget(control, budget), S_OK);
}

bool hm_limit(struct hm_trial *t, IHostMemoryControl *control, size_t limit)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.cbLimit = limit;
	return hm_set_budget(t, control, &budget);
}

IHostMalloc *hm_heap(struct hm_trial *t)
{
	IHostMalloc *heap = NULL;

	CHECK_HR(t, IHostMemoryManager_CreateMalloc(t->memory, MALLOC_THREADSAFE, &heap),
		 S_OK);
	return CHECK(t, heap != NULL) ? heap : NULL;
}

void *hm_grant(struct hm_trial *t, size_t pages, EMemoryCriticalLevel level, HRESULT want)
{
	void *base;

	CHECK_HR(t,
		 hm_alloc(t, NULL, pages * HM_PAGE, HM_BOTH, PAGE_READWRITE, level,
			  &base),
		 want);
	if (base != NULL)
		hm_keep(t, base);
	return base;
}

/* xorshift64* of Marsaglia and Vigna. */
uint64_t hm_next(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (*seed * 0x2545F4914F6CDD1D) >> 16;
}

/* ---- Subscribers ---- */

static BOOL HOSTMEM_CALL hear(void *state, const HostMemEvent *event)
{
	struct hm_recorder *recorder = (struct hm_recorder *)state;
	HostMemEvent *slot = &recorder->events[recorder->count++ % HM_EVENTS];

	CHECK(recorder->t, event->cbSize >= offsetof(HostMemEvent, cbWithdrawn));
	memset(slot, 0, sizeof(*slot));
	memcpy(slot, event,
	       event->cbSize < sizeof(*slot) ? event->cbSize : sizeof(*slot));
	if (recorder->then != NULL)
		recorder->then(recorder, event);
	return recorder->refuse && event->type == HostMemEventAllocate ? FALSE : TRUE;
}

bool hm_subscribe(struct hm_recorder *recorder, struct hm_trial *t,
		  IHostMemoryControl *control, DWORD mask)
{
	recorder->t = t;
	recorder->control = control;
	CHECK_HR(t,
		 IHostMemoryControl_Subscribe(control, mask, hear, recorder,
					      &recorder->cookie),
		 S_OK);
	return CHECK(t, recorder->cookie != 0);
}

void hm_unsubscribe(struct hm_recorder *recorder)
{
	CHECK_HR(recorder->t,
		 IHostMemoryControl_Unsubscribe(recorder->control, recorder->cookie),
		 S_OK);
}

const HostMemEvent *hm_event(const struct hm_recorder *recorder, unsigned index)
{
	static const HostMemEvent none;

	return index < recorder->count && recorder->count - index <= HM_EVENTS
		       ? &recorder->events[index % HM_EVENTS]
		       : &none;
}

bool hm_check_event(struct hm_trial *t, const HostMemEvent *event, HostMemEventType type,
		    HostMemOperation operation, size_t size, const char *file, int line)
{
	bool same = hm_check_size(t, event->type, type, "type", file, line);

	same &= hm_check_size(t, event->operation, operation, "operation", file, line);
	same &= hm_check_size(t, event->size, size, "size", file, line);
	same &= hm_check(t, event->request != 0, "request is not 0", file, line);
	if (type == HostMemEventFailure)
		return same;
	same &= hm_check_size(t, event->reason, HostMemNoReason, "reason", file, line);
	return same & hm_check_hr(t, event->result, S_OK, "result", file, line);
}

/* ---- No lock is held ---- */

/* Its checks are counted and not made: they are another thread's, inside of a row. */
static void call_all(void *state)
{
	struct hm_bystander *bystander = (struct hm_bystander *)state;
	IHostMemoryManager *memory = bystander->t->memory;
	MEMORY_BASIC_INFORMATION run;
	unsigned failed = 0;
	void *base = NULL, *block = NULL;
	SIZE_T length;
	DWORD old;

	failed += IHostMemoryManager_VirtualAlloc(memory, NULL, HM_GRANULE, MEM_RESERVE,
						  PAGE_READWRITE, eTaskCritical,
						  &base) != S_OK;
	failed += IHostMemoryManager_VirtualAlloc(memory, base, HM_PAGE, MEM_COMMIT,
						  PAGE_READWRITE, eTaskCritical,
						  &base) != S_OK;
	failed += IHostMemoryManager_VirtualQuery(memory, base, &run, sizeof(run),
						  &length) != S_OK;
	failed += IHostMemoryManager_VirtualProtect(memory, base, HM_PAGE, PAGE_READONLY,
						    &old) != S_OK;
	failed += IHostMemoryManager_VirtualFree(memory, base, HM_PAGE, MEM_DECOMMIT) !=
		  S_OK;
	failed += IHostMemoryManager_VirtualFree(memory, base, 0, MEM_RELEASE) != S_OK;
	if (bystander->heap != NULL) {
		failed += IHostMalloc_Alloc(bystander->heap, 64 * HM_PAGE, eTaskCritical,
					    &block) != S_OK;
		failed += IHostMalloc_Free(bystander->heap, block) != S_OK;
	}
	bystander->failed = failed;
}

void hm_let_others_call(struct hm_bystander *bystander)
{
	struct hm_helper *helper;

	bystander->busy = true;
	helper = hm_start(bystander->t, call_all, bystander);
	if (helper != NULL && CHECK(bystander->t, hm_helper_ends(helper, PATIENCE_MS)))
		CHECK_SIZE(bystander->t, bystander->failed, 0);
	bystander->busy = false;
}
