/*
 * Opening granules: how far, what can be touched then, and what is done where the system
 * refuses.
 *
 * Closing is opening_close.c's.
 */
#include "hostmem/opening.h"
#include "arena.h"

#include <sys/resource.h>

#define COUNT 256U /* granules of an arena here: 8 windows */
#define NONE UINT32_MAX
#define READ_WRITE (HM_ACCESS_READ | HM_ACCESS_WRITE)

static struct hm_arena *arena;

static void begin(struct hm_arenas *set)
{
	arenas_begin();
	set->largest = COUNT * UNIT;
	arena = needed(hm_arena_make(set, PAGE));
	CHECK_U32(arena->room, COUNT);
	seam_count();
}

static void end(void)
{
	CHECK_ARENAS();
	arenas_end();
}

static bool has_guards(void)
{
	if (hm_memory_has_guards())
		return true;
	tap_skip("this kernel has no guard pages");
	return false;
}

static uintptr_t at(uint32_t granule)
{
	return hm_arena_address(arena, granule);
}

/* Granules low to high - 1 are a reservation; pages of them are about to be committed. */
struct reservation {
	uint32_t low, high;
};

static HRESULT open_pages(struct reservation in, uintptr_t address, size_t pages)
{
	return hm_open(arena, address, pages * PAGE, at(in.low), at(in.high));
}

static struct reservation reserve(uint32_t low, uint32_t high)
{
	(void)taken(arena, low, high - low);
	return (struct reservation){ low, high };
}

static void give_all(struct reservation in)
{
	give(place_in(arena, in.low, in.high - in.low));
}

/* Of the whole arena, granules first to last - 1 are open, and nothing else is. */
static void check_open(uint32_t first, uint32_t last)
{
	if (first != 0)
		CHECK_STATES(arena, 0, first, HM_GRANULE_BLANK);
	CHECK_STATES(arena, first, last - first, HM_GRANULE_OPEN);
	if (last != COUNT)
		CHECK_STATES(arena, last, COUNT - last, HM_GRANULE_BLANK);
}

/* Of the granules first to last - 1, these pages can be touched, and nothing else around. */
static void check_pages(uint32_t first, uint32_t last, uintptr_t start, uintptr_t stop)
{
	uintptr_t low = first == 0 ? at(0) : at(first - 1);
	uintptr_t high = last == COUNT ? arena->end : at(last + 1);

	CHECK_ACCESS(low, start, HM_ACCESS_NONE);
	CHECK_ACCESS(start, stop, READ_WRITE);
	CHECK_ACCESS(stop, high, HM_ACCESS_NONE);
}

static void a_commit_opens_the_window_as_far_as_it_is_its_own_or_free(void)
{
	static const struct {
		uint32_t low, high, granule, other; /* somebody else's */
		uint32_t first, last;
	} rows[] = {
		{ 40, 41, 40, NONE, 32, 64 },      { 40, 42, 41, NONE, 32, 64 },
		{ 32, 64, 50, NONE, 32, 64 },      { 32, 128, 70, NONE, 64, 96 },
		{ 40, 128, 45, NONE, 32, 64 },     { 40, 128, 127, NONE, 96, 128 },
		{ 40, 100, 99, NONE, 96, 128 },    { 40, 100, 70, NONE, 64, 96 },
		{ 40, 41, 40, 35, 36, 64 },        { 40, 41, 40, 41, 32, 41 },
		{ 40, 41, 40, 39, 40, 64 },        { 0, 1, 0, NONE, 0, 32 },
		{ 255, 256, 255, NONE, 224, 256 }, { 0, 256, 255, NONE, 224, 256 },
		{ 63, 65, 63, NONE, 32, 64 },      { 63, 65, 64, NONE, 64, 96 },
	};

	if (!has_guards())
		return;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct reservation own;
		uintptr_t page;

		tap_row("granule %u of %u to %u, %u is taken", rows[i].granule,
			rows[i].low, rows[i].high, rows[i].other);
		begin(both_sets[0]);
		own = reserve(rows[i].low, rows[i].high);
		if (rows[i].other != NONE)
			(void)taken(arena, rows[i].other, 1);
		page = at(rows[i].granule) + 3 * PAGE;
		CHECK_HR(open_pages(own, page, 1), S_OK);
		CHECK_U32(seam.calls[CALL_PROTECT], 1);
		CHECK_U32(both_sets[0]->openings, 1);
		check_open(rows[i].first, rows[i].last);
		check_pages(rows[i].first, rows[i].last, page, page + PAGE);
		CHECK(is_dumped(at(rows[i].first)) && is_dumped(at(rows[i].last) - PAGE));
		CHECK(rows[i].first == 0 || !is_dumped(at(rows[i].first) - PAGE));
		CHECK(rows[i].last == COUNT || !is_dumped(at(rows[i].last)));
		/* What was free beside it is free again. */
		CHECK_U32(arena->room,
			  COUNT - (own.high - own.low) - (rows[i].other != NONE ? 1 : 0));
		CHECK_U32(arena->open_room,
			  (uint32_t)(hm_max(own.low, rows[i].first) - rows[i].first +
				     rows[i].last - hm_min(own.high, rows[i].last)));
		CHECK_ARENAS();
		give_all(own);
		if (rows[i].other != NONE)
			give(place_in(arena, rows[i].other, 1));
		end();
	}
}

static void only_the_pages_to_be_committed_can_be_touched(void)
{
	static const struct {
		unsigned from, pages; /* from the beginning of granule 40 */
	} rows[] = { { 0, 1 },  { 15, 1 }, { 5, 3 },   { 0, 16 },
		     { 15, 2 }, { 3, 90 }, { 30, 34 }, { 0, 112 } };

	if (!has_guards())
		return;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct reservation own;
		uintptr_t start;

		tap_row("%u pages from %u", rows[i].pages, rows[i].from);
		begin(both_sets[0]);
		own = reserve(40, 50);
		start = at(40) + rows[i].from * PAGE;
		CHECK_HR(open_pages(own, start, rows[i].pages), S_OK);
		check_open(32, 64);
		check_pages(32, 64, start, start + rows[i].pages * PAGE);
		give_all(own);
		end();
	}
}

static void half_a_mib_is_opened_without_what_is_around_it(void)
{
	struct reservation own;

	if (!has_guards())
		return;
	begin(both_sets[0]);
	own = reserve(33, 63);
	CHECK_HR(open_pages(own, at(40), HM_MANY * 16), S_OK);
	check_open(40, 40 + HM_MANY);
	check_pages(40, 48, at(40), at(48));
	CHECK_U32(seam.calls[CALL_GUARD], 0);
	CHECK_HR(open_pages(own, at(35), 1), S_OK);
	CHECK_STATES(arena, 32, 16, HM_GRANULE_OPEN);
	CHECK_STATES(arena, 48, 16, HM_GRANULE_BLANK);
	/* Nor is what is open beside it opened again, with what it has. */
	*bytes_at(at(48) - PAGE) = 7;
	CHECK_HR(open_pages(own, at(50), 1), S_OK);
	CHECK_STATES(arena, 32, 32, HM_GRANULE_OPEN);
	CHECK_INT(access_at(at(48) - PAGE), READ_WRITE);
	CHECK_U32(*bytes_at(at(48) - PAGE), 7);
	give_all(own);
	end();
}

/* Nor is what is free around a reservation that is wholly committed. */
static void half_a_mib_at_the_ends_of_its_reservation_neither(void)
{
	struct reservation own;

	if (!has_guards())
		return;
	begin(both_sets[0]);
	own = reserve(40, 40 + HM_MANY);
	CHECK_HR(open_pages(own, at(40), HM_MANY * 16), S_OK);
	check_open(40, 40 + HM_MANY);
	CHECK_U32(seam.calls[CALL_GUARD], 0);
	give_all(own);
	end();
}

static void what_is_open_already_costs_no_call(void)
{
	struct reservation own;

	if (!has_guards())
		return;
	begin(both_sets[0]);
	own = reserve(32, 96);
	CHECK_HR(open_pages(own, at(40), 1), S_OK);
	*bytes_at(at(40)) = 77;
	seam_count();
	CHECK_HR(open_pages(own, at(40), 20 * 16), S_OK);
	for (unsigned call = 0; call < SEAM_CALLS; call++)
		CHECK_U32(seam.calls[call], 0);
	/* Of a range that is open in part, the rest is opened. */
	CHECK_HR(open_pages(own, at(60), 6 * 16), S_OK);
	check_open(32, 96);
	CHECK_U32(seam.calls[CALL_PROTECT], 1);
	CHECK_U32(*bytes_at(at(40)), 77);
	CHECK_ACCESS(at(66), at(96), HM_ACCESS_NONE);
	CHECK_ACCESS(at(64), at(66), READ_WRITE);
	give_all(own);
	end();
}

/* ---- Refusals ---- */

static void what_cannot_be_opened_as_usual_is_odd_and_no_more_than_that(void)
{
	static const struct {
		enum seam_call call;
		unsigned pass;
		int error;
		HRESULT want;
	} rows[] = {
		{ CALL_GUARD, 0, EINVAL, S_OK },
		{ CALL_GUARD, 1, EINVAL, S_OK },
		{ CALL_GUARD, 0, ENOMEM, S_OK },
		{ CALL_PROTECT, 0, ENOMEM, S_OK },
		{ CALL_PROTECT, 0, EINVAL, S_OK },
		{ CALL_PROTECT, 0, EACCES, E_ACCESSDENIED },
	};

	if (!has_guards())
		return;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct reservation own;
		bool odd = rows[i].want == S_OK;

		tap_row("call %d, %d", (int)rows[i].call, rows[i].error);
		begin(both_sets[0]);
		own = reserve(40, 45);
		seam.pass[rows[i].call] = rows[i].pass;
		seam.error[rows[i].call] = rows[i].error;
		CHECK_HR(open_pages(own, at(41) + PAGE, 17), rows[i].want);
		seam_count();
		CHECK_STATES(arena, 0, 41, HM_GRANULE_BLANK);
		CHECK_STATES(arena, 41, 2, odd ? HM_GRANULE_ODD : HM_GRANULE_BLANK);
		CHECK_STATES(arena, 43, COUNT - 43, HM_GRANULE_BLANK);
		CHECK_ACCESS(at(32), at(64), HM_ACCESS_NONE);
		CHECK_INT(is_dumped(at(41)), odd);
		CHECK(!is_dumped(at(43)));
		CHECK_U32(arena->room, COUNT - 5);
		CHECK_U32(arena->open_room, 0);
		CHECK_ARENAS();
		give_all(own);
		end();
	}
}

/* ---- Without guards ---- */

static void without_guards_the_granules_alone_are_opened_and_nobody_may_touch_them(void)
{
	struct reservation own;

	begin(both_sets[1]);
	own = reserve(40, 60);
	CHECK_HR(open_pages(own, at(41) + PAGE, 17), S_OK);
	check_open(41, 43);
	CHECK_ACCESS(at(40), at(60), HM_ACCESS_NONE);
	CHECK_U32(seam.calls[CALL_PROTECT], 0);
	CHECK_U32(seam.calls[CALL_GUARD], 0);
	CHECK(is_dumped(at(41)) && is_dumped(at(43) - PAGE));
	CHECK(!is_dumped(at(43)) && !is_dumped(at(41) - PAGE));
	CHECK(both_sets[1]->openings != 0);
	CHECK_U32(arena->room, COUNT - 20);
	give_all(own);
	end();
}

/* What is writable is counted then, whether anybody uses it or not. */
static void open_under_limit(void)
{
	struct rlimit limit = { (rlim_t)1 << 60, (rlim_t)1 << 60 };
	struct reservation own;

	begin(both_sets[0]);
	own = reserve(40, 45);
	CHECK_INT(setrlimit(RLIMIT_DATA, &limit), 0);
	CHECK_HR(open_pages(own, at(42), 17), S_OK);
	check_open(42, 44);
	check_pages(42, 44, at(42), at(43) + PAGE);
	CHECK_U32(arena->room, COUNT - 5);
	give_all(own);
	end();
}

static void under_a_limit_of_writable_memory_the_granules_alone_are_opened(void)
{
	if (has_guards())
		in_child(open_under_limit);
}

/* ---- Ahead ---- */

static void what_is_opened_ahead_is_open_with_its_window_and_wholly_guarded(void)
{
	struct hm_place place;

	if (!has_guards())
		return;
	begin(both_sets[0]);
	(void)taken(arena, 60, 1);
	place = taken(arena, 40, 2);
	hm_open_ahead(&place);
	check_open(32, 60);
	CHECK_ACCESS(at(31), at(65), HM_ACCESS_NONE);
	CHECK_U32(arena->open_room, 26);
	CHECK_U32(arena->room, COUNT - 3);
	CHECK_HR(hm_memory_unguard((void *)at(40), PAGE), S_OK);
	CHECK_ACCESS(at(40), at(40) + PAGE, READ_WRITE);
	give(place);
	give(place_in(arena, 60, 1));
	end();
}

static void what_cannot_be_opened_ahead_stays_as_it_is(void)
{
	static const enum seam_call calls[] = { CALL_GUARD, CALL_PROTECT };

	if (!has_guards())
		return;
	for (size_t i = 0; i < ROWS(calls); i++) {
		struct hm_place place;

		begin(both_sets[0]);
		place = taken(arena, 40, 2);
		seam.error[calls[i]] = ENOMEM;
		hm_open_ahead(&place);
		seam_count();
		CHECK_STATES(arena, 0, COUNT, HM_GRANULE_BLANK);
		CHECK_ACCESS(at(32), at(64), HM_ACCESS_NONE);
		CHECK_U32(arena->room, COUNT - 2);
		CHECK_ARENAS();
		give(place);
		end();
	}
}

int main(void)
{
	TAP_RUN(a_commit_opens_the_window_as_far_as_it_is_its_own_or_free);
	TAP_RUN(only_the_pages_to_be_committed_can_be_touched);
	TAP_RUN(half_a_mib_is_opened_without_what_is_around_it);
	TAP_RUN(half_a_mib_at_the_ends_of_its_reservation_neither);
	TAP_RUN(what_is_open_already_costs_no_call);
	TAP_RUN(what_cannot_be_opened_as_usual_is_odd_and_no_more_than_that);
	TAP_RUN(without_guards_the_granules_alone_are_opened_and_nobody_may_touch_them);
	TAP_RUN(under_a_limit_of_writable_memory_the_granules_alone_are_opened);
	TAP_RUN(what_is_opened_ahead_is_open_with_its_window_and_wholly_guarded);
	TAP_RUN(what_cannot_be_opened_ahead_stays_as_it_is);
	return tap_done();
}
