/*
 * Blocks that are live when their heap ends, in heaps that do not look for damage: they are
 * counted, and those that DebugAlloc made are named to who has asked for reports.
 */
#include "heap_debug.h"
#include "child.h"

static struct yard yard;
static struct reports reports;

static void *named(size_t size, const char *file, int line)
{
	void *block;

	CHECK_HR(heap_alloc_debug(yard.heap, size, file, line, &block), S_OK);
	return block;
}

static void end_with(size_t bytes, uint64_t blocks)
{
	HostMemUsage usage;

	CHECK_U32(IHostMalloc2_Release(yard.heap), 0);
	usage = host_usage(&yard.host);
	CHECK_SIZE(usage.cbLeaked, bytes);
	CHECK_SIZE(usage.cLeakedBlocks, blocks);
	CHECK_SIZE(usage.cbHeap, 0);
	CHECK_SIZE(usage.cBlocks, 0);
	CHECK_SIZE(usage.cbHeapPages, 0);
	CHECK_SIZE(usage.cbCharged, 0);
	CHECK_SIZE(usage.cRegions, 0);
	host_destroy(&yard.host);
}

static void named_blocks_are_named_to_a_callback(void)
{
	static const DWORD types[] = { 0, MALLOC_THREADSAFE, MALLOC_EXECUTABLE };

	for (size_t i = 0; i < ROWS(types); i++) {
		void *first, *second, *third;
		size_t plain;

		if (!debug_yard(&yard, types[i], 0, &reports))
			return;
		first = named(100, "a.c", 1);
		plain = heap_size(yard.heap, heap_take(yard.heap, 300));
		second = named(200000, NULL, 2);
		CHECK_HR(heap_free(yard.heap, named(50, "b.c", 3)), S_OK);
		third = named(0, "a.c", 4);
		CHECK_HEAP(&yard, 200100 + plain, 4);
		end_with(200100 + plain, 4);
		CHECK_SIZE(reports.count, 3);
		CHECK_REPORT(&reports, 0, HostMemReportLeak, first, 100, 0, "a.c", 1);
		CHECK_REPORT(&reports, 1, HostMemReportLeak, second, 200000, 0, NULL, 2);
		CHECK_REPORT(&reports, 2, HostMemReportLeak, third, 0, 0, "a.c", 4);
		CHECK_POINTER(reports.list[0].report.heap, yard.heap);
	}
}

static void quiet_child(void)
{
	int ends[2];
	char byte;

	if (!CHECK(pipe(ends) == 0) || !CHECK(dup2(ends[1], STDERR_FILENO) >= 0))
		return;
	if (!debug_yard(&yard, MALLOC_THREADSAFE, 0, NULL))
		return;
	(void)named(100, "a.c", 1);
	end_with(100, 1);
	(void)close(STDERR_FILENO);
	(void)close(ends[1]);
	CHECK_INT(read(ends[0], &byte, 1), 0);
}

static void without_a_callback_nothing_is_said(void)
{
	in_child(quiet_child);
}

static void such_a_block_is_a_block_like_others(void)
{
	void *block, *same, *moved;

	if (!debug_yard(&yard, MALLOC_THREADSAFE, 0, &reports))
		return;
	block = named(100, "a.c", 9);
	CHECK_SIZE(heap_size(yard.heap, block), 100);
	heap_fill(block, 100, 3);
	CHECK_HR(heap_realloc(yard.heap, block, 90, 0, &same), S_OK);
	CHECK_POINTER(same, block);
	CHECK_SIZE(heap_size(yard.heap, block), 90);
	CHECK_HR(heap_realloc(yard.heap, block, 100000, HOSTMEM_HEAP_IN_PLACE, &same),
		 E_OUTOFMEMORY);
	CHECK_HR(heap_realloc(yard.heap, block, 100000, 0, &moved), S_OK);
	CHECK(heap_holds(moved, 88, 3));
	CHECK_HEAP(&yard, 100000, 1);
	CHECK_HR(heap_free(yard.heap, block), HOST_E_INVALIDOPERATION);
	CHECK_HR(heap_free(yard.heap, at(moved, 16)), HOST_E_INVALIDOPERATION);
	CHECK_SIZE(reports.count, 0);
	end_with(100000, 1);
	CHECK_SIZE(reports.count, 1);
	CHECK_REPORT(&reports, 0, HostMemReportLeak, moved, 100000, 0, "a.c", 9);
}

static void a_named_block_that_was_freed_leaves_its_pages_to_trim(void)
{
	static void *blocks[500];
	size_t before;

	if (!debug_yard(&yard, MALLOC_THREADSAFE, 0, &reports))
		return;
	for (size_t i = 0; i < ROWS(blocks); i++)
		blocks[i] = named(i * 10, "many.c", (int)i);
	for (size_t i = 0; i < ROWS(blocks); i++)
		CHECK_HR(heap_free(yard.heap, blocks[i]), S_OK);
	CHECK_HEAP(&yard, 0, 0);
	before = yard_pages(&yard);
	CHECK_SIZE(heap_trim(yard.heap), before);
	CHECK_SIZE(yard_pages(&yard), 0);
	end_with(0, 0);
	CHECK_SIZE(reports.count, 0);
}

static void bad_arguments_of_debugalloc_change_nothing(void)
{
	void *block;

	if (!debug_yard(&yard, MALLOC_THREADSAFE, 0, &reports))
		return;
	CHECK_HR(IHostMalloc2_DebugAlloc(yard.heap, 1, eTaskCritical, NULL, 0, NULL),
		 E_POINTER);
	block = POISON;
	CHECK_HR(IHostMalloc2_DebugAlloc(yard.heap, 1, (EMemoryCriticalLevel)3, NULL, 0,
					 &block),
		 E_INVALIDARG);
	CHECK_POINTER(block, NULL);
	for (size_t size = SIZE_MAX; size > SIZE_MAX - 64; size--)
		CHECK_HR(heap_alloc_debug(yard.heap, size, "x", 1, &block),
			 E_OUTOFMEMORY);
	CHECK_HR(heap_alloc_debug(yard.heap, (size_t)1 << 63, "x", 1, &block),
		 E_OUTOFMEMORY);
	CHECK_HEAP(&yard, 0, 0);
	CHECK_HR(IHostMemoryControl_Shutdown(yard.host.control), S_OK);
	CHECK_HR(heap_alloc_debug(yard.heap, 1, "x", 1, &block), HOST_E_CLRNOTAVAILABLE);
	end_with(0, 0);
}

int main(void)
{
	TAP_RUN(named_blocks_are_named_to_a_callback);
	TAP_RUN(without_a_callback_nothing_is_said);
	TAP_RUN(such_a_block_is_a_block_like_others);
	TAP_RUN(a_named_block_that_was_freed_leaves_its_pages_to_trim);
	TAP_RUN(bad_arguments_of_debugalloc_change_nothing);
	return tap_done();
}
