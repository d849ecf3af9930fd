/*
 * How the page source reserves, on a kernel that is an array.
 */
#include "hostmem/os/pages.h"
#include "kernel.h"

#define UNITS (UNIT / PAGE)

static HRESULT reserve(void *wanted, size_t pages, size_t alignment, unsigned flags,
		       void **out)
{
	*out = &kernel;
	return source->reserve(source, wanted, pages * PAGE, alignment, flags,
			       HM_ACCESS_READ, out);
}

/* Exactly the pages that were asked for are mapped. */
static void check_mapped(size_t first, size_t pages)
{
	CHECK_SIZE(mapped_pages(), pages);
	for (size_t i = first; i < first + pages; i++)
		CHECK(kernel.pages[i].mapped);
}

/* With nothing known of where the last one from the top down was. */
static void start_afresh(void)
{
	void *out;

	start();
	kernel.map_error = ENOMEM;
	CHECK_HR(reserve(NULL, 1, UNIT, HM_RESERVE_TOP_DOWN, &out), E_OUTOFMEMORY);
	kernel.map_error = 0;
	kernel.anywhere = 0;
}

static void a_reservation_has_no_access_and_is_not_charged(void)
{
	const unsigned large = HM_RESERVE_COMMITTED | HM_RESERVE_LARGE;
	const struct {
		unsigned flags;
		int protection, mapping;
		size_t first;
	} rows[] = {
		{ 0, PROT_NONE, MAP_NORESERVE, 0 },
		{ HM_RESERVE_TOP_DOWN, PROT_NONE, MAP_NORESERVE, UNITS },
		{ HM_RESERVE_COMMITTED, PROT_READ, MAP_NORESERVE, 0 },
		{ large, PROT_READ, MAP_HUGETLB, 0 },
		/* Of these nothing can be cut off. */
		{ large | HM_RESERVE_TOP_DOWN, PROT_READ, MAP_HUGETLB, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		void *out;

		tap_row("flags %u", rows[i].flags);
		start_afresh();
		kernel.places[0] = WINDOW;
		CHECK_HR(reserve(NULL, UNITS, UNIT, rows[i].flags, &out), S_OK);
		CHECK_POINTER(out, at_page(rows[i].first));
		CHECK_INT(kernel.protection, rows[i].protection);
		CHECK_INT(kernel.flags, MAP_PRIVATE | MAP_ANONYMOUS | rows[i].mapping);
		end();
	}
}

#define NONE 400U /* a page that no row is near to */

static void what_is_mapped_too_much_goes_back(void)
{
	static const struct {
		const char *name;
		size_t pages, alignment;
		size_t place, taken, again; /* pages from the window's start */
		size_t first;
		unsigned unmaps;
	} rows[] = {
		{ "whole units", 2 * UNITS, UNIT, 0, NONE, 0, 0, 0 },
		{ "the tail of a unit", UNITS + 1, UNIT, 0, NONE, 0, 0, 1 },
		{ "one page", 1, UNIT, 0, NONE, 0, 0, 1 },
		{ "off the grid, which is free below", UNITS, UNIT, 19, NONE, 0, 16, 1 },
		{ "the same, and a tail", 1, UNIT, 19, NONE, 0, 16, 2 },
		{ "the grid below is taken", UNITS, UNIT, 19, 17, 53, 64, 3 },
		{ "the same, and a tail", 1, UNIT, 19, 17, 53, 64, 3 },
		{ "the highest of two places", UNITS, UNIT, 19, 17, 64, 80, 2 },
		{ "a larger alignment", 2 * UNITS, 4 * UNIT, 80, NONE, 0, 64, 1 },
		{ "a larger one still, taken", 2 * UNITS, 8 * UNIT, 100, 20, 144, 256,
		  3 },
		{ "a larger one by chance", 2 * UNITS, 4 * UNIT, 64, NONE, 0, 64, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		void *out;

		tap_row("row %zu, %s", i, rows[i].name);
		start();
		kernel.places[0] = WINDOW + rows[i].place * PAGE;
		kernel.places[1] = WINDOW + rows[i].again * PAGE;
		kernel.pages[rows[i].taken].mapped = true;
		CHECK_HR(reserve(NULL, rows[i].pages, rows[i].alignment, 0, &out), S_OK);
		CHECK_POINTER(out, at_page(rows[i].first));
		CHECK(kernel.pages[rows[i].taken].mapped);
		kernel.pages[rows[i].taken].mapped = false;
		check_mapped(rows[i].first, rows[i].pages);
		CHECK_U32(kernel.unmaps, rows[i].unmaps);
		end();
	}
}

static void the_last_place_is_a_hint_but_not_from_the_top_down(void)
{
	void *out;

	start_afresh();
	kernel.places[0] = WINDOW + 4 * UNIT;
	CHECK_HR(reserve(NULL, 1, UNIT, 0, &out), S_OK);
	kernel.places[0] = kernel.places[1] = WINDOW + 8 * UNIT;
	CHECK_HR(reserve(NULL, 1, UNIT, HM_RESERVE_TOP_DOWN, &out), S_OK);
	CHECK_SIZE(kernel.wanted, 0);
	CHECK_HR(reserve(NULL, 1, UNIT, 0, &out), S_OK);
	CHECK_SIZE(kernel.wanted, WINDOW + 9 * UNIT);
	CHECK_INT(kernel.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE), 0);
	end();
}

/* Reserves from the top down; the unit in which it is. */
static size_t unit_given(size_t pages, size_t alignment)
{
	void *out;

	CHECK_HR(reserve(NULL, pages, alignment, HM_RESERVE_TOP_DOWN, &out), S_OK);
	CHECK_SIZE((uintptr_t)out % UNIT, 0);
	return ((uintptr_t)out - WINDOW) / UNIT;
}

static void from_the_top_down_the_next_place_is_right_below_the_last(void)
{
	start_afresh();
	kernel.places[0] = WINDOW + 16 * UNIT;
	CHECK_SIZE(unit_given(1, UNIT), 17);
	CHECK_U32(kernel.unmaps, 2);
	/* With one call, of the exact size. */
	CHECK_SIZE(unit_given(3, UNIT), 16);
	CHECK_INT(kernel.flags & MAP_FIXED_NOREPLACE, MAP_FIXED_NOREPLACE);
	CHECK_SIZE(unit_given(UNITS + 1, UNIT), 14);
	CHECK_SIZE(unit_given(UNITS, 4 * UNIT), 12);
	CHECK_U32(kernel.unmaps, 2);
	CHECK_SIZE(mapped_pages(), 1 + 3 + UNITS + 1 + UNITS);
	/* Somebody else is there. */
	kernel.pages[11 * UNITS + 2].mapped = true;
	kernel.places[1] = WINDOW + 6 * UNIT;
	CHECK_SIZE(unit_given(UNITS, UNIT), 7);
	CHECK_U32(kernel.unmaps, 3);
	end();
}

/* Gives pages of a reservation back, all of them or not. */
static void give_back(size_t first, size_t pages, size_t end)
{
	const struct hm_page_history whole = { NULL, (uintptr_t)at_page(first),
					       (uintptr_t)at_page(end) };

	if (first + pages < end)
		source->divide(source, at_page(first), pages * PAGE, &whole);
	CHECK_HR(source->release(source, at_page(first), pages * PAGE, NULL), S_OK);
	kernel.unmaps = 0;
}

static void from_the_top_down_what_was_given_back_is_preferred(void)
{
	static const struct {
		const char *name;
		size_t first, pages,
			end;         /* of what is given back, and of the reservation */
		size_t wanted, want; /* pages, and the unit; 5 is the kernel's choice */
		unsigned unmaps;
	} rows[] = {
		{ "the last page has a unit", 320, 1, 321, UNITS, 20, 0 },
		{ "what it is too small for", 320, 1, 321, UNITS + 1, 5, 2 },
		{ "the lowest", 288, 32, 320, 1, 19, 0 },
		{ "the lowest, for more than that", 288, 32, 320, 3 * UNITS, 17, 0 },
		{ "a unit of two", 288, UNITS, 320, UNITS, 18, 0 },
		{ "the first of them and a page", 288, UNITS + 1, 320, 1, 18, 0 },
		{ "a part of a unit, whose rest is there", 336, 1, 352, 1, 17, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu, %s", i, rows[i].name);
		start_afresh();
		kernel.places[0] = WINDOW + 20 * UNIT;
		kernel.places[1] = WINDOW + 4 * UNIT;
		CHECK_SIZE(unit_given(UNITS, UNIT), 21);
		CHECK_SIZE(unit_given(1, UNIT), 20);
		CHECK_SIZE(unit_given(2 * UNITS, UNIT), 18);
		give_back(rows[i].first, rows[i].pages, rows[i].end);
		CHECK_SIZE(unit_given(rows[i].wanted, UNIT), rows[i].want);
		CHECK_U32(kernel.unmaps, rows[i].unmaps);
		end();
	}
}

/* One place, again and again, as a program does that needs a buffer now and then. */
static void from_the_top_down_a_place_is_used_again(void)
{
	start_afresh();
	kernel.places[0] = WINDOW + 20 * UNIT;
	CHECK_SIZE(unit_given(UNITS, UNIT), 21);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_SIZE(unit_given(1, UNIT), 20);
		give_back(320, 1, 321);
	}
	CHECK_SIZE(unit_given(1, UNIT), 20);
	CHECK_SIZE(unit_given(1, UNIT), 19);
	CHECK_SIZE(unit_given(1, UNIT), 18);
	/* Two that are given back one after the other are one place. */
	give_back(304, 1, 305);
	give_back(320, 1, 321);
	CHECK_SIZE(unit_given(2 * UNITS, UNIT), 19);
	CHECK_U32(kernel.unmaps, 0);
	end();
}

static void from_the_top_down_no_unit_is_shared_with_what_is_left_of_one(void)
{
	start_afresh();
	kernel.places[0] = WINDOW + 20 * UNIT;
	kernel.places[1] = WINDOW + 8 * UNIT;
	CHECK_SIZE(unit_given(UNITS, UNIT), 21);
	CHECK_SIZE(unit_given(UNITS, UNIT), 20);
	give_back(320, 3, 336);
	give_back(336, UNITS, 352);
	CHECK_SIZE(unit_given(1, UNIT), 21);
	/* Its first page is free. */
	CHECK_SIZE(unit_given(1, UNIT), 9);
	CHECK_SIZE(unit_given(1, UNIT), 8);
	CHECK_SIZE(mapped_pages(), UNITS - 3 + 3);
	end();
}

static void nothing_is_given_beyond_user_space(void)
{
	static const struct {
		uintptr_t place, again;
		HRESULT want;
	} rows[] = {
		{ HM_USER_END - UNIT, 0, S_OK },
		{ HM_USER_END, WINDOW, S_OK },
		{ HM_USER_END, HM_USER_END - 2 * UNIT, S_OK },
		{ HM_USER_END, HM_USER_END, E_OUTOFMEMORY },
		{ HM_USER_END, HM_USER_END - PAGE, E_OUTOFMEMORY },
		/* Nor below the lowest that Win32 allocates. */
		{ 3 * PAGE, WINDOW, S_OK },
		{ 3 * PAGE, PAGE, S_OK },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		void *out;

		tap_row("row %zu", i);
		start();
		kernel.places[0] = rows[i].place;
		kernel.places[1] = rows[i].again;
		CHECK_HR(reserve(NULL, UNITS, UNIT, 0, &out), rows[i].want);
		CHECK_INT(out == NULL, FAILED(rows[i].want));
		CHECK(out == NULL || ((uintptr_t)out >= HM_USER_START &&
				      hm_range_valid((uintptr_t)out, UNITS * PAGE)));
		end();
	}
}

static void an_alignment_that_cannot_be_had_is_no_memory(void)
{
	void *out;

	start();
	kernel.places[0] = kernel.places[1] = WINDOW;
	CHECK_HR(reserve(NULL, UNITS, (size_t)1 << 63, 0, &out), E_OUTOFMEMORY);
	CHECK_POINTER(out, NULL);
	CHECK_SIZE(mapped_pages(), 0);
	CHECK_HR(reserve(NULL, UNITS, (size_t)1 << 47, 0, &out), E_OUTOFMEMORY);
	CHECK_SIZE(mapped_pages(), 0);
	end();
}

static void a_wanted_place_is_had_exactly_or_not_at_all(void)
{
	void *out;

	start();
	CHECK_HR(reserve(at_page(32), 3, 0, 0, &out), S_OK);
	CHECK_POINTER(out, at_page(32));
	CHECK(kernel.flags & MAP_FIXED_NOREPLACE);
	CHECK_INT(kernel.flags & MAP_FIXED, 0);
	check_mapped(32, 3);
	kernel.map_error = EEXIST;
	CHECK_HR(reserve(at_page(32), 3, 0, 0, &out), BAD_ADDRESS);
	CHECK_POINTER(out, NULL);
	check_mapped(32, 3);
	end();
	/* An old kernel takes it for a hint. */
	start();
	kernel.places[0] = WINDOW + 100 * PAGE;
	kernel.exact_is_hint = true;
	CHECK_HR(reserve(at_page(32), 3, 0, 0, &out), BAD_ADDRESS);
	CHECK_POINTER(out, NULL);
	CHECK_SIZE(mapped_pages(), 0);
	end();
}

static void refusals_are_told_apart(void)
{
	static const struct {
		int error;
		unsigned flags;
		HRESULT want;
	} rows[] = {
		{ ENOMEM, 0, E_OUTOFMEMORY },
		{ EAGAIN, 0, E_OUTOFMEMORY },
		{ EPERM, 0, E_ACCESSDENIED },
		{ EACCES, 0, E_ACCESSDENIED },
		{ EBADF, 0, E_FAIL },
		{ EINVAL, 0, E_FAIL },
		{ ENOMEM, HM_RESERVE_LARGE, NO_PRIVILEGE },
		{ EINVAL, HM_RESERVE_LARGE, NO_PRIVILEGE },
		{ EPERM, HM_RESERVE_LARGE, E_ACCESSDENIED },
		{ EEXIST, HM_RESERVE_LARGE, BAD_ADDRESS },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		void *out;

		tap_row("errno %d, flags %u", rows[i].error, rows[i].flags);
		start();
		kernel.map_error = rows[i].error;
		CHECK_HR(reserve(NULL, 1, UNIT, rows[i].flags, &out), rows[i].want);
		CHECK_POINTER(out, NULL);
		CHECK_HR(reserve(at_page(0), 1, 0, rows[i].flags, &out), rows[i].want);
		CHECK_POINTER(out, NULL);
		end();
	}
}

static void what_the_system_keeps_is_offered_again(void)
{
	void *out;

	start();
	kernel.places[0] = WINDOW;
	kernel.places[1] = WINDOW + 4 * UNIT;
	kernel.unmap_error = ENOMEM;
	tap_row("a tail");
	CHECK_HR(reserve(NULL, 1, UNIT, 0, &out), S_OK);
	CHECK_SIZE(mapped_pages(), UNITS);
	tap_row("a whole one");
	source->give_up(source, at_page(0), PAGE);
	CHECK_SIZE(mapped_pages(), UNITS);
	kernel.unmap_error = 0;
	tap_row("when there is room");
	CHECK_HR(reserve(NULL, UNITS, UNIT, 0, &out), S_OK);
	check_mapped(4 * UNITS, UNITS);
	source->give_up(source, out, UNIT);
	CHECK_SIZE(mapped_pages(), 0);
	end();
}

static void more_leftovers_than_can_be_noted_do_no_harm(void)
{
	void *out;

	start();
	kernel.places[0] = WINDOW;
	kernel.unmap_error = ENOMEM;
	for (size_t i = 0; i < 100; i++)
		source->give_up(source, at_page(i), PAGE);
	kernel.unmap_error = 0;
	kernel.unmaps = 0;
	CHECK_HR(reserve(NULL, UNITS, UNIT, 0, &out), S_OK);
	CHECK(kernel.unmaps > 1 && kernel.unmaps <= 100);
	check_mapped(0, UNITS);
	end();
}

static void the_size_of_a_large_page_is_what_the_system_says(void)
{
	static const struct {
		const char *text;
		size_t want;
	} rows[] = {
		{ "Hugepagesize:       2048 kB\n", 2048 * 1024 },
		{ "MemTotal: 5 kB\nHugepagesize: 1048576 kB\nDirectMap: 1 kB\n",
		  (size_t)1 << 30 },
		{ "AnonHugePages: 4096 kB\nXHugepagesize: 4 kB\n", 0 },
		{ "MemTotal: Hugepagesize: 2048 kB\n", 0 },
		{ "Hugepagesize:       2048", 2048 * 1024 },
		{ "Hugepagesize: 0 kB\n", 0 },
		{ "Hugepagesize: 3000 kB\n", 0 },
		{ "Hugepagesize: kB\n", 0 },
		{ "Hugepagesize: 99999999999999999999999999999999 kB\n", 0 },
		{ "Hugepagesize", 0 },
		{ "", 0 },
		{ NULL, 0 },
	};
	static const size_t chunks[] = { 1, 7, 4096 };

	for (size_t i = 0; i < ROWS(rows); i++) {
		for (size_t j = 0; j < ROWS(chunks); j++) {
			tap_row("%s", rows[i].text != NULL ? rows[i].text : "no file");
			start();
			kernel.text = rows[i].text;
			kernel.chunk = chunks[j];
			CHECK_SIZE(source->large_page_size(source), rows[i].want);
			CHECK_U32(kernel.closed, kernel.opened);
			end();
		}
	}
}

static void a_long_text_is_read_as_far_as_there_is_room(void)
{
	static char text[10000];

	memset(text, 'x', sizeof(text) - 1);
	start();
	kernel.text = text;
	kernel.chunk = 1000;
	CHECK_SIZE(source->large_page_size(source), 0);
	CHECK_U32(kernel.closed, 1);
	end();
}

int main(void)
{
	TAP_RUN(a_reservation_has_no_access_and_is_not_charged);
	TAP_RUN(what_is_mapped_too_much_goes_back);
	TAP_RUN(the_last_place_is_a_hint_but_not_from_the_top_down);
	TAP_RUN(from_the_top_down_the_next_place_is_right_below_the_last);
	TAP_RUN(from_the_top_down_what_was_given_back_is_preferred);
	TAP_RUN(from_the_top_down_a_place_is_used_again);
	TAP_RUN(from_the_top_down_no_unit_is_shared_with_what_is_left_of_one);
	TAP_RUN(nothing_is_given_beyond_user_space);
	TAP_RUN(an_alignment_that_cannot_be_had_is_no_memory);
	TAP_RUN(a_wanted_place_is_had_exactly_or_not_at_all);
	TAP_RUN(refusals_are_told_apart);
	TAP_RUN(what_the_system_keeps_is_offered_again);
	TAP_RUN(more_leftovers_than_can_be_noted_do_no_harm);
	TAP_RUN(the_size_of_a_large_page_is_what_the_system_says);
	TAP_RUN(a_long_text_is_read_as_far_as_there_is_room);
	return tap_done();
}
