/*
 * Short words for the calls of a heap, with out pointers poisoned, and patterns that fill
 * blocks: for conformance, fault and stress tests.
 *
 * A heap is told by its IHostMalloc2.  What a test needs in order to begin is reported as a
 * failure where it cannot be had, and then NULL.
 */
#ifndef HOSTMEM_TEST_HEAP_H
#define HOSTMEM_TEST_HEAP_H

#include "abi/hostmem.h"
#include "test/tap.h"

/* What an out parameter holds before a call, so that one left alone shows. */
#define HEAP_POISON ((void *)(uintptr_t)0x5A5A5A5A5A5A5A5A)
#define HEAP_POISON_SIZE ((SIZE_T)0x5A5A5A5A5A5A5A5A)

static inline IHostMalloc2 *heap_new(IHostMemoryManager *manager, DWORD type)
{
	IHostMalloc *made = (IHostMalloc *)HEAP_POISON;
	void *face = NULL;

	if (!CHECK_HR(IHostMemoryManager_CreateMalloc(manager, type, &made), S_OK) ||
	    !CHECK(made != NULL && (void *)made != HEAP_POISON))
		return NULL;
	CHECK_HR(IHostMalloc_QueryInterface(made, &IID_IHostMalloc2, &face), S_OK);
	IHostMalloc_Release(made);
	return (IHostMalloc2 *)face;
}

/* The out pointer is NULL if and only if the call failed; success is S_OK; alignment. */
static inline HRESULT heap_judge(HRESULT hr, const void *out, size_t alignment)
{
	CHECK(out != HEAP_POISON);
	CHECK((out == NULL) == FAILED(hr));
	CHECK_SIZE((uintptr_t)out % alignment, 0);
	if (SUCCEEDED(hr))
		CHECK_HR(hr, S_OK);
	return hr;
}

static inline HRESULT heap_alloc_at_level(IHostMalloc2 *heap, size_t size,
					  EMemoryCriticalLevel level, void **out)
{
	HRESULT hr;

	*out = HEAP_POISON;
	hr = IHostMalloc2_Alloc(heap, size, level, out);
	return heap_judge(hr, *out, 16);
}

static inline HRESULT heap_alloc(IHostMalloc2 *heap, size_t size, void **out)
{
	return heap_alloc_at_level(heap, size, eTaskCritical, out);
}

static inline HRESULT heap_alloc_debug(IHostMalloc2 *heap, size_t size, const char *file,
				       int line, void **out)
{
	HRESULT hr;

	*out = HEAP_POISON;
	hr = IHostMalloc2_DebugAlloc(heap, size, eTaskCritical, (char *)(uintptr_t)file,
				     line, out);
	return heap_judge(hr, *out, 16);
}

static inline HRESULT heap_alloc_aligned(IHostMalloc2 *heap, size_t size,
					 size_t alignment, DWORD flags, void **out)
{
	HRESULT hr;

	*out = HEAP_POISON;
	hr = IHostMalloc2_AllocAligned(heap, size, alignment, flags, eTaskCritical, out);
	return heap_judge(hr, *out, alignment < 16 ? 16 : alignment);
}

static inline HRESULT heap_realloc(IHostMalloc2 *heap, void *block, size_t size,
				   DWORD flags, void **out)
{
	HRESULT hr;

	*out = HEAP_POISON;
	hr = IHostMalloc2_Realloc(heap, block, size, flags, eTaskCritical, out);
	return heap_judge(hr, *out, 16);
}

static inline HRESULT heap_free(IHostMalloc2 *heap, void *block)
{
	return IHostMalloc2_Free(heap, block);
}

/* GetSize; 0 if the call failed. */
static inline HRESULT heap_get_size(IHostMalloc2 *heap, void *block, size_t *size)
{
	HRESULT hr;

	*size = HEAP_POISON_SIZE;
	hr = IHostMalloc2_GetSize(heap, block, size);
	CHECK(*size != HEAP_POISON_SIZE);
	if (FAILED(hr))
		CHECK_SIZE(*size, 0);
	return hr;
}

static inline void *heap_take(IHostMalloc2 *heap, size_t size)
{
	void *block;

	CHECK_HR(heap_alloc(heap, size, &block), S_OK);
	return block;
}

static inline size_t heap_size(IHostMalloc2 *heap, void *block)
{
	size_t size;

	CHECK_HR(heap_get_size(heap, block, &size), S_OK);
	return size;
}

/* Bytes that it gave back. */
static inline size_t heap_trim(IHostMalloc2 *heap)
{
	SIZE_T freed = HEAP_POISON_SIZE;

	CHECK_HR(IHostMalloc2_Trim(heap, &freed), S_OK);
	CHECK(freed != HEAP_POISON_SIZE);
	return freed;
}

/* ---- Contents ---- */

static inline uint64_t heap_mix(uint64_t number)
{
	number = (number ^ number >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	number = (number ^ number >> 27) * UINT64_C(0x94D049BB133111EB);
	return number ^ number >> 31;
}

/* The numbers of splitmix64. */
static inline uint64_t heap_draw(uint64_t *state, uint64_t below)
{
	return heap_mix(*state += UINT64_C(0x9E3779B97F4A7C15)) % below;
}

/* Every word of the pattern differs from its neighbours and from those of other seeds. */
static inline void heap_fill(void *block, size_t size, uint64_t seed)
{
	uint64_t word = heap_mix(seed + 1);
	unsigned char *to = (unsigned char *)block;

	for (; size >= sizeof(word); size -= sizeof(word), to += sizeof(word), word++)
		memcpy(to, &word, sizeof(word));
	memcpy(to, &word, size);
}

static inline bool heap_holds(const void *block, size_t size, uint64_t seed)
{
	uint64_t word = heap_mix(seed + 1);
	const unsigned char *from = (const unsigned char *)block;

	for (; size >= sizeof(word); size -= sizeof(word), from += sizeof(word), word++) {
		if (memcmp(from, &word, sizeof(word)) != 0)
			return false;
	}
	return memcmp(from, &word, size) == 0;
}

#endif
