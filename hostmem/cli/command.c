/*
 * What a command says when it cannot do what it was asked.
 *
 * A caller may be a script: one line, the command's name first, and a status that tells
 * "not understood" from "not done".  An argument is shown as it came, but for what would
 * break the line.
 */
#include "command.h"
#include "display.h"

/* "hostmem" or "hostmem info" */
static void print_name(const char *command)
{
	(void)fputs("hostmem", stderr);
	if (command != NULL)
		(void)fprintf(stderr, " %s", command);
}

int hm_command_misused(const char *command, const char *what, const char *argument)
{
	print_name(command);
	(void)fprintf(stderr, ": %s", what);
	if (argument != NULL) {
		(void)fputs(" '", stderr);
		hm_display_text(stderr, argument);
		(void)fputc('\'', stderr);
	}
	(void)fputs("; see '", stderr);
	print_name(command);
	(void)fputs(" --help'\n", stderr);
	return HM_COMMAND_MISUSED;
}

int hm_command_failed(const char *command, const char *what, const char *why)
{
	print_name(command);
	(void)fprintf(stderr, ": %s", what);
	if (why != NULL)
		(void)fprintf(stderr, ": %s", why);
	(void)fputc('\n', stderr);
	return HM_COMMAND_FAILED;
}
