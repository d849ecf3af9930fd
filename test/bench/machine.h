/*
 * What is going on: the machine that is measured on, and how far a run has come.
 */
#ifndef HOSTMEM_BENCH_MACHINE_H
#define HOSTMEM_BENCH_MACHINE_H

#include "measure.h"

/* One line about the library, the system and its processors. */
void machine_print(void);

/* As measure_processors; wants no measuring under way. */
double machine_processors(const struct measure_plan *plan);

/* One line about that. */
void machine_print_processors(const struct measure_plan *plan);

/*
 * Keeps this thread on one processor, the first that the process may use, or no longer.
 * Processors are not alike at a time, whatever they are: each shares its core with another
 * one that may be busy.  Processes in turn are to have the same.
 */
void machine_stay(bool stay);

/* Replaces the last line of progress, on a terminal only. */
void machine_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A figure in KiB of a file in /proc, in bytes; 0 if it is not there. */
size_t machine_bytes(const char *path, const char *name);

#endif
