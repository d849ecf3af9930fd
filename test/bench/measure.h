/*
 * Sides that are measured against each other, in turn.
 *
 * A side is a piece of work and the lanes it runs in, one a thread.  A round takes a
 * sample of every side, the even rounds forwards and the odd ones backwards, so that
 * whatever the machine does meanwhile happens to all of them.
 *
 * Threads: the functions belong on one thread; measure_open makes the second one.
 */
#ifndef HOSTMEM_BENCH_MEASURE_H
#define HOSTMEM_BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>

enum {
	MEASURE_ROUNDS = 101, /* at most */
	MEASURE_THREADS = 2,
};

/*
 * The work of a side.  `run` is what is timed; `before` and `after` are called around
 * it, or are NULL.  FALSE means that something was refused: measuring ends.
 */
struct measure_work {
	bool (*before)(void *lane, size_t times);
	bool (*run)(void *lane, size_t times);
	bool (*after)(void *lane, size_t times);
	size_t most; /* times in one sample; 0 = any number */
};

struct measure_side {
	const struct measure_work *work;
	const struct measure_side *like; /* runs as many times as that one; or NULL */
	void *lanes[MEASURE_THREADS];
	unsigned threads;
	size_t times;                   /* in one sample, by each thread */
	double samples[MEASURE_ROUNDS]; /* ns for one time, by the clock on the wall */
	bool clean[MEASURE_ROUNDS];     /* no thread of it had to wait for a processor */
};

/* Of the clean samples if there are enough of them, else of all. */
struct measure_figures {
	double quarter, median,
		least; /* ns; a quarter of the samples is below the first */
	bool clean;
};

struct measure_plan {
	unsigned rounds; /* odd */
	double sample;   /* ns that one should last */
};

/* FALSE: there is no thread to be had. */
bool measure_open(void);
void measure_close(void);

/*
 * The two parts of measure_sides, for sides that are in several processes: finds out how
 * often a side runs in a sample; takes the sample of one round.  FALSE: the work said so.
 */
bool measure_prepare(struct measure_side *side, const struct measure_plan *plan);
bool measure_sample(struct measure_side *side, unsigned round);

/* FALSE: the work of a side said so. */
bool measure_sides(struct measure_side *sides, size_t count,
		   const struct measure_plan *plan);

struct measure_figures measure_figures(const struct measure_side *side, unsigned rounds);

/* The median of what one side takes more than another, round by round. */
double measure_extra(const struct measure_side *with, const struct measure_side *without,
		     unsigned rounds);

/* How many times the throughput of one thread two have that only compute: all samples. */
double measure_processors(const struct measure_plan *plan);

#define ENOUGH_PROCESSORS 1.8 /* of these, for two threads to be two */

/* Monotonic, in ns. */
double measure_now(void);

#endif
