/*
 * Two hosts, and each callback gives the last reference of the other one back, on the threads of
 * their monitors: nobody waits for the other, and both end.
 */
#include "monitor.h"

static struct watched pair[2];
static _Atomic unsigned inside, taken;

static void throw_the_other_away(struct watched *self, EMemoryAvailable available)
{
	struct watched *other = self == &pair[0] ? &pair[1] : &pair[0];

	if (available != LOW)
		return;
	atomic_fetch_add(&inside, 1);
	/* Both are in their callbacks, and nobody is in a call. */
	while (atomic_load(&inside) != 2 || atomic_load(&taken) != 2)
		(void)usleep(500);
	host_destroy(&other->host);
}

static void two_may_give_each_other_up(void)
{
	HostMemBudget budget = budget_of(LIMIT);

	for (unsigned round = 0; round < 20; round++) {
		tap_row("round %u", round);
		atomic_store(&inside, 0);
		atomic_store(&taken, 0);
		for (unsigned i = 0; i < 2; i++) {
			if (!watched_begin(&pair[i], &budget))
				return;
			pair[i].then = throw_the_other_away;
		}
		for (unsigned i = 0; i < 2; i++) {
			(void)take_pages(&pair[i], 95);
			atomic_fetch_add(&taken, 1);
		}
		for (unsigned i = 0; i < 2; i++) {
			while (atomic_load(&pair[i].callback.references) != 1)
				(void)usleep(500);
			CHECK_HEARD(&pair[i].callback, "12");
		}
		wait_for_monitors(0);
	}
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(two_may_give_each_other_up);
	return tap_done();
}
