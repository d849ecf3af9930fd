/*
 * Large blocks: reservations of their own, another size where they are, and those that are
 * kept for later.
 */
#include "hostmem/heappages.h"
#include "heaps.h"

#include "hostmem/arenapages.h"

static struct hm_heap heap;

static void begin(void)
{
	heaps_begin();
	heap_make(&heap, MALLOC_THREADSAFE);
}

static void end(void)
{
	CHECK_STR(hm_heap_check(&heap), NULL);
	hm_heap_destroy(&heap);
	heaps_end();
}

static HRESULT resize(void *block, size_t size)
{
	return hm_heap_resize(&heap, block, size, eTaskCritical);
}

#define CHECK_LARGE(pages) check_large((pages), __FILE__, __LINE__)

/* One block of so many pages is all there is. */
static void check_large(size_t pages, const char *file, int line)
{
	check_heaps(pages * PAGE, pages != 0, pages * PAGE, file, line);
	tap_check_unsigned(heap.large_bytes, pages * PAGE, "large_bytes", file, line);
	tap_check_unsigned(heap.large_count, pages != 0, "large_count", file, line);
}

/* ---- One ---- */

static void a_large_block_is_a_reservation_of_whole_pages(void)
{
	static const struct {
		size_t size, alignment, pages;
	} rows[] = {
		{ PAGE + 1, 16, 2 }, { 5 * PAGE, 16, 5 }, { UNIT, PAGE, 16 },
		{ 1, 2 * PAGE, 1 },  { 3, 1 << 20, 1 },   { 3 << 20, 16, 768 },
		{ 0, 8 * PAGE, 1 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct hm_block_wish wish = { .size = rows[i].size,
						    .alignment = rows[i].alignment };
		void *block = NULL;

		tap_row("row %zu", i);
		begin();
		fake.pages.next += UNIT; /* where it begins all alignments are met */
		CHECK_HR(hm_heap_alloc(&heap, &wish, &block), S_OK);
		CHECK_SIZE((uintptr_t)block % rows[i].alignment, 0);
		CHECK_SIZE((uintptr_t)block % UNIT, 0);
		CHECK_LARGE(rows[i].pages);
		CHECK_U32(fake.pages.calls[RESERVE], 1);
		CHECK_SIZE(fake.pages.size, rows[i].pages * PAGE);
		end();
	}
}

static void what_is_more_than_all_addresses_is_refused_and_counted(void)
{
	static const struct hm_block_wish wishes[] = {
		{ .size = SIZE_MAX, .alignment = 16 },
		{ .size = SIZE_MAX - 4095, .alignment = 16 },
		{ .size = 1, .alignment = (SIZE_MAX >> 1) + 1 },
		{ .size = (size_t)1 << 47, .alignment = 16 },
	};
	void *block = NULL;

	begin();
	for (size_t i = 0; i < ROWS(wishes); i++) {
		tap_row("row %zu", i);
		CHECK_HR(hm_heap_alloc(&heap, &wishes[i], &block), E_OUTOFMEMORY);
		CHECK(block == NULL);
		CHECK_SIZE(fake_usage(&fake).cRefusedBudget, i + 1);
	}
	CHECK_U32(fake.pages.calls[RESERVE], 0);
	CHECK_LARGE(0);
	end();
}

static void without_a_record_or_addresses_nothing_is_left(void)
{
	struct hoard hoard;
	void *block;

	begin();
	hm_calls_enter();
	hoard_kind(&hoard, HM_METADATA_SPAN_WHOLE, HM_NEED_NORMAL);
	hm_calls_leave();
	CHECK_HR(heap_try(&heap, UNIT, &block), E_OUTOFMEMORY);
	CHECK_U32(fake.pages.calls[RESERVE], 0);
	hm_calls_enter();
	hoard_end(&hoard, HM_METADATA_SPAN_WHOLE);
	hm_calls_leave();
	fake.pages.answer[RESERVE] = E_OUTOFMEMORY;
	CHECK_HR(heap_try(&heap, UNIT, &block), E_OUTOFMEMORY);
	CHECK_LARGE(0);
	end();
}

/* ---- Another size ---- */

static void it_shrinks_and_grows_within_its_reservation(void)
{
	char *block;
	size_t size = 0;

	begin();
	block = heap_take(&heap, 8 * PAGE);
	CHECK_HR(resize(block, 8 * PAGE - 5), S_OK); /* the same pages */
	CHECK_U32(fake.pages.calls[DECOMMIT], 0);
	CHECK_HR(resize(block, 3 * PAGE - 5), S_OK);
	CHECK_LARGE(3);
	CHECK_U32(fake.pages.calls[DECOMMIT], 1);
	CHECK_SIZE(fake.pages.address, (uintptr_t)block + 3 * PAGE);
	CHECK_HR(hm_heap_size(&heap, block, &size), S_OK);
	CHECK_SIZE(size, 3 * PAGE);
	CHECK_HR(resize(block, 8 * PAGE), S_OK);
	CHECK_LARGE(8);
	CHECK_SIZE(fake.pages.address, (uintptr_t)block + 3 * PAGE);
	CHECK_SIZE(fake.pages.size, 5 * PAGE);
	CHECK_HR(resize(block, 8 * PAGE + 1), S_FALSE);
	CHECK_HR(resize(block, SIZE_MAX), S_FALSE);
	CHECK_HR(resize(block, 0), S_OK);
	CHECK_LARGE(1);
	end();
}

static void what_the_system_refuses_changes_no_size(void)
{
	void *block;

	begin();
	block = heap_take(&heap, 8 * PAGE);
	fake.pages.answer[DECOMMIT] = E_OUTOFMEMORY;
	CHECK_HR(resize(block, PAGE), S_OK); /* stays as it is */
	CHECK_LARGE(8);
	fake.pages.answer[DECOMMIT] = S_OK;
	CHECK_HR(resize(block, PAGE), S_OK);
	CHECK_LARGE(1);
	fake.pages.answer[COMMIT] = E_OUTOFMEMORY;
	CHECK_HR(resize(block, 2 * PAGE), E_OUTOFMEMORY);
	CHECK_LARGE(1);
	fake.pages.answer[COMMIT] = S_OK;
	fake_limit(host, 2 * PAGE);
	CHECK_HR(resize(block, 3 * PAGE), E_OUTOFMEMORY);
	CHECK_HR(resize(block, 2 * PAGE), S_OK);
	CHECK_LARGE(2);
	end();
}

/* ---- What is kept ---- */

static void a_few_pages_are_kept_and_serve_the_next_of_their_size(void)
{
	void *block, *other;

	begin();
	block = heap_take(&heap, 3 * PAGE);
	CHECK_HR(heap_free(&heap, block), S_OK);
	CHECK_HR(heap_free(&heap, block), HOST_E_INVALIDOPERATION);
	CHECK_HEAPS(0, 0, 3 * PAGE);
	CHECK_U32(fake.pages.calls[RELEASE], 0);
	other = heap_take(&heap, 4 * PAGE);
	CHECK(other != block);
	CHECK_POINTER(heap_take(&heap, 3 * PAGE - 7), block);
	CHECK_HEAPS(7 * PAGE, 2, 7 * PAGE);
	CHECK_U32(fake.pages.calls[RESERVE], 2);
	CHECK_SIZE(heap.kept_bytes, 0);
	end();
}

static void what_is_kept_goes_when_the_heap_is_trimmed(void)
{
	begin();
	for (size_t pages = 2; pages < HM_KEPT_PAGES; pages++)
		CHECK_HR(heap_free(&heap, heap_take(&heap, pages * PAGE)), S_OK);
	CHECK_SIZE(heap.kept_bytes, 119 * PAGE);
	CHECK_SIZE(heap_trim(&heap), 119 * PAGE);
	CHECK_SIZE(heap.kept_bytes, 0);
	CHECK_LARGE(0);
	end();
}

/* With each span one, beginning with the second: the first says that nobody wanted it. */
static void what_nobody_wants_goes_while_the_heap_grows(void)
{
	size_t kept;

	begin();
	for (size_t pages = 2; pages < 6; pages++)
		CHECK_HR(heap_free(&heap, heap_take(&heap, pages * PAGE)), S_OK);
	kept = heap.kept_bytes;
	CHECK_SIZE(kept, 14 * PAGE);
	(void)heap_take(&heap, 16);
	CHECK(heap.kept_bytes < kept);
	kept = heap.kept_bytes;
	CHECK_HR(heap_free(&heap,
			   heap_take(&heap, kept > 9 * PAGE ? 5 * PAGE : 4 * PAGE)),
		 S_OK);
	CHECK_SIZE(heap.kept_bytes, kept);
	(void)heap_take(&heap, 32); /* it was of use */
	CHECK_SIZE(heap.kept_bytes, kept);
	for (size_t size = 48; size <= 96; size += 16)
		(void)heap_take(&heap, size);
	CHECK_SIZE(heap.kept_bytes, 0);
	CHECK_SIZE(fake_usage(&fake).cBlocks, 6);
	end();
}

static void not_everything_is_kept(void)
{
	struct hm_waiter waiter = { .for_any_free = true };
	void *block;

	begin();
	CHECK_HR(heap_free(&heap, heap_take(&heap, (HM_KEPT_PAGES + 1) * PAGE)), S_OK);
	CHECK_HEAPS(0, 0, 0);
	block = heap_take(&heap, 4 * PAGE);
	CHECK_HR(resize(block, 2 * PAGE), S_OK); /* its reservation is longer */
	CHECK_HR(heap_free(&heap, block), S_OK);
	CHECK_HEAPS(0, 0, 0);
	block = heap_take(&heap, 4 * PAGE);
	atomic_fetch_add(&host->waiting.expected, 1);
	hm_waiting_begin(&host->waiting, &host->budget, &waiter);
	CHECK_HR(heap_free(&heap, block), S_OK);
	CHECK_HEAPS(0, 0, 0);
	CHECK_U32(waiter.wake, HM_WAKE_GRANTED);
	atomic_fetch_sub(&host->waiting.expected, 1);
	end();
}

static void no_more_than_half_a_mebibyte_is_kept_of_a_small_heap(void)
{
	static void *blocks[32];

	begin();
	for (size_t i = 0; i < ROWS(blocks); i++)
		blocks[i] = heap_take(&heap, i % 2 == 0 ? 16 * PAGE : 15 * PAGE);
	for (size_t i = 0; i < ROWS(blocks); i++) {
		CHECK_HR(heap_free(&heap, blocks[i]), S_OK);
		CHECK(heap.kept_bytes <= (size_t)512 << 10);
	}
	CHECK(heap.kept_bytes > ((size_t)512 << 10) - 16 * PAGE);
	CHECK_HEAPS(0, 0, heap.kept_bytes);
	/* The last one to be freed is among them. */
	CHECK_POINTER(heap_take(&heap, 15 * PAGE), blocks[31]);
	end();
}

static void fault_rules_see_every_large_block(void)
{
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	uint64_t cookie = 0;
	void *block;

	begin();
	CHECK_HR(heap_free(&heap, heap_take(&heap, 2 * PAGE)), S_OK);
	fault.place = HOSTMEM_FAULT_BUDGET;
	CHECK_HR(hm_faults_add(&host->faults, &fault, &cookie), S_OK);
	CHECK_HR(heap_try(&heap, 2 * PAGE, &block), E_OUTOFMEMORY);
	CHECK_HR(heap_try(&heap, 2 * PAGE, &block), S_OK);
	end();
}

/* On pages that exist. */
static void a_kept_block_reads_as_zero_where_that_is_wanted(void)
{
	struct hm_block_wish wish = { .size = 2 * PAGE - 9,
				      .alignment = 16,
				      .zero = true };
	unsigned char *block;
	void *again = NULL;
	size_t sum = 0;

	heaps_begin();
	host->pages = hm_pages_without_arenas;
	heap_make(&heap, 0);
	block = heap_take(&heap, 2 * PAGE);
	memset(block, 0xA5, 2 * PAGE);
	CHECK_HR(heap_free(&heap, block), S_OK);
	CHECK_HR(hm_heap_alloc(&heap, &wish, &again), S_OK);
	CHECK_POINTER(again, block);
	for (size_t i = 0; i < wish.size; i++)
		sum += block[i];
	CHECK_SIZE(sum, 0);
	end();
}

int main(void)
{
	TAP_RUN(a_large_block_is_a_reservation_of_whole_pages);
	TAP_RUN(what_is_more_than_all_addresses_is_refused_and_counted);
	TAP_RUN(without_a_record_or_addresses_nothing_is_left);
	TAP_RUN(it_shrinks_and_grows_within_its_reservation);
	TAP_RUN(what_the_system_refuses_changes_no_size);
	TAP_RUN(a_few_pages_are_kept_and_serve_the_next_of_their_size);
	TAP_RUN(what_is_kept_goes_when_the_heap_is_trimmed);
	TAP_RUN(what_nobody_wants_goes_while_the_heap_grows);
	TAP_RUN(not_everything_is_kept);
	TAP_RUN(no_more_than_half_a_mebibyte_is_kept_of_a_small_heap);
	TAP_RUN(fault_rules_see_every_large_block);
	TAP_RUN(a_kept_block_reads_as_zero_where_that_is_wanted);
	return tap_done();
}
