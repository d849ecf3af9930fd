/*
 * Waiting for memory: who is served, by whom, and how a wait ends.
 *
 * A waiter is known to wait when it is counted.
 */
#include "hostmem/waiting.h"
#include "hostmem/host.h"
#include "fake.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIMIT = 1000, MANY = 8, WATCHDOG = 300 };
static const uint64_t never = UINT64_MAX;

static struct hm_budget budget;
static struct hm_waiting waiting;
static struct hm_clock clocks;

/* One that waits, on a thread of its own. */
struct sleeper {
	struct hm_waiter waiter;
	enum hm_wake woken;
	pthread_t thread;
};

static struct sleeper sleepers[MANY];

static void set_limit(size_t limit, size_t headroom)
{
	HostMemBudget given = HOSTMEM_BUDGET_INIT;

	given.cbLimit = limit;
	given.cbHeadroom[eTaskCritical] = headroom;
	CHECK_HR(hm_budget_check(&given), S_OK);
	CHECK_HR(hm_budget_set(&budget, &given), S_OK);
}

/* A budget of LIMIT, all of which is charged. */
static void start(void)
{
	HostMemBudget none = HOSTMEM_BUDGET_INIT;

	memset(&budget, 0, sizeof(budget));
	memset(&waiting, 0, sizeof(waiting));
	memset(&clocks, 0, sizeof(clocks));
	memset(sleepers, 0, sizeof(sleepers));
	CHECK_HR(hm_calls_prepare(), S_OK);
	hm_budget_init(&budget, &none);
	set_limit(LIMIT, 0);
	hm_budget_charge(&budget, LIMIT);
}

static enum hm_wake sleep_as(struct hm_waiter *waiter)
{
	hm_waiting_begin(&waiting, &budget, waiter);
	return hm_waiting_sleep(&waiting, &clocks, waiter);
}

static void *sleep_there(void *argument)
{
	struct sleeper *self = argument;

	self->woken = sleep_as(&self->waiter);
	return NULL;
}

static struct sleeper *begin(size_t i, EMemoryCriticalLevel level, size_t charge,
			     bool for_any_free)
{
	struct sleeper *sleeper = &sleepers[i];
	uint32_t before = waiting.count;

	sleeper->waiter = (struct hm_waiter){
		.level = level,
		.charge = charge,
		.for_any_free = for_any_free,
		.charged = budget.charged,
		.deadline = never,
	};
	if (pthread_create(&sleeper->thread, NULL, sleep_there, sleeper) != 0)
		abort();
	while (atomic_load(&waiting.count) == before)
		(void)sched_yield();
	/* And it has looked whether there is room. */
	hm_calls_enter();
	hm_lock_acquire(&waiting.lock, HM_RANK_WAITING);
	hm_lock_release(&waiting.lock, HM_RANK_WAITING);
	hm_calls_leave();
	return sleeper;
}

static void check_woken(struct sleeper *sleeper, enum hm_wake why)
{
	(void)pthread_join(sleeper->thread, NULL);
	CHECK_INT(sleeper->woken, why);
}

static void give_back(size_t size)
{
	hm_calls_enter();
	hm_budget_refund(&budget, size);
	hm_waiting_offer(&waiting, &budget, true);
	hm_calls_leave();
}

static void end_all(void)
{
	hm_calls_enter();
	hm_waiting_end(&waiting);
	hm_calls_leave();
}

static enum hm_wake state_of(const struct sleeper *sleeper)
{
	return (enum hm_wake)atomic_load(&sleeper->waiter.wake);
}

static void the_most_critical_is_served_first_then_who_came_first(void)
{
	static const EMemoryCriticalLevel levels[] = {
		eTaskCritical,      eProcessCritical, eAppDomainCritical,
		eAppDomainCritical, eTaskCritical,    eProcessCritical,
	};
	static const size_t order[] = { 1, 5, 2, 3, 0, 4 };

	start();
	for (size_t i = 0; i < ROWS(levels); i++)
		begin(i, levels[i], 10, false);
	for (size_t i = 0; i < ROWS(order); i++) {
		tap_row("served as number %zu", i);
		CHECK_U32(waiting.count, (uint32_t)(ROWS(order) - i));
		give_back(10);
		check_woken(&sleepers[order[i]], HM_WAKE_GRANTED);
		CHECK_SIZE(budget.claimed, LIMIT);
	}
	CHECK_U32(waiting.count, 0);
	CHECK(waiting.first == NULL);
}

static void who_does_not_fit_is_passed_over(void)
{
	struct sleeper *large, *small;

	start();
	large = begin(0, eProcessCritical, 100, false);
	small = begin(1, eTaskCritical, 30, false);
	give_back(40);
	check_woken(small, HM_WAKE_GRANTED);
	CHECK_INT(state_of(large), HM_WAKE_NOT);
	give_back(89);
	CHECK_INT(state_of(large), HM_WAKE_NOT);
	give_back(1);
	check_woken(large, HM_WAKE_GRANTED);
	CHECK_SIZE(budget.claimed, LIMIT);
	CHECK_SIZE(budget.charged, LIMIT - 130);
}

static void one_offer_serves_as_many_as_it_suffices_for(void)
{
	start();
	for (size_t i = 0; i < 4; i++)
		begin(i, eTaskCritical, 10, false);
	give_back(35);
	for (size_t i = 0; i < 3; i++)
		check_woken(&sleepers[i], HM_WAKE_GRANTED);
	CHECK_INT(state_of(&sleepers[3]), HM_WAKE_NOT);
	CHECK_SIZE(budget.claimed, LIMIT - 5);
	end_all();
	check_woken(&sleepers[3], HM_WAKE_ENDED);
}

/* No offer comes for it: it was made before the waiter was there. */
static void who_comes_when_there_is_room_does_not_sleep(void)
{
	struct hm_waiter waiter = { .charge = 10, .deadline = never };

	start();
	hm_budget_refund(&budget, 10);
	CHECK_INT(sleep_as(&waiter), HM_WAKE_GRANTED);
	CHECK_SIZE(budget.claimed, LIMIT);
	CHECK_U32(waiting.count, 0);
}

static void who_comes_late_serves_those_before(void)
{
	struct sleeper *first, *second;

	start();
	first = begin(0, eTaskCritical, 10, false);
	/* As if the offer for this was just under way. */
	hm_budget_refund(&budget, 10);
	second = &sleepers[1];
	second->waiter = (struct hm_waiter){ .charge = 10, .deadline = never };
	if (pthread_create(&second->thread, NULL, sleep_there, second) != 0)
		abort();
	check_woken(first, HM_WAKE_GRANTED);
	give_back(10);
	check_woken(second, HM_WAKE_GRANTED);
}

static void time_ends_a_wait(void)
{
	struct hm_waiter waiter = { .charge = 10, .deadline = 0 };

	start();
	CHECK_INT(sleep_as(&waiter), HM_WAKE_TIMEOUT);
	waiter.deadline = hm_clock_now(&clocks) + 5;
	CHECK_INT(sleep_as(&waiter), HM_WAKE_TIMEOUT);
	CHECK(hm_clock_now(&clocks) >= waiter.deadline);
	CHECK_U32(waiting.count, 0);
	CHECK_SIZE(budget.claimed, LIMIT);
}

static void what_fits_is_granted_although_time_is_up(void)
{
	struct hm_waiter waiter = { .charge = 10, .deadline = 0 };

	start();
	hm_budget_refund(&budget, 10);
	CHECK_INT(sleep_as(&waiter), HM_WAKE_GRANTED);
}

static void in_virtual_time_the_clock_moves_by_what_is_left_and_nobody_sleeps(void)
{
	struct hm_waiter waiter = { .charge = 10 };
	uint64_t begun;

	start();
	CHECK(hm_clock_set_virtual(&clocks, true));
	begun = hm_clock_now(&clocks);
	for (unsigned i = 1; i <= 5000; i++) {
		waiter.deadline = begun + i * UINT64_C(3600000);
		CHECK_INT(sleep_as(&waiter), HM_WAKE_TIMEOUT);
		CHECK_SIZE(hm_clock_now(&clocks), waiter.deadline);
	}
	/* The rest of a wait that has been going on for a while. */
	hm_clock_move(&clocks, 400);
	waiter.deadline = hm_clock_now(&clocks) + 7;
	CHECK_INT(sleep_as(&waiter), HM_WAKE_TIMEOUT);
	CHECK_SIZE(hm_clock_now(&clocks), waiter.deadline);
	/* At the end of time there is nothing left. */
	hm_clock_move(&clocks, UINT64_MAX);
	waiter.deadline = UINT64_MAX;
	CHECK_INT(sleep_as(&waiter), HM_WAKE_TIMEOUT);
}

static void a_budget_that_is_replaced_is_offered_and_ends_hopeless_waits(void)
{
	static const HostMemBudget none = HOSTMEM_BUDGET_INIT;
	HostMemBudget given = none;
	struct sleeper *fits, *waits, *hopeless;

	start();
	fits = begin(0, eProcessCritical, 50, false);
	waits = begin(1, eProcessCritical, 100, false);
	hopeless = begin(2, eProcessCritical, 200, false);
	given.cbLimit = LIMIT + 60;
	given.cbLargest[0] = given.cbLargest[1] = given.cbLargest[2] = 100;
	CHECK_HR(hm_budget_set(&budget, &given), S_OK);
	hm_calls_enter();
	hm_waiting_judge(&waiting, &budget, true);
	hm_calls_leave();
	check_woken(fits, HM_WAKE_GRANTED);
	check_woken(hopeless, HM_WAKE_AGAIN);
	CHECK_INT(state_of(waits), HM_WAKE_NOT);
	CHECK_U32(waiting.count, 1);
	/* Nothing is offered, but hope ends. */
	set_limit(50, 0);
	hm_calls_enter();
	hm_waiting_judge(&waiting, &budget, false);
	hm_calls_leave();
	check_woken(waits, HM_WAKE_AGAIN);
	CHECK_SIZE(budget.claimed, LIMIT + 50);
}

static void a_budget_that_is_only_judged_offers_nothing(void)
{
	struct sleeper *sleeper;

	start();
	sleeper = begin(0, eTaskCritical, 50, false);
	set_limit(2 * LIMIT, 0);
	hm_calls_enter();
	hm_waiting_judge(&waiting, &budget, false);
	CHECK_INT(state_of(sleeper), HM_WAKE_NOT);
	CHECK_SIZE(budget.claimed, LIMIT);
	hm_waiting_offer(&waiting, &budget, true);
	hm_calls_leave();
	check_woken(sleeper, HM_WAKE_GRANTED);
}

/* Whoever lowered the budget did not find it in the list yet. */
static void who_comes_without_hope_does_not_sleep(void)
{
	struct hm_waiter waiter = { .charge = LIMIT + 1, .deadline = never };

	start();
	CHECK_INT(sleep_as(&waiter), HM_WAKE_AGAIN);
	waiter.for_any_free = true;
	waiter.charged = LIMIT;
	CHECK_INT(sleep_as(&waiter), HM_WAKE_AGAIN);
	CHECK_U32(waiting.count, 0);
}

static void for_whom_the_system_was_short_only_what_is_freed_counts(void)
{
	struct sleeper *sleeper;

	start();
	hm_budget_refund(&budget, 500);
	sleeper = begin(0, eTaskCritical, 10, true);
	hm_calls_enter();
	/* Another request came to nothing; another budget. */
	hm_waiting_offer(&waiting, &budget, false);
	hm_waiting_judge(&waiting, &budget, true);
	hm_calls_leave();
	CHECK_INT(state_of(sleeper), HM_WAKE_NOT);
	give_back(1);
	check_woken(sleeper, HM_WAKE_GRANTED);
	CHECK_SIZE(budget.claimed, LIMIT - 501 + 10);
}

static void what_was_freed_before_it_slept_is_not_missed(void)
{
	struct hm_waiter waiter = {
		.charge = 10, .for_any_free = true, .charged = LIMIT, .deadline = never
	};

	start();
	hm_budget_refund(&budget, 1);
	CHECK_INT(sleep_as(&waiter), HM_WAKE_AGAIN);
	CHECK_SIZE(budget.claimed, LIMIT - 1);
}

/* What charges nothing may wait for the system, beyond the limit too. */
static void who_wants_no_charge_is_served_beyond_the_limit(void)
{
	struct sleeper *sleeper;

	start();
	set_limit(LIMIT / 2, 0);
	sleeper = begin(0, eTaskCritical, 0, true);
	give_back(1);
	check_woken(sleeper, HM_WAKE_GRANTED);
	CHECK_SIZE(budget.claimed, LIMIT - 1);
}

static void everybody_looks_again_when_told(void)
{
	start();
	for (size_t i = 0; i < 3; i++)
		begin(i, eTaskCritical, 10, i == 1);
	hm_calls_enter();
	hm_waiting_wake_all(&waiting);
	hm_calls_leave();
	for (size_t i = 0; i < 3; i++)
		check_woken(&sleepers[i], HM_WAKE_AGAIN);
	CHECK_U32(waiting.count, 0);
}

static void the_end_is_for_good(void)
{
	struct hm_waiter waiter = { .charge = 10, .deadline = never };

	start();
	begin(0, eTaskCritical, 10, false);
	begin(1, eProcessCritical, 10, true);
	end_all();
	check_woken(&sleepers[0], HM_WAKE_ENDED);
	check_woken(&sleepers[1], HM_WAKE_ENDED);
	hm_budget_refund(&budget, LIMIT);
	CHECK_INT(sleep_as(&waiter), HM_WAKE_ENDED);
	CHECK_SIZE(budget.claimed, 0);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(the_most_critical_is_served_first_then_who_came_first);
	TAP_RUN(who_does_not_fit_is_passed_over);
	TAP_RUN(one_offer_serves_as_many_as_it_suffices_for);
	TAP_RUN(who_comes_when_there_is_room_does_not_sleep);
	TAP_RUN(who_comes_late_serves_those_before);
	TAP_RUN(time_ends_a_wait);
	TAP_RUN(what_fits_is_granted_although_time_is_up);
	TAP_RUN(in_virtual_time_the_clock_moves_by_what_is_left_and_nobody_sleeps);
	TAP_RUN(a_budget_that_is_replaced_is_offered_and_ends_hopeless_waits);
	TAP_RUN(a_budget_that_is_only_judged_offers_nothing);
	TAP_RUN(who_comes_without_hope_does_not_sleep);
	TAP_RUN(for_whom_the_system_was_short_only_what_is_freed_counts);
	TAP_RUN(what_was_freed_before_it_slept_is_not_missed);
	TAP_RUN(who_wants_no_charge_is_served_beyond_the_limit);
	TAP_RUN(everybody_looks_again_when_told);
	TAP_RUN(the_end_is_for_good);
	return tap_done();
}
