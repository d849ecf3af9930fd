/*
 * Cases about IHostMalloc: what every heap does.
 *
 * The CLR makes one heap, for the operator new of all its own code, and never gives it up.  So
 * a block of no bytes has to be there, and no block that is freed twice, or was never one, may
 * do harm.
 */
#include "areas.h"
#include "blocks.h"

#include <stdatomic.h>
#include <string.h>

enum {
	LARGEST = 1 << 20,
	MOST_SIZES = 128,
	EMPTY = 20,
	SLOTS = 256,
	TURNS = 20000,
	THREADS = 4,
	SHARED = 64,
	EXCHANGES = 3000
};

/* ---- Blocks ---- */

/* One byte less, as many, one byte more and half as many more than each power of two. */
static size_t sizes_of_blocks(size_t sizes[MOST_SIZES])
{
	size_t count = 0;

	for (size_t power = 1; power <= LARGEST; power *= 2) {
		sizes[count++] = power - 1;
		sizes[count++] = power;
		sizes[count++] = power + 1;
		sizes[count++] = power + power / 2;
	}
	return count;
}

static void blocks_are_aligned_and_keep_their_contents(struct hm_trial *t)
{
	size_t sizes[MOST_SIZES], count = sizes_of_blocks(sizes);
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);
	void *blocks[MOST_SIZES];

	if (heap == NULL)
		return;
	for (size_t i = 0; i < count; i++) {
		hm_row(t, "size %zu", sizes[i]);
		blocks[i] = hm_block(t, heap, sizes[i]);
		if (blocks[i] != NULL)
			hm_fill(blocks[i], sizes[i], i);
	}
	for (size_t i = 0; i < count; i++) {
		hm_row(t, "size %zu", sizes[i]);
		if (blocks[i] == NULL)
			continue;
		CHECK(t, hm_holds(blocks[i], sizes[i], i));
		(void)hm_free(t, heap, blocks[i]);
	}
}

static struct slot {
	void *block;
	size_t size;
} slots[SLOTS];

/* The same numbers each time. */
static unsigned draw(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005U + 1442695040888963407U;
	return (unsigned)(state >> 33);
}

/* One turn: a slot is filled, or emptied if it still holds what was written.  What is wrong,
 * or NULL. */
static const char *turn(IHostMalloc *heap, size_t number)
{
	struct slot *slot = &slots[number];

	if (slot->block != NULL) {
		if (!hm_holds(slot->block, slot->size, number))
			return "the block holds what was written";
		if (IHostMalloc_Free(heap, slot->block) != S_OK)
			return "the block can be freed";
		slot->block = NULL;
		return NULL;
	}
	slot->size = draw() % 8 == 0 ? draw() % 40000 : draw() % 400;
	if (IHostMalloc_Alloc(heap, slot->size, eTaskCritical, &slot->block) != S_OK ||
	    slot->block == NULL)
		return "there is a block";
	if ((uintptr_t)slot->block % 16 != 0)
		return "the block is aligned";
	hm_fill(slot->block, slot->size, number);
	return NULL;
}

static void thousands_of_blocks_come_and_go(struct hm_trial *t)
{
	static const DWORD types[] = { 0, MALLOC_THREADSAFE };

	for (size_t i = 0; i < HM_ROWS(types); i++) {
		IHostMalloc *heap = hm_new_heap(t, types[i]);
		const char *wrong = NULL;

		if (heap == NULL)
			return;
		memset(slots, 0, sizeof(slots));
		for (unsigned n = 0; n < TURNS && wrong == NULL; n++) {
			wrong = turn(heap, draw() % SLOTS);
			hm_row(t, "type %u, turn %u", (unsigned)types[i], n);
		}
		hm_check(t, wrong == NULL, wrong != NULL ? wrong : "blocks come and go",
			 __FILE__, __LINE__);
		(void)hm_drop(t, heap);
	}
}

/* A client takes NULL for out of memory, and tells blocks apart by their addresses. */
static void blocks_of_no_bytes_are_blocks(struct hm_trial *t)
{
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);
	void *blocks[EMPTY];

	if (heap == NULL)
		return;
	for (size_t i = 0; i < EMPTY; i++) {
		bool apart = true;

		hm_row(t, "block %zu", i);
		blocks[i] = hm_block(t, heap, 0);
		for (size_t n = 0; n < i; n++)
			apart = apart && blocks[n] != blocks[i];
		CHECK(t, apart);
	}
	for (size_t i = 0; i < EMPTY; i++)
		(void)hm_free(t, heap, blocks[i]);
}

static void nothing_can_be_freed(struct hm_trial *t)
{
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);
	struct hm_state before;

	if (heap == NULL)
		return;
	hm_row(t, "before the first block");
	hm_look(t, &before);
	(void)hm_free(t, heap, NULL);
	CHECK_UNCHANGED(t, &before);
	hm_row(t, "beside a block");
	(void)hm_block(t, heap, 100);
	hm_look(t, &before);
	(void)hm_free(t, heap, NULL);
	CHECK_UNCHANGED(t, &before);
}

static void every_level_gets_blocks(struct hm_trial *t)
{
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);

	if (heap == NULL)
		return;
	for (int level = eTaskCritical; level <= eProcessCritical; level++) {
		void *block = NULL;

		hm_row(t, "level %d", level);
		CHECK_HR(t,
			 IHostMalloc_Alloc(heap, 100, (EMemoryCriticalLevel)level,
					   &block),
			 S_OK);
		if (CHECK(t, block != NULL))
			(void)hm_free(t, heap, block);
	}
}

static void debugalloc_is_alloc(struct hm_trial *t)
{
	static const size_t sizes[] = { 0, 1, 100, 4096, 5000, 300000 };
	static char file[] = "heap.c";
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);

	if (heap == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(sizes); i++) {
		void *block = HM_POISON, *other;

		hm_row(t, "size %zu", sizes[i]);
		CHECK_HR(t,
			 IHostMalloc_DebugAlloc(heap, sizes[i], eTaskCritical, file, 1,
						&block),
			 S_OK);
		if (!CHECK(t, block != NULL && block != HM_POISON))
			continue;
		CHECK_SIZE(t, (uintptr_t)block % 16, 0);
		hm_fill(block, sizes[i], i);
		other = hm_block(t, heap, sizes[i]);
		if (other != NULL)
			hm_fill(other, sizes[i], i + 1);
		CHECK(t, hm_holds(block, sizes[i], i));
		(void)hm_free(t, heap, block);
		(void)hm_free(t, heap, other);
	}
}

/* ---- Pages ---- */

static const size_t page_sizes[] = { 1, 3000, 40000, 300000 };

static void blocks_lie_on_committed_pages(struct hm_trial *t)
{
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);

	if (heap == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(page_sizes); i++) {
		MEMORY_BASIC_INFORMATION run;
		void *block = hm_block(t, heap, page_sizes[i]);

		hm_row(t, "size %zu", page_sizes[i]);
		if (block == NULL || !CHECK_HR(t, hm_query(t, block, &run), S_OK))
			continue;
		CHECK_SIZE(t, run.State, MEM_COMMIT);
		CHECK_SIZE(t, run.Protect, PAGE_READWRITE);
	}
}

static void code_in_an_executable_heap_runs(struct hm_trial *t)
{
	IHostMalloc *heap = NULL;
	HRESULT hr = IHostMemoryManager_CreateMalloc(
		t->memory, MALLOC_THREADSAFE | MALLOC_EXECUTABLE, &heap);

	if (hr == E_ACCESSDENIED) {
		CHECK_POINTER(t, heap, NULL);
		hm_skip(t, "the host gives no executable heaps (E_ACCESSDENIED)");
		return;
	}
	if (!CHECK_HR(t, hr, S_OK) || !CHECK(t, heap != NULL))
		return;
	hm_own(t, heap);
	for (size_t i = 0; i < HM_ROWS(page_sizes); i++) {
		void *block = hm_block(t, heap, page_sizes[i]);
		void *end = hm_at(block, page_sizes[i] - 1);

		hm_row(t, "size %zu", page_sizes[i]);
		if (block == NULL || !CHECK(t, hm_can_write(end, 0)))
			continue;
		if (page_sizes[i] >= hm_code_size) {
			hm_put_code(block);
			CHECK(t, hm_can_call(block));
		}
		(void)hm_free(t, heap, block);
	}
}

static void code_in_another_heap_does_not_run(struct hm_trial *t)
{
	IHostMalloc *heap = hm_new_heap(t, MALLOC_THREADSAFE);
	void *block = heap != NULL ? hm_block(t, heap, 100) : NULL;

	if (block == NULL)
		return;
	hm_put_code(block);
	CHECK(t, !hm_can_call(block));
}

/* ---- Threads ---- */

static struct {
	IHostMalloc *heap;
	_Atomic(unsigned char *) places[SHARED];
	atomic_uint next, wrong;
} shared;

/* A block tells its own size and seed, so that any thread can judge it. */
static unsigned char *shared_block(size_t size, uint64_t seed)
{
	void *block = NULL;

	if (IHostMalloc_Alloc(shared.heap, size, eTaskCritical, &block) != S_OK ||
	    block == NULL) {
		atomic_fetch_add(&shared.wrong, 1);
		return NULL;
	}
	memcpy(block, &size, sizeof(size));
	memcpy((unsigned char *)block + 8, &seed, sizeof(seed));
	hm_fill((unsigned char *)block + 16, size - 16, seed);
	return (unsigned char *)block;
}

static void give_shared_block(unsigned char *block)
{
	size_t size;
	uint64_t seed;

	memcpy(&size, block, sizeof(size));
	memcpy(&seed, block + 8, sizeof(seed));
	if (size > LARGEST || !hm_holds(block + 16, size - 16, seed) ||
	    IHostMalloc_Free(shared.heap, block) != S_OK)
		atomic_fetch_add(&shared.wrong, 1);
}

/* Whatever lies in the place is somebody else's, as a rule. */
static void exchange_blocks(void *state)
{
	uint64_t seed = (uint64_t)(atomic_fetch_add(&shared.next, 1) + 1) << 32;

	(void)state;
	for (unsigned i = 0; i < EXCHANGES && atomic_load(&shared.wrong) == 0; i++) {
		size_t size = 16 + (i * 37) % (i % 16 == 0 ? 20000 : 500);
		unsigned char *block = shared_block(size, seed + i);

		block = atomic_exchange(&shared.places[(i * 7) % SHARED], block);
		if (block != NULL)
			give_shared_block(block);
	}
}

static void threads_free_each_others_blocks(struct hm_trial *t)
{
	shared.heap = hm_new_heap(t, MALLOC_THREADSAFE);
	if (shared.heap == NULL)
		return;
	hm_together(t, THREADS, exchange_blocks, NULL);
	CHECK_SIZE(t, atomic_load(&shared.wrong), 0);
	for (size_t i = 0; i < SHARED; i++) {
		unsigned char *block = atomic_load(&shared.places[i]);

		if (block != NULL)
			give_shared_block(block);
	}
	CHECK_SIZE(t, atomic_load(&shared.wrong), 0);
}

static const struct hm_case cases[] = {
	{ "sizes", HM_REQUIRED, "CLR expects the alignment of Windows' heap, 16",
	  blocks_are_aligned_and_keep_their_contents, HM_NO_GROUP },
	{ "thousands", HM_REQUIRED, "HR IHostMalloc", thousands_of_blocks_come_and_go,
	  HM_NO_GROUP },
	{ "no-bytes", HM_REQUIRED, "CLR passes on size 0 and takes NULL for a failure",
	  blocks_of_no_bytes_are_blocks, HM_NO_GROUP },
	{ "free-nothing", HM_REQUIRED, "CLR frees NULL and looks at the answer",
	  nothing_can_be_freed, HM_NO_GROUP },
	{ "levels", HM_REQUIRED, "HR EMemoryCriticalLevel", every_level_gets_blocks,
	  HM_NO_GROUP },
	{ "debugalloc", HM_REQUIRED, "HR IHostMalloc::DebugAlloc", debugalloc_is_alloc,
	  HM_NO_GROUP },
	{ "pages", HM_DOCUMENTED, "HM hostmemory.h: PAGE_READWRITE",
	  blocks_lie_on_committed_pages, HM_NO_GROUP },
	{ "executable", HM_DOCUMENTED, "HR MALLOC_TYPE: may hold code",
	  code_in_an_executable_heap_runs, HM_NO_GROUP },
	{ "not-executable", HM_DOCUMENTED, "HM hostmemory.h: PAGE_READWRITE",
	  code_in_another_heap_does_not_run, HM_NO_GROUP },
	{ "threads", HM_REQUIRED, "HR MALLOC_TYPE: MALLOC_THREADSAFE",
	  threads_free_each_others_blocks, HM_NO_GROUP },
};

const struct hm_area hm_area_heap = HM_AREA("heap", cases);
