/*
 * mmap and the others, for a whole process: linked into a program, or a part of the preload
 * library, these are found before the C library's.
 *
 * The C library's own calls (threads' stacks, its heap) do not come here; nobody can take
 * those without changing it.  Both names of mmap are needed: which one a runtime has depends
 * on how it was compiled.
 */
#include "abi/attach.h"

#include <stdarg.h>
#include <sys/mman.h>

/* The headers may give one name to both. */
#undef mmap
#undef mmap64

HOSTMEM_VISIBLE void *mmap(void *address, size_t size, int protection, int flags,
			   int file, off_t offset)
{
	return HostMemMmap(address, size, protection, flags, file, offset);
}

HOSTMEM_VISIBLE void *mmap64(void *address, size_t size, int protection, int flags,
			     int file, int64_t offset)
{
	return HostMemMmap(address, size, protection, flags, file, offset);
}

HOSTMEM_VISIBLE int munmap(void *address, size_t size)
{
	return HostMemMunmap(address, size);
}

HOSTMEM_VISIBLE int mprotect(void *address, size_t size, int protection)
{
	return HostMemMprotect(address, size, protection);
}

HOSTMEM_VISIBLE int madvise(void *address, size_t size, int advice)
{
	return HostMemMadvise(address, size, advice);
}

HOSTMEM_VISIBLE void *mremap(void *address, size_t size, size_t wanted, int flags, ...)
{
	void *place = NULL;
	va_list rest;

	va_start(rest, flags);
	if (flags & MREMAP_FIXED)
		place = va_arg(rest, void *);
	va_end(rest);
	return HostMemMremap(address, size, wanted, flags, place);
}
