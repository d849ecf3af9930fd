/*
 * How often malloc and its like are called in this program, by it and by its libraries.
 */
#ifndef HOSTMEM_BENCH_ALLOCATIONS_H
#define HOSTMEM_BENCH_ALLOCATIONS_H

#include <stdbool.h>

/* false: they cannot be counted in this build. */
bool allocations_counted(void);

unsigned long allocations_count(void);

/* What this thread allocates from now on is left out. */
void allocations_leave_out(void);

#endif
