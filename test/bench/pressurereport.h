/*
 * The figures of the pressure benchmark: tables on stdout, lines in a CSV.
 */
#ifndef HOSTMEM_BENCH_PRESSUREREPORT_H
#define HOSTMEM_BENCH_PRESSUREREPORT_H

#include "latency.h"
#include "options.h"

/* Which figure of the first side has a target. */
enum latency_judged { JUDGE_MIDDLE, JUDGE_LATE, JUDGE_MOST };

struct latency_row {
	const char *name;
	const char *about;
	const struct latency_side *sides[LATENCY_SIDES]; /* ours first; then NULL */
	enum latency_judged judged;
	double target; /* ms, at most */
	bool grouped;
};

/* One figure, beside somebody else's. */
struct cost {
	const char *name;
	const char *unit;
	double ours;
	double target;     /* at most; NAN: none */
	const char *other; /* who; NULL: there is none */
	double theirs;
	enum verdict verdict; /* SKIPPED and FAILED as they are; else what follows */
	const char *note;
};

/* false, with a line on stderr: the CSV cannot be written. */
bool pressurereport_open(const struct options *options);

void pressurereport_latency(const struct latency_row *row,
			    const struct latency_result *result);
void pressurereport_cost(const struct cost *cost);

/* Closes the CSV and says how it went; false: a row could not run. */
bool pressurereport_close(void);

#endif
