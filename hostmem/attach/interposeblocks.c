/*
 * The malloc family, for a whole process, see interposepages.c.
 *
 * All that glibc lists for a replacement are here.  What it builds on them (strdup, getline,
 * reallocarray) calls these by itself.
 */
#include "abi/attach.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

HOSTMEM_VISIBLE void *malloc(size_t size)
{
	return HostMemMalloc(size);
}

HOSTMEM_VISIBLE void *calloc(size_t count, size_t size)
{
	return HostMemCalloc(count, size);
}

HOSTMEM_VISIBLE void *realloc(void *block, size_t size)
{
	return HostMemRealloc(block, size);
}

HOSTMEM_VISIBLE void free(void *block)
{
	HostMemFree(block);
}

HOSTMEM_VISIBLE int posix_memalign(void **block, size_t alignment, size_t size)
{
	return HostMemPosixMemalign(block, alignment, size);
}

HOSTMEM_VISIBLE void *aligned_alloc(size_t alignment, size_t size)
{
	return HostMemAlignedAlloc(alignment, size);
}

HOSTMEM_VISIBLE void *memalign(size_t alignment, size_t size)
{
	return HostMemAlignedAlloc(alignment, size);
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

HOSTMEM_VISIBLE void *valloc(size_t size)
{
	return HostMemAlignedAlloc(page_size(), size);
}

HOSTMEM_VISIBLE void *pvalloc(size_t size)
{
	size_t page = page_size();

	if (size > SIZE_MAX - page)
		size = SIZE_MAX - page;
	return HostMemAlignedAlloc(page, (size + page - 1) / page * page);
}

HOSTMEM_VISIBLE size_t malloc_usable_size(void *block)
{
	return HostMemMallocUsableSize(block);
}
