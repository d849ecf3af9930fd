/*
 * The monitor in a control group of version 1 of the test's own, below the one that it runs
 * in: thresholds wake it before the limit is reached, and whatever becomes of the group, it
 * does not spin.
 *
 * Where there is no hierarchy with memory, or no right to make a group in it, this is skipped.
 * The group is removed whatever happens to the process in it.
 */
#include "group.h"
#include "monitor.h"

#include <time.h>

#define GROUP_LIMIT (256 * MIB)

/* ---- In it ---- */

static struct watched watched;

/* A part of the load is that of the group: the machine may be at 0 to 90 per cent. */
static bool begin_there(void)
{
	HostMemThresholds thresholds = short_times();
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	if (!CHECK(write_file(group, "cgroup.procs", "0")) ||
	    !watched_make(&watched, &config))
		return false;
	thresholds.dwCalmLoad = 80;
	thresholds.cbScarce = thresholds.cbEnough = 0;
	CHECK_HR(IHostMemoryMonitor_SetThresholds(watched.monitor, &thresholds), S_OK);
	CHECK_HR(IHostMemorySimulator_ClearMemoryLoad(watched.simulator), S_OK);
	CHECK_HR(watched_register(&watched), S_OK);
	while (source_result(watched.monitor, HostMemSourceTimer) == S_FALSE)
		(void)usleep(500);
	wait_for_looks(&watched);
	if (atomic_load(&watched.callback.calls) != 0) {
		tap_skip("memory is short on this machine");
		return false;
	}
	if (CHECK_HR(source_result(watched.monitor, HostMemSourceGroupUsage), S_OK))
		return true;
	return false;
}

static char *fill(size_t bytes)
{
	char *pages = vm_new(&watched.host, bytes, MEM_COMMIT, PAGE_READWRITE);

	memset(pages, 1, bytes);
	return pages;
}

static void fill_and_drop(void)
{
	uint64_t before;
	char *pages;

	if (!begin_there())
		return;
	before = source_calls(watched.monitor, HostMemSourceGroupUsage);
	pages = fill(235 * MIB);
	wait_for_told(&watched, 1);
	CHECK_HEARD(&watched.callback, "1");
	CHECK(source_calls(watched.monitor, HostMemSourceGroupUsage) > before);
	give_pages(&watched, pages);
	wait_for_told(&watched, 2);
	CHECK_HEARD(&watched.callback, "2");
	CHECK_HR(source_result(watched.monitor, HostMemSourceGroupUsage), S_OK);
	watched_end(&watched);
}

static void change_the_limit(void)
{
	char *pages;

	if (!begin_there())
		return;
	pages = fill(100 * MIB);
	wait_for_looks(&watched);
	CHECK_HEARD(&watched.callback, "");
	CHECK(set_limit(105 * MIB));
	wait_for_told(&watched, 1);
	CHECK_HEARD(&watched.callback, "1");
	CHECK(set_limit(GROUP_LIMIT));
	wait_for_told(&watched, 2);
	CHECK_HEARD(&watched.callback, "2");
	/* The thresholds have followed. */
	wait_for_looks(&watched);
	give_pages(&watched, pages);
	pages = fill(235 * MIB);
	wait_for_told(&watched, 3);
	CHECK_HEARD(&watched.callback, "1");
	give_pages(&watched, pages);
	wait_for_told(&watched, 4);
	CHECK_HR(source_result(watched.monitor, HostMemSourceGroupUsage), S_OK);
	watched_end(&watched);
}

static uint64_t all_calls(void)
{
	uint64_t calls = 0;

	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++)
		calls += source_calls(watched.monitor, (HostMemSource)i);
	return calls;
}

/* Ten looks a second at most by time, and fifty for each source. */
static void check_does_not_spin(void)
{
	struct timespec begin, now;
	uint64_t before = all_calls();
	uint64_t looks = source_calls(watched.monitor, HostMemSourceTimer);
	double seconds;

	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	while (source_calls(watched.monitor, HostMemSourceTimer) < looks + 3)
		(void)usleep(1000);
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	seconds = (double)(now.tv_sec - begin.tv_sec) +
		  (double)(now.tv_nsec - begin.tv_nsec) / 1e9;
	CHECK((double)(all_calls() - before) <= (seconds + 1) * 60);
}

static void leave_and_remove(void)
{
	char *pages;

	if (!begin_there())
		return;
	CHECK(write_file(own, "cgroup.procs", "0"));
	check_does_not_spin();
	CHECK_INT(rmdir(group), 0);
	check_does_not_spin();
	/* What it needs it has still. */
	pages = fill(MIB);
	give_pages(&watched, pages);
	CHECK_HR(source_result(watched.monitor, HostMemSourceTimer), S_OK);
	watched_end(&watched);
}

static void run_in_a_group(void (*body)(void))
{
	if (!make_group(GROUP_LIMIT))
		return;
	in_child(body);
	remove_group();
}

static void a_group_that_fills_is_low_before_its_limit(void)
{
	run_in_a_group(fill_and_drop);
}

static void a_limit_that_changes_is_noticed(void)
{
	run_in_a_group(change_the_limit);
}

static void a_group_that_is_left_and_removed_does_not_call_for_ever(void)
{
	run_in_a_group(leave_and_remove);
}

int main(void)
{
	(void)atexit(remove_group);
	TAP_RUN(a_group_that_fills_is_low_before_its_limit);
	TAP_RUN(a_limit_that_changes_is_noticed);
	TAP_RUN(a_group_that_is_left_and_removed_does_not_call_for_ever);
	return tap_done();
}
