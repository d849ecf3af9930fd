/*
 * What bounds memory, looked at again and again: files that stay open, and what is not there any
 * more.
 */
#include "hostmem/os/meminfo.h"
#include "bounds.h"
#include "groups.h"

#ifndef ROWS
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#endif

static struct hm_meminfo kept;

static bool look(void)
{
	bool whole;

	memset(&seen, 0, sizeof(seen));
	errno = GROUPS_ERRNO;
	whole = hm_meminfo_look(&kept, true, see, &seen);
	CHECK_INT(errno, GROUPS_ERRNO);
	return whole;
}

static void begin_kept(void)
{
	groups_begin();
	group_set("/proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\n");
	group_set("/proc/self/statm", "300 2 1 1 0 200 0\n");
	group_set("/proc/self/cgroup", "4:memory:/a\n");
	group_set("/proc/self/mountinfo", "2 1 0:2 / /m rw - cgroup c rw,memory\n");
	group_set("/m/a/memory.limit_in_bytes", "4096");
	group_set("/m/a/memory.usage_in_bytes", "1024");
	group_set("/m/memory.limit_in_bytes", "8192");
	group_set("/m/memory.usage_in_bytes", "2048");
	memset(&seen, 0, sizeof(seen));
	hm_meminfo_open(&kept, see, &seen);
}

static void end_kept(void)
{
	hm_meminfo_close(&kept);
	CHECK_INT(errno, GROUPS_ERRNO);
	/* Closed again is nothing. */
	hm_meminfo_close(&kept);
	groups_end();
}

static void files_that_are_kept_are_read_anew_and_not_opened(void)
{
	unsigned opened;

	begin_kept();
	/* Opening tells of the groups only, with their paths. */
	CHECK_U32(seen.count, 2);
	opened = groups_made.opened;
	for (unsigned i = 0; i < 5; i++) {
		group_set("/m/a/memory.usage_in_bytes", i % 2 == 0 ? "512" : "256");
		group_set("/proc/meminfo",
			  i % 2 == 0 ? "MemTotal: 1000 kB\nMemAvailable: 300 kB\n"
				     : "MemTotal: 1000 kB\nMemAvailable: 200 kB\n");
		CHECK(look());
		CHECK_U32(seen.count, 3);
		CHECK_BOUND(HM_BOUND_MACHINE, 1000 * KIB, (i % 2 == 0 ? 700 : 800) * KIB);
		CHECK_SIZE(seen.bounds[1].limit, 4096);
		CHECK_SIZE(seen.bounds[1].used, i % 2 == 0 ? 512 : 256);
		CHECK_SIZE(seen.bounds[2].limit, 8192);
	}
	CHECK_U32(groups_made.opened, opened);
	CHECK(!kept.partial);
	end_kept();
}

static void what_is_gone_is_said_and_left_out(void)
{
	static const struct {
		const char *path;
		unsigned left;
	} rows[] = {
		{ "/m/a/memory.usage_in_bytes", 2 },
		{ "/m/memory.usage_in_bytes", 2 },
		{ "/proc/meminfo", 2 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *text;

		tap_row("%s", rows[i].path);
		begin_kept();
		text = group_file(rows[i].path)->text;
		group_set(rows[i].path, NULL);
		CHECK(!look());
		CHECK_U32(seen.count, rows[i].left);
		group_set(rows[i].path, text);
		CHECK(look());
		CHECK_U32(seen.count, 3);
		end_kept();
	}
}

static unsigned counted;

static void count_group(void *state, const struct hm_memory_bound *bound)
{
	(void)state;
	counted += bound->kind == HM_BOUND_GROUP;
}

enum { DEEP = 20 };
static char deep[DEEP][2][128], member[64];

/* So many groups, each in the one before. */
static void set_deep(unsigned count)
{
	size_t length = (size_t)snprintf(member, sizeof(member), "4:memory:");

	for (unsigned i = 0; i < count; i++) {
		length += (size_t)snprintf(member + length, sizeof(member) - length,
					   "/%c", (int)('a' + i));
		(void)snprintf(deep[i][0], sizeof(deep[i][0]),
			       "/m%s/memory.limit_in_bytes", member + 9);
		(void)snprintf(deep[i][1], sizeof(deep[i][1]),
			       "/m%s/memory.usage_in_bytes", member + 9);
		group_set(deep[i][0], "4096");
		group_set(deep[i][1], "1024");
	}
	group_set("/proc/self/cgroup", member);
	group_set("/proc/self/mountinfo", "2 1 0:2 / /m rw - cgroup c rw,memory\n");
}

static void more_groups_than_are_kept_are_looked_up_each_time(void)
{
	for (unsigned groups = 15; groups <= 18; groups++) {
		tap_row("%u groups", groups);
		groups_begin();
		set_deep(groups);
		counted = 0;
		hm_meminfo_open(&kept, count_group, NULL);
		CHECK_U32(counted, groups);
		CHECK(kept.partial == (groups > HM_MEMINFO_GROUPS));
		counted = 0;
		(void)hm_meminfo_look(&kept, true, count_group, NULL);
		CHECK_U32(counted, groups);
		end_kept();
	}
}

static void without_any_file_there_is_nothing_to_say(void)
{
	groups_begin();
	memset(&seen, 0, sizeof(seen));
	hm_meminfo_open(&kept, see, &seen);
	CHECK(!look());
	CHECK_U32(seen.count, 0);
	end_kept();
}

int main(void)
{
	TAP_RUN(files_that_are_kept_are_read_anew_and_not_opened);
	TAP_RUN(what_is_gone_is_said_and_left_out);
	TAP_RUN(more_groups_than_are_kept_are_looked_up_each_time);
	TAP_RUN(without_any_file_there_is_nothing_to_say);
	return tap_done();
}
