/*
 * How often malloc and its like are called in this program, by it and by its libraries.
 *
 * A function of that name in a program takes the place of the C library's, for all.  Which
 * names the C library has for its own is known of glibc; sanitizers have functions in the
 * same place already.
 */
#include "allocations.h"

#include <stdatomic.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTED 0
#endif
#endif
#ifndef COUNTED
#ifdef __GLIBC__
#define COUNTED 1
#else
#define COUNTED 0
#endif
#endif

static _Atomic unsigned long calls;
static _Thread_local bool left_out;

bool allocations_counted(void)
{
	return COUNTED;
}

unsigned long allocations_count(void)
{
	return atomic_load(&calls);
}

void allocations_leave_out(void)
{
	left_out = true;
}

#if COUNTED
#define SEEN __attribute__((visibility("default")))

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

static void count(void)
{
	if (!left_out)
		atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
}

SEEN void *malloc(size_t size)
{
	count();
	return __libc_malloc(size);
}

SEEN void *calloc(size_t number, size_t size)
{
	count();
	return __libc_calloc(number, size);
}

SEEN void *realloc(void *block, size_t size)
{
	count();
	return __libc_realloc(block, size);
}
#endif
