/*
 * What a look at memory has told of bounds.
 */
#ifndef HOSTMEM_UNIT_BOUNDS_H
#define HOSTMEM_UNIT_BOUNDS_H

#include "hostmem/os/meminfo.h"
#include "test/tap.h"

#define KIB ((uint64_t)1 << 10)

enum { MOST = 8 };

static struct {
	unsigned count;
	struct hm_memory_bound bounds[MOST];
} seen;

static void see(void *state, const struct hm_memory_bound *bound)
{
	CHECK_POINTER(state, &seen);
	if (CHECK(seen.count < MOST))
		seen.bounds[seen.count++] = *bound;
}

/* The bound of that kind, which is the only one; NULL: there is none. */
static const struct hm_memory_bound *find(enum hm_memory_bounds kind)
{
	const struct hm_memory_bound *found = NULL;

	for (unsigned i = 0; i < seen.count; i++) {
		if (seen.bounds[i].kind != kind)
			continue;
		CHECK(found == NULL);
		found = &seen.bounds[i];
	}
	return found;
}

#define CHECK_BOUND(kind, wanted, wanted_used) \
	do { \
		const struct hm_memory_bound *bound = find(kind); \
		if (CHECK(bound != NULL)) { \
			CHECK_SIZE(bound->limit, (wanted)); \
			CHECK_SIZE(bound->used, (wanted_used)); \
		} \
	} while (0)

#endif
