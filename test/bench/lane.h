/*
 * Where a cycle runs: the host, the regions that belong to one thread of one side, and
 * the first call that was refused there.
 */
#ifndef HOSTMEM_BENCH_LANE_H
#define HOSTMEM_BENCH_LANE_H

#include "measure.h"

#include <hostmem/hostmem.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define PAGE ((size_t)4096)
#define GRANULE (64 * KIB)

enum { MOST_FRESH = 1000 };

struct lane {
	IHostMemoryManager *vm; /* borrowed, as is the control */
	IHostMemoryControl *control;
	bool first;   /* of its side: what is done once for a host is done here */
	size_t size;  /* bytes of the cycle */
	size_t touch; /* pages of them to write to */

	void **live; /* regions that live in the background, in random order */
	size_t live_count;
	size_t next; /* of them */

	char *region;            /* what `open` has made */
	void *fresh[MOST_FRESH]; /* what one sample has made */
	size_t fresh_count;
	uint64_t cookie; /* of a subscription */

	const char *call;   /* the first one that was refused, else NULL ... */
	const char *reason; /* ... and why */
};

/* A cycle: what is made before it is measured, the work, what is taken away. */
struct cycle {
	bool (*open)(struct lane *lane);
	void (*close)(struct lane *lane);
	struct measure_work work;
};

/* Through the vtables of a host. */
extern const struct cycle ours_reserve, ours_alloc, ours_alloc_heard, ours_alloc_limited,
	ours_fresh, ours_three_calls, ours_commit, ours_recommit, ours_protect,
	ours_query, ours_replace;

/* Straight from the system. */
extern const struct cycle raw_reserve, raw_alloc, raw_fresh, raw_three_calls, raw_commit,
	raw_recommit, raw_protect, raw_protect_inside, raw_replace;

/* The open gate of a host, and nothing. */
extern const struct cycle ours_gate, raw_nothing;

/* Writes to the first pages of a block. */
static inline void lane_touch(const struct lane *lane, void *block)
{
	for (size_t page = 0; page < lane->touch; page++)
		((volatile char *)block)[page * PAGE] = 1;
}

/* Remembers the first refusal; always FALSE. */
static inline bool lane_refused(struct lane *lane, const char *call, const char *reason)
{
	if (lane->call == NULL) {
		lane->call = call;
		lane->reason = reason;
	}
	return false;
}

/* The next of the live regions. */
static inline void **lane_next(struct lane *lane)
{
	void **region = &lane->live[lane->next];

	lane->next = lane->next + 1 < lane->live_count ? lane->next + 1 : 0;
	return region;
}

#endif
