/*
 * What a heap is asked to do while it is timed.
 *
 * Threads: a lane belongs to one thread.
 */
#ifndef HOSTMEM_BENCH_LOOPS_H
#define HOSTMEM_BENCH_LOOPS_H

#include "allocator.h"
#include "measure.h"

#include <stdint.h>

enum { LOOPS_BATCH = 256, LOOPS_SLOTS = 4096 };

struct heap_lane {
	const struct heap *heap;
	size_t size;     /* bytes of a block, where it is one size */
	uint64_t random; /* seed, then state */
	void *slots[LOOPS_SLOTS];
	bool receives; /* what the other lane hands over */
};

/* The same loop, compiled for calls of a vtable and for calls of malloc and free. */
struct loop {
	struct measure_work ours, theirs;
};

/* Allocate, write, free. */
extern const struct loop loop_pair;
/* LOOPS_BATCH times allocate and write, then free all in the same order. */
extern const struct loop loop_batch;
/* Free a random one of LOOPS_SLOTS blocks, put one of 16 to 1039 bytes in its place. */
extern const struct loop loop_churn;
/* Two threads: one allocates and writes, the other one frees. */
extern const struct loop loop_cross;

/* Two lanes, ready for the loop; they are static. */
struct heap_lane *loops_open(const struct heap *heap, size_t size);

/* Frees what the lanes hold; FALSE: something was refused. */
bool loops_close(void);

#endif
