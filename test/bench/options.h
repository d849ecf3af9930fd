/*
 * The command line of a benchmark: rows by name, how many rounds, where the figures go.
 */
#ifndef HOSTMEM_BENCH_OPTIONS_H
#define HOSTMEM_BENCH_OPTIONS_H

#include "measure.h"

enum { OPTIONS_ROWS = 32 };

/* What a program says about itself. */
struct options_program {
	const char *name;
	const char *about; /* for --help; lines */
	const char *quick; /* what the word `quick` does besides fewer samples; lines */
	/* The row of that number and what it measures; NULL after the last. */
	const char *(*row)(size_t index, const char **about);
	unsigned rounds, quick_rounds; /* where --rounds does not say */
	unsigned seconds,
		quick_seconds; /* likewise --seconds; 0: there is no such option */
};

struct options {
	const char *program; /* borrowed, its name */
	const char *csv;     /* the file, owned by the caller of main or static */
	bool markdown;
	bool quick;
	bool all;                  /* no row was named */
	bool wanted[OPTIONS_ROWS]; /* rows that are named, or all */
	struct measure_plan plan;
	unsigned seconds; /* of what is watched for a time; 0: nothing is */
};

/* Ends the program after --help, and with status 2 and one line if it is wrong. */
void options_read(struct options *options, const struct options_program *program,
		  int count, char **words);

#endif
