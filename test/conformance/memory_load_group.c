/*
 * GetMemoryLoad in a control group of the test's own, below the one that it runs in.
 *
 * Where there is no hierarchy with memory, or no right to make a group in it, this is skipped.
 * The group is removed whatever happens to the process in it.
 */
#include "child.h"
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MIB ((size_t)1 << 20)
#define LIMIT (64 * MIB)

static char group[512];

/* ---- The group ---- */

static bool write_file(const char *name, const char *text)
{
	char path[sizeof(group) + 64];
	int file;
	bool written;

	snprintf(path, sizeof(path), "%s/%s", group, name);
	file = open(path, O_WRONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	written = write(file, text, strlen(text)) == (ssize_t)strlen(text);
	(void)close(file);
	return written;
}

/* Our own group of version 1, where Debian and all others mount it. */
static bool find_own(char *path, size_t size)
{
	FILE *file = fopen("/proc/self/cgroup", "r");
	char line[512], rest[400];
	bool found = false;

	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
		found = sscanf(line, "%*u:memory:%399s", rest) == 1;
		if (found)
			snprintf(path, size, "/sys/fs/cgroup/memory%s", rest);
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
	char own[450], limit[32];

	if (SANITIZED) {
		tap_skip("what a sanitizer needs for itself does not fit in the group");
		return false;
	}
	if (!find_own(own, sizeof(own))) {
		tap_skip("no hierarchy of control groups with memory, version 1");
		return false;
	}
	snprintf(group, sizeof(group), "%s/hostmem-test-%d", own, (int)getpid());
	snprintf(limit, sizeof(limit), "%zu", LIMIT);
	if (mkdir(group, 0755) != 0) {
		group[0] = '\0';
		tap_skip("no control group can be made here");
		return false;
	}
	if (write_file("memory.limit_in_bytes", limit))
		return true;
	remove_group();
	tap_skip("no limit can be set here");
	return false;
}

/* ---- In it ---- */

static struct host host;

static void ask(DWORD *percent, SIZE_T *available)
{
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, percent, available),
		 S_OK);
}

static void use_memory_there(void)
{
	DWORD before, after;
	SIZE_T left, less;
	char *pages;

	if (!CHECK(write_file("cgroup.procs", "0")) || !host_create(&host, 0))
		return;
	ask(&before, &left);
	CHECK(left <= LIMIT);
	CHECK(left > 40 * MIB);
	pages = vm_new(&host, 32 * MIB, MEM_COMMIT, PAGE_READWRITE);
	memset(pages, 1, 32 * MIB);
	ask(&after, &less);
	CHECK(after >= 50);
	CHECK(after >= before);
	CHECK(less <= left - 28 * MIB);
	CHECK_HR(vm_release(&host, pages), S_OK);
	ask(&after, &less);
	CHECK(after < 50);
	host_destroy(&host);
}

/* The parent has the limit; the child's group has none. */
static void use_memory_below(void)
{
	char inner[sizeof(group)];
	DWORD percent;
	SIZE_T left;

	snprintf(inner, sizeof(inner), "%.500s/in", group);
	if (!CHECK(mkdir(inner, 0755) == 0))
		return;
	snprintf(group, sizeof(group), "%s", inner);
	if (CHECK(write_file("cgroup.procs", "0")) && host_create(&host, 0)) {
		ask(&percent, &left);
		CHECK(left <= LIMIT);
		host_destroy(&host);
	}
}

static void a_group_with_a_limit_counts(void)
{
	if (!make_group())
		return;
	in_child(use_memory_there);
	remove_group();
}

static void so_does_one_above_our_own(void)
{
	char inner[sizeof(group) + 8];

	if (!make_group())
		return;
	in_child(use_memory_below);
	snprintf(inner, sizeof(inner), "%s/in", group);
	for (unsigned i = 0; i < 500 && rmdir(inner) != 0 && errno == EBUSY; i++)
		(void)usleep(10000);
	remove_group();
}

int main(void)
{
	(void)atexit(remove_group);
	TAP_RUN(a_group_with_a_limit_counts);
	TAP_RUN(so_does_one_above_our_own);
	return tap_done();
}
