#ifndef HOSTMEM_ATTACH_ATTACHED_H
#define HOSTMEM_ATTACH_ATTACHED_H

#include "profiles.h"

#include "abi/attach.h"

#include <stdatomic.h>
#include <stdbool.h>

struct hm_host;

/*
 * The host that this process is attached to, and how.
 *
 * It is written once, before `ready` is set, and read without a lock from then on: the
 * references are kept until the process ends, so nothing here ever goes away.
 */
struct hm_attached {
	_Atomic bool ready;
	_Atomic bool starting; /* every request is process-critical */
	IHostMemoryManager *memory;
	IHostMemoryPages *pages;
	IHostMalloc2 *heap;
	struct hm_host *host; /* for whom the map of regions says whose a page is */
	const struct hm_profile *profile;
};

extern struct hm_attached hm_attached;

static inline bool hm_is_attached(void)
{
	return atomic_load_explicit(&hm_attached.ready, memory_order_acquire);
}

/* In a fork child: the peak of its usage is its own. */
void hm_attached_forget_peak(void);

/* The critical level of a request that the profile takes for refusable or not. */
static inline EMemoryCriticalLevel hm_attached_level(bool refusable)
{
	return refusable && !atomic_load_explicit(&hm_attached.starting,
						  memory_order_relaxed)
		       ? eTaskCritical
		       : eProcessCritical;
}

#endif
