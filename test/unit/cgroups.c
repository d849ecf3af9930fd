/*
 * Control groups: lines that a kernel writes and lines that none does, and trees of both
 * hierarchies.
 */
#include "hostmem/os/cgroups.h"
#include "files.h"

#define MIB ((uint64_t)1 << 20)

/* ---- Lines ---- */

static void a_number_of_bytes_is_a_number_or_no_limit(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} rows[] = {
		{ "0", 0 },
		{ "4096\n", 4096 },
		{ "max\n", UINT64_MAX },
		{ "", UINT64_MAX },
		{ "\n", UINT64_MAX },
		{ "-1\n", UINT64_MAX },
		{ " 1", UINT64_MAX },
		{ "12a", UINT64_MAX },
		{ "12 ", UINT64_MAX },
		{ "0x10", UINT64_MAX },
		{ "9223372036854771712\n", UINT64_MAX }, /* version 1's "none" */
		{ "9223372036854710272\n",
		  UINT64_MAX }, /* the same with pages of 64 KiB */
		{ "9223372036854710271\n", 9223372036854710271U },
		{ "18446744073709551615", UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX },
		{ "99999999999999999999999999", UINT64_MAX },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("\"%s\"", rows[i].text);
		CHECK_SIZE(hm_cgroup_parse_bytes(rows[i].text, strlen(rows[i].text)),
			   rows[i].bytes);
	}
}

static void our_group_is_told_by_one_line(void)
{
	static const struct {
		const char *line;
		const char *first, *second; /* the path by version; NULL = none */
	} rows[] = {
		{ "4:memory:/a/b", "/a/b", NULL },
		{ "4:cpu,memory:/a", "/a", NULL },
		{ "4:memory,cpu:/", "/", NULL },
		{ "0::/user.slice", NULL, "/user.slice" },
		{ "0::/with:colon", NULL, "/with:colon" },
		{ "4:memory2:/a", NULL, NULL },
		{ "1:name=systemd:/a", NULL, NULL },
		{ "1::/a", NULL, NULL },
		{ "0:cpu:/a", NULL, NULL },
		{ "4:memory:a", NULL, NULL },
		{ "4:memory:", NULL, NULL },
		{ "4:memory", NULL, NULL },
		{ "4:memory:/a/../b", NULL, NULL },
		{ "0::/..", NULL, NULL },
		{ "0::/../other", NULL, NULL },
		{ "0::/a/..b/...", NULL, "/a/..b/..." },
		{ "", NULL, NULL },
		{ "::", NULL, NULL },
	};
	char path[HM_CGROUP_PATH];

	for (size_t i = 0; i < ROWS(rows); i++) {
		for (unsigned version = 1; version <= 2; version++) {
			const char *want = version == 1 ? rows[i].first : rows[i].second;

			tap_row("%s, version %u", rows[i].line, version);
			CHECK(hm_cgroup_parse_member(rows[i].line, strlen(rows[i].line),
						     version, path) == (want != NULL));
			if (want != NULL)
				CHECK(strcmp(path, want) == 0);
		}
	}
	tap_row("a NUL");
	CHECK(!hm_cgroup_parse_member("0::/a\0b", 7, 2, path));
}

static void a_path_that_is_too_long_is_not_seen(void)
{
	char line[HM_CGROUP_PATH + 64] = "0::/", path[HM_CGROUP_PATH];
	size_t most = HM_CGROUP_PATH - 1;

	memset(line + 4, 'x', sizeof(line) - 4);
	CHECK(hm_cgroup_parse_member(line, 3 + most, 2, path));
	CHECK_SIZE(strlen(path), most);
	CHECK(!hm_cgroup_parse_member(line, 3 + most + 1, 2, path));
}

#define V1 " rw - cgroup cgroup rw,memory"
#define V2 " rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate"

static void a_mount_tells_where_a_group_is(void)
{
	static const struct {
		const char *line, *path;
		unsigned version;
		const char *place; /* NULL = it does not */
		size_t top;
	} rows[] = {
		{ "31 23 0:28 / /sys/fs/cgroup/memory" V1, "/a/b", 1,
		  "/sys/fs/cgroup/memory/a/b", 21 },
		{ "31 23 0:28 / /sys/fs/cgroup" V2, "/", 2, "/sys/fs/cgroup", 14 },
		{ "31 23 0:28 /docker/x /c" V1, "/docker/x", 1, "/c", 2 },
		{ "31 23 0:28 /docker/x /c" V1, "/docker/x/y", 1, "/c/y", 2 },
		{ "31 23 0:28 /docker/x /c" V1, "/docker/xy", 1, NULL, 0 },
		{ "31 23 0:28 /docker/x /c" V1, "/", 1, NULL, 0 },
		{ "31 23 0:28 / /my\\040groups" V2, "/a", 2, "/my groups/a", 10 },
		{ "31 23 0:28 / /a\\01" V2, "/a", 2, "/a\\01/a", 5 },
		{ "31 23 0:28 / /c" V1, "/a", 2, NULL, 0 },
		{ "31 23 0:28 / /c" V2, "/a", 1, NULL, 0 },
		{ "31 23 0:28 / /c rw - cgroup cgroup rw,cpu", "/a", 1, NULL, 0 },
		{ "31 23 0:28 / /c rw - tmpfs memory rw,memory", "/a", 1, NULL, 0 },
		{ "31 23 0:28 / /c rw cgroup cgroup rw,memory", "/a", 1, NULL, 0 },
		{ "31 23 0:28 / c" V1, "/a", 1, NULL, 0 },
		{ "31 23 0:28 /.. /c" V1, "/a", 1, NULL, 0 },
		{ "31 23", "/a", 1, NULL, 0 },
		{ "", "/a", 1, NULL, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_cgroup_place place = { .version = 7 };

		tap_row("%s, %s", rows[i].line, rows[i].path);
		CHECK(hm_cgroup_parse_mount(rows[i].line, strlen(rows[i].line),
					    rows[i].version, rows[i].path,
					    &place) == (rows[i].place != NULL));
		CHECK_U32(place.version, rows[i].place != NULL ? rows[i].version : 7);
		if (rows[i].place == NULL)
			continue;
		CHECK(strcmp(place.path, rows[i].place) == 0);
		CHECK_SIZE(place.top, rows[i].top);
	}
}

static void a_place_has_room_for_the_names_in_it(void)
{
	static const char line[] = "1 2 0:1 / /c rw - cgroup2 c rw";
	struct hm_cgroup_place place;
	char path[HM_CGROUP_PATH] = "/";
	size_t most = HM_CGROUP_PATH - 2 - 32;

	memset(path + 1, 'x', most - 1);
	CHECK(hm_cgroup_parse_mount(line, strlen(line), 2, path, &place));
	path[most] = 'x';
	CHECK(!hm_cgroup_parse_mount(line, strlen(line), 2, path, &place));
}

/* ---- Trees ---- */

struct walk {
	unsigned count;
	char paths[8][64];
	uint64_t limits[8], used[8];
};

static void note(void *state, struct hm_cgroup *group)
{
	struct walk *walk = state;

	if (!CHECK(walk->count < 8))
		return;
	snprintf(walk->paths[walk->count], sizeof(walk->paths[0]), "%s", group->path);
	walk->limits[walk->count] = group->limit;
	walk->used[walk->count++] = group->used;
}

static struct walk walk_tree(const struct file *tree, unsigned version)
{
	struct hm_cgroup_place place;
	struct walk walk = { .count = 0 };

	files_begin(tree);
	hm_cgroup_find(version, &place);
	hm_cgroup_walk(&place, note, &walk);
	files_end();
	return walk;
}

static void every_group_up_to_the_top_of_version_1(void)
{
	static const struct file tree[] = {
		{ "/proc/self/cgroup", "9:cpu:/z\n4:memory:/a/b\n0::/\n", 0 },
		{ "/proc/self/mountinfo",
		  "1 0 8:1 / / rw - ext4 d rw\n2 1 0:2 / /m rw - cgroup c rw,memory\n",
		  0 },
		{ "/m/a/b/memory.limit_in_bytes", "7340032\n", 0 },
		{ "/m/a/b/memory.usage_in_bytes", "5242880\n", 0 },
		{ "/m/a/b/memory.stat", "inactive_file 1\ntotal_inactive_file 1048576\n",
		  0 },
		{ "/m/a/memory.limit_in_bytes", "67108864\n", 0 },
		{ "/m/a/memory.usage_in_bytes", "33554432\n", 0 },
		{ "/m/memory.limit_in_bytes", "9223372036854771712\n", 0 },
		{ "/m/memory.usage_in_bytes", "104857600\n", 0 },
		{ NULL, NULL, 0 },
	};
	struct walk walk = walk_tree(tree, 1);

	CHECK_U32(walk.count, 3);
	CHECK_STR(walk.paths[0], "/m/a/b");
	CHECK_SIZE(walk.limits[0], 7 * MIB);
	CHECK_SIZE(walk.used[0], 4 * MIB);
	CHECK_STR(walk.paths[1], "/m/a");
	CHECK_SIZE(walk.limits[1], 64 * MIB);
	CHECK_SIZE(walk.used[1], 32 * MIB);
	CHECK_STR(walk.paths[2], "/m");
	CHECK_SIZE(walk.limits[2], UINT64_MAX);
	CHECK_U32(walk_tree(tree, 2).count, 0);
}

static void both_limits_of_version_2_count(void)
{
	static const struct file tree[] = {
		{ "/proc/self/cgroup", "0::/s/x.service", 0 },
		{ "/proc/self/mountinfo", "2 1 0:2 / /g rw - cgroup2 c rw", 0 },
		{ "/g/s/x.service/memory.max", "max\n", 0 },
		{ "/g/s/x.service/memory.high", "2097152\n", 0 },
		{ "/g/s/x.service/memory.current", "1048576\n", 0 },
		{ "/g/s/x.service/memory.stat", "anon 5\ninactive_file 2097152\n", 0 },
		{ "/g/s/memory.max", "8388608\n", 0 },
		{ "/g/s/memory.high", "max\n", 0 },
		{ "/g/s/memory.current", "7340032\n", 0 },
		{ NULL, NULL, 0 },
	};
	struct walk walk = walk_tree(tree, 2);

	CHECK_U32(walk.count, 2); /* the root does not tell */
	CHECK_SIZE(walk.limits[0], 2 * MIB);
	CHECK_SIZE(walk.used[0], 0); /* more cache than it uses: it is not one moment */
	CHECK_SIZE(walk.limits[1], 8 * MIB);
	CHECK_SIZE(walk.used[1], 7 * MIB);
}

static void what_makes_no_sense_is_no_limit(void)
{
	static const char *const nonsense[] = { "",   "\n",  "lots",
						"-5", "1e9", "18446744073709551616",
						"4 4" };
	struct file tree[] = {
		{ "/proc/self/cgroup", "0::/", 0 },
		{ "/proc/self/mountinfo", "2 1 0:2 / /g rw - cgroup2 c rw", 0 },
		{ "/g/memory.current", "4096", 0 },
		{ "/g/memory.max", NULL, 0 },
		{ "/g/memory.stat", "inactive_file lots\n", 0 },
		{ NULL, NULL, 0 },
	};

	for (size_t i = 0; i < ROWS(nonsense); i++) {
		struct walk walk;

		tap_row("\"%s\"", nonsense[i]);
		tree[3].text = nonsense[i];
		walk = walk_tree(tree, 2);
		CHECK_U32(walk.count, 1);
		CHECK_SIZE(walk.limits[0], UINT64_MAX);
		CHECK_SIZE(walk.used[0], 4096);
	}
}

static void without_these_files_there_are_no_groups(void)
{
	static const struct file none[] = { { NULL, NULL, 0 } };
	static const struct file unmounted[] = { { "/proc/self/cgroup", "0::/a", 0 },
						 { "/proc/self/mountinfo", "", 0 },
						 { NULL, NULL, 0 } };
	static const struct file gone[] = {
		{ "/proc/self/cgroup", "0::/a (deleted)", 0 },
		{ "/proc/self/mountinfo", "2 1 0:2 / /g rw - cgroup2 c rw", 0 },
		{ NULL, NULL, 0 },
	};

	for (unsigned version = 1; version <= 2; version++) {
		CHECK_U32(walk_tree(none, version).count, 0);
		CHECK_U32(walk_tree(unmounted, version).count, 0);
		CHECK_U32(walk_tree(gone, version).count, 0);
	}
}

int main(void)
{
	TAP_RUN(a_number_of_bytes_is_a_number_or_no_limit);
	TAP_RUN(our_group_is_told_by_one_line);
	TAP_RUN(a_path_that_is_too_long_is_not_seen);
	TAP_RUN(a_mount_tells_where_a_group_is);
	TAP_RUN(a_place_has_room_for_the_names_in_it);
	TAP_RUN(every_group_up_to_the_top_of_version_1);
	TAP_RUN(both_limits_of_version_2_count);
	TAP_RUN(what_makes_no_sense_is_no_limit);
	TAP_RUN(without_these_files_there_are_no_groups);
	return tap_done();
}
