/*
 * One line of the CSV, as it travels from the process that measures to the one that
 * prints.
 */
#ifndef HOSTMEM_BENCH_RESULT_H
#define HOSTMEM_BENCH_RESULT_H

#include "rows.h"
#include "verdict.h"

enum { NAME_SIZE = 48 };

/* NAN where there is no figure. */
struct result {
	char name[NAME_SIZE];
	size_t live; /* 0: does not apply */
	unsigned threads;
	enum mode mode;
	enum pages pages;
	enum unit unit;
	double ours_median, ours_least, raw_median, raw_least;
	double figure; /* what the target is about */
	double target;
	bool at_least; /* else at most */
	enum verdict verdict;
	char note[NOTE_SIZE]; /* the reason of a verdict, or a remark */
};

/* Takes results one by one; what it points to is its own. */
struct sink {
	void (*take)(void *state, const struct result *result);
	void *state;
};

#endif
