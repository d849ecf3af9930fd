/*
 * Profiles: which one a program has by its name, and what it leaves of a limit.
 */
#include "hostmem/attach/profiles.h"
#include "hostmem/attach/slack.h"

#include "test/tap.h"

#include <string.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define MIB ((size_t)1 << 20)

static void a_program_has_the_profile_of_its_name(void)
{
	static const struct {
		const char *program, *profile;
	} rows[] = {
		{ "python3", "cpython" },
		{ "python3.11", "cpython" },
		{ "python", "cpython" },
		{ "java", "hotspot" },
		{ "node", "v8" },
		{ "nodejs", "v8" },
		{ "mono-sgen", "mono" },
		{ "mono", "mono" },
		{ "dotnet", "coreclr" },
		{ "corerun", "coreclr" },
		{ "lua5.4", "lua" },
		{ "lua", "lua" },
		{ "luajit", "generic" },
		{ "luajit-2.1", "generic" },
		{ "luatex", "generic" },
		{ "pypy3", "generic" },
		{ "ruby3.1", "generic" },
		{ "guile", "generic" },
		{ "javascript", "generic" },
		{ "monodevelop", "generic" },
		{ "pythonic", "generic" },
		{ "pytho", "generic" },
		{ "", "generic" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].program);
		CHECK_STR(hm_profile_of_program(rows[i].program)->name, rows[i].profile);
	}
}

static void each_profile_is_found_by_its_name(void)
{
	const struct hm_profile *profile;
	size_t count = 0;

	for (; (profile = hm_profile_at(count)) != NULL; count++) {
		tap_row("%s", profile->name);
		CHECK(hm_profile_find(profile->name) == profile);
	}
	CHECK_SIZE(count, 7);
	CHECK(hm_profile_find("") == NULL);
	CHECK(hm_profile_find("Lua") == NULL);
}

static struct hm_settings settings;

static void steps_that_set_a_limit(size_t first, size_t second)
{
	hm_settings_init(&settings);
	settings.budget.cbLimit = first;
	settings.step_count = 2;
	settings.steps[0].actions = 1U << HM_ACTION_GATE;
	settings.steps[1].actions = 1U << HM_ACTION_LIMIT;
	settings.steps[1].value[HM_ACTION_LIMIT] = second;
}

static void each_limit_has_the_headroom_of_the_profile(void)
{
	steps_that_set_a_limit(1024 * MIB, 64 * MIB);
	settings.slack = 1;
	hm_slack_fill(&settings, hm_profile_find("hotspot"));
	CHECK_SIZE(settings.budget.cbHeadroom[eTaskCritical], 64 * MIB);
	CHECK_SIZE(settings.budget.cbHeadroom[eAppDomainCritical], 0);
	CHECK_SIZE(settings.budget.cbHeadroom[eProcessCritical], 0);
	CHECK_U32(settings.steps[0].actions, 1U << HM_ACTION_GATE);
	CHECK_U32(settings.steps[1].actions,
		  1U << HM_ACTION_LIMIT | 1U << HM_ACTION_HEADROOM_TASK);
	CHECK_SIZE(settings.steps[1].value[HM_ACTION_HEADROOM_TASK], 16 * MIB);
}

static void without_a_limit_there_is_none(void)
{
	steps_that_set_a_limit(SIZE_MAX, SIZE_MAX);
	settings.slack = 1;
	hm_slack_fill(&settings, hm_profile_find("generic"));
	CHECK_SIZE(settings.budget.cbHeadroom[eTaskCritical], 0);
	CHECK_SIZE(settings.steps[1].value[HM_ACTION_HEADROOM_TASK], 0);
}

static void who_has_spoken_of_headroom_has_what_he_said(void)
{
	steps_that_set_a_limit(1024 * MIB, 64 * MIB);
	settings.budget.cbHeadroom[eTaskCritical] = 5;
	hm_slack_fill(&settings, hm_profile_find("hotspot"));
	CHECK_SIZE(settings.budget.cbHeadroom[eTaskCritical], 5);
	CHECK_U32(settings.steps[1].actions, 1U << HM_ACTION_LIMIT);
}

int main(void)
{
	TAP_RUN(a_program_has_the_profile_of_its_name);
	TAP_RUN(each_profile_is_found_by_its_name);
	TAP_RUN(each_limit_has_the_headroom_of_the_profile);
	TAP_RUN(without_a_limit_there_is_none);
	TAP_RUN(who_has_spoken_of_headroom_has_what_he_said);
	return tap_done();
}
