/*
 * Figures in lines.
 *
 * Pages and regions are counted in one word, so that a reservation is one addition: pages
 * below bit 36, with a sign, which is enough for 2^47 bytes, regions above.  A line may go
 * below zero, where one thread reserves and another releases; the sum is right because
 * words wrap around.
 *
 * A reader who comes to a line before a reservation and to another one after its release,
 * or after that of a part of it, would find less than nothing; so he adds up until he gets
 * the same twice, and takes nothing for less than nothing.
 *
 * No locks.
 */
#include "figures.h"
#include "calls.h"
#include "os/size.h"

#define REGION_SHIFT 36
#define SIGN (UINT64_C(1) << (REGION_SHIFT - 1)) /* of the pages */
#define ATTEMPTS 4

static struct hm_figures_line *own_line(struct hm_figures *figures)
{
	return &figures->lines[hm_calls_slot() % HM_FIGURES_LINES];
}

void hm_figures_reserve(struct hm_figures *figures, ptrdiff_t bytes, int regions)
{
	uint64_t pages = (uint64_t)(bytes / (ptrdiff_t)HM_PAGE_SIZE);
	uint64_t change = ((uint64_t)(int64_t)regions << REGION_SHIFT) + pages;

	atomic_fetch_add_explicit(&own_line(figures)->reservations, change,
				  memory_order_relaxed);
}

void hm_figures_commit(struct hm_figures *figures, ptrdiff_t bytes)
{
	atomic_fetch_add_explicit(&own_line(figures)->committed, (uint64_t)bytes,
				  memory_order_relaxed);
}

struct sums {
	uint64_t reservations, committed;
};

static struct sums add_up(const struct hm_figures *figures)
{
	struct sums sums = { 0, 0 };

	for (unsigned i = 0; i < HM_FIGURES_LINES; i++) {
		const struct hm_figures_line *line = &figures->lines[i];

		sums.reservations += atomic_load_explicit(&line->reservations,
							  memory_order_acquire);
		sums.committed += atomic_load_explicit(&line->committed,
						       memory_order_acquire);
	}
	return sums;
}

static uint64_t at_least_nothing(uint64_t value)
{
	return (int64_t)value < 0 ? 0 : value;
}

void hm_figures_read(const struct hm_figures *figures, size_t *reserved,
		     size_t *committed, uint64_t *regions)
{
	struct sums sums = add_up(figures);
	uint64_t pages;

	for (unsigned i = 0; i < ATTEMPTS; i++) {
		struct sums again = add_up(figures);

		if (again.reservations == sums.reservations &&
		    again.committed == sums.committed)
			break;
		sums = again;
	}
	/* Fewer pages than none have borrowed from the regions. */
	pages = ((sums.reservations + SIGN) & (2 * SIGN - 1)) - SIGN;
	*regions = at_least_nothing(sums.reservations - pages) >> REGION_SHIFT;
	*reserved = hm_bytes(at_least_nothing(pages));
	*committed = at_least_nothing(sums.committed);
}
