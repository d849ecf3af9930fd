/*
 * Pages for a heap: how many at a time, how few near a limit, and what is left of a request
 * that has failed.
 */
#include "hostmem/heappages.h"
#include "heaps.h"

static struct hm_heap heap, second;
static struct listener ear;

static void begin(void)
{
	heaps_begin();
	memset(&ear, 0, sizeof(ear));
	heap_make(&heap, MALLOC_THREADSAFE);
}

static void end(void)
{
	CHECK_STR(hm_heap_check(&heap), NULL);
	hm_heap_destroy(&heap);
	heaps_end();
}

/* Of the pages that do not exist: what has been asked of them since the last time. */
#define CHECK_CALLS(reserves, commits, releases) \
	check_calls((reserves), (commits), (releases), __FILE__, __LINE__)

static void check_calls(unsigned reserves, unsigned commits, unsigned releases,
			const char *file, int line)
{
	unsigned *calls = fake.pages.calls;

	tap_check_u32(calls[RESERVE], reserves, "calls[RESERVE]", file, line);
	tap_check_u32(calls[COMMIT], commits, "calls[COMMIT]", file, line);
	tap_check_u32(calls[RELEASE], releases, "calls[RELEASE]", file, line);
	memset(calls, 0, sizeof(fake.pages.calls));
}

static struct hm_span *span_with(const void *block)
{
	return hm_span_find((uintptr_t)block);
}

/* ---- How much ---- */

static void each_step_is_twice_as_long_up_to_a_span(void)
{
	static const size_t steps[] = { 1, 2, 4, 8, 1 }; /* pages; 16 are a span */
	size_t pages = 0;

	begin();
	for (size_t i = 0; i < ROWS(steps); i++) {
		tap_row("step %zu", i);
		pages += steps[i];
		for (size_t block = 0; block < steps[i]; block++) {
			(void)heap_take(&heap, PAGE);
			CHECK_CALLS(i + block == 0, block == 0, 0);
		}
		CHECK_SIZE(fake.pages.size, steps[i] * PAGE);
		CHECK_HEAPS(pages * PAGE, pages, pages * PAGE);
	}
	/* Whole ones from now on, with the reservation. */
	for (unsigned span = 0; span < 3; span++) {
		for (unsigned block = 0; block < 16; block++)
			(void)heap_take(&heap, PAGE);
		pages += 16;
		CHECK_CALLS(1, 0, 0);
		CHECK_HEAPS(pages * PAGE, pages, pages * PAGE);
	}
	end();
}

static void each_class_has_steps_of_its_own(void)
{
	begin();
	for (unsigned i = 0; i < 4; i++)
		(void)heap_take(&heap, PAGE);
	CHECK_SIZE(fake_usage(&fake).cbHeapPages, 7 * PAGE);
	(void)heap_take(&heap, 64);
	CHECK_SIZE(fake_usage(&fake).cbHeapPages, 8 * PAGE);
	end();
}

static void where_addresses_are_charged_a_span_is_committed_at_once(void)
{
	HostMemUsage usage;

	begin();
	host->budget.flags |= HOSTMEM_CHARGE_RESERVE;
	(void)heap_take(&heap, 64);
	usage = fake_usage(&fake);
	CHECK_SIZE(usage.cbHeapPages, UNIT);
	CHECK_SIZE(usage.cbCharged, UNIT);
	CHECK_CALLS(1, 0, 0);
	end();
}

/* ---- Near a limit ---- */

static void near_the_limit_a_page_will_do(void)
{
	void *blocks[16], *none;
	size_t count = 0;

	begin();
	fake_limit(host, 2 * PAGE);
	while (count < 16 && SUCCEEDED(heap_try(&heap, 1024, &blocks[count])))
		count++;
	/* One page, and then not two. */
	CHECK_SIZE(count, 8);
	CHECK_HEAPS(8 * 1024, 8, 2 * PAGE);
	CHECK_HR(heap_try(&heap, 1024, &none), E_OUTOFMEMORY);
	CHECK(none == NULL);
	CHECK_SIZE(fake_usage(&fake).cRefusedBudget, 2);
	CHECK_HR(heap_free(&heap, blocks[5]), S_OK);
	CHECK_POINTER(heap_take(&heap, 1024), blocks[5]);
	end();
}

/* And nobody has to give up for it what he keeps. */
static void a_shorter_step_comes_before_what_is_kept(void)
{
	begin();
	heap_make(&second, MALLOC_THREADSAFE);
	CHECK_HR(heap_free(&second, heap_take(&second, 64)), S_OK);
	(void)heap_take(&heap, PAGE);
	fake_limit(host, 3 * PAGE);
	(void)heap_take(&heap, PAGE);
	CHECK_HEAPS(2 * PAGE, 2, 3 * PAGE);
	hm_heap_destroy(&second);
	end();
}

static void refuse_more_than_a_page(void *unused)
{
	(void)unused;
	fake.pages.answer[COMMIT] = fake.pages.size > PAGE ? E_OUTOFMEMORY : S_OK;
}

static void where_the_system_is_short_a_page_will_do(void)
{
	begin();
	(void)heap_take(&heap, PAGE);
	fake.pages.hook = refuse_more_than_a_page;
	(void)heap_take(&heap, PAGE);
	CHECK_HEAPS(2 * PAGE, 2, 2 * PAGE);
	CHECK_CALLS(1, 3, 0);
	fake.pages.hook = NULL;
	end();
}

static void a_block_that_crosses_a_page_has_as_many_as_it_needs(void)
{
	void *block;

	begin();
	fake_limit(host, 3 * PAGE);
	(void)heap_take(&heap, 2560); /* [0, 2560) */
	CHECK_HEAPS(2560, 1, PAGE);
	(void)heap_take(&heap, 2560); /* [2560, 5120) */
	CHECK(fake_usage(&fake).cbHeapPages == 3 * PAGE);
	(void)heap_take(&heap, 2560);
	(void)heap_take(&heap, 2560); /* [7680, 10240) */
	CHECK_HR(heap_try(&heap, 2560, &block), E_OUTOFMEMORY);
	CHECK_HEAPS(4 * 2560, 4, 3 * PAGE);
	end();
}

static void a_larger_free_block_is_taken_before_anything_is_refused(void)
{
	void *block, *other;
	size_t size = 0;

	begin();
	(void)heap_take(&heap, 1024);
	fake_limit(host, PAGE);
	block = heap_take(&heap, 16);
	CHECK_HR(hm_heap_size(&heap, block, &size), S_OK);
	CHECK_SIZE(size, 1024);
	(void)heap_take(&heap, 16);
	(void)heap_take(&heap, 16);
	CHECK_HR(heap_try(&heap, 16, &other), E_OUTOFMEMORY);
	CHECK_HEAPS(4 * 1024, 4, PAGE);
	end();
}

/* Of any class: nothing in it is live. */
static void pages_that_nobody_uses_are_used_before_anything_is_refused(void)
{
	begin();
	fake_limit(host, 3 * PAGE);
	CHECK_HR(heap_free(&heap, heap_take(&heap, 3000)), S_OK);
	CHECK_HR(heap_free(&heap, heap_take(&heap, 64)), S_OK);
	CHECK_HR(heap_free(&heap, heap_take(&heap, 16)), S_OK);
	CHECK_HEAPS(0, 0, 3 * PAGE);
	(void)heap_take(&heap, 3 * PAGE);
	CHECK_HEAPS(3 * PAGE, 1, 3 * PAGE);
	end();
}

/* ---- Failures ---- */

static void a_failed_commit_leaves_nothing_of_a_new_span(void)
{
	static const HRESULT answers[] = { E_OUTOFMEMORY, E_ACCESSDENIED };
	void *block;

	for (size_t i = 0; i < ROWS(answers); i++) {
		tap_row("row %zu", i);
		begin();
		fake.pages.answer[COMMIT] = answers[i];
		CHECK_HR(heap_try(&heap, 64, &block), answers[i]);
		CHECK(block == NULL);
		CHECK_CALLS(1, 1, 1);
		CHECK_HEAPS(0, 0, 0);
		CHECK_SIZE(fake_usage(&fake).cbReserved, 0);
		CHECK_SIZE(heap.spans, 0);
		fake.pages.answer[COMMIT] = S_OK;
		(void)heap_take(&heap, 64);
		CHECK_HEAPS(64, 1, PAGE); /* the step was not made longer */
		end();
	}
}

static void a_failed_commit_leaves_a_span_as_it_was(void)
{
	struct hm_span *span;
	void *block;

	begin();
	block = heap_take(&heap, PAGE);
	span = span_with(block);
	fake.pages.answer[COMMIT] = E_OUTOFMEMORY;
	CHECK_HR(heap_try(&heap, PAGE, &block), E_OUTOFMEMORY);
	CHECK(!span->busy);
	CHECK_U32(span->count, 1);
	CHECK_SIZE(span->committed, PAGE);
	CHECK_POINTER(span->bin->growing, span);
	CHECK_HEAPS(PAGE, 1, PAGE);
	fake.pages.answer[COMMIT] = S_OK;
	CHECK_POINTER(span_with(heap_take(&heap, PAGE)), span);
	CHECK_HEAPS(2 * PAGE, 2, 3 * PAGE);
	end();
}

static void without_addresses_there_is_no_span(void)
{
	void *block;

	begin();
	fake.pages.answer[RESERVE] = E_OUTOFMEMORY;
	CHECK_HR(heap_try(&heap, 64, &block), E_OUTOFMEMORY);
	CHECK_SIZE(fake_usage(&fake).cFailedOs, 1);
	CHECK_HEAPS(0, 0, 0);
	fake.pages.answer[RESERVE] = S_OK;
	(void)heap_take(&heap, 64);
	end();
}

static void without_a_record_no_page_is_asked_for(void)
{
	struct hoard hoard;
	void *block;

	begin();
	hm_calls_enter();
	hoard_kind(&hoard, HM_METADATA_SPAN_MIDDLE, HM_NEED_NORMAL);
	hm_calls_leave();
	CHECK_HR(heap_try(&heap, 64, &block), E_OUTOFMEMORY);
	CHECK_CALLS(0, 0, 0);
	hm_calls_enter();
	hoard_end(&hoard, HM_METADATA_SPAN_MIDDLE);
	hm_calls_leave();
	CHECK_HEAPS(0, 0, 0);
	(void)heap_take(&heap, 64);
	end();
}

static void a_callbacks_no_is_final_and_leaves_nothing(void)
{
	void *block;

	begin();
	listen(host, &ear, ALL_EVENTS);
	ear.refuse = 1;
	CHECK_HR(heap_try(&heap, 64, &block), E_OUTOFMEMORY);
	CHECK_EVENT(&ear, 0, HostMemEventAllocate, HostMemHeap, PAGE);
	CHECK_EVENT(&ear, 1, HostMemEventFailure, HostMemHeap, PAGE);
	CHECK_CALLS(0, 0, 0);
	CHECK_HEAPS(0, 0, 0);
	end();
}

/* ---- Meanwhile ---- */

static struct hm_span *growing;

static void look_while_busy(void *unused)
{
	(void)unused;
	if (growing == NULL || fake.pages.calls[COMMIT] == 0)
		return;
	CHECK(growing->busy);
	CHECK(growing->bin->growing == NULL);
	CHECK_U32(growing->count, 1);
}

static void a_span_is_busy_while_its_pages_come(void)
{
	begin();
	growing = span_with(heap_take(&heap, PAGE));
	memset(fake.pages.calls, 0, sizeof(fake.pages.calls));
	fake.pages.hook = look_while_busy;
	(void)heap_take(&heap, PAGE);
	fake.pages.hook = NULL;
	CHECK_CALLS(0, 1, 0);
	CHECK(!growing->busy);
	CHECK_POINTER(growing->bin->growing, growing);
	growing = NULL;
	end();
}

/* Takes blocks of the very span for which pages are asked. */
static void allocate_within(struct listener *listener, const HostMemEvent *event)
{
	listener->hook = NULL;
	CHECK_INT(event->type, HostMemEventAllocate);
	CHECK_SIZE(event->size, 2 * PAGE);
	for (unsigned i = 0; i < 3; i++)
		(void)heap_take(&heap, PAGE);
}

static void what_a_callback_does_to_the_heap_is_seen(void)
{
	begin();
	listen(host, &ear, ALL_EVENTS);
	(void)heap_take(&heap, PAGE);
	ear.hook = allocate_within;
	(void)heap_take(&heap, PAGE);
	/* One; two and four by the callback; and a step of eight at most. */
	CHECK_HEAPS(5 * PAGE, 5, fake_usage(&fake).cbHeapPages);
	CHECK(fake_usage(&fake).cbHeapPages <= 15 * PAGE);
	CHECK_U32(fake.pages.calls[RESERVE], 1);
	end();
}

static void give_back_within(struct listener *listener, const HostMemEvent *event)
{
	(void)event;
	listener->hook = NULL;
	CHECK_HR(heap_free(&heap, listener->state), S_OK);
	CHECK_SIZE(heap_trim(&heap), PAGE);
}

static void a_span_that_is_gone_when_pages_were_granted_is_made_anew(void)
{
	begin();
	listen(host, &ear, ALL_EVENTS);
	ear.state = heap_take(&heap, PAGE);
	ear.hook = give_back_within;
	(void)heap_take(&heap, PAGE);
	CHECK_SIZE(fake_usage(&fake).cBlocks, 1);
	CHECK_CALLS(2, 2, 1);
	end();
}

int main(void)
{
	TAP_RUN(each_step_is_twice_as_long_up_to_a_span);
	TAP_RUN(each_class_has_steps_of_its_own);
	TAP_RUN(where_addresses_are_charged_a_span_is_committed_at_once);
	TAP_RUN(near_the_limit_a_page_will_do);
	TAP_RUN(a_shorter_step_comes_before_what_is_kept);
	TAP_RUN(where_the_system_is_short_a_page_will_do);
	TAP_RUN(a_block_that_crosses_a_page_has_as_many_as_it_needs);
	TAP_RUN(a_larger_free_block_is_taken_before_anything_is_refused);
	TAP_RUN(pages_that_nobody_uses_are_used_before_anything_is_refused);
	TAP_RUN(a_failed_commit_leaves_nothing_of_a_new_span);
	TAP_RUN(a_failed_commit_leaves_a_span_as_it_was);
	TAP_RUN(without_addresses_there_is_no_span);
	TAP_RUN(without_a_record_no_page_is_asked_for);
	TAP_RUN(a_callbacks_no_is_final_and_leaves_nothing);
	TAP_RUN(a_span_is_busy_while_its_pages_come);
	TAP_RUN(what_a_callback_does_to_the_heap_is_seen);
	TAP_RUN(a_span_that_is_gone_when_pages_were_granted_is_made_anew);
	return tap_done();
}
