/*
 * What GetMemoryLoad costs.
 */
#ifndef HOSTMEM_BENCH_LOADS_H
#define HOSTMEM_BENCH_LOADS_H

#include "measure.h"
#include "verdict.h"

struct loads_result {
	struct measure_plan plan; /* in */
	enum verdict verdict;
	double with, without,
		file; /* ns: a monitor, none, /proc/meminfo read each time */
};

void loads_measure(struct loads_result *result);

#endif
