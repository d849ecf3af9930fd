#ifndef HOSTMEM_TEST_DEFECTS_H
#define HOSTMEM_TEST_DEFECTS_H

#include <stdbool.h>

/*
 * Whether the host has this defect: HOSTMEM_DEFECT in the environment names it.
 *
 *	if (defect("free-null-accepted") && r->address == NULL)
 *		hr = S_OK;
 *
 * defects.txt has a line for each, and each has one place in the sources.
 */
bool defect(const char *name);

/* Writes there, NULL or not: what a host does that checks nothing. */
void touch(void *address);

#endif
