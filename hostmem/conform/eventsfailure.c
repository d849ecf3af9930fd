/*
 * Cases about refusals as subscribers see them: who is asked, who hears of the failure, and
 * what a veto leaves.
 */
#include "areas.h"
#include "control.h"

enum { MOST = 4 };

/* Subscribers in the order of an array, each with a mask and an answer. */
struct panel {
	DWORD masks[MOST];
	bool refuses[MOST];
	unsigned count;
	unsigned asked[MOST], failed[MOST]; /* how many events each is to hear */
};

static unsigned count_of(const struct hm_recorder *recorder, HostMemEventType type)
{
	unsigned count = 0;

	for (unsigned i = 0; i < recorder->count; i++)
		count += hm_event(recorder, i)->type == type;
	return count;
}

static const struct {
	const char *name;
	struct panel panel;
} panels[] = {
	{ "the only one", { { 7 }, { true }, 1, { 1 }, { 1 } } },
	{ "the first of two", { { 7, 7 }, { true, false }, 2, { 1, 0 }, { 1, 0 } } },
	{ "after the yes of the first",
	  { { 7, 7 }, { false, true }, 2, { 1, 1 }, { 1, 1 } } },
	{ "in the middle",
	  { { 7, 7, 7 }, { false, true, true }, 3, { 1, 1, 0 }, { 1, 1, 0 } } },
	{ "beside one that hears of failures only",
	  { { 4, 7, 7, 4 },
	    { false, true, false, false },
	    4,
	    { 0, 1, 0, 0 },
	    { 1, 1, 0, 1 } } },
	{ "beside one that hears of allocations only",
	  { { 1, 1 }, { false, true }, 2, { 1, 1 }, { 0, 0 } } },
};

static void a_veto_ends_the_asking(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);

	for (size_t i = 0; control != NULL && i < HM_ROWS(panels); i++) {
		const struct panel *panel = &panels[i].panel;
		struct hm_recorder recorders[MOST] = { { .refuse = false } };
		struct hm_state before;

		hm_row(t, "%s", panels[i].name);
		for (unsigned n = 0; n < panel->count; n++) {
			recorders[n].refuse = panel->refuses[n];
			(void)hm_subscribe(&recorders[n], t, control, panel->masks[n]);
		}
		hm_look(t, &before);
		(void)hm_grant(t, 2, eTaskCritical, E_OUTOFMEMORY);
		CHECK_UNCHANGED(t, &before);
		for (unsigned n = 0; n < panel->count; n++) {
			CHECK_SIZE(t, count_of(&recorders[n], HostMemEventAllocate),
				   panel->asked[n]);
			CHECK_SIZE(t, count_of(&recorders[n], HostMemEventFailure),
				   panel->failed[n]);
			hm_unsubscribe(&recorders[n]);
		}
	}
}

static unsigned next_turn;

static void take_a_turn(struct hm_recorder *recorder, const HostMemEvent *event)
{
	if (event->type == HostMemEventAllocate)
		CHECK_SIZE(recorder->t, *(unsigned *)recorder->state, next_turn++);
}

static void subscribers_are_asked_in_their_order(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder recorders[MOST] = { { .refuse = false } };
	unsigned turns[MOST];

	if (control == NULL)
		return;
	for (unsigned n = 0; n < MOST; n++) {
		turns[n] = n;
		recorders[n].then = take_a_turn;
		recorders[n].state = &turns[n];
		(void)hm_subscribe(&recorders[n], t, control, HM_ALLOCATE);
	}
	next_turn = 0;
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, next_turn, MOST);
	hm_row(t, "one that has gone and come again is the last");
	hm_unsubscribe(&recorders[1]);
	(void)hm_subscribe(&recorders[1], t, control, HM_ALLOCATE);
	turns[0] = 0;
	turns[2] = 1;
	turns[3] = 2;
	turns[1] = 3;
	next_turn = 0;
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, next_turn, MOST);
	for (unsigned n = 0; n < MOST; n++)
		hm_unsubscribe(&recorders[n]);
}

/* ---- What a failure event says ---- */

static void a_veto_says_what_is_withdrawn(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder first = { .refuse = false }, second = { .refuse = true };
	const HostMemEvent *failure = &first.events[1];

	if (control == NULL || !hm_subscribe(&first, t, control, HM_ALL_EVENTS) ||
	    !hm_subscribe(&second, t, control, HM_ALL_EVENTS))
		return;
	(void)hm_grant(t, 3, eAppDomainCritical, E_OUTOFMEMORY);
	CHECK_SIZE(t, first.count, 2);
	CHECK_EVENT(t, failure, HostMemEventFailure, HostMemCommit, 3 * HM_PAGE);
	CHECK_SIZE(t, failure->reason, HostMemByCallback);
	CHECK_HR(t, failure->result, E_OUTOFMEMORY);
	CHECK_SIZE(t, failure->level, eAppDomainCritical);
	CHECK_SIZE(t, failure->request, first.events[0].request);
	CHECK_SIZE(t, failure->attempt, 1);
	CHECK(t, failure->announced);
	CHECK_SIZE(t, failure->cbWithdrawn, 3 * HM_PAGE);
	CHECK_SIZE(t, failure->cbCharged, 0);
	hm_row(t, "a veto is not remembered");
	second.refuse = false;
	(void)hm_grant(t, 3, eAppDomainCritical, S_OK);
	CHECK(t, first.events[2].request != first.events[0].request);
	hm_unsubscribe(&first);
	hm_unsubscribe(&second);
}

static void a_refusal_of_the_budget_was_not_announced(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder recorder = { .refuse = false };
	const HostMemEvent *failure = &recorder.events[0];

	if (control == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	(void)hm_limit(t, control, 2 * HM_PAGE);
	(void)hm_grant(t, 3, eProcessCritical, E_OUTOFMEMORY);
	CHECK_SIZE(t, recorder.count, 1);
	CHECK_EVENT(t, failure, HostMemEventFailure, HostMemCommit, 3 * HM_PAGE);
	CHECK_SIZE(t, failure->reason, HostMemByBudget);
	CHECK_HR(t, failure->result, E_OUTOFMEMORY);
	CHECK_SIZE(t, failure->level, eProcessCritical);
	CHECK(t, !failure->announced);
	CHECK_SIZE(t, failure->cbWithdrawn, 0);
	CHECK_SIZE(t, failure->cbLimit, 2 * HM_PAGE);
	hm_unsubscribe(&recorder);
}

/* For clients which take failures for the end of something that was announced. */
static void announce_always_asks_before_it_refuses(struct hm_trial *t)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder recorder = { .refuse = false };

	if (control == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	budget.dwFlags = HOSTMEM_ANNOUNCE_ALWAYS;
	budget.cbLimit = 2 * HM_PAGE;
	(void)hm_set_budget(t, control, &budget);
	(void)hm_grant(t, 3, eTaskCritical, E_OUTOFMEMORY);
	CHECK_SIZE(t, recorder.count, 2);
	CHECK_EVENT(t, hm_event(&recorder, 0), HostMemEventAllocate, HostMemCommit,
		    3 * HM_PAGE);
	CHECK_EVENT(t, hm_event(&recorder, 1), HostMemEventFailure, HostMemCommit,
		    3 * HM_PAGE);
	CHECK(t, hm_event(&recorder, 1)->announced);
	CHECK_SIZE(t, hm_event(&recorder, 1)->cbWithdrawn, 3 * HM_PAGE);
	hm_unsubscribe(&recorder);
}

static void a_veto_leaves_a_reservation_as_it_was(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	void *base = control != NULL
			     ? hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE)
			     : NULL;
	struct hm_recorder recorder = { .refuse = true };

	if (base == NULL ||
	    !hm_commit(t, hm_at(base, HM_PAGE), HM_PAGE, PAGE_READWRITE) ||
	    !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	hm_row(t, "commit");
	(void)hm_refused_alloc(t, hm_at(base, 4 * HM_PAGE), HM_PAGE, MEM_COMMIT,
			       PAGE_READWRITE, eTaskCritical, E_OUTOFMEMORY);
	hm_row(t, "commit across pages that are there, with another protection");
	(void)hm_refused_alloc(t, base, 3 * HM_PAGE, MEM_COMMIT, PAGE_READONLY,
			       eTaskCritical, E_OUTOFMEMORY);
	hm_row(t, "nobody is asked about what charges nothing");
	(void)hm_commit(t, hm_at(base, HM_PAGE), HM_PAGE, PAGE_READWRITE);
	(void)hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);
	hm_row(t, "the answer to a free does not count");
	(void)hm_decommit(t, base, HM_GRANULE);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 0);
	hm_unsubscribe(&recorder);
}

static void heaps_and_mappings_hear_a_veto(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	IHostMalloc *heap = control != NULL ? hm_heap(t) : NULL;
	struct hm_recorder recorder = { .refuse = true };
	void *const mapping = (void *)(uintptr_t)0x2000000000;
	void *block = HM_POISON;

	if (heap == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	hm_row(t, "a block that needs pages");
	CHECK_HR(t, IHostMalloc_Alloc(heap, 64 * HM_PAGE, eTaskCritical, &block),
		 E_OUTOFMEMORY);
	CHECK_POINTER(t, block, NULL);
	CHECK_SIZE(t, hm_usage(t, control).cBlocks, 0);
	hm_row(t, "a mapping: the answer does not count");
	CHECK_HR(t,
		 IHostMemoryManager_AcquiredVirtualAddressSpace(t->memory, mapping,
								HM_PAGE),
		 S_OK);
	CHECK_SIZE(t, hm_usage(t, control).cbExternal, HM_PAGE);
	CHECK_EVENT(t, hm_event(&recorder, recorder.count - 1), HostMemEventAllocate,
		    HostMemMapping, HM_PAGE);
	CHECK_HR(t, IHostMemoryManager_ReleasedVirtualAddressSpace(t->memory, mapping),
		 S_OK);
	hm_unsubscribe(&recorder);
	(void)IHostMalloc_Release(heap);
}

static const struct hm_case cases[] = {
	{ "veto", HM_DOCUMENTED,
	  "HM header: Subscribe, asked in order until one says no; who hears of it",
	  a_veto_ends_the_asking, HM_NO_GROUP },
	{ "order", HM_DOCUMENTED, "HM header: Subscribe, in the order in which they came",
	  subscribers_are_asked_in_their_order, HM_NO_GROUP },
	{ "withdrawn", HM_DOCUMENTED, "HM header: HostMemEvent, announced, cbWithdrawn",
	  a_veto_says_what_is_withdrawn, HM_NO_GROUP },
	{ "budget", HM_DOCUMENTED,
	  "HM header: HostMemEvent, attempts that pass the budget",
	  a_refusal_of_the_budget_was_not_announced, HM_NO_GROUP },
	{ "announce-always", HM_DOCUMENTED, "HM header: HOSTMEM_ANNOUNCE_ALWAYS",
	  announce_always_asks_before_it_refuses, HM_NO_GROUP },
	{ "nothing-changed", HM_DOCUMENTED, "HM header: on failure nothing has changed",
	  a_veto_leaves_a_reservation_as_it_was, HM_DOCUMENTED },
	{ "heaps-and-mappings", HM_DOCUMENTED,
	  "HM header: IHostMalloc::Alloc; AcquiredVirtualAddressSpace",
	  heaps_and_mappings_hear_a_veto, HM_NO_GROUP },
};

const struct hm_area hm_area_events_failure = HM_AREA("events-failure", cases);
