#ifndef HOSTMEM_CLOCK_H
#define HOSTMEM_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A host's time, in ms: the system's monotonic time, or virtual time, which stands still
 * until somebody moves it.  It never goes back, also where one takes over from the other.
 */
struct hm_clock {
	_Atomic uint32_t is_virtual;
	_Atomic uint64_t stands_at; /* while it is virtual */
	_Atomic uint64_t ahead; /* of monotonic time, by what virtual time was moved */
};

static inline bool hm_clock_is_virtual(const struct hm_clock *clock)
{
	return atomic_load_explicit(&clock->is_virtual, memory_order_acquire) != 0;
}

uint64_t hm_clock_now(const struct hm_clock *clock);

/* Whether anything has changed by it.  Calls of this do not overlap. */
bool hm_clock_set_virtual(struct hm_clock *clock, bool on);

/* Moves virtual time; stays at the end of time. */
void hm_clock_move(struct hm_clock *clock, uint64_t ms);

#endif
