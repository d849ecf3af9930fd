/*
 * Two threads that free the same block at the same moment.
 *
 * That is a mistake of the program's, and harmless: one of them is told S_OK, or both are,
 * and the block is free once.  So the account stays exact, and no block is handed out twice
 * afterwards.  The two keep step with each other, block by block; while they are at it nobody
 * allocates, so that none of them frees what is somebody else's by then.
 */
#include "test/stress/blocks.h"
#include "test/stress/crowd.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
	BATCH = 200,
	KEPT = 50,  /* blocks that nobody frees, so that a count below zero shows, too */
	SPINS = 50, /* looks at the other one before the processor is given away */
	HANG = 120, /* s */
};

static struct {
	struct faces faces;
	IHostMalloc2 *heap;
	void *batch[BATCH];
	HRESULT results[BATCH][2];
	struct blocks live;
	uint64_t seeds;
	unsigned rounds;
	bool owner_frees; /* else two others do */
	uint64_t both;    /* were told S_OK */
	_Atomic uint64_t steps;
} yard;

static const size_t sizes[] = { 100, 16, 1000, 6000, 4000, 300 };

/* ---- Two threads ---- */

/* Returns when the other one is there, too, as nearly at the same moment as can be. */
static void step(uint64_t number)
{
	unsigned spins = 0;

	atomic_fetch_add(&yard.steps, 1);
	while (atomic_load(&yard.steps) < 2 * (number + 1)) {
		if (++spins > SPINS)
			(void)sched_yield();
	}
}

static void free_batch(unsigned round, size_t which)
{
	for (size_t i = 0; i < BATCH; i++) {
		step((uint64_t)round * BATCH + i);
		yard.results[i][which] = heap_free(yard.heap, yard.batch[i]);
	}
}

/* ---- What it comes to ---- */

static void take_batch(unsigned round)
{
	for (size_t i = 0; i < BATCH; i++) {
		yard.batch[i] = heap_take(yard.heap, sizes[(i / 10 + round) % 6]);
		if (yard.batch[i] != NULL)
			blocks_add(&yard.live, yard.batch[i],
				   heap_size(yard.heap, yard.batch[i]), yard.seeds++);
	}
	blocks_check_contents(&yard.live);
}

static void forget(const void *at)
{
	struct block block = blocks_remove(&yard.live, blocks_place(&yard.live, at));

	CHECK_POINTER(block.at, at);
	CHECK(block_is_whole(&block));
}

static void check_batch(unsigned round)
{
	for (size_t i = 0; i < BATCH; i++) {
		HRESULT first = yard.results[i][0], second = yard.results[i][1];

		forget(yard.batch[i]);
		CHECK(first == S_OK || second == S_OK);
		if (first == S_OK && second == S_OK)
			yard.both++;
		else
			CHECK_HR(first == S_OK ? second : first, HOST_E_INVALIDOPERATION);
		CHECK_HR(heap_free(yard.heap, yard.batch[i]), HOST_E_INVALIDOPERATION);
	}
	/* What was counted twice is noticed when it is taken over, at the latest then. */
	if (round % 8 == 7) {
		(void)heap_trim(yard.heap);
		blocks_check(&yard.live, &yard.faces);
		blocks_check_contents(&yard.live);
	}
}

/* Number 0 has the blocks; 1 and 0, or 1 and 2, free them. */
static void *play(void *argument)
{
	struct crowd_member *self = argument;
	unsigned idle = yard.owner_frees ? 2 : 0;

	for (unsigned round = 0; round < yard.rounds; round++) {
		tap_row("round %u", round);
		if (self->number == 0)
			take_batch(round);
		crowd_meet(self);
		if (self->number != idle)
			free_batch(round, self->number == 1 ? 0 : 1);
		crowd_meet(self);
		if (self->number == 0)
			check_batch(round);
	}
	return NULL;
}

static bool start(bool owner_frees)
{
	memset(&yard, 0, sizeof(yard));
	yard.rounds = FACES_ROUNDS(1500, 60);
	yard.owner_frees = owner_frees;
	if (!CHECK_HR(faces_create(&yard.faces), S_OK))
		return false;
	yard.heap = heap_new(yard.faces.manager, MALLOC_THREADSAFE);
	return yard.heap != NULL;
}

static void free_twice(bool owner_frees)
{
	if (!start(owner_frees))
		return;
	for (size_t i = 0; i < KEPT; i++) {
		void *block = heap_take(yard.heap, sizes[i % 6]);

		blocks_add(&yard.live, block, heap_size(yard.heap, block), yard.seeds++);
	}
	crowd_run(3, play, &yard);
	tap_row("at the end");
	(void)heap_trim(yard.heap);
	blocks_check(&yard.live, &yard.faces);
	while (yard.live.count != 0) {
		struct block block = blocks_remove(&yard.live, 0);

		CHECK(block_is_whole(&block));
		CHECK_HR(heap_free(yard.heap, block.at), S_OK);
	}
	(void)heap_trim(yard.heap);
	blocks_check(&yard.live, &yard.faces);
	CHECK_SIZE(faces_usage(&yard.faces).cbHeapPages, 0);
	if (getenv("FIGURES") != NULL)
		printf("# both were told S_OK %" PRIu64 " times\n", yard.both);
	CHECK_SIZE(IHostMalloc2_Release(yard.heap), 0);
	faces_check_empty(&yard.faces);
	CHECK_SIZE(faces_release(&yard.faces), 0);
}

static void a_block_that_its_owner_and_another_thread_free_is_free_once(void)
{
	free_twice(true);
}

static void a_block_that_two_others_free_is_free_once(void)
{
	free_twice(false);
}

int main(void)
{
	(void)alarm(HANG);
	TAP_RUN(a_block_that_its_owner_and_another_thread_free_is_free_once);
	TAP_RUN(a_block_that_two_others_free_is_free_once);
	return tap_done();
}
