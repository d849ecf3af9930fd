/*
 * The malloc family for the runtime, over the heap of the attached host.
 *
 * A block that is not the heap's was there before, or is one that the C library made itself:
 * it stays the C library's, which is asked to change or free it.  So long as no host is
 * attached, and while one is being made (which may ask for a block), all are.
 *
 * After the host was shut down, new blocks are the C library's, and those of the heap stay
 * until the process ends.
 *
 * A free of what was freed before ends the process with a line that says so, as it does
 * with the C library's: whoever frees twice has overwritten somebody's memory already.
 *
 * Locks: none here.
 */
#include "attached.h"
#include "pieces.h"
#include "hostmem/arenas.h"
#include "hostmem/heap.h"
#include "hostmem/os/clibrary.h"
#include "hostmem/os/compiler.h"
#include "hostmem/os/console.h"
#include "hostmem/os/size.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static EMemoryCriticalLevel level_of(size_t size)
{
	return hm_attached_level(size >= hm_attached.profile->block);
}

/* Whether an address lies in pages of a heap of the host's. */
static bool is_heaps(const void *block)
{
	return hm_pieces_any_heaps((uintptr_t)block, (uintptr_t)block + 1);
}

/* What the heap does not know: the C library's, or nobody's any more.  The pages of a large
 * one may be gone; but the C library has nothing in the host's arenas. */
static void look_closer(const void *block, const char *function)
{
	static const char fault[] = "(): the block was freed before, or is none\n";
	char line[sizeof("realloc") + sizeof(fault)];
	size_t length = strlen(function);

	if (!is_heaps(block) && hm_arena_of((uintptr_t)block) == NULL)
		return;
	memcpy(line, function, length);
	memcpy(line + length, fault, sizeof(fault) - 1);
	hm_console_write(line, length + sizeof(fault) - 1);
	abort();
}

/* ---- New blocks ---- */

void *HostMemMalloc(size_t size)
{
	void *block;
	HRESULT hr;

	if (!hm_is_attached())
		return hm_clibrary_malloc(size);
	hr = IHostMalloc2_Alloc(hm_attached.heap, size, level_of(size), &block);
	if (HM_LIKELY(SUCCEEDED(hr)))
		return block;
	if (hr == HOST_E_CLRNOTAVAILABLE)
		return hm_clibrary_malloc(size);
	errno = ENOMEM;
	return NULL;
}

void *HostMemCalloc(size_t count, size_t size)
{
	size_t all;
	void *block;
	HRESULT hr;

	if (!hm_is_attached())
		return hm_clibrary_calloc(count, size);
	if (__builtin_mul_overflow(count, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	hr = IHostMalloc2_AllocAligned(hm_attached.heap, all, 0, HOSTMEM_HEAP_ZERO,
				       level_of(all), &block);
	if (HM_LIKELY(SUCCEEDED(hr)))
		return block;
	if (hr == HOST_E_CLRNOTAVAILABLE)
		return hm_clibrary_calloc(count, size);
	errno = ENOMEM;
	return NULL;
}

static void *allocate_aligned(size_t alignment, size_t size)
{
	void *block;
	HRESULT hr;

	if (!hm_is_attached())
		return hm_clibrary_memalign(alignment, size);
	hr = IHostMalloc2_AllocAligned(hm_attached.heap, size, alignment, 0,
				       level_of(size), &block);
	if (HM_LIKELY(SUCCEEDED(hr)))
		return block;
	if (hr == HOST_E_CLRNOTAVAILABLE)
		return hm_clibrary_memalign(alignment, size);
	errno = ENOMEM;
	return NULL;
}

int HostMemPosixMemalign(void **block, size_t alignment, size_t size)
{
	int before = errno;
	void *made;

	if (!hm_is_power_of_two(alignment) || alignment < sizeof(void *))
		return EINVAL;
	made = allocate_aligned(alignment, size);
	/* It tells its error by its result alone. */
	errno = before;
	if (made == NULL)
		return ENOMEM;
	*block = made;
	return 0;
}

/* glibc takes the next power of two for what is none. */
void *HostMemAlignedAlloc(size_t alignment, size_t size)
{
	size_t power = sizeof(void *);

	while (power < alignment) {
		if (power > SIZE_MAX / 4) {
			errno = EINVAL;
			return NULL;
		}
		power *= 2;
	}
	return allocate_aligned(power, size);
}

char *HostMemStrndup(const char *text, size_t most)
{
	size_t length = strnlen(text, most);
	char *copy = HostMemMalloc(length + 1);

	if (copy == NULL)
		return NULL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

char *HostMemStrdup(const char *text)
{
	return HostMemStrndup(text, SIZE_MAX);
}

/* ---- Blocks that are there ---- */

void HostMemFree(void *block)
{
	if (block == NULL)
		return;
	if (hm_is_attached()) {
		HRESULT hr = IHostMalloc2_Free(hm_attached.heap, block);

		if (HM_LIKELY(hr == S_OK) ||
		    (hr != HOST_E_INVALIDOPERATION && is_heaps(block)))
			return;
		look_closer(block, "free");
	}
	hm_clibrary_free(block);
}

/* A runtime takes it that a block can always become smaller. */
static void *keep_if_it_fits(void *block, size_t size)
{
	size_t usable;

	if (SUCCEEDED(IHostMalloc2_GetSize(hm_attached.heap, block, &usable)) &&
	    size <= usable)
		return block;
	errno = ENOMEM;
	return NULL;
}

/* The host was shut down, and nobody knows any more how large the block is: no more than up
 * to the end of its pages can be read. */
static void *move_to_the_c_library(const void *block, size_t size)
{
	MEMORY_BASIC_INFORMATION run;
	SIZE_T length;
	void *made;

	if (FAILED(IHostMemoryManager_VirtualQuery(hm_attached.memory,
						   (void *)(uintptr_t)block, &run,
						   sizeof(run), &length))) {
		errno = ENOMEM;
		return NULL;
	}
	made = hm_clibrary_malloc(size);
	if (made != NULL)
		memcpy(made, block,
		       hm_min(size, (uintptr_t)run.BaseAddress + run.RegionSize -
					    (uintptr_t)block));
	return made;
}

void *HostMemRealloc(void *block, size_t size)
{
	void *made;
	HRESULT hr;

	if (block == NULL)
		return HostMemMalloc(size);
	if (!hm_is_attached())
		return hm_clibrary_realloc(block, size);
	if (size == 0) {
		HostMemFree(block);
		return NULL;
	}
	hr = IHostMalloc2_Realloc(hm_attached.heap, block, size, 0, level_of(size),
				  &made);
	if (SUCCEEDED(hr))
		return made;
	if (hr == HOST_E_CLRNOTAVAILABLE && is_heaps(block))
		return move_to_the_c_library(block, size);
	if (hr != HOST_E_INVALIDOPERATION && hr != HOST_E_CLRNOTAVAILABLE)
		return keep_if_it_fits(block, size);
	look_closer(block, "realloc");
	return hm_clibrary_realloc(block, size);
}

void *HostMemReallocArray(void *block, size_t count, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(count, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return HostMemRealloc(block, all);
}

/* Its host has been shut down, and its heap answers nobody any more. */
static size_t size_of_orphan(void *block)
{
	const struct hm_span *span = hm_span_find((uintptr_t)block);
	size_t size;

	if (span == NULL || FAILED(hm_heap_size(atomic_load(&span->heap), block, &size)))
		return 0;
	return size;
}

size_t HostMemMallocUsableSize(void *block)
{
	size_t size;

	if (block == NULL)
		return 0;
	if (hm_is_attached() &&
	    SUCCEEDED(IHostMalloc2_GetSize(hm_attached.heap, block, &size)))
		return size;
	if (hm_is_attached() && is_heaps(block))
		return size_of_orphan(block);
	return hm_clibrary_usable_size(block);
}
