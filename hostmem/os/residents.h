#ifndef HOSTMEM_OS_RESIDENTS_H
#define HOSTMEM_OS_RESIDENTS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes writable memory of ours read as zero: overwrites the pages that are there, and
 * leaves alone those that are not, since they read as zero by themselves.  Costs a
 * fraction of giving the pages back and faulting new ones in.  E_FAIL has no place here:
 * false means that the contents are as they were, and may not be handed out.
 */
bool hm_residents_zero(void *address, size_t size);

/* In a fork child: the open list is the parent's, forget it. */
void hm_residents_after_fork(void);

#endif
