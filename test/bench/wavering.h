/*
 * How often a noisy load brings a change that is none.
 */
#ifndef HOSTMEM_BENCH_WAVERING_H
#define HOSTMEM_BENCH_WAVERING_H

struct wavering_result {
	unsigned hours;          /* that were played */
	double rules, threshold; /* changes in an hour: ours, and one threshold's */
};

/* All histories that waver, with so many seeds each. */
void wavering_play(unsigned seeds, struct wavering_result *result);

#endif
