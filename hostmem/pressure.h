#ifndef HOSTMEM_PRESSURE_H
#define HOSTMEM_PRESSURE_H

#include "abi/memnotify.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How much memory there is: figures -> Low, Neutral or High, one step at a time.
 *
 * A pure function: figures, rules and time are arguments, what it remembers is returned.
 * The monitor and the simulator feed the same one.
 */

/* A moment that never comes. */
#define HM_PRESSURE_NEVER UINT64_MAX

struct hm_pressure_rules {
	uint32_t low_load;     /* per cent: from here on memory is short */
	uint32_t calm_load;    /* per cent: below it a shortage may end */
	uint32_t high_load;    /* per cent: below it there may be plenty */
	uint32_t neutral_load; /* per cent: from here on there is plenty no more */
	size_t scarce;         /* bytes available: with so few memory is short */
	size_t enough;         /* bytes available: with fewer a shortage does not end */
	uint32_t calm_ms;      /* that a shortage must have been over before Low ends */
	uint32_t plenty_ms;    /* that there must have been plenty before High begins */
	uint32_t stall_ms;     /* that a stall counts as one */
};

extern const struct hm_pressure_rules hm_pressure_defaults;

/* What is known at one moment. */
struct hm_pressure_figures {
	bool known;       /* load and available are figures of the system */
	uint32_t load;    /* per cent of the memory there is */
	size_t available; /* bytes */
	size_t total;     /* bytes, of what has so few available; 0: nobody can say */
	bool stalled;     /* since the step before, work stood still for want of memory */
	size_t charged;   /* bytes, of the host's own budget */
	size_t limit;     /* bytes; SIZE_MAX: none */
	size_t soft_limit; /* bytes; SIZE_MAX: none */
};

/* What one step leaves to the next; all times are ms of one clock. */
struct hm_pressure {
	EMemoryAvailable level;
	uint64_t calm_since;   /* or HM_PRESSURE_NEVER: it is not calm */
	uint64_t plenty_since; /* likewise */
	uint64_t stall_until;
	uint64_t due; /* when a step with the same figures may change the level */
};

/* Bytes that may be too few, of a memory of that size: of a small one they would be nearly
 * all.  0 = nobody can say how large it is. */
size_t hm_pressure_scarce(const struct hm_pressure_rules *rules, size_t total);
size_t hm_pressure_enough(const struct hm_pressure_rules *rules, size_t total);

/* Neutral, with nothing behind it. */
struct hm_pressure hm_pressure_start(void);

/* `now` does not go back from step to step.  The new level is in the result. */
struct hm_pressure hm_pressure_step(const struct hm_pressure_rules *rules,
				    const struct hm_pressure *before,
				    const struct hm_pressure_figures *figures,
				    uint64_t now);

/* The most that may be charged at a level without it becoming a worse one; SIZE_MAX: nothing
 * that is charged makes it worse. */
size_t hm_pressure_most_charged(const struct hm_pressure_rules *rules,
				EMemoryAvailable level,
				const struct hm_pressure_figures *figures);

/* Bytes that would have to be given back, by whom the figures are about, for a shortage to end;
 * SIZE_MAX: nobody can say. */
size_t hm_pressure_lacks(const struct hm_pressure_rules *rules,
			 const struct hm_pressure_figures *figures);

/* So much of the whole, rounded down, at most 100; 100 of nothing. */
uint32_t hm_per_cent(uint64_t part, uint64_t whole);

#endif
