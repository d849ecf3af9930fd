/*
 * A control group of the sample's own: so much memory, and no more, for the process that goes
 * into it.
 *
 * It is made below our own group, so that what bounds us bounds it too; or, where that may
 * have no groups below (version 2 allows none below a group with processes), beside it.
 * Where our group is, a host knows: WalkBounds tells every group from our own up.
 *
 * The kernel keeps a group until somebody removes it.  So whoever makes one removes it on each
 * way out; only SIGKILL leaves it behind.
 */
#ifndef PRESSURE_GROUP_H
#define PRESSURE_GROUP_H

#include <hostmem/hostmem.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct group {
	char path[1024];
	unsigned version; /* of its hierarchy; 0: there is no group */
	unsigned tried;   /* places */
	uint64_t limit;   /* bytes */
};

#define GROUP_ROOM ((uint64_t)512 << 20) /* bytes that are to be free outside of it */

enum group_file {
	GROUP_LIMIT,
	GROUP_LIMIT_WITH_SWAP, /* of version 2: that of the swap alone */
	GROUP_USED,
	GROUP_PEAK,
	GROUP_KILLED
};

static inline bool group_write(const char *directory, const char *name, const char *text)
{
	char path[1200];
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

static inline const char *group_name(const struct group *group, enum group_file file)
{
	static const char *const names[][5] = {
		{ "memory.limit_in_bytes", "memory.memsw.limit_in_bytes",
		  "memory.usage_in_bytes", "memory.max_usage_in_bytes",
		  "memory.oom_control" },
		{ "memory.max", "memory.swap.max", "memory.current", "memory.peak",
		  "memory.events" },
	};

	return names[group->version - 1][file];
}

/* The number in a file of the group, behind the word if there is one; 0: it does not say. */
static inline uint64_t group_read(const struct group *group, enum group_file file,
				  const char *word)
{
	char path[1200], text[512] = "";
	const char *at = text;
	ssize_t got = -1;
	int opened;

	snprintf(path, sizeof(path), "%s/%s", group->path, group_name(group, file));
	opened = open(path, O_RDONLY | O_CLOEXEC);
	if (opened >= 0) {
		got = read(opened, text, sizeof(text) - 1);
		(void)close(opened);
	}
	if (got > 0 && word != NULL)
		at = strstr(text, word);
	return got <= 0 || at == NULL
		       ? 0
		       : strtoull(at + (word == NULL ? 0 : strlen(word)), NULL, 10);
}

/* Processes that were killed may be on their way out. */
static inline bool group_remove(struct group *group)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	bool gone = group->version == 0;

	for (unsigned i = 0; i < 500 && !gone; i++) {
		gone = rmdir(group->path) == 0 || errno == ENOENT;
		if (!gone)
			nanosleep(&moment, NULL);
	}
	group->version = 0;
	return gone;
}

/* Without swap: a program that is being swapped out is neither killed nor alive. */
static inline bool group_set_limit(const struct group *group)
{
	char limit[32];

	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)group->limit);
	if (!group_write(group->path, group_name(group, GROUP_LIMIT), limit))
		return false;
	(void)group_write(group->path, group_name(group, GROUP_LIMIT_WITH_SWAP),
			  group->version == 1 ? limit : "0");
	if (group->version == 1) /* kill, instead of letting it stand still for ever */
		(void)group_write(group->path, group_name(group, GROUP_KILLED), "0");
	return true;
}

/* For each group from our own up: the two lowest are tried. */
static inline BOOL HOSTMEM_CALL group_try(void *state, const HostMemBound *bound)
{
	struct group *group = state;

	if (bound->kind != HostMemBoundGroup)
		return TRUE;
	snprintf(group->path, sizeof(group->path), "%.900s/hostmem-pressure-%d",
		 bound->path, (int)getpid());
	if (bound->version == 2)
		(void)group_write(bound->path, "cgroup.subtree_control", "+memory");
	if (mkdir(group->path, 0755) == 0) {
		group->version = bound->version;
		if (group_set_limit(group))
			return FALSE;
		(void)group_remove(group);
	}
	return ++group->tried < 2;
}

/* Nobody else is to be killed for it, and only the group is to be short of memory. */
static inline BOOL HOSTMEM_CALL group_see_room(void *state, const HostMemBound *bound)
{
	bool *scarce = state;

	if (bound->cbLimit != UINT64_MAX &&
	    (bound->kind == HostMemBoundMachine || bound->kind == HostMemBoundGroup))
		*scarce |= bound->cbUsed + GROUP_ROOM > bound->cbLimit / 4 * 3;
	return !*scarce;
}

/* NULL, or why there is none. */
static inline const char *group_make(struct group *group, uint64_t limit)
{
	IHostMemoryMonitor *monitor;
	bool scarce = false;

	memset(group, 0, sizeof(*group));
	group->limit = limit;
	if (FAILED(HostMemCreate(NULL, &IID_IHostMemoryMonitor, (void **)&monitor)))
		return "no host";
	(void)IHostMemoryMonitor_WalkBounds(monitor, group_see_room, &scarce);
	if (!scarce)
		(void)IHostMemoryMonitor_WalkBounds(monitor, group_try, group);
	(void)IHostMemoryMonitor_Release(monitor);
	if (scarce)
		return "too little memory is free here";
	return group->version != 0 ? NULL
				   : "no control group with a limit can be made here";
}

/* The calling process, and what it allocates from now on. */
static inline bool group_enter(const struct group *group)
{
	return group_write(group->path, "cgroup.procs", "0");
}

#endif /* PRESSURE_GROUP_H */
