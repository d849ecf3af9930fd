/*
 * Cases about a state of memory that lasts: how a Low is repeated, and what ends what was said.
 */
#include "areas.h"
#include "told.h"

#define MIB ((SIZE_T)1 << 20)
#define REPEAT_MS 8192U

static void a_low_that_stands_is_repeated(struct hm_trial *t)
{
	struct hm_told told;

	if (!hm_told_begin(&told, t))
		return;
	hm_notify(&told, HM_LOW);
	CHECK_HEARD(t, &told.listener, "1");
	hm_advance(&told, REPEAT_MS - 1);
	CHECK_HEARD(t, &told.listener, "");
	hm_advance(&told, 1);
	CHECK_HEARD(t, &told.listener, "1");
	hm_row(t, "the same value again is no repetition");
	hm_notify(&told, HM_LOW);
	CHECK_HEARD(t, &told.listener, "");
	hm_row(t, "three in one step");
	hm_advance(&told, 3 * REPEAT_MS);
	CHECK_HEARD(t, &told.listener, "111");
	hm_row(t, "what is better is not repeated");
	hm_notify(&told, HM_NEUTRAL);
	hm_advance(&told, 4 * REPEAT_MS);
	CHECK_HEARD(t, &told.listener, "2");
	hm_notify(&told, HM_HIGH);
	hm_advance(&told, 4 * REPEAT_MS);
	CHECK_HEARD(t, &told.listener, "3");
	hm_told_end(&told);
}

static void a_wait_moves_the_time(struct hm_trial *t)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	struct hm_told told;

	if (!hm_told_begin(&told, t))
		return;
	budget.cbLimit = 100 * HM_PAGE;
	budget.cbHeadroom[eTaskCritical] = 99 * HM_PAGE;
	budget.msWait[eTaskCritical] = REPEAT_MS;
	(void)hm_set_budget(t, told.control, &budget);
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	hm_notify(&told, HM_LOW);
	CHECK_HEARD(t, &told.listener, "1");
	(void)hm_grant(t, 1, eTaskCritical, HOST_E_TIMEOUT);
	CHECK_HEARD(t, &told.listener, "1");
	hm_notify(&told, HM_NEUTRAL);
	CHECK_HEARD(t, &told.listener, "2");
	hm_told_end(&told);
}

static size_t HOSTMEM_CALL note_how_much_was_told(void *state, size_t wanted)
{
	struct hm_told *told = (struct hm_told *)state;

	CHECK(told->t, wanted != 0);
	CHECK_SIZE(told->t, told->listener.count, told->calls);
	told->calls++;
	return 0;
}

static void the_reclaimer_comes_before_each_low(struct hm_trial *t)
{
	struct hm_told told;

	if (!hm_told_begin(&told, t))
		return;
	CHECK_HR(t,
		 IHostMemoryControl_SetReclaimer(told.control, note_how_much_was_told,
						 &told),
		 S_OK);
	hm_notify(&told, HM_LOW);
	CHECK_SIZE(t, told.calls, 1);
	hm_advance(&told, REPEAT_MS);
	CHECK_SIZE(t, told.calls, 2);
	hm_row(t, "not before what is better");
	hm_notify(&told, HM_HIGH);
	CHECK_SIZE(t, told.calls, 2);
	CHECK_HEARD(t, &told.listener, "113");
	CHECK_HR(t, IHostMemoryControl_SetReclaimer(told.control, NULL, NULL), S_OK);
	hm_told_end(&told);
}

/* ---- What takes the place of what ---- */

static void what_is_said_holds_until_it_is_cleared(struct hm_trial *t)
{
	struct hm_told told;

	if (!hm_told_begin(&told, t))
		return;
	hm_load(&told, 75, 4096 * MIB);
	hm_say(&told, HM_LOW);
	CHECK_HEARD(t, &told.listener, "1");
	hm_row(t, "figures that stay as they are change nothing");
	hm_advance(&told, 4000);
	CHECK_HEARD(t, &told.listener, "");
	hm_clear_availability(&told);
	CHECK_HEARD(t, &told.listener, "2");
	hm_clear_availability(&told);
	CHECK_HEARD(t, &told.listener, "");
	hm_row(t, "NotifyMemory is ended by it, too");
	hm_notify(&told, HM_HIGH);
	CHECK_HEARD(t, &told.listener, "3");
	hm_clear_availability(&told);
	CHECK_HEARD(t, &told.listener, "2");
	hm_row(t, "a change of the figures ends it");
	hm_say(&told, HM_HIGH);
	CHECK_HEARD(t, &told.listener, "3");
	hm_load(&told, 95, 4096 * MIB);
	CHECK_HEARD(t, &told.listener, "1");
	hm_row(t, "without figures the judgement starts afresh");
	hm_clear_load(&told);
	CHECK_HEARD(t, &told.listener, "2");
	hm_clear_load(&told);
	hm_told_end(&told);
}

static void figures_count_after_a_suspension(struct hm_trial *t)
{
	IHostGCManager *collector = (IHostGCManager *)hm_need(t, &IID_IHostGCManager,
							      "IHostGCManager");
	struct hm_told told;

	if (collector == NULL || !hm_told_begin(&told, t))
		return;
	CHECK_HR(t, IHostGCManager_SuspensionStarting(collector), S_OK);
	hm_load(&told, 95, 4096 * MIB);
	hm_advance(&told, 2 * REPEAT_MS);
	CHECK_HEARD(t, &told.listener, "");
	CHECK_HR(t, IHostGCManager_SuspensionEnding(collector, 2), S_OK);
	CHECK_HEARD(t, &told.listener, "1");
	hm_row(t, "what came and went is not told");
	CHECK_HR(t, IHostGCManager_SuspensionStarting(collector), S_OK);
	hm_load(&told, 80, 4096 * MIB);
	hm_advance(&told, 3000);
	hm_load(&told, 95, 4096 * MIB);
	CHECK_HR(t, IHostGCManager_SuspensionEnding(collector, 2), S_OK);
	CHECK_HEARD(t, &told.listener, "");
	hm_clear_load(&told);
	CHECK_HEARD(t, &told.listener, "2");
	hm_told_end(&told);
}

static const struct hm_case cases[] = {
	{ "repeated", HM_DOCUMENTED,
	  "HM header: OnMemoryNotification, at most every 8192 ms; Advance",
	  a_low_that_stands_is_repeated, HM_NO_GROUP },
	{ "wait", HM_DOCUMENTED, "HM header: SetVirtualTime, a wait moves the time",
	  a_wait_moves_the_time, HM_NO_GROUP },
	{ "reclaimer", HM_DOCUMENTED,
	  "HM header: HostMemReclaimCallback, each time before it does",
	  the_reclaimer_comes_before_each_low, HM_NO_GROUP },
	{ "said", HM_DOCUMENTED,
	  "HM header: SetAvailability, ClearAvailability, ClearMemoryLoad",
	  what_is_said_holds_until_it_is_cleared, HM_NO_GROUP },
	{ "suspension", HM_DOCUMENTED, "HM header: IHostGCManager",
	  figures_count_after_a_suspension, HM_NO_GROUP },
};

const struct hm_area hm_area_standing_low = HM_AREA("standing-low", cases);
