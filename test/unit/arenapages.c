/*
 * Pages in arenas, and beside them: what a page is after each operation, for every
 * source.
 * Refusals of the kernel: arenapages_refused.c; locked memory and policies:
 * arenapages_locked.c; giving back: arenapages_release.c.
 */
#include "plot.h"

static struct plot plot;

static const unsigned accesses[] = { NONE, READS, WRITES, EXECUTES,
				     WRITES | HM_ACCESS_EXECUTE };

static void reserved_pages_cannot_be_touched(void)
{
	static const size_t counts[] = { 1, 15, 16, 17, 64, 100, 512, 2048 };
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (size_t i = 0; i < ROWS(counts); i++) {
			tap_row("source %zu, %zu pages", s, counts[i]);
			plot_reserve(&plot, source, counts[i]);
			plot_check(&plot);
			CHECK_HR(plot_release(&plot), S_OK);
		}
	}
}

static void committed_pages_are_zero_have_their_access_and_no_neighbours(void)
{
	static const struct {
		size_t count, first, pages;
	} rows[] = {
		{ 16, 0, 1 },  { 16, 15, 1 },    { 16, 3, 7 },      { 64, 15, 2 },
		{ 64, 0, 64 }, { 200, 10, 150 }, { 1024, 500, 24 }, { 1024, 100, 900 },
	};
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (size_t i = 0; i < ROWS(rows) * ROWS(accesses); i++) {
			size_t row = i / ROWS(accesses);
			unsigned access = accesses[i % ROWS(accesses)];

			tap_row("source %zu, row %zu, access %u", s, row, access);
			plot_reserve(&plot, source, rows[row].count);
			CHECK_HR(plot_commit(&plot, rows[row].first, rows[row].pages,
					     access),
				 S_OK);
			plot_check(&plot);
			plot_write(&plot, 0, plot.count, 0x5A);
			CHECK_HR(plot_release(&plot), S_OK);
		}
	}
}

/* From every access to every other, by commit, by protect, and by way of a decommit. */
static void change(size_t way, unsigned from, unsigned to)
{
	plot_reserve(&plot, plot.source, 48);
	CHECK_HR(plot_commit(&plot, 4, 40, WRITES), S_OK);
	plot_write(&plot, 4, 40, 0x5A);
	CHECK_HR(plot_protect(&plot, 10, 20, from), S_OK);
	plot_check(&plot);
	if (way == 0)
		CHECK_HR(plot_protect(&plot, 12, 15, to), S_OK);
	if (way == 2)
		CHECK_HR(plot_decommit(&plot, 12, 15), S_OK);
	if (way != 0)
		CHECK_HR(plot_commit(&plot, 12, 15, to), S_OK);
	plot_check(&plot);
	CHECK_HR(plot_decommit(&plot, 8, 30), S_OK);
	plot_check(&plot);
	CHECK_HR(plot_commit(&plot, 0, 48, WRITES), S_OK);
	plot_check(&plot);
	CHECK_HR(plot_release(&plot), S_OK);
	/* The granules are as good as new. */
	CHECK_HR(plot_reserve_at(&plot, plot.source, NULL, 48, 0, NONE), S_OK);
	plot_check(&plot);
	CHECK_HR(plot_commit(&plot, 0, 48, WRITES), S_OK);
	plot_check(&plot);
	CHECK_HR(plot_release(&plot), S_OK);
}

static void every_access_changes_to_every_other(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (size_t from = 0; from < ROWS(accesses); from++) {
			for (size_t i = 0; i < ROWS(accesses) * 3; i++) {
				tap_row("source %zu, from %u to %u by %zu", s,
					accesses[from], accesses[i / 3], i % 3);
				plot.source = source;
				change(i % 3, accesses[from], accesses[i / 3]);
			}
		}
	}
}

static void contents_outlive_a_time_without_access(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		plot_reserve(&plot, source, 32);
		CHECK_HR(plot_commit(&plot, 0, 32, WRITES), S_OK);
		plot_write(&plot, 0, 32, 0x5A);
		CHECK_HR(plot_protect(&plot, 7, 3, NONE), S_OK);
		CHECK_HR(plot_commit(&plot, 12, 10, NONE), S_OK);
		plot_check(&plot);
		plot_check_contents(&plot, 8);
		plot_check_contents(&plot, 16);
		CHECK_HR(plot_commit(&plot, 0, 32, READS), S_OK);
		plot_check(&plot);
		CHECK_HR(plot_release(&plot), S_OK);
	}
}

static void large_ranges_are_decommitted_and_committed_again(void)
{
	const struct hm_page_source *source;

	/* Many granules are closed, a few are guarded: the border is somewhere here. */
	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (size_t pages = 100; pages < 200; pages += 13) {
			tap_row("source %zu, %zu pages", s, pages);
			plot_reserve(&plot, source, 512);
			CHECK_HR(plot_commit(&plot, 0, 512, WRITES), S_OK);
			plot_write(&plot, 0, 512, 0x5A);
			CHECK_HR(plot_protect(&plot, 150, 9, READS), S_OK);
			CHECK_HR(plot_decommit(&plot, 70, pages), S_OK);
			plot_check(&plot);
			CHECK_HR(plot_commit(&plot, 0, 512, WRITES), S_OK);
			plot_check(&plot);
			CHECK_HR(plot_decommit(&plot, 0, 512), S_OK);
			plot_check(&plot);
			CHECK_HR(plot_release(&plot), S_OK);
		}
	}
}

static void a_reservation_may_be_committed_at_once(void)
{
	static const unsigned flags[] = {
		HM_RESERVE_COMMITTED,
		HM_RESERVE_COMMITTED | HM_RESERVE_LASTING,
		HM_RESERVE_COMMITTED | HM_RESERVE_TOP_DOWN,
	};
	static const size_t counts[] = { 1, 16, 63, 64, 65, 300 };
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (size_t i = 0; i < ROWS(flags) * ROWS(counts) * ROWS(accesses); i++) {
			unsigned access = accesses[i % ROWS(accesses)];
			size_t count = counts[i / ROWS(accesses) % ROWS(counts)];
			unsigned flag = flags[i / ROWS(accesses) / ROWS(counts)];

			tap_row("source %zu, %zu pages, flags %u, access %u", s, count,
				flag, access);
			CHECK_HR(plot_reserve_at(&plot, source, NULL, count, flag,
						 access),
				 S_OK);
			plot_check(&plot);
			plot_write(&plot, 0, count, 0x5A);
			CHECK_HR(plot_release(&plot), S_OK);
		}
	}
}

static void reservations_are_aligned_as_wanted(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (size_t alignment = UNIT; alignment <= (size_t)1 << 31;
		     alignment *= 2) {
			void *out = NULL;

			tap_row("source %zu, alignment %zu", s, alignment);
			CHECK_HR(source->reserve(source, NULL, 3 * PAGE, alignment, 0,
						 NONE, &out),
				 S_OK);
			CHECK_SIZE((uintptr_t)out % alignment, 0);
			source->give_up(source, out, 3 * PAGE);
		}
	}
}

static void small_places_can_be_taken_without_a_reserve(void)
{
	static const struct {
		size_t size, alignment;
		bool sure; /* small enough */
	} rows[] = {
		{ PAGE, UNIT, true },
		{ UNIT, UNIT, true },
		{ 5 * UNIT + PAGE, UNIT, true },
		{ 31 * UNIT, UNIT, false },
		{ 40 * UNIT, UNIT, false },
		{ UNIT, 64 * UNIT, false },
		{ UNIT, 128 * UNIT, false },
	};
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		bool arenas = hm_pages_arenas(source) != NULL;

		for (size_t i = 0; i < ROWS(rows); i++) {
			size_t count = (rows[i].size + PAGE - 1) / PAGE;
			uintptr_t base = 0;

			tap_row("source %zu, row %zu", s, i);
			if (!hm_pages_take(source, rows[i].size, rows[i].alignment,
					   &base)) {
				CHECK(!arenas || !rows[i].sure);
				CHECK_SIZE(base, 0);
				continue;
			}
			CHECK(arenas);
			CHECK_SIZE(base % rows[i].alignment, 0);
			memset(&plot, 0, sizeof(plot));
			plot.source = source;
			plot_found(&plot, (unsigned char *)base, count);
			plot_check(&plot);
			CHECK_HR(plot_commit(&plot, 0, count, WRITES), S_OK);
			plot_check(&plot);
			CHECK_HR(plot_release(&plot), S_OK);
		}
	}
}

/* Whether an address is in an arena is no secret, whatever else is decided by it. */
static void arenas_are_for_what_they_are_good_at(void)
{
	static const struct {
		size_t size;
		unsigned flags;
		bool in_arena;
	} rows[] = {
		{ UNIT, 0, true },
		{ (size_t)1 << 30, 0, true },
		{ ((size_t)1 << 30) + PAGE, 0, false },
		{ (size_t)256 << 10, HM_RESERVE_COMMITTED, true },
		{ ((size_t)256 << 10) + PAGE, HM_RESERVE_COMMITTED, false },
		{ (size_t)1 << 20, HM_RESERVE_COMMITTED | HM_RESERVE_LASTING, true },
		{ UNIT, HM_RESERVE_TOP_DOWN, false },
	};
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (size_t i = 0; i < ROWS(rows); i++) {
			void *out = NULL;

			tap_row("source %zu, row %zu", s, i);
			CHECK_HR(source->reserve(source, NULL, rows[i].size, UNIT,
						 rows[i].flags, WRITES, &out),
				 S_OK);
			CHECK((hm_arena_of((uintptr_t)out) != NULL) ==
			      (rows[i].in_arena && source != hm_pages_without_arenas));
			source->give_up(source, out, rows[i].size);
		}
	}
}

static void a_way_can_be_chosen_from_outside(void)
{
	static const struct {
		const char *way;
		uint32_t flags;
		size_t want; /* number of a source */
	} rows[] = {
		{ NULL, 0, 0 },
		{ NULL, HOSTMEM_NO_GUARD_PAGES, 1 },
		{ NULL, HOSTMEM_STRICT_EXECUTE, 0 },
		{ "guard", 0, 0 },
		{ "protect", 0, 1 },
		{ "direct", 0, 2 },
		{ "direct", HOSTMEM_NO_GUARD_PAGES, 2 },
		{ "nonsense", 0, 0 },
		{ "", HOSTMEM_NO_GUARD_PAGES, 1 },
	};
	const char *before = getenv("HOSTMEM_PAGES");
	char *kept = before != NULL ? strdup(before) : NULL;

	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct hm_page_source *want = plot_source(rows[i].want);

		tap_row("row %zu", i);
		if (rows[i].way != NULL)
			CHECK(setenv("HOSTMEM_PAGES", rows[i].way, 1) == 0);
		else
			CHECK(unsetenv("HOSTMEM_PAGES") == 0);
		stubborn_begin();
		stubborn.text = "1\n";
		CHECK(hm_pages_choose(rows[i].flags) == want);
		stubborn.text = "2\n";
		CHECK(hm_pages_choose(rows[i].flags) == hm_pages_without_arenas);
		stubborn_end();
	}
	if (kept != NULL)
		CHECK(setenv("HOSTMEM_PAGES", kept, 1) == 0);
	free(kept);
}

static void choose_on_an_old_kernel(void)
{
	CHECK(unsetenv("HOSTMEM_PAGES") == 0);
	stubborn_begin();
	stubborn.text = "0\n";
	stubborn.advise = (struct refusal){ EINVAL, .times = ALWAYS,
					    .only = MADV_GUARD_INSTALL };
	CHECK(hm_pages_choose(0) == hm_pages_without_guards);
	stubborn_end();
}

static void a_kernel_without_guard_pages_has_its_own_way(void)
{
	in_child(choose_on_an_old_kernel);
}

int main(void)
{
	access_install();
	CHECK_HR(hm_calls_prepare(), S_OK);
	/* First, while the kernel has not been asked yet. */
	TAP_RUN(a_kernel_without_guard_pages_has_its_own_way);
	TAP_RUN(reserved_pages_cannot_be_touched);
	TAP_RUN(committed_pages_are_zero_have_their_access_and_no_neighbours);
	TAP_RUN(every_access_changes_to_every_other);
	TAP_RUN(contents_outlive_a_time_without_access);
	TAP_RUN(large_ranges_are_decommitted_and_committed_again);
	TAP_RUN(a_reservation_may_be_committed_at_once);
	TAP_RUN(reservations_are_aligned_as_wanted);
	TAP_RUN(small_places_can_be_taken_without_a_reserve);
	TAP_RUN(arenas_are_for_what_they_are_good_at);
	TAP_RUN(a_way_can_be_chosen_from_outside);
	return tap_done();
}
