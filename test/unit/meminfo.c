/*
 * What bounds memory, from files that no kernel has written.
 */
#include "hostmem/os/meminfo.h"
#include "files.h"

#include <sys/resource.h>

#define KIB ((uint64_t)1 << 10)

enum { MOST = 8 };

static struct {
	unsigned count;
	struct hm_memory_bound bounds[MOST];
} seen;

static void see(void *state, const struct hm_memory_bound *bound)
{
	CHECK_POINTER(state, &seen);
	if (CHECK(seen.count < MOST))
		seen.bounds[seen.count++] = *bound;
}

static void visit(const struct file *those)
{
	memset(&seen, 0, sizeof(seen));
	files_begin(those);
	hm_meminfo_visit(see, &seen);
	files_end();
}

/* The bound of that kind, which is the only one; NULL: there is none. */
static const struct hm_memory_bound *find(enum hm_memory_bounds kind)
{
	const struct hm_memory_bound *found = NULL;

	for (unsigned i = 0; i < seen.count; i++) {
		if (seen.bounds[i].kind != kind)
			continue;
		CHECK(found == NULL);
		found = &seen.bounds[i];
	}
	return found;
}

#define CHECK_BOUND(kind, wanted, wanted_used) \
	do { \
		const struct hm_memory_bound *bound = find(kind); \
		if (CHECK(bound != NULL)) { \
			CHECK_SIZE(bound->limit, (wanted)); \
			CHECK_SIZE(bound->used, (wanted_used)); \
		} \
	} while (0)

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
	TAP_RUN(the_kernels_own_files_make_sense);
	return tap_done();
}
