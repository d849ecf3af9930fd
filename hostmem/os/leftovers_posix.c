/*
 * What the kernel would not unmap: a small list, from which it is offered again.
 *
 * Locks: HM_RANK_LEFTOVERS around the list, not held across a call of the system.
 */
#include "leftovers.h"
#include "lock.h"
#include "memory.h"

#include <stdatomic.h>

#define MOST_LEFTOVERS 64

static struct {
	struct hm_lock lock;
	_Atomic size_t count;
	struct leftover {
		void *address;
		size_t size;
	} ranges[MOST_LEFTOVERS];
} leftovers;

static void keep(void *address, size_t size)
{
	hm_lock_acquire(&leftovers.lock, HM_RANK_LEFTOVERS);
	if (leftovers.count < MOST_LEFTOVERS)
		leftovers.ranges[leftovers.count++] =
			(struct leftover){ .address = address, .size = size };
	hm_lock_release(&leftovers.lock, HM_RANK_LEFTOVERS);
}

void hm_leftover(void *address, size_t size)
{
	if (FAILED(hm_memory_unmap(address, size)))
		keep(address, size);
}

void hm_leftovers_give_up(void)
{
	while (atomic_load_explicit(&leftovers.count, memory_order_relaxed) != 0) {
		struct leftover range = { .size = 0 };

		hm_lock_acquire(&leftovers.lock, HM_RANK_LEFTOVERS);
		if (leftovers.count != 0)
			range = leftovers.ranges[--leftovers.count];
		hm_lock_release(&leftovers.lock, HM_RANK_LEFTOVERS);
		if (range.size == 0)
			return;
		if (FAILED(hm_memory_unmap(range.address, range.size))) {
			keep(range.address, range.size);
			return;
		}
	}
}
