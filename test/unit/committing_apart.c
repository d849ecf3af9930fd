/*
 * Granules that the kernel keeps a mapping of their own for, and how many mappings there
 * are whatever becomes of pages.
 */
#include "hostmem/committing.h"
#include "plot.h"

enum { GRANULES = 64, MANY = 2200, MOST_APART = 1024 };

static struct plot plot, right;
static struct hm_arenas *set;

/* With guard pages, a reservation of whole granules; false: the kernel has none. */
static bool begin(size_t granules)
{
	if (!hm_memory_has_guards()) {
		tap_skip("the kernel has no guard pages");
		return false;
	}
	set = &hm_arenas_with_guards;
	(void)hm_shelves_clear(set);
	plot_reserve(&plot, hm_pages_with_guards, granules * GRANULE_PAGES);
	return true;
}

/* The same, committed and in use. */
static bool begin_full(size_t granules)
{
	if (!begin(granules))
		return false;
	CHECK_HR(plot_commit(&plot, 0, plot.count, WRITES), S_OK);
	plot_write(&plot, 0, plot.count, 0x5A);
	return true;
}

static void tidy(void)
{
	hm_calls_enter();
	(void)hm_tidy(plot.source);
	hm_calls_leave();
	CHECK_STR(hm_arenas_check(hm_pages_arenas(plot.source)), NULL);
}

static unsigned seen_at(const unsigned char *address, size_t granules)
{
	struct hm_arena *arena = hm_arena_at((uintptr_t)address);

	return hm_granules_seen(&arena->book.granules,
				hm_arena_granule(arena, (uintptr_t)address),
				(uint32_t)granules);
}

static bool is_apart(const unsigned char *address, size_t granules)
{
	struct hm_arena *arena = hm_arena_at((uintptr_t)address);

	return hm_granules_any_apart(&arena->book.granules,
				     hm_arena_granule(arena, (uintptr_t)address),
				     (uint32_t)granules);
}

/* Pages go read-only and come back. */
static void toggle(size_t first, size_t count)
{
	CHECK_HR(plot_protect(&plot, first, count, READS), S_OK);
	CHECK_HR(plot_protect(&plot, first, count, WRITES), S_OK);
}

static void granules_that_go_back_and_forth_stay_a_mapping(void)
{
	static const struct {
		size_t first, count; /* granules */
	} rows[] = { { 5, 1 }, { 20, 7 }, { 40, 9 }, { GRANULES - 1, 1 }, { 0, 2 } };
	size_t before, apart;

	if (!begin_full(GRANULES))
		return;
	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t first = rows[i].first * GRANULE_PAGES;
		size_t count = rows[i].count * GRANULE_PAGES;

		tap_row("row %zu", i);
		apart = set->apart;
		before = smaps_count();
		CHECK_HR(plot_protect(&plot, first, count, READS), S_OK);
		CHECK(smaps_count() > before);
		CHECK_SIZE(set->apart, apart);
		CHECK_HR(plot_protect(&plot, first, count, WRITES), S_OK);
		CHECK_SIZE(set->apart, apart + rows[i].count);
		CHECK(is_apart(plot.base + first * PAGE, rows[i].count));
		before = smaps_count();
		for (int round = 0; round < 4; round++) {
			CHECK_HR(plot_protect(&plot, first, count, READS), S_OK);
			CHECK_SIZE(smaps_count(), before);
			CHECK_HR(plot_protect(&plot, first, count, WRITES), S_OK);
			CHECK_SIZE(smaps_count(), before);
		}
		CHECK_SIZE(set->apart, apart + rows[i].count);
		plot_check(&plot);
	}
	CHECK_HR(plot_release(&plot), S_OK);
	CHECK_U32(set->apart, 0);
}

/* They are a mapping of their own no longer than they are of another access. */
static void parts_of_granules_merge_again(void)
{
	static const struct {
		size_t first, count; /* pages */
	} rows[] = { { 3, 1 }, { 16, 15 }, { 17, 15 }, { 100, 60 }, { 31, 18 } };
	size_t before;

	if (!begin_full(GRANULES))
		return;
	before = smaps_count();
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		for (int round = 0; round < 3; round++) {
			toggle(rows[i].first, rows[i].count);
			CHECK_SIZE(smaps_count(), before);
			CHECK_U32(set->apart, 0);
		}
	}
	CHECK_HR(plot_release(&plot), S_OK);
}

/* Whoever asks for what he has gets no mapping of his own for it. */
static void granules_that_were_never_away_do_not_come_back(void)
{
	size_t before;

	if (!begin_full(GRANULES))
		return;
	before = smaps_count();
	for (size_t i = 1; i < GRANULES; i += 2)
		CHECK_HR(plot_protect(&plot, i * GRANULE_PAGES, GRANULE_PAGES, WRITES),
			 S_OK);
	CHECK_SIZE(smaps_count(), before);
	CHECK_U32(set->apart, 0);
	CHECK_HR(plot_release(&plot), S_OK);
	CHECK_U32(set->apart, 0);
}

/* A reservation that is committed from end to end, and larger than a plot. */
static struct hm_page_run all_committed(const struct hm_page_history *self, void *address)
{
	return (struct hm_page_run){ self->end - (uintptr_t)address, true, WRITES };
}

static void only_so_many_are_set_apart(void)
{
	struct hm_page_history all = { all_committed, 0, 0 };
	size_t before, most = 0;
	struct hm_arena *arena;
	void *base;

	if (!begin(1))
		return;
	CHECK_HR(plot_release(&plot), S_OK);
	tidy();
	before = smaps_count();
	CHECK_HR(plot.source->reserve(plot.source, NULL, MANY * UNIT, UNIT, 0, NONE,
				      &base),
		 S_OK);
	arena = hm_arena_at((uintptr_t)base);
	all.start = (uintptr_t)base;
	all.end = all.start + MANY * UNIT;
	CHECK_HR(hm_commit_in(arena, all.start, MANY * UNIT, WRITES, &all), S_OK);
	for (size_t i = 1; i < MANY; i += 2) {
		uintptr_t at = all.start + i * UNIT;

		CHECK_HR(hm_protect_in(arena, at, UNIT, READS, &all), S_OK);
		CHECK_HR(hm_protect_in(arena, at, UNIT, WRITES, &all), S_OK);
		most = hm_max(most, set->apart);
	}
	CHECK_SIZE(most, MOST_APART);
	CHECK(smaps_count() <= before + 2 * MOST_APART + 2);
	CHECK(smaps_count() >= before + 2 * MOST_APART);
	CHECK_HR(hm_release_in(arena, all.start, MANY * UNIT, &all), S_OK);
	CHECK_U32(set->apart, 0);
	tidy();
	CHECK_SIZE(smaps_count(), before);
}

/* In both ways: afterwards the kernel's list is as long as if nothing had been. */
static void whatever_happened_the_mappings_are_as_before(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL && s < 2; s++) {
		struct hm_arenas *arenas = hm_pages_arenas(source);
		size_t before;

		plot_reserve(&plot, source, 1);
		CHECK_HR(plot_release(&plot), S_OK);
		tidy();
		before = smaps_count();
		for (size_t ending = 0; ending < 2; ending++) {
			tap_row("source %zu, ending %zu", s, ending);
			plot_reserve(&plot, source, GRANULES * GRANULE_PAGES);
			for (size_t i = 0; i < plot.count; i += 80) {
				CHECK_HR(plot_commit(&plot, i, 48, WRITES), S_OK);
				toggle(i, 16);
				CHECK_HR(plot_protect(&plot, i + 20, 3, EXECUTES), S_OK);
				toggle(i + 16, 32);
			}
			plot_check(&plot);
			if (ending == 0)
				CHECK_HR(plot_decommit(&plot, 0, plot.count), S_OK);
			CHECK_HR(plot_release(&plot), S_OK);
			tidy();
			CHECK_SIZE(smaps_count(), before);
			CHECK_U32(arenas->apart, 0);
		}
	}
}

/* Guard pages are the same whatever access was there before. */
static void pages_of_another_access_merge_when_they_are_decommitted(void)
{
	static const unsigned accesses[] = { READS, EXECUTES, NONE };
	size_t before;

	if (!begin_full(GRANULES))
		return;
	before = smaps_count();
	for (size_t i = 0; i < ROWS(accesses); i++) {
		tap_row("access %u", accesses[i]);
		CHECK_HR(plot_protect(&plot, 40, 30, accesses[i]), S_OK);
		CHECK_SIZE(smaps_count(), before + 2);
		CHECK_HR(plot_decommit(&plot, 40, 30), S_OK);
		CHECK_SIZE(smaps_count(), before);
		CHECK_HR(plot_commit(&plot, 40, 30, WRITES), S_OK);
		CHECK_SIZE(smaps_count(), before);
		plot_check(&plot);
	}
	CHECK_HR(plot_release(&plot), S_OK);
}

static void decommitted_granules_are_apart_until_they_are_closed(void)
{
	if (!begin_full(GRANULES))
		return;
	toggle(4 * GRANULE_PAGES, 20 * GRANULE_PAGES);
	CHECK_U32(set->apart, 20);
	CHECK_HR(plot_decommit(&plot, 4 * GRANULE_PAGES, 2 * GRANULE_PAGES), S_OK);
	CHECK_U32(set->apart, 20);
	CHECK_HR(plot_decommit(&plot, 10 * GRANULE_PAGES, 8 * GRANULE_PAGES), S_OK);
	CHECK_U32(set->apart, 12);
	CHECK_U32(seen_at(plot.base + 10 * UNIT, 8), HM_SOME_BLANK);
	CHECK_HR(plot_commit(&plot, 4 * GRANULE_PAGES, 20 * GRANULE_PAGES, WRITES), S_OK);
	plot_check(&plot);
	CHECK_U32(set->apart, 12);
	CHECK_HR(plot_release(&plot), S_OK);
	CHECK_U32(set->apart, 0);
}

/* What goes is joined with its neighbours, what stays is apart, and what two share is
 * joined when the second goes. */
static void a_part_that_is_released_is_set_apart_no_more(void)
{
	size_t middle = 12 * GRANULE_PAGES + 5;

	if (!begin_full(GRANULES))
		return;
	toggle(10 * GRANULE_PAGES, 5 * GRANULE_PAGES);
	CHECK_U32(set->apart, 5);
	CHECK_HR(plot_cut(&plot, 11 * GRANULE_PAGES, middle - 11 * GRANULE_PAGES, &right),
		 S_OK);
	CHECK_U32(set->apart, 4);
	CHECK(is_apart(plot.base + 10 * UNIT, 1) && !is_apart(plot.base + 11 * UNIT, 1));
	plot_check(&plot);
	plot_check(&right);
	CHECK_HR(plot_release(&right), S_OK);
	CHECK_U32(set->apart, 1);
	CHECK_HR(plot_release(&plot), S_OK);
	CHECK_U32(set->apart, 0);
}

static void a_granule_of_two_is_apart_as_long_as_one_of_them_lives(void)
{
	for (int order = 0; order < 2; order++) {
		struct plot *first = order == 0 ? &plot : &right;
		struct plot *second = order == 0 ? &right : &plot;

		tap_row("order %d", order);
		if (!begin_full(3))
			return;
		toggle(GRANULE_PAGES, GRANULE_PAGES);
		CHECK_HR(plot_cut(&plot, GRANULE_PAGES + 6, 2, &right), S_OK);
		CHECK_U32(set->apart, 1);
		CHECK_HR(plot_release(first), S_OK);
		CHECK_U32(set->apart, 1);
		plot_check(second);
		CHECK_HR(plot_release(second), S_OK);
		CHECK_U32(set->apart, 0);
	}
}

int main(void)
{
	access_install();
	CHECK_HR(hm_calls_prepare(), S_OK);
	CHECK(hm_spare_keep());
	TAP_RUN(granules_that_go_back_and_forth_stay_a_mapping);
	TAP_RUN(parts_of_granules_merge_again);
	TAP_RUN(granules_that_were_never_away_do_not_come_back);
	TAP_RUN(only_so_many_are_set_apart);
	TAP_RUN(whatever_happened_the_mappings_are_as_before);
	TAP_RUN(pages_of_another_access_merge_when_they_are_decommitted);
	TAP_RUN(decommitted_granules_are_apart_until_they_are_closed);
	TAP_RUN(a_part_that_is_released_is_set_apart_no_more);
	TAP_RUN(a_granule_of_two_is_apart_as_long_as_one_of_them_lives);
	return tap_done();
}
