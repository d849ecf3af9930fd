/*
 * Finding a program as a shell does, and becoming it.
 *
 * What a shell says of a program that is not there or cannot be executed, `hostmem run` says
 * with the same status.  It says it before anything is started, as it does of what cannot be
 * attached; the kernel has the last word, though, and what it refuses is told, too.
 */
#include "runprogram.h"
#include "command.h"
#include "display.h"
#include "runattach.h"
#include "runsearch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int refuse(const char *name, const char *why, int status)
{
	(void)fputs("hostmem run: ", stderr);
	hm_display_text(stderr, name);
	(void)fprintf(stderr, ": %s\n", why);
	return status;
}

static int status_of(int error)
{
	return error == ENOENT || error == ENOTDIR ? HM_PROGRAM_NOT_FOUND
						   : HM_PROGRAM_CANNOT_START;
}

/* What was found on the way to the program's loader. */
static int tell(const char *name, const struct hm_attachable *attachable)
{
	(void)fputs("hostmem run: ", stderr);
	hm_display_text(stderr, name);
	if (attachable->is_interpreter) {
		(void)fputs(": its interpreter ", stderr);
		hm_display_text(stderr, attachable->path);
	}
	if (attachable->error != 0) {
		(void)fprintf(stderr, ": %s\n", strerror(attachable->error));
		return status_of(attachable->error);
	}
	(void)fprintf(stderr, " cannot be attached: %s\n", attachable->why);
	return HM_COMMAND_MISUSED;
}

int hm_program_find(const char *name, struct hm_program *program)
{
	struct hm_attachable attachable;
	int error;

	program->name = name;
	error = hm_search(name, program->path);
	if (error == ENOENT && strchr(name, '/') == NULL)
		return refuse(name, "there is no such program in PATH",
			      HM_PROGRAM_NOT_FOUND);
	if (error != 0)
		return refuse(name, strerror(error), status_of(error));
	hm_attachable_look(program->path, &attachable);
	program->by_shell = attachable.by_shell;
	return attachable.error != 0 || attachable.why != NULL ? tell(name, &attachable)
							       : 0;
}

/* The shell gets the file as its first argument, and knows what was given as its name. */
static void execute_by_shell(const struct hm_program *program, char **arguments)
{
	char shell[] = HM_SHELL, path[PATH_MAX];
	size_t count = 0;
	char **longer;

	while (arguments[count] != NULL)
		count++;
	longer = (char **)calloc(count + 2, sizeof(*longer));
	if (longer == NULL)
		return;
	(void)memcpy(path, program->path, sizeof(path));
	longer[0] = shell;
	longer[1] = path;
	for (size_t i = 1; i < count; i++)
		longer[i + 1] = arguments[i];
	(void)execv(shell, longer);
	free(longer);
}

int hm_program_execute(const struct hm_program *program, char **arguments)
{
	errno = ENOMEM;
	if (program->by_shell)
		execute_by_shell(program, arguments);
	else
		(void)execv(program->path, arguments);
	return refuse(program->name, strerror(errno), status_of(errno));
}
