/*
 * Numbers that look random and are the same in every run: splitmix64.
 */
#ifndef HOSTMEM_BENCH_RANDOM_H
#define HOSTMEM_BENCH_RANDOM_H

#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
	uint64_t number = *state += UINT64_C(0x9E3779B97F4A7C15);

	number = (number ^ (number >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	number = (number ^ (number >> 27)) * UINT64_C(0x94D049BB133111EB);
	return number ^ (number >> 31);
}

#endif
