#ifndef HOSTMEM_CLI_COMMAND_H
#define HOSTMEM_CLI_COMMAND_H

/* What `hostmem NAME` does.  Exit statuses are 0, or one of these. */
enum hm_command_status {
	HM_COMMAND_FAILED = 1, /* it could not be done */
	HM_COMMAND_MISUSED = 2 /* it was not understood */
};

struct hm_command {
	const char *name;
	const char *does; /* one line for `hostmem --help` */
	/* argv[0] is the name; the result is the exit status.  What it prints need not be
	 * flushed, and whether that could be written is not its business. */
	int (*run)(int argc, char **argv);
	/* The exit status if what it has printed could not be written. */
	enum hm_command_status unwritten;
};

/*
 * One line each on the standard error, and the exit status for it.  `command` is NULL for
 * `hostmem` itself.
 *
 *	hostmem info: unknown option '--jsn'; see 'hostmem info --help'
 *	hostmem info: no host can be made: E_OUTOFMEMORY
 */
int hm_command_misused(const char *command, const char *what, const char *argument);
int hm_command_failed(const char *command, const char *what, const char *why);

#endif
