#ifndef HOSTMEM_OS_MEMINFO_H
#define HOSTMEM_OS_MEMINFO_H

#include <stdint.h>

/* Something that bounds this process's memory. */
enum hm_memory_bounds {
	HM_BOUND_MACHINE,   /* what the machine has, and what is not to be had of it */
	HM_BOUND_ADDRESSES, /* RLIMIT_AS */
	HM_BOUND_DATA,      /* RLIMIT_DATA */
	HM_BOUND_GROUP,     /* a control group */
};

struct hm_memory_bound {
	enum hm_memory_bounds kind;
	uint64_t limit, used; /* bytes; of no limit there is no bound */
};

/*
 * Calls `visit` for each bound that the system has set, as it is now.  What cannot be read
 * is left out.  Any thread; allocates nothing, waits for nobody, keeps errno.
 */
void hm_meminfo_visit(void (*visit)(void *state, const struct hm_memory_bound *bound),
		      void *state);

#endif
