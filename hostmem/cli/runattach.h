#ifndef HOSTMEM_CLI_RUNATTACH_H
#define HOSTMEM_CLI_RUNATTACH_H

#include <limits.h>
#include <stdbool.h>

#define HM_SHELL "/bin/sh"

/* What came of looking at a program. */
struct hm_attachable {
	const char *why; /* a library cannot be preloaded into it; NULL: it can */
	int error;       /* 0, or the errno with which its interpreter cannot be had */
	bool is_interpreter; /* it is not about the program but about what runs it: */
	char path[PATH_MAX]; /* of the file that it is about */
	bool by_shell;       /* a script that does not say whose, for HM_SHELL */
};

/* Looks at the program at `path`; at what runs it, if it is a script. */
void hm_attachable_look(const char *path, struct hm_attachable *attachable);

#endif
