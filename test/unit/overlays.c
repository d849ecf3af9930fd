/*
 * The list of overlays beside a plain array of pages.
 */
#include "hostmem/attach/overlays.h"
#include "hostmem/calls.h"
#include "hostmem/os/size.h"

#include "test/tap.h"

#include <string.h>

enum { PAGES = 400, OPERATIONS = 20000, MANY = 3000 };

#define PAGE ((uintptr_t)4096)
#define BASE ((uintptr_t)0x10000000)

static bool model[PAGES];

static uintptr_t at(size_t page)
{
	return BASE + page * PAGE;
}

static void forget_all(void)
{
	CHECK(hm_overlays_remove(0, UINTPTR_MAX));
	CHECK_SIZE(hm_overlays_count, 0);
	memset(model, 0, sizeof(model));
}

/* What the list has to say about a range. */
static void check_range(size_t first, size_t end)
{
	struct hm_overlay found = { 0, 0 };
	size_t page = first, last;
	bool any = hm_overlays_find(at(first), at(end), &found);

	while (page < end && !model[page])
		page++;
	if (!CHECK_INT(any, page < end) || !any)
		return;
	CHECK_SIZE(found.start, at(page));
	for (last = page; last < end && at(last) < found.end; last++)
		CHECK(model[last]);
	CHECK(found.end > found.start && found.end <= at(end));
}

static void nothing_is_found_at_first(void)
{
	struct hm_overlay found;

	CHECK_SIZE(hm_overlays_count, 0);
	CHECK(!hm_overlays_find(0, UINTPTR_MAX, &found));
	CHECK(hm_overlays_remove(at(0), at(10)));
	CHECK_SIZE(hm_overlays_count, 0);
}

static void one_is_found_as_far_as_it_reaches_into_a_range(void)
{
	static const struct {
		size_t first, end;
		bool found;
		size_t start, until;
	} rows[] = {
		{ 0, 10, false, 0, 0 },   { 0, 11, true, 10, 11 },
		{ 0, 40, true, 10, 20 },  { 10, 20, true, 10, 20 },
		{ 15, 16, true, 15, 16 }, { 19, 40, true, 19, 20 },
		{ 20, 40, false, 0, 0 },
	};

	CHECK(hm_overlays_add(at(10), at(20)));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hm_overlay found = { 0, 0 };

		tap_row("pages %zu to %zu", rows[i].first, rows[i].end);
		CHECK_INT(hm_overlays_find(at(rows[i].first), at(rows[i].end), &found),
			  rows[i].found);
		if (rows[i].found) {
			CHECK_SIZE(found.start, at(rows[i].start));
			CHECK_SIZE(found.end, at(rows[i].until));
		}
	}
	forget_all();
}

/* What was noted is replaced, cut in front, behind, or in two. */
static void parts_go_and_the_rest_stays(void)
{
	static const struct {
		size_t first, end, count;
	} rows[] = { { 10, 20, 0 }, { 0, 40, 0 },  { 10, 12, 1 },
		     { 18, 20, 1 }, { 12, 18, 2 }, { 0, 15, 1 },
		     { 15, 40, 1 }, { 0, 10, 1 },  { 20, 30, 1 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tap_row("pages %zu to %zu", rows[i].first, rows[i].end);
		CHECK(hm_overlays_add(at(10), at(20)));
		for (size_t page = 10; page < 20; page++)
			model[page] = page < rows[i].first || page >= rows[i].end;
		CHECK(hm_overlays_remove(at(rows[i].first), at(rows[i].end)));
		CHECK_SIZE(hm_overlays_count, rows[i].count);
		for (size_t page = 0; page < 40; page++)
			check_range(page, 40);
		forget_all();
	}
}

static void the_list_grows_and_stays_in_order(void)
{
	struct hm_overlay found;

	for (size_t i = 0; i < MANY; i++) {
		size_t place = i * 7 % MANY;

		CHECK(hm_overlays_add(at(2 * place), at(2 * place + 1)));
	}
	CHECK_SIZE(hm_overlays_count, MANY);
	for (size_t i = 0; i < MANY; i++) {
		CHECK(hm_overlays_find(at(2 * i), at(2 * i + 2), &found));
		CHECK_SIZE(found.start, at(2 * i));
		CHECK(!hm_overlays_find(at(2 * i + 1), at(2 * i + 2), &found));
	}
	/* One over all of them. */
	CHECK(hm_overlays_add(at(1), at(2 * MANY)));
	CHECK_SIZE(hm_overlays_count, 2);
	forget_all();
}

static void random_notes_are_those_of_a_plain_array(void)
{
	uint64_t state = 4711;

	for (int i = 0; i < OPERATIONS && !tap_failed(); i++) {
		size_t first, end;
		bool add;

		state = state * 6364136223846793005U + 1442695040888963407U;
		first = (size_t)(state >> 33) % PAGES;
		end = first + 1 + (size_t)(state >> 20) % 12;
		end = end < PAGES ? end : PAGES;
		add = state >> 60 & 1;
		tap_row("operation %d", i);
		CHECK(add ? hm_overlays_add(at(first), at(end))
			  : hm_overlays_remove(at(first), at(end)));
		for (size_t page = first; page < end; page++)
			model[page] = add;
		check_range(first > 3 ? first - 3 : 0, end + 3 < PAGES ? end + 3 : PAGES);
		check_range(first, end);
		check_range(0, PAGES);
	}
	forget_all();
}

int main(void)
{
	CHECK_HR(hm_calls_prepare(), S_OK);
	TAP_RUN(nothing_is_found_at_first);
	TAP_RUN(one_is_found_as_far_as_it_reaches_into_a_range);
	TAP_RUN(parts_go_and_the_rest_stays);
	TAP_RUN(the_list_grows_and_stays_in_order);
	TAP_RUN(random_notes_are_those_of_a_plain_array);
	return tap_done();
}
