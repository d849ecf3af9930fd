/*
 * What bounds this process's memory: the machine, the limits of the process, and its control
 * groups.
 *
 * libuv's figures were rejected: in a control group those of the versions that are around are
 * the machine's, or count page cache as used, or miss the limits above.
 *
 * Of the machine what is available counts, not what is free: the kernel's own estimate of
 * what can be had without swapping.
 *
 * Who looks often keeps the files open: what the kernel writes is made anew for each reading,
 * and opening takes ten times as long.  It finds its groups once, and again when one is gone.
 *
 * No locks.
 */
#include "meminfo.h"
#include "lines.h"
#include "size.h"

#include <string.h>
#include <sys/resource.h>

typedef void (*bound_visitor)(void *state, const struct hm_memory_bound *bound);

/* ---- The machine ---- */

struct machine {
	uint64_t total, available; /* bytes; UINT64_MAX = not told */
};

/* "MemTotal:       24684544 kB" */
static uint64_t kibibytes(const char *text, size_t length)
{
	const char *number;
	size_t digits;
	uint64_t value;

	while (length != 0 && *text == ' ') {
		text++;
		length--;
	}
	if (!hm_line_take(&text, &length, ' ', &number, &digits) || length != 2 ||
	    memcmp(text, "kB", 2) != 0)
		return UINT64_MAX;
	value = hm_cgroup_parse_bytes(number, digits);
	return value > UINT64_MAX / 1024 ? UINT64_MAX : value * 1024;
}

static bool look_at_machine(void *state, const char *line, size_t length)
{
	struct machine *self = state;
	const char *key;
	size_t key_length;

	if (!hm_line_take(&line, &length, ':', &key, &key_length))
		return false;
	if (key_length == 8 && memcmp(key, "MemTotal", 8) == 0)
		self->total = kibibytes(line, length);
	else if (key_length == 12 && memcmp(key, "MemAvailable", 12) == 0)
		self->available = kibibytes(line, length);
	return self->total != UINT64_MAX && self->available != UINT64_MAX;
}

static bool read_machine(int file, struct hm_memory_bound *bound)
{
	struct machine machine = { UINT64_MAX, UINT64_MAX };

	*bound = (struct hm_memory_bound){ .kind = HM_BOUND_MACHINE };
	(void)hm_lines_visit_file(file, look_at_machine, &machine);
	if (machine.total == UINT64_MAX || machine.available == UINT64_MAX)
		return false;
	bound->limit = machine.total;
	bound->used = machine.total - (machine.available < machine.total
					       ? machine.available
					       : machine.total);
	return true;
}

static bool visit_machine(int file, bound_visitor visit, void *state)
{
	struct hm_memory_bound bound;

	if (!read_machine(file, &bound))
		return false;
	visit(state, &bound);
	return true;
}

static bool visit_machine_again(struct hm_meminfo *meminfo, bool anew,
				bound_visitor visit, void *state)
{
	if ((anew || meminfo->last.limit == 0) &&
	    !read_machine(meminfo->machine, &meminfo->last))
		return false;
	visit(state, &meminfo->last);
	return true;
}

/* ---- The process ---- */

/* /proc/self/statm: pages mapped, and of these, sixth, those that are data or stack. */
struct process {
	uint64_t addresses, data; /* bytes */
};

static bool look_at_process(void *state, const char *line, size_t length)
{
	struct process *self = state;
	const char *field = NULL;
	size_t field_length = 0;

	for (unsigned i = 1; i <= 6; i++) {
		uint64_t pages;

		if (!hm_line_take(&line, &length, ' ', &field, &field_length))
			return true;
		pages = hm_cgroup_parse_bytes(field, field_length);
		if (pages > UINT64_MAX / HM_PAGE_SIZE)
			return true;
		if (i == 1)
			self->addresses = pages * HM_PAGE_SIZE;
		else if (i == 6)
			self->data = pages * HM_PAGE_SIZE;
	}
	return true;
}

/* UINT64_MAX: it is not set. */
static uint64_t limit_of(enum hm_memory_bounds kind)
{
	struct rlimit limit;

	if (getrlimit(kind == HM_BOUND_DATA ? RLIMIT_DATA : RLIMIT_AS, &limit) != 0 ||
	    limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

static void visit_limit(enum hm_memory_bounds kind, uint64_t limit, uint64_t used,
			bound_visitor visit, void *state)
{
	const struct hm_memory_bound bound = { .kind = kind,
					       .limit = limit,
					       .used = used };

	if (limit != UINT64_MAX && used != UINT64_MAX)
		visit(state, &bound);
}

/* What is used matters where there is a limit only, and most processes have none. */
static bool visit_process(int file, bound_visitor visit, void *state)
{
	uint64_t addresses = limit_of(HM_BOUND_ADDRESSES), data = limit_of(HM_BOUND_DATA);
	struct process process = { UINT64_MAX, UINT64_MAX };

	if (addresses == UINT64_MAX && data == UINT64_MAX)
		return true;
	(void)hm_lines_visit_file(file, look_at_process, &process);
	visit_limit(HM_BOUND_ADDRESSES, addresses, process.addresses, visit, state);
	visit_limit(HM_BOUND_DATA, data, process.data, visit, state);
	return process.data != UINT64_MAX;
}

/* ---- The groups ---- */

static void tell_group(const struct hm_cgroup *group, bound_visitor visit, void *state)
{
	const struct hm_memory_bound bound = {
		.kind = HM_BOUND_GROUP,
		.limit = group->limit,
		.used = group->used,
		.cache = group->cache,
		.path = group->path,
		.version = group->version,
	};

	visit(state, &bound);
}

struct group_visit {
	bound_visitor visit;
	void *state;
	struct hm_meminfo *keeper; /* NULL: nobody keeps the files */
};

static void visit_group(void *state, struct hm_cgroup *group)
{
	const struct group_visit *self = state;
	struct hm_meminfo *keeper = self->keeper;

	tell_group(group, self->visit, self->state);
	if (keeper == NULL)
		return;
	if (keeper->count == HM_MEMINFO_GROUPS || group->files.limit < 0) {
		keeper->partial = true;
		return;
	}
	group->kept = true;
	keeper->groups[keeper->count] = *group;
	keeper->groups[keeper->count++].path = NULL;
}

static void visit_groups(struct group_visit *visit)
{
	for (unsigned version = 1; version <= 2; version++) {
		struct hm_cgroup_place place;

		hm_cgroup_find(version, &place);
		hm_cgroup_walk(&place, visit_group, visit);
	}
}

void hm_meminfo_visit(bound_visitor visit, void *state)
{
	struct group_visit groups = { visit, state, NULL };
	int machine = hm_lines_open("/proc/meminfo");
	int process = hm_lines_open("/proc/self/statm");

	(void)visit_machine(machine, visit, state);
	(void)visit_process(process, visit, state);
	hm_lines_close(machine);
	hm_lines_close(process);
	visit_groups(&groups);
}

/* ---- Again and again ---- */

void hm_meminfo_open(struct hm_meminfo *meminfo, bound_visitor visit, void *state)
{
	struct group_visit groups = { visit, state, meminfo };

	*meminfo = (struct hm_meminfo){
		.machine = hm_lines_open("/proc/meminfo"),
		.process = hm_lines_open("/proc/self/statm"),
	};
	visit_groups(&groups);
}

void hm_meminfo_close(struct hm_meminfo *meminfo)
{
	hm_lines_close(meminfo->machine);
	hm_lines_close(meminfo->process);
	for (unsigned i = 0; i < meminfo->count; i++)
		hm_cgroup_close(&meminfo->groups[i].files);
	*meminfo = (struct hm_meminfo){ .machine = -1, .process = -1 };
}

bool hm_meminfo_look(struct hm_meminfo *meminfo, bool anew, bound_visitor visit,
		     void *state)
{
	struct group_visit groups = { visit, state, NULL };
	bool whole = visit_machine_again(meminfo, anew, visit, state);

	whole &= visit_process(meminfo->process, visit, state);
	if (meminfo->partial) {
		visit_groups(&groups);
		return whole;
	}
	for (unsigned i = 0; i < meminfo->count; i++) {
		if (hm_cgroup_read(&meminfo->groups[i], anew))
			tell_group(&meminfo->groups[i], visit, state);
		else
			whole = false;
	}
	return whole;
}
