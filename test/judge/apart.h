#ifndef HOSTMEM_TEST_JUDGE_APART_H
#define HOSTMEM_TEST_JUDGE_APART_H

#include "report.h"

enum { JUDGE_LIMIT_MS = 30000 }; /* of a case; its process then ends itself */

/* Runs all cases, each in a process of its own, several at a time, and reports them in the
 * order of the suite. */
void judge_run_apart(struct judge_summary *summary);

#endif
