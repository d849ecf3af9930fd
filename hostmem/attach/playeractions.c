/*
 * What the steps of a scenario do to a host.
 *
 * The steps say what the budget shall be; the host takes only budgets in order, headroom
 * that falls with the level and is not above the limit.  What each step wants is kept as it
 * is, and the host gets the nearest that is in order: with a limit of 8 MiB and a headroom of
 * 16 MiB for tasks, tasks get nothing, and when the limit rises again, so does what they get.
 *
 * Rules that are armed anew count from the beginning: that is what makes `faults: on` the
 * same wherever it stands.
 */
#include "playeractions.h"

#include "hostmem/os/lock.h"

#define BIT(action) (1U << (action))

enum { BUDGET_ACTIONS = BIT(HM_ACTION_WAIT_PROCESS + 1) - 1 };

/* Task's headroom and largest give way to those of the levels above, all to the limit. */
static void put_in_order(HostMemBudget *budget)
{
	for (unsigned i = 3; i-- > 0;) {
		if (budget->cbHeadroom[i] > budget->cbLimit)
			budget->cbHeadroom[i] = budget->cbLimit;
		if (i == 2)
			continue;
		if (budget->cbHeadroom[i] < budget->cbHeadroom[i + 1])
			budget->cbHeadroom[i] = budget->cbHeadroom[i + 1];
		if (budget->cbLargest[i] > budget->cbLargest[i + 1])
			budget->cbLargest[i] = budget->cbLargest[i + 1];
	}
}

static void change_budget(struct hm_player *player, const struct hm_step *step)
{
	HostMemBudget *wanted = &player->budget;
	HostMemBudget budget;

	if ((step->actions & BIT(HM_ACTION_LIMIT)) != 0)
		wanted->cbLimit = step->value[HM_ACTION_LIMIT];
	if ((step->actions & BIT(HM_ACTION_SOFT)) != 0)
		wanted->cbSoftLimit = step->value[HM_ACTION_SOFT];
	for (unsigned i = 0; i < 3; i++) {
		if ((step->actions & BIT(HM_ACTION_HEADROOM_TASK + i)) != 0)
			wanted->cbHeadroom[i] = step->value[HM_ACTION_HEADROOM_TASK + i];
		if ((step->actions & BIT(HM_ACTION_LARGEST_TASK + i)) != 0)
			wanted->cbLargest[i] = step->value[HM_ACTION_LARGEST_TASK + i];
		if ((step->actions & BIT(HM_ACTION_WAIT_TASK + i)) != 0)
			wanted->msWait[i] =
				(uint32_t)step->value[HM_ACTION_WAIT_TASK + i];
	}
	budget = *wanted;
	put_in_order(&budget);
	(void)IHostMemoryControl_SetBudget(player->control, &budget);
}

void hm_player_disarm(struct hm_player *player)
{
	for (uint32_t i = 0; i < player->settings->fault_count; i++) {
		if (player->cookies[i] != 0)
			(void)IHostMemorySimulator_RemoveFault(player->simulator,
							       player->cookies[i]);
		player->cookies[i] = 0;
	}
}

HRESULT hm_player_arm(struct hm_player *player, bool all)
{
	const struct hm_settings *settings = player->settings;

	for (uint32_t i = 0; i < settings->fault_count; i++) {
		HRESULT hr;

		if (!all && settings->faults[i].unarmed != 0)
			continue;
		hr = IHostMemorySimulator_AddFault(player->simulator,
						   &settings->faults[i].rule,
						   &player->cookies[i]);
		if (FAILED(hr))
			return hr;
	}
	return S_OK;
}

static void change_load(struct hm_player *player, const struct hm_step *step)
{
	uint64_t load = step->value[HM_ACTION_LOAD];

	if (load == HM_LOAD_REAL)
		(void)IHostMemorySimulator_ClearMemoryLoad(player->simulator);
	else
		(void)IHostMemorySimulator_SetMemoryLoad(player->simulator, (DWORD)load,
							 step->value[HM_ACTION_FREE]);
}

static void change_availability(struct hm_player *player, uint64_t available)
{
	if (available == 0)
		(void)IHostMemorySimulator_ClearAvailability(player->simulator);
	else
		(void)IHostMemorySimulator_SetAvailability(player->simulator,
							   (EMemoryAvailable)available);
}

static void hold_gate(struct hm_player *player, uint64_t ms)
{
	uint64_t end = hm_thread_now() + ms;

	if (FAILED(IHostMemoryControl_EnterGate(player->control, UINT32_MAX)))
		return;
	for (;;) {
		uint64_t now = hm_thread_now();

		if (now >= end || hm_player_is_stopped(player))
			break;
		hm_word_wait_for(&player->stopped, 0, end - now);
	}
	(void)IHostMemoryControl_LeaveGate(player->control);
}

void hm_player_act(struct hm_player *player, const struct hm_step *step)
{
	if ((step->actions & BUDGET_ACTIONS) != 0)
		change_budget(player, step);
	if ((step->actions & BIT(HM_ACTION_FAULTS)) != 0) {
		hm_player_disarm(player);
		if (step->value[HM_ACTION_FAULTS] != 0)
			(void)hm_player_arm(player, true);
	}
	if ((step->actions & BIT(HM_ACTION_LOAD)) != 0)
		change_load(player, step);
	if ((step->actions & BIT(HM_ACTION_AVAILABLE)) != 0)
		change_availability(player, step->value[HM_ACTION_AVAILABLE]);
	if ((step->actions & BIT(HM_ACTION_GATE)) != 0)
		hold_gate(player, step->value[HM_ACTION_GATE]);
}
