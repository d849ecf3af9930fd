/*
 * Cases about what a runtime may do inside OnMemoryNotification, which is everything.
 */
#include "areas.h"
#include "told.h"

static BOOL HOSTMEM_CALL see(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	(void)run;
	++*(unsigned *)state;
	return TRUE;
}

static void call_everything(struct hm_listener *listener, EMemoryAvailable available)
{
	struct hm_told *told = (struct hm_told *)listener->state;
	struct hm_trial *t = told->t;
	IHostMalloc *heap = hm_heap(t);
	struct hm_recorder recorder = { .refuse = false };
	void *base, *block = NULL;
	unsigned runs = 0;
	DWORD load;
	SIZE_T free_bytes;

	(void)available;
	base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);
	if (base == NULL || heap == NULL ||
	    !hm_subscribe(&recorder, t, told->control, HM_ALL_EVENTS))
		return;
	(void)hm_commit(t, base, 2 * HM_PAGE, PAGE_READWRITE);
	(void)hm_protect(t, base, HM_PAGE, PAGE_READONLY, PAGE_READWRITE);
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READONLY, HM_PAGE, base);
	CHECK_HR(t, IHostMemoryManager_GetMemoryLoad(t->memory, &load, &free_bytes),
		 S_OK);
	CHECK_HR(t, IHostMemoryControl_WalkRegions(told->control, see, &runs), S_OK);
	CHECK(t, runs >= 3);
	CHECK_HR(t, IHostMalloc_Alloc(heap, 64 * HM_PAGE, eTaskCritical, &block), S_OK);
	CHECK_HR(t, IHostMalloc_Free(heap, block), S_OK);
	(void)IHostMalloc_Release(heap);
	CHECK_HR(t, IHostMemoryControl_EnterGate(told->control, 0), S_OK);
	CHECK_HR(t, IHostMemoryControl_LeaveGate(told->control), S_OK);
	(void)hm_register(t, listener);
	(void)hm_give(t, base);
	CHECK(t, recorder.count >= 3);
	hm_unsubscribe(&recorder);
	told->calls++;
}

static void the_callback_may_call_everything(struct hm_trial *t)
{
	struct hm_told told;

	if (!hm_told_begin(&told, t))
		return;
	told.listener.then = call_everything;
	hm_notify(&told, HM_LOW);
	CHECK_HEARD(t, &told.listener, "1");
	CHECK_SIZE(t, told.calls, 1);
	CHECK_SIZE(t, hm_usage(t, told.control).cbCharged, 0);
	hm_told_end(&told);
}

static void notify_again(struct hm_listener *listener, EMemoryAvailable available)
{
	struct hm_told *told = (struct hm_told *)listener->state;
	unsigned count = listener->count;

	if (available != HM_LOW)
		return;
	hm_notify(told, HM_NEUTRAL);
	hm_notify(told, HM_HIGH);
	CHECK_SIZE(told->t, listener->count, count);
}

static void what_is_set_meanwhile_is_told_after_it(struct hm_trial *t)
{
	struct hm_told told;

	if (!hm_told_begin(&told, t))
		return;
	told.listener.then = notify_again;
	hm_notify(&told, HM_LOW);
	CHECK_HEARD(t, &told.listener, "13");
	hm_told_end(&told);
}

static void replace_itself(struct hm_listener *listener, EMemoryAvailable available)
{
	struct hm_told *told = (struct hm_told *)listener->state;

	(void)available;
	(void)hm_register(told->t, &told->other);
	/* The call under way still needs it. */
	CHECK_SIZE(told->t, listener->references, 2);
	CHECK_SIZE(told->t, told->other.references, 2);
	hm_notify(told, HM_NEUTRAL);
}

static void the_callback_may_be_replaced_inside(struct hm_trial *t)
{
	struct hm_told told;

	if (!hm_told_begin(&told, t))
		return;
	told.listener.then = replace_itself;
	hm_notify(&told, HM_LOW);
	CHECK_HEARD(t, &told.listener, "1");
	CHECK_SIZE(t, told.listener.references, 1);
	hm_notify(&told, HM_HIGH);
	CHECK_HEARD(t, &told.listener, "");
	CHECK(t, told.other.count >= 1 && told.other.count <= 2);
	hm_told_end(&told);
}

static void let_others(struct hm_listener *listener, EMemoryAvailable available)
{
	(void)available;
	hm_let_others_call(&((struct hm_told *)listener->state)->bystander);
}

static void no_lock_is_held(struct hm_trial *t)
{
	static struct hm_told told;

	if (!hm_told_begin(&told, t))
		return;
	told.listener.then = let_others;
	told.bystander.heap = hm_heap(t);
	hm_row(t, "NotifyMemory");
	hm_notify(&told, HM_LOW);
	hm_row(t, "SetMemoryLoad");
	CHECK_HR(t, IHostMemorySimulator_ClearAvailability(told.simulator), S_OK);
	CHECK_HR(t, IHostMemorySimulator_SetMemoryLoad(told.simulator, 100, 0), S_OK);
	CHECK(t, told.listener.count >= 2);
	told.listener.asked = told.listener.count;
	if (told.bystander.heap != NULL)
		(void)IHostMalloc_Release(told.bystander.heap);
	hm_told_end(&told);
}

static const struct hm_case cases[] = {
	{ "calls", HM_DOCUMENTED, "HM header: OnMemoryNotification, it may call anything",
	  the_callback_may_call_everything, HM_NO_GROUP },
	{ "set-meanwhile", HM_DOCUMENTED,
	  "HM header: OnMemoryNotification, told when this call has returned; the last",
	  what_is_set_meanwhile_is_told_after_it, HM_NO_GROUP },
	{ "replaced", HM_DOCUMENTED,
	  "HM header: RegisterMemoryNotificationCallback from inside a call",
	  the_callback_may_be_replaced_inside, HM_NO_GROUP },
	{ "no-lock", HM_DOCUMENTED, "HM header: OnMemoryNotification, with no lock held",
	  no_lock_is_held, HM_NO_GROUP },
};

const struct hm_area hm_area_notices_inside = HM_AREA("notices-inside", cases);
