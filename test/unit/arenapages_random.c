/*
 * Random operations on several reservations at once: every page is what it has to be, and
 * the kernel's list of mappings does not grow.
 */
#include "plot.h"

#define PLOTS 12U

static struct plot plots[PLOTS];
static const struct hm_page_source *source;
static uint64_t seed;

static size_t below(size_t limit)
{
	return random_below(&seed, limit);
}

static unsigned any_access(bool ordinary)
{
	static const unsigned accesses[] = { WRITES, NONE, READS, EXECUTES };

	return ordinary || below(3) != 0 ? WRITES : accesses[below(ROWS(accesses))];
}

static struct plot *free_plot(void)
{
	for (size_t i = 0; i < PLOTS; i++) {
		if (plots[i].count == 0)
			return &plots[i];
	}
	return NULL;
}

static size_t any_size(void)
{
	return below(4) == 0 ? 1 + below(700) : 1 + below(60);
}

static void reserve_some(bool ordinary)
{
	struct plot *plot = free_plot();
	unsigned flags = below(2) ? HM_RESERVE_COMMITTED : 0U;

	if (plot == NULL)
		return;
	CHECK_HR(plot_reserve_at(plot, source, NULL, any_size(), flags,
				 any_access(ordinary)),
		 S_OK);
	plot_check(plot);
}

static void release_some(struct plot *plot)
{
	struct plot *right = free_plot();
	size_t first = below(plot->count), count = 1 + below(plot->count - first);

	if (right == NULL || below(3) == 0) {
		CHECK_HR(plot_release(plot), S_OK);
		return;
	}
	CHECK_HR(plot_cut(plot, first, count, right), S_OK);
	/* What begins is a plot, even if nothing is left of it. */
	if (plot->count == 0) {
		*plot = *right;
		plot_found(plot, right->base, right->count);
		right->count = 0;
	}
	plot_check(plot);
	plot_check(right);
}

static void protect_some(struct plot *plot, size_t first, size_t count, bool ordinary)
{
	size_t end = first;

	while (end < first + count && plot->pages[end].committed)
		end++;
	if (end != first)
		CHECK_HR(plot_protect(plot, first, end - first, any_access(ordinary)),
			 S_OK);
}

static void step(bool ordinary)
{
	struct plot *plot = &plots[below(PLOTS)];
	size_t first, count;

	if (plot->count == 0) {
		reserve_some(ordinary);
		return;
	}
	first = below(plot->count);
	count = 1 + below(plot->count - first);
	switch (below(8)) {
	case 0:
		release_some(plot);
		return;
	case 1:
	case 2:
		CHECK_HR(plot_decommit(plot, first, count), S_OK);
		break;
	case 3:
		protect_some(plot, first, count, ordinary);
		break;
	default:
		CHECK_HR(plot_commit(plot, first, count, any_access(ordinary)), S_OK);
	}
	plot_check_range(plot, first, count);
	plot_write(plot, first, count, (uint8_t)(1 + below(255)));
}

static void check_all(void)
{
	for (size_t i = 0; i < PLOTS; i++)
		plot_check(&plots[i]);
	(void)plot_room(source);
}

static void run(bool ordinary, unsigned steps)
{
	for (unsigned i = 0; i < steps && !tap_failed(); i++) {
		tap_row("seed %" PRIu64 ", step %u", seed, i);
		step(ordinary);
		if (i % 100 == 99)
			check_all();
	}
}

static void release_all(void)
{
	for (size_t i = 0; i < PLOTS; i++) {
		if (plots[i].count != 0)
			CHECK_HR(plot_release(&plots[i]), S_OK);
	}
}

static void pages_are_what_they_have_to_be(void)
{
	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (uint64_t i = 1; i <= 3; i++) {
			seed = i * 7919;
			run(false, 1000);
			release_all();
		}
	}
}

static void tidy(void)
{
	hm_calls_enter();
	(void)hm_tidy(source);
	hm_calls_leave();
}

/* With guard pages the mappings are those of the arena, whatever is committed. */
static void mappings_do_not_grow(void)
{
	static struct plot keeper; /* so that its arena is not idle, and is tidied */

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		size_t before;

		seed = 4711;
		plot_reserve(&keeper, source, 1);
		run(true, 100);
		release_all();
		tidy();
		before = smaps_count();
		run(true, 1000);
		/* A few windows that are open. */
		if (source == hm_pages_with_guards)
			CHECK(smaps_count() <= before + 2 * PLOTS);
		release_all();
		tidy();
		CHECK(smaps_count() <= before);
		run(false, 1000);
		release_all();
		tidy();
		CHECK(smaps_count() <= before);
		CHECK_HR(plot_release(&keeper), S_OK);
	}
}

static void everything_released_is_everything_free(void)
{
	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		struct hm_arenas *set = hm_pages_arenas(source);

		seed = 12345;
		run(false, 300);
		release_all();
		if (set == NULL)
			continue;
		(void)hm_shelves_clear(set);
		CHECK_STR(hm_arenas_check(set), NULL);
		CHECK(set->idle != 0);
		CHECK(hm_arenas_trim());
		CHECK_U32(set->idle, 0);
		CHECK_SIZE(plot_room(source), 0);
	}
}

int main(void)
{
	access_install();
	CHECK_HR(hm_calls_prepare(), S_OK);
	CHECK(hm_spare_keep());
	TAP_RUN(pages_are_what_they_have_to_be);
	TAP_RUN(mappings_do_not_grow);
	TAP_RUN(everything_released_is_everything_free);
	return tap_done();
}
