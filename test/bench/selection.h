/*
 * Which rows of the page layer are to be measured, and at how many live regions.
 */
#ifndef HOSTMEM_BENCH_SELECTION_H
#define HOSTMEM_BENCH_SELECTION_H

#include "options.h"
#include "rows.h"

enum { LIVE_COUNTS = 5 };

struct selection {
	struct options options;
	bool row[ROWS];
	bool count_row[COUNT_ROWS];
	size_t live[LIVE_COUNTS];
	size_t live_counts;
};

/* Ends the program as options_read does. */
void selection_read(struct selection *selection, int count, char **words);

/* Whether this row is to be measured at this many live regions. */
bool selection_has(const struct selection *selection, const struct row *row, size_t live);

#endif
