/*
 * What of the host's own account makes memory short, and what ends that: the figures that are
 * given out beforehand are those that the classifier goes by, to the byte.
 */
#include "pressure.h"

enum { DRAWN = 200000, SMALL_LIMIT = 1000 };

static uint32_t percent_below(uint64_t *state, uint32_t limit)
{
	return (uint32_t)random_below(state, limit + 1);
}

/* In the order in which they may be. */
static struct hm_pressure_rules draw_rules(uint64_t *state)
{
	struct hm_pressure_rules rules = hm_pressure_defaults;

	rules.low_load = percent_below(state, 100);
	rules.calm_load = percent_below(state, rules.low_load);
	rules.neutral_load = percent_below(state, rules.low_load);
	rules.high_load = percent_below(state, rules.calm_load < rules.neutral_load
						       ? rules.calm_load
						       : rules.neutral_load);
	return rules;
}

/* A system with all that one could wish, so that the account alone counts. */
static struct hm_pressure_figures account(size_t limit, size_t soft_limit, size_t charged)
{
	struct hm_pressure_figures figures = system_at(0, SIZE_MAX);

	figures.limit = limit;
	figures.soft_limit = soft_limit;
	figures.charged = charged;
	return figures;
}

static EMemoryAvailable level_after(const struct hm_pressure_rules *rules,
				    EMemoryAvailable level,
				    struct hm_pressure_figures figures, size_t charged)
{
	struct hm_pressure before = hm_pressure_start();

	before.level = level;
	figures.charged = charged;
	return hm_pressure_step(rules, &before, &figures, 1000).level;
}

/* The better level has the higher number. */
static void check_most(const struct hm_pressure_rules *rules, EMemoryAvailable level,
		       size_t limit, size_t soft_limit)
{
	const struct hm_pressure_figures figures = account(limit, soft_limit, 0);
	size_t most = hm_pressure_most_charged(rules, level, &figures);

	tap_row("limit %zu, soft %zu, level %d: low %u, neutral %u", limit, soft_limit,
		(int)level, rules->low_load, rules->neutral_load);
	/* There may be no charge that is small enough, not even none. */
	if (level_after(rules, level, figures, 0) < level) {
		CHECK_SIZE(most, 0);
		return;
	}
	CHECK(level_after(rules, level, figures, most) >= level);
	if (most != SIZE_MAX)
		CHECK(level_after(rules, level, figures, most + 1) < level);
}

static void check_most_at_each_level(const struct hm_pressure_rules *rules, size_t limit,
				     size_t soft_limit)
{
	check_most(rules, eMemoryAvailableNeutral, limit, soft_limit);
	check_most(rules, eMemoryAvailableHigh, limit, soft_limit);
}

static void one_byte_more_than_the_most_makes_a_level_worse(void)
{
	uint64_t state = 1;

	for (size_t limit = 0; limit <= SMALL_LIMIT; limit++) {
		check_most_at_each_level(&hm_pressure_defaults, limit, SIZE_MAX);
		check_most_at_each_level(&hm_pressure_defaults, SIZE_MAX, limit);
		for (unsigned i = 0; i < 20; i++) {
			struct hm_pressure_rules rules = draw_rules(&state);

			check_most_at_each_level(&rules, limit, SIZE_MAX);
			check_most_at_each_level(&rules, limit,
						 random_below(&state, limit + 2));
		}
	}
}

static void of_large_limits_as_well(void)
{
	uint64_t state = 2;

	for (unsigned i = 0; i < DRAWN && !tap_failed(); i++) {
		struct hm_pressure_rules rules = draw_rules(&state);
		size_t limit = (size_t)(random_next(&state) >> random_below(&state, 64));
		size_t soft = (size_t)(random_next(&state) >> random_below(&state, 64));

		check_most_at_each_level(&rules, limit, SIZE_MAX);
		check_most_at_each_level(&rules, limit, soft);
	}
}

static void low_does_not_become_worse(void)
{
	const struct hm_pressure_figures figures = account(100, 50, 70);

	CHECK_SIZE(hm_pressure_most_charged(&hm_pressure_defaults, eMemoryAvailableLow,
					    &figures),
		   SIZE_MAX);
}

/* ---- What ends a shortage ---- */

/* Whether a Low would end some time, if it stayed so. */
static bool is_calm(const struct hm_pressure_rules *rules,
		    const struct hm_pressure_figures *figures)
{
	struct hm_pressure before = hm_pressure_start();

	before.level = eMemoryAvailableLow;
	return hm_pressure_step(rules, &before, figures, 1000).calm_since != NEVER;
}

/* What the host gives back is available to the system, too. */
static struct hm_pressure_figures give_back(struct hm_pressure_figures figures,
					    size_t size)
{
	figures.charged -= size < figures.charged ? size : figures.charged;
	figures.available += size;
	return figures;
}

static void check_lacks(const struct hm_pressure_rules *rules,
			const struct hm_pressure_figures *figures)
{
	size_t lacks = hm_pressure_lacks(rules, figures);
	struct hm_pressure_figures after;

	tap_row("%zu of %zu (%zu) charged, %zu of %zu available; calm %u",
		figures->charged, figures->limit, figures->soft_limit, figures->available,
		figures->total, rules->calm_load);
	CHECK(lacks != 0);
	if (lacks == SIZE_MAX) {
		/* A limit of which not even nothing is little enough, or it is calm. */
		CHECK(is_calm(rules, figures) || figures->charged == 0);
		return;
	}
	CHECK(!is_calm(rules, figures));
	after = give_back(*figures, lacks - 1);
	CHECK(!is_calm(rules, &after));
	after = give_back(*figures, lacks);
	/* Else nothing that it gives back would do. */
	CHECK(is_calm(rules, &after) || after.charged == 0);
}

static void what_is_lacking_ends_a_shortage_and_a_byte_less_does_not(void)
{
	uint64_t state = 3;

	for (unsigned i = 0; i < DRAWN && !tap_failed(); i++) {
		struct hm_pressure_rules rules = draw_rules(&state);
		size_t limit = (size_t)(random_next(&state) >>
					(4 + random_below(&state, 60)));
		struct hm_pressure_figures figures = account(limit, SIZE_MAX, 0);

		figures.charged = random_below(&state, limit + 2);
		if (random_below(&state, 2) == 0)
			figures.soft_limit = random_below(&state, limit + 2);
		rules.enough = random_below(&state,
					    (size_t)1 << random_below(&state, 38));
		rules.scarce = random_below(&state, 4) == 0
				       ? rules.enough
				       : random_below(&state, rules.enough + 1);
		figures.total = (size_t)1 << random_below(&state, 40);
		figures.available = random_below(&state, figures.total + 1);
		check_lacks(&rules, &figures);
	}
}

/* ---- Few bytes ---- */

static void of_a_small_memory_few_bytes_are_an_eighth_and_a_quarter(void)
{
	static const struct {
		size_t total, scarce, enough;
	} rows[] = {
		{ 0, 64 * MIB, 192 * MIB },
		{ 1, 0, 0 },
		{ 7, 0, 1 },
		{ 8, 1, 2 },
		{ 256 * MIB, 32 * MIB, 64 * MIB },
		{ 512 * MIB - 8, 64 * MIB - 1, 128 * MIB - 2 },
		{ 512 * MIB, 64 * MIB, 128 * MIB },
		{ 768 * MIB, 64 * MIB, 192 * MIB },
		{ 1024 * MIB, 64 * MIB, 192 * MIB },
		{ SIZE_MAX, 64 * MIB, 192 * MIB },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%zu bytes", rows[i].total);
		CHECK_SIZE(hm_pressure_scarce(&hm_pressure_defaults, rows[i].total),
			   rows[i].scarce);
		CHECK_SIZE(hm_pressure_enough(&hm_pressure_defaults, rows[i].total),
			   rows[i].enough);
	}
}

static void a_per_cent_is_rounded_down_and_never_more_than_100(void)
{
	uint64_t state = 4;

	CHECK_U32(hm_per_cent(0, 0), 100);
	CHECK_U32(hm_per_cent(5, 0), 100);
	CHECK_U32(hm_per_cent(899, 1000), 89);
	CHECK_U32(hm_per_cent(UINT64_MAX, UINT64_MAX), 100);
	CHECK_U32(hm_per_cent(UINT64_MAX - 1, UINT64_MAX), 99);
	for (unsigned i = 0; i < DRAWN; i++) {
		uint64_t whole = random_next(&state) >> random_below(&state, 64);
		uint64_t part = random_next(&state) >> random_below(&state, 64);
		__extension__ typedef unsigned __int128 wide;
		wide exact = whole == 0 || part >= whole ? 100 : (wide)part * 100 / whole;

		tap_row("%" PRIu64 " of %" PRIu64, part, whole);
		CHECK_U32(hm_per_cent(part, whole), (uint32_t)exact);
	}
}

int main(void)
{
	TAP_RUN(one_byte_more_than_the_most_makes_a_level_worse);
	TAP_RUN(of_large_limits_as_well);
	TAP_RUN(low_does_not_become_worse);
	TAP_RUN(what_is_lacking_ends_a_shortage_and_a_byte_less_does_not);
	TAP_RUN(of_a_small_memory_few_bytes_are_an_eighth_and_a_quarter);
	TAP_RUN(a_per_cent_is_rounded_down_and_never_more_than_100);
	return tap_done();
}
