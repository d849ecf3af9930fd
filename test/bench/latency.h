/*
 * From the moment in which memory becomes short to the moment in which somebody knows it.
 *
 * Sides are taken in turn, as in measure.h; one is open at a time, so that what listens does
 * not wake beside it.
 *
 * Threads: latency_heard_short and latency_heard_calm belong to whoever listens.
 */
#ifndef HOSTMEM_BENCH_LATENCY_H
#define HOSTMEM_BENCH_LATENCY_H

#include "verdict.h"

#include <stdbool.h>

enum {
	LATENCY_SIDES = 3,      /* at most */
	LATENCY_SAMPLES = 1010, /* of a side, at most */
};

struct latency_side {
	const char *name;
	unsigned times; /* crossings in a round */
	unsigned
		phase_ms; /* crossings are spread over so long; 0: they follow each other */
	/* NULL, or why it cannot be had. */
	const char *(*open)(void);
	/* Makes memory short; returns the moment before, in ns of measure_now, or NAN: it
	 * has not become short. */
	double (*cross)(void);
	/* Makes it plenty again, until whoever listens knows that; false: he does not. */
	bool (*back)(void);
	void (*close)(void);
};

struct latency_figures {
	unsigned count;
	double middle, late,
		most; /* ns: the median, the 99th of a hundred, the longest */
};

struct latency_result {
	struct latency_figures figures[LATENCY_SIDES];
	enum verdict verdict; /* OK, or that of a side that could not be measured */
	char note[NOTE_SIZE];
};

/* The sides end with NULL. */
void latency_measure(const struct latency_side *const sides[LATENCY_SIDES],
		     unsigned rounds, struct latency_result *result);

/* Whoever listens has just heard it. */
void latency_heard_short(void);
void latency_heard_calm(void);

/* Whether he has, since the crossing began. */
bool latency_is_heard(void);

/* false: not within two seconds. */
bool latency_wait_calm(void);

#endif
