#ifndef HOSTMEM_CLI_RUNOPTIONS_H
#define HOSTMEM_CLI_RUNOPTIONS_H

#include "hostmem/attach/settings.h"

#include <stdbool.h>

/* What `hostmem run` was asked. */
struct hm_run_options {
	bool help;
	const char *scenario; /* NULL = none */
	const char *profile;  /* NULL = none */
	bool has_limit, has_soft, has_headroom;
	uint64_t limit, soft, headroom[3]; /* by level */
	bool summary, alone, debug_heap;
	char **arguments; /* the program and its own */
};

/* 0, or the exit status after one line on the standard error. */
int hm_run_options_read(struct hm_run_options *options, int argc, char **argv);

/* Makes settings of them, with what the scenario has; else as above, one line for each mistake
 * of the scenario.  `alone` is 1 and not yet a process. */
int hm_run_options_apply(const struct hm_run_options *options,
			 struct hm_settings *settings);

#endif
