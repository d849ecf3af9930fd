/*
 * The real kernel, which refuses what a test wants it to refuse.
 *
 * A call is refused if it touches [low, high) and it is its turn: the calls numbered
 * `first` to `first + times - 1`, counted from 0.  So what the library keeps elsewhere
 * for its own purposes goes on as ever.
 */
#ifndef HOSTMEM_UNIT_STUBBORN_H
#define HOSTMEM_UNIT_STUBBORN_H

#include "fake.h"
#include "hostmem/os/memory.h"
#include "test/conformance/access.h"
#include "test/conformance/child.h"
#include "test/conformance/smaps.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALWAYS UINT32_MAX
#define ERRNO 4711 /* nobody's: what errno has to be after every call */

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

struct refusal {
	int error; /* 0: nothing is refused */
	unsigned first, times;
	int only;        /* of advise: this advice; 0 = any */
	size_t half_way; /* bytes that a refused call has changed all the same */
	unsigned calls, refused;
};

static struct {
	uintptr_t low, high;
	struct refusal map, unmap, protect, advise, name, open, control;
	unsigned reads, closes;
	int protection;   /* that was asked for last */
	const char *text; /* what every file contains, NULL: its contents */
} stubborn;

static struct hm_system_calls stubborn_real;

static inline bool stubborn_refuses(struct refusal *refusal, uintptr_t address,
				    size_t size)
{
	unsigned number;

	if (address + size <= stubborn.low || stubborn.high <= address)
		return false;
	number = refusal->calls++;
	if (refusal->error == 0 || number < refusal->first ||
	    number - refusal->first >= refusal->times)
		return false;
	refusal->refused++;
	errno = refusal->error;
	return true;
}

static inline void *stubborn_map(void *address, size_t size, int protection, int flags,
				 int file, long offset)
{
	uintptr_t at = address == NULL ? stubborn.low : (uintptr_t)address;

	if (stubborn_refuses(&stubborn.map, at, size))
		return MAP_FAILED;
	return stubborn_real.map(address, size, protection, flags, file, offset);
}

static inline int stubborn_unmap(void *address, size_t size)
{
	return stubborn_refuses(&stubborn.unmap, (uintptr_t)address, size)
		       ? -1
		       : stubborn_real.unmap(address, size);
}

static inline int stubborn_protect(void *address, size_t size, int protection)
{
	size_t half = stubborn.protect.half_way;

	stubborn.protection = protection;
	if (!stubborn_refuses(&stubborn.protect, (uintptr_t)address, size))
		return stubborn_real.protect(address, size, protection);
	if (half != 0)
		(void)stubborn_real.protect(address, half < size ? half : size,
					    protection);
	errno = stubborn.protect.error;
	return -1;
}

static inline int stubborn_advise(void *address, size_t size, int advice)
{
	size_t half = stubborn.advise.half_way;

	if ((stubborn.advise.only != 0 && stubborn.advise.only != advice) ||
	    !stubborn_refuses(&stubborn.advise, (uintptr_t)address, size))
		return stubborn_real.advise(address, size, advice);
	if (half != 0)
		(void)stubborn_real.advise(address, half < size ? half : size, advice);
	errno = stubborn.advise.error;
	return -1;
}

static inline int stubborn_name(void *address, size_t size, const char *name)
{
	return stubborn_refuses(&stubborn.name, (uintptr_t)address, size)
		       ? -1
		       : stubborn_real.name(address, size, name);
}

static inline int stubborn_open(const char *path, int flags)
{
	return stubborn_refuses(&stubborn.open, stubborn.low, 1)
		       ? -1
		       : stubborn_real.open(path, flags);
}

static inline long stubborn_read(int file, void *buffer, size_t size)
{
	size_t length = stubborn.text != NULL ? strlen(stubborn.text) : 0;

	stubborn.reads++;
	if (stubborn.text == NULL)
		return stubborn_real.read(file, buffer, size);
	length = length < size ? length : size;
	memcpy(buffer, stubborn.text, length);
	return (long)length;
}

static inline int stubborn_close(int file)
{
	stubborn.closes++;
	return stubborn_real.close(file);
}

static inline int stubborn_control(int file, unsigned long request, void *argument)
{
	return stubborn_refuses(&stubborn.control, stubborn.low, 1)
		       ? -1
		       : stubborn_real.control(file, request, argument);
}

/* From here on the calls are counted, and refused as the test says then. */
static inline void stubborn_begin_at(uintptr_t low, uintptr_t high)
{
	memset(&stubborn, 0, sizeof(stubborn));
	stubborn.low = low;
	stubborn.high = high;
	stubborn_real = hm_system;
	hm_system.map = stubborn_map;
	hm_system.unmap = stubborn_unmap;
	hm_system.protect = stubborn_protect;
	hm_system.advise = stubborn_advise;
	hm_system.name = stubborn_name;
	hm_system.open = stubborn_open;
	hm_system.read = stubborn_read;
	hm_system.close = stubborn_close;
	hm_system.control = stubborn_control;
	errno = ERRNO;
}

static inline void stubborn_begin(void)
{
	stubborn_begin_at(PAGE, UINTPTR_MAX);
}

static inline void stubborn_end(void)
{
	CHECK_INT(errno, ERRNO);
	hm_system = stubborn_real;
}

/* Fresh pages of the test's own, apart from all others. */
static inline unsigned char *pages_of_ours(size_t size, int protection)
{
	unsigned char *gap = mmap(NULL, size + 2 * PAGE, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!CHECK(gap != MAP_FAILED))
		abort();
	CHECK(munmap(gap, PAGE) == 0);
	CHECK(munmap(gap + PAGE + size, PAGE) == 0);
	CHECK(mprotect(gap + PAGE, size, protection) == 0);
	return gap + PAGE;
}

/* The real calls: sanitizers make nothing of those in the library. */
static inline bool lock_pages(const void *address, size_t size)
{
	return syscall(SYS_mlock, address, size) == 0;
}

static inline bool is_zero(const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

#endif
