/*
 * The control groups of this process, from what the kernel says in /proc and in the
 * hierarchies that are mounted.
 *
 * Which group is ours stands in /proc/self/cgroup, as a path from the root of its hierarchy;
 * where that is mounted, and which part of it, in /proc/self/mountinfo.  In a container the
 * mount shows a part only, often with our own group as its top; what limits us above that is
 * not to be seen from inside.
 *
 * Groups nest, and each on the way up may be the one whose limit is reached first, so all are
 * looked at.  libuv looks at one, or counts the page cache as used, depending on its version.
 *
 * For the kernel page cache is used memory, and most of it goes before anybody is refused.
 * What was not used twice lately is taken off, as container tools do; the rest may be needed.
 *
 * Names of groups are anybody's; files may be empty, gone, or hold anything.  What makes no
 * sense is no limit.
 *
 * No locks.
 */
#include "cgroups.h"
#include "lines.h"
#include "size.h"

#include <string.h>

/* Version 1 says that there is no limit by one of all pages that a counter holds. */
#define NO_LIMIT ((uint64_t)INT64_MAX - 0xFFFFU)

/* "/memory.usage_in_bytes" and its like. */
#define NAME_ROOM 32U

/* ---- Text ---- */

uint64_t hm_cgroup_parse_bytes(const char *text, size_t length)
{
	uint64_t value = 0;
	size_t i = 0;

	for (; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (value > (UINT64_MAX - digit) / 10)
			return UINT64_MAX;
		value = value * 10 + digit;
	}
	if (i == 0 || (i < length && text[i] != '\n') || value >= NO_LIMIT)
		return UINT64_MAX;
	return value;
}

static bool is_word(const char *text, size_t length, const char *word)
{
	return length == strlen(word) && memcmp(text, word, length) == 0;
}

/* Whether a list with commas has that word. */
static bool has_word(const char *list, size_t length, const char *word)
{
	const char *field;
	size_t field_length;

	while (hm_line_take(&list, &length, ',', &field, &field_length)) {
		if (is_word(field, field_length, word))
			return true;
	}
	return is_word(list, length, word);
}

/* A path from the root that stays below it, as a string. */
static bool copy_path(const char *text, size_t length, char path[HM_CGROUP_PATH])
{
	if (length == 0 || length >= HM_CGROUP_PATH || text[0] != '/' ||
	    memchr(text, '\0', length) != NULL)
		return false;
	memcpy(path, text, length);
	path[length] = '\0';
	for (const char *at = path; (at = strstr(at, "/..")) != NULL; at += 3) {
		if (at[3] == '/' || at[3] == '\0')
			return false;
	}
	return true;
}

bool hm_cgroup_parse_member(const char *line, size_t length, unsigned version,
			    char path[HM_CGROUP_PATH])
{
	const char *number, *controllers;
	size_t number_length, controllers_length;

	if (!hm_line_take(&line, &length, ':', &number, &number_length) ||
	    !hm_line_take(&line, &length, ':', &controllers, &controllers_length))
		return false;
	if (version == 2 ? !is_word(number, number_length, "0") || controllers_length != 0
			 : !has_word(controllers, controllers_length, "memory"))
		return false;
	return copy_path(line, length, path);
}

/* ---- Mounts ---- */

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* Takes back what the kernel does to blanks: "\040". */
static size_t unescape(const char *text, size_t length, char *out)
{
	size_t size = 0;

	for (size_t i = 0; i < length; size++) {
		if (text[i] == '\\' && length - i >= 4 && text[i + 1] <= '3' &&
		    is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
		    is_octal(text[i + 3])) {
			out[size] = (char)((text[i + 1] - '0') * 64 +
					   (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
			i += 4;
		} else {
			out[size] = text[i++];
		}
	}
	return size;
}

/* What of `path` lies below `root`; NULL: it does not. */
static const char *below(const char *path, const char *root)
{
	size_t length = strlen(root);

	if (strcmp(root, "/") == 0)
		return strcmp(path, "/") == 0 ? "" : path;
	if (strncmp(path, root, length) != 0 ||
	    (path[length] != '/' && path[length] != '\0'))
		return NULL;
	return path + length;
}

static bool join(unsigned version, const char *point, const char *rest,
		 struct hm_cgroup_place *place)
{
	size_t top = strlen(point), length = strlen(rest);

	if (top + length + NAME_ROOM > sizeof(place->path))
		return false;
	memcpy(place->path, point, top);
	memcpy(place->path + top, rest, length + 1);
	place->top = top;
	place->version = version;
	return true;
}

/* What follows the mount point: options, any number of others, a dash, the kind of file
 * system, where it is from, and its own options. */
static bool is_hierarchy(const char *line, size_t length, unsigned version)
{
	const char *field, *kind;
	size_t size, kind_size;

	do {
		if (!hm_line_take(&line, &length, ' ', &field, &size))
			return false;
	} while (!is_word(field, size, "-"));
	if (!hm_line_take(&line, &length, ' ', &kind, &kind_size) ||
	    !hm_line_take(&line, &length, ' ', &field, &size))
		return false;
	return version == 2 ? is_word(kind, kind_size, "cgroup2")
			    : is_word(kind, kind_size, "cgroup") &&
				      has_word(line, length, "memory");
}

bool hm_cgroup_parse_mount(const char *line, size_t length, unsigned version,
			   const char *path, struct hm_cgroup_place *place)
{
	char text[HM_LINE], root[HM_CGROUP_PATH], point[HM_CGROUP_PATH];
	const char *field[5], *rest;
	size_t size[5];

	/* Number, parent, device, root, mount point. */
	for (unsigned i = 0; i < 5; i++) {
		if (!hm_line_take(&line, &length, ' ', &field[i], &size[i]))
			return false;
	}
	if (size[3] > sizeof(text) || size[4] > sizeof(text) ||
	    !is_hierarchy(line, length, version) ||
	    !copy_path(text, unescape(field[3], size[3], text), root) ||
	    !copy_path(text, unescape(field[4], size[4], text), point))
		return false;
	rest = below(path, root);
	return rest != NULL && join(version, point, rest, place);
}

/* ---- Where we are ---- */

struct search {
	unsigned version;
	bool found;
	char path[HM_CGROUP_PATH];
	struct hm_cgroup_place *place;
};

static bool look_for_member(void *state, const char *line, size_t length)
{
	struct search *self = state;

	self->found = hm_cgroup_parse_member(line, length, self->version, self->path);
	return self->found;
}

static bool look_for_mount(void *state, const char *line, size_t length)
{
	struct search *self = state;

	return hm_cgroup_parse_mount(line, length, self->version, self->path,
				     self->place);
}

void hm_cgroup_find(unsigned version, struct hm_cgroup_place *place)
{
	struct search self = { .version = version, .place = place };

	place->version = 0;
	if (hm_lines_visit("/proc/self/cgroup", look_for_member, &self) && self.found)
		(void)hm_lines_visit("/proc/self/mountinfo", look_for_mount, &self);
}

/* ---- What limits us there ---- */

static uint64_t read_bytes(int file)
{
	char text[32];

	return hm_cgroup_parse_bytes(text, hm_lines_read_file(file, text, sizeof(text)));
}

struct cache {
	const char *key;
	uint64_t bytes;
};

static bool look_for_cache(void *state, const char *line, size_t length)
{
	struct cache *self = state;
	size_t key = strlen(self->key);

	if (length <= key || memcmp(line, self->key, key) != 0)
		return false;
	self->bytes = hm_cgroup_parse_bytes(line + key, length - key);
	return true;
}

/* Page cache that was not used twice lately, of the group and those below. */
static uint64_t read_cache(const struct hm_cgroup *group)
{
	struct cache cache = { group->version == 2 ? "inactive_file "
						   : "total_inactive_file ",
			       UINT64_MAX };

	(void)hm_lines_visit_file(group->files.cache, look_for_cache, &cache);
	return cache.bytes == UINT64_MAX ? 0 : cache.bytes;
}

/* By more than a thousandth of the limit. */
static bool has_moved(const struct hm_cgroup *group, uint64_t charged)
{
	uint64_t by = charged > group->charged ? charged - group->charged
					       : group->charged - charged;

	return by > group->limit / 1024;
}

/* The page cache is one line of forty, and those take ten times as long as all the rest. */
static void take_off_cache(struct hm_cgroup *group, bool anew)
{
	if (anew || has_moved(group, group->used)) {
		group->cache = read_cache(group);
		group->charged = group->used;
	}
	group->used -= hm_min(group->cache, group->used);
}

bool hm_cgroup_read(struct hm_cgroup *group, bool anew)
{
	uint64_t high;

	if (!anew && group->limit == UINT64_MAX)
		return true;
	group->used = read_bytes(group->files.used);
	if (group->used == UINT64_MAX)
		return false;
	group->limit = read_bytes(group->files.limit);
	/* Beyond memory.high the kernel slows the group down until it is below, so that
	 * counts as a limit as well. */
	high = read_bytes(group->files.high);
	if (high < group->limit)
		group->limit = high;
	if (group->limit != UINT64_MAX)
		take_off_cache(group, anew);
	return true;
}

/* `name` goes behind the path for the time. */
static int open_file(char *path, size_t length, const char *name)
{
	int file;

	memcpy(path + length, name, strlen(name) + 1);
	file = hm_lines_open(path);
	path[length] = '\0';
	return file;
}

static void open_files(char *path, size_t length, struct hm_cgroup *group)
{
	bool first = group->version == 1;

	group->files = (struct hm_cgroup_files){
		.used = open_file(path, length,
				  first ? "/memory.usage_in_bytes" : "/memory.current"),
		.limit = open_file(path, length,
				   first ? "/memory.limit_in_bytes" : "/memory.max"),
		.high = first ? -1 : open_file(path, length, "/memory.high"),
		.cache = open_file(path, length, "/memory.stat"),
	};
}

void hm_cgroup_close(struct hm_cgroup_files *files)
{
	hm_lines_close(files->used);
	hm_lines_close(files->limit);
	hm_lines_close(files->high);
	hm_lines_close(files->cache);
	*files = (struct hm_cgroup_files){ -1, -1, -1, -1 };
}

static void visit_group(char *path, size_t length, unsigned version,
			void (*visit)(void *state, struct hm_cgroup *group), void *state)
{
	struct hm_cgroup group = { .version = version, .path = path };

	open_files(path, length, &group);
	if (hm_cgroup_read(&group, true))
		visit(state, &group);
	if (!group.kept)
		hm_cgroup_close(&group.files);
}

void hm_cgroup_walk(struct hm_cgroup_place *place,
		    void (*visit)(void *state, struct hm_cgroup *group), void *state)
{
	size_t length = strlen(place->path);

	if (place->version == 0)
		return;
	for (;;) {
		visit_group(place->path, length, place->version, visit, state);
		if (length <= place->top)
			return;
		while (length > place->top && place->path[length] != '/')
			length--;
		place->path[length] = '\0';
	}
}
