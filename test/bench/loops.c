/*
 * What a heap is asked to do while it is timed.
 *
 * Each loop is written once and compiled twice, for ours and for malloc: what differs is
 * the one call through a pointer, see heap_take.  A wrapper with the same signature for all
 * would put a second call around each of the first and hide a part of the difference.
 *
 * The first word of each block is written to, as its user would.  Who is handed a block
 * frees it unread: fetching it from the other processor would be the dearest part, and the
 * same for all, unless the heap fetches it for its own use.
 */
#include "loops.h"
#include "random.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum {
	RING_SLOTS = 1024, /* a power of two */
	/* Handed over at once, so that the heap is timed and not the ring. */
	RING_STEP = 32,
	PATIENCE = 200, /* looks before the processor is given up */
};

/* Blocks on their way from one thread to the other. */
struct ring {
	_Alignas(128) atomic_size_t filled;
	_Alignas(128) atomic_size_t emptied;
	_Alignas(128) atomic_bool broken; /* somebody was refused and has left */
	void *blocks[RING_SLOTS];
};

static struct ring ring;
static _Alignas(128) struct heap_lane lanes[MEASURE_THREADS];

#define COMPILE_TWICE(name) \
	static bool name##_ours(void *lane, size_t times) \
	{ \
		return name(lane, times, true); \
	} \
	static bool name##_theirs(void *lane, size_t times) \
	{ \
		return name(lane, times, false); \
	} \
	const struct loop loop_##name = { { .run = name##_ours }, \
					  { .run = name##_theirs } }

HEAP_INLINE void touch(void *block)
{
	*(volatile uintptr_t *)block = 1;
}

HEAP_INLINE bool pair(struct heap_lane *lane, size_t times, bool ours)
{
	for (size_t i = 0; i < times; i++) {
		void *block = heap_take(lane->heap, ours, lane->size);

		if (block == NULL)
			return false;
		touch(block);
		if (!heap_give(lane->heap, ours, block))
			return false;
	}
	return true;
}
COMPILE_TWICE(pair);

HEAP_INLINE bool batch(struct heap_lane *lane, size_t times, bool ours)
{
	for (size_t i = 0; i < times; i++) {
		for (size_t j = 0; j < LOOPS_BATCH; j++) {
			lane->slots[j] = heap_take(lane->heap, ours, lane->size);
			if (lane->slots[j] == NULL)
				return false;
			touch(lane->slots[j]);
		}
		for (size_t j = 0; j < LOOPS_BATCH; j++) {
			void *block = lane->slots[j];

			lane->slots[j] = NULL;
			if (!heap_give(lane->heap, ours, block))
				return false;
		}
	}
	return true;
}
COMPILE_TWICE(batch);

HEAP_INLINE bool churn(struct heap_lane *lane, size_t times, bool ours)
{
	for (size_t i = 0; i < times; i++) {
		uint64_t number = random_next(&lane->random);
		void **slot = &lane->slots[number % LOOPS_SLOTS];
		size_t size = 16 + (number >> 32) % 1024;

		if (*slot != NULL && !heap_give(lane->heap, ours, *slot))
			return false;
		*slot = heap_take(lane->heap, ours, size);
		if (*slot == NULL)
			return false;
		touch(*slot);
	}
	return true;
}
COMPILE_TWICE(churn);

/* Waits until the other thread's count is no longer this one; TRUE unless it has left. */
static bool wait_beyond(atomic_size_t *count, size_t seen)
{
	unsigned looks = 0;

	while (atomic_load_explicit(count, memory_order_acquire) == seen) {
		if (atomic_load_explicit(&ring.broken, memory_order_relaxed))
			return false;
		if (++looks % PATIENCE == 0)
			(void)sched_yield();
	}
	return true;
}

/* Waits until the ring can be filled so far. */
static bool wait_for_room(size_t stop)
{
	size_t emptied;

	for (;;) {
		emptied = atomic_load_explicit(&ring.emptied, memory_order_acquire);
		if (stop - emptied <= RING_SLOTS)
			return true;
		if (!wait_beyond(&ring.emptied, emptied))
			return false;
	}
}

HEAP_INLINE bool hand_over(struct heap_lane *lane, size_t times, bool ours)
{
	size_t filled = atomic_load_explicit(&ring.filled, memory_order_relaxed);
	size_t end = filled + times;

	while (filled < end) {
		size_t stop = end - filled > RING_STEP ? filled + RING_STEP : end;

		if (!wait_for_room(stop))
			return false;
		for (; filled < stop; filled++) {
			void *block = heap_take(lane->heap, ours, lane->size);

			if (block == NULL)
				return false;
			touch(block);
			ring.blocks[filled % RING_SLOTS] = block;
		}
		atomic_store_explicit(&ring.filled, filled, memory_order_release);
	}
	return true;
}

HEAP_INLINE bool receive(struct heap_lane *lane, size_t times, bool ours)
{
	size_t emptied = atomic_load_explicit(&ring.emptied, memory_order_relaxed);
	size_t end = emptied + times;

	while (emptied < end) {
		size_t stop;

		if (!wait_beyond(&ring.filled, emptied))
			return false;
		stop = atomic_load_explicit(&ring.filled, memory_order_acquire);
		for (; emptied < stop; emptied++) {
			if (!heap_give(lane->heap, ours,
				       ring.blocks[emptied % RING_SLOTS]))
				return false;
		}
		atomic_store_explicit(&ring.emptied, emptied, memory_order_release);
	}
	return true;
}

HEAP_INLINE bool cross(struct heap_lane *lane, size_t times, bool ours)
{
	bool good = lane->receives ? receive(lane, times, ours)
				   : hand_over(lane, times, ours);

	if (!good)
		atomic_store_explicit(&ring.broken, true, memory_order_relaxed);
	return good;
}
COMPILE_TWICE(cross);

struct heap_lane *loops_open(const struct heap *heap, size_t size)
{
	memset(&ring, 0, sizeof(ring));
	memset(lanes, 0, sizeof(lanes));
	for (unsigned i = 0; i < MEASURE_THREADS; i++) {
		lanes[i].heap = heap;
		lanes[i].size = size;
		lanes[i].random = 1 + i;
		lanes[i].receives = i > 0;
	}
	return lanes;
}

bool loops_close(void)
{
	bool good = true;

	for (unsigned i = 0; i < MEASURE_THREADS; i++) {
		for (size_t j = 0; j < LOOPS_SLOTS; j++) {
			if (lanes[i].slots[j] != NULL)
				good = heap_give(lanes[i].heap, lanes[i].heap->ours,
						 lanes[i].slots[j]) &&
				       good;
		}
	}
	return good;
}
