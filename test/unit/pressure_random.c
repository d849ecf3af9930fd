/*
 * The classifier at random: the laws that every history keeps, with the default rules and
 * with any others that may be set, see pressure.h.
 *
 * Figures are drawn next to where the rules change their mind, and so are moments: at the
 * one that is due, or one millisecond before it.
 */
#include "pressure.h"

enum { HISTORIES = 100000, STEPS = 40 };

struct history {
	struct hm_pressure_rules rules;
	uint64_t random, now;
	struct observer observer;
	struct hm_pressure_figures figures;
	struct hm_pressure state;
};

/* ---- What is drawn ---- */

static uint32_t draw_up_to(uint64_t *random, uint32_t most)
{
	return (uint32_t)random_below(random, (size_t)most + 1);
}

static uint32_t draw_ms(uint64_t *random)
{
	switch (random_below(random, 8)) {
	case 0:
		return 0;
	case 1:
		return 1;
	default:
		return draw_up_to(random, 10000);
	}
}

/* Whatever may be set: a state is not left before it is entered, and that is all. */
static struct hm_pressure_rules draw_rules(uint64_t *random)
{
	struct hm_pressure_rules rules;

	rules.low_load = draw_up_to(random, 100);
	rules.calm_load = draw_up_to(random, rules.low_load);
	rules.neutral_load = draw_up_to(random, rules.low_load);
	rules.high_load = draw_up_to(random, rules.neutral_load);
	rules.scarce = draw_up_to(random, 200) * MIB;
	rules.enough = rules.scarce +
		       draw_up_to(random, 2) * draw_up_to(random, 200) * MIB;
	rules.calm_ms = draw_ms(random);
	rules.plenty_ms = draw_ms(random);
	rules.stall_ms = draw_ms(random);
	return rules;
}

/* Where the rules change their mind, or just below; plenty needs two chances. */
static uint32_t draw_load(uint64_t *random, const struct hm_pressure_rules *rules)
{
	const uint32_t loads[] = { rules->low_load,     rules->calm_load,
				   rules->neutral_load, rules->high_load,
				   rules->high_load,    100 };
	uint32_t load = loads[random_below(random, ROWS(loads))];

	return load - (load != 0 ? draw_up_to(random, 1) : 0);
}

static size_t draw_available(uint64_t *random, const struct hm_pressure_rules *rules)
{
	const size_t sizes[] = { 0,
				 rules->scarce,
				 rules->scarce + 1,
				 rules->enough - (rules->enough != 0),
				 rules->enough,
				 rules->enough + 1 };

	if (random_below(random, 2) != 0)
		return SIZE_MAX;
	return sizes[random_below(random, ROWS(sizes))];
}

static struct hm_pressure_figures draw_figures(uint64_t *random,
					       const struct hm_pressure_rules *rules)
{
	struct hm_pressure_figures figures = system_at(draw_load(random, rules),
						       draw_available(random, rules));

	figures.known = random_below(random, 8) != 0;
	figures.stalled = random_below(random, 30) == 0;
	if (random_below(random, 3) == 0) {
		figures.charged = draw_load(random, rules);
		figures.limit = 100;
	}
	/* Reached, which is nothing yet, or crossed. */
	if (random_below(random, 10) == 0)
		figures.soft_limit = figures.charged -
				     (figures.charged != 0 ? draw_up_to(random, 1) : 0);
	return figures;
}

/* When it is looked at next: soon, and often just when, or just before, it counts. */
static uint64_t draw_moment(struct history *h)
{
	uint64_t left = h->state.due > h->now ? h->state.due - h->now : NEVER;

	switch (random_below(&h->random, left < 20000 ? 6 : 4)) {
	case 0:
		return h->now + random_below(&h->random, 7000);
	case 1:
	case 2:
		return h->now + random_below(&h->random, 900);
	case 3:
		return h->now + random_below(&h->random, 2);
	case 4:
		return h->state.due - 1;
	default:
		return h->state.due;
	}
}

/* ---- The laws ---- */

static bool is_same(const struct hm_pressure *a, const struct hm_pressure *b)
{
	return a->level == b->level && a->calm_since == b->calm_since &&
	       a->plenty_since == b->plenty_since && a->stall_until == b->stall_until &&
	       a->due == b->due;
}

static struct hm_pressure look_again(const struct history *h,
				     const struct hm_pressure *before, uint64_t now)
{
	return hm_pressure_step(&h->rules, before, &h->figures, now);
}

/* With the same figures nothing happens before it is due, whether one looks or not. */
static void check_not_late(struct history *h)
{
	uint64_t until = h->state.due == NEVER ? h->now + 1000000 : h->state.due - 1;
	uint64_t between = h->now + random_below(&h->random, until - h->now + 1);
	struct hm_pressure state = look_again(h, &h->state, h->now);

	CHECK(is_same(&state, &h->state));
	state = look_again(h, &h->state, between);
	CHECK_INT(state.level, h->state.level);
	CHECK_SIZE(state.due, h->state.due);
	state = look_again(h, &state, until);
	CHECK_INT(state.level, h->state.level);
	CHECK_SIZE(state.due, h->state.due);
}

/* Who looks whenever it is due has soon seen all that will ever happen. */
static void check_comes_to_rest(const struct history *h)
{
	struct hm_pressure state = h->state, last = look_again(h, &state, NEVER - 1);
	unsigned looks = 0;

	while (state.due != NEVER && looks < 4) {
		looks++;
		state = look_again(h, &state, state.due);
	}
	/* The end of a stall, that of a Low, and the beginning of plenty. */
	CHECK(looks <= 3);
	CHECK_INT(state.level, last.level);
}

static void look(struct history *h)
{
	h->state = hm_pressure_step(&h->rules, &h->state, &h->figures, h->now);
	observe(&h->observer, &h->figures, &h->state, h->now);
}

static void run_step(struct history *h)
{
	/* Most stay for a while, or there would never be plenty for long enough. */
	if (random_below(&h->random, 3) == 0)
		h->figures = draw_figures(&h->random, &h->rules);
	h->now = draw_moment(h);
	look(h);
	if (h->figures.stalled) {
		/* A stall is one event, and what is looked at goes on. */
		h->figures.stalled = false;
		look(h);
	}
	/* Else the observer has said so. */
	if (h->state.due > h->now) {
		check_not_late(h);
		check_comes_to_rest(h);
	}
}

/* Adds how often each level was told. */
static void run_history(uint64_t seed, bool any_rules, unsigned *edges)
{
	struct history h = { .rules = hm_pressure_defaults,
			     .random = seed * UINT64_C(0x9E3779B97F4A7C15),
			     .figures = system_at(50, SIZE_MAX),
			     .state = hm_pressure_start() };

	tap_row("history %" PRIu64, seed);
	h.observer = observer_of(promised_rules());
	if (any_rules) {
		h.rules = draw_rules(&h.random);
		h.observer = observer_of(&h.rules);
	}
	h.now = random_below(&h.random, 100000);
	for (unsigned i = 0; i < STEPS; i++)
		run_step(&h);
	for (int level = LOW; level <= HIGH; level++)
		edges[level] += h.observer.edges[level];
}

static void run_histories(uint64_t first, unsigned count, bool any_rules)
{
	unsigned edges[HIGH + 1] = { 0 };

	for (uint64_t seed = first; seed < first + count; seed++)
		run_history(seed, any_rules, edges);
	tap_row("%s", "");
	/* The laws were put to the test. */
	for (int level = LOW; level <= HIGH; level++)
		CHECK(edges[level] > count / 10);
}

static void every_history_keeps_the_laws(void)
{
	run_histories(1, HISTORIES, false);
}

static void with_whatever_rules_every_history_keeps_the_laws(void)
{
	run_histories(1 + HISTORIES, HISTORIES, true);
}

/* ---- Looking ---- */

static void look_when_due(const struct history *h, struct hm_pressure *state,
			  uint64_t until)
{
	while (state->due <= until) {
		uint64_t now = state->due;

		*state = look_again(h, state, now);
		if (!CHECK(state->due > now))
			return;
	}
}

/* The same figures until then: one looks when it has to, the other ever so often. */
static void look_until(struct history *h, struct hm_pressure *often, uint64_t until)
{
	look_when_due(h, &h->state, until);
	while (h->now < until) {
		h->now += 1 + random_below(&h->random, 900);
		if (h->now > until)
			h->now = until;
		look_when_due(h, often, h->now);
		*often = look_again(h, often, h->now);
	}
}

/* The steps in between are of no account, as long as none that is due is left out. */
static void looking_more_often_changes_nothing(void)
{
	for (uint64_t seed = 1; seed <= HISTORIES / 4; seed++) {
		struct history h = { .rules = hm_pressure_defaults,
				     .random = seed,
				     .state = hm_pressure_start() };
		struct hm_pressure often = h.state;

		tap_row("history %" PRIu64, seed);
		if (seed % 2 == 0)
			h.rules = draw_rules(&h.random);
		for (unsigned i = 0; i < STEPS / 2; i++) {
			h.figures = draw_figures(&h.random, &h.rules);
			h.state = look_again(&h, &h.state, h.now);
			often = look_again(&h, &often, h.now);
			h.figures.stalled = false;
			h.state = look_again(&h, &h.state, h.now);
			often = look_again(&h, &often, h.now);
			look_until(&h, &often, h.now + random_below(&h.random, 6000));
			CHECK_INT(often.level, h.state.level);
		}
	}
	tap_row("%s", "");
}

int main(void)
{
	TAP_RUN(every_history_keeps_the_laws);
	TAP_RUN(with_whatever_rules_every_history_keeps_the_laws);
	TAP_RUN(looking_more_often_changes_nothing);
	return tap_done();
}
