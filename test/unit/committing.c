/*
 * Pages in arenas, and what they cost the kernel: calls, and what is left of a reservation
 * in its arena when it goes.  What a page is after each operation is arenapages*.c's; what
 * is set apart, committing_apart.c's.
 */
#include "hostmem/committing.h"
#include "plot.h"

enum { GRANULES = 64 };

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

static unsigned seen_at(const unsigned char *address, size_t granules)
{
	struct hm_arena *arena = hm_arena_at((uintptr_t)address);

	return hm_granules_seen(&arena->book.granules,
				hm_arena_granule(arena, (uintptr_t)address),
				(uint32_t)granules);
}

/* ---- Released ---- */

/* Whether the last release put something on the shelf. */
static bool on_shelf(void)
{
	return hm_shelves_clear(set);
}

static void what_had_its_granules_to_itself_goes_on_the_shelf(void)
{
	static const size_t counts[] = { 1, 15, 16, 17, 48, 50, GRANULES * 16 };

	for (size_t i = 0; i < ROWS(counts) * 2; i++) {
		size_t count = counts[i / 2];
		unsigned char *base;

		tap_row("%zu pages, %s", count, i % 2 ? "committed" : "reserved");
		if (!begin(1))
			return;
		CHECK_HR(plot_release(&plot), S_OK);
		(void)on_shelf();
		plot_reserve(&plot, hm_pages_with_guards, count);
		base = plot.base;
		if (i % 2)
			CHECK_HR(plot_commit(&plot, 0, count, WRITES), S_OK);
		plot_write(&plot, 0, plot.count, 0x5A);
		CHECK_HR(plot_release(&plot), S_OK);
		/* It is had again, and nothing is left of its contents. */
		plot_reserve(&plot, hm_pages_with_guards, count);
		CHECK_POINTER(plot.base, base);
		CHECK(!on_shelf());
		plot_check(&plot);
		CHECK_HR(plot_commit(&plot, 0, count, WRITES), S_OK);
		plot_check(&plot);
		CHECK_HR(plot_release(&plot), S_OK);
		CHECK(on_shelf());
	}
}

/* It goes back to the arena, or stays until its neighbour goes. */
static void what_shares_a_granule_does_not(void)
{
	static const struct {
		size_t first, count;    /* pages of 64 that go first */
		bool hole, left, right; /* is alone, then or later */
	} rows[] = {
		{ 16, 16, true, true, true },   { 16, 20, false, true, false },
		{ 12, 4, false, false, true },  { 0, 16, true, true, true },
		{ 0, 5, false, true, false },   { 48, 16, true, true, true },
		{ 20, 2, false, false, false }, { 14, 5, false, false, false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		if (!begin_full(4))
			return;
		CHECK_HR(plot_cut(&plot, rows[i].first, rows[i].count, &right), S_OK);
		CHECK(!on_shelf() || rows[i].hole);
		plot_check(&plot);
		plot_check(&right);
		if (plot.count != 0 && rows[i].left) {
			CHECK_HR(plot_release(&plot), S_OK);
			CHECK(on_shelf());
		}
		if (right.count != 0) {
			CHECK_HR(plot_release(&right), S_OK);
			CHECK(on_shelf() == rows[i].right);
		}
		if (plot.count != 0)
			CHECK_HR(plot_release(&plot), S_OK);
		(void)on_shelf();
	}
}

static void released_granules_are_as_ordinary_ones(void)
{
	static const unsigned accesses[] = { READS, EXECUTES, NONE };

	for (size_t i = 0; i < ROWS(accesses); i++) {
		size_t before;
		unsigned char *base;

		tap_row("access %u", accesses[i]);
		if (!begin_full(6))
			return;
		before = smaps_count();
		base = plot.base;
		CHECK_HR(plot_protect(&plot, 20, 40, accesses[i]), S_OK);
		CHECK(smaps_count() > before);
		CHECK_U32(seen_at(base, 6), HM_SOME_OPEN | HM_SOME_ODD);
		CHECK_HR(plot_release(&plot), S_OK);
		CHECK_U32(seen_at(base, 6), HM_SOME_OPEN);
		CHECK_SIZE(smaps_count(), before);
		/* So a commit need not change the mapping. */
		plot_reserve(&plot, hm_pages_with_guards, 6 * GRANULE_PAGES);
		CHECK_POINTER(plot.base, base);
		stubborn_begin_at((uintptr_t)base, (uintptr_t)base + 6 * UNIT);
		CHECK_HR(plot_commit(&plot, 20, 40, WRITES), S_OK);
		CHECK_U32(stubborn.protect.calls, 0);
		CHECK_U32(stubborn.advise.calls, 1);
		errno = ERRNO;
		stubborn_end();
		plot_check(&plot);
		CHECK_HR(plot_release(&plot), S_OK);
	}
}

/* Where the kernel would install no guards there are none, only no access. */
static void pages_that_were_never_guarded_are_when_their_granules_are_released(void)
{
	unsigned char *base;

	if (!begin(1))
		return;
	CHECK_HR(plot_release(&plot), S_OK);
	(void)on_shelf();
	CHECK(hm_arenas_trim());
	if (!begin(6))
		return;
	base = plot.base;
	/* As if what is beside the page were locked. */
	CHECK_U32(seen_at(base, 6), HM_SOME_BLANK);
	stubborn_begin_at((uintptr_t)base, (uintptr_t)base + 6 * UNIT);
	stubborn.advise = (struct refusal){ .error = EINVAL,
					    .times = ALWAYS,
					    .only = MADV_GUARD_INSTALL };
	CHECK_HR(plot_commit(&plot, 30, 1, WRITES), S_OK);
	CHECK(stubborn.advise.refused != 0);
	stubborn_end();
	plot_check(&plot);
	CHECK_U32(seen_at(base + UNIT, 1), HM_SOME_OPEN | HM_SOME_ODD);
	CHECK_HR(plot_release(&plot), S_OK);
	CHECK_U32(seen_at(base + UNIT, 1), HM_SOME_OPEN);
	plot_reserve(&plot, hm_pages_with_guards, 6 * GRANULE_PAGES);
	CHECK_POINTER(plot.base, base);
	plot_check(&plot);
	CHECK_HR(plot_commit(&plot, 25, 1, WRITES), S_OK);
	plot_check(&plot);
	CHECK_HR(plot_release(&plot), S_OK);
}

/* ---- Calls ---- */

static unsigned calls_of(HRESULT (*change)(void))
{
	unsigned calls;

	stubborn_begin_at((uintptr_t)plot.base, (uintptr_t)plot.base + plot.count * PAGE);
	CHECK_HR(change(), S_OK);
	calls = stubborn.advise.calls + stubborn.protect.calls + stubborn.map.calls;
	errno = ERRNO;
	stubborn_end();
	return calls;
}

static HRESULT decommit_all(void)
{
	return plot_decommit(&plot, 0, plot.count);
}

static HRESULT commit_all(void)
{
	return plot_commit(&plot, 0, plot.count, WRITES);
}

static HRESULT release(void)
{
	return plot_release(&plot);
}

/* From the first to the last committed page, however many gaps there are; nothing, if
 * there is none. */
static void giving_back_asks_the_kernel_once_or_not_at_all(void)
{
	HRESULT (*const ways[])(void) = { decommit_all, release };

	for (size_t i = 0; i < ROWS(ways); i++) {
		tap_row("way %zu", i);
		if (!begin_full(4))
			return;
		CHECK_U32(calls_of(decommit_all), 1);
		CHECK_U32(calls_of(ways[i]), 0);
		if (plot.count != 0)
			CHECK_HR(plot_release(&plot), S_OK);
		plot_reserve(&plot, hm_pages_with_guards, 4 * GRANULE_PAGES);
		for (size_t page = 3; page < 60; page += 7)
			CHECK_HR(plot_commit(&plot, page, 2, WRITES), S_OK);
		plot_write(&plot, 0, plot.count, 0x5A);
		CHECK_U32(calls_of(ways[i]), 1);
		if (plot.count == 0)
			plot_reserve(&plot, hm_pages_with_guards, 4 * GRANULE_PAGES);
		plot_check(&plot);
		CHECK_U32(calls_of(commit_all), 1);
		plot_check(&plot);
		CHECK_U32(calls_of(release), 1);
	}
}

int main(void)
{
	access_install();
	CHECK_HR(hm_calls_prepare(), S_OK);
	CHECK(hm_spare_keep());
	TAP_RUN(what_had_its_granules_to_itself_goes_on_the_shelf);
	TAP_RUN(what_shares_a_granule_does_not);
	TAP_RUN(released_granules_are_as_ordinary_ones);
	TAP_RUN(pages_that_were_never_guarded_are_when_their_granules_are_released);
	TAP_RUN(giving_back_asks_the_kernel_once_or_not_at_all);
	return tap_done();
}
