#ifndef HOSTMEM_CLI_RUNPROGRAM_H
#define HOSTMEM_CLI_RUNPROGRAM_H

#include <limits.h>
#include <stdbool.h>

/* A program that is there and can be executed. */
struct hm_program {
	const char *name;    /* as it was given */
	char path[PATH_MAX]; /* of its file */
	bool by_shell;       /* a script that does not say whose */
};

enum { HM_PROGRAM_CANNOT_START = 126, HM_PROGRAM_NOT_FOUND = 127 };

/*
 * Finds the program of that name, by PATH if there is no slash in it, and looks whether a
 * library can be preloaded into it.  0, or the exit status after one line on the standard
 * error.
 */
int hm_program_find(const char *name, struct hm_program *program);

/* Becomes that program; returns only if it cannot, with the exit status after the line. */
int hm_program_execute(const struct hm_program *program, char **arguments);

#endif
