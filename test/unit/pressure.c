/*
 * The classifier: scripted histories, step by step.  What every history keeps to is in
 * pressure_random.c, what noise comes to in pressure_noise.c.
 */
#include "pressure.h"

static const struct hm_pressure_rules *const rules = &hm_pressure_defaults;

static void step(struct hm_pressure *state, const struct hm_pressure_figures *figures,
		 uint64_t now)
{
	*state = hm_pressure_step(rules, state, figures, now);
}

struct row {
	uint64_t now;
	uint32_t load;
	size_t mib; /* available */
	EMemoryAvailable level;
	uint64_t due;
};

static void play(const char *name, const struct row *rows, size_t count)
{
	struct hm_pressure state = hm_pressure_start();

	for (size_t i = 0; i < count; i++) {
		struct hm_pressure_figures figures = system_at(rows[i].load,
							       rows[i].mib * MIB);

		tap_row("%s, row %zu", name, i);
		step(&state, &figures, rows[i].now);
		CHECK_INT(state.level, rows[i].level);
		CHECK_SIZE(state.due, rows[i].due);
	}
	tap_row("%s", "");
}

#define PLAY(rows) play(#rows, (rows), ROWS(rows))

static void a_shortage_is_told_at_once_and_over_after_two_calm_seconds(void)
{
	static const struct row by_load[] = {
		{ 10, 89, 1000, NEUTRAL, NEVER },   { 10, 90, 1000, LOW, NEVER },
		{ 20, 85, 1000, LOW, NEVER },       { 30, 84, 1000, LOW, 2030 },
		{ 2029, 84, 1000, LOW, 2030 },      { 2030, 84, 1000, NEUTRAL, NEVER },
		{ 2030, 84, 1000, NEUTRAL, NEVER },
	};
	static const struct row by_available[] = {
		{ 0, 0, 65, NEUTRAL, NEVER },      { 0, 0, 64, LOW, NEVER },
		{ 0, 0, 191, LOW, NEVER },         { 5, 80, 192, LOW, 2005 },
		{ 2005, 80, 192, NEUTRAL, NEVER },
	};
	static const struct row interrupted[] = {
		{ 0, 95, 1000, LOW, NEVER },        { 100, 80, 1000, LOW, 2100 },
		{ 2099, 85, 1000, LOW, NEVER },     { 2100, 80, 1000, LOW, 4100 },
		{ 4099, 99, 1000, LOW, NEVER },     { 4100, 80, 1000, LOW, 6100 },
		{ 9999, 80, 1000, NEUTRAL, NEVER },
	};

	PLAY(by_load);
	PLAY(by_available);
	PLAY(interrupted);
}

static void plenty_takes_five_seconds_to_come_and_none_to_go(void)
{
	static const struct row comes[] = {
		{ 100, 70, 1000, NEUTRAL, NEVER }, { 100, 69, 1000, NEUTRAL, 5100 },
		{ 5099, 69, 1000, NEUTRAL, 5100 }, { 5100, 69, 1000, HIGH, NEVER },
		{ 5200, 74, 1000, HIGH, NEVER },   { 5300, 75, 1000, NEUTRAL, NEVER },
		{ 5300, 0, 1000, NEUTRAL, 10300 }, { 5301, 72, 1000, NEUTRAL, NEVER },
		{ 5302, 0, 1000, NEUTRAL, 10302 }, { 99999, 0, 1000, HIGH, NEVER },
	};
	static const struct row goes[] = {
		{ 0, 0, 1000, NEUTRAL, 5000 },    { 5000, 0, 1000, HIGH, NEVER },
		{ 5001, 0, 191, NEUTRAL, NEVER }, { 5002, 0, 192, NEUTRAL, 10002 },
		{ 10002, 0, 192, HIGH, NEVER },   { 10002, 97, 192, LOW, NEVER },
	};
	static const struct row after_a_shortage[] = {
		{ 0, 95, 1000, LOW, NEVER },
		{ 0, 10, 1000, LOW, 2000 },
		{ 2000, 10, 1000, NEUTRAL, 5000 },
		{ 5000, 10, 1000, HIGH, NEVER },
	};
	static const struct row at_one_step[] = {
		{ 0, 95, 1000, LOW, NEVER },
		{ 0, 10, 1000, LOW, 2000 },
		{ 5000, 10, 1000, HIGH, NEVER },
	};

	PLAY(comes);
	PLAY(goes);
	PLAY(after_a_shortage);
	PLAY(at_one_step);
}

static void the_own_account_counts_beside_the_system(void)
{
	static const struct {
		uint32_t load;
		size_t charged, limit, soft_limit;
		EMemoryAvailable first, later; /* at once, and after a long time */
	} rows[] = {
		{ 50, 899, 1000, SIZE_MAX, NEUTRAL, NEUTRAL },
		{ 50, 900, 1000, SIZE_MAX, LOW, LOW },
		{ 50, 699, 1000, SIZE_MAX, NEUTRAL, HIGH },
		{ 50, 700, 1000, SIZE_MAX, NEUTRAL, NEUTRAL },
		{ 80, 1, 1000, SIZE_MAX, NEUTRAL, NEUTRAL },
		{ 50, 500, 1000, 500, NEUTRAL, HIGH },
		{ 50, 501, 1000, 500, LOW, LOW },
		{ 50, 0, 0, SIZE_MAX, LOW, LOW },
		{ 50, SIZE_MAX / 2, SIZE_MAX - 1, SIZE_MAX, NEUTRAL, HIGH },
		{ 50, SIZE_MAX - 1, SIZE_MAX - 1, SIZE_MAX, LOW, LOW },
		{ 50, SIZE_MAX - 1, SIZE_MAX, SIZE_MAX, NEUTRAL, HIGH },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_pressure state = hm_pressure_start();
		struct hm_pressure_figures figures = system_at(rows[i].load, SIZE_MAX);

		figures.charged = rows[i].charged;
		figures.limit = rows[i].limit;
		figures.soft_limit = rows[i].soft_limit;
		tap_row("row %zu", i);
		step(&state, &figures, 0);
		CHECK_INT(state.level, rows[i].first);
		step(&state, &figures, 60000);
		CHECK_INT(state.level, rows[i].later);
	}
}

/* What is not known is neither short nor plenty. */
static void without_figures_of_the_system_only_the_account_is_judged(void)
{
	struct hm_pressure state = hm_pressure_start();
	struct hm_pressure_figures nothing = { .limit = SIZE_MAX,
					       .soft_limit = SIZE_MAX };
	struct hm_pressure_figures full = { .charged = 100,
					    .limit = 100,
					    .soft_limit = SIZE_MAX };
	struct hm_pressure_figures plenty = system_at(0, SIZE_MAX);

	step(&state, &nothing, 0);
	step(&state, &nothing, 60000);
	CHECK_INT(state.level, NEUTRAL);
	CHECK_SIZE(state.due, NEVER);
	step(&state, &full, 60000);
	CHECK_INT(state.level, LOW);
	step(&state, &nothing, 60000);
	CHECK_SIZE(state.due, 62000);
	step(&state, &nothing, 62000);
	CHECK_INT(state.level, NEUTRAL);
	step(&state, &plenty, 70000);
	step(&state, &plenty, 75000);
	CHECK_INT(state.level, HIGH);
	step(&state, &nothing, 75000);
	CHECK_INT(state.level, NEUTRAL);
}

static void a_stall_is_a_shortage_for_four_seconds(void)
{
	struct hm_pressure state = hm_pressure_start();
	struct hm_pressure_figures calm = system_at(10, SIZE_MAX), stalled = calm;

	stalled.stalled = true;
	step(&state, &calm, 0);
	step(&state, &stalled, 1000);
	CHECK_INT(state.level, LOW);
	CHECK_SIZE(state.due, 5000);
	step(&state, &calm, 1001);
	CHECK_SIZE(state.due, 3001);
	step(&state, &calm, 3001);
	CHECK_INT(state.level, LOW);
	CHECK_SIZE(state.due, 5000);
	step(&state, &calm, 5000);
	CHECK_INT(state.level, NEUTRAL);
	CHECK_SIZE(state.due, 6001);
	step(&state, &calm, 6001);
	CHECK_INT(state.level, HIGH);
}

static void nothing_is_due_at_the_end_of_time(void)
{
	struct hm_pressure state = hm_pressure_start();
	struct hm_pressure_figures low = system_at(95, SIZE_MAX);
	struct hm_pressure_figures calm = system_at(10, SIZE_MAX);

	step(&state, &low, NEVER - 1);
	step(&state, &calm, NEVER - 1);
	CHECK_INT(state.level, LOW);
	CHECK_SIZE(state.due, NEVER);
	step(&state, &calm, NEVER);
	CHECK_INT(state.level, LOW);
	CHECK_SIZE(state.due, NEVER);
}

int main(void)
{
	TAP_RUN(a_shortage_is_told_at_once_and_over_after_two_calm_seconds);
	TAP_RUN(plenty_takes_five_seconds_to_come_and_none_to_go);
	TAP_RUN(the_own_account_counts_beside_the_system);
	TAP_RUN(without_figures_of_the_system_only_the_account_is_judged);
	TAP_RUN(a_stall_is_a_shortage_for_four_seconds);
	TAP_RUN(nothing_is_due_at_the_end_of_time);
	return tap_done();
}
