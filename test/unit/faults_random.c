/*
 * Fault rules: by chance, at random beside a model, and by several threads at once.
 */
#include "rules.h"

#include <pthread.h>

/* ---- By chance ---- */

/* The next 64 matches of a rule, bit i for match i + 1. */
static uint64_t fired_bits(void)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < 64; i++)
		bits |= (uint64_t)FAILED(pass(&commit)) << i;
	return bits;
}

static void the_same_seed_fires_in_the_same_places_everywhere(void)
{
	/* Worked out apart from this library, by exact integers. */
	static const struct {
		uint64_t seed;
		double probability;
		uint64_t want;
	} rows[] = {
		{ 0, 0.5, 0x6133CEFB8C850576 },          { 0, 0.25, 0x41324E2380040154 },
		{ 1, 0.9, 0xFBDDFFFFDFFFFFFB },          { 42, 0.5, 0x987CE6B803278D5E },
		{ 42, 0.1, 0x8840409001240010 },         { 42, 1, UINT64_MAX },
		{ UINT64_MAX, 0.5, 0x4BE474F969DF568C }, { 42, 0x1p-1074, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		HostMemFault fault = { .seed = rows[i].seed,
				       .probability = rows[i].probability,
				       REFUSES };

		for (unsigned again = 0; again < 2; again++) {
			tap_row("row %zu, run %u", i, again);
			start_empty();
			(void)add(&fault);
			CHECK_SIZE(fired_bits(), rows[i].want);
			end();
		}
	}
}

/* Neither other rules nor requests that do not match take a draw away. */
static void the_draws_of_a_rule_are_its_own(void)
{
	static const HostMemFault others = { .seed = 42,
					     .probability = 0x1p-50,
					     REFUSES };
	static const HostMemFault fault = { .seed = 42, .probability = 0.5, REFUSES };
	static const struct hm_fault_query free = { HostMemRelease, eTaskCritical,
						    HOSTMEM_FAULT_BUDGET, PAGE };
	uint64_t bits = 0;

	start_empty();
	(void)add(&others);
	(void)add(&fault);
	for (unsigned i = 0; i < 64; i++) {
		CHECK_HR(pass(&free), S_OK);
		bits |= (uint64_t)FAILED(pass(&commit)) << i;
	}
	CHECK_SIZE(bits, 0x987CE6B803278D5E);
	end();
}

/* The first draw from seed 0 is known to the bit, and so is where it begins to fire. */
static void a_draw_fires_below_the_probability(void)
{
	static const struct {
		double probability;
		bool fires;
	} rows[] = {
		{ 0x1.C4415072F63B8p-1, false },
		{ 0x1.C4415072F63B9p-1, false },
		{ 0x1.C4415072F63BAp-1, true },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		HostMemFault fault = { .probability = rows[i].probability, REFUSES };

		tap_row("row %zu", i);
		start_empty();
		(void)add(&fault);
		CHECK_HR(pass(&commit), rows[i].fires ? E_OUTOFMEMORY : S_OK);
		end();
	}
}

static void chance_is_as_frequent_as_it_says(void)
{
	enum { MATCHES = 100000 };
	/* Five times the deviation that may be expected. */
	static const struct {
		double probability;
		unsigned least, most;
	} rows[] = {
		{ 0.001, 50, 150 },      { 0.1, 9525, 10475 },    { 0.5, 49209, 50791 },
		{ 0.999, 99850, 99950 }, { 1, MATCHES, MATCHES },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		HostMemFault fault = { .seed = 7 + i,
				       .probability = rows[i].probability,
				       REFUSES };
		unsigned fired = 0;

		tap_row("row %zu", i);
		start_empty();
		(void)add(&fault);
		for (unsigned j = 0; j < MATCHES; j++)
			fired += FAILED(pass(&commit));
		CHECK(fired >= rows[i].least && fired <= rows[i].most);
		end();
	}
}

static void chance_is_used_up_as_well(void)
{
	static const HostMemFault fault = {
		.seed = 42, .probability = 0.5, .count = 3, REFUSES
	};

	start_empty();
	(void)add(&fault);
	/* The lowest three bits of 0x987CE6B803278D5E. */
	CHECK_SIZE(fired_bits(), 0xE);
	end();
}

/* ---- Beside a model ---- */

/* What a rule is to do, in the plainest words: which match is the next that fires. */
struct model_rule {
	HostMemFault fault;
	uint64_t cookie; /* 0: taken away */
	uint64_t matches, next, firings;
};

enum { SEQUENCES = 4000, STEPS = 80, RULES = 8 };

struct model {
	struct model_rule rules[RULES];
	unsigned count;
	uint64_t last_cookie;
};

static bool model_matches(const HostMemFault *fault, const struct hm_fault_query *query)
{
	if (query->operation != HostMemReserve && query->operation != HostMemCommit &&
	    query->operation != HostMemHeap)
		return false;
	if (fault->operations != 0 && (fault->operations >> query->operation) % 2 == 0)
		return false;
	if (fault->levels != 0 && (fault->levels >> query->level) % 2 == 0)
		return false;
	if (query->size < fault->cbMin)
		return false;
	if (fault->cbMax != 0 && query->size > fault->cbMax)
		return false;
	return fault->place == query->place;
}

static bool model_rule_fires(struct model_rule *rule)
{
	bool each = rule->fault.nth == 0 && rule->fault.every == 0;

	if (++rule->matches != rule->next && !each)
		return false;
	rule->next = rule->fault.every != 0 ? rule->next + rule->fault.every : 0;
	if (rule->fault.count != 0 && rule->firings == rule->fault.count)
		return false;
	rule->firings++;
	return true;
}

static HRESULT model_pass(struct model *model, const struct hm_fault_query *query)
{
	for (unsigned i = 0; i < model->count; i++) {
		struct model_rule *rule = &model->rules[i];

		if (rule->cookie != 0 && model_matches(&rule->fault, query) &&
		    model_rule_fires(rule))
			return rule->fault.result;
	}
	return S_OK;
}

/* 0 half the time, so that rules with many fields set do not match nothing at all. */
static uint32_t sometimes(uint64_t *random, uint32_t limit)
{
	return random_below(random, 2) == 0 ? (uint32_t)random_below(random, limit) : 0;
}

static void add_random(struct model *model, uint64_t *random)
{
	struct model_rule *rule = &model->rules[model->count++];

	*rule = (struct model_rule){ 0 };
	do {
		rule->fault = (HostMemFault){
			.operations = sometimes(random, 64),
			.levels = sometimes(random, 8),
			.place = (uint32_t)random_below(random, 2),
			.cbMin = sometimes(random, 4),
			.cbMax = sometimes(random, 6),
			.nth = sometimes(random, 6),
			.every = sometimes(random, 5),
			.count = sometimes(random, 5),
			.result = E_ACCESSDENIED + (HRESULT)model->count,
		};
	} while (FAILED(hm_faults_check(&rule->fault)));
	rule->next = rule->fault.nth != 0 ? rule->fault.nth : rule->fault.every;
	rule->cookie = add(&rule->fault);
	CHECK_SIZE(rule->cookie, ++model->last_cookie);
}

static void remove_random(struct model *model, uint64_t *random)
{
	struct model_rule *rule = &model->rules[random_below(random, RULES)];

	/* 0 too is asked for, by one that has never been. */
	CHECK_HR(hm_faults_remove(&faults, rule->cookie),
		 rule->cookie != 0 ? S_OK : E_INVALIDARG);
	rule->cookie = 0;
}

static void pass_random(struct model *model, uint64_t *random)
{
	struct hm_fault_query query = {
		.operation = (HostMemOperation)random_below(random, 6),
		.level = (EMemoryCriticalLevel)random_below(random, 3),
		.place = (uint32_t)random_below(random, 2),
		.size = random_below(random, 6),
	};

	CHECK_HR(pass(&query), model_pass(model, &query));
}

static void random_rules_fire_as_a_model_does(void)
{
	for (uint64_t seed = 1; seed <= SEQUENCES && !tap_failed(); seed++) {
		struct model model = { .count = 0 };
		uint64_t random = seed;

		start_empty();
		for (unsigned step = 0; step < STEPS; step++) {
			size_t what = random_below(&random, 20);

			tap_row("seed %" PRIu64 ", step %u", seed, step);
			if (what < 3 && model.count < RULES)
				add_random(&model, &random);
			else if (what == 3)
				remove_random(&model, &random);
			else
				pass_random(&model, &random);
		}
		end();
	}
}

/* ---- Several threads ---- */

enum { THREADS = 4, ROUNDS = 60000, MOST = 1000 };

static _Atomic uint64_t fired_budget, fired_system;
static pthread_barrier_t all_there;

static void *make_requests(void *unused)
{
	struct hm_fault_query later = commit;

	later.place = HOSTMEM_FAULT_SYSTEM;
	(void)pthread_barrier_wait(&all_there);
	for (unsigned i = 0; i < ROUNDS; i++) {
		HRESULT first = pass(&commit), second = pass(&later);

		CHECK(first == S_OK || first == E_ACCESSDENIED);
		CHECK(second == S_OK || second == HOST_E_TIMEOUT);
		fired_budget += FAILED(first);
		fired_system += FAILED(second);
	}
	return unused;
}

/* Rules that count and never fire. */
static void *come_and_go(void *unused)
{
	static const HostMemFault fault = { .nth = UINT64_MAX, REFUSES };
	uint64_t last = 0;

	(void)pthread_barrier_wait(&all_there);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t cookie = add(&fault);

		CHECK(cookie > last);
		last = cookie;
		CHECK_HR(hm_faults_remove(&faults, cookie), S_OK);
	}
	return unused;
}

static void no_match_is_lost_or_counted_twice(void)
{
	static const HostMemFault third = { .every = 3, .result = E_ACCESSDENIED };
	static const HostMemFault some = { .place = HOSTMEM_FAULT_SYSTEM,
					   .count = MOST,
					   .result = HOST_E_TIMEOUT };
	pthread_t threads[THREADS];

	start_empty();
	CHECK_INT(pthread_barrier_init(&all_there, NULL, THREADS), 0);
	(void)add(&third);
	(void)add(&some);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL,
					 i % 2 ? come_and_go : make_requests, NULL),
			  0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_INT(pthread_barrier_destroy(&all_there), 0);
	CHECK_SIZE(fired_budget, THREADS / 2 * ROUNDS / 3);
	CHECK_SIZE(fired_system, MOST);
	end();
}

/* A rule for requests of a size that nobody else makes, in a list that is often empty. */
static void *mind_its_own_business(void *number)
{
	struct hm_fault_query query = commit;
	HostMemFault fault = { .count = 1, REFUSES };

	query.size = fault.cbMin = fault.cbMax = *(const size_t *)number;
	(void)pthread_barrier_wait(&all_there);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t cookie = add(&fault);

		CHECK_HR(pass(&query), E_OUTOFMEMORY);
		CHECK_HR(pass(&query), S_OK);
		CHECK_HR(hm_faults_remove(&faults, cookie), S_OK);
	}
	return NULL;
}

static void threads_meet_their_own_rules_only(void)
{
	static size_t numbers[THREADS] = { 1, 2, 3, 4 };
	pthread_t threads[THREADS];

	start_empty();
	CHECK_INT(pthread_barrier_init(&all_there, NULL, THREADS), 0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, mind_its_own_business,
					 &numbers[i]),
			  0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_INT(pthread_barrier_destroy(&all_there), 0);
	CHECK(!hm_faults_any(&faults));
	end();
}

int main(void)
{
	TAP_RUN(the_same_seed_fires_in_the_same_places_everywhere);
	TAP_RUN(the_draws_of_a_rule_are_its_own);
	TAP_RUN(a_draw_fires_below_the_probability);
	TAP_RUN(chance_is_as_frequent_as_it_says);
	TAP_RUN(chance_is_used_up_as_well);
	TAP_RUN(random_rules_fire_as_a_model_does);
	TAP_RUN(no_match_is_lost_or_counted_twice);
	TAP_RUN(threads_meet_their_own_rules_only);
	return tap_done();
}
