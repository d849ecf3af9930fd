#ifndef HOSTMEM_ATTACH_SLACK_H
#define HOSTMEM_ATTACH_SLACK_H

#include "profiles.h"
#include "settings.h"

/* Where nobody spoke of headroom: gives the budget, and each step that changes the limit, what
 * the profile's task-critical requests leave of it. */
void hm_slack_fill(struct hm_settings *settings, const struct hm_profile *profile);

#endif
