/*
 * How full memory is.
 *
 * A program can run out of its budget, of a control group of a container or of one above it,
 * of what its process may have, or of the machine; whichever it meets first is what a
 * collector wants to know.  So the percentage is that of the fullest bound and the bytes are
 * those of the one with the fewest left, which need not be the same one: nine tenths of a
 * large machine leave more than half of a small budget.
 *
 * The budget is the host's own account and exact; the rest is what the monitor has seen last, or
 * without one, or if that is too long ago, what the system says at this moment.
 *
 * No locks.
 */
#include "memoryload.h"
#include "host.h"
#include "pressure.h"
#include "os/meminfo.h"

struct hm_memory_load hm_memory_load_none(void)
{
	return (struct hm_memory_load){ .available = SIZE_MAX };
}

void hm_memory_load_add(struct hm_memory_load *load, uint64_t limit, uint64_t used)
{
	uint64_t left = used < limit ? limit - used : 0;
	uint32_t full = hm_per_cent(used, limit);

	if (full > load->per_cent)
		load->per_cent = full;
	if (left < load->available) {
		load->available = (size_t)left;
		load->total = (size_t)limit;
	}
}

static void add_bound(void *state, const struct hm_memory_bound *bound)
{
	if (bound->limit != UINT64_MAX)
		hm_memory_load_add(state, bound->limit, bound->used);
}

struct hm_memory_load hm_memory_load_sample(void)
{
	struct hm_memory_load load = hm_memory_load_none();

	hm_meminfo_visit(add_bound, &load);
	return load;
}

struct hm_memory_load hm_memory_load_now(const struct hm_host *host)
{
	size_t limit = atomic_load_explicit(&host->budget.limit, memory_order_relaxed);
	struct hm_memory_load load;

	if (hm_monitor_is_late(&host->monitor) ||
	    !hm_monitor_figures(&host->monitor, &load))
		load = hm_memory_load_sample();
	if (limit != SIZE_MAX)
		hm_memory_load_add(&load, limit,
				   atomic_load_explicit(&host->budget.charged,
							memory_order_relaxed));
	return load;
}
