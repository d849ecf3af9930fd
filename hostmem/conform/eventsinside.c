/*
 * Cases about what a subscriber may do inside its callback, which is everything: ask, allocate,
 * free, unsubscribe, and wait for another thread that does all that.
 *
 * The last is how a lock is found that a host holds while it calls: the other thread then
 * does not come to an end, and is given up.
 */
#include "areas.h"
#include "control.h"

#include <string.h>

#define TOUCH_MS 30U /* long enough for a thread that does not wait to come through */

/* ---- Asking ---- */

struct picture {
	void *base; /* of the reservation that it is about */
	unsigned looks;
};

/* Before an allocation the page is not there; after a free it is there no more. */
static void look_around(struct hm_recorder *recorder, const HostMemEvent *event)
{
	struct picture *picture = (struct picture *)recorder->state;
	struct hm_trial *t = recorder->t;
	HostMemUsage usage = hm_usage(t, recorder->control);
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	picture->looks++;
	CHECK_RUN(t, picture->base, MEM_RESERVE, 0, HM_GRANULE, picture->base);
	CHECK_SIZE(t, usage.cbCommitted, 0);
	CHECK_SIZE(t, usage.cbCharged, 0);
	CHECK_SIZE(t, event->cbCharged, 0);
	CHECK_HR(t, IHostMemoryControl_GetBudget(recorder->control, &budget), S_OK);
	CHECK_SIZE(t, event->cbLimit, budget.cbLimit);
}

static void allocations_are_told_before_and_all_else_after(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder recorder = { .then = look_around };
	struct picture picture = { NULL, 0 };

	if (control == NULL)
		return;
	picture.base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);
	recorder.state = &picture;
	if (picture.base == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	hm_row(t, "commit");
	(void)hm_commit(t, picture.base, HM_PAGE, PAGE_READWRITE);
	hm_row(t, "decommit");
	(void)hm_decommit(t, picture.base, HM_PAGE);
	hm_row(t, "a refused commit");
	(void)hm_limit(t, control, HM_PAGE);
	(void)hm_refused_alloc(t, picture.base, 2 * HM_PAGE, MEM_COMMIT, PAGE_READWRITE,
			       eTaskCritical, E_OUTOFMEMORY);
	CHECK_SIZE(t, picture.looks, 3);
	hm_unsubscribe(&recorder);
}

/* ---- Nested requests ---- */

/* Two pages more, of which one is given back. */
static void allocate_inside(struct hm_recorder *recorder, const HostMemEvent *event)
{
	void *base;

	(void)event;
	base = hm_take(recorder->t, NULL, 2 * HM_PAGE, HM_BOTH, PAGE_READWRITE);
	if (base != NULL)
		(void)hm_decommit(recorder->t, base, HM_PAGE);
}

static void nested_requests_are_accounted_and_told_to_others(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder busy = { .then = allocate_inside };
	struct hm_recorder other = { .refuse = false };
	const HostMemEvent *event = other.events;

	if (control == NULL || !hm_subscribe(&busy, t, control, HM_ALL_EVENTS) ||
	    !hm_subscribe(&other, t, control, HM_ALL_EVENTS))
		return;
	(void)hm_grant(t, 4, eTaskCritical, S_OK);
	CHECK_SIZE(t, busy.count, 1);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 5 * HM_PAGE);
	CHECK_SIZE(t, other.count, 3);
	CHECK_EVENT(t, &event[0], HostMemEventAllocate, HostMemCommit, 2 * HM_PAGE);
	CHECK_EVENT(t, &event[1], HostMemEventFree, HostMemDecommit, HM_PAGE);
	CHECK_EVENT(t, &event[2], HostMemEventAllocate, HostMemCommit, 4 * HM_PAGE);
	CHECK(t, event[0].request != event[2].request);
	hm_unsubscribe(&busy);
	hm_unsubscribe(&other);
}

/* What is pending counts against the limit, also for who asks inside. */
static void ask_for_the_rest(struct hm_recorder *recorder, const HostMemEvent *event)
{
	if (event->type != HostMemEventAllocate)
		return;
	hm_row(recorder->t, "inside, one page too many");
	(void)hm_grant(recorder->t, 3, eTaskCritical, E_OUTOFMEMORY);
	hm_row(recorder->t, "inside, what is left");
	(void)hm_grant(recorder->t, 2, eTaskCritical, S_OK);
}

static void what_is_pending_takes_room(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder recorder = { .then = ask_for_the_rest };

	if (control == NULL || !hm_subscribe(&recorder, t, control, HM_ALLOCATE))
		return;
	(void)hm_limit(t, control, 6 * HM_PAGE);
	(void)hm_grant(t, 4, eTaskCritical, S_OK);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 6 * HM_PAGE);
	CHECK_SIZE(t, hm_usage(t, control).cbPeakCharged, 6 * HM_PAGE);
	hm_unsubscribe(&recorder);
}

/* ---- Subscriptions ---- */

static void unsubscribe_itself(struct hm_recorder *recorder, const HostMemEvent *event)
{
	(void)event;
	hm_unsubscribe(recorder);
}

static void a_subscriber_may_leave_inside(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder first = { .then = unsubscribe_itself };
	struct hm_recorder second = { .refuse = false };

	if (control == NULL || !hm_subscribe(&first, t, control, HM_ALL_EVENTS) ||
	    !hm_subscribe(&second, t, control, HM_ALL_EVENTS))
		return;
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, first.count, 1);
	CHECK_SIZE(t, second.count, 1);
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, first.count, 1);
	CHECK_SIZE(t, second.count, 2);
	hm_row(t, "its answer counts all the same");
	first.refuse = true;
	if (!hm_subscribe(&first, t, control, HM_ALLOCATE))
		return;
	hm_unsubscribe(&second);
	(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
}

static void subscribe_another(struct hm_recorder *recorder, const HostMemEvent *event)
{
	struct hm_recorder *other = (struct hm_recorder *)recorder->state;

	(void)event;
	if (other->cookie == 0)
		(void)hm_subscribe(other, recorder->t, recorder->control, HM_ALL_EVENTS);
}

static void a_subscriber_may_bring_another(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder late = { .refuse = false };
	struct hm_recorder first = { .then = subscribe_another, .state = &late };
	unsigned heard;

	if (control == NULL || !hm_subscribe(&first, t, control, HM_ALL_EVENTS))
		return;
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	heard = late.count; /* of this one, maybe */
	CHECK(t, late.cookie != 0 && heard <= 1);
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, late.count, heard + 1);
	hm_unsubscribe(&first);
	if (late.cookie != 0)
		hm_unsubscribe(&late);
}

/* ---- Other threads ---- */

static BOOL HOSTMEM_CALL wait_for_another_thread(void *state, const HostMemEvent *event)
{
	struct hm_bystander *bystander = (struct hm_bystander *)state;

	(void)event;
	if (!bystander->busy)
		hm_let_others_call(bystander);
	return TRUE;
}

static void no_lock_is_held(struct hm_trial *t)
{
	static struct hm_bystander bystander;
	IHostMemoryControl *control = hm_control(t);
	uint64_t cookie = 0;
	void *base, *block = NULL;

	if (control == NULL)
		return;
	memset(&bystander, 0, sizeof(bystander));
	bystander.t = t;
	bystander.heap = hm_heap(t);
	base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(t,
		 IHostMemoryControl_Subscribe(control, HM_ALL_EVENTS,
					      wait_for_another_thread, &bystander,
					      &cookie),
		 S_OK);
	if (base == NULL || bystander.heap == NULL)
		return;
	hm_row(t, "before a commit");
	(void)hm_commit(t, base, 2 * HM_PAGE, PAGE_READWRITE);
	hm_row(t, "after a decommit");
	(void)hm_decommit(t, base, HM_PAGE);
	hm_row(t, "after a release");
	(void)hm_give(t, base);
	hm_row(t, "before a reservation with pages");
	base = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);
	hm_row(t, "before a heap's pages");
	CHECK_HR(t,
		 IHostMalloc_Alloc(bystander.heap, 64 * HM_PAGE, eTaskCritical, &block),
		 S_OK);
	hm_row(t, "after a heap's pages");
	CHECK_HR(t, IHostMalloc_Free(bystander.heap, block), S_OK);
	hm_row(t, "a mapping");
	CHECK_HR(t,
		 IHostMemoryManager_AcquiredVirtualAddressSpace(t->memory, HM_MAPPING,
								HM_PAGE),
		 S_OK);
	CHECK_HR(t, IHostMemoryManager_ReleasedVirtualAddressSpace(t->memory, HM_MAPPING),
		 S_OK);
	CHECK_HR(t, IHostMemoryControl_Unsubscribe(control, cookie), S_OK);
	(void)IHostMalloc_Release(bystander.heap);
}

static BOOL HOSTMEM_CALL let_others_after_failure(void *state, const HostMemEvent *event)
{
	struct hm_bystander *bystander = (struct hm_bystander *)state;

	if (event->type == HostMemEventFailure && !bystander->busy)
		hm_let_others_call(bystander);
	return event->type == HostMemEventAllocate && !bystander->busy ? FALSE : TRUE;
}

static void no_lock_is_held_after_a_veto(struct hm_trial *t)
{
	static struct hm_bystander bystander;
	IHostMemoryControl *control = hm_control(t);
	uint64_t cookie = 0;

	if (control == NULL)
		return;
	memset(&bystander, 0, sizeof(bystander));
	bystander.t = t;
	CHECK_HR(t,
		 IHostMemoryControl_Subscribe(control, HM_ALL_EVENTS,
					      let_others_after_failure, &bystander,
					      &cookie),
		 S_OK);
	(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
	CHECK_HR(t, IHostMemoryControl_Unsubscribe(control, cookie), S_OK);
}

/* ---- Unsubscribe from another thread ---- */

struct leaving {
	IHostMemoryControl *control;
	uint64_t cookie;
	struct hm_helper *helper;
	_Atomic bool returned;
	_Atomic HRESULT result;
};

static void unsubscribe_it(void *state)
{
	struct leaving *leaving = (struct leaving *)state;

	leaving->result = IHostMemoryControl_Unsubscribe(leaving->control,
							 leaving->cookie);
	leaving->returned = true;
}

static void start_to_leave(struct hm_recorder *recorder, const HostMemEvent *event)
{
	struct leaving *leaving = (struct leaving *)recorder->state;

	(void)event;
	leaving->cookie = recorder->cookie;
	leaving->helper = hm_start(recorder->t, unsubscribe_it, leaving);
	hm_pause(TOUCH_MS);
	CHECK(recorder->t, !leaving->returned);
}

static void unsubscribe_waits_for_a_call_under_way(struct hm_trial *t)
{
	static struct leaving leaving;
	struct hm_recorder recorder = { .then = start_to_leave, .state = &leaving };

	memset(&leaving, 0, sizeof(leaving));
	leaving.control = hm_control(t);
	if (leaving.control == NULL ||
	    !hm_subscribe(&recorder, t, leaving.control, HM_ALLOCATE))
		return;
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK(t, leaving.helper != NULL && hm_helper_ends(leaving.helper, 2000));
	CHECK(t, leaving.returned);
	CHECK_HR(t, leaving.result, S_OK);
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, recorder.count, 1);
}

static const struct hm_case cases[] = {
	{ "before-and-after", HM_DOCUMENTED,
	  "HM header: HostMemEventType; GetUsage, not yet included",
	  allocations_are_told_before_and_all_else_after, HM_NO_GROUP },
	{ "nested-requests", HM_DOCUMENTED,
	  "HM header: HostMemEventCallback, nested requests work and are accounted",
	  nested_requests_are_accounted_and_told_to_others, HM_NO_GROUP },
	{ "pending", HM_DOCUMENTED,
	  "HM header: HostMemBudget, with the requests under way",
	  what_is_pending_takes_room, HM_NO_GROUP },
	{ "leave", HM_DOCUMENTED,
	  "HM header: Unsubscribe, from inside that subscriber, at once",
	  a_subscriber_may_leave_inside, HM_NO_GROUP },
	{ "bring-another", HM_DOCUMENTED, "HM header: Subscribe, also from callbacks",
	  a_subscriber_may_bring_another, HM_NO_GROUP },
	{ "no-lock", HM_DOCUMENTED,
	  "HM header: HostMemEventCallback, with no lock of the host held",
	  no_lock_is_held, HM_NO_GROUP },
	{ "no-lock-after-veto", HM_DOCUMENTED,
	  "HM header: HostMemEventCallback, with no lock of the host held",
	  no_lock_is_held_after_a_veto, HM_NO_GROUP },
	{ "unsubscribe-waits", HM_DOCUMENTED,
	  "HM header: Unsubscribe returns when no call is under way",
	  unsubscribe_waits_for_a_call_under_way, HM_NO_GROUP },
};

const struct hm_area hm_area_events_inside = HM_AREA("events-inside", cases);
