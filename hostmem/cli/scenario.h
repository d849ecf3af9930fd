#ifndef HOSTMEM_CLI_SCENARIO_H
#define HOSTMEM_CLI_SCENARIO_H

#include "mistakes.h"

#include "hostmem/attach/settings.h"

/*
 * Reads a scenario, see hostmem-scenario(5), into settings that have been initialised: their
 * budget, steps and faults.  NULL, or why the file cannot be read.  If there are mistakes,
 * `mistakes` has each of them, and the settings are of no use.
 */
const char *hm_scenario_read(const char *path, struct hm_settings *settings,
			     struct hm_mistakes *mistakes);

/* The same, and tells what is wrong on the standard error; 0, or the exit status.  `command`
 * is for the line about a file that cannot be read. */
int hm_scenario_load(const char *command, const char *path, struct hm_settings *settings);

#endif
