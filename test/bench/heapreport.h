/*
 * The figures of heaps for people and for programs: tables on stdout, lines in a CSV.
 */
#ifndef HOSTMEM_BENCH_HEAPREPORT_H
#define HOSTMEM_BENCH_HEAPREPORT_H

#include "heaprows.h"
#include "options.h"

/* What one heap has got done in one row. */
struct heap_result {
	enum verdict verdict;           /* OK, SKIPPED or FAILED */
	struct measure_figures figures; /* ns for a pair, or bytes at the peak */
	char note[NOTE_SIZE];
};

/* Opens the CSV; FALSE, with a line on stderr: it cannot be written. */
bool heapreport_open(const struct options *options);

/* Prints a row as it comes; `processors`: there have been two for two threads. */
void heapreport_timed(const struct heap_row *row,
		      const struct heap_result results[ALLOCATORS], bool processors);

/* Prints a row of memory; `live` is what the workload asked for, at most. */
void heapreport_peak(const struct peak_row *row,
		     const struct heap_result results[ALLOCATORS], size_t live);

/* Closes the CSV and says how it went; FALSE: a row could not run. */
bool heapreport_close(void);

#endif
