/*
 * The two sides of attach_differential.c: the translated functions, and the system's.
 */
#ifndef HOSTMEM_STRESS_SIDES_H
#define HOSTMEM_STRESS_SIDES_H

#include "abi/attach.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The same call for one side or the other. */
struct side {
	unsigned char *base;
	void *(*map)(void *address, size_t size, int protection, int flags, int file,
		     int64_t offset);
	int (*unmap)(void *address, size_t size);
	int (*protect)(void *address, size_t size, int protection);
	int (*advise)(void *address, size_t size, int advice);
	void *(*remap)(void *address, size_t size, size_t wanted, int flags, void *place);
};

/* The kernel itself: a sanitizer has its own answers to some of these. */
static void *system_map(void *address, size_t size, int protection, int flags, int mapped,
			int64_t offset)
{
	return (void *)syscall(SYS_mmap, address, size, (long)protection, (long)flags,
			       (long)mapped, (long)offset);
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

static void *system_remap(void *address, size_t size, size_t wanted, int flags,
			  void *place)
{
	return (void *)syscall(SYS_mremap, address, size, wanted, (long)flags, place);
}

/* Ours, and the kernel's. */
static struct side sides[2] = {
	{ NULL, HostMemMmap, HostMemMunmap, HostMemMprotect, HostMemMadvise,
	  HostMemMremap },
	{ NULL, system_map, system_unmap, system_protect, system_advise, system_remap },
};

struct page {
	bool readable, writable;
	uint64_t word;
};

/* Asked of the kernel, which answers where a thread would be killed. */
static inline struct page look(const unsigned char *address)
{
	struct page page = { false, false, 0 };
	uint64_t word;
	struct iovec ours = { &word, sizeof(word) };
	struct iovec theirs = { (void *)(uintptr_t)address, sizeof(word) };

	if (process_vm_readv(getpid(), &ours, 1, &theirs, 1, 0) == sizeof(word)) {
		page.readable = true;
		page.word = word;
		page.writable = process_vm_writev(getpid(), &ours, 1, &theirs, 1, 0) ==
				sizeof(word);
	}
	return page;
}

#endif
