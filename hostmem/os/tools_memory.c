/*
 * AddressSanitizer and valgrind, in an ordinary build.
 *
 * A program built with AddressSanitizer brings its runtime along, and the loader finds the
 * two functions there; else they are NULL.  Valgrind watches for a sequence of instructions
 * that does nothing elsewhere; where its header was not there when this was built, it is
 * not told anything.
 *
 * The sanitizer marks memory in steps of 8 bytes, of which it can allow a front part.
 * Blocks begin at multiples of 16, so the end of a block is exact: all of its place is
 * taken, and then the block is given.
 *
 * A block that was given has to be taken before its addresses may be given again, or
 * valgrind ends over two blocks in one place.
 */
#include "tools.h"
#include "compiler.h"

#ifdef HAVE_VALGRIND_MEMCHECK_H
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wcast-qual"
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_MALLOCLIKE_BLOCK(block, size, zone, zeroed) \
	((void)(block), (void)(size), (void)(zeroed))
#define VALGRIND_RESIZEINPLACE_BLOCK(block, before, size, zone) \
	((void)(block), (void)(before), (void)(size))
#define VALGRIND_FREELIKE_BLOCK(block, zone) ((void)(block))
#define VALGRIND_MAKE_MEM_NOACCESS(address, size) ((void)(address), (void)(size))
#define VALGRIND_MAKE_MEM_UNDEFINED(address, size) ((void)(address), (void)(size))
#endif

void __asan_poison_memory_region(const volatile void *address, size_t size)
	__attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *address, size_t size)
	__attribute__((weak));

enum { NOT_ASKED, THERE, NOT_THERE };

static bool has_sanitizer(void)
{
	return __asan_poison_memory_region != NULL &&
	       __asan_unpoison_memory_region != NULL;
}

/* Asked often, and the answer costs valgrind's client a few instructions. */
static bool has_valgrind(void)
{
	static _Atomic int known = NOT_ASKED;

	if (known == NOT_ASKED)
		known = RUNNING_ON_VALGRIND != 0 ? THERE : NOT_THERE;
	return known == THERE;
}

bool hm_tools_watch(void)
{
	return hostmem_hides_blocks == NULL && (has_sanitizer() || has_valgrind());
}

static void allow(void *address, size_t size)
{
	if (has_sanitizer())
		__asan_unpoison_memory_region(address, size);
}

static void forbid(void *address, size_t size)
{
	if (has_sanitizer())
		__asan_poison_memory_region(address, size);
}

/* The bytes of a place behind `address`. */
static size_t behind(const struct hm_tools_place *place, const char *address)
{
	return (size_t)((const char *)place->base + place->length - address);
}

void hm_tools_give(const struct hm_tools_place *place, void *block, size_t size,
		   bool zeroed)
{
	char *end = (char *)block + size;

	forbid(place->base, place->length);
	allow(block, size);
	if (!has_valgrind())
		return;
	VALGRIND_MAKE_MEM_NOACCESS(place->base, (char *)block - (char *)place->base);
	VALGRIND_MALLOCLIKE_BLOCK(block, size, 0, zeroed);
	VALGRIND_MAKE_MEM_NOACCESS(end, behind(place, end));
}

void hm_tools_resize(const struct hm_tools_place *place, void *block, size_t before,
		     size_t size)
{
	char *end = (char *)block + size;

	forbid(block, behind(place, block));
	allow(block, size);
	if (!has_valgrind())
		return;
	VALGRIND_RESIZEINPLACE_BLOCK(block, before, size, 0);
	VALGRIND_MAKE_MEM_NOACCESS(end, behind(place, end));
}

void hm_tools_take(void *block, size_t size)
{
	forbid(block, size);
	if (has_valgrind())
		VALGRIND_FREELIKE_BLOCK(block, 0);
}

void hm_tools_forget(const struct hm_tools_place *place)
{
	allow(place->base, place->length);
	if (has_valgrind())
		VALGRIND_MAKE_MEM_UNDEFINED(place->base, place->length);
}

#ifdef HAVE_VALGRIND_MEMCHECK_H
#pragma GCC diagnostic pop
#endif
