#ifndef HOSTMEM_MEMORYLOAD_H
#define HOSTMEM_MEMORYLOAD_H

#include <stddef.h>
#include <stdint.h>

/*
 * How full memory is, by the tightest of all bounds.
 */
struct hm_host;

struct hm_memory_load {
	uint32_t per_cent; /* of the fullest bound, rounded down, at most 100 */
	size_t available; /* bytes, of the one with the fewest left; SIZE_MAX = no bound */
};

/* No bound at all. */
struct hm_memory_load hm_memory_load_none(void);

/* One more bound; more may be used than it allows. */
void hm_memory_load_add(struct hm_memory_load *load, uint64_t limit, uint64_t used);

/* What the host's own budget says, and the system, as they are now.  Any thread, also inside
 * a collection: waits for nobody, allocates nothing. */
struct hm_memory_load hm_memory_load_sample(const struct hm_host *host);

#endif
