/*
 * `hostmem check`: whether files are scenarios.
 *
 * Silence means that they are, so that a script has nothing to throw away; a person at a
 * terminal gets a line for each.  What is wrong goes to the standard error, all of it.
 */
#include "check.h"
#include "display.h"
#include "scenario.h"

#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

static int help(void)
{
	(void)puts(
		"usage: hostmem check FILE...\n"
		"\n"
		"Says what is wrong with scenarios, see hostmem-scenario(5): each "
		"mistake "
		"with its\n"
		"line, its key and what might stand there.  Says nothing of a file that "
		"is right,\n"
		"unless to a terminal.\n"
		"\n"
		"  --help     print this\n"
		"\n"
		"The status is 0 if all files are scenarios, else 2.");
	return EXIT_SUCCESS;
}

static void praise(const char *path, const struct hm_settings *settings)
{
	hm_display_text(stdout, path);
	(void)printf(": ok, %u step%s, %u fault rule%s\n", (unsigned)settings->step_count,
		     settings->step_count == 1 ? "" : "s",
		     (unsigned)settings->fault_count,
		     settings->fault_count == 1 ? "" : "s");
}

static int check(const char *path)
{
	static struct hm_settings settings; /* some 20 KiB */
	int status;

	hm_settings_init(&settings);
	status = hm_scenario_load("check", path, &settings);
	if (status == 0 && isatty(STDOUT_FILENO))
		praise(path, &settings);
	return status;
}

static int run(int argc, char **argv)
{
	static const struct option known[] = { { "help", no_argument, NULL, 'h' },
					       { NULL, 0, NULL, 0 } };
	int status = EXIT_SUCCESS;

	opterr = 0; /* what is wrong is said here, in one line */
	switch (getopt_long(argc, argv, "+:", known, NULL)) {
	case 'h':
		return help();
	case '?':
		return hm_command_misused("check", "unknown option", argv[optind - 1]);
	default:
		break;
	}
	if (optind == argc)
		return hm_command_misused("check", "no file given", NULL);
	for (int i = optind; i < argc; i++) {
		int one = check(argv[i]);

		if (one != 0)
			status = one;
	}
	return status;
}

const struct hm_command hm_check_command = {
	"check",
	"says what is wrong with a scenario",
	run,
	HM_COMMAND_FAILED,
};
