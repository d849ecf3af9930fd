#ifndef HOSTMEM_TEST_JUDGE_REPORT_H
#define HOSTMEM_TEST_JUDGE_REPORT_H

#include "hostmem/conform/suite.h"

/*
 * What a trial tells, line by line, from a process of its own to the one that prints:
 *
 *	F a finding          K a known difference of Wine     S why it was skipped
 *	N a mark of such a difference under which every check passed
 *	E checks failures known                               the end
 */
enum { JUDGE_LINE = 1024 };

/* One trial, as far as it has told. */
struct judge_outcome {
	struct hm_entry entry;
	bool ended; /* the line E has come */
	unsigned checks, failures, known;
	unsigned told;           /* findings that were printed */
	char skip[JUDGE_LINE];   /* why, or "" */
	char reason[JUDGE_LINE]; /* of the first known difference, or "" */
};

/* All of them. */
struct judge_summary {
	unsigned cases, passed, differ, failed, skipped;
	unsigned checks, known;
	char *needless; /* lines of marks that nothing needs */
};

/* Prints what has to be seen at once and counts the rest. */
void judge_report_line(struct judge_summary *summary, struct judge_outcome *outcome,
		       const char *line);
/* The trial is over: its line of TAP, with that number. */
void judge_report_case(struct judge_summary *summary, struct judge_outcome *outcome,
		       size_t number);
void judge_report_end(struct judge_summary *summary);

#endif
