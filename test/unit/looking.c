/*
 * What a look finds in systems that are made up, and when the next one comes.
 */
#include "watcher.h"

#include "hostmem/looking.h"

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
	watcher_look();
	watcher_age(1000);
	if (CHECK(watcher_figures(&load))) {
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
	watcher_look();
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
	CHECK(watcher_figures(&load) && load.per_cent == 10);
	watcher_age(1000);
	CHECK(watcher_figures(&load) && load.per_cent == 50);
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
		if (CHECK(watcher_figures(&load) == rows[i].known) && rows[i].known) {
			CHECK_U32(load.per_cent, rows[i].load);
			CHECK_SIZE(load.available, rows[i].available);
			CHECK(watcher_time_left() <= 100 + (rows[i].load < 90) * 900);
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
		CHECK(watcher_figures(&load));
		CHECK_U32(load.per_cent, 10);
		CHECK_SIZE(load.total, (size_t)100 << 30);
		CHECK_HR(watcher_result(HostMemSourceGroupUsage), NOT_SUPPORTED);
		CHECK_U32(groups_made.written, 0);
		watcher_end();
	}
}

/* ---- When it looks again ---- */

/* A group of 8 GiB; whether somebody tells of its usage, and the ms until the next look. */
static struct hm_host *begin_large(bool told)
{
	struct hm_host *host = watcher_begin();

	tree_v1();
	group_set("/m/a/b/memory.limit_in_bytes", "8589934592\n");
	group_set("/m/a/b/memory.usage_in_bytes", "1048576\n");
	if (!told)
		group_file("/m/a/b/cgroup.event_control")->open_error = EACCES;
	watcher_start();
	CHECK_HR(watcher_result(HostMemSourceGroupUsage), told ? S_OK : E_ACCESSDENIED);
	return host;
}

static uint64_t next_with(struct hm_host *host, const char *used)
{
	struct hm_look look;

	group_set("/m/a/b/memory.usage_in_bytes", used);
	hm_look_read(host, &look, true);
	return hm_look_next(host, &look);
}

/* Of 8 GiB, of which 90 % are 7.2: ms in which 6 GiB a second fill what is left. */
static const struct {
	const char *used;
	uint64_t alone, told;
} large[] = {
	{ "1048576\n", 1000, 1000 },
	{ "3865470566\n", 600, 600 },
	{ "6442450944\n", 200, 500 },
	{ "7516192768\n", 100, 500 },
	/* Low: nothing tells that it is over. */
	{ "8589934592\n", 100, 100 },
};

static void the_less_is_left_the_sooner_it_looks(void)
{
	for (unsigned told = 0; told < 2; told++) {
		for (size_t i = 0; i < ROWS(large); i++) {
			uint64_t want = told ? large[i].told : large[i].alone;
			struct hm_host *host = begin_large(told != 0);
			uint64_t next;

			tap_row("row %zu, %s", i, told ? "told" : "alone");
			(void)next_with(host, large[i].used);
			(void)hm_availability_watch(host);
			next = next_with(host, large[i].used);
			CHECK(next <= want && next >= want - want / 20);
			watcher_end();
		}
	}
}

/* As much of the cache as is above the threshold hides what else is used. */
static void usage_that_is_mostly_cache_is_not_told_of(void)
{
	struct hm_host *host = begin_large(true);

	CHECK_SIZE(next_with(host, "6442450944\n"), 500);
	group_set("/m/a/b/memory.stat", "total_inactive_file 1073741824\n");
	watcher_age(HOUR);
	CHECK(next_with(host, "8160437862\n") < 110);
	watcher_end();
}

static void what_fills_up_quickly_is_looked_at_soon(void)
{
	static const struct {
		const char *before, *now;
		uint64_t most;
		bool quick;
	} rows[] = {
		{ "7408000000\n", "7408000000\n", 100, false },
		{ "7408000000\n", "7420000000\n", 100, false },
		{ "7408000000\n", "7440000000\n", 50, true },
		{ "7440000000\n", "7700000000\n", 10, true },
		/* What gets more is in no hurry. */
		{ "7700000000\n", "7440000000\n", 100, false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_host *host = begin_large(false);
		uint64_t next;

		tap_row("row %zu", i);
		(void)next_with(host, rows[i].before);
		next = next_with(host, rows[i].now);
		CHECK(next <= rows[i].most);
		CHECK((next < 100) == rows[i].quick);
		CHECK(next >= 10);
		watcher_end();
	}
}

int main(void)
{
	TAP_RUN(files_that_fail_are_opened_anew_within_a_second);
	TAP_RUN(a_file_that_fails_is_opened_anew_though_no_limit_has_changed);
	TAP_RUN(a_process_that_is_moved_is_found_after_ten_seconds);
	TAP_RUN(figures_that_make_no_sense_are_no_limit);
	TAP_RUN(places_that_make_no_sense_are_no_groups);
	TAP_RUN(the_less_is_left_the_sooner_it_looks);
	TAP_RUN(usage_that_is_mostly_cache_is_not_told_of);
	TAP_RUN(what_fills_up_quickly_is_looked_at_soon);
	return tap_done();
}
