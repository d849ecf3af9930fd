/*
 * The words of cases for heaps.
 *
 * Blocks are told apart by their contents: each is filled with a pattern of its own, so that
 * two which overlap, or one that the heap writes into, do not stay unseen.
 */
#include "blocks.h"

#include <string.h>

IHostMalloc *hm_heap_of(struct hm_trial *t, IHostMemoryManager *memory, DWORD type)
{
	IHostMalloc *heap = (IHostMalloc *)HM_POISON;
	HRESULT hr = IHostMemoryManager_CreateMalloc(memory, type, &heap);

	if (!CHECK_HR(t, hr, S_OK) ||
	    !CHECK(t, heap != NULL && heap != (IHostMalloc *)HM_POISON))
		return NULL;
	return heap;
}

IHostMalloc *hm_new_heap(struct hm_trial *t, DWORD type)
{
	IHostMalloc *heap = hm_heap_of(t, t->memory, type);

	if (heap != NULL)
		hm_own(t, heap);
	return heap;
}

void *hm_block(struct hm_trial *t, IHostMalloc *heap, SIZE_T size)
{
	void *block = HM_POISON;
	HRESULT hr = IHostMalloc_Alloc(heap, size, eTaskCritical, &block);

	if (!CHECK_HR(t, hr, S_OK) || !CHECK(t, block != NULL && block != HM_POISON))
		return NULL;
	CHECK_SIZE(t, (uintptr_t)block % 16, 0);
	return block;
}

bool hm_free(struct hm_trial *t, IHostMalloc *heap, void *block)
{
	return CHECK_HR(t, IHostMalloc_Free(heap, block), S_OK);
}

static uint64_t next(uint64_t word)
{
	return word * 6364136223846793005U + 1442695040888963407U;
}

void hm_fill(void *block, size_t size, uint64_t seed)
{
	unsigned char *bytes = (unsigned char *)block;
	uint64_t word = next(seed);

	for (size_t i = 0; i < size; i += sizeof(word)) {
		memcpy(bytes + i, &word,
		       size - i < sizeof(word) ? size - i : sizeof(word));
		word = next(word);
	}
}

bool hm_holds(const void *block, size_t size, uint64_t seed)
{
	const unsigned char *bytes = (const unsigned char *)block;
	uint64_t word = next(seed);

	for (size_t i = 0; i < size; i += sizeof(word)) {
		if (memcmp(bytes + i, &word,
			   size - i < sizeof(word) ? size - i : sizeof(word)) != 0)
			return false;
		word = next(word);
	}
	return true;
}

bool hm_refused_block(struct hm_trial *t, IHostMalloc *heap, void *block)
{
	struct hm_state before;
	bool refused;
	HRESULT hr;

	if (!t->codes)
		hm_look(t, &before);
	hr = IHostMalloc_Free(heap, block);
	if (t->codes)
		return CHECK_HR(t, hr, HOST_E_INVALIDOPERATION);
	refused = CHECK(t, FAILED(hr));
	return CHECK_UNCHANGED(t, &before) && refused;
}

/* ---- IHostMalloc2 ---- */

IHostMalloc2 *hm_heap2(struct hm_trial *t)
{
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);
	void *face = NULL;

	if (heap == NULL)
		return NULL;
	if (FAILED(IHostMalloc_QueryInterface(heap, &IID_IHostMalloc2, &face)) ||
	    face == NULL) {
		hm_skip(t, "the heap has no IHostMalloc2");
		return NULL;
	}
	hm_own(t, face);
	return (IHostMalloc2 *)face;
}

size_t hm_size_of(struct hm_trial *t, IHostMalloc2 *heap, void *block)
{
	SIZE_T size = (SIZE_T)HM_POISON;

	CHECK_HR(t, IHostMalloc2_GetSize(heap, block, &size), S_OK);
	return size;
}

void *hm_filled(struct hm_trial *t, IHostMalloc2 *heap, size_t size, uint64_t seed)
{
	void *block = NULL;

	CHECK_HR(t, IHostMalloc2_Alloc(heap, size, eTaskCritical, &block), S_OK);
	if (!CHECK(t, block != NULL))
		return NULL;
	hm_fill(block, size, seed);
	return block;
}

bool hm_free2(struct hm_trial *t, IHostMalloc2 *heap, void *block)
{
	return CHECK_HR(t, IHostMalloc2_Free(heap, block), S_OK);
}
