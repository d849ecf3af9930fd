/*
 * The headroom of those who name a limit and nothing else.
 *
 * The command cannot know it: which profile a process has is found in that process.  A step
 * that changes the limit changes the headroom with it, since what was a fourth of 256 MiB is
 * all of 64.
 *
 * No state, no locks.
 */
#include "slack.h"

#define BIT(action) (1U << (action))

void hm_slack_fill(struct hm_settings *settings, const struct hm_profile *profile)
{
	HostMemBudget *budget = &settings->budget;

	if (settings->slack == 0)
		return;
	budget->cbHeadroom[eTaskCritical] = hm_profile_slack(profile, budget->cbLimit);
	for (uint32_t i = 0; i < settings->step_count; i++) {
		struct hm_step *step = &settings->steps[i];

		if ((step->actions & BIT(HM_ACTION_LIMIT)) == 0)
			continue;
		step->actions |= BIT(HM_ACTION_HEADROOM_TASK);
		step->value[HM_ACTION_HEADROOM_TASK] =
			hm_profile_slack(profile, step->value[HM_ACTION_LIMIT]);
	}
}
