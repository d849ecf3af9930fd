/*
 * The command line.
 */
#ifndef HOSTMEM_BENCH_OPTIONS_H
#define HOSTMEM_BENCH_OPTIONS_H

#include "rows.h"

enum { LIVE_COUNTS = 5 };

struct options {
	const char *csv; /* the file, owned by the caller of main or static */
	bool markdown;
	bool quick;
	bool all;       /* no row was named */
	bool row[ROWS]; /* what is to be measured */
	bool count_row[COUNT_ROWS];
	struct measure_plan plan;
	size_t live[LIVE_COUNTS];
	size_t live_counts;
};

/* Ends the program after --help, and with status 2 and one line if it is wrong. */
void options_read(struct options *options, int count, char **words);

/* Whether this row is to be measured at this many live regions. */
bool options_want(const struct options *options, const struct row *row, size_t live);

#endif
