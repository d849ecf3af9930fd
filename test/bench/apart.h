/*
 * A part of the benchmark in a process of its own, and in a control group of its own.
 */
#ifndef HOSTMEM_BENCH_APART_H
#define HOSTMEM_BENCH_APART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define APART_LIMIT ((uint64_t)256 << 20) /* bytes, of the group */

/* Zeroed, and shared with the processes made later; NULL: there is none. */
void *apart_share(size_t size);

/* Runs it in a child, which is ended after so many seconds.  NULL, or how it has ended, in a
 * text that is there until the next call. */
const char *apart_run(void (*body)(void *result), void *result, unsigned seconds);

/* ---- A control group of version 1, below our own ---- */

/* NULL, or why there is none.  It is removed with apart_remove_group, at exit, and when a
 * signal asks this process to end. */
const char *apart_make_group(void);
void apart_remove_group(void);

/* In the child: enters it. */
bool apart_enter_group(void);

/* A file of the group; -1: there is none. */
int apart_open(const char *name, int flags);

/* What the group uses, in bytes.  The first call is made while there is one thread. */
uint64_t apart_usage(void);

/* Touches memory until so much is used; false: there is none to be had. */
bool apart_use(uint64_t bytes);

#endif
