/*
 * The heap of a workload: blocks that are taken, changed and freed among all other calls,
 * also from inside callbacks, in which any other block may be touched.
 */
#ifndef HOSTMEM_CONFORMANCE_WORKLOAD_HEAP_H
#define HOSTMEM_CONFORMANCE_WORKLOAD_HEAP_H

#include "workload.h"

#include "test/heap.h"

enum { WORKLOAD_BLOCKS = 40 };

struct workload_block {
	void *at;
	size_t size; /* as GetSize tells it */
	uint64_t seed;
};

struct workload_heap {
	IHostMalloc2 *heap;
	struct workload_block blocks[WORKLOAD_BLOCKS];
	uint64_t seeds;
	size_t count, bytes; /* of live blocks, as they stand between calls */
};

/* Mostly small; now and then several pages. */
static inline size_t workload_size(struct workload *workload)
{
	size_t power = workload_draw(workload, 4) == 0 ? 16 : 11;

	return workload_draw(workload, (size_t)1 << workload_draw(workload, power));
}

/* Takes it out of its place, so that nobody inside the call can touch it. */
static inline struct workload_block workload_take(struct workload *workload)
{
	struct workload_block *place =
		&workload->heap->blocks[workload_draw(workload, WORKLOAD_BLOCKS)];
	struct workload_block block = *place;

	*place = (struct workload_block){ NULL, 0, 0 };
	if (block.at != NULL)
		CHECK(heap_holds(block.at, block.size, block.seed));
	return block;
}

static inline void workload_free(struct workload *workload, struct workload_block block)
{
	HRESULT hr;

	if (block.at == NULL)
		return;
	workload->heap->count--;
	workload->heap->bytes -= block.size;
	hr = heap_free(workload->heap->heap, block.at);
	CHECK_HR(hr, S_OK);
	workload_note(workload, "free", NULL, 0, block.size, hr);
}

/* Puts a block, which is filled, where another may be in the meantime. */
static inline void workload_put(struct workload *workload, void *at)
{
	struct workload_heap *heap = workload->heap;
	struct workload_block *place =
		&heap->blocks[workload_draw(workload, WORKLOAD_BLOCKS)];
	struct workload_block before = *place;

	place->at = at;
	place->size = heap_size(heap->heap, at);
	place->seed = heap->seeds++;
	heap_fill(at, place->size, place->seed);
	heap->count++;
	heap->bytes += place->size;
	workload_free(workload, before);
}

static inline void workload_alloc(struct workload *workload)
{
	EMemoryCriticalLevel level = (EMemoryCriticalLevel)workload_draw(workload,
									 LEVELS);
	size_t size = workload_size(workload);
	void *out;
	HRESULT hr = heap_alloc_at_level(workload->heap->heap, size, level, &out);

	workload_check(workload, hr);
	workload_note(workload, "alloc", NULL, 0, size, hr);
	if (SUCCEEDED(hr))
		workload_put(workload, out);
}

static inline void workload_alloc_aligned(struct workload *workload)
{
	size_t alignment = (size_t)1 << workload_draw(workload, 14);
	size_t size = workload_size(workload);
	void *out;
	HRESULT hr = heap_alloc_aligned(workload->heap->heap, size, alignment, 0, &out);

	workload_check(workload, hr);
	workload_note(workload, "aligned", NULL, alignment, size, hr);
	if (SUCCEEDED(hr))
		workload_put(workload, out);
}

static inline void workload_realloc(struct workload *workload)
{
	struct workload_block block = workload_take(workload);
	DWORD flags = workload_draw(workload, 4) == 0 ? HOSTMEM_HEAP_IN_PLACE : 0;
	size_t size = workload_size(workload);
	void *out;
	HRESULT hr;

	if (block.at == NULL)
		return;
	hr = heap_realloc(workload->heap->heap, block.at, size, flags, &out);
	workload_check(workload, hr);
	workload_note(workload, "realloc", NULL, flags, size, hr);
	if (SUCCEEDED(hr))
		CHECK(heap_holds(out, size < block.size ? size : block.size, block.seed));
	workload->heap->count--;
	workload->heap->bytes -= block.size;
	workload_put(workload, SUCCEEDED(hr) ? out : block.at);
}

static inline void workload_trim(struct workload *workload)
{
	size_t freed = heap_trim(workload->heap->heap);

	workload_note(workload, "trim", NULL, 0, freed, S_OK);
}

static inline void workload_call_heap(struct workload *workload)
{
	switch (workload_draw(workload, 16)) {
	case 0:
		workload_trim(workload);
		return;
	case 1:
		workload_alloc_aligned(workload);
		return;
	case 2:
	case 3:
	case 4:
		workload_realloc(workload);
		return;
	case 5:
	case 6:
	case 7:
	case 8:
		workload_free(workload, workload_take(workload));
		return;
	default:
		workload_alloc(workload);
	}
}

static inline void workload_add_heap(struct workload *workload,
				     struct workload_heap *heap, DWORD type)
{
	memset(heap, 0, sizeof(*heap));
	heap->heap = heap_new(workload->host->manager, type);
	if (heap->heap == NULL)
		return;
	workload->heap = heap;
	workload->call_heap = workload_call_heap;
}

/* Its blocks go with it. */
static inline void workload_end_heap(struct workload *workload)
{
	if (workload->heap != NULL)
		CHECK_U32(IHostMalloc2_Release(workload->heap->heap), 0);
	workload->heap = NULL;
}

#endif
