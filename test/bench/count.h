/*
 * What is counted, not timed: mappings of the kernel and resident bytes.
 */
#ifndef HOSTMEM_BENCH_COUNT_H
#define HOSTMEM_BENCH_COUNT_H

#include "stage.h"

/* The three rows of a million live regions; a process that has done nothing else. */
void count_million(enum mode mode, enum pages pages, const struct sink *sink);

/* One of the two rows of churn; likewise. */
void count_churn(enum count_row_index index, enum mode mode, enum pages pages,
		 const struct sink *sink);

#endif
