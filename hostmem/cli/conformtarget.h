#ifndef HOSTMEM_CLI_CONFORMTARGET_H
#define HOSTMEM_CLI_CONFORMTARGET_H

#include "hostmem/conform/trial.h"

/*
 * What is judged: the hosts of a module, or with NULL those of the library that the command is
 * linked with.  `path` has a slash.  The module is loaded into this process, for good, so this
 * is for a process that may crash or hang; `begins`, unless it is NULL, hears of each step in
 * which the module has the say before it is taken.  Returns "", or in one line why there is no
 * host to be had from it; that text stays until the next call.
 */
const char *hm_conform_open(const char *path, struct hm_target *target,
			    void (*begins)(const char *step));

#endif
