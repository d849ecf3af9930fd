/*
 * The free space of an arena under random operations, beside a flat array that says of
 * each granule whether it is free and of which kind.
 */
#include "hostmem/extents.h"
#include "fake.h"

#define TAKEN HM_EXTENT_KINDS
#define NONE UINT32_MAX

static struct hm_extents arena;
static struct {
	uint8_t kinds[HM_EXTENTS_MOST];
	uint32_t origin, count, free;
} model;

static void set(uint32_t first, uint32_t count, unsigned kind)
{
	for (uint32_t i = first; i < first + count; i++) {
		model.free -= model.kinds[i] != TAKEN;
		model.free += kind != TAKEN;
		model.kinds[i] = (uint8_t)kind;
	}
}

static bool is_run(uint32_t first, uint32_t count, unsigned kind)
{
	if (first > model.count || count > model.count - first)
		return false;
	for (uint32_t i = first; i < first + count; i++) {
		if (model.kinds[i] != kind)
			return false;
	}
	return true;
}

static bool aligned(uint32_t granule, uint32_t alignment)
{
	return (model.origin + granule) % alignment == 0;
}

static bool has_fit(unsigned kind, uint32_t count, uint32_t alignment)
{
	uint32_t run = 0;

	for (uint32_t i = model.count; i-- > 0;) {
		run = model.kinds[i] == kind ? run + 1 : 0;
		if (run >= count && aligned(i, alignment))
			return true;
	}
	return false;
}

static void take(unsigned kind, uint32_t count, uint32_t alignment)
{
	uint32_t first = NONE;
	bool fit = has_fit(kind, count, alignment);

	CHECK_INT(hm_extents_take(&arena, kind, count, alignment, &first), fit);
	if (!fit) {
		CHECK_U32(first, NONE);
		return;
	}
	if (CHECK(is_run(first, count, kind)) && CHECK(aligned(first, alignment)))
		set(first, count, TAKEN);
}

static void take_at(uint32_t first, uint32_t count)
{
	bool fit = count <= model.count - first;

	for (uint32_t i = first; fit && i < first + count; i++)
		fit = model.kinds[i] != TAKEN;
	CHECK_INT(hm_extents_take_at(&arena, first, count), fit);
	if (fit)
		set(first, count, TAKEN);
}

static void take_around(uint32_t place, unsigned kind, uint32_t limit)
{
	uint32_t low = place, high = place;

	while (low > limit && model.kinds[low - 1] == kind)
		low--;
	CHECK_U32(hm_extents_take_below(&arena, kind, place, limit), place - low);
	set(low, place - low, TAKEN);
	limit = place + (place - limit);
	while (high < model.count && high < limit && model.kinds[high] == kind)
		high++;
	CHECK_U32(hm_extents_take_above(&arena, kind, place, limit), high - place);
	set(place, high - place, TAKEN);
}

/* Gives what is taken around a granule, but no more than `most`. */
static void give(uint32_t place, uint32_t most, unsigned kind)
{
	struct hm_extent given = { place, 0, kind }, merged;
	uint32_t end;

	while (given.count < most && is_run(place + given.count, 1, TAKEN))
		given.count++;
	if (given.count == 0)
		return;
	end = place + given.count;
	hm_extents_give(&arena, &given, &merged);
	set(place, given.count, kind);
	CHECK_INT(merged.kind, kind);
	CHECK(merged.first <= place && merged.first + merged.count >= end);
	CHECK(is_run(merged.first, merged.count, kind));
	CHECK(merged.first == 0 || model.kinds[merged.first - 1] != kind);
	CHECK(!is_run(merged.first + merged.count, 1, kind));
}

static void check_next(uint32_t from)
{
	struct hm_extent extent = { NONE, 0, HM_EXTENT_BLANK };
	uint32_t first = from;

	while (first < model.count &&
	       (model.kinds[first] == TAKEN ||
		(first != 0 && model.kinds[first - 1] == model.kinds[first])))
		first++;
	CHECK_INT(hm_extents_next(&arena, from, &extent), first < model.count);
	if (first >= model.count) {
		CHECK_U32(extent.first, NONE);
		return;
	}
	CHECK_U32(extent.first, first);
	CHECK_INT(extent.kind, model.kinds[first]);
	CHECK(is_run(first, extent.count, model.kinds[first]));
	CHECK(!is_run(first + extent.count, 1, model.kinds[first]));
}

/* Many small ones, some up to `most`. */
static uint32_t random_count(uint64_t *state, uint32_t most)
{
	static const uint32_t limits[] = { 1, 4, 4, 16, 20, 80, 400, 70000 };
	uint32_t limit = limits[random_below(state, ROWS(limits))];

	return 1 + (uint32_t)random_below(state, limit < most ? limit : most);
}

static void random_step(uint64_t *state)
{
	uint32_t place = (uint32_t)random_below(state, model.count);
	uint32_t count = random_count(state, model.count);
	unsigned kind = (unsigned)random_below(state, HM_EXTENT_KINDS);

	switch (random_below(state, 16)) {
	case 0:
		take_at(place, count);
		break;
	case 1:
		take_around(place, kind, (uint32_t)random_below(state, place + 1));
		break;
	case 2:
	case 3:
		take(kind, count, 1U << random_below(state, 12));
		break;
	case 4:
	case 5:
	case 6:
	case 7:
		take(kind, count, 1);
		break;
	case 8:
		check_next(place);
		break;
	default:
		give(place, count, kind);
	}
	CHECK_U32(hm_extents_free(&arena), model.free);
}

static void run(uint32_t origin, uint32_t count, unsigned steps, uint64_t seed)
{
	uint64_t state = seed;

	printf("# %u granules, origin %#x, seed %#" PRIx64 "\n", count, origin, seed);
	memset(&arena, 0, sizeof(arena));
	memset(model.kinds, 0, sizeof(model.kinds));
	model.origin = origin;
	model.count = model.free = count;
	hm_extents_init(&arena, origin, count);
	for (unsigned step = 0; step < steps && !tap_failed(); step++) {
		tap_row("%u granules, step %u", count, step);
		random_step(&state);
		if (step % 256 == 0)
			CHECK_STR(hm_extents_check(&arena), NULL);
	}
	CHECK_STR(hm_extents_check(&arena), NULL);
	for (uint32_t i = 0; i < count && !tap_failed(); i++)
		check_next(i);
}

static void every_answer_agrees_with_an_array(void)
{
	static const struct {
		uint32_t origin, count;
		unsigned steps;
	} rows[] = {
		{ 0, 1, 1000 },
		{ 3, 2, 5000 },
		{ 0, 7, 20000 },
		{ 5, 64, 100000 },
		{ 0, 65, 100000 },
		{ 0xFFFFFFF1, 300, 200000 },
		{ 0x80000000, 1000, 200000 },
		{ 77, 4097, 100000 },
		{ 0, 30000, 20000 },
		{ 1, HM_EXTENTS_MOST, 20000 },
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		run(rows[i].origin, rows[i].count, rows[i].steps, 0x9E3779B97F4A7C15 + i);
}

int main(void)
{
	TAP_RUN(every_answer_agrees_with_an_array);
	return tap_done();
}
