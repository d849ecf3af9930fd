/*
 * The live blocks of a heap as a test knows them, in the order of their addresses: no two
 * may overlap, each keeps its contents to the last byte that GetSize granted.
 */
#ifndef HOSTMEM_TEST_STRESS_BLOCKS_H
#define HOSTMEM_TEST_STRESS_BLOCKS_H

#include "test/heap.h"
#include "test/stress/faces.h"

enum { BLOCKS_MOST = 4096 };

struct block {
	char *at;
	size_t size;   /* as GetSize tells it */
	uint64_t seed; /* of its contents */
};

struct blocks {
	size_t count, bytes;
	struct block in_order[BLOCKS_MOST];
};

/* Where it is, or would be. */
static inline size_t blocks_place(const struct blocks *blocks, const char *at)
{
	size_t low = 0, high = blocks->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (blocks->in_order[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static inline bool blocks_know(const struct blocks *blocks, const void *at)
{
	size_t place = blocks_place(blocks, at);

	return place < blocks->count && blocks->in_order[place].at == at;
}

/* A new block, which is filled; it must not overlap another. */
static inline void blocks_add(struct blocks *blocks, void *at, size_t size, uint64_t seed)
{
	size_t place = blocks_place(blocks, at);
	struct block *block = &blocks->in_order[place];

	if (!CHECK(blocks->count < BLOCKS_MOST))
		return;
	if (place != 0)
		CHECK(block[-1].at + block[-1].size <= (char *)at);
	if (place != blocks->count)
		CHECK((char *)at + size <= block->at);
	memmove(block + 1, block, (blocks->count - place) * sizeof(*block));
	*block = (struct block){ .at = at, .size = size, .seed = seed };
	blocks->count++;
	blocks->bytes += size;
	heap_fill(at, size, seed);
}

static inline struct block blocks_remove(struct blocks *blocks, size_t place)
{
	struct block *block = &blocks->in_order[place], removed = *block;

	blocks->count--;
	blocks->bytes -= removed.size;
	memmove(block, block + 1, (blocks->count - place) * sizeof(*block));
	return removed;
}

static inline bool block_is_whole(const struct block *block)
{
	return heap_holds(block->at, block->size, block->seed);
}

/* All that can be seen of a heap that is the only one of its host, while nobody calls. */
static inline void blocks_check(const struct blocks *blocks, const struct faces *faces)
{
	HostMemUsage usage = faces_usage(faces);

	CHECK_SIZE(usage.cBlocks, blocks->count);
	CHECK_SIZE(usage.cbHeap, blocks->bytes);
	CHECK(usage.cbHeapPages >= usage.cbHeap);
}

static inline void blocks_check_contents(const struct blocks *blocks)
{
	for (size_t i = 0; i < blocks->count; i++)
		CHECK(block_is_whole(&blocks->in_order[i]));
}

#endif
