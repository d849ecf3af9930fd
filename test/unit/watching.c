/*
 * What a monitor watches, in systems that are made up.
 */
#include "watcher.h"

#include <sys/wait.h>
#include "hostmem/os/thread.h"

#define EVENT_CONTROL "/m/a/b/cgroup.event_control"

/* A threshold that was written for the eventfd that is watched; the usage file is any. */
static unsigned thresholds_at(unsigned long long bytes)
{
	char tail[32];
	unsigned count = 0;
	int event, usage;

	(void)snprintf(tail, sizeof(tail), " %llu", bytes);
	for (unsigned i = 0; i < groups_made.written; i++) {
		const struct group_write *write = &groups_made.writes[i];
		size_t length = strlen(write->text);

		if (strcmp(write->path, EVENT_CONTROL) != 0 || length < strlen(tail) ||
		    strcmp(write->text + length - strlen(tail), tail) != 0)
			continue;
		CHECK_SIZE(write->size, length + 1);
		CHECK_INT(sscanf(write->text, "%d %d", &event, &usage), 2);
		CHECK_INT(event, groups_made.event);
		CHECK(usage >= 0 && usage != event);
		count++;
	}
	return count;
}

static void thresholds_stand_where_a_judgement_changes(void)
{
	/* 90, 85 and 75 %, and what leaves 64 and 192 MiB. */
	static const unsigned long long wanted[] = {
		943718400,
		891289600,
		786432000,
		1048576000 - (64 << 20),
		1048576000 - (192 << 20),
	};

	(void)watcher_begin();
	tree_v1();
	watcher_start();
	CHECK_U32(groups_made.written, ROWS(wanted));
	for (size_t i = 0; i < ROWS(wanted); i++) {
		tap_row("%llu", wanted[i]);
		CHECK_U32(thresholds_at(wanted[i]), 1);
	}
	CHECK_HR(watcher_result(HostMemSourceBudget), S_OK);
	CHECK_HR(watcher_result(HostMemSourceTimer), S_OK);
	CHECK_HR(watcher_result(HostMemSourceGroupUsage), S_OK);
	CHECK_HR(watcher_result(HostMemSourceGroupEvents), NOT_SUPPORTED);
	CHECK_HR(watcher_result(HostMemSourceSomeStalled), NOT_SUPPORTED);
	CHECK_HR(watcher_result(HostMemSourceAllStalled), NOT_SUPPORTED);
	CHECK_U32(watcher_files(HostMemSourceGroupUsage), 1);
	watcher_end();
}

static void what_does_not_change_is_not_watched_anew(void)
{
	(void)watcher_begin();
	tree_v1();
	watcher_start();
	CHECK_U32(groups_made.events, 1);
	for (unsigned i = 0; i < 5; i++)
		watcher_age(10000);
	CHECK_U32(groups_made.events, 1);
	CHECK_U32(groups_made.written, 5);
	watcher_end();
}

static void a_limit_that_changes_is_watched_anew_at_the_next_look(void)
{
	struct hm_host *host = watcher_begin();
	struct hm_pressure_rules rules = hm_pressure_defaults;

	tree_v1();
	watcher_start();
	group_set("/m/a/b/memory.limit_in_bytes", "2097152000\n");
	hm_monitor_wake(host);
	watcher_run(2);
	CHECK_U32(groups_made.events, 2);
	CHECK_U32(thresholds_at(1887436800), 1);
	/* One more that has a limit, at the next look as well. */
	group_set("/m/a/memory.limit_in_bytes", "1048576000\n");
	hm_monitor_wake(host);
	watcher_run(2);
	CHECK_U32(groups_made.events, 3);
	CHECK_U32(groups_made.written, 20);
	/* And so for other rules. */
	rules.low_load = 95;
	CHECK_HR(hm_availability_set_rules(host, &rules), S_OK);
	watcher_run(2);
	CHECK_U32(groups_made.events, 4);
	CHECK_U32(thresholds_at(1992294400), 1);
	CHECK_U32(watcher_files(HostMemSourceGroupUsage), 1);
	/* No limit is nothing to watch. */
	group_set("/m/a/memory.limit_in_bytes", no_limit_v1);
	group_set("/m/a/b/memory.limit_in_bytes", no_limit_v1);
	hm_monitor_wake(host);
	watcher_run(2);
	CHECK_HR(watcher_result(HostMemSourceGroupUsage), NOT_FOUND);
	CHECK_U32(watcher_files(HostMemSourceGroupUsage), 0);
	watcher_end();
}

/* Each row says what is refused, and what becomes of the source. */
static void a_threshold_that_cannot_be_set_says_why(void)
{
	static const struct {
		int event_error, control_error, write_error;
		HRESULT result;
	} rows[] = {
		{ EMFILE, 0, 0, TOO_MANY_FILES }, { ENFILE, 0, 0, TOO_MANY_FILES },
		{ ENOMEM, 0, 0, E_OUTOFMEMORY },  { 0, EACCES, 0, E_ACCESSDENIED },
		{ 0, EROFS, 0, E_ACCESSDENIED },  { 0, 0, EPERM, E_ACCESSDENIED },
		{ 0, 0, EINVAL, NOT_SUPPORTED },  { 0, ENOENT, 0, NOT_SUPPORTED },
		{ 0, EMFILE, 0, TOO_MANY_FILES }, { 0, 0, ENOMEM, E_OUTOFMEMORY },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		(void)watcher_begin();
		tree_v1();
		groups_made.event_error = rows[i].event_error;
		group_file(EVENT_CONTROL)->open_error = rows[i].control_error;
		group_file(EVENT_CONTROL)->write_error = rows[i].write_error;
		watcher_start();
		CHECK_HR(watcher_result(HostMemSourceGroupUsage), rows[i].result);
		CHECK_U32(watcher_files(HostMemSourceGroupUsage), 0);
		/* Nothing is said about an event file that there is not. */
		if (rows[i].event_error != 0)
			CHECK_U32(groups_made.written, 0);
		/* It is tried again. */
		groups_made.event_error = 0;
		group_file(EVENT_CONTROL)->open_error = 0;
		group_file(EVENT_CONTROL)->write_error = 0;
		watcher_age(10000);
		CHECK_HR(watcher_result(HostMemSourceGroupUsage), S_OK);
		CHECK_U32(watcher_files(HostMemSourceGroupUsage), 1);
		watcher_end();
	}
}

static void usage_that_passes_a_threshold_causes_a_look(void)
{
	const uint64_t one = 1;
	struct hm_host *host = watcher_begin();
	struct hm_memory_load load;

	tree_v1();
	watcher_start();
	CHECK(hm_monitor_figures(&host->monitor, &load));
	CHECK_U32(load.per_cent, 10);
	group_set("/m/a/b/memory.usage_in_bytes", "996147200\n");
	/* Such looks keep their distance. */
	(void)usleep(5000);
	CHECK(write(groups_made.event, &one, sizeof(one)) > 0);
	watcher_run(2);
	CHECK_SIZE(watcher_calls(HostMemSourceGroupUsage), 1);
	CHECK(hm_monitor_figures(&host->monitor, &load));
	CHECK_U32(load.per_cent, 95);
	CHECK_INT(host->availability.pressure.level, eMemoryAvailableLow);
	watcher_run(2);
	CHECK_SIZE(watcher_calls(HostMemSourceGroupUsage), 1);
	watcher_end();
}

/* It shares the kernel's list of what is waited for, as long as it does not renew that. */
static void a_fork_child_that_ends_its_host_takes_nothing_from_the_parent(void)
{
	const uint64_t one = 1;
	struct hm_host *host = watcher_begin();
	int status = 0;
	pid_t child;

	tree_v1();
	watcher_start();
	fflush(stdout);
	child = fork();
	if (child == 0) {
		hm_monitor_after_fork(host);
		hm_monitor_stop(host);
		_exit(0);
	}
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(status, 0);
	CHECK(write(groups_made.event, &one, sizeof(one)) > 0);
	watcher_run(2);
	CHECK_SIZE(watcher_calls(HostMemSourceGroupUsage), 1);
	watcher_end();
}

/* ---- Version 2 ---- */

static void groups_of_version_2_have_one_file_each(void)
{
	(void)watcher_begin();
	tree_v2();
	watcher_start();
	CHECK_HR(watcher_result(HostMemSourceGroupUsage), NOT_SUPPORTED);
	CHECK_HR(watcher_result(HostMemSourceGroupEvents), S_OK);
	CHECK_U32(watcher_files(HostMemSourceGroupEvents), 2);
	CHECK_HR(watcher_result(HostMemSourceSomeStalled), S_OK);
	CHECK_HR(watcher_result(HostMemSourceAllStalled), S_OK);
	CHECK_U32(groups_written("/g/c/d/memory.pressure", "some 100000 2000000"), 1);
	CHECK_U32(groups_written("/g/c/d/memory.pressure", "full 100000 2000000"), 1);
	CHECK_U32(groups_made.events, 0);
	watcher_end();
}

/* Neither of the two has a limit. */
static void stalls_are_those_of_the_group_in_which_the_process_is(void)
{
	struct hm_host *host = watcher_begin();

	tree_v2();
	group_set("/g/c/d/memory.max", "max\n");
	group_set("/g/c/memory.max", "max\n");
	group_set("/g/e/memory.max", "max\n");
	group_set("/g/e/memory.current", "104857600\n");
	group_set("/g/e/memory.pressure", "some avg10=0\n")->watched = true;
	watcher_start();
	CHECK_U32(groups_written("/g/c/d/memory.pressure", "full 100000 2000000"), 1);
	group_set("/proc/self/cgroup", "0::/e\n");
	watcher_age(10000);
	hm_monitor_wake(host);
	watcher_run(2);
	CHECK_U32(groups_written("/g/e/memory.pressure", "some 100000 2000000"), 1);
	CHECK_U32(groups_written("/g/e/memory.pressure", "full 100000 2000000"), 1);
	CHECK_HR(watcher_result(HostMemSourceAllStalled), S_OK);
	CHECK_U32(watcher_files(HostMemSourceSomeStalled), 1);
	CHECK_U32(watcher_files(HostMemSourceAllStalled), 1);
	watcher_end();
}

static void a_source_that_calls_too_often_is_left_out_and_tried_again(void)
{
	struct hm_host *host = watcher_begin();

	tree_v2();
	group_set("/g/c/memory.max", "max\n");
	watcher_start();
	CHECK_U32(watcher_files(HostMemSourceGroupEvents), 1);
	group_storm("/g/c/d/memory.events");
	/* So that the second does not end in between. */
	for (unsigned i = 0; i < 200; i++) {
		for (unsigned slot = 0; slot < HM_MONITOR_FILES; slot++)
			host->monitor.watched[slot].since = hm_thread_now();
		watcher_run(1);
		if (watcher_calls(HostMemSourceGroupEvents) < 50)
			CHECK_HR(watcher_result(HostMemSourceGroupEvents), S_OK);
	}
	CHECK_SIZE(watcher_calls(HostMemSourceGroupEvents), 50);
	CHECK_HR(watcher_result(HostMemSourceGroupEvents), E_ABORT);
	CHECK_U32(watcher_files(HostMemSourceGroupEvents), 0);
	CHECK_HR(watcher_result(HostMemSourceSomeStalled), S_OK);
	watcher_age(5000);
	CHECK_HR(watcher_result(HostMemSourceGroupEvents), E_ABORT);
	watcher_age(10000);
	CHECK_HR(watcher_result(HostMemSourceGroupEvents), S_OK);
	CHECK_U32(watcher_files(HostMemSourceGroupEvents), 1);
	watcher_end();
}

static void a_source_that_is_dead_is_left_out_at_once(void)
{
	(void)watcher_begin();
	tree_v2();
	watcher_start();
	group_file("/g/c/d/memory.pressure")->read_error = ENODEV;
	/* The one that was opened last is that of all tasks. */
	group_storm("/g/c/d/memory.pressure");
	watcher_run(10);
	CHECK_SIZE(watcher_calls(HostMemSourceAllStalled), 1);
	CHECK_HR(watcher_result(HostMemSourceAllStalled), E_ABORT);
	/* What it said last was no stall. */
	CHECK_INT(watcher.fake.host.availability.pressure.level, eMemoryAvailableNeutral);
	CHECK_HR(watcher_result(HostMemSourceSomeStalled), S_OK);
	watcher_end();
}

static void all_tasks_that_stand_still_make_memory_short(void)
{
	struct hm_host *host = watcher_begin();

	tree_v2();
	watcher_start();
	CHECK_INT(host->availability.pressure.level, eMemoryAvailableNeutral);
	group_set("/g/c/d/memory.pressure",
		  "some total=200000\nfull avg10=1.00 total=150000\n");
	group_storm("/g/c/d/memory.pressure");
	watcher_run(1);
	CHECK_INT(host->availability.pressure.level, eMemoryAvailableLow);
	watcher_end();
}

/* ---- No room ---- */

/* Twenty groups, one in the other, all with a limit. */
enum { DEEP = 20 };
static char deep_paths[DEEP][3][128], deep_member[128];

static void tree_deep(unsigned count)
{
	static const char *const names[] = { "memory.max", "memory.current",
					     "memory.events" };
	size_t length = (size_t)snprintf(deep_member, sizeof(deep_member), "0::");

	for (unsigned i = 0; i < count; i++) {
		length += (size_t)snprintf(deep_member + length,
					   sizeof(deep_member) - length, "/%c",
					   (int)('a' + i));
		for (unsigned n = 0; n < 3; n++) {
			(void)snprintf(deep_paths[i][n], sizeof(deep_paths[i][n]),
				       "/g%s/%s", deep_member + 3, names[n]);
			group_set(deep_paths[i][n], "1048576000\n")->watched = n == 2;
		}
		group_set(deep_paths[i][1], "1048576\n");
	}
	group_set("/proc/self/cgroup", deep_member);
	group_set("/proc/self/mountinfo", "3 1 0:3 / /g rw - cgroup2 c rw\n");
}

static void more_groups_than_slots_are_looked_at_all_the_same(void)
{
	struct hm_host *host = watcher_begin();
	struct hm_memory_load load;

	tree_deep(DEEP);
	watcher_start();
	CHECK_HR(watcher_result(HostMemSourceGroupEvents), E_OUTOFMEMORY);
	CHECK_U32(watcher_files(HostMemSourceGroupEvents), HM_MONITOR_FILES);
	/* The outermost is one of those that cannot be kept open. */
	CHECK(host->monitor.meminfo.partial);
	group_set(deep_paths[0][1], "996147200\n");
	hm_monitor_wake(host);
	watcher_run(2);
	CHECK(hm_monitor_figures(&host->monitor, &load));
	CHECK_U32(load.per_cent, 95);
	watcher_end();
}

static void ten_groups_stay_watched(void)
{
	(void)watcher_begin();
	tree_deep(10);
	watcher_start();
	for (unsigned i = 0; i < 5; i++) {
		tap_row("time %u", i);
		CHECK_HR(watcher_result(HostMemSourceGroupEvents), S_OK);
		CHECK_U32(watcher_files(HostMemSourceGroupEvents), 10);
		watcher_age(10000);
	}
	watcher_end();
}

int main(void)
{
	TAP_RUN(thresholds_stand_where_a_judgement_changes);
	TAP_RUN(what_does_not_change_is_not_watched_anew);
	TAP_RUN(a_limit_that_changes_is_watched_anew_at_the_next_look);
	TAP_RUN(a_threshold_that_cannot_be_set_says_why);
	TAP_RUN(usage_that_passes_a_threshold_causes_a_look);
	TAP_RUN(a_fork_child_that_ends_its_host_takes_nothing_from_the_parent);
	TAP_RUN(groups_of_version_2_have_one_file_each);
	TAP_RUN(stalls_are_those_of_the_group_in_which_the_process_is);
	TAP_RUN(a_source_that_calls_too_often_is_left_out_and_tried_again);
	TAP_RUN(a_source_that_is_dead_is_left_out_at_once);
	TAP_RUN(all_tasks_that_stand_still_make_memory_short);
	TAP_RUN(more_groups_than_slots_are_looked_at_all_the_same);
	TAP_RUN(ten_groups_stay_watched);
	return tap_done();
}
