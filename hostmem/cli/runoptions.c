/*
 * The options of `hostmem run`.
 *
 * What an option says goes before what the scenario says; of headroom, for all levels at
 * once.  Where nobody speaks of headroom the profile's own is taken, which is known only in
 * the program's process: the settings say that nobody did.
 */
#include "runoptions.h"
#include "command.h"
#include "scenario.h"
#include "units.h"

#include "hostmem/attach/profiles.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum {
	OPTION_DEBUG_HEAP = 1,
	OPTION_HEADROOM,
	OPTION_HELP,
	OPTION_LIMIT,
	OPTION_NO_CHILDREN,
	OPTION_PROFILE,
	OPTION_SCENARIO,
	OPTION_SOFT,
	OPTION_SUMMARY
};

static const struct option known[] = {
	{ "debug-heap", no_argument, NULL, OPTION_DEBUG_HEAP },
	{ "headroom", required_argument, NULL, OPTION_HEADROOM },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "limit", required_argument, NULL, OPTION_LIMIT },
	{ "no-children", no_argument, NULL, OPTION_NO_CHILDREN },
	{ "profile", required_argument, NULL, OPTION_PROFILE },
	{ "scenario", required_argument, NULL, OPTION_SCENARIO },
	{ "soft", required_argument, NULL, OPTION_SOFT },
	{ "summary", no_argument, NULL, OPTION_SUMMARY },
	{ NULL, 0, NULL, 0 },
};

/* ---- Values ---- */

static int read_size(const char *option, const char *value, bool *has, uint64_t *out)
{
	char what[64];

	*has = true;
	if (hm_units_size(value, out))
		return 0;
	(void)snprintf(what, sizeof(what), "%s wants a size like 64K, 256M or 2G, not",
		       option);
	return hm_command_misused("run", what, value);
}

static int read_profile(const char *value, struct hm_run_options *options)
{
	char what[256] = "--profile is none of";
	size_t length = strlen(what);
	const struct hm_profile *profile;

	options->profile = value;
	if (hm_profile_find(value) != NULL)
		return 0;
	for (size_t i = 0; (profile = hm_profile_at(i)) != NULL; i++)
		length += (size_t)snprintf(what + length, sizeof(what) - length, "%s %s",
					   i == 0 ? "" : ",", profile->name);
	return hm_command_misused("run", what, value);
}

/* "task=16M" */
static bool read_level(const char *text, uint64_t headroom[3], bool given[3])
{
	static const char *const levels[3] = { "task=", "domain=", "process=" };

	for (unsigned i = 0; i < 3; i++) {
		size_t length = strlen(levels[i]);

		if (strncmp(text, levels[i], length) != 0 || given[i])
			continue;
		given[i] = true;
		return hm_units_size(text + length, &headroom[i]);
	}
	return false;
}

/* A level that is left out has what the next one above has. */
static bool read_levels(const char *value, uint64_t headroom[3])
{
	bool given[3] = { false, false, false };
	uint64_t above = 0;

	while (*value != '\0') {
		size_t length = strcspn(value, ",");
		char text[64];

		if (length >= sizeof(text))
			return false;
		(void)memcpy(text, value, length);
		text[length] = '\0';
		if (!read_level(text, headroom, given))
			return false;
		value += length;
		if (*value == ',' && *++value == '\0')
			return false;
	}
	for (unsigned i = 3; i-- > 0;) {
		if (!given[i])
			headroom[i] = above;
		above = headroom[i];
	}
	return given[0] || given[1] || given[2];
}

static int read_headroom(const char *value, struct hm_run_options *options)
{
	options->has_headroom = true;
	if (!read_levels(value, options->headroom))
		return hm_command_misused(
			"run", "--headroom is no list like task=16M,domain=8M,process=0",
			value);
	if (options->headroom[0] < options->headroom[1] ||
	    options->headroom[1] < options->headroom[2])
		return hm_command_misused("run",
					  "--headroom has to fall from task to domain to "
					  "process",
					  value);
	return 0;
}

/* ---- Options ---- */

static int read_option(struct hm_run_options *options, int option, const char *value)
{
	switch (option) {
	case OPTION_DEBUG_HEAP:
		options->debug_heap = true;
		return 0;
	case OPTION_HEADROOM:
		return read_headroom(value, options);
	case OPTION_HELP:
		options->help = true;
		return 0;
	case OPTION_LIMIT:
		return read_size("--limit", value, &options->has_limit, &options->limit);
	case OPTION_NO_CHILDREN:
		options->alone = true;
		return 0;
	case OPTION_PROFILE:
		return read_profile(value, options);
	case OPTION_SCENARIO:
		options->scenario = value;
		return 0;
	case OPTION_SOFT:
		return read_size("--soft", value, &options->has_soft, &options->soft);
	default:
		options->summary = true;
		return 0;
	}
}

int hm_run_options_read(struct hm_run_options *options, int argc, char **argv)
{
	int status = 0;

	*options = (struct hm_run_options){ .help = false };
	opterr = 0; /* what is wrong is said here, in one line */
	while (status == 0 && !options->help) {
		const char *word = argv[optind];
		/* Up to the program, whose options are its own. */
		int option = getopt_long(argc, argv, "+:", known, NULL);

		if (option == -1)
			break;
		if (option == ':')
			status = hm_command_misused("run", "no value for", word);
		else if (option == '?')
			status = hm_command_misused("run", "unknown option", word);
		else
			status = read_option(options, option, optarg);
	}
	options->arguments = argv + optind;
	if (status == 0 && !options->help && optind >= argc)
		status = hm_command_misused("run", "no program given", NULL);
	return status;
}

/* ---- Settings ---- */

static bool steps_speak_of_headroom(const struct hm_settings *settings)
{
	const uint32_t any = 1U << HM_ACTION_HEADROOM_TASK |
			     1U << HM_ACTION_HEADROOM_DOMAIN |
			     1U << HM_ACTION_HEADROOM_PROCESS;

	for (uint32_t i = 0; i < settings->step_count; i++) {
		if ((settings->steps[i].actions & any) != 0)
			return true;
	}
	return false;
}

static void apply_budget(const struct hm_run_options *options,
			 struct hm_settings *settings)
{
	if (options->has_limit)
		settings->budget.cbLimit = options->limit;
	if (options->has_soft)
		settings->budget.cbSoftLimit = options->soft;
	for (unsigned i = 0; options->has_headroom && i < 3; i++)
		settings->budget.cbHeadroom[i] = options->headroom[i];
	if (options->has_headroom || steps_speak_of_headroom(settings))
		settings->slack = 0;
}

static int check_budget(const struct hm_run_options *options, const HostMemBudget *budget)
{
	if (options->has_headroom && budget->cbLimit == SIZE_MAX &&
	    options->scenario == NULL)
		return hm_command_misused("run",
					  "--headroom is a part of --limit, which "
					  "is not given",
					  NULL);
	if (budget->cbHeadroom[0] > budget->cbLimit)
		return hm_command_misused("run", "the headroom is above the limit", NULL);
	if (budget->cbSoftLimit != SIZE_MAX && budget->cbSoftLimit > budget->cbLimit)
		return hm_command_misused("run", "the soft limit is above the limit",
					  NULL);
	return 0;
}

int hm_run_options_apply(const struct hm_run_options *options,
			 struct hm_settings *settings)
{
	int status = 0;

	hm_settings_init(settings);
	settings->slack = 1;
	if (options->scenario != NULL)
		status = hm_scenario_load("run", options->scenario, settings);
	if (status != 0)
		return status;
	if (options->profile != NULL)
		(void)strcpy(settings->profile, options->profile);
	settings->summary = options->summary;
	settings->alone = options->alone;
	settings->debug_heap = options->debug_heap;
	apply_budget(options, settings);
	return check_budget(options, &settings->budget);
}
