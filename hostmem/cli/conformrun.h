#ifndef HOSTMEM_CLI_CONFORMRUN_H
#define HOSTMEM_CLI_CONFORMRUN_H

#include "conform.h"

enum { HM_MOST_JOBS = 256 };

/* How trials are run. */
struct hm_run {
	const char *module; /* a path with a slash, or NULL */
	unsigned jobs;      /* at a time; from 1 to HM_MOST_JOBS */
	unsigned ms;        /* the longest that one may take */
	/* Called now and then, with how many are over; NULL: nobody wants to know. */
	void (*over)(size_t count, size_t all);
};

/* Loads the module in a process of its own; NULL, or in one line why no host comes from it.
 * The text stays until the next call. */
const char *hm_conform_try(const struct hm_run *run);

/*
 * Runs each trial in a process of its own; outcomes[i] has its entry set and gets the rest.
 * Returns 0, or the error number of the system that has no process to give; EINTR where a
 * signal asked for the end, and the caller has ignored it.  What is in
 * outcomes is freed with hm_outcome_free in either case.
 */
int hm_conform_run(const struct hm_run *run, struct hm_outcome *outcomes, size_t count);
void hm_outcome_free(struct hm_outcome *outcome);

/* One trial in this process, told on the standard output, for a debugger; exit status. */
int hm_conform_here(const char *module, const struct hm_entry *entry, bool strict);

#endif
