/*
 * One row at one number of live regions, with one thread and with two.
 */
#ifndef HOSTMEM_BENCH_CELL_H
#define HOSTMEM_BENCH_CELL_H

#include "stage.h"

struct cell {
	const struct row *row;
	size_t live;
	const struct measure_plan *plan;
};

void cell_run(const struct cell *cell, const struct stage *stage,
	      const struct sink *sink);

/* A row that has no figures there, and why. */
void cell_without(const struct cell *cell, const struct stage *stage,
		  enum verdict verdict, const char *note, const struct sink *sink);

#endif
