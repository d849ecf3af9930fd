/*
 * Scenarios of heaps: making one, blocks that need pages, and what gives pages back.
 *
 * What a heap keeps for later goes back when the system refuses a request, and then more has
 * changed than nothing; so whatever frees a block here also trims the heap, in the same call.
 */
#include "test/fault/scenarios.h"
#include "test/heap.h"

enum {
	SMALL = 100,
	MEDIUM = 20000,
	LARGE = 200000,
	BLOCKS = 3,
};

/* Each run has a process of its own. */
static struct {
	IHostMalloc2 *heap;
	void *blocks[BLOCKS];
	size_t sizes[BLOCKS];
} yard;

/* A request that is made if there is a heap; the block is filled, and of its size. */
static HRESULT take(size_t number, size_t size)
{
	void *out;
	HRESULT hr;

	if (yard.heap == NULL || yard.blocks[number] != NULL)
		return S_OK;
	hr = heap_alloc_at_level(yard.heap, size, eProcessCritical, &out);
	if (FAILED(hr))
		return hr;
	yard.blocks[number] = out;
	yard.sizes[number] = size;
	heap_fill(out, size, number);
	return hr;
}

/* All but one that has just been moved. */
static void check_blocks_but(size_t moved)
{
	for (size_t i = 0; i < BLOCKS; i++)
		CHECK(i == moved || yard.blocks[i] == NULL ||
		      heap_holds(yard.blocks[i], yard.sizes[i], i));
}

static void check_blocks(void)
{
	check_blocks_but(BLOCKS);
}

static HRESULT make_heap(struct scene *s)
{
	IHostMalloc *heap = (IHostMalloc *)HEAP_POISON;
	void *face = NULL;
	HRESULT hr = IHostMemoryManager_CreateMalloc(s->faces.manager, MALLOC_THREADSAFE,
						     &heap);

	CHECK_INT(heap != NULL, SUCCEEDED(hr));
	if (FAILED(hr))
		return hr;
	CHECK_HR(IHostMalloc_QueryInterface(heap, &IID_IHostMalloc2, &face), S_OK);
	(void)IHostMalloc_Release(heap);
	yard.heap = (IHostMalloc2 *)face;
	return hr;
}

static HRESULT alloc_small(struct scene *s)
{
	(void)s;
	return take(0, SMALL);
}

/* The first block with a name takes more than the next. */
static HRESULT alloc_named(struct scene *s)
{
	void *out;
	HRESULT hr;

	(void)s;
	if (yard.heap == NULL || yard.blocks[0] != NULL)
		return S_OK;
	hr = heap_alloc_debug(yard.heap, SMALL, "scenarios_heap.c", 1, &out);
	if (FAILED(hr))
		return hr;
	yard.blocks[0] = out;
	yard.sizes[0] = SMALL;
	heap_fill(out, SMALL, 0);
	return hr;
}

static HRESULT alloc_medium(struct scene *s)
{
	(void)s;
	return take(1, MEDIUM);
}

static HRESULT alloc_large(struct scene *s)
{
	(void)s;
	return take(2, LARGE);
}

/* It moves, or it does not; refused, it is what it was. */
static HRESULT change(size_t number, size_t size, DWORD flags)
{
	size_t kept = size < yard.sizes[number] ? size : yard.sizes[number];
	void *out;
	HRESULT hr;

	if (yard.heap == NULL || yard.blocks[number] == NULL)
		return S_OK;
	hr = heap_realloc(yard.heap, yard.blocks[number], size, flags, &out);
	if (hr == E_FAIL) /* perhaps when it gave the old one back */
		yard.blocks[number] = NULL;
	check_blocks_but(SUCCEEDED(hr) ? number : BLOCKS);
	if (FAILED(hr))
		return hr;
	CHECK(heap_holds(out, kept, number));
	yard.blocks[number] = out;
	yard.sizes[number] = size;
	heap_fill(out, size, number);
	return hr;
}

static HRESULT grow_small(struct scene *s)
{
	(void)s;
	return change(0, 3 * SMALL, 0);
}

static HRESULT grow_large(struct scene *s)
{
	(void)s;
	return change(2, 3 * LARGE, 0);
}

static HRESULT shrink_large(struct scene *s)
{
	(void)s;
	return change(2, SMALL, 0);
}

/* At a page of its own, where something was before. */
static HRESULT alloc_zeroed(struct scene *s)
{
	void *out;
	HRESULT hr;

	(void)s;
	if (yard.heap == NULL || yard.blocks[1] != NULL)
		return S_OK;
	hr = heap_alloc_aligned(yard.heap, MEDIUM, PAGE, HOSTMEM_HEAP_ZERO, &out);
	if (FAILED(hr))
		return hr;
	for (size_t i = 0; i < MEDIUM; i += 100)
		CHECK_INT(((char *)out)[i], 0);
	yard.blocks[1] = out;
	yard.sizes[1] = MEDIUM;
	heap_fill(out, MEDIUM, 1);
	return hr;
}

static HRESULT trim(struct scene *s)
{
	SIZE_T freed;

	(void)s;
	check_blocks();
	return yard.heap != NULL ? IHostMalloc2_Trim(yard.heap, &freed) : S_OK;
}

static HRESULT free_and_trim(struct scene *s)
{
	HRESULT hr = S_OK;

	check_blocks();
	for (size_t i = 0; i < BLOCKS && yard.heap != NULL && hr == S_OK; i++) {
		hr = heap_free(yard.heap, yard.blocks[i]);
		yard.blocks[i] = NULL;
	}
	if (hr == S_OK)
		hr = trim(s);
	if (hr == S_OK) {
		CHECK_SIZE(faces_usage(&s->faces).cBlocks, 0);
		CHECK_SIZE(faces_usage(&s->faces).cbHeapPages, 0);
	}
	return hr;
}

static HRESULT end_heap(struct scene *s)
{
	check_blocks();
	if (yard.heap != NULL)
		CHECK_SIZE(IHostMalloc2_Release(yard.heap), 0);
	memset(&yard, 0, sizeof(yard));
	CHECK_SIZE(faces_usage(&s->faces).cBlocks, 0);
	CHECK_SIZE(faces_usage(&s->faces).cbHeapPages, 0);
	return S_OK;
}

/* The caches of this thread and of a heap stay, to be used again. */
static void use_a_heap(void)
{
	struct faces faces;
	IHostMalloc2 *heap;

	if (!CHECK_HR(faces_create(&faces), S_OK))
		return;
	heap = heap_new(faces.manager, MALLOC_THREADSAFE);
	CHECK_HR(heap_free(heap, heap_take(heap, SMALL)), S_OK);
	CHECK_SIZE(IHostMalloc2_Release(heap), 0);
	CHECK_SIZE(faces_release(&faces), 0);
}

/* And those of the heap behind it. */
static void use_a_named_block(void)
{
	struct faces faces;
	IHostMalloc2 *heap;
	void *block;

	if (!CHECK_HR(faces_create(&faces), S_OK))
		return;
	heap = heap_new(faces.manager, MALLOC_THREADSAFE);
	CHECK_HR(heap_alloc_debug(heap, SMALL, NULL, 1, &block), S_OK);
	CHECK_SIZE(IHostMalloc2_Release(heap), 0);
	CHECK_SIZE(faces_release(&faces), 0);
}

static void prepare_heap(struct scene *s)
{
	CHECK_HR(make_heap(s), S_OK);
}

static void prepare_heap_with_blocks(struct scene *s)
{
	prepare_heap(s);
	CHECK_HR(alloc_small(s), S_OK);
	CHECK_HR(alloc_medium(s), S_OK);
	CHECK_HR(alloc_large(s), S_OK);
}

static void finish_heap(struct scene *s)
{
	(void)end_heap(s);
}

const struct scenario scenario_heap_first = {
	.bare = true,
	.calls = {
		{ GRANT, make_heap },
		{ GRANT, alloc_large },
		{ GRANT, alloc_small },
		{ GIVE, free_and_trim },
		{ GIVE, end_heap },
	},
	.finish = finish_heap,
	.settle = use_a_heap,
};

const struct scenario scenario_heap = {
	.prepare = prepare_heap,
	.calls = {
		{ GRANT, alloc_small },
		{ GRANT, alloc_medium },
		{ GRANT, alloc_large },
		{ GRANT, grow_small },
		{ GIVE, trim },
		{ GRANT, grow_large },
		{ GIVE, free_and_trim },
		{ GRANT, alloc_zeroed },
		{ GIVE, free_and_trim },
	},
	.finish = finish_heap,
	.settle = use_a_heap,
};

const struct scenario scenario_heap_end = {
	.prepare = prepare_heap_with_blocks,
	.calls = {
		{ GRANT, shrink_large },
		{ GIVE, trim },
		{ GRANT, grow_small },
		{ GIVE, end_heap },
	},
	.finish = finish_heap,
	.settle = use_a_heap,
};

const struct scenario scenario_heap_named = {
	.prepare = prepare_heap,
	.calls = {
		{ GRANT, alloc_named },
		{ GRANT, grow_small },
		{ GIVE, free_and_trim },
		{ GRANT, alloc_named },
		{ GIVE, end_heap },
	},
	.finish = finish_heap,
	.settle = use_a_named_block,
};

const struct scenario scenario_heap_debug = {
	.flags = HOSTMEM_DEBUG_HEAP,
	.prepare = prepare_heap,
	.calls = {
		{ GRANT, alloc_named },
		{ GRANT, alloc_medium },
		{ GRANT, alloc_large },
		{ GRANT, grow_small },
		{ GIVE, trim },
		{ GRANT, grow_large },
		{ GIVE, free_and_trim },
		{ GRANT, alloc_zeroed },
		{ GIVE, free_and_trim },
	},
	.finish = finish_heap,
	.settle = use_a_named_block,
};
