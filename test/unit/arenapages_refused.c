/*
 * Pages in arenas on a kernel that refuses: at each call in turn, for each reason, after
 * each part of the work.  A failure has changed nothing, and giving back always works.
 */
#include "plot.h"

static struct plot plot;

static const int reasons[] = { ENOMEM, EAGAIN, EACCES, EINVAL };

/* What the reservation is like before: blank, open, and odd granules, with pages of every
 * kind in them. */
static void furnish(const struct hm_page_source *source)
{
	plot_reserve(&plot, source, 40 * GRANULE_PAGES);
	/* Opens a window in the middle: blank granules are left at both ends. */
	CHECK_HR(plot_commit(&plot, 20 * GRANULE_PAGES, 20, WRITES), S_OK);
	CHECK_HR(plot_commit(&plot, 22 * GRANULE_PAGES + 3, 4, READS), S_OK);
	CHECK_HR(plot_commit(&plot, 23 * GRANULE_PAGES, 16, WRITES), S_OK);
	CHECK_HR(plot_protect(&plot, 23 * GRANULE_PAGES + 5, 3, NONE), S_OK);
	plot_write(&plot, 0, plot.count, 0x5A);
}

static void begin_refusing(void)
{
	stubborn_begin_at((uintptr_t)plot.base, (uintptr_t)plot.base + plot.count * PAGE);
}

/* The pages beside those that are looked at have no part in this. */
static void check_around(size_t first, size_t count)
{
	size_t low = first > 40 ? first - 40 : 0;
	size_t high = first + count + 40 < plot.count ? first + count + 40 : plot.count;

	plot_check_range(&plot, low, high - low);
	for (size_t i = low; i < high; i++) {
		if (plot.pages[i].committed && plot.pages[i].access == NONE)
			plot_check_contents(&plot, i);
	}
}

static const struct {
	size_t first, count; /* in pages */
	unsigned access;
} commits[] = {
	{ 20 * 16 + 18, 30, WRITES }, /* open granules, some pages committed */
	{ 22 * 16, 40, WRITES },      /* odd ones */
	{ 22 * 16, 40, READS },
	{ 2 * 16 + 3, 5, WRITES }, /* a blank one */
	{ 2 * 16 + 3, 5, EXECUTES },
	{ 2 * 16, 12 * 16, WRITES },      /* many blank ones */
	{ 10 * 16 + 5, 20 * 16, WRITES }, /* blank, open, odd */
	{ 5, 38 * 16, READS },
};

/* Which calls are refused: of mprotect, or of madvise with or without a given advice. */
enum { PROTECTS, INSTALLS, REMOVES, KINDS };

static void refuse(unsigned kind, int error, unsigned number, size_t half_way)
{
	struct refusal refusal = {
		.error = error, .first = number, .times = 1, .half_way = half_way
	};

	if (kind == PROTECTS)
		stubborn.protect = refusal;
	else
		stubborn.advise = refusal;
	if (kind == INSTALLS)
		stubborn.advise.only = MADV_GUARD_INSTALL;
	if (kind == REMOVES)
		stubborn.advise.only = MADV_GUARD_REMOVE;
}

/* A commit that meets one refusal; whether there was one to meet. */
static bool commit_refused(const struct hm_page_source *source, size_t row, unsigned kind,
			   int error, unsigned number, size_t half_way)
{
	size_t first = commits[row].first, count = commits[row].count;
	unsigned refused;
	HRESULT hr;

	furnish(source);
	begin_refusing();
	refuse(kind, error, number, half_way);
	hr = plot_commit(&plot, first, count, commits[row].access);
	refused = stubborn.protect.refused + stubborn.advise.refused;
	stubborn_end();
	if (refused == 0)
		CHECK_HR(hr, S_OK);
	else if (FAILED(hr))
		CHECK(hr == E_OUTOFMEMORY || hr == E_ACCESSDENIED || error == EINVAL);
	check_around(first, count);
	/* Nothing stands in the way of another attempt. */
	CHECK_HR(plot_commit(&plot, first, count, commits[row].access), S_OK);
	check_around(first, count);
	CHECK_HR(plot_release(&plot), S_OK);
	return refused != 0;
}

static void a_commit_that_stops_anywhere_has_changed_nothing(void)
{
	static const size_t halves[] = { 0, PAGE, 4 * PAGE, 3 * UNIT };
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (size_t i = 0;
		     i < ROWS(commits) * KINDS * ROWS(reasons) * ROWS(halves); i++) {
			size_t row = i % ROWS(commits);
			unsigned kind = (unsigned)(i / ROWS(commits) % KINDS);
			int error = reasons[i / ROWS(commits) / KINDS % ROWS(reasons)];
			size_t half = halves[i / ROWS(commits) / KINDS / ROWS(reasons)];
			bool met = true;

			for (unsigned n = 0; met; n++) {
				tap_row("source %zu, commit %zu, call %u of kind %u, "
					"errno %d,"
					" half-way %zu",
					s, row, n, kind, error, half);
				met = commit_refused(source, row, kind, error, n, half);
			}
		}
	}
}

static void a_change_of_access_that_stops_has_changed_nothing(void)
{
	static const unsigned accesses[] = { NONE, READS, WRITES, EXECUTES };
	const struct hm_page_source *source;
	size_t first = 23 * GRANULE_PAGES;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (size_t i = 0; i < ROWS(accesses) * ROWS(reasons) * 3; i++) {
			unsigned access = accesses[i % ROWS(accesses)];
			int error = reasons[i / ROWS(accesses) % ROWS(reasons)];
			size_t half = i / ROWS(accesses) / ROWS(reasons) * 6;
			HRESULT hr;

			tap_row("source %zu, to %u, errno %d, after %zu pages", s, access,
				error, half);
			furnish(source);
			begin_refusing();
			refuse(PROTECTS, error, 0, half * PAGE);
			hr = plot_protect(&plot, first, 16, access);
			/* What gives up access may ask a second time. */
			CHECK(FAILED(hr) || stubborn.protect.calls > 1);
			stubborn_end();
			CHECK(hm_spare_keep());
			check_around(first, 16);
			CHECK_HR(plot_release(&plot), S_OK);
		}
	}
}

/* ---- Giving back ---- */

/* Contents go in any case; what is committed again is zero. */
static void decommit_refused(size_t first, size_t count, unsigned refusals)
{
	struct refusal refusal = { .error = refusals & 8 ? EINVAL : ENOMEM,
				   .times = ALWAYS };

	begin_refusing();
	if (refusals & 1)
		stubborn.map = refusal;
	if (refusals & 2)
		stubborn.protect = refusal;
	if (refusals & 4) {
		stubborn.advise = refusal;
		stubborn.advise.only = MADV_GUARD_INSTALL;
	}
	if (refusals & 16) {
		/* Then it is a fresh mapping that has to help. */
		stubborn.advise = refusal;
		stubborn.map.error = 0;
	}
	CHECK_HR(plot_decommit(&plot, first, count), S_OK);
	stubborn_end();
	/* Where neither a mapping nor access can be changed, access may be left. */
	if (!(refusals & 2))
		check_around(first, count);
	CHECK(hm_spare_keep());
	CHECK_HR(plot_commit(&plot, first, count, WRITES), S_OK);
	check_around(first, count);
}

static void decommitted_pages_are_empty_whatever_is_refused(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (unsigned i = 0; i < ROWS(commits) * 32; i++) {
			size_t row = i / 32;

			tap_row("source %zu, range %zu, refusals %u", s, row, i % 32);
			furnish(source);
			decommit_refused(commits[row].first, commits[row].count, i % 32);
			CHECK_HR(plot_release(&plot), S_OK);
		}
	}
}

/* Refuses whatever a release may ask for. */
static void refuse_release(void)
{
	struct refusal refusal = { .error = ENOMEM, .times = ALWAYS };

	begin_refusing();
	stubborn.map = stubborn.unmap = stubborn.protect = stubborn.advise = refusal;
	stubborn.advise.only = MADV_GUARD_INSTALL;
}

/* What is released later is the addresses; the memory is gone at once. */
static void a_release_that_is_held_up_is_asked_again(void)
{
	static const struct {
		size_t count, first, pages;
	} rows[] = {
		{ 16, 0, 16 }, { 40, 0, 40 },  { 40, 3, 5 },
		{ 40, 0, 20 }, { 40, 20, 20 }, { 300, 40, 200 },
	};
	static struct plot rest;
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		size_t room = 0;

		for (size_t i = 0; i < ROWS(rows) * 2; i++) {
			size_t row = i / 2, first = rows[row].first * PAGE;
			size_t size = rows[row].pages * PAGE;
			unsigned char *base;

			tap_row("source %zu, row %zu", s, row);
			plot_reserve(&plot, source, rows[row].count);
			base = plot.base;
			CHECK_HR(plot_commit(&plot, 0, plot.count, WRITES), S_OK);
			plot_write(&plot, 0, plot.count, 0x5A);
			refuse_release();
			CHECK_HR(plot_cut(&plot, rows[row].first, rows[row].pages, &rest),
				 S_FALSE);
			CHECK_HR(source->release(source, base + first, size, NULL),
				 S_FALSE);
			stubborn_end();
			for (size_t page = 0; page < rows[row].pages; page++)
				CHECK(!can_read(base + first + page * PAGE) ||
				      is_zero(base + first + page * PAGE, PAGE));
			CHECK(hm_spare_keep());
			/* Before the rest is released, or after it. */
			if (i % 2 == 0)
				CHECK_HR(source->release(source, base + first, size,
							 NULL),
					 S_OK);
			plot_check(&plot);
			plot_check(&rest);
			if (plot.count != 0)
				CHECK_HR(plot_release(&plot), S_OK);
			if (rest.count != 0)
				CHECK_HR(plot_release(&rest), S_OK);
			if (i % 2 != 0)
				CHECK_HR(source->release(source, base + first, size,
							 NULL),
					 S_OK);
			CHECK(!can_read(base + first));
			room = room == 0 ? plot_room(source) : room;
			CHECK_SIZE(plot_room(source), room);
		}
	}
}

/* Granules that could not be made ordinary are handed out all the same, and are right. */
static void what_stays_odd_is_used_again(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (unsigned kind = 0; kind < 2; kind++) {
			for (unsigned n = 0; n < 4; n++) {
				tap_row("source %zu, kind %u, call %u", s, kind, n);
				plot_reserve(&plot, source, 32);
				CHECK_HR(plot_commit(&plot, 3, 20, READS), S_OK);
				begin_refusing();
				refuse(kind, ENOMEM, n, 0);
				CHECK_HR(plot_release(&plot), S_OK);
				stubborn_end();
				CHECK(hm_spare_keep());
				plot_reserve(&plot, source, 32);
				plot_check(&plot);
				CHECK_HR(plot_commit(&plot, 1, 30, WRITES), S_OK);
				plot_check(&plot);
				CHECK_HR(plot_decommit(&plot, 2, 9), S_OK);
				plot_check(&plot);
				CHECK_HR(plot_release(&plot), S_OK);
			}
		}
	}
}

static void a_reservation_that_cannot_be_committed_is_not_made(void)
{
	const struct hm_page_source *source;
	struct refusal refusal = { .error = EACCES, .times = 1 };

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		size_t room;

		plot_reserve(&plot, source, 16);
		CHECK_HR(plot_release(&plot), S_OK);
		room = plot_room(source);
		stubborn_begin();
		/* Neither in an arena nor beside it. */
		stubborn.protect = stubborn.map = refusal;
		stubborn.map.times = ALWAYS;
		CHECK_HR(plot_reserve_at(&plot, source, NULL, 16, HM_RESERVE_COMMITTED,
					 EXECUTES),
			 E_ACCESSDENIED);
		stubborn_end();
		CHECK_SIZE(plot_room(source), room);
	}
}

/* Space of another kind of arena is given up for a reservation, and taken back. */
static void what_was_lent_for_nothing_comes_back(void)
{
	const struct hm_page_source *lender = plot_source(0);
	static struct plot other;
	size_t room;

	if (lender != hm_pages_with_guards) {
		tap_skip("the kernel has no guard pages, and there is one kind of arena");
		return;
	}
	plot_reserve(&plot, lender, 16);
	room = plot_room(lender);
	/* The first mapping closes what is open; the second is the reservation. */
	stubborn_begin_at((uintptr_t)plot.base + UNIT, (uintptr_t)plot.base + 5 * UNIT);
	stubborn.map = (struct refusal){ .error = ENOMEM, .first = 1, .times = 1 };
	CHECK_HR(plot_reserve_at(&other, hm_pages_without_guards, plot.base + UNIT, 64, 0,
				 NONE),
		 E_OUTOFMEMORY);
	CHECK_U32(stubborn.unmap.calls, 1);
	stubborn_end();
	CHECK_SIZE(plot_room(lender), room);
	CHECK_HR(plot_reserve_at(&other, lender, plot.base + UNIT, 64, 0, NONE), S_OK);
	CHECK(hm_arena_of((uintptr_t)other.base) == hm_arena_of((uintptr_t)plot.base));
	CHECK_HR(plot_commit(&other, 10, 40, WRITES), S_OK);
	plot_check(&other);
	CHECK_HR(plot_release(&other), S_OK);
	CHECK_HR(plot_release(&plot), S_OK);
}

int main(void)
{
	access_install();
	CHECK_HR(hm_calls_prepare(), S_OK);
	CHECK(hm_spare_keep());
	TAP_RUN(a_commit_that_stops_anywhere_has_changed_nothing);
	TAP_RUN(a_change_of_access_that_stops_has_changed_nothing);
	TAP_RUN(decommitted_pages_are_empty_whatever_is_refused);
	TAP_RUN(a_release_that_is_held_up_is_asked_again);
	TAP_RUN(what_stays_odd_is_used_again);
	TAP_RUN(a_reservation_that_cannot_be_committed_is_not_made);
	TAP_RUN(what_was_lent_for_nothing_comes_back);
	return tap_done();
}
