/*
 * The `hostmem` command: finds the subcommand, and answers for its output.
 *
 * A subcommand is a row in `commands` and a file of its own.  All of them use the library
 * as any program does, through its public headers.
 *
 * Output goes to stdio's buffer, and most of it is written at the very end.  So whether it
 * could be written is asked here, once and for all: a report that a full disk has cut short
 * is a failure, and no script may take it for a short report.
 */
#include "check.h"
#include "command.h"
#include "conform.h"
#include "info.h"
#include "run.h"

#include "abi/hostmem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hm_command *const commands[] = {
	&hm_check_command,
	&hm_conform_command,
	&hm_info_command,
	&hm_run_command,
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* The status if the output cannot be written. */
static enum hm_command_status unwritten = HM_COMMAND_FAILED;

static int help(void)
{
	(void)puts("usage: hostmem COMMAND [ARGUMENT]...\n"
		   "       hostmem --help | --version\n"
		   "\n"
		   "A host memory manager for managed runtimes.\n");
	for (size_t i = 0; i < COMMANDS; i++)
		(void)printf("  %-10s %s\n", commands[i]->name, commands[i]->does);
	(void)puts("\n'hostmem COMMAND --help' tells more of a command.");
	return EXIT_SUCCESS;
}

static int run(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	if (word == NULL)
		return hm_command_misused(NULL, "no command given", NULL);
	if (strcmp(word, "--help") == 0)
		return help();
	if (strcmp(word, "--version") == 0) {
		(void)printf("hostmem %s\n", HostMemVersion());
		return EXIT_SUCCESS;
	}
	if (word[0] == '-')
		return hm_command_misused(NULL, "unknown option", word);
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(word, commands[i]->name) != 0)
			continue;
		unwritten = commands[i]->unwritten;
		return commands[i]->run(argc - 1, argv + 1);
	}
	return hm_command_misused(NULL, "unknown command", word);
}

/*
 * Whoever started us may have closed one of the first three descriptors.  The next file that
 * is opened would get its number, and what we print would go there: to a control group's
 * own file, say.  So they are taken, by what fails when it is used.  A program that a command
 * executes finds them as closed as they were.
 */
static bool take_standard_descriptors(void)
{
	for (int number = 0; number < 3; number++) {
		if (fcntl(number, F_GETFD) == -1 && errno == EBADF &&
		    open("/dev/null", O_CLOEXEC | (number == 0 ? O_WRONLY : O_RDONLY)) !=
			    number)
			return false;
	}
	return true;
}

static int finish(int status)
{
	bool lost = ferror(stdout) != 0;

	errno = 0;
	if (fclose(stdout) == 0 && !lost)
		return status;
	(void)hm_command_failed(NULL, "the output cannot be written",
				errno != 0 ? strerror(errno) : NULL);
	return (int)unwritten;
}

int main(int argc, char **argv)
{
	if (!take_standard_descriptors())
		return HM_COMMAND_FAILED; /* and nobody to tell */
	return finish(run(argc, argv));
}
