/*
 * When a monitor looks, and what it makes known, in systems that are made up.
 */
#include "watcher.h"

#include "hostmem/os/loop.h"
#include "hostmem/os/thread.h"

/* ms until the loop has something to do by time. */
static int time_left(void)
{
	uv_update_time(&watcher.uv);
	return uv_backend_timeout(&watcher.uv);
}

static bool figures(struct hm_memory_load *load)
{
	return hm_monitor_figures(&watcher.fake.host.monitor, load);
}

static void look_now(void)
{
	hm_monitor_wake(&watcher.fake.host);
	watcher_run(2);
}

static void what_was_seen_is_known_from_the_first_look_to_the_end(void)
{
	struct hm_host *host = watcher_begin();
	struct hm_memory_load load;

	tree_v1();
	CHECK(!figures(&load));
	CHECK(!hm_monitor_runs(&host->monitor));
	watcher_start();
	CHECK(hm_monitor_runs(&host->monitor));
	if (CHECK(figures(&load))) {
		CHECK_U32(load.per_cent, 10);
		CHECK_SIZE(load.available, 1048576000 - 104857600);
		CHECK_SIZE(load.total, 1048576000);
	}
	hm_monitor_stop(host);
	CHECK(!figures(&load));
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
	CHECK(!figures(&load));
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
		CHECK(!figures(&load));
		CHECK_SIZE(host->availability.pressure.plenty_since, HM_PRESSURE_NEVER);
		/* What the host does itself is known all the same. */
		fake_limit(host, 100);
		hm_budget_charge(&host->budget, 95);
		look_now();
		CHECK_INT(host->availability.pressure.level, eMemoryAvailableLow);
		hm_budget_refund(&host->budget, 95);
		watcher_end();
	}
}

static void files_that_fail_are_opened_anew_within_a_second(void)
{
	struct hm_host *host = watcher_begin();
	struct hm_memory_load load;

	(void)host;
	tree_v1();
	watcher_start();
	/* The group is removed, and the process is in the one above it. */
	group_set("/m/a/b/memory.limit_in_bytes", NULL);
	group_set("/m/a/b/memory.usage_in_bytes", NULL);
	group_set("/proc/self/cgroup", "4:memory:/a\n");
	group_set("/m/a/memory.limit_in_bytes", "209715200\n");
	look_now();
	watcher_age(1000);
	if (CHECK(figures(&load))) {
		CHECK_U32(load.per_cent, 50);
		CHECK_SIZE(load.total, 209715200);
	}
	CHECK_HR(watcher_result(HostMemSourceGroupUsage), S_OK);
	watcher_end();
}

static void a_file_that_fails_is_opened_anew_though_no_limit_has_changed(void)
{
	unsigned opened;

	(void)watcher_begin();
	tree_v1();
	watcher_start();
	opened = groups_made.opened;
	group_file("/proc/meminfo")->read_error = EIO;
	look_now();
	CHECK_U32(groups_made.opened, opened);
	watcher_age(1000);
	CHECK(groups_made.opened > opened);
	watcher_end();
}

static void a_process_that_is_moved_is_found_after_ten_seconds(void)
{
	struct hm_memory_load load;

	(void)watcher_begin();
	tree_v1();
	watcher_start();
	group_set("/proc/self/cgroup", "4:memory:/x\n");
	group_set("/m/x/memory.limit_in_bytes", "209715200\n");
	group_set("/m/x/memory.usage_in_bytes", "104857600\n");
	group_set("/m/x/cgroup.event_control", "");
	watcher_age(9000);
	CHECK(figures(&load) && load.per_cent == 10);
	watcher_age(1000);
	CHECK(figures(&load) && load.per_cent == 50);
	watcher_end();
}

/* ---- Garbage ---- */

/* What lies below 0 is none. */
static void check_thresholds(void)
{
	unsigned long long bytes = 0;

	for (unsigned i = 0; i < groups_made.written; i++) {
		CHECK_INT(sscanf(groups_made.writes[i].text, "%*d %*d %llu", &bytes), 1);
		CHECK(bytes < (unsigned long long)INT64_MAX);
	}
}

/* `used` and `limit` of the group; no row may end otherwise than with a load of 0 to 100. */
static void figures_that_make_no_sense_are_no_limit(void)
{
	static const struct {
		const char *limit, *used;
		bool known;
		uint32_t load;
		size_t available;
	} rows[] = {
		{ "1000\n", "2000\n", true, 100, 0 },
		{ "0\n", "0\n", true, 100, 0 },
		{ "0\n", "4096\n", true, 100, 0 },
		{ "99\n", "1\n", true, 1, 98 },
		{ "max\n", "1\n", false, 0, 0 },
		{ "9223372036854775808\n", "1\n", false, 0, 0 },
		{ "18446744073709551616\n", "1\n", false, 0, 0 },
		{ "18446744073709551615\n", "1\n", false, 0, 0 },
		{ "-1\n", "1\n", false, 0, 0 },
		{ "", "1\n", false, 0, 0 },
		{ "1000 bytes\n", "1\n", false, 0, 0 },
		{ "1000", "500", true, 50, 500 },
		{ "1000\n", "9223372036854775808\n", false, 0, 0 },
		{ "1000\n", "many\n", false, 0, 0 },
		{ "9223372036854710271\n", "9223372036854710271\n", true, 100, 0 },
		{ "9223372036854710272\n", "1\n", false, 0, 0 },
		{ "104857600\n", "9223372036854710271\n", true, 100, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_memory_load load;

		tap_row("row %zu", i);
		(void)watcher_begin();
		group_set("/proc/meminfo", "");
		tree_v1();
		group_set("/m/a/b/memory.limit_in_bytes", rows[i].limit);
		group_set("/m/a/b/memory.usage_in_bytes", rows[i].used);
		watcher_start();
		if (CHECK(figures(&load) == rows[i].known) && rows[i].known) {
			CHECK_U32(load.per_cent, rows[i].load);
			CHECK_SIZE(load.available, rows[i].available);
			CHECK(time_left() <= 100 + (rows[i].load < 90) * 900);
		}
		check_thresholds();
		watcher_end();
	}
}

static char long_line[(1 << 20) + 64];

static void places_that_make_no_sense_are_no_groups(void)
{
	static const struct {
		const char *text;
		size_t size;
	} rows[] = {
		{ "4:memory:/a/../b\n", 0 },
		{ "4:memory:/..\n", 0 },
		{ "4:memory:a/b\n", 0 },
		{ "memory:/a/b\n", 0 },
		{ "4:memory:/a\0/b\n", 15 },
		{ "4:memory:", 0 },
		{ "\n\n\n", 0 },
		{ "x:memory", 0 },
		{ long_line, (1 << 20) + 10 },
		{ long_line, sizeof(long_line) },
	};

	memset(long_line, 'a', sizeof(long_line));
	memcpy(long_line, "4:memory:/", 10);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_memory_load load;

		tap_row("row %zu", i);
		(void)watcher_begin();
		tree_v1();
		group_set("/proc/self/cgroup", rows[i].text)->size = rows[i].size;
		watcher_start();
		/* The machine's own are what is left. */
		CHECK(figures(&load));
		CHECK_U32(load.per_cent, 10);
		CHECK_SIZE(load.total, (size_t)100 << 30);
		CHECK_HR(watcher_result(HostMemSourceGroupUsage), NOT_SUPPORTED);
		CHECK_U32(groups_made.written, 0);
		watcher_end();
	}
}

/* ---- Time ---- */

static void the_less_is_left_the_sooner_it_looks(void)
{
	static const struct {
		const char *used; /* of 8 GiB, of which 90 % are 7.2 */
		int least, most;  /* ms: so much space is half of the time at 6 GiB/s */
	} rows[] = {
		{ "1048576\n", 900, 1000 },
		{ "3865470566\n", 550, 600 }, /* 3.6 GiB left */
		{ "6442450944\n", 150, 200 }, /* 1.2 GiB left */
		{ "7516192768\n", 50, 100 },  /* 0.2 GiB left */
		{ "8589934592\n", 0, 100 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		int left;

		tap_row("row %zu", i);
		(void)watcher_begin();
		tree_v1();
		group_set("/m/a/b/memory.limit_in_bytes", "8589934592\n");
		group_set("/m/a/b/memory.usage_in_bytes", rows[i].used);
		watcher_start();
		left = time_left();
		/* A busy machine may have let it go by. */
		CHECK(left <= rows[i].most);
		if (left < rows[i].least)
			printf("# %d ms are left\n", left);
		watcher_end();
	}
}

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
	CHECK(time_left() <= 1000);
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
	TAP_RUN(files_that_fail_are_opened_anew_within_a_second);
	TAP_RUN(a_file_that_fails_is_opened_anew_though_no_limit_has_changed);
	TAP_RUN(a_process_that_is_moved_is_found_after_ten_seconds);
	TAP_RUN(figures_that_make_no_sense_are_no_limit);
	TAP_RUN(places_that_make_no_sense_are_no_groups);
	TAP_RUN(the_less_is_left_the_sooner_it_looks);
	TAP_RUN(a_look_by_time_is_counted_and_sets_the_next);
	TAP_RUN(a_budget_that_is_passed_rings_once);
	TAP_RUN(a_host_without_a_monitor_has_no_alarm);
	return tap_done();
}
