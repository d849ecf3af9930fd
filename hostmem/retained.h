#ifndef HOSTMEM_RETAINED_H
#define HOSTMEM_RETAINED_H

#include "os/lock.h"
#include "os/pages.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Released memory that a host keeps for reuse (HostMemConfig.cbRetain): address space and
 * pages as they were, writable, in no region any more.  It is not charged, VirtualQuery
 * tells it as free, and it is given back before the system's refusal becomes ours.
 *
 * Only what is most likely to be wanted again is kept: reservations of at most 1 MiB,
 * committed read-write from end to end.
 */
#define HM_RETAINED_LARGEST ((size_t)1 << 20)

struct hm_retained_run;

struct hm_retained {
	struct hm_lock lock; /* HM_RANK_RETAINED */
	size_t limit;        /* bytes; 0: nothing is kept */
	_Atomic size_t bytes;
	struct hm_retained_run *runs; /* room for as many as the limit allows */
	uint32_t room;
	uint32_t unused; /* runs that have never been used begin here */
	uint32_t lists[HM_RETAINED_LARGEST / 0x10000 + 2]; /* see retained.c */
};

/* Of a zeroed host; false = no memory.  Between hm_calls_enter and hm_calls_leave. */
bool hm_retained_init(struct hm_retained *retained, size_t limit);
void hm_retained_destroy(struct hm_retained *retained);

static inline bool hm_retained_wants(const struct hm_retained *retained, size_t size)
{
	return size <= retained->limit && size <= HM_RETAINED_LARGEST;
}

/* Keeps a run; what has to go for it, the oldest first, goes back to `pages`. */
void hm_retained_put(struct hm_retained *retained, const struct hm_page_source *pages,
		     uintptr_t base, size_t size);

/* A run of that very size and alignment, all zero; false, and *base as it was, if there is
 * none. */
bool hm_retained_take(struct hm_retained *retained, const struct hm_page_source *pages,
		      size_t size, size_t alignment, uintptr_t *base);

/* Takes the oldest run out; false if there is none. */
bool hm_retained_pop(struct hm_retained *retained, uintptr_t *base, size_t *size);

/* Gives all back. */
void hm_retained_trim(struct hm_retained *retained, const struct hm_page_source *pages);

#endif
