/*
 * What became of a figure.
 */
#ifndef HOSTMEM_BENCH_VERDICT_H
#define HOSTMEM_BENCH_VERDICT_H

#include <stdbool.h>

enum verdict {
	NO_TARGET,
	OK,
	UNDECIDED, /* measured, but two threads have not had two processors */
	MISSED,
	SKIPPED, /* cannot be had here, for a reason that is none of ours */
	FAILED,  /* a call was refused */
	VERDICTS,
};

enum { NOTE_SIZE = 160 };

/* How many there were of each. */
struct verdict_counts {
	unsigned of[VERDICTS];
};

/*
 * Of a figure that ought to be at most (or least) the target, NAN for none.  Where it is
 * not decidable, a figure that misses its target says nothing.
 */
enum verdict verdict_of(double figure, double target, bool at_least, bool decidable);

const char *verdict_name(enum verdict verdict);

/* What a figure in a table is marked with. */
const char *verdict_mark(enum verdict verdict);

/* One line on stdout. */
void verdict_print_counts(const struct verdict_counts *counts);

#endif
