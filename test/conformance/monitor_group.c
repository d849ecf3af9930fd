/*
 * The monitor in a control group of version 1 of the test's own, below the one that it runs
 * in: thresholds wake it before the limit is reached, and whatever becomes of the group, it
 * does not spin.
 *
 * Where there is no hierarchy with memory, or no right to make a group in it, this is skipped.
 * The group is removed whatever happens to the process in it.
 */
#include "child.h"
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#define MIB ((size_t)1 << 20)
#define GROUP_LIMIT (256 * MIB)

static char own[400], group[450];

/* ---- The group ---- */

static bool write_file(const char *directory, const char *name, const char *text)
{
	char path[sizeof(group) + 64];
	int file;
	bool written;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = open(path, O_WRONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	written = write(file, text, strlen(text)) == (ssize_t)strlen(text);
	(void)close(file);
	return written;
}

static bool set_limit(size_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%zu", bytes);
	return write_file(group, "memory.limit_in_bytes", text);
}

/* Our own group of version 1, where Debian and all others mount it. */
static bool find_own(void)
{
	FILE *file = fopen("/proc/self/cgroup", "r");
	char line[512], rest[350];
	bool found = false;

	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
		found = sscanf(line, "%*u:memory:%349s", rest) == 1;
		if (found)
			snprintf(own, sizeof(own), "/sys/fs/cgroup/memory%s", rest);
	}
	if (file != NULL)
		(void)fclose(file);
	return found;
}

static void remove_group(void)
{
	if (group[0] == '\0')
		return;
	/* Who was in it may be on its way out. */
	for (unsigned i = 0; i < 500 && rmdir(group) != 0 && errno == EBUSY; i++)
		(void)usleep(10000);
	group[0] = '\0';
}

static bool make_group(void)
{
	if (SANITIZED) {
		tap_skip("what a sanitizer needs for itself does not fit in the group");
		return false;
	}
	if (!find_own()) {
		tap_skip("no hierarchy of control groups with memory, version 1");
		return false;
	}
	snprintf(group, sizeof(group), "%s/hostmem-test-%d", own, (int)getpid());
	if (mkdir(group, 0755) != 0) {
		group[0] = '\0';
		tap_skip("no control group can be made here");
		return false;
	}
	if (set_limit(GROUP_LIMIT))
		return true;
	remove_group();
	tap_skip("no limit can be set here");
	return false;
}

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
	if (!make_group())
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
