/*
 * The classifier: scripted histories, and the laws that every history keeps.
 */
#include "hostmem/pressure.h"
#include "fake.h"

#define LOW eMemoryAvailableLow
#define NEUTRAL eMemoryAvailableNeutral
#define HIGH eMemoryAvailableHigh
#define MIB ((size_t)1 << 20)
#define NEVER HM_PRESSURE_NEVER

static const struct hm_pressure_rules *const rules = &hm_pressure_defaults;

/* A system with nothing on its account. */
static struct hm_pressure_figures system_at(uint32_t load, size_t available)
{
	return (struct hm_pressure_figures){ .known = true,
					     .load = load,
					     .available = available,
					     .limit = SIZE_MAX,
					     .soft_limit = SIZE_MAX };
}

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

/* ---- Laws ---- */

enum { HISTORIES = 40000, STEPS = 40 };

struct history {
	uint64_t random, now;
	uint64_t low_since, short_at, not_plenty_at; /* the last time of each */
	uint64_t stalled_at;
	struct hm_pressure_figures figures;
	struct hm_pressure state;
};

static struct hm_pressure_figures draw_figures(uint64_t *random)
{
	static const uint32_t loads[] = { 0, 69, 70, 74, 75, 84, 85, 89, 90, 100 };
	static const size_t sizes[] = { 0, 64, 65, 191, 192, 100000 };
	static const size_t charges[] = { 0, 69, 70, 75, 84, 85, 89, 90, 100 };
	bool generous = random_below(random, 2) != 0;
	struct hm_pressure_figures figures =
		system_at(loads[random_below(random, ROWS(loads))],
			  generous ? SIZE_MAX
				   : sizes[random_below(random, ROWS(sizes))] * MIB);

	figures.known = random_below(random, 8) != 0;
	figures.stalled = random_below(random, 30) == 0;
	if (random_below(random, 3) == 0) {
		figures.charged = charges[random_below(random, ROWS(charges))];
		figures.limit = 100;
	}
	if (random_below(random, 10) == 0)
		figures.soft_limit = 80;
	return figures;
}

/* Said once more, in words of its own: what makes memory short, and what plenty. */
static bool must_be_low(const struct hm_pressure_figures *f)
{
	if (f->stalled || f->charged > f->soft_limit)
		return true;
	if (f->limit == 100 && f->charged >= 90)
		return true;
	return f->known && (f->load >= 90 || f->available <= 64 * MIB);
}

static bool may_be_plenty(const struct hm_pressure_figures *f, uint32_t load)
{
	return f->known && !must_be_low(f) && f->load < load &&
	       f->available >= 192 * MIB && (f->limit != 100 || f->charged < load);
}

static void check_step(struct history *h, const struct hm_pressure_figures *figures,
		       const struct hm_pressure *before)
{
	EMemoryAvailable from = before->level, to = h->state.level;

	CHECK(to >= LOW && to <= HIGH);
	CHECK_INT(to == LOW || !must_be_low(figures), true);
	if (to == LOW && from != LOW)
		CHECK(must_be_low(figures));
	/* Two seconds without a shortage, and four without a stall, end it. */
	if (from == LOW && to != LOW) {
		CHECK(h->now - h->short_at >= 2000);
		CHECK(h->now - h->low_since >= 2000);
		CHECK(h->stalled_at == NEVER || h->now - h->stalled_at >= 4000);
	}
	if (to == HIGH && from != HIGH)
		CHECK(h->now - h->not_plenty_at >= 5000);
	if (to == HIGH)
		CHECK(may_be_plenty(figures, 75));
	CHECK(h->state.due > h->now);
}

/* A step at the same time changes nothing, nor one with the same figures that is not due. */
static void check_rest(const struct history *h, struct hm_pressure_figures figures)
{
	struct hm_pressure state = h->state;

	figures.stalled = false;
	step(&state, &figures, h->now);
	CHECK_INT(state.level, h->state.level);
	step(&state, &figures, state.due == NEVER ? h->now + 1000000 : state.due - 1);
	CHECK_INT(state.level, h->state.level);
}

static void run_step(struct history *h)
{
	struct hm_pressure before = h->state;
	struct hm_pressure_figures figures;

	/* Most stay for a while, or there would never be plenty for long enough. */
	if (random_below(&h->random, 3) == 0)
		h->figures = draw_figures(&h->random);
	figures = h->figures;
	h->now += random_below(&h->random, 4) ? random_below(&h->random, 900)
					      : random_below(&h->random, 7000);
	step(&h->state, &figures, h->now);
	if (figures.stalled)
		h->stalled_at = h->now;
	if (must_be_low(&figures))
		h->short_at = h->now;
	if (!may_be_plenty(&figures, 70))
		h->not_plenty_at = h->now;
	check_step(h, &figures, &before);
	if (h->state.level == LOW && before.level != LOW)
		h->low_since = h->now;
	check_rest(h, figures);
}

static void every_history_keeps_the_laws(void)
{
	unsigned edges[HIGH + 1] = { 0 };

	for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
		struct history h = { .random = seed * UINT64_C(0x9E3779B97F4A7C15),
				     .stalled_at = NEVER,
				     .figures = system_at(50, SIZE_MAX),
				     .state = hm_pressure_start() };

		tap_row("history %" PRIu64, seed);
		h.now = random_below(&h.random, 100000);
		h.short_at = h.not_plenty_at = h.now;
		for (unsigned i = 0; i < STEPS; i++) {
			EMemoryAvailable before = h.state.level;

			run_step(&h);
			if (h.state.level != before)
				edges[h.state.level]++;
		}
	}
	tap_row("%s", "");
	/* The laws were put to the test. */
	for (int level = LOW; level <= HIGH; level++)
		CHECK(edges[level] > HISTORIES / 20);
}

/* The steps in between are of no account, as long as none that is due is left out. */
static void looking_more_often_changes_nothing(void)
{
	uint64_t random = 77;

	for (unsigned i = 0; i < HISTORIES / 4; i++) {
		struct hm_pressure seldom = hm_pressure_start(), often = seldom;
		uint64_t now = 0;

		tap_row("history %u", i);
		for (unsigned j = 0; j < 20; j++) {
			struct hm_pressure_figures figures = draw_figures(&random);
			uint64_t until = now + random_below(&random, 6000);

			step(&seldom, &figures, now);
			step(&often, &figures, now);
			/* A stall is one event, and what is looked at goes on. */
			figures.stalled = false;
			step(&seldom, &figures, now);
			step(&often, &figures, now);
			while (seldom.due <= until)
				step(&seldom, &figures, seldom.due);
			for (now += 1; now <= until; now += 500) {
				while (often.due <= now)
					step(&often, &figures, often.due);
				step(&often, &figures, now);
			}
			now = until;
			while (often.due <= now)
				step(&often, &figures, often.due);
			CHECK_INT(often.level, seldom.level);
		}
	}
	tap_row("%s", "");
}

int main(void)
{
	TAP_RUN(a_shortage_is_told_at_once_and_over_after_two_calm_seconds);
	TAP_RUN(plenty_takes_five_seconds_to_come_and_none_to_go);
	TAP_RUN(the_own_account_counts_beside_the_system);
	TAP_RUN(without_figures_of_the_system_only_the_account_is_judged);
	TAP_RUN(a_stall_is_a_shortage_for_four_seconds);
	TAP_RUN(nothing_is_due_at_the_end_of_time);
	TAP_RUN(every_history_keeps_the_laws);
	TAP_RUN(looking_more_often_changes_nothing);
	return tap_done();
}
