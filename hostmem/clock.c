/*
 * A host's clock.
 *
 * Virtual time is what makes a simulation repeatable and quick: waiting and delays move the
 * clock instead of taking time.  It begins at the time that was, and when it ends, what it
 * is ahead of the system's time is kept, so that no reader ever sees time go back and
 * differences stay what they were.
 *
 * Locks: none; whoever changes the kind of time excludes others (availability.c).
 */
#include "clock.h"
#include "os/thread.h"

uint64_t hm_clock_now(const struct hm_clock *clock)
{
	if (hm_clock_is_virtual(clock))
		return atomic_load_explicit(&clock->stands_at, memory_order_relaxed);
	return hm_thread_now() +
	       atomic_load_explicit(&clock->ahead, memory_order_relaxed);
}

bool hm_clock_set_virtual(struct hm_clock *clock, bool on)
{
	uint64_t now = hm_clock_now(clock);

	if (hm_clock_is_virtual(clock) == on)
		return false;
	if (on)
		atomic_store_explicit(&clock->stands_at, now, memory_order_relaxed);
	else
		atomic_store_explicit(&clock->ahead, now - hm_thread_now(),
				      memory_order_relaxed);
	atomic_store_explicit(&clock->is_virtual, on, memory_order_release);
	return true;
}

void hm_clock_move(struct hm_clock *clock, uint64_t ms)
{
	uint64_t now = atomic_load_explicit(&clock->stands_at, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(
		&clock->stands_at, &now, ms > UINT64_MAX - now ? UINT64_MAX : now + ms,
		memory_order_relaxed, memory_order_relaxed))
		;
}
