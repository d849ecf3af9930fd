/*
 * How a process has ended.
 */
#ifndef HOSTMEM_BENCH_PROCESS_H
#define HOSTMEM_BENCH_PROCESS_H

#include <sys/types.h>

/* Waits for its end.  The text is static, and there until the next call. */
const char *process_end(pid_t process);

#endif
