/*
 * The gate: who owns it, who passes, who waits for how long.
 */
#include "other.h"

static void who_enters_owns_it_and_it_nests(void)
{
	start();
	CHECK(!hm_gate_is_mine(host));
	CHECK_HR(hm_gate_leave(host), HOST_E_NOT_OWNER);
	for (unsigned i = 0; i < 3; i++)
		CHECK_HR(hm_gate_enter(host, i == 1 ? 0 : UINT32_MAX), S_OK);
	CHECK(hm_gate_is_mine(host));
	CHECK(hm_gate_passes(host));
	CHECK_HR(run_other(leave, 0), HOST_E_NOT_OWNER);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(!hm_gate_is_open(host));
		CHECK_HR(run_other(enter, 0), HOST_E_TIMEOUT);
		CHECK_HR(hm_gate_leave(host), S_OK);
	}
	CHECK_HR(hm_gate_leave(host), HOST_E_NOT_OWNER);
	CHECK_HR(run_other(enter, 0), S_OK);
	check_at_rest();
}

/* Its owner does not leave before the others have given up. */
static void who_runs_out_of_time_gives_up_while_it_is_closed(void)
{
	start();
	CHECK_HR(hm_gate_enter(host, 0), S_OK);
	CHECK_HR(run_other(enter, 0), HOST_E_TIMEOUT);
	CHECK_HR(run_other(enter, 2), HOST_E_TIMEOUT);
	host->gate.patience = 2;
	CHECK_HR(run_other(pass_impatiently, 0), HOST_E_TIMEOUT);
	CHECK_U32(asleep(), 0);
	CHECK_U32(hm_host_holds(host), 0);
	CHECK_HR(hm_gate_leave(host), S_OK);
	check_at_rest();
}

enum { WAYS = 3 };

/* One thread in each way in which a gate is waited for, for ever; this one has it. */
static void wait_in_every_way(struct other others[WAYS])
{
	static HRESULT (*const acts[WAYS])(struct other *) = { enter, pass_patiently,
							       pass_impatiently };

	host->gate.patience = UINT32_MAX;
	CHECK_HR(hm_gate_enter(host, 0), S_OK);
	for (size_t i = 0; i < WAYS; i++) {
		others[i] = (struct other){ .act = acts[i], .ms = UINT32_MAX };
		other_start(&others[i]);
	}
	wait_for_sleepers(WAYS);
}

static void who_waits_goes_on_when_it_opens(void)
{
	struct other others[WAYS];

	start();
	wait_in_every_way(others);
	CHECK_HR(hm_gate_leave(host), S_OK);
	for (size_t i = 0; i < WAYS; i++)
		CHECK_HR(other_end(&others[i]), S_OK);
	check_at_rest();
}

static void the_end_of_the_host_ends_every_wait(void)
{
	struct other others[WAYS];

	start();
	wait_in_every_way(others);
	CHECK_HR(hm_host_shut_down(host), S_OK);
	for (size_t i = 0; i < WAYS; i++)
		CHECK_HR(other_end(&others[i]), HOST_E_ABANDONED);
	CHECK_HR(hm_gate_leave(host), S_OK);
	check_at_rest();
}

static HRESULT reserve(struct other *other)
{
	struct hm_request request;
	HRESULT hr;

	(void)other;
	CHECK_HR(hm_request_open(&request, host, HostMemCommit, eTaskCritical, NULL),
		 S_OK);
	hr = fake_ask(&request, 100);
	CHECK_U32(fake.destroyed, 0);
	if (SUCCEEDED(hr))
		(void)hm_request_refuse(&request, E_OUTOFMEMORY, HostMemBySystem);
	hm_request_close(&request);
	return hr;
}

/* In front of the system's part, where nobody but the request itself holds the host. */
static void the_last_release_ends_a_request_that_still_needs_the_host(void)
{
	struct other other = { .act = reserve };

	start();
	host->gate.patience = UINT32_MAX;
	CHECK_HR(hm_gate_enter(host, 0), S_OK);
	other_start(&other);
	wait_for_sleepers(1);
	CHECK_SIZE(host->budget.claimed, 0);
	CHECK_U32(hm_host_release(host), 0);
	CHECK_HR(other_end(&other), HOST_E_ABANDONED);
	CHECK_U32(fake.destroyed, 1);
	CHECK_SIZE(hm_metadata_in_use(), fake.in_use);
}

static void closing_waits_for_calls_in_flight_which_pass(void)
{
	struct other inside = { .act = stay_inside }, owner = { .act = enter };

	start();
	other_start(&inside);
	wait_until(&inside.ready);
	CHECK_HR(hm_gate_enter(host, 0), HOST_E_TIMEOUT);
	CHECK_HR(hm_gate_enter(host, 2), HOST_E_TIMEOUT);
	CHECK(hm_gate_is_open(host));
	owner.ms = UINT32_MAX;
	other_start(&owner);
	while (hm_gate_is_open(host))
		(void)sched_yield();
	/* It is closed for us, and not yet its owner's. */
	CHECK_HR(other_end(&inside), S_OK);
	CHECK_HR(other_end(&owner), S_OK);
	check_at_rest();
}

static void own_calls_in_flight_do_not_count(void)
{
	struct hm_request outer, inner;

	start();
	hm_request_visit(&outer, host);
	hm_request_visit(&inner, host);
	CHECK_HR(hm_gate_enter(host, 0), S_OK);
	hm_request_close(&inner);
	CHECK_HR(run_other(enter, 0), HOST_E_TIMEOUT);
	CHECK_HR(hm_gate_leave(host), S_OK);
	hm_request_close(&outer);
	check_at_rest();
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(who_enters_owns_it_and_it_nests);
	TAP_RUN(who_runs_out_of_time_gives_up_while_it_is_closed);
	TAP_RUN(who_waits_goes_on_when_it_opens);
	TAP_RUN(the_end_of_the_host_ends_every_wait);
	TAP_RUN(the_last_release_ends_a_request_that_still_needs_the_host);
	TAP_RUN(closing_waits_for_calls_in_flight_which_pass);
	TAP_RUN(own_calls_in_flight_do_not_count);
	return tap_done();
}
