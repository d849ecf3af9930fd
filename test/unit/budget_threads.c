/*
 * A budget and many threads: together they never pass the limit.  And one that is replaced
 * while they ask: nobody is judged by half of one and half of another, and nobody is in the
 * way of others with what it will not get.
 */
#include "hostmem/budget.h"
#include "fake.h"

#include <pthread.h>
#include <sched.h>

enum { ASKERS = 3, ROUNDS = 500000 };

/* Each refuses what only a mixture of the two admits: MIXED bytes. */
enum { NARROW = 100, WIDE = 1000, MIXED = 600, SMALL = 40 };

static struct hm_budget shared;
static pthread_barrier_t start;
static _Atomic unsigned asking = ASKERS;
static _Atomic unsigned replaced, mixed, hindered, torn;

static HostMemBudget figures(size_t limit, size_t largest, uint32_t wait)
{
	HostMemBudget given = HOSTMEM_BUDGET_INIT;

	given.cbLimit = limit;
	for (unsigned level = 0; level < 3; level++) {
		given.cbLargest[level] = largest;
		given.msWait[level] = wait;
	}
	return given;
}

static void shared_init(HostMemBudget first)
{
	memset(&shared, 0, sizeof(shared));
	hm_budget_init(&shared, &first);
}

static void *replace(void *unused)
{
	const HostMemBudget both[] = { figures(WIDE, NARROW, 1),
				       figures(NARROW, WIDE, 2) };

	(void)pthread_barrier_wait(&start);
	for (unsigned i = 0; atomic_load(&asking) != 0; i++) {
		CHECK_HR(hm_budget_set(&shared, &both[i % 2]), S_OK);
		atomic_store(&replaced, i);
	}
	return unused;
}

/* Wants what neither budget gives. */
static void want_the_mixture(void)
{
	HostMemReason reason;

	if (hm_budget_admit(&shared, eTaskCritical, MIXED, &reason)) {
		atomic_fetch_add(&mixed, 1);
		hm_budget_cancel(&shared, MIXED);
	} else if (reason != HostMemByBudget) {
		atomic_fetch_add(&mixed, 1);
	}
}

/* Wants what both give, and is the only one who ever holds anything. */
static void want_little(void)
{
	HostMemReason reason;

	if (!hm_budget_admit(&shared, eTaskCritical, SMALL, &reason)) {
		atomic_fetch_add(&hindered, 1);
		return;
	}
	hm_budget_settle(&shared, SMALL);
	hm_budget_refund(&shared, SMALL);
}

static void look(void)
{
	HostMemBudget seen;

	hm_budget_get(&shared, &seen);
	if (seen.cbLimit == seen.cbLargest[eTaskCritical] ||
	    seen.cbLargest[eProcessCritical] != seen.cbLargest[eTaskCritical] ||
	    (seen.cbLimit == WIDE) != (seen.msWait[eTaskCritical] == 1))
		atomic_fetch_add(&torn, 1);
}

static void (*const asks[ASKERS])(void) = { want_the_mixture, want_little, look };

static void *ask_often(void *ask)
{
	void (*what)(void) = asks[*(const unsigned *)ask];

	(void)pthread_barrier_wait(&start);
	for (unsigned i = 0; i < ROUNDS || atomic_load(&replaced) < ROUNDS; i++)
		what();
	atomic_fetch_sub(&asking, 1);
	return NULL;
}

static void nobody_is_judged_by_half_of_each_of_two_budgets(void)
{
	static const unsigned numbers[ASKERS] = { 0, 1, 2 };
	pthread_t threads[ASKERS + 1];

	CHECK_HR(hm_calls_prepare(), S_OK);
	shared_init(figures(NARROW, WIDE, 2));
	CHECK_INT(pthread_barrier_init(&start, NULL, ASKERS + 1), 0);
	for (size_t i = 0; i < ASKERS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, ask_often,
					 (void *)(uintptr_t)&numbers[i]),
			  0);
	CHECK_INT(pthread_create(&threads[ASKERS], NULL, replace, NULL), 0);
	for (size_t i = 0; i <= ASKERS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_INT(pthread_barrier_destroy(&start), 0);
	CHECK_U32(mixed, 0);
	CHECK_U32(hindered, 0);
	CHECK_U32(torn, 0);
	CHECK_SIZE(shared.claimed, 0);
	CHECK_SIZE(shared.charged, 0);
	CHECK(shared.peak != 0 && shared.peak <= SMALL);
}

/* Half-way through a replacement: what it stands for is asked in another thread. */
static _Atomic bool asked, answered, admitted;

static void *ask_once(void *unused)
{
	HostMemReason reason;

	atomic_store(&asked, true);
	atomic_store(&admitted, hm_budget_admit(&shared, eTaskCritical, MIXED, &reason));
	atomic_store(&answered, true);
	return unused;
}

static void a_request_is_not_answered_in_the_middle_of_a_replacement(void)
{
	size_t claimed = 0;
	pthread_t thread;

	shared_init(figures(NARROW, WIDE, 2));
	atomic_store(&shared.version, 1);
	for (unsigned level = 0; level < 3; level++)
		atomic_store(&shared.ceiling[level], WIDE);
	CHECK_INT(pthread_create(&thread, NULL, ask_once, NULL), 0);
	while (!atomic_load(&asked))
		sched_yield();
	/* Right code gives no answer, and is in nobody's way, however long this takes. */
	for (unsigned i = 0; i < 20000 && !atomic_load(&answered); i++) {
		claimed |= atomic_load(&shared.claimed);
		if (i % 16 == 0)
			sched_yield();
	}
	CHECK_SIZE(claimed, 0);
	CHECK(!atomic_load(&answered));
	for (unsigned level = 0; level < 3; level++)
		atomic_store(&shared.largest[level], NARROW);
	atomic_store(&shared.version, 2);
	CHECK_INT(pthread_join(thread, NULL), 0);
	CHECK(!atomic_load(&admitted));
	CHECK_SIZE(shared.claimed, 0);
}

enum { THREADS = 4, TURNS = 20000, LIMIT = 1000 };

static _Atomic size_t taken; /* by our own count, raised after and lowered before */
static _Atomic unsigned overshoots, refusals;

static void *take_and_give(void *seed)
{
	uint64_t state = *(uint64_t *)seed;
	HostMemReason reason;

	for (unsigned i = 0; i < TURNS; i++) {
		size_t size = 1 + random_below(&state, LIMIT / 2);

		if (!hm_budget_admit(&shared, eTaskCritical, size, &reason)) {
			atomic_fetch_add(&refusals, 1);
			continue;
		}
		if (atomic_fetch_add(&taken, size) + size > LIMIT)
			atomic_fetch_add(&overshoots, 1);
		if (random_below(&state, 2) == 0) {
			atomic_fetch_sub(&taken, size);
			hm_budget_cancel(&shared, size);
			continue;
		}
		hm_budget_settle(&shared, size);
		atomic_fetch_sub(&taken, size);
		hm_budget_refund(&shared, size);
	}
	return NULL;
}

static void many_threads_together_never_pass_the_limit(void)
{
	uint64_t seeds[THREADS] = { 1, 22, 333, 4444 };
	pthread_t threads[THREADS];

	shared_init(figures(LIMIT, SIZE_MAX, 0));
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, take_and_give, &seeds[i]), 0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_U32(overshoots, 0);
	CHECK_SIZE(shared.claimed, 0);
	CHECK_SIZE(shared.charged, 0);
	CHECK(shared.peak != 0 && shared.peak <= LIMIT);
}

/* ---- The alarm ---- */

enum { CHARGERS = 3, CHARGES = 3000 };

static _Atomic unsigned alarms, charging;

/* As requests do: what is charged is there before the alarm is looked at. */
static void *charge_and_ring(void *unused)
{
	(void)pthread_barrier_wait(&start);
	for (unsigned i = 0; i < CHARGES; i++) {
		hm_budget_charge(&shared, 1);
		if (hm_budget_takes_alarm(&shared))
			atomic_fetch_add(&alarms, 1);
	}
	atomic_fetch_sub(&charging, 1);
	return unused;
}

/* As the monitor does: the alarm is set before what is charged is looked at, and again when it
 * was taken.  How often it was set. */
static unsigned set_alarms(void)
{
	unsigned set = 0;

	while (atomic_load(&charging) != 0) {
		/* What is charged now: the next byte rings. */
		atomic_store(&shared.alarm, atomic_load(&shared.charged));
		set++;
		if (hm_budget_takes_alarm(&shared))
			atomic_fetch_add(&alarms, 1);
		while (atomic_load(&alarms) < set && atomic_load(&charging) != 0)
			sched_yield();
	}
	return set;
}

static void each_alarm_that_is_passed_is_taken_by_one(void)
{
	pthread_t threads[CHARGERS];
	unsigned set;

	shared_init(figures(SIZE_MAX, SIZE_MAX, 0));
	atomic_store(&alarms, 0);
	atomic_store(&charging, CHARGERS);
	CHECK_INT(pthread_barrier_init(&start, NULL, CHARGERS + 1), 0);
	for (size_t i = 0; i < CHARGERS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, charge_and_ring, NULL), 0);
	(void)pthread_barrier_wait(&start);
	set = set_alarms();
	for (size_t i = 0; i < CHARGERS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_INT(pthread_barrier_destroy(&start), 0);
	/* None was passed and not taken, and none was taken twice. */
	CHECK(!hm_budget_takes_alarm(&shared));
	CHECK_U32(alarms + (shared.alarm != SIZE_MAX), set);
}

enum { TAKERS = 2, MEETINGS = 300 };

static _Atomic unsigned meeting, arrived;

/* All at once, as nearly as can be. */
static void *charge_together(void *unused)
{
	for (unsigned i = 1; i <= MEETINGS; i++) {
		while (atomic_load(&meeting) != i)
			sched_yield();
		hm_budget_charge(&shared, 1);
		if (hm_budget_takes_alarm(&shared))
			atomic_fetch_add(&alarms, 1);
		atomic_fetch_add(&arrived, 1);
	}
	return unused;
}

static void of_those_who_pass_an_alarm_together_one_takes_it(void)
{
	pthread_t threads[TAKERS];
	unsigned wrong = 0;

	shared_init(figures(SIZE_MAX, SIZE_MAX, 0));
	for (size_t i = 0; i < TAKERS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, charge_together, NULL), 0);
	for (unsigned i = 1; i <= MEETINGS; i++) {
		atomic_store(&alarms, 0);
		atomic_store(&arrived, 0);
		atomic_store(&shared.alarm, atomic_load(&shared.charged));
		atomic_store(&meeting, i);
		while (atomic_load(&arrived) != TAKERS)
			sched_yield();
		wrong += atomic_load(&alarms) != 1;
	}
	for (size_t i = 0; i < TAKERS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_U32(wrong, 0);
}

static void an_alarm_is_passed_by_more_than_what_it_says(void)
{
	shared_init(figures(SIZE_MAX, SIZE_MAX, 0));
	hm_budget_charge(&shared, 100);
	CHECK(!hm_budget_takes_alarm(&shared));
	atomic_store(&shared.alarm, 100);
	CHECK(!hm_budget_takes_alarm(&shared));
	hm_budget_charge(&shared, 1);
	CHECK(hm_budget_takes_alarm(&shared));
	CHECK(!hm_budget_takes_alarm(&shared));
	CHECK_SIZE(shared.alarm, SIZE_MAX);
}

int main(void)
{
	TAP_RUN(nobody_is_judged_by_half_of_each_of_two_budgets);
	TAP_RUN(a_request_is_not_answered_in_the_middle_of_a_replacement);
	TAP_RUN(many_threads_together_never_pass_the_limit);
	TAP_RUN(an_alarm_is_passed_by_more_than_what_it_says);
	TAP_RUN(of_those_who_pass_an_alarm_together_one_takes_it);
	TAP_RUN(each_alarm_that_is_passed_is_taken_by_one);
	return tap_done();
}
