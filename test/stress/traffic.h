/*
 * Threads that hand blocks of one heap to each other: each puts what it has allocated where
 * another one finds it, and frees what it finds.
 */
#ifndef HOSTMEM_TEST_STRESS_TRAFFIC_H
#define HOSTMEM_TEST_STRESS_TRAFFIC_H

#include "test/heap.h"
#include "test/stress/crowd.h"

#include <stdatomic.h>

enum { THREADS = 4, PLACES = 256 };

struct stage {
	struct faces faces;
	IHostMalloc2 *heap;
	_Atomic(void *) places[PLACES]; /* blocks on their way from thread to thread */
	unsigned rounds;
	_Atomic bool over;
};

static inline bool set_stage(struct stage *stage, unsigned rounds)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	memset(stage, 0, sizeof(*stage));
	stage->rounds = rounds;
	config.msGateTimeout = UINT32_MAX;
	if (!CHECK_HR(faces_create_with(&stage->faces, &config), S_OK))
		return false;
	stage->heap = heap_new(stage->faces.manager, MALLOC_THREADSAFE);
	return stage->heap != NULL;
}

static inline size_t any_size(struct crowd_member *self)
{
	return (size_t)crowd_draw(self, UINT64_C(1) << (2 + crowd_draw(self, 14)));
}

/* Puts a block, or nothing, where one is, and frees that: it was another thread's. */
static inline void hand_on(struct crowd_member *self, struct stage *stage)
{
	size_t size = any_size(self);
	void *block = NULL;

	if (crowd_draw(self, 3) != 0) {
		CHECK_HR(heap_alloc(stage->heap, size, &block), S_OK);
		if (block != NULL)
			memset(block, 0x5E, size);
	}
	block = atomic_exchange(&stage->places[crowd_draw(self, PLACES)], block);
	CHECK_HR(heap_free(stage->heap, block), S_OK);
}

/* What is still on its way is what the account says; without it there is nothing. */
static inline void check_account(struct stage *stage)
{
	HostMemUsage usage = faces_usage(&stage->faces);
	size_t bytes = 0, count = 0;

	for (size_t i = 0; i < PLACES; i++) {
		void *block = atomic_load(&stage->places[i]);

		if (block == NULL)
			continue;
		bytes += heap_size(stage->heap, block);
		count++;
	}
	CHECK_SIZE(usage.cbHeap, bytes);
	CHECK_SIZE(usage.cBlocks, count);
	faces_check_account(&stage->faces);
}

static inline void empty_places(struct stage *stage)
{
	for (size_t i = 0; i < PLACES; i++)
		CHECK_HR(heap_free(stage->heap, atomic_exchange(&stage->places[i], NULL)),
			 S_OK);
	(void)heap_trim(stage->heap);
	CHECK_SIZE(faces_usage(&stage->faces).cbHeapPages, 0);
	faces_check_empty(&stage->faces);
}

static inline void clear_stage(struct stage *stage)
{
	check_account(stage);
	empty_places(stage);
	CHECK_SIZE(IHostMalloc2_Release(stage->heap), 0);
	CHECK_SIZE(faces_release(&stage->faces), 0);
}

#endif
