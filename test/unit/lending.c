/*
 * Arena space that is given up for a reservation at its very address, and taken back.
 */
#include "hostmem/lending.h"
#include "arena.h"

#define COUNT SMALLEST_GRANULES
#define SIZE HM_ARENA_SMALLEST
#define MOST 12U

#define NONE UINT32_MAX

/*
 * Neighbouring arenas, with nothing mapped around them, of both sets in turn.  Where it can
 * be, a granule of each is taken that is not in the range of the test, so that the arena
 * does not go when all others are given back.
 */
static struct hm_arena *arenas[MOST];
static uint32_t anchors[MOST];
static uintptr_t base;

/* The range, in bytes, is seen from the first arena. */
static void begin(size_t count, intptr_t from, size_t size)
{
	arenas_begin();
	base = empty_block(0) + SIZE;
	for (size_t i = 0; i < count; i++) {
		uintptr_t low = base + (uintptr_t)from, high = low + size;

		arenas[i] = small_arena(both_sets[i % 2], base + i * SIZE);
		anchors[i] = low > arenas[i]->base           ? 0
			     : high <= arenas[i]->end - UNIT ? COUNT - 1
							     : NONE;
		if (anchors[i] != NONE)
			(void)taken(arenas[i], anchors[i], 1);
	}
}

static void weigh_anchors(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (anchors[i] != NONE)
			give(place_in(arenas[i], anchors[i], 1));
	}
}

static uint32_t room_of(size_t i)
{
	return anchors[i] == NONE ? COUNT : COUNT - 1;
}

/* All loans have been taken back. */
static void end(size_t count)
{
	CHECK_ARENAS();
	weigh_anchors(count);
	arenas_end();
}

static bool is_mapped_from(uintptr_t start, uintptr_t stop)
{
	for (uintptr_t at = start; at < stop; at += UNIT / 4) {
		if (!is_mapped(at))
			return false;
	}
	return true;
}

static bool is_unmapped_from(uintptr_t start, uintptr_t stop)
{
	for (uintptr_t at = start; at < stop; at += UNIT / 4) {
		if (is_mapped(at))
			return false;
	}
	return true;
}

static bool is_lent(uintptr_t start, uintptr_t stop)
{
	for (uintptr_t at = start; at < stop; at += UNIT) {
		if (hm_arena_at(at) == NULL || hm_arena_of(at) != NULL)
			return false;
	}
	return is_unmapped_from(start, stop);
}

static size_t low_of(uintptr_t from, const struct hm_arena *arena)
{
	return hm_max(hm_round_down(from, UNIT), arena->base);
}

static size_t high_of(uintptr_t to, const struct hm_arena *arena)
{
	return hm_min(hm_round_up(to, UNIT), arena->end);
}

/* Of `count` arenas, what is in [from, to) is lent and nothing else. */
static void check_lent(size_t count, uintptr_t from, uintptr_t to)
{
	for (size_t i = 0; i < count; i++) {
		const struct hm_arena *arena = arenas[i];
		uintptr_t low = low_of(from, arena), high = high_of(to, arena);

		if (low >= high) {
			CHECK_U32(arena->room, room_of(i));
			CHECK(is_mapped_from(arena->base, arena->end));
			continue;
		}
		CHECK(is_lent(low, high));
		CHECK(is_mapped_from(arena->base, low));
		CHECK(is_mapped_from(high, arena->end));
		CHECK_U32(arena->room, room_of(i) - (uint32_t)((high - low) / UNIT));
		if (low != arena->base)
			CHECK_SIZE(hm_arena_reach(arena, arena->base), low);
		if (high != arena->end)
			CHECK_SIZE(hm_arena_reach(arena, high), arena->end);
	}
	CHECK_ARENAS();
}

/* Of arenas in which nothing is taken, all but one of each set have gone. */
static void check_none_lent(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uintptr_t low = base + i * SIZE, high = low + SIZE;

		if (anchors[i] == NONE && arenas[i]->phase != HM_ARENA_LIVE) {
			CHECK(is_unmapped_from(low, high));
			continue;
		}
		CHECK_U32(arenas[i]->room, room_of(i));
		CHECK_U32(arenas[i]->open_room, 0);
		CHECK_STATES(arenas[i], 0, COUNT, HM_GRANULE_BLANK);
		CHECK_ACCESS(low, high, HM_ACCESS_NONE);
		CHECK(is_mapped_from(low, high));
		CHECK(!is_dumped(low) && !is_dumped(high - PAGE));
	}
	CHECK_ARENAS();
}

static void what_arenas_have_of_a_range_is_lent_and_comes_back(void)
{
	static const struct {
		intptr_t from; /* granules from the first arena */
		size_t size;
		unsigned parts;
	} rows[] = {
		{ 0, UNIT, 1 },                 /* first granule */
		{ COUNT - 1, UNIT, 1 },         /* last */
		{ 0, SIZE, 1 },                 /* all */
		{ 7, 5 * UNIT, 1 },             /* inside */
		{ 7, UNIT + PAGE, 1 },          /* less than a granule of the last */
		{ -3, 3 * UNIT, 0 },            /* below, to the very border */
		{ -3, 4 * UNIT, 1 },            /* partly below */
		{ -3, 3 * UNIT + PAGE, 1 },     /* by a page */
		{ -3, SIZE + UNIT, 1 },         /* and nearly all */
		{ -3, 3 * SIZE + 9 * UNIT, 3 }, /* around all three */
		{ COUNT - 1, 2 * UNIT, 2 },     /* across a border of two */
		{ COUNT, UNIT, 1 },             /* first of the second */
		{ COUNT / 2, 2 * SIZE, 3 },     /* across three */
		{ 3 * COUNT - 1, UNIT, 1 },     /* last of the last */
		{ 3 * COUNT - 1, 5 * UNIT, 1 }, /* and beyond */
		{ 3 * COUNT, 5 * UNIT, 0 },     /* above, from the border */
		{ 3 * COUNT + 9, UNIT, 0 },     /* far above */
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_loan loan = { .count = 99 };
		uintptr_t from;

		tap_row("%zu bytes from granule %td", rows[i].size, rows[i].from);
		begin(3, rows[i].from * (intptr_t)UNIT, rows[i].size);
		from = base + (uintptr_t)(rows[i].from * (intptr_t)UNIT);
		CHECK_HR(hm_lend(from, rows[i].size, &loan), S_OK);
		CHECK_U32(loan.count, rows[i].parts);
		check_lent(3, from, from + rows[i].size);
		hm_take_back(&loan);
		check_none_lent(3);
		end(3);
	}
}

static void a_range_of_which_something_is_taken_is_not_lent(void)
{
	static const struct {
		size_t arena;
		uint32_t granule;
	} rows[] = { { 0, COUNT - 2 }, { 0, COUNT - 1 }, { 1, 0 },
		     { 1, COUNT / 2 }, { 1, COUNT - 1 }, { 2, 1 } };

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_loan loan;
		struct hm_place place;

		tap_row("granule %u of arena %zu", rows[i].granule, rows[i].arena);
		begin(3, SIZE - 2 * UNIT, SIZE + 4 * UNIT);
		place = taken(arenas[rows[i].arena], rows[i].granule, 1);
		CHECK_HR(hm_lend(base + SIZE - 2 * UNIT, SIZE + 4 * UNIT, &loan),
			 BAD_ADDRESS);
		give(place);
		check_none_lent(3);
		end(3);
	}
}

static void of_eight_arenas_at_most(void)
{
	static const struct {
		intptr_t from;
		size_t size;
		unsigned parts; /* 0: too many */
	} rows[] = {
		{ 0, 9 * SIZE, 0 },
		{ SIZE - UNIT, 7 * SIZE + 2 * UNIT, 0 },
		{ 0, 8 * SIZE, 8 },
		{ SIZE - UNIT, 7 * SIZE + UNIT, 8 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uintptr_t from;
		struct hm_loan loan;

		tap_row("row %zu", i);
		begin(9, rows[i].from, rows[i].size);
		from = base + (uintptr_t)rows[i].from;
		CHECK_HR(hm_lend(from, rows[i].size, &loan),
			 rows[i].parts == 0 ? BAD_ADDRESS : S_OK);
		if (rows[i].parts != 0) {
			CHECK_U32(loan.count, rows[i].parts);
			check_lent(9, from, from + rows[i].size);
			hm_take_back(&loan);
		}
		check_none_lent(9);
		end(9);
	}
}

static void open_granules_are_lent_like_others_and_come_back_blank(void)
{
	struct hm_place place;
	struct hm_loan loan;

	begin(1, 8 * UNIT, 20 * UNIT);
	place = taken(arenas[0], 10, 10);
	hm_place_set(&place, HM_GRANULE_OPEN);
	CHECK_HR(hm_memory_protect((void *)hm_place_start(&place), 10 * UNIT,
				   HM_ACCESS_OPEN),
		 S_OK);
	hm_memory_dump((void *)hm_place_start(&place), 10 * UNIT, true);
	*bytes_at(hm_place_start(&place)) = 1;
	give(place);
	CHECK_HR(hm_lend(base + 8 * UNIT, 20 * UNIT, &loan), S_OK);
	CHECK_U32(arenas[0]->open_room, 0);
	check_lent(1, base + 8 * UNIT, base + 28 * UNIT);
	hm_take_back(&loan);
	check_none_lent(1);
	CHECK(!is_dumped(base + 10 * UNIT));
	end(1);
}

static void what_is_lent_already_is_passed_over(void)
{
	struct hm_loan loans[3];

	begin(2, 8 * UNIT, SIZE - 6 * UNIT);
	CHECK_HR(hm_lend(base + 10 * UNIT, 2 * UNIT, &loans[0]), S_OK);
	CHECK_HR(hm_lend(base + SIZE, UNIT, &loans[1]), S_OK);
	CHECK_HR(hm_lend(base + 8 * UNIT, SIZE - 6 * UNIT, &loans[2]), S_OK);
	CHECK_U32(loans[2].count, 3);
	check_lent(2, base + 8 * UNIT, base + SIZE + 2 * UNIT);
	hm_take_back(&loans[2]);
	CHECK(is_lent(base + 10 * UNIT, base + 12 * UNIT));
	CHECK(is_lent(base + SIZE, base + SIZE + UNIT));
	CHECK_POINTER(hm_arena_of(base + 12 * UNIT), arenas[0]);
	hm_take_back(&loans[0]);
	hm_take_back(&loans[1]);
	check_none_lent(2);
	end(2);
}

/* ---- When the reservation has come to nothing ---- */

static void *stranger_at(uintptr_t address, size_t size)
{
	void *mapped = seam.real.map((void *)address, size, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
				     -1, 0);

	CHECK_POINTER(mapped, (void *)address);
	*bytes_at(address) = 42;
	return mapped;
}

static void what_a_stranger_has_taken_meanwhile_stays_lent(void)
{
	struct hm_loan loan;
	void *stranger;

	begin(2, SIZE - 4 * UNIT, 8 * UNIT);
	CHECK_HR(hm_lend(base + SIZE - 4 * UNIT, 8 * UNIT, &loan), S_OK);
	CHECK_U32(loan.count, 2);
	stranger = stranger_at(base + SIZE - 2 * UNIT, PAGE);
	hm_take_back(&loan);
	CHECK_U32(*bytes_at((uintptr_t)stranger), 42);
	CHECK_STATES(arenas[0], COUNT - 4, 4, HM_GRANULE_LENT);
	CHECK_U32(arenas[0]->room, COUNT - 5);
	CHECK_U32(arenas[0]->set->idle, 0);
	/* The other part was nobody's. */
	CHECK_U32(arenas[1]->room, COUNT - 1);
	CHECK_POINTER(hm_arena_of(base + SIZE), arenas[1]);
	CHECK_ARENAS();
	CHECK_INT(munmap(stranger, PAGE), 0);
	loan.count = 1;
	hm_take_back(&loan);
	check_none_lent(2);
	end(2);
}

static void where_the_system_has_no_room_it_stays_lent(void)
{
	static const bool hint[] = { false, true };

	for (size_t i = 0; i < ROWS(hint); i++) {
		struct hm_loan loan;

		tap_row("a kernel that %s", hint[i] ? "goes elsewhere" : "refuses");
		begin(1, 0, 2 * UNIT);
		CHECK_HR(hm_lend(base, 2 * UNIT, &loan), S_OK);
		seam.exact_is_hint = hint[i];
		seam.error[CALL_MAP] = hint[i] ? 0 : ENOMEM;
		seam.last = 0;
		hm_take_back(&loan);
		if (hint[i])
			CHECK(seam.last != base && !is_mapped(seam.last));
		seam_count();
		CHECK(is_lent(base, base + 2 * UNIT));
		CHECK_U32(arenas[0]->room, COUNT - 3);
		CHECK_ARENAS();
		hm_take_back(&loan);
		check_none_lent(1);
		end(1);
	}
}

static void what_cannot_be_unmapped_is_not_lent_nor_what_is_beside_it(void)
{
	for (unsigned pass = 0; pass < 2; pass++) {
		struct hm_loan loan;

		tap_row("%u parts are unmapped", pass);
		begin(2, SIZE - 4 * UNIT, 8 * UNIT);
		seam.error[CALL_UNMAP] = ENOMEM;
		seam.pass[CALL_UNMAP] = pass;
		CHECK_HR(hm_lend(base + SIZE - 4 * UNIT, 8 * UNIT, &loan), E_OUTOFMEMORY);
		seam_count();
		CHECK(hm_spare_keep());
		check_none_lent(2);
		end(2);
	}
}

int main(void)
{
	TAP_RUN(what_arenas_have_of_a_range_is_lent_and_comes_back);
	TAP_RUN(a_range_of_which_something_is_taken_is_not_lent);
	TAP_RUN(of_eight_arenas_at_most);
	TAP_RUN(open_granules_are_lent_like_others_and_come_back_blank);
	TAP_RUN(what_is_lent_already_is_passed_over);
	TAP_RUN(what_a_stranger_has_taken_meanwhile_stays_lent);
	TAP_RUN(where_the_system_has_no_room_it_stays_lent);
	TAP_RUN(what_cannot_be_unmapped_is_not_lent_nor_what_is_beside_it);
	return tap_done();
}
