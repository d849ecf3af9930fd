/*
 * `hostmem run`: a program that knows nothing of hostmem, with its memory under a host.
 *
 * The command writes what was asked for into the environment, has the preload library come
 * first in LD_PRELOAD, and becomes the program: so the program's process, its output, its
 * status and what signals do to it are its own.  Whatever can be wrong is found before that,
 * and is one line; afterwards there is nobody left to ask.
 *
 * Which profile fits is found by the library, in each process by its own file's name; a
 * script's process has that of its interpreter.
 */
#include "run.h"
#include "runlibrary.h"
#include "runoptions.h"
#include "runprogram.h"
#include "settingstext.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int help(void)
{
	(void)puts(
		"usage: hostmem run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
		"\n"
		"Runs an unmodified program with its memory under a host: python3, java, "
		"node,\n"
		"mono, lua, and others.  The programs that it starts are run so, too, "
		"each "
		"with\n"
		"a limit of its own.\n"
		"\n"
		"  --limit SIZE        refuses memory beyond so many bytes (64K, 256M, "
		"2G)\n"
		"  --headroom LEVEL=SIZE,...\n"
		"                      leaves so much of the limit to more critical "
		"requests\n"
		"                      than those of the level: task, domain, process\n"
		"  --soft SIZE         says that memory is low beyond so many bytes\n"
		"  --scenario FILE     plays a scenario, see hostmem-scenario(5)\n"
		"  --profile NAME      tells what the program can do without: coreclr, "
		"hotspot,\n"
		"                      v8, mono, cpython, lua, generic\n"
		"  --summary           prints an account at the end, refusals or not\n"
		"  --no-children       leaves alone what the program starts\n"
		"  --debug-heap        looks for damage to blocks, and reports it\n"
		"  --help              prints this\n"
		"\n"
		"The status is the program's; 127 if it is not found, 126 if it cannot "
		"be\n"
		"executed, 2 if the options or the program will not do.");
	return EXIT_SUCCESS;
}

static int fail(const char *why)
{
	(void)hm_command_failed("run", "the environment cannot be set", why);
	return HM_COMMAND_MISUSED;
}

static int become(struct hm_settings *settings, const char *library,
		  const struct hm_program *program, char **arguments)
{
	static char text[HM_SETTINGS_TEXT];

	if (settings->alone != 0)
		settings->alone = (uint32_t)getpid();
	(void)hm_settings_write(settings, text);
	if (setenv(HM_SETTINGS_VARIABLE, text, 1) != 0 || !hm_preload_prepend(library))
		return fail(strerror(errno));
	return hm_program_execute(program, arguments);
}

static int run(int argc, char **argv)
{
	static struct hm_settings settings; /* some 20 KiB */
	struct hm_run_options options;
	struct hm_program program;
	char library[PATH_MAX];
	int status = hm_run_options_read(&options, argc, argv);

	if (status == 0 && options.help)
		return help();
	if (status == 0)
		status = hm_run_options_apply(&options, &settings);
	if (status == 0)
		status = hm_program_find(options.arguments[0], &program);
	if (status == 0)
		status = hm_preload_find(library);
	if (status == 0)
		status = become(&settings, library, &program, options.arguments);
	return status;
}

const struct hm_command hm_run_command = {
	"run", "runs a program with its memory under a host", run,
	HM_COMMAND_MISUSED, /* 1 is the program's */
};
