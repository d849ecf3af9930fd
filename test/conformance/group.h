/*
 * A control group of version 1 of the test's own, below the one that it runs in.
 *
 * Where there is no hierarchy with memory, or no right to make a group in it, the test is
 * skipped.  Whoever makes it removes it, whatever happens to the processes in it.
 */
#ifndef HOSTMEM_CONFORMANCE_GROUP_H
#define HOSTMEM_CONFORMANCE_GROUP_H

#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MIB ((size_t)1 << 20)

static char own[400], group[450];

static inline bool write_file(const char *directory, const char *name, const char *text)
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

static inline bool set_limit(size_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%zu", bytes);
	return write_file(group, "memory.limit_in_bytes", text);
}

/* Our own group of version 1, where Debian and all others mount it. */
static inline bool find_own(void)
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

static inline void remove_group(void)
{
	if (group[0] == '\0')
		return;
	/* Who was in it may be on its way out. */
	for (unsigned i = 0; i < 500 && rmdir(group) != 0 && errno == EBUSY; i++)
		(void)usleep(10000);
	group[0] = '\0';
}

static inline bool make_group(size_t limit)
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
	if (set_limit(limit))
		return true;
	remove_group();
	tap_skip("no limit can be set here");
	return false;
}

#endif
