/*
 * The system calls themselves, one line each: see system.h for why there is a table.
 * Nothing here retries, translates or logs.
 */
#include "system.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux 5.17. */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

static void *system_remap(void *address, size_t size, size_t wanted, int flags,
			  void *place)
{
	return mremap(address, size, wanted, flags, place);
}

static int system_name(void *address, size_t size, const char *name)
{
	return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, address, size, name);
}

static int system_open(const char *path, int flags)
{
	return open(path, flags);
}

static long system_read(int file, void *buffer, size_t size)
{
	return read(file, buffer, size);
}

static long system_read_at(int file, void *buffer, size_t size, long offset)
{
	return pread(file, buffer, size, offset);
}

static long system_write(int file, const void *buffer, size_t size)
{
	return write(file, buffer, size);
}

static int system_event(int flags)
{
	return eventfd(0, flags);
}

static int system_control(int file, unsigned long request, void *argument)
{
	return ioctl(file, request, argument);
}

static int system_barrier(int command)
{
	return (int)syscall(SYS_membarrier, command, 0, 0);
}

struct hm_system_calls hm_system = {
	.map = mmap,
	.remap = system_remap,
	.unmap = munmap,
	.protect = mprotect,
	.advise = madvise,
	.name = system_name,
	.open = system_open,
	.read = system_read,
	.read_at = system_read_at,
	.write = system_write,
	.event = system_event,
	.close = close,
	.control = system_control,
	.barrier = system_barrier,
};
