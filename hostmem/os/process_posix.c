/*
 * This process, by POSIX and /proc.  Locks: none.
 */
#include "process.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t hm_process_number(void)
{
	return (uint64_t)getpid();
}

void hm_process_name(char *name, size_t room)
{
	int kept = errno;
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	const char *slash;
	size_t part;

	path[length > 0 ? length : 0] = '\0';
	slash = strrchr(path, '/');
	part = slash != NULL ? strlen(slash + 1) : 0;
	if (part >= room)
		part = room - 1;
	if (part != 0)
		(void)memcpy(name, slash + 1, part);
	name[part] = '\0';
	errno = kept;
}

uint64_t hm_process_work_ms(void)
{
	struct timespec work;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &work) != 0)
		return 0;
	return (uint64_t)work.tv_sec * 1000 + (uint64_t)work.tv_nsec / 1000000;
}
