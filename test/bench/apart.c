/*
 * A part of the benchmark in a process of its own, and in a control group of its own.
 *
 * Limits and hosts are the child's own, and a child that never ends is ended.  Its figures
 * come back through shared memory.
 *
 * A group stays until somebody removes it, and can be removed only when nobody is in it.
 * So a signal that would end this process first ends the child.
 */
#include "apart.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((size_t)4096)

static char group[512];
static volatile pid_t child;

/* ---- The process ---- */

void *apart_share(size_t size)
{
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return shared == MAP_FAILED ? NULL : shared;
}

static void end_well(int number)
{
	if (child > 0) {
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
	}
	apart_remove_group();
	_exit(128 + number);
}

static void catch_ends(void (*handler)(int))
{
	static const int ends[] = { SIGHUP, SIGINT, SIGTERM };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		(void)signal(ends[i], handler);
}

static _Noreturn void be_child(void (*body)(void *result), void *result, unsigned seconds)
{
	catch_ends(SIG_DFL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)alarm(seconds);
	body(result);
	_exit(0);
}

const char *apart_run(void (*body)(void *result), void *result, unsigned seconds)
{
	const char *why;

	fflush(NULL);
	child = fork();
	if (child == 0)
		be_child(body, result, seconds);
	if (child < 0)
		return "no process to be had";
	why = process_end(child);
	child = 0;
	return strcmp(why, "the process ended with status 0") == 0 ? NULL : why;
}

/* ---- The group ---- */

/* Where Debian and all others mount version 1. */
static bool find_own(char *path, size_t size)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
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

int apart_open(const char *name, int flags)
{
	char path[sizeof(group) + 64];

	snprintf(path, sizeof(path), "%s/%s", group, name);
	return open(path, flags | O_CLOEXEC);
}

static bool write_file(const char *name, const char *text)
{
	int file = apart_open(name, O_WRONLY);
	bool written;

	if (file < 0)
		return false;
	written = write(file, text, strlen(text)) == (ssize_t)strlen(text);
	(void)close(file);
	return written;
}

void apart_remove_group(void)
{
	const struct timespec while_it_ends = { 0, 10000000 };

	if (group[0] == '\0')
		return;
	for (unsigned i = 0; i < 500 && rmdir(group) != 0 && errno == EBUSY; i++)
		(void)nanosleep(&while_it_ends, NULL);
	group[0] = '\0';
}

const char *apart_make_group(void)
{
	static bool known;
	char own[450], limit[32];

	if (!find_own(own, sizeof(own)))
		return "no hierarchy of control groups of version 1 with memory";
	if (!known) {
		catch_ends(end_well);
		(void)atexit(apart_remove_group);
		known = true;
	}
	snprintf(group, sizeof(group), "%s/hostmem-bench-%d", own, (int)getpid());
	if (mkdir(group, 0755) != 0) {
		group[0] = '\0';
		return "no control group can be made here";
	}
	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)APART_LIMIT);
	if (write_file("memory.limit_in_bytes", limit))
		return NULL;
	apart_remove_group();
	return "no limit can be set here";
}

bool apart_enter_group(void)
{
	return write_file("cgroup.procs", "0");
}

uint64_t apart_usage(void)
{
	static int file = -1;
	char text[32] = "";

	if (file < 0)
		file = apart_open("memory.usage_in_bytes", O_RDONLY);
	if (pread(file, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return strtoull(text, NULL, 10);
}

bool apart_use(uint64_t bytes)
{
	char *memory = mmap(NULL, APART_LIMIT, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return false;
	(void)madvise(memory, APART_LIMIT, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < APART_LIMIT && apart_usage() < bytes; at += PAGE)
		memory[at] = 1;
	return apart_usage() >= bytes;
}
