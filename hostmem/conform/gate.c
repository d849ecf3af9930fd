/*
 * Cases about the gate: who holds the host still, and who then waits.
 *
 * What another thread does at a closed gate is asked in virtual time where its wait has a
 * limit, since it is over at once there; a free, which has none, is let through before the case
 * ends.
 */
#include "areas.h"
#include "control.h"

#include <string.h>

enum { PATIENCE_MS = 3000, TOUCH_MS = 20 };

/* What another thread does, and what it was answered. */
struct visitor {
	struct hm_trial *t;
	IHostMemoryControl *control;
	void (*act)(struct visitor *visitor);
	void *base;
	_Atomic HRESULT result;
	_Atomic bool begun, returned;
};

static void visit(void *state)
{
	struct visitor *visitor = (struct visitor *)state;

	visitor->begun = true;
	visitor->act(visitor);
	visitor->returned = true;
}

/* Until it is in the call, as far as that can be known; it is not to come through. */
static void let_it_wait(struct hm_trial *t, const struct visitor *visitor)
{
	for (unsigned ms = 0; !visitor->begun && ms < PATIENCE_MS; ms++)
		hm_pause(1);
	hm_pause(TOUCH_MS);
	CHECK(t, visitor->begun && !visitor->returned);
}

/* In a thread of its own, to the end. */
static HRESULT ask_elsewhere(struct hm_trial *t, IHostMemoryControl *control,
			     void (*act)(struct visitor *visitor), void *base)
{
	static struct visitor visitor;
	struct hm_helper *helper;

	memset(&visitor, 0, sizeof(visitor));
	visitor.t = t;
	visitor.control = control;
	visitor.act = act;
	visitor.base = base;
	helper = hm_start(t, visit, &visitor);
	if (helper == NULL || !CHECK(t, hm_helper_ends(helper, PATIENCE_MS)))
		return E_UNEXPECTED;
	return visitor.result;
}

static void try_to_enter(struct visitor *visitor)
{
	visitor->result = IHostMemoryControl_EnterGate(visitor->control, 0);
	if (visitor->result == S_OK)
		(void)IHostMemoryControl_LeaveGate(visitor->control);
}

static void leave(struct visitor *visitor)
{
	visitor->result = IHostMemoryControl_LeaveGate(visitor->control);
}

/* ---- One owner ---- */

static void it_nests(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);

	if (control == NULL)
		return;
	CHECK_HR(t, IHostMemoryControl_LeaveGate(control), HOST_E_NOT_OWNER);
	for (unsigned depth = 1; depth <= 3; depth++) {
		hm_row(t, "entered %u times", depth);
		CHECK_HR(t, IHostMemoryControl_EnterGate(control, depth % 2 * 1000),
			 S_OK);
		CHECK_HR(t, ask_elsewhere(t, control, try_to_enter, NULL),
			 HOST_E_TIMEOUT);
		CHECK_HR(t, ask_elsewhere(t, control, leave, NULL), HOST_E_NOT_OWNER);
	}
	for (unsigned depth = 3; depth >= 1; depth--) {
		hm_row(t, "%u to leave", depth);
		CHECK_HR(t, ask_elsewhere(t, control, try_to_enter, NULL),
			 HOST_E_TIMEOUT);
		CHECK_HR(t, IHostMemoryControl_LeaveGate(control), S_OK);
	}
	hm_row(t, "open");
	CHECK_HR(t, ask_elsewhere(t, control, try_to_enter, NULL), S_OK);
	CHECK_HR(t, IHostMemoryControl_LeaveGate(control), HOST_E_NOT_OWNER);
}

static void its_owner_passes(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	IHostMalloc *heap = control != NULL ? hm_heap(t) : NULL;
	void *base, *block = NULL;

	if (heap == NULL || !CHECK_HR(t, IHostMemoryControl_EnterGate(control, 0), S_OK))
		return;
	base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);
	if (base != NULL) {
		(void)hm_commit(t, base, HM_GRANULE, PAGE_READWRITE);
		(void)hm_protect(t, base, HM_PAGE, PAGE_READONLY, PAGE_READWRITE);
		(void)hm_decommit(t, base, HM_PAGE);
		(void)hm_give(t, base);
	}
	CHECK_HR(t, IHostMalloc_Alloc(heap, 64 * HM_PAGE, eTaskCritical, &block), S_OK);
	CHECK_HR(t, IHostMalloc_Free(heap, block), S_OK);
	CHECK_HR(t, IHostMemoryControl_LeaveGate(control), S_OK);
	(void)IHostMalloc_Release(heap);
}

/* Nobody else could give memory back meanwhile. */
static void its_owner_never_waits_for_memory(struct hm_trial *t)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	IHostMemoryControl *control = hm_control(t);
	unsigned long long begun = hm_now_ms();

	if (control == NULL ||
	    !CHECK_HR(t, IHostMemoryControl_EnterGate(control, 0), S_OK))
		return;
	budget.cbLimit = HM_PAGE;
	for (size_t i = 0; i < 3; i++)
		budget.msWait[i] = 20000;
	(void)hm_set_budget(t, control, &budget);
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
	CHECK(t, hm_now_ms() - begun < 20000);
	CHECK_HR(t, IHostMemoryControl_LeaveGate(control), S_OK);
}

/* ---- At a closed gate ---- */

static void allocate(struct visitor *visitor)
{
	visitor->result = IHostMemoryManager_VirtualAlloc(visitor->t->memory, NULL,
							  HM_PAGE, HM_BOTH,
							  PAGE_READWRITE, eTaskCritical,
							  &visitor->base);
}

static void commit(struct visitor *visitor)
{
	void *out;

	visitor->result = IHostMemoryManager_VirtualAlloc(visitor->t->memory,
							  visitor->base, 2 * HM_PAGE,
							  MEM_COMMIT, PAGE_READWRITE,
							  eTaskCritical, &out);
}

static void protect(struct visitor *visitor)
{
	DWORD old;

	visitor->result = IHostMemoryManager_VirtualProtect(visitor->t->memory,
							    visitor->base, HM_PAGE,
							    PAGE_READONLY, &old);
}

static void what_has_a_limit_times_out(struct hm_trial *t)
{
	static const struct {
		const char *name;
		void (*act)(struct visitor *visitor);
	} rows[] = {
		{ "VirtualAlloc", allocate },
		{ "VirtualAlloc of pages in a reservation", commit },
		{ "VirtualProtect", protect },
		{ "EnterGate", try_to_enter },
	};
	IHostMemoryControl *control = hm_control(t);
	struct hm_state before;
	void *base;

	if (control == NULL || hm_simulator(t) == NULL)
		return;
	base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);
	if (base == NULL || !hm_commit(t, base, HM_PAGE, PAGE_READWRITE) ||
	    !CHECK_HR(t, IHostMemoryControl_EnterGate(control, 0), S_OK))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "%s", rows[i].name);
		hm_look(t, &before);
		CHECK_HR(t, ask_elsewhere(t, control, rows[i].act, base), HOST_E_TIMEOUT);
		CHECK_UNCHANGED(t, &before);
	}
	CHECK_HR(t, IHostMemoryControl_LeaveGate(control), S_OK);
	hm_row(t, "open");
	CHECK_HR(t, ask_elsewhere(t, control, protect, base), S_OK);
}

static BOOL HOSTMEM_CALL see(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	(void)state;
	(void)run;
	return TRUE;
}

static BOOL HOSTMEM_CALL agree(void *state, const HostMemEvent *event)
{
	(void)state;
	(void)event;
	return TRUE;
}

static void call_all_that_passes(struct visitor *visitor)
{
	IHostMemoryControl *control = visitor->control;
	IHostMemoryManager *memory = visitor->t->memory;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	MEMORY_BASIC_INFORMATION run;
	uint64_t cookie = 0;
	SIZE_T length;
	DWORD load;
	HRESULT results[9];

	results[0] = IHostMemoryControl_SetBudget(control, &budget);
	results[1] = IHostMemoryControl_GetUsage(control, &usage);
	results[2] = IHostMemoryControl_Subscribe(control, 7, agree, NULL, &cookie);
	results[3] = IHostMemoryControl_Unsubscribe(control, cookie);
	results[4] = IHostMemoryControl_SetReclaimer(control, NULL, NULL);
	results[5] = IHostMemoryControl_WalkRegions(control, see, NULL);
	results[6] = IHostMemoryManager_VirtualQuery(memory, visitor->base, &run,
						     sizeof(run), &length);
	results[7] = IHostMemoryManager_GetMemoryLoad(memory, &load, &length);
	results[8] = IHostMemoryControl_NotifyMemory(control, eMemoryAvailableHigh);
	visitor->result = S_OK;
	for (size_t i = 0; i < HM_ROWS(results); i++) {
		if (results[i] != S_OK)
			visitor->result = results[i];
	}
}

static void what_changes_no_memory_passes(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	void *base;

	if (control == NULL || hm_simulator(t) == NULL)
		return;
	base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);
	if (base == NULL || !CHECK_HR(t, IHostMemoryControl_EnterGate(control, 0), S_OK))
		return;
	CHECK_HR(t, ask_elsewhere(t, control, call_all_that_passes, base), S_OK);
	CHECK_HR(t, IHostMemoryControl_LeaveGate(control), S_OK);
}

static void release(struct visitor *visitor)
{
	visitor->result = IHostMemoryManager_VirtualFree(visitor->t->memory,
							 visitor->base, 0, MEM_RELEASE);
}

static void a_free_waits_until_it_is_open(struct hm_trial *t)
{
	static struct visitor visitor;
	IHostMemoryControl *control = hm_control(t);
	struct hm_helper *helper;

	if (control == NULL)
		return;
	memset(&visitor, 0, sizeof(visitor));
	visitor.t = t;
	visitor.act = release;
	visitor.base = hm_take(t, NULL, HM_GRANULE, HM_BOTH, PAGE_READWRITE);
	if (visitor.base == NULL ||
	    !CHECK_HR(t, IHostMemoryControl_EnterGate(control, 0), S_OK))
		return;
	helper = hm_start(t, visit, &visitor);
	let_it_wait(t, &visitor);
	CHECK_RUN(t, visitor.base, MEM_COMMIT, PAGE_READWRITE, HM_GRANULE, visitor.base);
	CHECK(t, hm_can_write(visitor.base, 1));
	CHECK_HR(t, IHostMemoryControl_LeaveGate(control), S_OK);
	if (helper == NULL || !CHECK(t, hm_helper_ends(helper, PATIENCE_MS)))
		return;
	CHECK_HR(t, visitor.result, S_OK);
	hm_forget(t, visitor.base);
	CHECK_SIZE(t, hm_usage(t, control).cRegions, 0);
}

/* ---- Calls under way ---- */

static void try_the_gate(struct hm_recorder *recorder, const HostMemEvent *event)
{
	struct hm_trial *t = recorder->t;

	(void)event;
	hm_row(t, "another thread, while this one is in a callback");
	CHECK_HR(t, ask_elsewhere(t, recorder->control, try_to_enter, NULL),
		 HOST_E_TIMEOUT);
	hm_row(t, "this thread, inside its own callback");
	CHECK_HR(t, IHostMemoryControl_EnterGate(recorder->control, 0), S_OK);
	CHECK_HR(t, IHostMemoryControl_LeaveGate(recorder->control), S_OK);
}

static void calls_under_way_are_waited_for(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder recorder = { .then = try_the_gate };

	if (control == NULL || !hm_subscribe(&recorder, t, control, HM_ALLOCATE))
		return;
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, recorder.count, 1);
	hm_row(t, "when it is over");
	CHECK_HR(t, ask_elsewhere(t, control, try_to_enter, NULL), S_OK);
	hm_unsubscribe(&recorder);
}

static void enter(struct visitor *visitor)
{
	visitor->result = IHostMemoryControl_EnterGate(visitor->control, 20000);
}

static void the_end_of_the_host_ends_the_wait(struct hm_trial *t)
{
	static struct visitor visitor;
	IHostMemoryControl *control = hm_control(t);
	struct hm_helper *helper;

	if (control == NULL ||
	    !CHECK_HR(t, IHostMemoryControl_EnterGate(control, 0), S_OK))
		return;
	memset(&visitor, 0, sizeof(visitor));
	visitor.t = t;
	visitor.control = control;
	visitor.act = enter;
	helper = hm_start(t, visit, &visitor);
	let_it_wait(t, &visitor);
	CHECK_HR(t, IHostMemoryControl_Shutdown(control), S_OK);
	if (helper != NULL && CHECK(t, hm_helper_ends(helper, PATIENCE_MS)))
		CHECK_HR(t, visitor.result, HOST_E_ABANDONED);
	hm_row(t, "leaving works on");
	CHECK_HR(t, IHostMemoryControl_LeaveGate(control), S_OK);
	CHECK_HR(t, IHostMemoryControl_LeaveGate(control), HOST_E_NOT_OWNER);
}

static const struct hm_case cases[] = {
	{ "nests", HM_DOCUMENTED, "HM header: EnterGate, LeaveGate", it_nests,
	  HM_NO_GROUP },
	{ "owner", HM_DOCUMENTED, "HM header: EnterGate, the owner's own calls pass",
	  its_owner_passes, HM_NO_GROUP },
	{ "owner-never-waits", HM_DOCUMENTED,
	  "HM header: EnterGate, the owner never waits for memory",
	  its_owner_never_waits_for_memory, HM_NO_GROUP },
	{ "limited", HM_DOCUMENTED,
	  "HM header: EnterGate; in virtual time a wait with a limit ends at once",
	  what_has_a_limit_times_out, HM_NO_GROUP },
	{ "passes", HM_DOCUMENTED, "HM header: EnterGate, all else passes",
	  what_changes_no_memory_passes, HM_NO_GROUP },
	{ "free-waits", HM_DOCUMENTED, "HM header: EnterGate, frees wait without limit",
	  a_free_waits_until_it_is_open, HM_NO_GROUP },
	{ "under-way", HM_DOCUMENTED,
	  "HM header: EnterGate waits until no call of another thread is under way",
	  calls_under_way_are_waited_for, HM_NO_GROUP },
	{ "abandoned", HM_DOCUMENTED, "HM header: EnterGate, HOST_E_ABANDONED",
	  the_end_of_the_host_ends_the_wait, HM_NO_GROUP },
};

const struct hm_area hm_area_gate = HM_AREA("gate", cases);
