/*
 * Figures: what comes and goes by many threads adds up, and a reader who looks meanwhile is
 * told nothing that could not be.
 */
#include "hostmem/figures.h"
#include "fake.h"

#include <pthread.h>

#define LARGEST ((ptrdiff_t)1 << 46)

static struct hm_figures figures;

static void be_thread(uint32_t number)
{
	hm_calls_own_slot = number % HM_CALLS_SLOTS + 1;
}

#define CHECK_FIGURES(reserved, committed, regions) \
	check_figures((reserved), (committed), (regions), __FILE__, __LINE__)

static void check_figures(size_t reserved, size_t committed, uint64_t regions,
			  const char *file, int line)
{
	size_t got_reserved, got_committed;
	uint64_t got_regions;

	hm_figures_read(&figures, &got_reserved, &got_committed, &got_regions);
	tap_check_unsigned(got_reserved, reserved, "reserved", file, line);
	tap_check_unsigned(got_committed, committed, "committed", file, line);
	tap_check_unsigned(got_regions, regions, "regions", file, line);
}

static void begin(void)
{
	memset(&figures, 0, sizeof(figures));
	be_thread(0);
}

static void zeroed_figures_are_nothing(void)
{
	begin();
	CHECK_FIGURES(0, 0, 0);
}

static void every_figure_is_read_as_it_was_counted(void)
{
	static const struct {
		ptrdiff_t reserved, committed;
		int regions;
	} rows[] = {
		{ (ptrdiff_t)PAGE, 0, 1 },
		{ 0, (ptrdiff_t)PAGE, 0 },
		{ (ptrdiff_t)UNIT, (ptrdiff_t)PAGE, 1 },
		{ 5 * (ptrdiff_t)PAGE, 0, 4 }, /* pages and regions do not mix */
		{ (ptrdiff_t)PAGE, 0, 10000000 },
		{ LARGEST, LARGEST, 1 },
		{ 2 * LARGEST - (ptrdiff_t)PAGE, 0, 1 },
		{ 2 * LARGEST - (ptrdiff_t)PAGE, 0, 10000000 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		begin();
		hm_figures_reserve(&figures, rows[i].reserved, rows[i].regions);
		hm_figures_commit(&figures, rows[i].committed);
		CHECK_FIGURES((size_t)rows[i].reserved, (size_t)rows[i].committed,
			      (uint64_t)rows[i].regions);
		hm_figures_commit(&figures, -rows[i].committed);
		hm_figures_reserve(&figures, -rows[i].reserved, -rows[i].regions);
		CHECK_FIGURES(0, 0, 0);
	}
}

/* One thread reserves and another one releases: the first line grows, the other is less
 * than nothing. */
static void what_one_thread_counts_another_may_count_back(void)
{
	size_t live = 0;

	begin();
	for (uint32_t i = 0; i < 4 * HM_CALLS_SLOTS; i++) {
		ptrdiff_t size = (ptrdiff_t)((i + 1) * UNIT);

		be_thread(i);
		hm_figures_reserve(&figures, size, 1);
		hm_figures_commit(&figures, size - (ptrdiff_t)PAGE);
		live += (size_t)size;
	}
	for (uint32_t i = 0; i < 4 * HM_CALLS_SLOTS; i++) {
		ptrdiff_t size = (ptrdiff_t)((i + 1) * UNIT);
		uint32_t left = 4 * HM_CALLS_SLOTS - i;

		CHECK_FIGURES(live, live - left * PAGE, left);
		be_thread(7 * i + 3);
		hm_figures_commit(&figures, (ptrdiff_t)PAGE - size);
		hm_figures_reserve(&figures, -size, -1);
		live -= (size_t)size;
	}
	CHECK_FIGURES(0, 0, 0);
}

/* A line is shared by few threads: so they do not wait for each other's cache line. */
static void threads_count_in_lines_of_their_own(void)
{
	begin();
	for (uint32_t i = 0; i < HM_FIGURES_LINES; i++) {
		be_thread(i);
		hm_figures_reserve(&figures, (ptrdiff_t)UNIT, 1);
		hm_figures_commit(&figures, (ptrdiff_t)PAGE);
	}
	for (uint32_t i = 0; i < HM_FIGURES_LINES; i++) {
		CHECK(figures.lines[i].reservations != 0);
		CHECK_SIZE(figures.lines[i].committed, PAGE);
		CHECK_SIZE((uintptr_t)&figures.lines[i] % 64, 0);
	}
}

/* What a reader finds who has missed one line: reservations without their beginning, or
 * parts of them. */
static void less_than_nothing_is_nothing(void)
{
	static const struct {
		ptrdiff_t reserved, committed;
		int regions;
		size_t want_reserved, want_committed, want_regions;
	} rows[] = {
		{ -(ptrdiff_t)PAGE, 0, -1, 0, 0, 0 },
		{ -LARGEST, -LARGEST, -1, 0, 0, 0 },
		{ -(ptrdiff_t)PAGE, (ptrdiff_t)PAGE, -1, 0, PAGE, 0 },
		{ (ptrdiff_t)PAGE, -(ptrdiff_t)PAGE, 1, PAGE, 0, 1 },
		/* The end of one was released, */
		{ -(ptrdiff_t)PAGE, 0, 0, 0, 0, 0 },
		/* its middle, */
		{ -(ptrdiff_t)PAGE, 0, 1, 0, 0, 1 },
		{ -LARGEST, 0, 1, 0, 0, 1 },
		/* a large one, after two small ones were made. */
		{ -1000 * (ptrdiff_t)PAGE, 0, 2, 0, 0, 2 },
		/* Two small ones were released, after a large one was made. */
		{ 1000 * (ptrdiff_t)PAGE, 0, -1, 1000 * PAGE, 0, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		begin();
		hm_figures_reserve(&figures, rows[i].reserved, rows[i].regions);
		hm_figures_commit(&figures, rows[i].committed);
		CHECK_FIGURES(rows[i].want_reserved, rows[i].want_committed,
			      rows[i].want_regions);
	}
}

/* ---- Threads ---- */

enum { WRITERS = 4, ROUNDS = 200000, BASE = 10 };

static _Atomic uint32_t at_work;

/* Each takes back what it counts, in its own line: no more than that is ever seen. */
static void *count_and_count_back(void *argument)
{
	ptrdiff_t size = 3 * (ptrdiff_t)PAGE;

	be_thread(*(uint32_t *)argument);
	for (int i = 0; i < ROUNDS; i++) {
		hm_figures_reserve(&figures, size, 1);
		hm_figures_commit(&figures, size);
		hm_figures_commit(&figures, -size);
		hm_figures_reserve(&figures, -size, -1);
	}
	atomic_fetch_sub(&at_work, 1);
	return NULL;
}

/* Each takes back what its neighbour counts, and a part more: lines grow without end. */
static void *count_here_and_there(void *argument)
{
	uint32_t self = *(uint32_t *)argument;
	ptrdiff_t size = 8 * (ptrdiff_t)PAGE;

	for (int i = 0; i < ROUNDS; i++) {
		be_thread(self);
		hm_figures_reserve(&figures, size, 1);
		hm_figures_commit(&figures, size);
		be_thread(HM_FIGURES_LINES - 1 - self);
		hm_figures_reserve(&figures, -(ptrdiff_t)PAGE, 1);
		hm_figures_commit(&figures, -size);
		hm_figures_reserve(&figures, -(ptrdiff_t)PAGE, -1);
		hm_figures_reserve(&figures, -6 * (ptrdiff_t)PAGE, -1);
	}
	atomic_fetch_sub(&at_work, 1);
	return NULL;
}

/* Reads while they count; what is read is between `low` and `high` pages and regions. */
static void read_meanwhile(void *(*count)(void *), size_t low, size_t high)
{
	uint32_t numbers[WRITERS];
	pthread_t threads[WRITERS];
	size_t reserved, committed;
	uint64_t regions;

	at_work = WRITERS;
	for (uint32_t i = 0; i < WRITERS; i++) {
		numbers[i] = i;
		if (pthread_create(&threads[i], NULL, count, &numbers[i]) != 0)
			abort();
	}
	do {
		hm_figures_read(&figures, &reserved, &committed, &regions);
		CHECK(reserved >= low * PAGE && reserved <= high * PAGE);
		CHECK(committed >= low * PAGE && committed <= high * PAGE);
		CHECK(regions >= low && regions <= high);
	} while (atomic_load(&at_work) != 0);
	for (uint32_t i = 0; i < WRITERS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
}

static void a_reader_sees_what_is_there_throughout_and_what_comes_and_goes(void)
{
	begin();
	be_thread(HM_FIGURES_LINES - 1);
	hm_figures_reserve(&figures, BASE * (ptrdiff_t)PAGE, BASE);
	hm_figures_commit(&figures, BASE * (ptrdiff_t)PAGE);
	read_meanwhile(count_and_count_back, BASE, BASE + 3 * WRITERS);
	CHECK_FIGURES(BASE * PAGE, BASE * PAGE, BASE);
}

static void a_reader_never_sees_more_than_was_ever_counted(void)
{
	begin();
	/* Small regions of somebody else's, whose pages are fewer than what a reader may
	 * miss. */
	hm_figures_reserve(&figures, 1000 * (ptrdiff_t)PAGE, 1000);
	read_meanwhile(count_here_and_there, 0, (size_t)8 * WRITERS * ROUNDS);
	CHECK_FIGURES(1000 * PAGE, 0, 1000);
}

int main(void)
{
	TAP_RUN(zeroed_figures_are_nothing);
	TAP_RUN(every_figure_is_read_as_it_was_counted);
	TAP_RUN(what_one_thread_counts_another_may_count_back);
	TAP_RUN(threads_count_in_lines_of_their_own);
	TAP_RUN(less_than_nothing_is_nothing);
	TAP_RUN(a_reader_sees_what_is_there_throughout_and_what_comes_and_goes);
	TAP_RUN(a_reader_never_sees_more_than_was_ever_counted);
	return tap_done();
}
