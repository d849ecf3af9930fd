/*
 * What bounds memory, from files that no kernel has written.
 */
#include "hostmem/os/meminfo.h"
#include "bounds.h"
#include "files.h"

#include <sys/resource.h>

static void visit(const struct file *those)
{
	memset(&seen, 0, sizeof(seen));
	files_begin(those);
	hm_meminfo_visit(see, &seen);
	files_end();
}

static void the_machine_has_what_is_available(void)
{
	static const struct {
		const char *text;
		uint64_t total, used; /* KiB; 0, 0: no bound */
	} rows[] = {
		{ "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   400 kB\n", 1000,
		  600 },
		{ "MemAvailable: 400 kB\nMemTotal: 1000 kB", 1000, 600 },
		{ "MemTotal: 1000 kB\nMemAvailable: 1200 kB\n", 1000, 0 },
		{ "MemTotal: 1000 kB\nMemFree: 10 kB\n", 0, 0 },
		{ "MemTotal: many kB\nMemAvailable: 1 kB\n", 0, 0 },
		{ "MemTotal: 1000\nMemAvailable: 1\n", 0, 0 },
		{ "MemTotal: 1000 MB\nMemAvailable: 1 MB\n", 0, 0 },
		{ "MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n", 0, 0 },
		{ "MemTotal: 9007199254740993000 kB\nMemAvailable: 1 kB\n", 0, 0 },
		{ "\n", 0, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct file those[] = { { "/proc/meminfo", rows[i].text, 0 },
					      { NULL, NULL, 0 } };

		tap_row("row %zu", i);
		visit(those);
		if (rows[i].total != 0)
			CHECK_BOUND(HM_BOUND_MACHINE, rows[i].total * KIB,
				    rows[i].used * KIB);
		CHECK_U32(seen.count, rows[i].total != 0);
	}
}

/* Lowers a limit for one visit. */
static void visit_with(int which, rlim_t limit, const struct file *those)
{
	struct rlimit before, now;

	if (!CHECK(getrlimit((__rlimit_resource_t)which, &before) == 0))
		return;
	now = before;
	now.rlim_cur = limit;
	CHECK(setrlimit((__rlimit_resource_t)which, &now) == 0);
	visit(those);
	CHECK(setrlimit((__rlimit_resource_t)which, &before) == 0);
}

static void limits_of_the_process_are_bounds(void)
{
	static const struct file those[] = {
		{ "/proc/self/statm", "300 2 1 1 0 200 0\n", 0 }, { NULL, NULL, 0 }
	};
	static const char *const broken[] = { "", "300", "300 2 1 1 0 x 0\n",
					      "300 2 1 1 0 200" };

	visit_with(RLIMIT_DATA, (rlim_t)1 << 40, those);
	CHECK_U32(seen.count, 1);
	CHECK_BOUND(HM_BOUND_DATA, (uint64_t)1 << 40, 200 * 4096);
	visit_with(RLIMIT_AS, (rlim_t)1 << 46, those);
	CHECK_U32(seen.count, 1);
	CHECK_BOUND(HM_BOUND_ADDRESSES, (uint64_t)1 << 46, 300 * 4096);
	for (size_t i = 0; i < ROWS(broken); i++) {
		const struct file file[] = { { "/proc/self/statm", broken[i], 0 },
					     { NULL, NULL, 0 } };

		tap_row("\"%s\"", broken[i]);
		visit_with(RLIMIT_DATA, (rlim_t)1 << 40, file);
		CHECK_U32(seen.count, 0);
	}
}

static void groups_are_bounds(void)
{
	static const struct file those[] = {
		{ "/proc/self/cgroup", "4:memory:/a\n0::/b\n", 0 },
		{ "/proc/self/mountinfo",
		  "2 1 0:2 / /m rw - cgroup c rw,memory\n3 1 0:3 / /g rw - cgroup2 c "
		  "rw\n",
		  0 },
		{ "/m/a/memory.limit_in_bytes", "4096", 0 },
		{ "/m/a/memory.usage_in_bytes", "1024", 0 },
		{ "/m/memory.limit_in_bytes", "9223372036854771712", 0 },
		{ "/m/memory.usage_in_bytes", "2048", 0 },
		{ "/g/b/memory.max", "0", 0 },
		{ "/g/b/memory.current", "8192", 0 },
		{ NULL, NULL, 0 },
	};

	visit(those);
	CHECK_U32(seen.count, 3);
	CHECK_SIZE(seen.bounds[0].limit, 4096);
	CHECK_SIZE(seen.bounds[0].used, 1024);
	CHECK_U32(seen.bounds[0].version, 1);
	CHECK_SIZE(seen.bounds[1].limit, UINT64_MAX);
	CHECK_SIZE(seen.bounds[1].used, 2048);
	CHECK_SIZE(seen.bounds[2].limit, 0);
	CHECK_SIZE(seen.bounds[2].used, 8192);
	CHECK_U32(seen.bounds[2].version, 2);
}

/* ---- Again and again ---- */

static struct hm_meminfo meminfo;

/* Another text for a file that is open: of the same length. */
static void rewrite(int file, const char *text)
{
	CHECK(pwrite(file, text, strlen(text), 0) == (ssize_t)strlen(text));
}

static bool look(bool anew)
{
	memset(&seen, 0, sizeof(seen));
	errno = ERRNO;
	return hm_meminfo_look(&meminfo, anew, see, &seen);
}

static void begin_looking(const struct file *those)
{
	files_begin(those);
	memset(&seen, 0, sizeof(seen));
	hm_meminfo_open(&meminfo, see, &seen);
}

static void end_looking(void)
{
	hm_meminfo_close(&meminfo);
	files_end();
}

static void the_machine_is_read_only_when_all_is(void)
{
	static const struct file those[] = {
		{ "/proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\n", 0 },
		{ NULL, NULL, 0 },
	};

	begin_looking(those);
	/* It has to begin somewhere. */
	CHECK(look(false));
	CHECK_BOUND(HM_BOUND_MACHINE, 1000 * KIB, 600 * KIB);
	rewrite(meminfo.machine, "MemTotal: 1000 kB\nMemAvailable: 300 kB\n");
	CHECK(look(false));
	CHECK_BOUND(HM_BOUND_MACHINE, 1000 * KIB, 600 * KIB);
	CHECK(look(true));
	CHECK_BOUND(HM_BOUND_MACHINE, 1000 * KIB, 700 * KIB);
	CHECK(look(false));
	CHECK_BOUND(HM_BOUND_MACHINE, 1000 * KIB, 700 * KIB);
	end_looking();
}

/* A limit of a thousand blocks and a bit, so that one block is what is little. */
static const struct file group_files[] = {
	{ "/proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\n", 0 },
	{ "/proc/self/cgroup", "4:memory:/a\n", 0 },
	{ "/proc/self/mountinfo", "2 1 0:2 / /m rw - cgroup c rw,memory\n", 0 },
	{ "/m/a/memory.limit_in_bytes", "4194304\n", 0 },
	{ "/m/a/memory.usage_in_bytes", "2000000\n", 0 },
	{ "/m/a/memory.stat", "total_inactive_file 500000\n", 0 },
	{ "/m/memory.limit_in_bytes", "9223372036854771712\n", 0 },
	{ "/m/memory.usage_in_bytes", "3000000\n", 0 },
	{ NULL, NULL, 0 },
};

static void the_cache_of_a_group_is_read_when_usage_moves(void)
{
	static const struct {
		const char *usage, *cache;
		bool anew;
		uint64_t used;
	} rows[] = {
		{ "2000000\n", "500000", false, 1500000 },
		{ "2000000\n", "700000", false, 1500000 },
		{ "2004096\n", "700000", false, 1504096 },
		{ "1995904\n", "700000", false, 1495904 },
		{ "2004097\n", "700000", false, 1304097 },
		{ "2000002\n", "800000", false, 1300002 },
		{ "2000000\n", "800000", true, 1200000 },
		{ "1000000\n", "900000", false, 100000 },
		/* By and by is as far as at once. */
		{ "1003000\n", "800000", false, 103000 },
		{ "1006000\n", "800000", false, 206000 },
		/* What cannot be is none. */
		{ "0000001\n", "900000", false, 0 },
	};

	begin_looking(group_files);
	for (size_t i = 0; i < ROWS(rows); i++) {
		char cache[64];

		tap_row("row %zu", i);
		snprintf(cache, sizeof(cache), "total_inactive_file %s\n", rows[i].cache);
		rewrite(meminfo.groups[0].files.used, rows[i].usage);
		rewrite(meminfo.groups[0].files.cache, cache);
		CHECK(look(rows[i].anew));
		CHECK_U32(seen.count, 3);
		CHECK_SIZE(seen.bounds[1].limit, 4194304);
		CHECK_SIZE(seen.bounds[1].used, rows[i].used);
	}
	tap_row("%s", "");
	end_looking();
}

static void a_limit_is_seen_at_once_and_a_first_one_when_all_is_read(void)
{
	begin_looking(group_files);
	CHECK(look(true));
	rewrite(meminfo.groups[0].files.limit, "4000000\n");
	rewrite(meminfo.groups[1].files.limit, "9000000\n");
	CHECK(look(false));
	CHECK_SIZE(seen.bounds[1].limit, 4000000);
	CHECK_SIZE(seen.bounds[2].limit, UINT64_MAX);
	CHECK(look(true));
	CHECK_SIZE(seen.bounds[2].limit, 9000000);
	CHECK_SIZE(seen.bounds[2].used, 3000000);
	end_looking();
}

static void a_group_that_is_gone_is_missed(void)
{
	begin_looking(group_files);
	CHECK(look(true));
	CHECK_INT(ftruncate(meminfo.groups[0].files.used, 0), 0);
	CHECK(!look(false));
	CHECK_U32(seen.count, 2);
	CHECK_INT(ftruncate(meminfo.groups[1].files.used, 0), 0);
	CHECK(!look(true));
	CHECK_U32(seen.count, 1);
	end_looking();
}

static void the_kernels_own_files_make_sense(void)
{
	const struct hm_memory_bound *machine;

	memset(&seen, 0, sizeof(seen));
	errno = ERRNO;
	hm_meminfo_visit(see, &seen);
	CHECK_INT(errno, ERRNO);
	machine = find(HM_BOUND_MACHINE);
	if (CHECK(machine != NULL)) {
		CHECK(machine->limit > (uint64_t)64 << 20);
		CHECK(machine->used > 0 && machine->used < machine->limit);
	}
}

int main(void)
{
	TAP_RUN(the_machine_has_what_is_available);
	TAP_RUN(limits_of_the_process_are_bounds);
	TAP_RUN(groups_are_bounds);
	TAP_RUN(the_machine_is_read_only_when_all_is);
	TAP_RUN(the_cache_of_a_group_is_read_when_usage_moves);
	TAP_RUN(a_limit_is_seen_at_once_and_a_first_one_when_all_is_read);
	TAP_RUN(a_group_that_is_gone_is_missed);
	TAP_RUN(the_kernels_own_files_make_sense);
	return tap_done();
}
