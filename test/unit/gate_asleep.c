/*
 * The gate and those who sleep, give up or come late: they do not count as inside, and do
 * not pass; and what a fork child finds.
 */
#include "other.h"

#include <sys/wait.h>

static HRESULT sleep_inside(struct other *other)
{
	struct hm_request outer, inner;
	HRESULT hr;

	hm_request_visit(&outer, host);
	hm_request_visit(&inner, host);
	hm_gate_fall_asleep(host);
	atomic_store(&other->ready, true);
	wait_until(&other->go);
	hr = hm_gate_wake_up(host, HM_IMPATIENT);
	hm_request_close(&inner);
	hm_request_close(&outer);
	return hr;
}

/* And its own frames do not let it pass when it wakes up, nor may it give up. */
static void who_sleeps_does_not_count_and_goes_on_when_it_is_open(void)
{
	struct other sleeper = { .act = sleep_inside };

	start();
	host->gate.patience = 0;
	other_start(&sleeper);
	wait_until(&sleeper.ready);
	CHECK_U32(asleep(), 2);
	CHECK_HR(hm_gate_enter(host, 0), S_OK);
	atomic_store(&sleeper.go, true);
	CHECK_U32(asleep(), 2);
	CHECK_HR(hm_gate_leave(host), S_OK);
	CHECK_HR(other_end(&sleeper), S_OK);
	check_at_rest();
}

static void who_tries_from_inside_a_call_is_told_at_once(void)
{
	struct other owner = { .act = own, .ms = UINT32_MAX };
	struct hm_request visit;

	start();
	hm_request_visit(&visit, host);
	other_start(&owner);
	while (hm_gate_is_open(host))
		(void)sched_yield();
	/* The other waits for our call, so it must not end by our waiting for it. */
	CHECK_HR(hm_gate_enter(host, 0), HOST_E_TIMEOUT);
	CHECK(hm_gate_passes(host));
	hm_request_close(&visit);
	CHECK_HR(other_end(&owner), S_OK);
	check_at_rest();
}

/* Passes by, asleep for an instant, again and again. */
static HRESULT pass_by(struct other *other)
{
	while (!atomic_load(&other->go)) {
		struct hm_request visit;

		hm_request_visit(&visit, host);
		hm_gate_fall_asleep(host);
		hm_gate_turn_away(host);
		hm_request_close(&visit);
	}
	return S_OK;
}

static HRESULT try_often(struct other *other)
{
	(void)other;
	for (unsigned i = 0; i < 300000; i++)
		CHECK_HR(hm_gate_enter(host, 0), HOST_E_TIMEOUT);
	return S_OK;
}

/* Or, between two looks, for somebody who is awake and has gone. */
static void who_falls_asleep_meanwhile_is_not_mistaken(void)
{
	struct other passer = { .act = pass_by };
	struct hm_request visit;

	start();
	hm_request_visit(&visit, host);
	other_start(&passer);
	CHECK_HR(run_other(try_often, 0), S_OK);
	CHECK_HR(other_end(&passer), S_OK);
	hm_request_close(&visit);
	check_at_rest();
}

static void two_that_enter_from_inside_calls_do_not_wait_for_each_other(void)
{
	struct other other = { .act = enter, .ms = UINT32_MAX };
	struct hm_request visit;

	start();
	hm_request_visit(&visit, host);
	other_start(&other);
	while (hm_gate_is_open(host))
		(void)sched_yield();
	CHECK_HR(hm_gate_enter(host, UINT32_MAX), S_OK);
	CHECK_HR(hm_gate_leave(host), S_OK);
	hm_request_close(&visit);
	CHECK_HR(other_end(&other), S_OK);
	check_at_rest();
}

static HRESULT give_up_then_look(struct other *other)
{
	struct hm_request request, nested;
	HRESULT hr;

	hm_request_visit(&request, host);
	hm_gate_fall_asleep(host);
	atomic_store(&other->ready, true);
	wait_until(&other->go);
	hr = hm_gate_wake_up(host, HM_IMPATIENT);
	/* As in a callback that is told of its failure. */
	CHECK(!hm_gate_passes(host));
	CHECK_HR(hm_gate_pass(host, HM_IMPATIENT), HOST_E_TIMEOUT);
	hm_request_visit(&nested, host);
	CHECK(!hm_gate_passes(host));
	CHECK_HR(hm_request_join(&nested), HOST_E_TIMEOUT);
	hm_request_close(&nested);
	CHECK_HR(hm_gate_enter(host, 1), HOST_E_TIMEOUT);
	hm_request_close(&request);
	return hr;
}

static void who_has_given_up_does_not_pass(void)
{
	struct other other = { .act = give_up_then_look };

	start();
	host->gate.patience = 1;
	other_start(&other);
	wait_until(&other.ready);
	CHECK_HR(hm_gate_enter(host, UINT32_MAX), S_OK);
	CHECK_HR(other_end(&other), HOST_E_TIMEOUT);
	CHECK_U32(asleep(), 0);
	CHECK_HR(hm_gate_leave(host), S_OK);
	check_at_rest();
}

static HRESULT join_late(struct other *other)
{
	struct hm_request request;
	HRESULT hr;

	/* Nobody listens: it is open and holds nothing. */
	CHECK_HR(hm_request_open(&request, host, HostMemCommit, eTaskCritical, NULL),
		 S_OK);
	atomic_store(&other->ready, true);
	wait_until(&other->go);
	hr = hm_request_join(&request);
	CHECK(FAILED(hr) || hm_gate_passes(host));
	hm_request_close(&request);
	return hr;
}

static void who_holds_the_host_late_waits_at_the_gate(void)
{
	struct other late = { .act = join_late }, later = { .act = join_late };

	start();
	other_start(&late);
	other_start(&later);
	wait_until(&late.ready);
	wait_until(&later.ready);
	CHECK_HR(hm_gate_enter(host, 0), S_OK);
	host->gate.patience = 1;
	CHECK_HR(other_end(&late), HOST_E_TIMEOUT);
	host->gate.patience = UINT32_MAX;
	atomic_store(&later.go, true);
	wait_for_sleepers(1);
	CHECK_HR(hm_gate_leave(host), S_OK);
	CHECK_HR(other_end(&later), S_OK);
	check_at_rest();
}

static struct hm_waiter waiter;

static HRESULT wait_for_memory(struct other *other)
{
	(void)other;
	waiter = (struct hm_waiter){ .charge = 100, .deadline = UINT64_MAX };
	hm_waiting_begin(&host->waiting, &host->budget, &waiter);
	return hm_waiting_sleep(&host->waiting, &host->clock, &waiter) == HM_WAKE_GRANTED
		       ? S_OK
		       : E_FAIL;
}

/* Somebody who comes to own it and does not get it has kept an offer back, too. */
static void what_is_freed_while_it_is_closed_is_offered_when_it_opens(void)
{
	for (unsigned row = 0; row < 2; row++) {
		struct other sleeper = { .act = wait_for_memory };
		struct other owner;

		tap_row("%s", row == 0 ? "the owner leaves" : "nobody became owner");
		start();
		fake_limit(host, 100);
		hm_budget_charge(&host->budget, 100);
		other_start(&sleeper);
		while (atomic_load(&host->waiting.count) == 0)
			(void)sched_yield();
		if (row == 0) {
			CHECK_HR(hm_gate_enter(host, 0), S_OK);
			hm_budget_refund(&host->budget, 100);
			hm_host_offer(host, HM_OFFER_MEMORY);
			CHECK_U32(waiter.wake, HM_WAKE_NOT);
			CHECK_HR(hm_gate_leave(host), S_OK);
		} else {
			struct hm_request visit;

			hm_request_visit(&visit, host);
			owner = (struct other){ .act = enter, .ms = 3600000 };
			other_start(&owner);
			while (hm_gate_is_open(host))
				(void)sched_yield();
			hm_budget_refund(&host->budget, 100);
			hm_host_offer(host, HM_OFFER_MEMORY);
			/* The clock stands still at the end: it gives up now. */
			CHECK(hm_clock_set_virtual(&host->clock, true));
			hm_clock_move(&host->clock, 3600000);
			CHECK_HR(other_end(&owner), HOST_E_TIMEOUT);
			hm_request_close(&visit);
		}
		CHECK_HR(other_end(&sleeper), S_OK);
		hm_budget_cancel(&host->budget, 100);
		check_at_rest();
	}
}

static void in_virtual_time_a_wait_with_a_limit_moves_the_clock(void)
{
	uint64_t begun;

	start();
	CHECK(hm_clock_set_virtual(&host->clock, true));
	begun = hm_clock_now(&host->clock);
	CHECK_HR(hm_gate_enter(host, 3600000), S_OK);
	CHECK_SIZE(hm_clock_now(&host->clock), begun);
	CHECK_HR(run_other(enter, 3600000), HOST_E_TIMEOUT);
	CHECK_SIZE(hm_clock_now(&host->clock), begun + 3600000);
	host->gate.patience = 500;
	CHECK_HR(run_other(pass_impatiently, 0), HOST_E_TIMEOUT);
	CHECK_SIZE(hm_clock_now(&host->clock), begun + 3600500);
	CHECK_HR(hm_gate_leave(host), S_OK);
	check_at_rest();
}

static void in_the_child(void)
{
	CHECK(hm_gate_is_open(host));
	CHECK_U32(asleep(), 0);
	CHECK_U32(hm_host_holds(host), 0);
	CHECK_HR(hm_gate_leave(host), HOST_E_NOT_OWNER);
	CHECK_HR(hm_gate_pass(host, HM_PATIENT), S_OK);
	CHECK_HR(hm_gate_enter(host, UINT32_MAX), S_OK);
	CHECK_HR(hm_gate_leave(host), S_OK);
	fake_host_end(&fake);
}

static void check_fork(void)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)alarm(60);
		tap_books.failures = 0;
		in_the_child();
		_exit(tap_failed());
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
}

static void a_fork_child_has_it_open(void)
{
	struct other owner, sleeper = { .act = enter, .ms = UINT32_MAX };

	start();
	own_elsewhere(&owner);
	other_start(&sleeper);
	wait_for_sleepers(1);
	tap_row("another thread's");
	check_fork();
	CHECK_HR(other_end(&owner), S_OK);
	CHECK_HR(other_end(&sleeper), S_OK);
	tap_row("its own");
	CHECK_HR(hm_gate_enter(host, 0), S_OK);
	check_fork();
	CHECK_HR(hm_gate_leave(host), S_OK);
	check_at_rest();
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(who_sleeps_does_not_count_and_goes_on_when_it_is_open);
	TAP_RUN(who_tries_from_inside_a_call_is_told_at_once);
	TAP_RUN(who_falls_asleep_meanwhile_is_not_mistaken);
	TAP_RUN(two_that_enter_from_inside_calls_do_not_wait_for_each_other);
	TAP_RUN(who_has_given_up_does_not_pass);
	TAP_RUN(who_holds_the_host_late_waits_at_the_gate);
	TAP_RUN(what_is_freed_while_it_is_closed_is_offered_when_it_opens);
	TAP_RUN(in_virtual_time_a_wait_with_a_limit_moves_the_clock);
	TAP_RUN(a_fork_child_has_it_open);
	return tap_done();
}
