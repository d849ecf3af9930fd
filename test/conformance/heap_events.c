/*
 * What subscribers hear of heaps: pages that a heap takes are asked for, and pages that it
 * gives back are told, so that the sum of events is what is charged after every call.
 */
#include "heap.h"
#include "ledger.h"

static struct yard yard;
static struct recorder recorder;

static bool start(void)
{
	memset(&recorder, 0, sizeof(recorder));
	if (!yard_make(&yard, 0, MALLOC_THREADSAFE))
		return false;
	recorder_start(&recorder, &yard.host, ALL_BITS);
	return true;
}

static void end(void)
{
	recorder_stop(&recorder);
	yard_end(&yard);
}

/* ---- The sum ---- */

enum { LIVE = 150, CALLS = 4000 };

struct work {
	uint64_t random;
	void *blocks[LIVE];
	size_t granted, refused;
};

static struct work work;

static size_t draw_size(void)
{
	size_t power = heap_draw(&work.random, heap_draw(&work.random, 4) == 0 ? 20 : 12);

	return (size_t)heap_draw(&work.random, (size_t)2 << power);
}

static void judge(HRESULT hr)
{
	if (hr == E_OUTOFMEMORY)
		work.refused++;
	else if (CHECK_HR(hr, S_OK))
		work.granted++;
}

/* Takes a block, changes it or gives it back. */
static void work_call(void)
{
	void **block = &work.blocks[heap_draw(&work.random, LIVE)];
	EMemoryCriticalLevel level = (EMemoryCriticalLevel)heap_draw(&work.random, 3);
	size_t size = draw_size();
	void *out = NULL;

	switch (heap_draw(&work.random, 16)) {
	case 0:
		(void)heap_trim(yard.heap);
		return;
	case 1:
	case 2:
	case 3:
		judge(heap_realloc(yard.heap, *block, size, 0, &out));
		if (out != NULL)
			*block = out;
		return;
	case 4:
		judge(heap_alloc_aligned(yard.heap, size, (size_t)1 << size % 17, 0,
					 &out));
		break;
	default:
		judge(heap_alloc_at_level(yard.heap, size, level, &out));
	}
	CHECK_HR(heap_free(yard.heap, *block), S_OK);
	*block = out;
}

static BOOL HOSTMEM_CALL refuse_some(void *state, const HostMemEvent *event)
{
	static unsigned count;

	(void)state;
	return event->type != HostMemEventAllocate || ++count % 5 != 0;
}

static void run_work(const HostMemBudget *budget, bool vetoes)
{
	static struct account accounts[2];
	uint64_t cookie;

	memset(&work, 0, sizeof(work));
	if (!yard_make_limited(&yard, budget))
		return;
	account_start(&accounts[0], &yard.host, account_event);
	if (vetoes)
		CHECK_HR(IHostMemoryControl_Subscribe(yard.host.control, ALL_BITS,
						      refuse_some, NULL, &cookie),
			 S_OK);
	account_start(&accounts[1], &yard.host, account_event);
	for (size_t i = 0; i < CALLS && !tap_failed(); i++) {
		tap_row("limit %zu, flags %u, vetoes %d, call %zu", budget->cbLimit,
			budget->dwFlags, vetoes, i);
		work_call();
		account_check(&accounts[0]);
		account_check(&accounts[1]);
	}
	/* Both did happen, where they could. */
	CHECK(work.granted > CALLS / 10);
	CHECK((work.refused != 0) == (vetoes || budget->cbLimit != SIZE_MAX));
	yard_end(&yard);
	CHECK_INT(accounts[0].sum, 0);
	CHECK_INT(accounts[1].sum, 0);
}

static void the_sum_of_events_is_what_is_charged_after_every_call(void)
{
	static const size_t limits[] = { SIZE_MAX, 2 * MIB, 400 * KIB };

	for (size_t i = 0; i < ROWS(limits) * 2 * 4; i++) {
		HostMemBudget budget = budget_of(limits[i % ROWS(limits)]);

		budget.dwFlags = (uint32_t)(i / ROWS(limits) / 2);
		run_work(&budget, i / ROWS(limits) % 2 != 0);
		if (tap_failed())
			return;
	}
}

/* ---- Single events ---- */

static void pages_of_a_heap_are_asked_for_at_the_level_of_the_call(void)
{
	if (!start())
		return;
	for (int level = eTaskCritical; level <= eProcessCritical; level++) {
		HostMemUsage before = host_usage(&yard.host);
		const HostMemEvent *event = &recorder.events[0];
		void *block;

		tap_row("level %d", level);
		recorder_clear(&recorder);
		CHECK_HR(heap_alloc_at_level(yard.heap, 3 * MIB,
					     (EMemoryCriticalLevel)level, &block),
			 S_OK);
		if (!CHECK_SIZE(recorder.count, 1))
			break;
		CHECK_EVENT(event, HostMemEventAllocate, HostMemHeap,
			    yard_charged(&yard) - before.cbCharged);
		CHECK(event->size >= 3 * MIB);
		CHECK_INT(event->level, level);
		CHECK_INT(event->reason, HostMemNoReason);
		CHECK_INT(event->announced, FALSE);
		CHECK_U32(event->attempt, 1);
		CHECK_SIZE(event->cbCharged, before.cbCharged);
	}
	end();
}

/* Most calls need no pages, and nobody hears of them. */
static void what_needs_no_pages_is_not_told(void)
{
	void *blocks[2];

	if (!start())
		return;
	blocks[0] = heap_take(yard.heap, 100);
	CHECK_SIZE(recorder.count, 1);
	recorder_clear(&recorder);
	blocks[1] = heap_take(yard.heap, 100);
	CHECK_SIZE(heap_size(yard.heap, blocks[1]), heap_size(yard.heap, blocks[0]));
	CHECK_HR(heap_free(yard.heap, blocks[1]), S_OK);
	blocks[1] = heap_take(yard.heap, 99);
	CHECK_SIZE(recorder.count, 0);
	CHECK_HR(heap_free(yard.heap, blocks[0]), S_OK);
	CHECK_HR(heap_free(yard.heap, blocks[1]), S_OK);
	end();
}

/* Returns the sum of their sizes. */
static size_t check_frees(void)
{
	size_t sum = 0;

	for (size_t i = 0; i < recorder.count; i++) {
		const HostMemEvent *event = &recorder.events[i];

		CHECK_EVENT(event, HostMemEventFree, HostMemHeap, event->size);
		CHECK_INT(event->level, eTaskCritical);
		CHECK(event->size != 0);
		for (size_t n = 0; n < i; n++)
			CHECK(recorder.events[n].request != event->request);
		sum += event->size;
	}
	return sum;
}

static void each_span_that_goes_back_is_told_once(void)
{
	static const size_t sizes[] = { 10, 3000, 70000, 500000, 3000000 };
	void *blocks[ROWS(sizes)];
	size_t charged;

	if (!start())
		return;
	for (size_t i = 0; i < ROWS(sizes); i++)
		blocks[i] = heap_take(yard.heap, sizes[i]);
	charged = yard_charged(&yard);
	recorder_clear(&recorder);
	for (size_t i = 0; i < ROWS(sizes); i++)
		CHECK_HR(heap_free(yard.heap, blocks[i]), S_OK);
	(void)heap_trim(yard.heap);
	CHECK_SIZE(check_frees(), charged);
	CHECK_SIZE(yard_charged(&yard), 0);
	/* And with the last Release, of live blocks too. */
	for (size_t i = 0; i < ROWS(sizes); i++)
		(void)heap_take(yard.heap, sizes[i]);
	charged = yard_charged(&yard);
	recorder_clear(&recorder);
	CHECK_U32(IHostMalloc2_Release(yard.heap), 0);
	CHECK(recorder.count != 0);
	CHECK_SIZE(check_frees(), charged);
	recorder_stop(&recorder);
	host_destroy(&yard.host);
}

static void a_veto_refuses_the_block_and_ends_with_itself(void)
{
	static const size_t sizes[] = { 1, 5000, 200000, 3000000 };
	static struct snapshot before;

	for (size_t i = 0; i < ROWS(sizes); i++) {
		const HostMemEvent *event = recorder.events;
		void *block;

		tap_row("size %zu", sizes[i]);
		if (!start())
			return;
		recorder.refuse = true;
		snapshot_take(&before, &yard.host);
		CHECK_HR(heap_alloc(yard.heap, sizes[i], &block), E_OUTOFMEMORY);
		CHECK_UNCHANGED(&before);
		CHECK_SIZE(host_usage(&yard.host).cRefusedCallback, 1);
		if (CHECK_SIZE(recorder.count, 2)) {
			CHECK_EVENT(&event[0], HostMemEventAllocate, HostMemHeap,
				    event[0].size);
			CHECK_EVENT(&event[1], HostMemEventFailure, HostMemHeap,
				    event[0].size);
			CHECK_SIZE(event[1].request, event[0].request);
			CHECK_INT(event[1].reason, HostMemByCallback);
			CHECK_HR(event[1].result, E_OUTOFMEMORY);
			CHECK(event[1].announced);
			CHECK_SIZE(event[1].cbWithdrawn, event[0].size);
		}
		recorder.refuse = false;
		CHECK_HR(heap_alloc(yard.heap, sizes[i], &block), S_OK);
		CHECK_HR(heap_free(yard.heap, block), S_OK);
		end();
	}
}

/* A heap whose pages are refused still gives out what it has. */
static void a_veto_leaves_free_blocks_to_be_had(void)
{
	void *blocks[2], *out;

	if (!start())
		return;
	blocks[0] = heap_take(yard.heap, 100);
	blocks[1] = heap_take(yard.heap, 100);
	recorder.refuse = true;
	CHECK_HR(heap_free(yard.heap, blocks[1]), S_OK);
	blocks[1] = heap_take(yard.heap, 100);
	CHECK_HR(heap_alloc(yard.heap, 3 * MIB, &out), E_OUTOFMEMORY);
	CHECK_HR(heap_realloc(yard.heap, blocks[0], 3 * MIB, 0, &out), E_OUTOFMEMORY);
	CHECK_SIZE(host_usage(&yard.host).cBlocks, 2);
	CHECK_HR(heap_free(yard.heap, blocks[0]), S_OK);
	CHECK_HR(heap_free(yard.heap, blocks[1]), S_OK);
	end();
}

/* ---- Inside callbacks ---- */

static void *nested[RECORDS];
static size_t nested_count;

static void allocate_inside(struct recorder *self, const HostMemEvent *event)
{
	size_t size = nested_count % 2 == 0 ? 200 : 100000;
	HRESULT hr;

	(void)self, (void)event;
	if (nested_count == RECORDS)
		return;
	hr = heap_alloc(yard.heap, size, &nested[nested_count]);
	if (!CHECK_HR(hr, S_OK))
		return;
	heap_fill(nested[nested_count], size, nested_count);
	nested_count++;
	/* And one that comes and goes, of the size that is being asked for. */
	hr = heap_free(yard.heap, heap_take(yard.heap, 3000));
	CHECK_HR(hr, S_OK);
}

static void a_subscriber_may_use_the_heap_that_asks(void)
{
	static const size_t sizes[] = { 3000, 3000, 3000, 200, 100000, MIB, 3000000 };
	void *blocks[ROWS(sizes)];

	if (!start())
		return;
	nested_count = 0;
	recorder.then = allocate_inside;
	for (size_t i = 0; i < ROWS(sizes); i++) {
		blocks[i] = heap_take(yard.heap, sizes[i]);
		heap_fill(blocks[i], sizes[i], 1000 + i);
	}
	for (size_t i = 0; i < ROWS(sizes); i++) {
		CHECK(heap_holds(blocks[i], sizes[i], 1000 + i));
		CHECK_HR(heap_free(yard.heap, blocks[i]), S_OK);
	}
	(void)heap_trim(yard.heap);
	recorder.then = NULL;
	CHECK(nested_count >= 2);
	CHECK_SIZE(host_usage(&yard.host).cBlocks, nested_count);
	for (size_t i = 0; i < nested_count; i++) {
		CHECK(heap_holds(nested[i], i % 2 == 0 ? 200 : 100000, i));
		CHECK_HR(heap_free(yard.heap, nested[i]), S_OK);
	}
	CHECK_HEAP(&yard, 0, 0);
	end();
}

int main(void)
{
	TAP_RUN(the_sum_of_events_is_what_is_charged_after_every_call);
	TAP_RUN(pages_of_a_heap_are_asked_for_at_the_level_of_the_call);
	TAP_RUN(what_needs_no_pages_is_not_told);
	TAP_RUN(each_span_that_goes_back_is_told_once);
	TAP_RUN(a_veto_refuses_the_block_and_ends_with_itself);
	TAP_RUN(a_veto_leaves_free_blocks_to_be_had);
	TAP_RUN(a_subscriber_may_use_the_heap_that_asks);
	return tap_done();
}
