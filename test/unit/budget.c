/*
 * Charging: two phases, one limit, many threads.
 */
#include "hostmem/budget.h"
#include "fake.h"

#include <pthread.h>

static struct hm_budget fresh(size_t limit)
{
	struct hm_budget budget;

	HostMemBudget given = HOSTMEM_BUDGET_INIT;

	given.cbLimit = limit;
	memset(&budget, 0, sizeof(budget));
	hm_budget_init(&budget, &given);
	return budget;
}

static void check_figures(const struct hm_budget *budget, size_t claimed, size_t charged,
			  size_t peak)
{
	CHECK_SIZE(budget->claimed, claimed);
	CHECK_SIZE(budget->charged, charged);
	CHECK_SIZE(budget->peak, peak);
}

static void a_new_budget_has_no_limit(void)
{
	struct hm_budget budget;
	HostMemReason reason = HostMemNoReason;

	budget = fresh(SIZE_MAX);
	CHECK_SIZE(budget.limit, SIZE_MAX);
	CHECK(hm_budget_admit(&budget, eTaskCritical, SIZE_MAX, &reason));
	CHECK_SIZE(budget.claimed, SIZE_MAX);
}

static void the_limit_may_be_reached_and_not_passed(void)
{
	static const struct {
		size_t limit, before, size;
		bool admitted;
		HostMemReason reason;
	} rows[] = {
		{ 100, 0, 100, true, HostMemNoReason },
		{ 100, 0, 101, false, HostMemByBudget },
		{ 100, 99, 1, true, HostMemNoReason },
		{ 100, 100, 0, true, HostMemNoReason },
		{ 100, 100, 1, false, HostMemByBudget },
		{ 0, 0, 0, true, HostMemNoReason },
		{ 0, 0, 1, false, HostMemByBudget },
		{ SIZE_MAX, 1, SIZE_MAX - 1, true, HostMemNoReason },
		{ SIZE_MAX, 1, SIZE_MAX, false, HostMemByOverflow },
		{ SIZE_MAX, SIZE_MAX, 1, false, HostMemByOverflow },
		{ 100, 50, SIZE_MAX - 49, false, HostMemByOverflow },
		{ 100, 50, SIZE_MAX - 50, false, HostMemByBudget },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_budget budget = fresh(rows[i].limit);
		HostMemReason reason = HostMemNoReason;
		size_t want = rows[i].before + (rows[i].admitted ? rows[i].size : 0);

		tap_row("%zu + %zu of %zu", rows[i].before, rows[i].size, rows[i].limit);
		CHECK(hm_budget_admit(&budget, eTaskCritical, rows[i].before, &reason));
		CHECK_INT(hm_budget_admit(&budget, eTaskCritical, rows[i].size, &reason),
			  rows[i].admitted);
		CHECK_INT(reason, rows[i].reason);
		check_figures(&budget, want, 0, 0);
	}
}

static void what_is_pending_counts_against_the_limit_but_not_as_use(void)
{
	struct hm_budget budget = fresh(100);
	HostMemReason reason = HostMemNoReason;

	CHECK(hm_budget_admit(&budget, eTaskCritical, 60, &reason));
	check_figures(&budget, 60, 0, 0);
	CHECK(!hm_budget_admit(&budget, eTaskCritical, 50, &reason));
	hm_budget_settle(&budget, 60);
	check_figures(&budget, 60, 60, 60);
	CHECK(!hm_budget_admit(&budget, eTaskCritical, 50, &reason));
	CHECK(hm_budget_admit(&budget, eTaskCritical, 40, &reason));
	hm_budget_cancel(&budget, 40);
	check_figures(&budget, 60, 60, 60);
}

static void the_peak_is_of_what_was_charged(void)
{
	struct hm_budget budget = fresh(SIZE_MAX);
	HostMemReason reason = HostMemNoReason;

	CHECK(hm_budget_admit(&budget, eTaskCritical, 500, &reason));
	hm_budget_cancel(&budget, 500);
	check_figures(&budget, 0, 0, 0);
	CHECK(hm_budget_admit(&budget, eTaskCritical, 300, &reason));
	hm_budget_settle(&budget, 300);
	hm_budget_refund(&budget, 200);
	check_figures(&budget, 100, 100, 300);
	CHECK(hm_budget_admit(&budget, eTaskCritical, 150, &reason));
	hm_budget_settle(&budget, 150);
	check_figures(&budget, 250, 250, 300);
	CHECK(hm_budget_admit(&budget, eTaskCritical, 51, &reason));
	hm_budget_settle(&budget, 51);
	check_figures(&budget, 301, 301, 301);
}

static void a_charge_may_become_pending_again(void)
{
	struct hm_budget budget = fresh(100);
	HostMemReason reason = HostMemNoReason;

	CHECK(hm_budget_admit(&budget, eTaskCritical, 100, &reason));
	hm_budget_settle(&budget, 100);
	hm_budget_unsettle(&budget, 70);
	check_figures(&budget, 100, 30, 100);
	CHECK(!hm_budget_admit(&budget, eTaskCritical, 1, &reason));
	hm_budget_cancel(&budget, 70);
	check_figures(&budget, 30, 30, 100);
}

static void refunded_bytes_can_be_had_again(void)
{
	struct hm_budget budget = fresh(100);
	HostMemReason reason = HostMemNoReason;

	for (unsigned i = 0; i < 3; i++) {
		CHECK(hm_budget_admit(&budget, eTaskCritical, 100, &reason));
		hm_budget_settle(&budget, 100);
		hm_budget_refund(&budget, 100);
	}
	check_figures(&budget, 0, 0, 100);
}

static void what_cannot_be_refused_is_charged_beyond_any_limit(void)
{
	struct hm_budget budget = fresh(100);
	HostMemReason reason = HostMemNoReason;

	hm_budget_charge(&budget, 150);
	check_figures(&budget, 150, 150, 150);
	CHECK(!hm_budget_admit(&budget, eTaskCritical, 1, &reason));
	CHECK_INT(reason, HostMemByBudget);
	hm_budget_refund(&budget, 150);
	check_figures(&budget, 0, 0, 150);
}

static void a_fork_child_forgets_what_others_had_under_way(void)
{
	static const size_t own[] = { 0, 7, 40 };

	for (size_t i = 0; i < ROWS(own); i++) {
		struct hm_budget budget = fresh(SIZE_MAX);
		HostMemReason reason = HostMemNoReason;

		tap_row("%zu of its own", own[i]);
		CHECK(hm_budget_admit(&budget, eTaskCritical, 30, &reason));
		hm_budget_settle(&budget, 30);
		CHECK(hm_budget_admit(&budget, eTaskCritical, 40, &reason));
		hm_budget_after_fork(&budget, own[i]);
		check_figures(&budget, 30 + own[i], 30, 30);
	}
}

enum { THREADS = 4, ROUNDS = 20000, LIMIT = 1000 };

static struct hm_budget shared;
static _Atomic size_t admitted; /* by our own count, raised after and lowered before */
static _Atomic unsigned overshoots, refusals;

static void *take_and_give(void *seed)
{
	uint64_t state = *(uint64_t *)seed;
	HostMemReason reason;

	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t size = 1 + random_below(&state, LIMIT / 2);

		if (!hm_budget_admit(&shared, eTaskCritical, size, &reason)) {
			atomic_fetch_add(&refusals, 1);
			continue;
		}
		if (atomic_fetch_add(&admitted, size) + size > LIMIT)
			atomic_fetch_add(&overshoots, 1);
		if (random_below(&state, 2) == 0) {
			atomic_fetch_sub(&admitted, size);
			hm_budget_cancel(&shared, size);
			continue;
		}
		hm_budget_settle(&shared, size);
		atomic_fetch_sub(&admitted, size);
		hm_budget_refund(&shared, size);
	}
	return NULL;
}

static void many_threads_together_never_pass_the_limit(void)
{
	uint64_t seeds[THREADS] = { 1, 22, 333, 4444 };
	pthread_t threads[THREADS];

	shared = fresh(LIMIT);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, take_and_give, &seeds[i]), 0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_U32(overshoots, 0);
	CHECK_SIZE(shared.claimed, 0);
	CHECK_SIZE(shared.charged, 0);
	CHECK(shared.peak != 0 && shared.peak <= LIMIT);
}

int main(void)
{
	TAP_RUN(a_new_budget_has_no_limit);
	TAP_RUN(the_limit_may_be_reached_and_not_passed);
	TAP_RUN(what_is_pending_counts_against_the_limit_but_not_as_use);
	TAP_RUN(the_peak_is_of_what_was_charged);
	TAP_RUN(a_charge_may_become_pending_again);
	TAP_RUN(refunded_bytes_can_be_had_again);
	TAP_RUN(what_cannot_be_refused_is_charged_beyond_any_limit);
	TAP_RUN(a_fork_child_forgets_what_others_had_under_way);
	TAP_RUN(many_threads_together_never_pass_the_limit);
	return tap_done();
}
