/*
 * A heap beside a crowd of reservations of 64 KiB, each with a page.
 *
 * They have the same arenas, the same tables and the same account.  Blocks come and go while
 * reservations do; each side keeps its contents, the account is the sum of both, and the
 * heap's end leaves the others alone.
 *
 * REGIONS=number in the environment says how many reservations there are.
 */
#include "test/stress/blocks.h"

#include "hostmem/arenapages.h"
#include "hostmem/metadata.h"
#include "hostmem/regions.h"

#include <unistd.h>

enum {
	SHARE = 4,        /* one step with blocks for so many reservations */
	LIVE = 2000,      /* blocks, at most */
	CHECK_EVERY = 32, /* of the reservations: its contents */
	HANG = 120,       /* s */
};

static struct {
	struct faces faces;
	IHostMalloc2 *heap;
	struct blocks blocks;
	uint64_t random, seeds;
	char **regions;
	size_t count, live;
} crowd;

static size_t how_many(void)
{
	const char *wanted = getenv("REGIONS");

	if (wanted != NULL)
		return (size_t)strtoull(wanted, NULL, 10);
	/* Without guard pages each of them takes mappings of the kernel's. */
	return hm_pages_choose(0) == hm_pages_with_guards ? FACES_ROUNDS(200000, 10000)
							  : 10000;
}

/* ---- Reservations ---- */

static uint64_t *word_of(size_t i)
{
	return (uint64_t *)(void *)(crowd.regions[i] + i * 5 % (UNIT / PAGE) * PAGE);
}

static bool reserve(size_t i)
{
	crowd.regions[i] = faces_reserve(&crowd.faces, UNIT);
	if (crowd.regions[i] == NULL ||
	    !CHECK_HR(faces_commit(&crowd.faces, word_of(i), PAGE), S_OK))
		return false;
	if (i % CHECK_EVERY == 0)
		*word_of(i) = i + 1;
	crowd.live++;
	return true;
}

static void check_region(size_t i)
{
	MEMORY_BASIC_INFORMATION run;

	CHECK_HR(faces_query(&crowd.faces, word_of(i), &run), S_OK);
	CHECK_POINTER(run.AllocationBase, crowd.regions[i]);
	CHECK_U32(run.State, MEM_COMMIT);
	CHECK_SIZE(run.RegionSize, PAGE);
	CHECK_SIZE(*word_of(i), i + 1);
}

static void release(size_t i)
{
	if (i % CHECK_EVERY == 0)
		check_region(i);
	CHECK_HR(faces_free(&crowd.faces, crowd.regions[i]), S_OK);
	crowd.regions[i] = NULL;
	crowd.live--;
}

/* ---- Blocks ---- */

static size_t any_size(void)
{
	uint64_t power = heap_draw(&crowd.random, 100);

	power = power < 2 ? 19 : power < 10 ? 15 : 4 + power % 9;
	return (size_t)heap_draw(&crowd.random, UINT64_C(1) << power);
}

static void take(void)
{
	void *block = heap_take(crowd.heap, any_size());

	if (block != NULL)
		blocks_add(&crowd.blocks, block, heap_size(crowd.heap, block),
			   crowd.seeds++);
}

static void give(void)
{
	size_t place = (size_t)heap_draw(&crowd.random, crowd.blocks.count);
	struct block block = blocks_remove(&crowd.blocks, place);

	CHECK(block_is_whole(&block));
	CHECK_HR(heap_free(crowd.heap, block.at), S_OK);
}

static void use_heap(void)
{
	bool many = crowd.blocks.count >= LIVE;

	if (crowd.blocks.count == 0 || (!many && heap_draw(&crowd.random, 5) < 3))
		take();
	else
		give();
	if (heap_draw(&crowd.random, 2000) == 0)
		(void)heap_trim(crowd.heap);
}

/* ---- Both ---- */

static void check_both(void)
{
	HostMemUsage usage = faces_usage(&crowd.faces);

	CHECK_SIZE(usage.cBlocks, crowd.blocks.count);
	CHECK_SIZE(usage.cbHeap, crowd.blocks.bytes);
	CHECK(usage.cbHeapPages >= usage.cbHeap);
	CHECK_SIZE(usage.cbCommitted, crowd.live * PAGE + usage.cbHeapPages);
	faces_check_account(&crowd.faces);
	blocks_check_contents(&crowd.blocks);
	for (size_t i = 0; i < crowd.count; i += CHECK_EVERY) {
		if (crowd.regions[i] != NULL)
			check_region(i);
	}
	CHECK_STR(hm_regions_check(), NULL);
}

static bool make_crowd(void)
{
	crowd.count = how_many();
	crowd.regions = calloc(crowd.count, sizeof(*crowd.regions));
	if (crowd.regions == NULL || !CHECK_HR(faces_create(&crowd.faces), S_OK))
		return false;
	crowd.heap = heap_new(crowd.faces.manager, MALLOC_THREADSAFE);
	if (crowd.heap == NULL)
		return false;
	for (size_t i = 0; i < crowd.count; i++) {
		if (!reserve(i))
			return false;
		if (i % SHARE == 0)
			use_heap();
	}
	return true;
}

/* Two in three of them go, one of these comes back; meanwhile the heap is in use. */
static void replace_crowd(void)
{
	for (size_t i = 0; i < crowd.count; i++) {
		if (i % 3 != 0)
			release(i);
		if (i % SHARE == 0)
			use_heap();
	}
	check_both();
	for (size_t i = 1; i < crowd.count; i += 3) {
		if (!reserve(i))
			return;
		if (i % SHARE == 0)
			use_heap();
	}
}

/* With blocks that are live. */
static void end_heap(void)
{
	size_t pages = faces_usage(&crowd.faces).cbHeapPages;
	HostMemUsage usage;

	CHECK(pages != 0 && crowd.blocks.count != 0);
	CHECK_SIZE(IHostMalloc2_Release(crowd.heap), 0);
	usage = faces_usage(&crowd.faces);
	CHECK_SIZE(usage.cLeakedBlocks, crowd.blocks.count);
	CHECK_SIZE(usage.cbLeaked, crowd.blocks.bytes);
	CHECK_SIZE(usage.cRegions, crowd.live);
	CHECK_SIZE(usage.cbReserved, crowd.live * UNIT);
	CHECK_SIZE(usage.cbHeapPages, 0);
	crowd.blocks.count = crowd.blocks.bytes = 0;
	check_both();
}

static void a_heap_and_a_crowd_of_reservations_leave_each_other_alone(void)
{
	if (!make_crowd())
		return;
	check_both();
	replace_crowd();
	check_both();
	end_heap();
	for (size_t i = 0; i < crowd.count; i++) {
		if (crowd.regions[i] != NULL)
			release(i);
	}
	faces_check_empty(&crowd.faces);
	CHECK_SIZE(faces_release(&crowd.faces), 0);
	CHECK_SIZE(hm_metadata_in_use(), 0);
	free(crowd.regions);
}

int main(void)
{
	(void)alarm(HANG);
	TAP_RUN(a_heap_and_a_crowd_of_reservations_leave_each_other_alone);
	return tap_done();
}
