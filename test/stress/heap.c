/*
 * Heaps beside a table of their live blocks, over millions of random operations: no block
 * overlaps another, all are aligned and keep their contents, and the account is that of the
 * table.
 *
 * One thread looks at everything.  Several hand blocks to each other through a table whose
 * places have a lock each, so that a block is often freed by another thread than the one
 * that asked for it; what they have is compared when they have ended.  Half of the hosts
 * have a budget that is too small, where refusals are right, and change nothing.
 *
 * SEED=n runs that seed only of one thread, OPERATIONS=n so many operations of each seed
 * and thread.  A failure names seed and operation.
 */
#include "test/stress/blocks.h"
#include "test/stress/crowd.h"

#include <stdatomic.h>

enum {
	SEEDS = 8,
	KEPT = 1500, /* blocks; with more of them, more are freed than taken */
	CHECK_EVERY = 64,
	CHECK_CONTENTS_EVERY = 20000,
};

struct run {
	struct faces faces;
	IHostMalloc2 *heap;
	bool limited;
	uint64_t random, seeds;
	uint64_t refused;
	struct blocks blocks;
	char *freed; /* the last one; perhaps live again */
};

static uint64_t draw(struct run *run, uint64_t below)
{
	return heap_draw(&run->random, below);
}

/* Mostly small, now and then up to 1 MiB. */
static size_t any_size(uint64_t *random)
{
	static const unsigned powers[] = { 5, 5, 6, 6, 7, 7, 8, 8, 8, 9, 10, 11, 12 };
	uint64_t kind = heap_draw(random, 1000);
	unsigned power = powers[kind % (sizeof(powers) / sizeof(powers[0]))];

	if (kind < 2)
		power = 20;
	else if (kind < 20)
		power = 16;
	return (size_t)heap_draw(random, ((uint64_t)1 << power) + 1);
}

/* What has been asked for: it is in the table, or was refused and has changed nothing. */
static void judge(struct run *run, HRESULT hr, void *out, size_t wanted)
{
	size_t size;

	if (hr == E_OUTOFMEMORY && run->limited) {
		run->refused++;
		return;
	}
	if (!CHECK_HR(hr, S_OK))
		return;
	size = heap_size(run->heap, out);
	CHECK(size >= wanted);
	blocks_add(&run->blocks, out, size, run->seeds++);
}

static void take(struct run *run)
{
	size_t size = any_size(&run->random);
	uint64_t kind = draw(run, 20);
	void *out;
	HRESULT hr;

	if (kind == 0)
		hr = heap_alloc_debug(run->heap, size, __FILE__, __LINE__, &out);
	else if (kind <= 2)
		hr = heap_alloc_aligned(run->heap, size, (size_t)1 << draw(run, 14),
					(DWORD)draw(run, 2), &out);
	else
		hr = heap_alloc_at_level(run->heap, size,
					 (EMemoryCriticalLevel)draw(run, 3), &out);
	judge(run, hr, out, size);
}

static void give(struct run *run)
{
	struct block block;

	if (run->blocks.count == 0)
		return;
	block = blocks_remove(&run->blocks, (size_t)draw(run, run->blocks.count));
	CHECK(block_is_whole(&block));
	CHECK_HR(heap_free(run->heap, block.at), S_OK);
	run->freed = block.at;
}

static void change(struct run *run)
{
	DWORD flags = draw(run, 8) == 0 ? HOSTMEM_HEAP_IN_PLACE : 0;
	size_t size = any_size(&run->random), kept;
	struct block block;
	void *out;
	HRESULT hr;

	if (run->blocks.count == 0)
		return;
	block = blocks_remove(&run->blocks, (size_t)draw(run, run->blocks.count));
	CHECK(block_is_whole(&block));
	hr = heap_realloc(run->heap, block.at, size, flags, &out);
	if (SUCCEEDED(hr)) {
		kept = size < block.size ? size : block.size;
		CHECK(heap_holds(out, kept, block.seed));
		if (flags != 0)
			CHECK_POINTER(out, block.at);
		if (out != block.at)
			run->freed = block.at;
		judge(run, hr, out, size);
		return;
	}
	CHECK_HR(hr, E_OUTOFMEMORY);
	CHECK(run->limited || flags != 0);
	run->refused++;
	CHECK_SIZE(heap_size(run->heap, block.at), block.size);
	CHECK(block_is_whole(&block));
	blocks_add(&run->blocks, block.at, block.size, block.seed);
}

/* Addresses that are no block's: inside one, or of one that was freed. */
static void meddle(struct run *run)
{
	char *wrong = run->freed;

	if (draw(run, 2) == 0 && run->blocks.count != 0) {
		const struct block *block =
			&run->blocks.in_order[draw(run, run->blocks.count)];

		wrong = block->at + 1 + draw(run, block->size + 1);
	}
	if (wrong == NULL || blocks_know(&run->blocks, wrong))
		return;
	CHECK_HR(heap_free(run->heap, wrong), HOST_E_INVALIDOPERATION);
}

static void operate(struct run *run)
{
	bool many = run->blocks.count > KEPT;
	uint64_t kind = draw(run, 1000);

	if (kind == 0)
		(void)heap_trim(run->heap);
	else if (kind < 20)
		meddle(run);
	else if (kind < 120)
		change(run);
	else if (kind < (many ? 500U : 580U))
		take(run);
	else
		give(run);
}

static bool run_start(struct run *run, uint64_t seed)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	memset(run, 0, sizeof(*run));
	run->random = seed;
	run->limited = seed % 2 != 0;
	budget.cbLimit = run->limited ? (size_t)1 << 20 : SIZE_MAX;
	config.budget = &budget;
	if (!CHECK_HR(faces_create_with(&run->faces, &config), S_OK))
		return false;
	run->heap = heap_new(run->faces.manager, (DWORD)(seed / 2 % 4));
	return run->heap != NULL;
}

/* The table becomes empty, or not, and the heap goes. */
static void run_end(struct run *run)
{
	bool leaks = run->random % 2 != 0;

	blocks_check_contents(&run->blocks);
	faces_check_account(&run->faces);
	while (run->blocks.count != 0 && !leaks)
		give(run);
	blocks_check(&run->blocks, &run->faces);
	(void)heap_trim(run->heap);
	if (!leaks)
		CHECK_SIZE(faces_usage(&run->faces).cbHeapPages, 0);
	CHECK_SIZE(IHostMalloc2_Release(run->heap), 0);
	CHECK_SIZE(faces_usage(&run->faces).cLeakedBlocks, run->blocks.count);
	CHECK_SIZE(faces_usage(&run->faces).cbLeaked, run->blocks.bytes);
	faces_check_empty(&run->faces);
	CHECK_SIZE(faces_release(&run->faces), 0);
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void a_heap_is_as_its_table_says(void)
{
	uint64_t only = from_environment("SEED", SEEDS);
	uint64_t operations = from_environment("OPERATIONS", FACES_ROUNDS(300000, 20000));
	static struct run run;

	for (uint64_t seed = 0; seed < SEEDS && !tap_failed(); seed++) {
		if (only < SEEDS && seed != only)
			continue;
		if (!run_start(&run, seed))
			return;
		for (uint64_t i = 0; i < operations && !tap_failed(); i++) {
			tap_row("seed %" PRIu64 ", operation %" PRIu64, seed, i);
			operate(&run);
			if (i % CHECK_EVERY == 0)
				blocks_check(&run.blocks, &run.faces);
			if (i % CHECK_CONTENTS_EVERY == 0)
				blocks_check_contents(&run.blocks);
		}
		CHECK((run.refused > operations / 1000) >= run.limited);
		run_end(&run);
	}
}

/* ---- Threads ---- */

enum { THREADS = 4, PLACES = 400 };

struct place {
	pthread_mutex_t lock;
	struct block block;
};

struct market {
	struct run run;
	struct place places[PLACES];
	unsigned turns;
	_Atomic uint64_t seeds, refused;
};

static void fill_place(struct market *market, struct place *place, size_t size)
{
	void *out = NULL;
	HRESULT hr = heap_alloc(market->run.heap, size, &out);

	if (hr == E_OUTOFMEMORY && market->run.limited) {
		atomic_fetch_add(&market->refused, 1);
		return;
	}
	if (!CHECK_HR(hr, S_OK))
		return;
	place->block.at = out;
	place->block.size = heap_size(market->run.heap, out);
	place->block.seed = atomic_fetch_add(&market->seeds, 1);
	CHECK(place->block.size >= size);
	heap_fill(out, place->block.size, place->block.seed);
}

static void change_place(struct market *market, struct place *place, size_t size)
{
	struct block *block = &place->block;
	void *out = NULL;
	HRESULT hr = heap_realloc(market->run.heap, block->at, size, 0, &out);

	if (FAILED(hr)) {
		CHECK_HR(hr, E_OUTOFMEMORY);
		CHECK(market->run.limited);
		return;
	}
	CHECK(heap_holds(out, size < block->size ? size : block->size, block->seed));
	block->at = out;
	block->size = heap_size(market->run.heap, out);
	heap_fill(out, block->size, block->seed);
}

static void *trade(void *argument)
{
	struct crowd_member *self = argument;
	struct market *market = self->state;

	crowd_meet(self);
	for (unsigned i = 0; i < market->turns; i++) {
		struct place *place = &market->places[crowd_draw(self, PLACES)];
		size_t size = any_size(&self->random);
		uint64_t kind = crowd_draw(self, 500);

		if (kind == 0)
			(void)heap_trim(market->run.heap);
		(void)pthread_mutex_lock(&place->lock);
		if (place->block.at == NULL) {
			fill_place(market, place, size);
		} else if (!CHECK(block_is_whole(&place->block))) {
			place->block.at = NULL;
		} else if (kind < 80) {
			change_place(market, place, size);
		} else {
			CHECK_HR(heap_free(market->run.heap, place->block.at), S_OK);
			place->block.at = NULL;
		}
		(void)pthread_mutex_unlock(&place->lock);
	}
	return NULL;
}

static void threads_hand_blocks_to_each_other(void)
{
	static struct market market;

	for (uint64_t seed = 2; seed < 4; seed++) {
		tap_row("seed %" PRIu64, seed);
		if (!run_start(&market.run, seed)) /* MALLOC_THREADSAFE, see there */
			return;
		market.turns = (unsigned)from_environment("OPERATIONS",
							  FACES_ROUNDS(300000, 15000));
		for (size_t i = 0; i < PLACES; i++) {
			(void)pthread_mutex_init(&market.places[i].lock, NULL);
			market.places[i].block.at = NULL;
		}
		atomic_store(&market.refused, 0);
		crowd_run(THREADS, trade, &market);
		for (size_t i = 0; i < PLACES; i++) {
			struct block *block = &market.places[i].block;

			(void)pthread_mutex_destroy(&market.places[i].lock);
			if (block->at == NULL)
				continue;
			CHECK(block_is_whole(block));
			blocks_add(&market.run.blocks, block->at, block->size,
				   block->seed);
		}
		blocks_check(&market.run.blocks, &market.run.faces);
		CHECK((market.refused != 0) == market.run.limited);
		run_end(&market.run);
	}
}

int main(void)
{
	TAP_RUN(a_heap_is_as_its_table_says);
	TAP_RUN(threads_hand_blocks_to_each_other);
	return tap_done();
}
