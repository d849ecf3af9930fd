#ifndef HOSTMEM_OS_LEFTOVERS_H
#define HOSTMEM_OS_LEFTOVERS_H

#include <stddef.h>

/*
 * What was mapped too much, or is wanted no more, and goes back to the system.
 *
 * Never fails: where the kernel has no room to split a mapping it keeps it, and is asked again
 * later; beyond a handful it is left, which costs addresses and no memory.  errno is kept.
 */
void hm_leftover(void *address, size_t size);

/* Asks again for what the kernel has not taken; one load where there is nothing. */
void hm_leftovers_give_up(void);

#endif
