/*
 * IHostMalloc: what every heap does, whatever its type.
 *
 * Blocks are told apart by their contents: each is filled to the last byte that GetSize
 * grants it with a pattern of its own, so that two which overlap, or one that the heap
 * writes into, do not stay unseen.  The account is looked at after every call.
 */
#include "access.h"
#include "heap.h"

static const DWORD types[] = { 0, MALLOC_THREADSAFE, MALLOC_EXECUTABLE,
			       MALLOC_THREADSAFE | MALLOC_EXECUTABLE };

/* ---- Blocks of every size ---- */

enum { MOST_BLOCKS = 256 };

struct block {
	void *at;
	size_t size; /* as GetSize tells it */
};

static struct block blocks[MOST_BLOCKS];
static size_t block_count, block_bytes;

/* One byte less, as many and one byte more than each power of two to 1 MiB; and 0. */
static size_t sizes(size_t wanted[MOST_BLOCKS])
{
	size_t count = 0;

	for (size_t power = 1; power <= MIB; power *= 2) {
		wanted[count++] = power - 1;
		wanted[count++] = power;
		wanted[count++] = power + 1;
		wanted[count++] = power + power / 2;
	}
	return count;
}

static void take_block(struct yard *yard, size_t wanted)
{
	struct block *block = &blocks[block_count];

	block->at = heap_take(yard->heap, wanted);
	if (block->at == NULL)
		return;
	block->size = heap_size(yard->heap, block->at);
	CHECK(block->size >= wanted);
	heap_fill(block->at, block->size, block_count);
	block_count++;
	block_bytes += block->size;
	CHECK_HEAP(yard, block_bytes, block_count);
}

static void give_block(struct yard *yard, size_t number)
{
	struct block *block = &blocks[number];

	if (!CHECK(heap_holds(block->at, block->size, number)))
		return;
	CHECK_SIZE(heap_size(yard->heap, block->at), block->size);
	CHECK_HR(heap_free(yard->heap, block->at), S_OK);
	block_bytes -= block->size;
	block->at = NULL;
}

static void give_all_blocks(struct yard *yard)
{
	size_t left = block_count;

	/* Every third, then what is left from the end. */
	for (size_t i = 0; i < block_count; i += 3) {
		tap_row("block %zu", i);
		give_block(yard, i);
		CHECK_HEAP(yard, block_bytes, --left);
	}
	for (size_t i = block_count; i-- > 0;) {
		tap_row("block %zu", i);
		if (blocks[i].at == NULL)
			continue;
		give_block(yard, i);
		CHECK_HEAP(yard, block_bytes, --left);
	}
	CHECK_SIZE(block_bytes, 0);
	block_count = 0;
}

static void blocks_of_every_size_are_aligned_and_apart_and_keep_their_contents(void)
{
	size_t wanted[MOST_BLOCKS], count = sizes(wanted);
	struct yard yard;

	for (size_t t = 0; t < ROWS(types); t++) {
		if (!yard_make(&yard, 0, types[t]))
			return;
		/* Twice, so that the second time finds what the first has freed. */
		for (size_t i = 0; i < 2 * count && !tap_failed(); i++) {
			tap_row("type %u, size %zu", types[t], wanted[i % count]);
			take_block(&yard, wanted[i % count]);
			if (block_count == count)
				give_all_blocks(&yard);
		}
		block_count = block_bytes = 0;
		yard_end(&yard);
	}
}

static void blocks_of_size_0_are_blocks_of_their_own(void)
{
	static void *empty[1000];
	struct yard yard;

	if (!yard_make(&yard, 0, 0))
		return;
	for (size_t i = 0; i < ROWS(empty); i++) {
		empty[i] = heap_take(yard.heap, 0);
		CHECK(i == 0 || empty[i] != empty[i - 1]);
		CHECK_SIZE(host_usage(&yard.host).cBlocks, i + 1);
	}
	for (size_t i = 0; i < ROWS(empty); i++)
		CHECK_HR(heap_free(yard.heap, empty[i]), S_OK);
	CHECK_HEAP(&yard, 0, 0);
	yard_end(&yard);
}

static void debugalloc_is_alloc(void)
{
	size_t wanted[MOST_BLOCKS], count = sizes(wanted);
	struct yard yard;

	if (!yard_make(&yard, 0, 0))
		return;
	for (size_t i = 0; i < count; i++) {
		void *block;
		size_t size;

		tap_row("size %zu", wanted[i]);
		CHECK_HR(heap_alloc_debug(yard.heap, wanted[i], "heap.c", 1, &block),
			 S_OK);
		size = heap_size(yard.heap, block);
		CHECK(size >= wanted[i]);
		heap_fill(block, size, i);
		CHECK_HEAP(&yard, size, 1);
		CHECK(heap_holds(block, size, i));
		CHECK_HR(heap_free(yard.heap, block), S_OK);
		CHECK_HEAP(&yard, 0, 0);
	}
	yard_end(&yard);
}

/* Through the older face: it is the same heap. */
static void both_faces_are_of_one_heap(void)
{
	struct yard yard;
	void *face = NULL, *block = POISON;

	if (!yard_make(&yard, 0, MALLOC_THREADSAFE))
		return;
	CHECK_HR(IHostMalloc2_QueryInterface(yard.heap, &IID_IHostMalloc, &face), S_OK);
	CHECK_HR(IHostMalloc_Alloc((IHostMalloc *)face, 100, eTaskCritical, &block),
		 S_OK);
	CHECK(heap_size(yard.heap, block) >= 100);
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	block = heap_take(yard.heap, 100);
	CHECK_HR(IHostMalloc_Free((IHostMalloc *)face, block), S_OK);
	CHECK_HR(IHostMalloc_Free((IHostMalloc *)face, NULL), S_OK);
	CHECK_HEAP(&yard, 0, 0);
	IHostMalloc_Release((IHostMalloc *)face);
	yard_end(&yard);
}

/* ---- Pages ---- */

static const size_t page_sizes[] = { 1, 100, 3000, 5000, 40000, 300000, 3000000 };

static void a_block_lies_on_committed_pages_of_its_heaps_protection(void)
{
	for (size_t i = 0; i < ROWS(types) * ROWS(page_sizes); i++) {
		DWORD type = types[i / ROWS(page_sizes)];
		size_t size = page_sizes[i % ROWS(page_sizes)];
		DWORD want = type & MALLOC_EXECUTABLE ? PAGE_EXECUTE_READWRITE
						      : PAGE_READWRITE;
		MEMORY_BASIC_INFORMATION run;
		struct yard yard;
		unsigned char *block;

		tap_row("type %u, size %zu", type, size);
		if (!yard_make(&yard, 0, type))
			return;
		block = (unsigned char *)heap_take(yard.heap, size);
		for (size_t offset = 0; block != NULL && offset < size;
		     offset += PAGE / 2) {
			if (!CHECK_HR(vm_query(&yard.host, block + offset, &run), S_OK) ||
			    !CHECK_U32(run.State, MEM_COMMIT) ||
			    !CHECK_U32(run.Protect, want) ||
			    !CHECK_U32(run.Type, MEM_PRIVATE))
				break;
		}
		yard_end(&yard);
	}
}

static void code_in_a_block_of_an_executable_heap_runs(void)
{
#if defined(__x86_64__)
	static const size_t code_sizes[] = { 1, 60, 5000, 300000 };
	struct yard yard;

	if (!yard_make(&yard, 0, MALLOC_EXECUTABLE))
		return;
	for (size_t i = 0; i < ROWS(code_sizes); i++) {
		unsigned char *block = (unsigned char *)heap_take(yard.heap,
								  code_sizes[i]);

		tap_row("size %zu", code_sizes[i]);
		memcpy(block + code_sizes[i] - 1, access_code, 1);
		CHECK(can_execute(block + code_sizes[i] - 1));
	}
	yard_end(&yard);
#else
	tap_skip("the code is x86-64's");
#endif
}

static void a_block_of_another_heap_does_not_run(void)
{
#if defined(__x86_64__)
	struct yard yard;
	unsigned char *block;

	if (!yard_make(&yard, 0, MALLOC_THREADSAFE))
		return;
	block = (unsigned char *)heap_take(yard.heap, 100);
	memcpy(block, access_code, sizeof(access_code));
	CHECK(!can_execute(block));
	yard_end(&yard);
#else
	tap_skip("the code is x86-64's");
#endif
}

/* Their addresses are taken to VirtualAlloc, and nobody's to VirtualFree. */
static void pages_of_a_heap_are_not_the_callers(void)
{
	static struct snapshot before;
	struct yard yard;
	void *out;

	if (!yard_make(&yard, 0, MALLOC_THREADSAFE))
		return;
	for (size_t i = 0; i < ROWS(page_sizes); i++)
		heap_fill(heap_take(yard.heap, page_sizes[i]), page_sizes[i], i);
	snapshot_take(&before, &yard.host);
	for (size_t i = 0; i < before.count; i++) {
		const MEMORY_BASIC_INFORMATION *run = &before.runs[i];
		void *page = run->BaseAddress;
		void *base = run->AllocationBase;
		const struct host *host = &yard.host;

		tap_row("run %zu, %zu pages, state 0x%x", i, run->RegionSize / PAGE,
			run->State);
		CHECK_HR(vm_release(host, base), HOST_E_INVALIDOPERATION);
		CHECK_HR(vm_free(host, base, 0, MEM_DECOMMIT), HOST_E_INVALIDOPERATION);
		CHECK_HR(vm_free(host, page, PAGE, MEM_DECOMMIT),
			 HOST_E_INVALIDOPERATION);
		CHECK_HR(IHostMemoryPages_ReleaseRange(host->pages, page, PAGE),
			 HOST_E_INVALIDOPERATION);
		CHECK_HR(vm_alloc(host, page, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
			 HR_INVALID_ADDRESS);
		CHECK_HR(vm_alloc(host, page, PAGE, MEM_RESERVE, PAGE_READWRITE, &out),
			 HR_INVALID_ADDRESS);
		CHECK_HR(vm_alloc(host, page, PAGE, MEM_RESET, PAGE_READWRITE, &out),
			 HR_INVALID_ADDRESS);
		CHECK_UNCHANGED(&before);
	}
	yard_end(&yard);
}

static void virtualprotect_changes_pages_of_a_heap(void)
{
	struct yard yard;
	unsigned char *block;
	void *page;
	DWORD old;

	if (!yard_make(&yard, 0, MALLOC_THREADSAFE))
		return;
	block = (unsigned char *)heap_take(yard.heap, 16 * PAGE);
	page = (void *)(page_of(block) + 4 * PAGE);
	CHECK_HR(vm_protect(&yard.host, page, PAGE, PAGE_READONLY, &old), S_OK);
	CHECK_U32(old, PAGE_READWRITE);
	CHECK(!can_write(page, 1));
	CHECK_HR(vm_protect(&yard.host, page, PAGE, PAGE_READWRITE, &old), S_OK);
	CHECK_U32(old, PAGE_READONLY);
	CHECK(can_write(page, 1));
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	yard_end(&yard);
}

/* ---- Lifetime ---- */

static void the_last_release_gives_all_pages_back_with_blocks_live(void)
{
	for (size_t t = 0; t < ROWS(types); t++) {
		static struct snapshot before;
		static void *live[600];
		HostMemUsage usage;
		struct yard yard;

		tap_row("type %u", types[t]);
		if (!yard_make(&yard, 0, types[t]))
			return;
		CHECK_U32(IHostMalloc2_Release(yard.heap), 0);
		(void)vm_new(&yard.host, UNIT, MEM_COMMIT, PAGE_READWRITE);
		snapshot_take(&before, &yard.host);
		yard.heap = heap_new(yard.host.manager, types[t]);
		for (size_t i = 0; i < ROWS(live); i++)
			live[i] = heap_take(yard.heap, i * i);
		usage = host_usage(&yard.host);
		CHECK_SIZE(usage.cBlocks, ROWS(live));
		CHECK_U32(IHostMalloc2_Release(yard.heap), 0);
		before.usage.cLeakedBlocks = ROWS(live);
		before.usage.cbLeaked = usage.cbHeap;
		before.usage.cbPeakCharged = usage.cbPeakCharged;
		CHECK_UNCHANGED(&before);
		for (size_t i = 0; i < ROWS(live); i += 7) {
			CHECK_U32(vm_state(&yard.host, live[i]), MEM_FREE);
			CHECK(!can_read(live[i]));
		}
		host_destroy(&yard.host);
	}
}

static void a_heap_without_live_blocks_leaks_none(void)
{
	struct yard yard;
	void *block;

	if (!yard_make(&yard, 0, 0))
		return;
	block = heap_take(yard.heap, 100);
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	CHECK_U32(IHostMalloc2_Release(yard.heap), 0);
	CHECK_SIZE(host_usage(&yard.host).cLeakedBlocks, 0);
	CHECK_SIZE(host_usage(&yard.host).cbLeaked, 0);
	CHECK_SIZE(yard_charged(&yard), 0);
	host_destroy(&yard.host);
}

static void a_heap_holds_its_host(void)
{
	struct yard yard;
	void *blocks_of_both[2];

	if (!yard_make(&yard, 0, MALLOC_THREADSAFE))
		return;
	blocks_of_both[0] = heap_take(yard.heap, 100);
	heap_fill(blocks_of_both[0], 100, 1);
	IHostMemoryPages_Release(yard.host.pages);
	IHostMemoryControl_Release(yard.host.control);
	CHECK(IHostMemoryManager_Release(yard.host.manager) != 0);
	blocks_of_both[1] = heap_take(yard.heap, 2 * MIB);
	heap_fill(blocks_of_both[1], 2 * MIB, 2);
	CHECK(heap_holds(blocks_of_both[0], 100, 1));
	CHECK_HR(heap_free(yard.heap, blocks_of_both[0]), S_OK);
	CHECK_U32(IHostMalloc2_Release(yard.heap), 0);
	CHECK(!can_read(blocks_of_both[1]));
}

int main(void)
{
	access_install();
	TAP_RUN(blocks_of_every_size_are_aligned_and_apart_and_keep_their_contents);
	TAP_RUN(blocks_of_size_0_are_blocks_of_their_own);
	TAP_RUN(debugalloc_is_alloc);
	TAP_RUN(both_faces_are_of_one_heap);
	TAP_RUN(a_block_lies_on_committed_pages_of_its_heaps_protection);
	TAP_RUN(code_in_a_block_of_an_executable_heap_runs);
	TAP_RUN(a_block_of_another_heap_does_not_run);
	TAP_RUN(pages_of_a_heap_are_not_the_callers);
	TAP_RUN(virtualprotect_changes_pages_of_a_heap);
	TAP_RUN(the_last_release_gives_all_pages_back_with_blocks_live);
	TAP_RUN(a_heap_without_live_blocks_leaks_none);
	TAP_RUN(a_heap_holds_its_host);
	return tap_done();
}
