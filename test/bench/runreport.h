/*
 * The figures of whole programs: a table on stdout, lines in a CSV.
 */
#ifndef HOSTMEM_BENCH_RUNREPORT_H
#define HOSTMEM_BENCH_RUNREPORT_H

#include "options.h"
#include "verdict.h"

/* One side: as it is, or under a host. */
struct run_side {
	struct measure_figures wall, processor; /* ns */
};

struct run_result {
	const char *name;
	enum verdict verdict; /* OK, SKIPPED or FAILED */
	struct run_side plain, hosted;
	bool decidable; /* the processors were free */
	char note[NOTE_SIZE];
};

/* Opens the CSV; FALSE, with a line on stderr: it cannot be written. */
bool runreport_open(const struct options *options);

/* Prints a row as it comes. */
void runreport_row(const struct run_result *result);

/* Closes the CSV and says how it went; FALSE: a program has failed. */
bool runreport_close(void);

#endif
