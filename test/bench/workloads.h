/*
 * What a heap is asked to do while its memory is counted.
 *
 * Every byte of every block is written to.
 */
#ifndef HOSTMEM_BENCH_WORKLOADS_H
#define HOSTMEM_BENCH_WORKLOADS_H

#include "allocator.h"

/* Returns FALSE if something was refused; else the most bytes that were live at once. */
typedef bool workload(const struct heap *heap, size_t *live);

/*
 * Two threads replace random blocks of 16 to 512 bytes and each leaves them to a new
 * thread, again and again: a server, after Larson and Krishnan.
 */
workload workload_larson;

/* Blocks of 16 to 128 bytes: most die at once, one in 32 stays: after cfrac. */
workload workload_cfrac;

/*
 * Blocks of 16 bytes to 32 KiB up to 64 MiB, which are then replaced at random, freed to a
 * third, and grown to 64 MiB again, now with blocks of 32 bytes to 1 KiB.
 */
workload workload_churn;

/* Makes the workloads' own tables resident, so that they are not counted. */
void workloads_touch(void);

#endif
