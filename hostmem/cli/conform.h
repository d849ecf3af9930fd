#ifndef HOSTMEM_CLI_CONFORM_H
#define HOSTMEM_CLI_CONFORM_H

#include "command.h"

#include "hostmem/conform/suite.h"

#include <stdio.h>

extern const struct hm_command hm_conform_command;

/* How a trial ended. */
enum hm_verdict {
	HM_PASSED,
	HM_FAILED, /* a check failed; or the process crashed, hung, or ended by itself */
	HM_SKIPPED /* the host cannot be asked all of it */
};

/* A trial that is over. */
struct hm_outcome {
	struct hm_entry entry;
	enum hm_verdict verdict;
	unsigned checks,
		failures; /* of `failures` is one that the process did not end well */
	double seconds;
	bool broke;     /* the process did not end well: a crash, a hang, an exit */
	char *skip;     /* why it was skipped, or NULL */
	char *findings; /* failing checks, a line each; "" if none */
	char *output;   /* what the module printed; "" if nothing */
};

/* Of all trials that were run. */
struct hm_report {
	const char *module; /* as it was given; NULL: the command's own host */
	const struct hm_outcome *outcomes;
	size_t count;
	double seconds;
	bool strict;          /* a skipped trial counts as failed */
	const char *computer; /* its name */
	long long when;       /* s since 1970, UTC */
};

/* As far as the caller counts: a skipped one in a strict report. */
bool hm_outcome_is_good(const struct hm_report *report, const struct hm_outcome *outcome);

unsigned hm_report_count(const struct hm_report *report, enum hm_verdict verdict);
bool hm_report_is_good(const struct hm_report *report);

/* For people, TAP 13, JUnit's XML. */
void hm_conform_print_text(const struct hm_report *report, FILE *out);
void hm_conform_print_tap(const struct hm_report *report, FILE *out);
void hm_conform_print_junit(const struct hm_report *report, FILE *out);

/* There is nothing to judge: one line on the standard error, and the exit status. */
int hm_conform_cannot(const char *module, const char *why);

#endif
