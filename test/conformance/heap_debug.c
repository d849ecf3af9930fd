/*
 * HOSTMEM_DEBUG_HEAP: what heaps find, and whom they tell.
 *
 * The tests write where nobody may, so nothing here may touch more than one byte in each
 * direction that is not part of the rule.
 */
#include "heap_debug.h"

#include <stdlib.h>

#define FILE_NAME "some/file.c"

static struct yard yard;
static struct reports reports;

static bool start(DWORD type)
{
	return debug_yard(&yard, type, HOSTMEM_DEBUG_HEAP, &reports);
}

static void *named(size_t size, int line)
{
	void *block;

	CHECK_HR(heap_alloc_debug(yard.heap, size, FILE_NAME, line, &block), S_OK);
	return block;
}

static bool all_are(const void *block, size_t size, unsigned char byte)
{
	const unsigned char *bytes = (const unsigned char *)block;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != byte)
			return false;
	}
	return true;
}

static const size_t sizes[] = {
	0, 1, 15, 16, 17, 100, 1000, 4096, 32768, 70000, 2000000
};

/* ---- Blocks ---- */

static void blocks_measure_what_was_asked_for(void)
{
	void *blocks[ROWS(sizes)];
	size_t bytes = 0;

	if (!start(MALLOC_THREADSAFE))
		return;
	for (size_t i = 0; i < ROWS(sizes); i++) {
		blocks[i] = heap_take(yard.heap, sizes[i]);
		CHECK_SIZE(heap_size(yard.heap, blocks[i]), sizes[i]);
		heap_fill(blocks[i], sizes[i], i);
		bytes += sizes[i];
		CHECK_HEAP(&yard, bytes, i + 1);
	}
	for (size_t i = 0; i < ROWS(sizes); i++) {
		CHECK(heap_holds(blocks[i], sizes[i], i));
		CHECK_HR(heap_free(yard.heap, blocks[i]), S_OK);
		bytes -= sizes[i];
		CHECK_HEAP(&yard, bytes, ROWS(sizes) - 1 - i);
	}
	yard_end(&yard);
	CHECK_SIZE(reports.count, 0);
}

static void fresh_bytes_are_not_zero_unless_wanted(void)
{
	void *block;

	if (!start(MALLOC_THREADSAFE))
		return;
	for (size_t i = 1; i < ROWS(sizes); i++) {
		block = heap_take(yard.heap, sizes[i]);
		CHECK(all_are(block, sizes[i], 0xCD));
		CHECK_HR(heap_free(yard.heap, block), S_OK);
		CHECK_HR(heap_alloc_aligned(yard.heap, sizes[i], 0, HOSTMEM_HEAP_ZERO,
					    &block),
			 S_OK);
		CHECK(all_are(block, sizes[i], 0));
		CHECK_HR(heap_free(yard.heap, block), S_OK);
	}
	yard_end(&yard);
	CHECK_SIZE(reports.count, 0);
}

static void aligned_blocks_are_guarded_too(void)
{
	if (!start(MALLOC_THREADSAFE))
		return;
	for (size_t alignment = 1; alignment <= 64 * KIB; alignment *= 4) {
		size_t found = reports.count;
		void *block;

		CHECK_HR(heap_alloc_aligned(yard.heap, 100, alignment, 0, &block), S_OK);
		scribble(block, 100);
		CHECK_HR(heap_free(yard.heap, block), HOST_E_INVALIDOPERATION);
		CHECK_REPORT(&reports, found, HostMemReportOverrun, block, 100, 100, NULL,
			     0);
		scribble(block, 100);
		scribble(block, -1);
		CHECK_HR(heap_free(yard.heap, block), HOST_E_INVALIDOPERATION);
		CHECK_REPORT(&reports, found + 1, HostMemReportUnderrun, block, 100, -1,
			     NULL, 0);
		scribble(block, -1);
		CHECK_HR(heap_free(yard.heap, block), S_OK);
	}
	yard_end(&yard);
}

/* ---- Damage ---- */

static void one_byte_past_the_end_is_found(void)
{
	if (!start(MALLOC_THREADSAFE))
		return;
	for (size_t i = 0; i < ROWS(sizes); i++) {
		void *block = named(sizes[i], (int)i);

		tap_row("size %zu", sizes[i]);
		reports.count = 0;
		scribble(block, (ptrdiff_t)sizes[i]);
		CHECK_HR(heap_free(yard.heap, block), HOST_E_INVALIDOPERATION);
		CHECK_SIZE(reports.count, 1);
		CHECK_REPORT(&reports, 0, HostMemReportOverrun, block, sizes[i],
			     (ptrdiff_t)sizes[i], FILE_NAME, (int)i);
		CHECK_POINTER(reports.list[0].report.heap, yard.heap);
		/* It is live, and when it is whole again it can be freed. */
		CHECK_SIZE(heap_size(yard.heap, block), sizes[i]);
		CHECK_HEAP(&yard, sizes[i], 1);
		scribble(block, (ptrdiff_t)sizes[i]);
		CHECK_HR(heap_free(yard.heap, block), S_OK);
	}
	yard_end(&yard);
}

static void sixteen_bytes_on_either_side_are_looked_at(void)
{
	void *block;

	if (!start(MALLOC_THREADSAFE))
		return;
	block = named(100, 7);
	for (ptrdiff_t off = 1; off <= 16; off++) {
		reports.count = 0;
		scribble(block, -off);
		scribble(block, 99 + off);
		CHECK_HR(heap_free(yard.heap, block), HOST_E_INVALIDOPERATION);
		CHECK_SIZE(reports.count, 2);
		CHECK_REPORT(&reports, 0, HostMemReportUnderrun, block, 100, -off,
			     FILE_NAME, 7);
		CHECK_REPORT(&reports, 1, HostMemReportOverrun, block, 100, 99 + off,
			     FILE_NAME, 7);
		scribble(block, -off);
		scribble(block, 99 + off);
	}
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	yard_end(&yard);
}

static void a_second_free_is_reported(void)
{
	void *block;

	if (!start(MALLOC_THREADSAFE))
		return;
	block = named(100, 12);
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	CHECK_HR(heap_free(yard.heap, block), HOST_E_INVALIDOPERATION);
	CHECK_SIZE(reports.count, 1);
	CHECK_REPORT(&reports, 0, HostMemReportDoubleFree, block, 100, 0, FILE_NAME, 12);
	CHECK_HEAP(&yard, 0, 0);
	CHECK(all_are(block, 100, 0xDD));
	yard_end(&yard);
	CHECK_SIZE(reports.count, 1);
}

static void what_is_no_block_is_reported(void)
{
	void *block;
	char other[100];

	if (!start(MALLOC_THREADSAFE))
		return;
	block = named(100, 1);
	CHECK_HR(heap_free(yard.heap, NULL), S_OK);
	CHECK_HR(heap_free(yard.heap, at(block, 16)), HOST_E_INVALIDOPERATION);
	CHECK_HR(heap_free(yard.heap, other), HOST_E_INVALIDOPERATION);
	CHECK_SIZE(reports.count, 2);
	CHECK_REPORT(&reports, 0, HostMemReportNotABlock, at(block, 16), 0, 0, NULL, 0);
	CHECK_REPORT(&reports, 1, HostMemReportNotABlock, other, 0, 0, NULL, 0);
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	yard_end(&yard);
	CHECK_SIZE(reports.count, 2);
}

static void a_write_after_free_is_found_by_trim_and_at_the_end(void)
{
	void *first, *second;

	if (!start(MALLOC_THREADSAFE))
		return;
	first = named(100, 1);
	second = named(5000, 2);
	CHECK_HR(heap_free(yard.heap, first), S_OK);
	scribble(first, 33);
	CHECK_SIZE(reports.count, 0);
	heap_trim(yard.heap);
	CHECK_SIZE(reports.count, 1);
	CHECK_REPORT(&reports, 0, HostMemReportWrittenAfterFree, first, 100, 33,
		     FILE_NAME, 1);
	CHECK_HR(heap_free(yard.heap, second), S_OK);
	scribble(second, 4999);
	yard_end(&yard);
	CHECK_SIZE(reports.count, 2);
	CHECK_REPORT(&reports, 1, HostMemReportWrittenAfterFree, second, 5000, 4999,
		     FILE_NAME, 2);
}

static void a_write_after_free_is_found_when_others_are_freed(void)
{
	void *block;

	if (!start(MALLOC_THREADSAFE))
		return;
	block = named(100, 1);
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	scribble(block, 0);
	for (int i = 0; i < 5000 && reports.count == 0; i++)
		CHECK_HR(heap_free(yard.heap, heap_take(yard.heap, 2000)), S_OK);
	CHECK_SIZE(reports.count, 1);
	CHECK_REPORT(&reports, 0, HostMemReportWrittenAfterFree, block, 100, 0, FILE_NAME,
		     1);
	yard_end(&yard);
}

static void what_is_kept_is_given_back_before_a_refusal(void)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	void *block, *other;

	budget.cbLimit = MIB;
	config.dwFlags = HOSTMEM_MONITOR_OFF | HOSTMEM_DEBUG_HEAP;
	config.budget = &budget;
	config.report = keep_report;
	config.reportState = &reports;
	reports.count = 0;
	if (!yard_make_with(&yard, &config, MALLOC_THREADSAFE))
		return;
	block = named(700 * KIB, 3);
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	CHECK(yard_charged(&yard) >= 700 * KIB);
	scribble(block, 1000);
	CHECK_HR(heap_alloc(yard.heap, 700 * KIB, &other), S_OK);
	CHECK_SIZE(reports.count, 1);
	CHECK_REPORT(&reports, 0, HostMemReportWrittenAfterFree, block, 700 * KIB, 1000,
		     FILE_NAME, 3);
	CHECK_HR(heap_free(yard.heap, other), S_OK);
	yard_end(&yard);
}

/* ---- Realloc ---- */

static void realloc_moves_and_keeps_the_name(void)
{
	void *block, *moved, *again;

	if (!start(MALLOC_THREADSAFE))
		return;
	block = named(100, 5);
	heap_fill(block, 100, 1);
	CHECK_HR(heap_realloc(yard.heap, block, 200, 0, &moved), S_OK);
	CHECK(moved != block && heap_holds(moved, 100, 1));
	CHECK(all_are(at(moved, 100), 100, 0xCD));
	CHECK_HEAP(&yard, 200, 1);
	CHECK_HR(heap_realloc(yard.heap, moved, 50, HOSTMEM_HEAP_IN_PLACE, &again), S_OK);
	CHECK_POINTER(again, moved);
	CHECK_SIZE(heap_size(yard.heap, moved), 50);
	scribble(moved, 50);
	CHECK_HR(heap_realloc(yard.heap, moved, 10, 0, &again), HOST_E_INVALIDOPERATION);
	CHECK_REPORT(&reports, 0, HostMemReportOverrun, moved, 50, 50, FILE_NAME, 5);
	scribble(moved, 50);
	CHECK_HR(heap_realloc(yard.heap, block, 10, 0, &again), HOST_E_INVALIDOPERATION);
	CHECK_REPORT(&reports, 1, HostMemReportDoubleFree, block, 100, 0, FILE_NAME, 5);
	CHECK_HR(heap_realloc(yard.heap, at(moved, 1), 10, 0, &again),
		 HOST_E_INVALIDOPERATION);
	CHECK_REPORT(&reports, 2, HostMemReportNotABlock, at(moved, 1), 0, 0, NULL, 0);
	CHECK_HR(heap_free(yard.heap, moved), S_OK);
	yard_end(&yard);
	CHECK_SIZE(reports.count, 3);
}

static void realloc_in_place_moves_the_fence(void)
{
	void *block, *same;

	if (!start(MALLOC_THREADSAFE))
		return;
	block = heap_take(yard.heap, 3 * MIB);
	heap_fill(block, 3 * MIB, 9);
	for (size_t size = MIB; size >= 1000; size /= 8) {
		CHECK_HR(heap_realloc(yard.heap, block, size, HOSTMEM_HEAP_IN_PLACE,
				      &same),
			 S_OK);
		CHECK_POINTER(same, block);
		CHECK_SIZE(heap_size(yard.heap, block), size);
		CHECK(heap_holds(block, size & ~(size_t)7, 9));
	}
	CHECK_HR(heap_realloc(yard.heap, block, 2 * MIB, HOSTMEM_HEAP_IN_PLACE, &same),
		 S_OK);
	scribble(block, 2 * (ptrdiff_t)MIB);
	CHECK_HR(heap_free(yard.heap, block), HOST_E_INVALIDOPERATION);
	CHECK_SIZE(reports.count, 1);
	CHECK_HR(heap_realloc(yard.heap, block, 9 * MIB, HOSTMEM_HEAP_IN_PLACE, &same),
		 HOST_E_INVALIDOPERATION);
	scribble(block, 2 * (ptrdiff_t)MIB);
	CHECK_HR(heap_realloc(yard.heap, block, 9 * MIB, HOSTMEM_HEAP_IN_PLACE, &same),
		 E_OUTOFMEMORY);
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	yard_end(&yard);
}

/* ---- Leaks ---- */

static void leaks_are_reported_in_the_order_of_their_making(void)
{
	void *blocks[10];

	if (!start(MALLOC_THREADSAFE))
		return;
	for (size_t i = 0; i < ROWS(blocks); i++)
		blocks[i] = i % 2 == 0 ? named(100 * i, (int)i)
				       : heap_take(yard.heap, 100 * i);
	CHECK_HR(heap_free(yard.heap, blocks[4]), S_OK);
	scribble(blocks[6], 600);
	CHECK_U32(IHostMalloc2_Release(yard.heap), 0);
	CHECK_SIZE(reports.count, 10);
	for (size_t i = 0, number = 0; i < ROWS(blocks); i++) {
		if (i == 4)
			continue;
		if (i == 6)
			CHECK_REPORT(&reports, number++, HostMemReportOverrun, blocks[i],
				     600, 600, FILE_NAME, 6);
		CHECK_REPORT(&reports, number++, HostMemReportLeak, blocks[i], 100 * i, 0,
			     i % 2 == 0 ? FILE_NAME : NULL, i % 2 == 0 ? (int)i : 0);
	}
	CHECK_SIZE(host_usage(&yard.host).cLeakedBlocks, 9);
	CHECK_SIZE(host_usage(&yard.host).cbLeaked, 4500 - 400);
	CHECK_SIZE(yard_charged(&yard), 0);
	host_destroy(&yard.host);
}

static void names_may_be_anything(void)
{
	static char huge[(1 << 20) + 1];
	char format[] = "%s%n%d", latin[] = "\xE9\xFF\x80.c";
	void *block;

	if (!start(MALLOC_THREADSAFE))
		return;
	memset(huge, 'x', sizeof(huge) - 1);
	memcpy(huge + sizeof(huge) - 7, "/end.c", 6);
	CHECK_HR(heap_alloc_debug(yard.heap, 1, huge, -1, &block), S_OK);
	CHECK_HR(heap_alloc_debug(yard.heap, 2, NULL, 5, &block), S_OK);
	CHECK_HR(heap_alloc_debug(yard.heap, 3, format, 0, &block), S_OK);
	CHECK_HR(heap_alloc_debug(yard.heap, 4, latin, 1 << 30, &block), S_OK);
	CHECK_HR(heap_alloc_debug(yard.heap, 5, "", 1, &block), S_OK);
	memset(format, 'z', 3);
	CHECK_U32(IHostMalloc2_Release(yard.heap), 0);
	CHECK_SIZE(reports.count, 5);
	CHECK_STR(reports.list[0].report.file, huge + (1 << 20) - 255);
	CHECK_INT(reports.list[0].report.line, -1);
	CHECK_POINTER(reports.list[1].report.file, NULL);
	CHECK_INT(reports.list[1].report.line, 5);
	CHECK_STR(reports.list[2].report.file, "%s%n%d");
	CHECK_STR(reports.list[3].report.file, latin);
	CHECK_STR(reports.list[4].report.file, "");
	host_destroy(&yard.host);
}

static void an_executable_heap_finds_it_too(void)
{
	void *block;

	if (!start(MALLOC_EXECUTABLE))
		return;
	block = named(100, 1);
	CHECK_U32(vm_protection(&yard.host, block), PAGE_EXECUTE_READWRITE);
	scribble(block, 100);
	CHECK_HR(heap_free(yard.heap, block), HOST_E_INVALIDOPERATION);
	CHECK_U32(IHostMalloc2_Release(yard.heap), 0);
	CHECK_SIZE(reports.count, 3);
	host_destroy(&yard.host);
}

int main(void)
{
	TAP_RUN(blocks_measure_what_was_asked_for);
	TAP_RUN(fresh_bytes_are_not_zero_unless_wanted);
	TAP_RUN(aligned_blocks_are_guarded_too);
	TAP_RUN(one_byte_past_the_end_is_found);
	TAP_RUN(sixteen_bytes_on_either_side_are_looked_at);
	TAP_RUN(a_second_free_is_reported);
	TAP_RUN(what_is_no_block_is_reported);
	TAP_RUN(a_write_after_free_is_found_by_trim_and_at_the_end);
	TAP_RUN(a_write_after_free_is_found_when_others_are_freed);
	TAP_RUN(what_is_kept_is_given_back_before_a_refusal);
	TAP_RUN(realloc_moves_and_keeps_the_name);
	TAP_RUN(realloc_in_place_moves_the_fence);
	TAP_RUN(leaks_are_reported_in_the_order_of_their_making);
	TAP_RUN(names_may_be_anything);
	TAP_RUN(an_executable_heap_finds_it_too);
	return tap_done();
}
