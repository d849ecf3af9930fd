#ifndef HOSTMEM_MEMORYLOAD_H
#define HOSTMEM_MEMORYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How full memory is, by the tightest of all bounds.
 */
struct hm_host;

struct hm_memory_load {
	uint32_t per_cent; /* of the fullest bound, rounded down, at most 100 */
	size_t available; /* bytes, of the one with the fewest left; SIZE_MAX = no bound */
	size_t total;     /* bytes that this one has in all; 0 = no bound */
};

/* No bound at all. */
struct hm_memory_load hm_memory_load_none(void);

/* Whether there is a bound.  Of a system where nothing can be read nobody knows how full it is;
 * that does not make it empty. */
static inline bool hm_memory_load_is_known(const struct hm_memory_load *load)
{
	return load->available != SIZE_MAX;
}

/* One more bound; more may be used than it allows. */
void hm_memory_load_add(struct hm_memory_load *load, uint64_t limit, uint64_t used);

/* What the system says at this moment.  Any thread, also inside a collection: waits for nobody,
 * allocates nothing. */
struct hm_memory_load hm_memory_load_sample(void);

/* What the host's own budget says, and the system: as the monitor has found it, which takes no
 * time, else as it is now.  Likewise. */
struct hm_memory_load hm_memory_load_now(const struct hm_host *host);

#endif
