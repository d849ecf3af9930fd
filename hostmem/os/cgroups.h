#ifndef HOSTMEM_OS_CGROUPS_H
#define HOSTMEM_OS_CGROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The control groups that limit this process's memory: its own and all above it, of both
 * hierarchies that Linux has.  Nothing here allocates.
 */
#define HM_CGROUP_PATH \
	1024U /* bytes of a path, its end included; longer ones are not seen */

/* Where this process is in a hierarchy. */
struct hm_cgroup_place {
	unsigned version;          /* 1 or 2; 0: there is none */
	size_t top;                /* bytes of the path that are the mount point */
	char path[HM_CGROUP_PATH]; /* the directory of our own group */
};

/* What a group says of itself; -1: it does not. */
struct hm_cgroup_files {
	int used, limit, high, cache;
};

struct hm_cgroup {
	unsigned version;
	uint64_t limit; /* bytes; UINT64_MAX = none */
	uint64_t used;  /* bytes; where there is a limit, without the page cache that goes
			     first */
	const char *path; /* its directory, until the visit returns */
	uint64_t cache;   /* bytes: the page cache that was taken off ... */
	uint64_t charged; /* ... from so many */
	struct hm_cgroup_files files;
	bool kept; /* set by who visits: the files are his now, and he closes them */
};

/* Finds the place in the hierarchy of that version, which has `version` 0 if there is none
 * with memory, or none that can be seen. */
void hm_cgroup_find(unsigned version, struct hm_cgroup_place *place);

/* Calls `visit` for each group from our own up to the top that tells its limit and use.  The
 * place is used up by it. */
void hm_cgroup_walk(struct hm_cgroup_place *place,
		    void (*visit)(void *state, struct hm_cgroup *group), void *state);

/*
 * Limit and use of a group as they are now; its version and files are given.  false: it does
 * not say, or is gone.  Not `anew`, of a group that was read before: no limit stays none, and
 * the page cache is as it was, unless much else is charged.
 */
bool hm_cgroup_read(struct hm_cgroup *group, bool anew);
void hm_cgroup_close(struct hm_cgroup_files *files);

/*
 * The rest is apart so that it can be tested on lines that no kernel has written.  A line is
 * `length` bytes without its newline.
 */

/* Our path in that hierarchy, if a line of /proc/PID/cgroup is about it. */
bool hm_cgroup_parse_member(const char *line, size_t length, unsigned version,
			    char path[HM_CGROUP_PATH]);

/* If a line of /proc/PID/mountinfo says that a hierarchy of that version with memory is
 * mounted, or a part of it that holds the group `path`: where that group is. */
bool hm_cgroup_parse_mount(const char *line, size_t length, unsigned version,
			   const char *path, struct hm_cgroup_place *place);

/* A number of bytes; UINT64_MAX: "max", no number, or more than there can be. */
uint64_t hm_cgroup_parse_bytes(const char *text, size_t length);

#endif
