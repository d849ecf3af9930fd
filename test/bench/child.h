/*
 * A part of the benchmark in a process of its own.
 */
#ifndef HOSTMEM_BENCH_CHILD_H
#define HOSTMEM_BENCH_CHILD_H

#include "result.h"

/*
 * Runs the body in a child; what it tells its sink comes out of the one given.
 *
 * Returns NULL, or a static text that says why the child has not come to its end.
 */
const char *child_run(void (*body)(const void *argument, const struct sink *sink),
		      const void *argument, const struct sink *sink);

#endif
