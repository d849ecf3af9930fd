/*
 * The C library's blocks by the names that glibc has for those who replace malloc.
 *
 * Looking malloc up behind ourselves (dlsym with RTLD_NEXT) was rejected: the first call may
 * come while the program is being loaded, and dlsym may allocate.  The one name that glibc
 * does not have a second time, malloc_usable_size, is looked up when somebody asks.
 *
 * Where a sanitizer has put its own malloc in the place of the C library's, blocks that are
 * not a host's are that one's.
 *
 * Locks: none.
 */
#include "clibrary.h"
#include "next.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#ifdef SANITIZED

void *hm_clibrary_malloc(size_t size)
{
	return malloc(size);
}

void *hm_clibrary_calloc(size_t count, size_t size)
{
	return calloc(count, size);
}

void *hm_clibrary_realloc(void *block, size_t size)
{
	return realloc(block, size);
}

void *hm_clibrary_memalign(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

void hm_clibrary_free(void *block)
{
	free(block);
}

size_t hm_clibrary_usable_size(void *block)
{
	return malloc_usable_size(block);
}

#else

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

void *hm_clibrary_malloc(size_t size)
{
	return __libc_malloc(size);
}

void *hm_clibrary_calloc(size_t count, size_t size)
{
	return __libc_calloc(count, size);
}

void *hm_clibrary_realloc(void *block, size_t size)
{
	return __libc_realloc(block, size);
}

void *hm_clibrary_memalign(size_t alignment, size_t size)
{
	return __libc_memalign(alignment, size);
}

void hm_clibrary_free(void *block)
{
	__libc_free(block);
}

size_t hm_clibrary_usable_size(void *block)
{
	static size_t (*_Atomic known)(void *block);
	size_t (*usable_size)(void *block) = atomic_load(&known);

	/* Whoever looks it up finds the same. */
	if (usable_size == NULL) {
		(void)hm_next_function("malloc_usable_size", &usable_size);
		atomic_store(&known, usable_size);
	}
	return usable_size != NULL ? usable_size(block) : 0;
}

#endif
