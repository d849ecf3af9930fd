/*
 * The system calls themselves, one line each: see system.h for why there is a table.
 * Nothing here retries, translates or logs.
 *
 * Most are asked of the kernel, and not of the C library's functions of the same names.  A
 * program may define those, and what is preloaded into one defines mmap, munmap, mprotect and
 * madvise on top of this host, which would call itself then.  And open, read, write and
 * close are points where a thread may be cancelled: in the middle of a request, and with what
 * the others wait for.
 *
 * ThreadSanitizer hears of files by standing in for the functions, so a build with it keeps
 * those of files.  Otherwise it takes two files with one number for one file, and does not know
 * that who reads from an event file comes after who has written: it finds races that are none.
 * Of memory it does not need to hear, and AddressSanitizer of neither.
 */
#include "system.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* gcc has a macro for it, clang a question. */
#if defined(__SANITIZE_THREAD__)
#define FILES_BY_FUNCTIONS
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FILES_BY_FUNCTIONS
#endif
#endif

/* Linux 5.17. */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

/* The kernel takes whole registers, and some machines pass an offset in two. */
_Static_assert(sizeof(long) == 8, "the calls below are those of a 64-bit system");

static void *system_map(void *address, size_t size, int protection, int flags, int file,
			long offset)
{
	return (void *)syscall(SYS_mmap, address, size, (long)protection, (long)flags,
			       (long)file, offset);
}

static void *system_remap(void *address, size_t size, size_t wanted, int flags,
			  void *place)
{
	return (void *)syscall(SYS_mremap, address, size, wanted, (long)flags, place);
}

static int system_unmap(void *address, size_t size)
{
	return (int)syscall(SYS_munmap, address, size);
}

static int system_protect(void *address, size_t size, int protection)
{
	return (int)syscall(SYS_mprotect, address, size, (long)protection);
}

static int system_advise(void *address, size_t size, int advice)
{
	return (int)syscall(SYS_madvise, address, size, (long)advice);
}

#ifdef FILES_BY_FUNCTIONS
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

static int system_close(int file)
{
	return close(file);
}
#else
static int system_open(const char *path, int flags)
{
	return (int)syscall(SYS_openat, (long)AT_FDCWD, path, (long)flags, 0L);
}

static long system_read(int file, void *buffer, size_t size)
{
	return syscall(SYS_read, (long)file, buffer, size);
}

static long system_read_at(int file, void *buffer, size_t size, long offset)
{
	return syscall(SYS_pread64, (long)file, buffer, size, offset);
}

static long system_write(int file, const void *buffer, size_t size)
{
	return syscall(SYS_write, (long)file, buffer, size);
}

static int system_close(int file)
{
	return (int)syscall(SYS_close, (long)file);
}
#endif

static int system_name(void *address, size_t size, const char *name)
{
	return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, address, size, name);
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
	.map = system_map,
	.remap = system_remap,
	.unmap = system_unmap,
	.protect = system_protect,
	.advise = system_advise,
	.name = system_name,
	.open = system_open,
	.read = system_read,
	.read_at = system_read_at,
	.write = system_write,
	.event = system_event,
	.close = system_close,
	.control = system_control,
	.barrier = system_barrier,
};
