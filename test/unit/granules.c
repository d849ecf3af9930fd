/*
 * The states of granules, beside a flat array of them.
 */
#include "hostmem/granules.h"
#include "fake.h"

#include <pthread.h>

#define MOST HM_EXTENTS_MOST

static struct hm_granules granules;
static uint8_t model[MOST];

static void reset(void)
{
	memset(&granules, 0, sizeof(granules));
	memset(model, 0, sizeof(model));
}

static void set(uint32_t first, uint32_t count, enum hm_granule_state state)
{
	hm_granules_set(&granules, first, count, state);
	memset(model + first, (int)state, count);
}

static unsigned seen_in_model(uint32_t first, uint32_t count)
{
	static const unsigned seen[] = {
		[HM_GRANULE_BLANK] = HM_SOME_BLANK,
		[HM_GRANULE_OPEN] = HM_SOME_OPEN,
		[HM_GRANULE_LENT] = HM_SOME_BLANK | HM_SOME_ODD,
		[HM_GRANULE_ODD] = HM_SOME_OPEN | HM_SOME_ODD,
	};
	unsigned all = 0;

	for (uint32_t i = first; i < first + count; i++)
		all |= seen[model[i]];
	return all;
}

static void check_look(uint32_t first, uint32_t count)
{
	unsigned want = seen_in_model(first, count);

	CHECK_U32(hm_granules_look(&granules, first, count), want);
	CHECK_U32(hm_granules_seen(&granules, first, count), want);
}

static void check_run(uint32_t first, uint32_t limit)
{
	enum hm_granule_state state = HM_GRANULE_ODD;
	uint32_t run = 1;

	while (run < limit && model[first + run] == model[first])
		run++;
	CHECK_U32(hm_granules_run(&granules, first, limit, &state), run);
	CHECK_INT(state, model[first]);
}

static void check_all(void)
{
	for (uint32_t i = 0; i < MOST; i++) {
		if (!CHECK_INT(hm_granules_state(&granules, i), model[i]))
			return;
	}
	for (uint32_t word = 0; word < HM_GRANULE_WORDS; word++) {
		if (!(granules.touched[word / 64] >> (word % 64) & 1))
			CHECK(granules.open[word] == 0 && granules.odd[word] == 0);
	}
}

static bool is_untouched(void)
{
	for (size_t i = 0; i < ROWS(granules.touched); i++) {
		if (granules.touched[i] != 0)
			return false;
	}
	return true;
}

/* Over the borders of words, and of the words that tell which words are blank. */
static const struct range {
	uint32_t first, count;
} ranges[] = {
	{ 0, 1 },          { 63, 1 },       { 64, 1 },       { 63, 2 },
	{ 0, 64 },         { 64, 64 },      { 1, 64 },       { 0, 65 },
	{ 63, 66 },        { 100, 500 },    { 4095, 1 },     { 4095, 2 },
	{ 4032, 128 },     { 4000, 8300 },  { 0, MOST },     { MOST - 1, 1 },
	{ MOST - 64, 64 }, { 1, MOST - 1 }, { 0, MOST - 1 },
};

static void zeroed_granules_are_blank(void)
{
	reset();
	check_all();
	for (size_t i = 0; i < ROWS(ranges); i++) {
		check_look(ranges[i].first, ranges[i].count);
		check_run(ranges[i].first, ranges[i].count);
	}
}

static void a_state_is_set_where_it_is_wanted_and_nowhere_else(void)
{
	for (unsigned was = HM_GRANULE_BLANK; was <= HM_GRANULE_ODD; was++) {
		for (unsigned i = 0; i < 4 * ROWS(ranges); i++) {
			const struct range *range = &ranges[i / 4];

			tap_row("%u granules from %u, %u instead of %u", range->count,
				range->first, i % 4, was);
			reset();
			set(0, MOST, (enum hm_granule_state)was);
			set(range->first, range->count, (enum hm_granule_state)(i % 4));
			check_all();
			check_run(0, MOST);
			check_run(range->first, MOST - range->first);
			check_look(0, MOST);
			check_look(range->first, range->count);
		}
	}
}

static void a_run_ends_at_the_limit_and_at_the_next_state(void)
{
	static const uint32_t limits[] = { 1, 2, 63, 64, 65, 128, 4096, 5000 };

	for (size_t i = 0; i < ROWS(ranges); i++) {
		reset();
		set(ranges[i].first, ranges[i].count, HM_GRANULE_ODD);
		for (size_t j = 0; j < ROWS(limits); j++) {
			uint32_t room = MOST - ranges[i].first;
			uint32_t limit = limits[j] < room ? limits[j] : room;

			tap_row("%u from %u, at most %u", ranges[i].count,
				ranges[i].first, limit);
			check_run(ranges[i].first, limit);
			check_look(ranges[i].first, limit);
			check_run(0, limits[j]);
			check_look(0, limits[j]);
		}
	}
}

static void granules_that_are_all_blank_again_cost_no_look(void)
{
	reset();
	set(10, 300, HM_GRANULE_OPEN);
	set(4000, 200, HM_GRANULE_LENT);
	CHECK(!is_untouched());
	set(0, 4224, HM_GRANULE_BLANK);
	CHECK(is_untouched());
	check_all();
}

static enum hm_granule_state random_state(uint64_t *random)
{
	static const enum hm_granule_state states[] = {
		HM_GRANULE_BLANK, HM_GRANULE_BLANK, HM_GRANULE_BLANK, HM_GRANULE_BLANK,
		HM_GRANULE_OPEN,  HM_GRANULE_OPEN,  HM_GRANULE_ODD,   HM_GRANULE_LENT,
	};

	return states[random_below(random, ROWS(states))];
}

static struct range random_range(uint64_t *random)
{
	static const uint32_t limits[] = { 1, 4, 64, 130, 1000, 10000, MOST };
	uint32_t first = (uint32_t)random_below(random, MOST);
	uint32_t limit = limits[random_below(random, ROWS(limits))];

	if (random_below(random, 3) == 0)
		first &= ~63U;
	limit = limit < MOST - first ? limit : MOST - first;
	return (struct range){ first, 1 + (uint32_t)random_below(random, limit) };
}

static void every_answer_agrees_with_an_array(void)
{
	uint64_t random = 0x9E3779B97F4A7C15;

	reset();
	for (unsigned step = 0; step < 20000 && !tap_failed(); step++) {
		struct range range = random_range(&random);

		tap_row("step %u", step);
		if (step % 4 == 0)
			set(range.first, range.count, random_state(&random));
		check_look(range.first, range.count);
		check_run(range.first, range.count);
		range = random_range(&random);
		check_look(range.first, range.count);
		check_run(range.first, range.count);
		if (step % 256 == 0)
			check_all();
	}
	check_all();
}

static uint32_t apart_in_model(uint32_t first, uint32_t count)
{
	uint32_t apart = 0;

	for (uint32_t i = first; i < first + count; i++)
		apart += model[i];
	return apart;
}

/* Here the array says of each whether it is set apart. */
static void granules_are_set_apart_and_counted_whatever_their_state(void)
{
	uint64_t random = 0x2545F4914F6CDD1D;

	reset();
	hm_granules_set(&granules, 0, MOST / 2, HM_GRANULE_ODD);
	for (unsigned step = 0; step < 5000 && !tap_failed(); step++) {
		struct range range = random_range(&random);
		bool apart = random_below(&random, 2) != 0;
		uint32_t had = apart_in_model(range.first, range.count);

		tap_row("step %u", step);
		CHECK_INT(hm_granules_any_apart(&granules, range.first, range.count),
			  had != 0);
		if (step % 2 == 0)
			continue;
		CHECK_U32(hm_granules_set_apart(&granules, range.first, range.count,
						apart),
			  apart ? range.count - had : had);
		memset(model + range.first, apart, range.count);
	}
	for (uint32_t i = 0; i < MOST; i++) {
		if (!CHECK_INT(hm_granules_any_apart(&granules, i, 1), model[i]))
			break;
	}
	memset(model, HM_GRANULE_ODD, MOST / 2);
	memset(model + MOST / 2, HM_GRANULE_BLANK, MOST / 2);
	check_all();
}

/* ---- Owners of neighbours ---- */

#define ROUNDS 200000U

static pthread_barrier_t all_there;

struct owner {
	pthread_t thread;
	uint32_t first, stride, count; /* its granules: each `stride`, `count` at once */
	unsigned wrong;
};

static void check_own(struct owner *owner, uint32_t at, enum hm_granule_state want)
{
	enum hm_granule_state got;

	owner->wrong += hm_granules_run(&granules, at, owner->count, &got) !=
			owner->count;
	owner->wrong += got != want;
}

static void *change_own(void *state)
{
	enum hm_granule_state own[8] = { HM_GRANULE_BLANK };
	struct owner *owner = state;
	uint64_t random = owner->first + 1;

	(void)pthread_barrier_wait(&all_there);
	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t which = random_below(&random, ROWS(own));
		uint32_t at = owner->first + owner->stride * (uint32_t)which;

		check_own(owner, at, own[which]);
		own[which] = random_state(&random);
		hm_granules_set(&granules, at, owner->count, own[which]);
		check_own(owner, at, own[which]);
	}
	return NULL;
}

/* Single granules of one word, and whole words that share a word of `touched`. */
static void owners_of_neighbours_do_not_disturb_each_other(void)
{
	struct owner owners[] = {
		{ .first = 0, .stride = 2, .count = 1 },
		{ .first = 1, .stride = 2, .count = 1 },
		{ .first = 128, .stride = 128, .count = 64 },
		{ .first = 192, .stride = 128, .count = 64 },
	};

	reset();
	CHECK_INT(pthread_barrier_init(&all_there, NULL, 2), 0);
	for (struct owner *pair = owners; pair < owners + ROWS(owners); pair += 2) {
		for (size_t i = 0; i < 2; i++)
			CHECK_INT(pthread_create(&pair[i].thread, NULL, change_own,
						 &pair[i]),
				  0);
		for (size_t i = 0; i < 2; i++) {
			CHECK_INT(pthread_join(pair[i].thread, NULL), 0);
			CHECK_U32(pair[i].wrong, 0);
		}
	}
	CHECK_INT(pthread_barrier_destroy(&all_there), 0);
}

int main(void)
{
	TAP_RUN(zeroed_granules_are_blank);
	TAP_RUN(a_state_is_set_where_it_is_wanted_and_nowhere_else);
	TAP_RUN(a_run_ends_at_the_limit_and_at_the_next_state);
	TAP_RUN(granules_that_are_all_blank_again_cost_no_look);
	TAP_RUN(every_answer_agrees_with_an_array);
	TAP_RUN(granules_are_set_apart_and_counted_whatever_their_state);
	TAP_RUN(owners_of_neighbours_do_not_disturb_each_other);
	return tap_done();
}
