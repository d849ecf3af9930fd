/*
 * What a monitor costs while nothing happens.
 */
#ifndef HOSTMEM_BENCH_IDLE_H
#define HOSTMEM_BENCH_IDLE_H

#include "verdict.h"

#include <hostmem/hostmem.h>

#include <stdint.h>

/* Of a thread, over the time that it was watched. */
struct idle_thread {
	double per_cent; /* of one processor */
	double sleeps;   /* in a second, also those inside the kernel's calls */
};

struct idle_result {
	unsigned seconds; /* in: how long */
	bool grouped;     /* in: in the control group, near its threshold */
	enum verdict verdict;
	char note[NOTE_SIZE];
	struct idle_thread ours;
	struct idle_thread timer; /* of libuv, at 100 ms, which asks what is free */
	struct idle_thread empty; /* the same that asks for nothing */
	double threads;           /* that a host with a monitor has more */
	double allocations;       /* NAN: they cannot be counted */
	unsigned load;            /* per cent, as the host tells it */
	uint64_t calls[HOSTMEM_SOURCES]; /* by each source that woke it */
};

void idle_watch(struct idle_result *result);

#endif
