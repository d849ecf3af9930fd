#ifndef HOSTMEM_CLI_RUNLIBRARY_H
#define HOSTMEM_CLI_RUNLIBRARY_H

#include <limits.h>
#include <stdbool.h>

/*
 * Finds the preload library that belongs to this command.  0, or the exit status after one
 * line on the standard error.
 */
int hm_preload_find(char path[PATH_MAX]);

/* Puts it before what else LD_PRELOAD has; false: no memory. */
bool hm_preload_prepend(const char *path);

#endif
