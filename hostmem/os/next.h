#ifndef HOSTMEM_OS_NEXT_H
#define HOSTMEM_OS_NEXT_H

#include <stdbool.h>

/*
 * The function that a name would stand for if this library did not define it.  *function is a
 * pointer to a function; false, and NULL, if nobody else has it.  May allocate.
 */
bool hm_next_function(const char *name, void *function);

#endif
