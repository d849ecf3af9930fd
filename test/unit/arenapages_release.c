/*
 * Giving reservations back, whole and in parts, and taking places of one's own choice.
 */
#include "plot.h"

static struct plot plot, right, other;

/* Nobody uses the source: everything it had is free again. */
static void release_all(struct plot *a, struct plot *b)
{
	if (a->count != 0)
		CHECK_HR(plot_release(a), S_OK);
	if (b->count != 0)
		CHECK_HR(plot_release(b), S_OK);
}

/* To be compared with later: the first arena comes, and stays. */
static size_t room_of(const struct hm_page_source *source)
{
	plot_reserve(&other, source, 1);
	CHECK_HR(plot_release(&other), S_OK);
	return plot_room(source);
}

static const struct {
	size_t count, first, pages;
} cuts[] = {
	{ 64, 0, 16 },   { 64, 0, 3 },    { 64, 0, 35 },   { 64, 48, 16 },
	{ 64, 61, 3 },   { 64, 30, 34 },  { 64, 20, 2 },   { 64, 10, 20 },
	{ 64, 16, 16 },  { 64, 15, 34 },  { 5, 1, 2 },     { 700, 33, 600 },
	{ 700, 3, 690 }, { 700, 0, 699 }, { 700, 100, 5 },
};

enum filling { EMPTY, FULL, ODD, SPARSE, FILLINGS };

static void fill(enum filling filling)
{
	if (filling == FULL || filling == ODD)
		CHECK_HR(plot_commit(&plot, 0, plot.count, WRITES), S_OK);
	if (filling == ODD)
		CHECK_HR(plot_protect(&plot, plot.count / 3, plot.count / 2, READS),
			 S_OK);
	for (size_t i = 0; i < plot.count && filling == SPARSE; i += 5)
		CHECK_HR(plot_commit(&plot, i, 1, i % 3 ? WRITES : EXECUTES), S_OK);
	plot_write(&plot, 0, plot.count, 0x5A);
}

static void check_cut(const struct hm_page_source *source, size_t row,
		      enum filling filling)
{
	unsigned char *hole;

	plot_reserve(&plot, source, cuts[row].count);
	fill(filling);
	hole = plot.base + cuts[row].first * PAGE;
	CHECK_HR(plot_cut(&plot, cuts[row].first, cuts[row].pages, &right), S_OK);
	plot_check(&plot);
	plot_check(&right);
	for (size_t i = 0; i < cuts[row].pages; i++)
		CHECK(!can_read(hole + i * PAGE));
	/* What remains is used on, up to its ends. */
	if (plot.count != 0)
		CHECK_HR(plot_commit(&plot, 0, plot.count, WRITES), S_OK);
	if (right.count != 0)
		CHECK_HR(plot_commit(&right, 0, right.count, WRITES), S_OK);
	plot_write(&right, 0, right.count, 0x66);
	plot_check(&plot);
	plot_check(&right);
	for (size_t i = 0; i < cuts[row].pages; i++)
		CHECK(!can_read(hole + i * PAGE));
	if (plot.count != 0)
		CHECK_HR(plot_decommit(&plot, 0, plot.count), S_OK);
	plot_check(&plot);
	plot_check(&right);
}

static void a_part_is_released_and_the_rest_does_not_notice(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		size_t room = room_of(source);

		for (size_t i = 0; i < ROWS(cuts) * FILLINGS * 2; i++) {
			size_t row = i / FILLINGS / 2;

			tap_row("source %zu, row %zu, filling %zu", s, row,
				i / 2 % FILLINGS);
			check_cut(source, row, i / 2 % FILLINGS);
			if (i % 2 == 0)
				release_all(&plot, &right);
			else
				release_all(&right, &plot);
			CHECK_SIZE(plot_room(source), room);
		}
	}
}

/* Page after page, until nothing is left: in both directions and from the middle. */
static void a_reservation_can_go_page_by_page(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		size_t room = room_of(source);

		for (size_t order = 0; order < 3; order++) {
			tap_row("source %zu, order %zu", s, order);
			plot_reserve(&plot, source, 40);
			fill(SPARSE);
			if (order == 2)
				CHECK_HR(plot_cut(&plot, 20, 1, &right), S_OK);
			else
				right.count = 0;
			while (plot.count > 1) {
				size_t last = order == 1 ? 0 : plot.count - 1;

				CHECK_HR(plot_cut(&plot, last, 1, &other), S_OK);
				plot_check(&other);
				if (order == 1)
					plot = other;
				else
					plot_check(&plot);
			}
			release_all(&plot, &right);
			CHECK_SIZE(plot_room(source), room);
		}
	}
}

static void what_was_just_reserved_can_be_given_up(void)
{
	static const size_t counts[] = { 1, 16, 63, 300 };
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		size_t room = room_of(source);

		for (size_t i = 0; i < ROWS(counts) * 2; i++) {
			unsigned flags = i % 2 ? HM_RESERVE_COMMITTED | HM_RESERVE_LASTING
					       : 0U;

			tap_row("source %zu, row %zu", s, i);
			CHECK_HR(plot_reserve_at(&plot, source, NULL, counts[i / 2],
						 flags, WRITES),
				 S_OK);
			plot_write(&plot, 0, plot.count, 0x5A);
			errno = ERRNO;
			source->give_up(source, plot.base, plot.count * PAGE);
			CHECK_INT(errno, ERRNO);
			CHECK(!can_read(plot.base));
			CHECK(!can_read(plot.base + (plot.count - 1) * PAGE));
			CHECK_SIZE(plot_room(source), room);
		}
	}
}

/* ---- Ordinary memory ---- */

static void only_untouched_granules_of_an_arena_are_ordinary(void)
{
	static const struct {
		size_t count, first, pages;
		unsigned access;
		bool want;
	} rows[] = {
		{ 64, 0, 0, WRITES, true },     { 64, 5, 2, READS, false },
		{ 64, 63, 1, EXECUTES, false }, { 64, 0, 1, NONE, false },
		{ 16, 0, 0, WRITES, true },     { 7, 0, 0, WRITES, true },
	};
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		bool guards = source == hm_pages_with_guards;
		bool arenas = hm_pages_arenas(source) != NULL;

		for (size_t i = 0; i < ROWS(rows); i++) {
			tap_row("source %zu, row %zu", s, i);
			plot_reserve(&plot, source, rows[i].count);
			CHECK_HR(plot_commit(&plot, 0, plot.count, WRITES), S_OK);
			if (rows[i].pages != 0)
				CHECK_HR(plot_protect(&plot, rows[i].first, rows[i].pages,
						      rows[i].access),
					 S_OK);
			/* Without guards the access of each page is its own anyway. */
			CHECK(hm_pages_are_ordinary(source, (uintptr_t)plot.base,
						    rows[i].count * PAGE) ==
			      (arenas && (rows[i].want || !guards)));
			CHECK(!hm_pages_are_ordinary(hm_pages_with_guards,
						     (uintptr_t)plot.base + PAGE,
						     rows[i].count * PAGE));
			CHECK_HR(plot_release(&plot), S_OK);
		}
	}
}

static void a_granule_of_two_is_not_ordinary(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		plot_reserve(&plot, source, 16);
		CHECK_HR(plot_commit(&plot, 0, 16, WRITES), S_OK);
		CHECK_HR(plot_cut(&plot, 8, 1, &right), S_OK);
		CHECK(!hm_pages_are_ordinary(source, (uintptr_t)plot.base, 8 * PAGE));
		CHECK(!hm_pages_are_ordinary(source, (uintptr_t)right.base,
					     right.count * PAGE));
		release_all(&plot, &right);
	}
}

static void odd_granules_are_straightened_when_they_are_released(void)
{
	const struct hm_page_source *source = plot_source(0);
	size_t before;

	if (source != hm_pages_with_guards) {
		tap_skip("the kernel has no guard pages");
		return;
	}
	plot_reserve(&plot, source, 64);
	CHECK_HR(plot_commit(&plot, 0, 64, WRITES), S_OK);
	before = smaps_count();
	CHECK_HR(plot_commit(&plot, 0, 5, READS), S_OK);
	CHECK_HR(plot_protect(&plot, 37, 3, NONE), S_OK);
	CHECK(smaps_count() > before);
	/* A decommit alone makes one mapping of them. */
	CHECK_HR(plot_decommit(&plot, 0, 41), S_OK);
	CHECK_SIZE(smaps_count(), before);
	CHECK_HR(plot_commit(&plot, 0, 5, READS), S_OK);
	CHECK_HR(plot_release(&plot), S_OK);
	CHECK(smaps_count() <= before);
	CHECK_HR(plot_reserve_at(&plot, source, NULL, 64, HM_RESERVE_COMMITTED, WRITES),
		 S_OK);
	CHECK(hm_pages_are_ordinary(source, (uintptr_t)plot.base, 64 * PAGE));
	plot_check(&plot);
	CHECK_HR(plot_release(&plot), S_OK);
}

/* ---- Exact places ---- */

static void a_place_of_ones_own_choice_is_free_or_taken(void)
{
	static const struct {
		long first; /* in pages, beside a reservation of 48 pages */
		size_t count;
		HRESULT want;
	} rows[] = {
		{ 0, 16, BAD_ADDRESS },   { 16, 1, BAD_ADDRESS }, { 32, 40, BAD_ADDRESS },
		{ -16, 17, BAD_ADDRESS }, { 48, 16, S_OK },       { 48, 100, S_OK },
		{ 64, 3, S_OK },
	};
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		for (size_t i = 0; i < ROWS(rows) * 2; i++) {
			unsigned flags = i % 2 ? HM_RESERVE_COMMITTED : 0U;
			size_t row = i / 2;

			tap_row("source %zu, row %zu, flags %u", s, row, flags);
			plot_reserve(&plot, source, 48 + 200);
			CHECK_HR(plot_cut(&plot, 48, 200, &right), S_OK);
			CHECK_HR(plot_commit(&plot, 40, 8, WRITES), S_OK);
			plot_write(&plot, 40, 8, 0x5A);
			CHECK_HR(plot_reserve_at(&other, source,
						 plot.base + rows[row].first * (long)PAGE,
						 rows[row].count, flags, WRITES),
				 rows[row].want);
			plot_check(&plot);
			plot_check(&other);
			release_all(&plot, &other);
		}
	}
}

static void a_strangers_mapping_is_left_alone(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		unsigned char *pages = pages_of_ours(8 * UNIT, PROT_READ | PROT_WRITE);
		uintptr_t place = ((uintptr_t)pages + UNIT - 1) & ~(uintptr_t)(UNIT - 1);
		size_t before;

		((unsigned char *)place)[UNIT] = 7;
		before = smaps_count();
		CHECK_HR(plot_reserve_at(&plot, source, (void *)place, 16, 0, NONE),
			 BAD_ADDRESS);
		CHECK_INT(((unsigned char *)place)[UNIT], 7);
		CHECK_SIZE(smaps_count(), before);
		CHECK(munmap(pages, 8 * UNIT) == 0);
		CHECK_HR(plot_reserve_at(&plot, source, (void *)place, 16, 0, NONE),
			 S_OK);
		CHECK_HR(plot_commit(&plot, 3, 4, WRITES), S_OK);
		plot_check(&plot);
		CHECK_HR(plot_release(&plot), S_OK);
	}
}

/* Before Linux 4.17 the flag is not known, and the address a hint. */
static void *map_of_old(void *address, size_t size, int protection, int flags, int file,
			long offset)
{
	return stubborn_real.map(address, size, protection, flags & ~0x100000, file,
				 offset);
}

static void an_old_kernel_goes_elsewhere_and_nothing_is_left_there(void)
{
	const struct hm_page_source *source;

	for (size_t s = 0; (source = plot_source(s)) != NULL; s++) {
		unsigned char *pages = pages_of_ours(8 * UNIT, PROT_READ | PROT_WRITE);
		uintptr_t place = ((uintptr_t)pages + UNIT - 1) & ~(uintptr_t)(UNIT - 1);
		size_t before = smaps_count();

		((unsigned char *)place)[UNIT] = 7;
		stubborn_begin();
		hm_system.map = map_of_old;
		CHECK_HR(plot_reserve_at(&plot, source, (void *)place, 16, 0, NONE),
			 BAD_ADDRESS);
		stubborn_end();
		CHECK_SIZE(smaps_count(), before);
		CHECK_INT(((unsigned char *)place)[UNIT], 7);
		CHECK(munmap(pages, 8 * UNIT) == 0);
	}
}

/* Free space of one kind of arena is free for a reservation of the other kind. */
static void what_is_free_in_another_arena_is_free(void)
{
	const struct hm_page_source *own, *foreign;

	for (size_t s = 0; (own = plot_source(s)) != NULL && hm_pages_arenas(own); s++) {
		for (size_t f = 0; (foreign = plot_source(f)) != NULL; f++) {
			unsigned char *wanted;

			tap_row("arena of source %zu, reservation of %zu", s, f);
			plot_reserve(&plot, own, 64);
			wanted = plot.base + 32 * PAGE;
			CHECK_HR(plot_cut(&plot, 32, 32, &right), S_OK);
			CHECK_HR(plot_commit(&plot, 0, 32, WRITES), S_OK);
			plot_write(&plot, 0, 32, 0x5A);
			if (foreign == hm_pages_without_arenas)
				foreign = hm_pages_without_guards;
			CHECK_HR(plot_reserve_at(&other, foreign, wanted, 16, 0, NONE),
				 S_OK);
			CHECK_HR(plot_commit(&other, 0, 16, WRITES), S_OK);
			plot_write(&other, 0, 16, 0x66);
			plot_check(&plot);
			plot_check(&other);
			release_all(&other, &plot);
			CHECK(!can_read(wanted));
		}
	}
}

int main(void)
{
	access_install();
	CHECK_HR(hm_calls_prepare(), S_OK);
	CHECK(hm_spare_keep());
	TAP_RUN(a_part_is_released_and_the_rest_does_not_notice);
	TAP_RUN(a_reservation_can_go_page_by_page);
	TAP_RUN(what_was_just_reserved_can_be_given_up);
	TAP_RUN(only_untouched_granules_of_an_arena_are_ordinary);
	TAP_RUN(a_granule_of_two_is_not_ordinary);
	TAP_RUN(odd_granules_are_straightened_when_they_are_released);
	TAP_RUN(a_place_of_ones_own_choice_is_free_or_taken);
	TAP_RUN(a_strangers_mapping_is_left_alone);
	TAP_RUN(an_old_kernel_goes_elsewhere_and_nothing_is_left_there);
	TAP_RUN(what_is_free_in_another_arena_is_free);
	return tap_done();
}
