/*
 * When a monitor looks, and what it makes known, in systems that are made up.
 */
#include "watcher.h"

#include "hostmem/os/loop.h"
#include "hostmem/os/thread.h"

static void what_was_seen_is_known_from_the_first_look_to_the_end(void)
{
	struct hm_host *host = watcher_begin();
	struct hm_memory_load load;

	tree_v1();
	CHECK(!watcher_figures(&load));
	CHECK(!hm_monitor_runs(&host->monitor));
	watcher_start();
	CHECK(hm_monitor_runs(&host->monitor));
	if (CHECK(watcher_figures(&load))) {
		CHECK_U32(load.per_cent, 10);
		CHECK_SIZE(load.available, 1048576000 - 104857600);
		CHECK_SIZE(load.total, 1048576000);
	}
	hm_monitor_stop(host);
	CHECK(!watcher_figures(&load));
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++)
		CHECK_HR(watcher_result((HostMemSource)i), S_FALSE);
	watcher_end();
}

static void before_somebody_registers_it_reads_nothing(void)
{
	struct hm_memory_load load;

	(void)watcher_begin();
	hm_monitor_wake(&watcher.fake.host);
	watcher_run(3);
	CHECK_U32(groups_made.opened, 0);
	CHECK(!watcher_figures(&load));
	CHECK_HR(watcher_result(HostMemSourceTimer), S_FALSE);
	watcher_end();
}

static void make_unreadable(bool opened)
{
	static const char *const all[] = {
		"/proc/meminfo",
		"/proc/self/statm",
		"/m/a/b/memory.limit_in_bytes",
		"/m/a/b/memory.usage_in_bytes",
		"/m/a/memory.limit_in_bytes",
		"/m/a/memory.usage_in_bytes",
	};

	for (size_t i = 0; i < ROWS(all); i++) {
		if (opened)
			group_file(all[i])->open_error = EMFILE;
		else
			group_file(all[i])->read_error = EIO;
	}
}

/* Neither as plenty, nor as any other figure. */
static void what_cannot_be_read_is_not_known(void)
{
	for (unsigned way = 0; way < 2; way++) {
		struct hm_host *host = watcher_begin();
		struct hm_memory_load load;

		tap_row("%s", way != 0 ? "open" : "read");
		tree_v1();
		make_unreadable(way != 0);
		watcher_start();
		CHECK(!watcher_figures(&load));
		CHECK_SIZE(host->availability.pressure.plenty_since, HM_PRESSURE_NEVER);
		/* What the host does itself is known all the same. */
		fake_limit(host, 100);
		hm_budget_charge(&host->budget, 95);
		watcher_look();
		CHECK_INT(host->availability.pressure.level, eMemoryAvailableLow);
		hm_budget_refund(&host->budget, 95);
		watcher_end();
	}
}

/* ---- Time ---- */

static void a_look_by_time_is_counted_and_sets_the_next(void)
{
	(void)watcher_begin();
	tree_v1();
	watcher_start();
	(void)alarm(60);
	while (watcher_calls(HostMemSourceTimer) < 2) {
		(void)uv_run(&watcher.uv, UV_RUN_NOWAIT);
		hm_thread_yield();
	}
	(void)alarm(0);
	CHECK(watcher_time_left() <= 1000);
	CHECK_SIZE(watcher_calls(HostMemSourceBudget), 0);
	watcher_end();
}

/* ---- The budget ---- */

static void a_budget_that_is_passed_rings_once(void)
{
	struct hm_host *host = watcher_begin();

	fake_limit(host, 1000);
	watcher_start();
	CHECK_SIZE(host->budget.alarm, 899);
	hm_budget_charge(&host->budget, 899);
	hm_monitor_ring(host);
	CHECK_SIZE(watcher_calls(HostMemSourceBudget), 0);
	hm_budget_charge(&host->budget, 1);
	hm_monitor_ring(host);
	hm_monitor_ring(host);
	CHECK_SIZE(watcher_calls(HostMemSourceBudget), 1);
	watcher_run(1);
	CHECK_INT(host->availability.pressure.level, eMemoryAvailableLow);
	CHECK_SIZE(host->budget.alarm, SIZE_MAX);
	hm_budget_refund(&host->budget, 900);
	watcher_end();
}

/* Nothing else tells in time of a group that becomes full by the host's own requests. */
static void taking_a_sixteenth_of_what_is_left_causes_a_look(void)
{
	const size_t left = 1048576000 - 104857600;
	struct hm_host *host = watcher_begin();
	struct hm_memory_load load;

	tree_v2();
	watcher_start();
	CHECK_SIZE(host->budget.alarm, left / 16);
	group_set("/g/c/d/memory.current", "167772160\n");
	hm_budget_charge(&host->budget, left / 16);
	hm_monitor_ring(host);
	watcher_run(2);
	CHECK(watcher_figures(&load));
	CHECK_SIZE(load.available, left);
	hm_budget_charge(&host->budget, 1);
	hm_monitor_ring(host);
	watcher_run(2);
	CHECK_SIZE(watcher_calls(HostMemSourceBudget), 1);
	CHECK(watcher_figures(&load));
	CHECK_SIZE(load.available, 1048576000 - 167772160);
	CHECK_SIZE(host->budget.alarm, left / 16 + 1 + load.available / 16);
	/* Where there is little left, each MiB does. */
	group_set("/g/c/d/memory.max", "67108864\n");
	group_set("/g/c/d/memory.current", "54525952\n");
	hm_monitor_wake(host);
	watcher_run(2);
	CHECK_SIZE(host->budget.alarm, left / 16 + 1 + MIB);
	hm_budget_refund(&host->budget, left / 16 + 1);
	watcher_end();
}

static void a_host_without_a_monitor_has_no_alarm(void)
{
	struct hm_host *host = watcher_begin();

	fake_limit(host, 1000);
	CHECK_SIZE(host->budget.alarm, SIZE_MAX);
	watcher_start();
	CHECK_SIZE(host->budget.alarm, 899);
	CHECK_HR(hm_availability_set_virtual(host, true), S_OK);
	CHECK_SIZE(host->budget.alarm, SIZE_MAX);
	CHECK_HR(hm_availability_set_virtual(host, false), S_OK);
	watcher_run(2);
	CHECK_SIZE(host->budget.alarm, 899);
	watcher_end();
}

int main(void)
{
	TAP_RUN(what_was_seen_is_known_from_the_first_look_to_the_end);
	TAP_RUN(before_somebody_registers_it_reads_nothing);
	TAP_RUN(what_cannot_be_read_is_not_known);
	TAP_RUN(a_look_by_time_is_counted_and_sets_the_next);
	TAP_RUN(a_budget_that_is_passed_rings_once);
	TAP_RUN(taking_a_sixteenth_of_what_is_left_causes_a_look);
	TAP_RUN(a_host_without_a_monitor_has_no_alarm);
	return tap_done();
}
