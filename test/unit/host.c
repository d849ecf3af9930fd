/*
 * A host's life: references, calls in flight, states, figures.
 */
#include "hostmem/host.h"
#include "fake.h"
#include "hostmem/os/thread.h"
#include "hostmem/request.h"
#include "test/callback.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fake_host fake, second;
static struct hm_host *host = &fake.host;

static void a_new_host_has_one_reference_and_runs(void)
{
	static const unsigned char zero[sizeof(HostMemUsage)];
	const size_t figures = offsetof(HostMemUsage, cbReserved);
	HostMemUsage usage;

	fake_host_init(&fake);
	usage = fake_usage(&fake);
	CHECK_HR(hm_host_check(host), S_OK);
	CHECK(!hm_host_abandoned(host));
	CHECK_INT(memcmp((char *)&usage + figures, zero, sizeof(usage) - figures), 0);
	CHECK_SIZE(host->budget.limit, SIZE_MAX);
	CHECK_POINTER(host->pages, &fake.pages.source);
	fake_host_end(&fake);
}

static void references_are_counted_and_the_last_one_ends_it(void)
{
	fake_host_init(&fake);
	CHECK_U32(hm_host_add_reference(host), 2);
	CHECK_U32(hm_host_add_reference(host), 3);
	CHECK_U32(hm_host_release(host), 2);
	CHECK_U32(hm_host_release(host), 1);
	CHECK_U32(fake.destroyed, 0);
	fake_host_end(&fake);
}

static void a_count_at_its_top_stays_there(void)
{
	fake_host_init(&fake);
	host->references = UINT32_MAX - 1;
	CHECK_U32(hm_host_add_reference(host), UINT32_MAX);
	CHECK_U32(hm_host_add_reference(host), UINT32_MAX);
	CHECK_U32(hm_host_release(host), UINT32_MAX);
	CHECK_U32(hm_host_release(host), UINT32_MAX);
	CHECK_U32(fake.destroyed, 0);
	host->references = 1;
	fake_host_end(&fake);
}

static void a_call_in_flight_outlives_the_references(void)
{
	fake_host_init(&fake);
	hm_host_hold(host);
	CHECK_U32(hm_host_release(host), 0);
	CHECK(hm_host_abandoned(host));
	CHECK_U32(fake.destroyed, 0);
	/* Nobody can refer to it any more. */
	CHECK_U32(hm_host_add_reference(host), 0);
	hm_host_drop(host);
	CHECK_U32(fake.destroyed, 1);
	CHECK_SIZE(hm_metadata_in_use(), fake.in_use);
}

static void a_host_that_has_ended_is_not_held_any_more(void)
{
	fake_host_init(&fake);
	CHECK(hm_host_try_hold(host));
	CHECK_U32(hm_host_holds(host), 1);
	CHECK_U32(hm_host_release(host), 0);
	/* Somebody is still there. */
	CHECK(hm_host_try_hold(host));
	hm_host_drop(host);
	CHECK_U32(fake.destroyed, 0);
	/* The one who ends it waits for what may come meanwhile. */
	atomic_store(&host->holds, 0);
	CHECK(!hm_host_try_hold(host));
	atomic_store(&host->holds, 0x80000000U);
	CHECK(!hm_host_try_hold(host));
	CHECK_U32(host->holds, 0x80000000U);
	atomic_store(&host->holds, 0x80000001U);
	CHECK(hm_host_try_hold(host));
	CHECK_U32(host->holds, 0x80000002U);
	atomic_store(&host->holds, 1);
	hm_host_drop(host);
	CHECK_U32(fake.destroyed, 1);
}

static void an_impossible_answer_puts_it_out_of_use(void)
{
	static const struct {
		HRESULT hr;
		HRESULT check;
	} rows[] = {
		{ S_OK, S_OK },
		{ S_FALSE, S_OK },
		{ E_OUTOFMEMORY, S_OK },
		{ E_INVALIDARG, S_OK },
		{ E_FAIL, HOST_E_CLRNOTAVAILABLE },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("0x%08x", (unsigned)rows[i].hr);
		fake_host_init(&fake);
		CHECK_HR(hm_host_result(host, rows[i].hr), rows[i].hr);
		CHECK_HR(hm_host_check(host), rows[i].check);
		fake_host_end(&fake);
	}
}

static void a_host_is_shut_down_once(void)
{
	fake_host_init(&fake);
	CHECK_HR(hm_host_shut_down(host), S_OK);
	CHECK_HR(hm_host_check(host), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(hm_host_shut_down(host), HOST_E_CLRNOTAVAILABLE);
	/* It stays shut down, whatever comes later. */
	CHECK_HR(hm_host_result(host, E_FAIL), E_FAIL);
	CHECK_U32(host->state, HM_HOST_SHUT_DOWN);
	fake_host_end(&fake);
	fake_host_init(&fake);
	CHECK_HR(hm_host_result(host, E_FAIL), E_FAIL);
	CHECK_HR(hm_host_shut_down(host), HOST_E_CLRNOTAVAILABLE);
	fake_host_end(&fake);
}

static _Atomic bool is_in, may_leave, has_left;

static void *call_in_flight(void *unused)
{
	hm_host_hold(host);
	atomic_store(&is_in, true);
	while (!atomic_load(&may_leave))
		hm_thread_yield();
	atomic_store(&has_left, true);
	hm_host_drop(host);
	return unused;
}

static void *shut_down(void *unused)
{
	CHECK_HR(hm_host_shut_down(host), S_OK);
	CHECK(atomic_load(&has_left));
	return unused;
}

static void shutting_down_waits_for_other_threads(void)
{
	pthread_t caller, closer;

	fake_host_init(&fake);
	CHECK_INT(pthread_create(&caller, NULL, call_in_flight, NULL), 0);
	while (!atomic_load(&is_in))
		hm_thread_yield();
	CHECK_INT(pthread_create(&closer, NULL, shut_down, NULL), 0);
	while (hm_host_check(host) == S_OK)
		hm_thread_yield();
	atomic_store(&may_leave, true);
	CHECK_INT(pthread_join(caller, NULL), 0);
	CHECK_INT(pthread_join(closer, NULL), 0);
	fake_host_end(&fake);
}

static void shut_down_here(struct listener *listener, const HostMemEvent *event)
{
	(void)listener, (void)event;
	CHECK_HR(hm_host_shut_down(host), S_OK);
}

static void shutting_down_does_not_wait_for_its_own_thread(void)
{
	struct listener ear = { .hook = shut_down_here };

	fake_host_init(&fake);
	listen(host, &ear, HM_EVENT_BIT(HostMemEventAllocate));
	OPEN(outer, HostMemCommit);
	CHECK_HR(fake_ask(&outer, 10), HOST_E_ABANDONED);
	hm_request_close(&outer);
	CHECK_U32(ear.count, 1);
	fake_host_end(&fake);
}

static void usage_tells_each_figure_in_its_place(void)
{
	HostMemUsage usage;

	fake_host_init(&fake);
	hm_figures_reserve(&host->figures, PAGE, 6);
	hm_figures_commit(&host->figures, 2);
	host->external.bytes = 3;
	host->budget.charged = 4;
	host->budget.peak = 5;
	host->refused_budget = 7;
	host->refused_callback = 8;
	host->failed_os = 9;
	usage = fake_usage(&fake);
	CHECK_U32(usage.cbSize, sizeof(usage));
	CHECK_SIZE(usage.cbReserved, PAGE);
	CHECK_SIZE(usage.cbCommitted, 2);
	CHECK_SIZE(usage.cbHeap, 0);
	CHECK_SIZE(usage.cbExternal, 3);
	CHECK_SIZE(usage.cbCharged, 4);
	CHECK_SIZE(usage.cbPeakCharged, 5);
	CHECK_SIZE(usage.cbRetained, 0);
	CHECK_SIZE(usage.cRegions, 6);
	CHECK_SIZE(usage.cBlocks, 0);
	CHECK_SIZE(usage.cRefusedBudget, 7);
	CHECK_SIZE(usage.cRefusedCallback, 8);
	CHECK_SIZE(usage.cRefusedInjected, 0);
	CHECK_SIZE(usage.cFailedOs, 9);
	CHECK_SIZE(usage.cNotifications, 0);
	host->budget.charged = 0;
	fake_host_end(&fake);
}

/* Subscribers that were not unsubscribed go with the host, retired ones too. */
static void its_subscribers_end_with_it(void)
{
	struct listener ears[3] = { { .count = 0 } };
	struct hm_subscriber *out;

	fake_host_init(&fake);
	for (size_t i = 0; i < ROWS(ears); i++)
		listen(host, &ears[i], ALL_EVENTS);
	hm_host_hold(host);
	CHECK_HR(hm_events_unsubscribe(&host->events, ears[1].cookie, &out), S_OK);
	CHECK_U32(hm_host_release(host), 0);
	hm_host_drop(host);
	CHECK_U32(fake.destroyed, 1);
	CHECK_SIZE(hm_metadata_in_use(), fake.in_use);
	CHECK_U32(ears[0].count + ears[1].count + ears[2].count, 0);
}

/* As a fork child finds two hosts that other threads were busy with. */
static void check_in_the_child(void)
{
	CHECK_U32(host->holds, 1);
	CHECK_SIZE(host->budget.claimed, 0);
	CHECK_U32(second.host.holds, 0);
	/* One without references or calls cannot end any more; the other does. */
	CHECK_U32(hm_host_release(host), 0);
	CHECK_U32(fake.destroyed, 1);
}

static void a_fork_child_forgets_the_calls_of_other_threads(void)
{
	HostMemReason reason;
	int status = -1;
	pid_t pid;

	fake_host_init(&fake);
	fake_host_init(&second);
	hm_host_hold(host);
	hm_host_hold(host);
	CHECK(hm_budget_admit(&host->budget, eTaskCritical, 100, &reason));
	hm_host_hold(&second.host);
	CHECK_U32(hm_host_release(&second.host), 0);
	pid = fork();
	if (pid == 0) {
		check_in_the_child();
		_exit(tap_failed());
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	hm_host_drop(&second.host);
	CHECK_U32(second.destroyed, 1);
	hm_budget_cancel(&host->budget, 100);
	hm_host_drop(host);
	hm_host_drop(host);
	fake_host_end(&fake);
}

static void hosts_may_go_in_any_order(void)
{
	static const unsigned orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 0, 2 },
					      { 1, 2, 0 }, { 0, 2, 1 }, { 2, 0, 1 } };
	static struct fake_host three[3];

	for (size_t i = 0; i < ROWS(orders); i++) {
		int status = -1;
		pid_t pid;

		for (size_t j = 0; j < 3; j++)
			fake_host_init(&three[j]);
		CHECK_U32(hm_host_release(&three[orders[i][0]].host), 0);
		CHECK_U32(hm_host_release(&three[orders[i][1]].host), 0);
		hm_host_hold(&three[orders[i][2]].host);
		/* Only a fork child walks the list of hosts; it must find this one. */
		pid = fork();
		if (pid == 0)
			_exit(three[orders[i][2]].host.holds != 1);
		CHECK_INT(waitpid(pid, &status, 0), pid);
		tap_row("order %zu", i);
		CHECK_INT(status, 0);
		hm_host_drop(&three[orders[i][2]].host);
		fake_host_end(&three[orders[i][2]]);
	}
}

static pid_t forked;

/* The child goes on from here, too, to the end of the test. */
static void fork_on_neutral(struct callback *callback, EMemoryAvailable available)
{
	(void)callback;
	if (available == eMemoryAvailableNeutral)
		forked = fork();
}

/* In the child the call in flight is not the last that holds the host: that has ended. */
static void a_fork_in_its_last_callback_ends_it_once_in_each_process(void)
{
	struct callback callback = callback_new();
	int status = 0;

	fake_host_init(&fake);
	callback.then = fork_on_neutral;
	hm_notify_register(host, &callback.iface);
	CHECK_HR(hm_availability_force(host, eMemoryAvailableLow), S_OK);
	fake_host_end(&fake);
	CHECK_HEARD(&callback, "12");
	CHECK_U32(callback.references, 1);
	if (forked == 0)
		_exit(tap_failed());
	CHECK_INT(waitpid(forked, &status, 0), forked);
	CHECK_INT(status, 0);
}

int main(void)
{
	TAP_RUN(a_new_host_has_one_reference_and_runs);
	TAP_RUN(references_are_counted_and_the_last_one_ends_it);
	TAP_RUN(a_count_at_its_top_stays_there);
	TAP_RUN(a_call_in_flight_outlives_the_references);
	TAP_RUN(a_host_that_has_ended_is_not_held_any_more);
	TAP_RUN(an_impossible_answer_puts_it_out_of_use);
	TAP_RUN(a_host_is_shut_down_once);
	TAP_RUN(shutting_down_waits_for_other_threads);
	TAP_RUN(shutting_down_does_not_wait_for_its_own_thread);
	TAP_RUN(usage_tells_each_figure_in_its_place);
	TAP_RUN(its_subscribers_end_with_it);
	TAP_RUN(a_fork_child_forgets_the_calls_of_other_threads);
	TAP_RUN(a_fork_in_its_last_callback_ends_it_once_in_each_process);
	TAP_RUN(hosts_may_go_in_any_order);
	return tap_done();
}
