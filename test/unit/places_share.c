/*
 * Granules that several reservations are in, since parts of one were released: in every
 * order, of every size, and with parts that are held because the system would not take
 * them yet.
 *
 * The model: each page belongs to a reservation or to nobody, and a granule is free when
 * all of its pages are nobody's.
 */
#include "hostmem/places.h"
#include "arena.h"

#define PAGES_OF_UNIT ((unsigned)(UNIT / PAGE))
#define MOST_PAGES 64U
#define NOBODY 0

static struct {
	struct hm_arena *arena;
	uint32_t first;        /* the granule of page 0 */
	unsigned pages;        /* of the original reservation */
	int owner[MOST_PAGES]; /* a reservation each; NOBODY */
	int owners;
} model;

static uintptr_t address_of(unsigned page)
{
	return hm_arena_address(model.arena, model.first) + page * PAGE;
}

static void reserve(struct hm_arena *arena, uint32_t first, unsigned pages,
		    enum hm_granule_state state)
{
	uint32_t count = (pages + PAGES_OF_UNIT - 1) / PAGES_OF_UNIT;

	model.arena = arena;
	model.first = first;
	model.pages = pages;
	model.owners = 1;
	for (unsigned i = 0; i < MOST_PAGES; i++)
		model.owner[i] = i < pages ? 1 : NOBODY;
	(void)taken(arena, first, count);
	set_state(arena, first, count, state);
}

/* The reservation that a page belongs to. */
static unsigned start_of(unsigned page)
{
	unsigned start = page;

	while (start > 0 && model.owner[start - 1] == model.owner[page])
		start--;
	return start;
}

static unsigned end_of(unsigned page)
{
	unsigned end = page;

	while (end < MOST_PAGES && model.owner[end] == model.owner[page])
		end++;
	return end;
}

static bool is_free(uint32_t granule)
{
	struct hm_place place = place_in(model.arena, granule, 1);

	if (!hm_place_take_exactly(&place))
		return false;
	give(place);
	return true;
}

static unsigned reservations_in(unsigned granule)
{
	unsigned count = 0;
	int last = NOBODY;

	for (unsigned i = 0; i < PAGES_OF_UNIT; i++) {
		int owner = model.owner[granule * PAGES_OF_UNIT + i];

		count += owner != NOBODY && owner != last;
		last = owner;
	}
	return count;
}

static void check_granules(void)
{
	for (unsigned i = 0; i * PAGES_OF_UNIT < model.pages; i++) {
		uint32_t granule = model.first + i;
		unsigned count = reservations_in(i);

		CHECK_INT(is_free(granule), count == 0);
		CHECK_U32(model.arena->book.tenants[granule],
			  (uint8_t)(count > 1 ? count - 1 : 0));
		if (count > 1)
			CHECK(hm_granules_state(&model.arena->book.granules, granule) !=
			      HM_GRANULE_BLANK);
	}
	CHECK_STR(hm_extents_check(&model.arena->book.extents), NULL);
}

/* Whether a granule has pages of that reservation and of nobody else. */
static bool is_whole(unsigned granule, unsigned from, unsigned to, unsigned page)
{
	for (unsigned i = granule * PAGES_OF_UNIT; i < (granule + 1) * PAGES_OF_UNIT;
	     i++) {
		if (i >= from && i < to)
			continue;
		if (model.owner[i] != NOBODY)
			return false;
	}
	return model.owner[page] != NOBODY;
}

static void check_whole(unsigned from, unsigned to)
{
	unsigned start = start_of(from), end = end_of(from);
	unsigned low = from / PAGES_OF_UNIT, high = (to - 1) / PAGES_OF_UNIT + 1;
	struct hm_place whole = hm_place_whole(model.arena, address_of(from),
					       (to - from) * PAGE, address_of(start),
					       address_of(end));

	while (low < high && !is_whole(low, from, to, from))
		low++;
	while (low < high && !is_whole(high - 1, from, to, from))
		high--;
	CHECK_U32(whole.count, high - low);
	if (high != low)
		CHECK_U32(whole.first, model.first + low);
}

/* Takes [from, to) out of its reservation; what is left on either side are two. */
static void leave(unsigned from, unsigned to, bool held)
{
	unsigned start = start_of(from), end = end_of(from);
	struct hm_place excess = { .count = 1 };

	check_whole(from, to);
	model.owners += 2;
	for (unsigned i = to; i < end; i++)
		model.owner[i] = model.owners - 1;
	for (unsigned i = from; i < to; i++)
		model.owner[i] = held ? model.owners : NOBODY;
	hm_place_leave(model.arena, address_of(from), (to - from) * PAGE,
		       address_of(start), address_of(end), held, &excess);
	CHECK_U32(excess.count, 0);
	check_granules();
}

/* ---- Every order ---- */

#define MOST_PIECES 6U

static const unsigned *borders; /* of the pieces */
static unsigned pieces;
static enum hm_granule_state first_state;

/* Releases the pieces in that order; those in `held` are only given up at the end. */
static void release_in_order(const unsigned *order, unsigned held)
{
	struct hm_place all;

	reserve(model.arena, 5, borders[pieces], first_state);
	for (unsigned i = 0; i < pieces; i++)
		leave(borders[order[i]], borders[order[i] + 1], held >> order[i] & 1);
	for (unsigned i = 0; i < pieces; i++) {
		if (held >> order[i] & 1)
			leave(borders[order[i]], borders[order[i] + 1], false);
	}
	for (unsigned i = 0; i < MOST_PAGES; i++)
		CHECK_INT(model.owner[i], NOBODY);
	CHECK_U32(model.arena->room, SMALLEST_GRANULES - 1);
	/* Blank again for the next. */
	all = taken(model.arena, 5, MOST_PAGES / PAGES_OF_UNIT);
	hm_place_set(&all, HM_GRANULE_BLANK);
	give(all);
	CHECK_U32(model.arena->open_room, 0);
}

static void each_order(unsigned *order, unsigned done)
{
	if (done == pieces) {
		for (unsigned held = 0; held < 1U << pieces && !tap_failed(); held++) {
			tap_row("order %u %u %u %u.., held %#x", order[0], order[1],
				order[2], order[3], held);
			release_in_order(order, held);
		}
		return;
	}
	for (unsigned i = done; i < pieces; i++) {
		unsigned kept = order[done];

		order[done] = order[i];
		order[i] = kept;
		each_order(order, done + 1);
		order[i] = order[done];
		order[done] = kept;
	}
}

/* With something else in the arena, so that it stays; all granules blank in the end. */
static void begin(struct hm_arenas *set)
{
	arenas_begin();
	model.arena = small_arena(set, 0);
	(void)taken(model.arena, SMALLEST_GRANULES - 1, 1);
}

static void end(void)
{
	give(place_in(model.arena, SMALLEST_GRANULES - 1, 1));
	arenas_end();
}

static void run_orders(const unsigned *table, unsigned count)
{
	static const enum hm_granule_state states[] = { HM_GRANULE_BLANK, HM_GRANULE_OPEN,
							HM_GRANULE_ODD };
	unsigned order[MOST_PIECES] = { 0, 1, 2, 3, 4, 5 };

	begin(both_sets[0]);
	borders = table;
	pieces = count;
	for (size_t i = 0; i < ROWS(states); i++) {
		first_state = states[i];
		each_order(order, 0);
	}
	end();
}

static void parts_of_one_granule_leave_in_every_order(void)
{
	static const unsigned table[] = { 0, 1, 5, 11, 16 };

	run_orders(table, 4);
}

static void parts_of_several_granules_leave_in_every_order(void)
{
	static const unsigned table[] = { 0, 9, 16, 23, 40, 41 };

	run_orders(table, 5);
}

static void whole_granules_leave_beside_parts_of_others(void)
{
	static const unsigned table[] = { 0, 16, 20, 32, 48, 57 };

	run_orders(table, 5);
}

/* ---- Any pieces ---- */

/* Releases part of a random reservation, now and then only to be held. */
static void random_leave(uint64_t *random)
{
	unsigned page = (unsigned)random_below(random, model.pages);
	unsigned from, to;

	while (model.owner[page] == NOBODY)
		page = (page + 1) % model.pages;
	from = start_of(page);
	to = end_of(page);
	if (to - from > 1 && random_below(random, 4) != 0) {
		from += (unsigned)random_below(random, to - from);
		to = from + 1 + (unsigned)random_below(random, to - from);
	}
	leave(from, to, random_below(random, 5) == 0);
}

static bool is_anybody_left(void)
{
	for (unsigned i = 0; i < model.pages; i++) {
		if (model.owner[i] != NOBODY)
			return true;
	}
	return false;
}

static void random_parts_leave_until_nothing_is_left(void)
{
	uint64_t random = 0x9E3779B97F4A7C15;

	begin(both_sets[1]);
	for (unsigned round = 0; round < 2000 && !tap_failed(); round++) {
		struct hm_place all;

		tap_row("round %u", round);
		reserve(model.arena, 20, 1 + (unsigned)random_below(&random, MOST_PAGES),
			HM_GRANULE_BLANK);
		while (is_anybody_left() && !tap_failed())
			random_leave(&random);
		CHECK_U32(model.arena->room, SMALLEST_GRANULES - 1);
		all = taken(model.arena, 20, MOST_PAGES / PAGES_OF_UNIT);
		hm_place_set(&all, HM_GRANULE_BLANK);
		give(all);
	}
	end();
}

int main(void)
{
	TAP_RUN(parts_of_one_granule_leave_in_every_order);
	TAP_RUN(parts_of_several_granules_leave_in_every_order);
	TAP_RUN(whole_granules_leave_beside_parts_of_others);
	TAP_RUN(random_parts_leave_until_nothing_is_left);
	return tap_done();
}
