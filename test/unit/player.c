/*
 * Playing settings to a host: what each step does, and when.
 */
#include "playing.h"

#include "test/callback.h"

#include <dirent.h>
#include <pthread.h>

static HostMemFault *add_fault(void)
{
	struct hm_settings_fault *fault = &settings.faults[settings.fault_count++];

	hm_settings_init_fault(fault);
	return &fault->rule;
}

static HostMemBudget budget(void)
{
	HostMemBudget now = HOSTMEM_BUDGET_INIT;

	CHECK_HR(IHostMemoryControl_GetBudget(control, &now), S_OK);
	return now;
}

/* ---- The start ---- */

static void budget_and_rules_hold_from_the_start(void)
{
	open_host();
	settings.budget.cbLimit = 4 * MIB;
	settings.budget.cbHeadroom[eTaskCritical] = MIB;
	settings.budget.msWait[eProcessCritical] = 7;
	add_fault()->nth = 2;
	CHECK_HR(start(), S_OK);
	CHECK_SIZE(budget().cbLimit, 4 * MIB);
	CHECK_SIZE(budget().cbHeadroom[eTaskCritical], MIB);
	CHECK_U32(budget().msWait[eProcessCritical], 7);
	CHECK_HR(commit(MIB), S_OK);
	CHECK_HR(commit(MIB), E_OUTOFMEMORY);
	CHECK_HR(commit(2 * MIB), S_OK);
	CHECK_HR(commit(4096), E_OUTOFMEMORY);
	hm_player_stop(&player);
	close_host();
}

static void what_is_due_at_once_has_been_played_when_it_starts(void)
{
	open_host();
	add_simple(HM_TRIGGER_AT, 0, HM_ACTION_LIMIT, MIB);
	add_simple(HM_TRIGGER_AT, 0, HM_ACTION_SOFT, MIB / 2);
	CHECK_HR(start(), S_OK);
	CHECK_SIZE(played(), 2);
	CHECK_SIZE(budget().cbLimit, MIB);
	CHECK_SIZE(budget().cbSoftLimit, MIB / 2);
	CHECK(!player.has_thread);
	hm_player_stop(&player);
	close_host();
}

static void a_start_that_fails_changes_nothing(void)
{
	open_host();
	settings.budget.cbLimit = 4 * MIB;
	add_fault()->nth = 1;
	add_fault()->result = S_OK;
	add_simple(HM_TRIGGER_REQUEST, 1, HM_ACTION_LIMIT, 0);
	CHECK_HR(start(), E_INVALIDARG);
	CHECK_SIZE(budget().cbLimit, SIZE_MAX);
	CHECK_HR(commit(MIB), S_OK);
	settings.fault_count = 1;
	settings.budget.cbHeadroom[eProcessCritical] = 1;
	CHECK_HR(start(), E_INVALIDARG);
	CHECK_HR(commit(MIB), S_OK);
	CHECK_SIZE(budget().cbLimit, SIZE_MAX);
	close_host();
}

static void nothing_to_play_costs_no_thread_and_no_subscriber(void)
{
	open_host();
	CHECK_HR(start(), S_OK);
	CHECK(!player.has_thread);
	CHECK_SIZE(player.subscription, 0);
	hm_player_stop(&player);
	close_host();
}

/* ---- Triggers ---- */

static void a_request_is_the_one_it_says_refused_ones_included(void)
{
	open_host();
	settings.budget.cbLimit = MIB;
	add_simple(HM_TRIGGER_REQUEST, 3, HM_ACTION_LIMIT, 8 * MIB);
	CHECK_HR(start(), S_OK);
	CHECK_HR(commit(2 * MIB), E_OUTOFMEMORY);
	CHECK_HR(commit(4096), S_OK);
	CHECK_SIZE(played(), 0);
	CHECK_HR(commit(2 * MIB), E_OUTOFMEMORY); /* it holds from the next one on */
	CHECK_SIZE(played(), 1);
	CHECK_HR(commit(2 * MIB), S_OK);
	hm_player_stop(&player);
	close_host();
}

static void bytes_count_as_soon_as_they_are_asked_for(void)
{
	open_host();
	add_simple(HM_TRIGGER_CHARGED, 2 * MIB, HM_ACTION_LIMIT, 2 * MIB);
	CHECK_HR(start(), S_OK);
	CHECK_HR(commit(2 * MIB - 4096), S_OK);
	CHECK_SIZE(played(), 0);
	CHECK_HR(commit(4096), S_OK);
	CHECK_SIZE(played(), 1);
	CHECK_HR(commit(4096), E_OUTOFMEMORY);
	CHECK_SIZE(played(), 1);
	hm_player_stop(&player);
	close_host();
}

static void a_step_comes_back_as_often_as_it_says(void)
{
	static const uint64_t want[] = { 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3 };
	struct hm_step *step;

	open_host();
	step = add_step(HM_TRIGGER_REQUEST, 2);
	step->every = 3;
	step->times = 3;
	add_action(step, HM_ACTION_SOFT, MIB);
	CHECK_HR(start(), S_OK);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		tap_row("request %zu", i + 1);
		CHECK_HR(commit(4096), S_OK);
		CHECK_SIZE(played(), want[i]);
	}
	hm_player_stop(&player);
	close_host();
}

/* The last one that is played is the one whose limit stays. */
static void steps_of_one_trigger_come_in_its_order(void)
{
	open_host();
	add_simple(HM_TRIGGER_CHARGED, 3 * MIB, HM_ACTION_LIMIT, 33 * MIB);
	add_simple(HM_TRIGGER_CHARGED, 1 * MIB, HM_ACTION_LIMIT, 11 * MIB);
	add_simple(HM_TRIGGER_CHARGED, 1 * MIB, HM_ACTION_SOFT, 1 * MIB);
	add_simple(HM_TRIGGER_CHARGED, 1 * MIB, HM_ACTION_SOFT, 2 * MIB);
	CHECK_HR(start(), S_OK);
	CHECK_HR(commit(4 * MIB), S_OK);
	CHECK_SIZE(played(), 4);
	CHECK_SIZE(budget().cbLimit, 33 * MIB);
	CHECK_SIZE(budget().cbSoftLimit, 2 * MIB);
	hm_player_stop(&player);
	close_host();
}

static void timed_steps_come_by_themselves_and_in_order(void)
{
	struct hm_step *step;

	open_host();
	add_simple(HM_TRIGGER_AT, 40, HM_ACTION_LIMIT, 4 * MIB);
	add_simple(HM_TRIGGER_AT, 20, HM_ACTION_LIMIT, 2 * MIB);
	step = add_step(HM_TRIGGER_AT, 10);
	step->every = 1;
	step->times = 5;
	add_action(step, HM_ACTION_SOFT, MIB);
	CHECK_HR(start(), S_OK);
	CHECK(player.has_thread);
	wait_for(7);
	CHECK_SIZE(budget().cbLimit, 4 * MIB);
	CHECK_SIZE(budget().cbSoftLimit, MIB);
	hm_player_stop(&player);
	CHECK_SIZE(played(), 7);
	close_host();
}

/* Whatever still came would write to it. */
static bool is_untouched(const struct hm_player *left)
{
	const unsigned char *bytes = (const unsigned char *)left;

	for (size_t i = 0; i < sizeof(*left); i++) {
		if (bytes[i] != 0xEE)
			return false;
	}
	return true;
}

static unsigned count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	unsigned count = 0;

	while (CHECK(tasks != NULL) && readdir(tasks) != NULL)
		count++;
	(void)closedir(tasks);
	return count;
}

static void a_stop_does_not_wait_for_what_is_to_come(void)
{
	unsigned threads = count_threads();

	open_host();
	add_simple(HM_TRIGGER_AT, UINT64_MAX - 1, HM_ACTION_LIMIT, 0);
	add_simple(HM_TRIGGER_REQUEST, 1, HM_ACTION_LIMIT, 0);
	CHECK_HR(start(), S_OK);
	CHECK_U32(count_threads(), threads + 1);
	hm_player_stop(&player);
	while (count_threads() != threads) /* it may be seen for a moment */
		(void)usleep(1000);
	memset(&player, 0xEE, sizeof(player));
	CHECK_HR(commit(4096), S_OK);
	CHECK(is_untouched(&player));
	close_host();
}

/* ---- Actions ---- */

static void each_level_is_changed_by_itself(void)
{
	struct hm_step *step;

	open_host();
	settings.budget.cbLimit = 64 * MIB;
	settings.budget.cbHeadroom[eTaskCritical] = 8 * MIB;
	step = add_step(HM_TRIGGER_REQUEST, 1);
	add_action(step, HM_ACTION_HEADROOM_DOMAIN, 4 * MIB);
	add_action(step, HM_ACTION_LARGEST_TASK, 5 * MIB);
	add_action(step, HM_ACTION_WAIT_DOMAIN, 6);
	CHECK_HR(start(), S_OK);
	CHECK_HR(commit(4096), S_OK);
	CHECK_SIZE(budget().cbLimit, 64 * MIB);
	CHECK_SIZE(budget().cbHeadroom[eTaskCritical], 8 * MIB);
	CHECK_SIZE(budget().cbHeadroom[eAppDomainCritical], 4 * MIB);
	CHECK_SIZE(budget().cbHeadroom[eProcessCritical], 0);
	CHECK_SIZE(budget().cbLargest[eTaskCritical], 5 * MIB);
	CHECK_SIZE(budget().cbLargest[eAppDomainCritical], SIZE_MAX);
	CHECK_U32(budget().msWait[eTaskCritical], 0);
	CHECK_U32(budget().msWait[eAppDomainCritical], 6);
	hm_player_stop(&player);
	close_host();
}

static void a_budget_out_of_order_is_made_fit_and_remembered(void)
{
	open_host();
	settings.budget.cbLimit = 64 * MIB;
	settings.budget.cbHeadroom[eTaskCritical] = 16 * MIB;
	settings.budget.cbHeadroom[eAppDomainCritical] = 4 * MIB;
	add_simple(HM_TRIGGER_REQUEST, 1, HM_ACTION_LIMIT, 8 * MIB);
	add_simple(HM_TRIGGER_REQUEST, 2, HM_ACTION_HEADROOM_PROCESS, 6 * MIB);
	add_simple(HM_TRIGGER_REQUEST, 3, HM_ACTION_LARGEST_PROCESS, MIB);
	add_simple(HM_TRIGGER_REQUEST, 4, HM_ACTION_LIMIT, 32 * MIB);
	CHECK_HR(start(), S_OK);
	CHECK_HR(commit(4096), S_OK);
	CHECK_SIZE(budget().cbHeadroom[eTaskCritical], 8 * MIB);
	CHECK_SIZE(budget().cbHeadroom[eAppDomainCritical], 4 * MIB);
	CHECK_HR(commit(4096), E_OUTOFMEMORY);
	CHECK_SIZE(budget().cbHeadroom[eAppDomainCritical], 6 * MIB);
	CHECK_HR(commit(4096), E_OUTOFMEMORY);
	CHECK_SIZE(budget().cbLargest[eTaskCritical], MIB);
	CHECK_HR(commit(4096), E_OUTOFMEMORY);
	CHECK_SIZE(budget().cbLimit, 32 * MIB);
	CHECK_SIZE(budget().cbHeadroom[eTaskCritical], 16 * MIB);
	CHECK_HR(commit(4096), S_OK);
	hm_player_stop(&player);
	close_host();
}

static void rules_are_armed_and_taken_away(void)
{
	open_host();
	add_fault()->result = E_ACCESSDENIED;
	settings.faults[0].unarmed = 1;
	add_fault()->nth = 2;
	add_simple(HM_TRIGGER_REQUEST, 3, HM_ACTION_FAULTS, 1);
	add_simple(HM_TRIGGER_REQUEST, 5, HM_ACTION_FAULTS, 0);
	CHECK_HR(start(), S_OK);
	CHECK_HR(commit(4096), S_OK);
	CHECK_HR(commit(4096), E_OUTOFMEMORY); /* by the second rule */
	CHECK_HR(commit(4096), S_OK);
	CHECK_HR(commit(4096), E_ACCESSDENIED);
	CHECK_HR(commit(4096), E_ACCESSDENIED);
	CHECK_HR(commit(4096), S_OK);
	CHECK_HR(commit(4096), S_OK);
	hm_player_stop(&player);
	close_host();
}

static void load_and_availability_are_simulated_and_given_back(void)
{
	struct callback callback = callback_new();
	struct hm_step *step;
	DWORD load = 0;
	SIZE_T available = 0;

	open_host();
	step = add_step(HM_TRIGGER_REQUEST, 1);
	add_action(step, HM_ACTION_LOAD, 37);
	step->value[HM_ACTION_FREE] = 4097 * MIB;
	add_action(step, HM_ACTION_AVAILABLE, eMemoryAvailableLow);
	add_simple(HM_TRIGGER_REQUEST, 2, HM_ACTION_AVAILABLE, 0);
	add_simple(HM_TRIGGER_REQUEST, 3, HM_ACTION_LOAD, HM_LOAD_REAL);
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(memory,
								       &callback.iface),
		 S_OK);
	CHECK_HR(start(), S_OK);
	CHECK_HR(commit(4096), S_OK);
	CHECK_HEARD(&callback, "1");
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(memory, &load, &available), S_OK);
	CHECK_U32(load, 37);
	CHECK_SIZE(available, 4097 * MIB);
	CHECK_HR(commit(4096), S_OK);
	CHECK_HEARD(&callback, "2");
	CHECK_HR(commit(4096), S_OK);
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(memory, &load, &available), S_OK);
	CHECK(available != 4097 * MIB);
	hm_player_stop(&player);
	(void)IHostMemoryManager_RegisterMemoryNotificationCallback(memory, NULL);
	close_host();
}

static void *commit_once(void *result)
{
	*(HRESULT *)result = commit(4096);
	return NULL;
}

/* Held still by the thread whose request it was, until the player ends. */
static void a_gate_is_closed_and_ends_with_the_player(void)
{
	HRESULT result = E_FAIL;
	pthread_t thread;

	open_host();
	add_simple(HM_TRIGGER_REQUEST, 1, HM_ACTION_GATE, UINT32_MAX);
	CHECK_HR(start(), S_OK);
	if (!CHECK_INT(pthread_create(&thread, NULL, commit_once, &result), 0))
		return;
	while (IHostMemoryControl_EnterGate(control, 0) == S_OK) {
		(void)IHostMemoryControl_LeaveGate(control);
		(void)usleep(1000);
	}
	CHECK_SIZE(played(), 0);
	hm_player_stop(&player);
	(void)pthread_join(thread, NULL);
	CHECK_HR(result, S_OK);
	CHECK_SIZE(played(), 1);
	CHECK_HR(commit(4096), S_OK);
	close_host();
}

int main(void)
{
	(void)alarm(120);
	TAP_RUN(budget_and_rules_hold_from_the_start);
	TAP_RUN(what_is_due_at_once_has_been_played_when_it_starts);
	TAP_RUN(a_start_that_fails_changes_nothing);
	TAP_RUN(nothing_to_play_costs_no_thread_and_no_subscriber);
	TAP_RUN(a_request_is_the_one_it_says_refused_ones_included);
	TAP_RUN(bytes_count_as_soon_as_they_are_asked_for);
	TAP_RUN(a_step_comes_back_as_often_as_it_says);
	TAP_RUN(steps_of_one_trigger_come_in_its_order);
	TAP_RUN(timed_steps_come_by_themselves_and_in_order);
	TAP_RUN(a_stop_does_not_wait_for_what_is_to_come);
	TAP_RUN(each_level_is_changed_by_itself);
	TAP_RUN(a_budget_out_of_order_is_made_fit_and_remembered);
	TAP_RUN(rules_are_armed_and_taken_away);
	TAP_RUN(load_and_availability_are_simulated_and_given_back);
	TAP_RUN(a_gate_is_closed_and_ends_with_the_player);
	return tap_done();
}
