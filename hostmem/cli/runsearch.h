#ifndef HOSTMEM_CLI_RUNSEARCH_H
#define HOSTMEM_CLI_RUNSEARCH_H

#include <limits.h>

/*
 * Finds the file that a shell would execute for that name: the name itself if there is a
 * slash in it, else what PATH leads to.  0, or an errno: ENOENT, EISDIR, EACCES, ...
 */
int hm_search(const char *name, char path[PATH_MAX]);

/* Whether that file can be executed; 0 or an errno. */
int hm_search_look(const char *path);

#endif
