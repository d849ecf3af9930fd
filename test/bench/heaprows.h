/*
 * The rows of the heap benchmark: what is measured, and what is wanted of it.
 */
#ifndef HOSTMEM_BENCH_HEAPROWS_H
#define HOSTMEM_BENCH_HEAPROWS_H

#include "loops.h"
#include "workloads.h"

/* A row that is timed. */
struct heap_row {
	const char *name;
	const char *about;
	const struct loop *loop;
	size_t size; /* bytes */
	unsigned threads;
	unsigned pairs;          /* of Alloc and Free that one turn of the loop has */
	bool least;              /* the targets are about minima */
	double most[ALLOCATORS]; /* of the other's time, wanted; 0 = no matter */
};

/* A row in which memory is counted, in a process of its own. */
struct peak_row {
	const char *name;
	const char *about;
	workload *run;
	unsigned threads;
	double most; /* of the best other's peak, wanted */
};

enum { HEAP_ROWS = 16, PEAK_ROWS = 3 };

extern const struct heap_row heap_rows[HEAP_ROWS];
extern const struct peak_row peak_rows[PEAK_ROWS];

#endif
