/*
 * The system calls themselves, one line each: see system.h for why there is a table.
 * Nothing here retries, translates or logs.
 */
#include "system.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int system_open(const char *path, int flags)
{
	return open(path, flags);
}

static long system_read(int file, void *buffer, size_t size)
{
	return read(file, buffer, size);
}

static int system_control(int file, unsigned long request, void *argument)
{
	return ioctl(file, request, argument);
}

struct hm_system_calls hm_system = {
	.map = mmap,
	.unmap = munmap,
	.protect = mprotect,
	.advise = madvise,
	.open = system_open,
	.read = system_read,
	.close = close,
	.control = system_control,
};
