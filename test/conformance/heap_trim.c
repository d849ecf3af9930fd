/*
 * What a heap keeps for later, and gives back: on demand (Trim), when the runtime is told
 * that memory is low, and with nobody's help when another thread has it.
 *
 * With no live block a heap that was trimmed has no page left: cbHeapPages is 0.
 */
#include "heap.h"
#include "threads.h"

#include "test/callback.h"

enum { MANY = 3000 };

static struct yard yard;
static void *blocks[MANY];

static bool start(DWORD type)
{
	return yard_make(&yard, 0, type);
}

/* From 0 bytes to 2 MiB, most of them small. */
static size_t size_of(size_t number)
{
	size_t power = number % 16 < 12 ? number % 9 : number % 21;

	return ((size_t)1 << power) + number % 13;
}

static void take_many(IHostMalloc2 *heap, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		blocks[i] = heap_take(heap, size_of(i));
		if (blocks[i] != NULL)
			heap_fill(blocks[i], size_of(i), i);
	}
}

static void give_many(IHostMalloc2 *heap, size_t from, size_t to, size_t step)
{
	for (size_t i = from; i < to; i += step) {
		if (blocks[i] == NULL)
			continue;
		CHECK(heap_holds(blocks[i], size_of(i), i));
		CHECK_HR(heap_free(heap, blocks[i]), S_OK);
		blocks[i] = NULL;
	}
}

/* What Trim says is what the account says. */
static void trim_and_check(void)
{
	HostMemUsage before = host_usage(&yard.host), after;
	size_t freed = heap_trim(yard.heap);

	after = host_usage(&yard.host);
	CHECK_SIZE(freed, before.cbHeapPages - after.cbHeapPages);
	CHECK_SIZE(after.cbCharged, before.cbCharged - freed);
	CHECK_SIZE(after.cbCommitted, before.cbCommitted - freed);
	CHECK_SIZE(after.cbHeap, before.cbHeap);
	CHECK_SIZE(after.cBlocks, before.cBlocks);
}

static void check_nothing_is_left(void)
{
	CHECK_HEAP(&yard, 0, 0);
	CHECK_SIZE(host_usage(&yard.host).cbHeapPages, 0);
	CHECK_SIZE(host_usage(&yard.host).cbCommitted, 0);
	/* And there is nothing to give back. */
	CHECK_SIZE(heap_trim(yard.heap), 0);
}

static void an_empty_heap_gives_every_page_back(void)
{
	for (DWORD type = 0; type < 4; type++) {
		tap_row("type %u", type);
		if (!start(type))
			return;
		for (int round = 0; round < 3; round++) {
			take_many(yard.heap, 0, MANY);
			trim_and_check();
			give_many(yard.heap, 0, MANY, 3);
			trim_and_check();
			give_many(yard.heap, 0, MANY, 1);
			trim_and_check();
			check_nothing_is_left();
		}
		yard_end(&yard);
	}
}

static void a_heap_that_was_never_used_has_nothing(void)
{
	if (!start(MALLOC_THREADSAFE))
		return;
	CHECK_SIZE(heap_trim(yard.heap), 0);
	check_nothing_is_left();
	yard_end(&yard);
}

static void live_blocks_stay_and_the_heap_works_on(void)
{
	if (!start(0))
		return;
	for (int round = 0; round < 3; round++) {
		take_many(yard.heap, 0, MANY);
		give_many(yard.heap, 0, MANY, 2);
		trim_and_check();
		for (size_t i = 0; i < MANY; i += 2)
			take_many(yard.heap, i, i + 1);
		trim_and_check();
		give_many(yard.heap, 0, MANY, 1);
		CHECK_HEAP(&yard, 0, 0);
	}
	yard_end(&yard);
}

static void one_live_block_holds_no_more_than_it_needs(void)
{
	if (!start(MALLOC_THREADSAFE))
		return;
	take_many(yard.heap, 0, MANY);
	give_many(yard.heap, 1, MANY, 1);
	trim_and_check();
	CHECK_SIZE(host_usage(&yard.host).cBlocks, 1);
	/* Of megabytes: how many pages a small block lies on is the heap's affair. */
	CHECK(host_usage(&yard.host).cbHeapPages <= 256 * KIB);
	give_many(yard.heap, 0, 1, 1);
	trim_and_check();
	check_nothing_is_left();
	yard_end(&yard);
}

/* ---- Other threads ---- */

static _Atomic bool have_freed;

/* Frees what there is, and sleeps with whatever the heap keeps for it. */
static HRESULT free_many(struct caller *caller)
{
	give_many(yard.heap, 0, MANY, 1);
	atomic_store(&have_freed, true);
	while (!atomic_load(&caller->go))
		(void)sched_yield();
	return S_OK;
}

static HRESULT take_and_free_many(struct caller *caller)
{
	take_many(yard.heap, 0, MANY);
	return free_many(caller);
}

static void what_a_sleeping_thread_has_freed_goes_too(void)
{
	static HRESULT (*const calls[])(struct caller * caller) = { free_many,
								    take_and_free_many };

	for (size_t i = 0; i < ROWS(calls); i++) {
		struct caller caller = { .call = calls[i] };

		tap_row("thread %zu", i);
		if (!start(MALLOC_THREADSAFE))
			return;
		if (calls[i] == free_many)
			take_many(yard.heap, 0, MANY);
		atomic_store(&have_freed, false);
		caller_start(&caller, &yard.host);
		while (!atomic_load(&have_freed))
			(void)sched_yield();
		trim_and_check();
		check_nothing_is_left();
		CHECK_HR(caller_end(&caller), S_OK);
		check_nothing_is_left();
		yard_end(&yard);
	}
}

static void what_an_ended_thread_has_freed_goes_too(void)
{
	struct caller caller = { .call = take_and_free_many, .go = true };

	if (!start(MALLOC_THREADSAFE))
		return;
	caller_start(&caller, &yard.host);
	CHECK_HR(caller_end(&caller), S_OK);
	trim_and_check();
	check_nothing_is_left();
	yard_end(&yard);
}

/* ---- Without being asked ---- */

static void a_low_that_is_told_trims_every_heap(void)
{
	struct callback runtime = callback_new();
	IHostMalloc2 *second;

	if (!start(MALLOC_THREADSAFE))
		return;
	second = heap_new(yard.host.manager, MALLOC_THREADSAFE);
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(yard.host.manager,
								       &runtime.iface),
		 S_OK);
	take_many(yard.heap, 0, MANY / 2);
	take_many(second, MANY / 2, MANY);
	give_many(yard.heap, 0, MANY / 2, 1);
	give_many(second, MANY / 2, MANY, 1);
	CHECK_HR(IHostMemoryControl_NotifyMemory(yard.host.control, eMemoryAvailableLow),
		 S_OK);
	CHECK_HEARD(&runtime, "1");
	CHECK_HEAP(&yard, 0, 0);
	CHECK_SIZE(host_usage(&yard.host).cbHeapPages, 0);
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(yard.host.manager,
								       NULL),
		 S_OK);
	IHostMalloc2_Release(second);
	yard_end(&yard);
}

/* ---- GetSize ---- */

static void getsize_knows_live_blocks_only(void)
{
	static struct snapshot before;
	static const size_t sizes[] = { 1, 100, 5000, 100000, 3000000 };
	struct yard other;

	if (!start(MALLOC_THREADSAFE) || !yard_make(&other, 0, MALLOC_THREADSAFE))
		return;
	for (size_t i = 0; i < ROWS(sizes); i++) {
		char *block = (char *)heap_take(yard.heap, sizes[i]);
		char *foreign = (char *)heap_take(other.heap, sizes[i]);
		char *freed = (char *)heap_take(yard.heap, sizes[i]);
		void *const none[] = {
			NULL,
			block + 1,
			block + 16,
			block - 16,
			block + sizes[i],
			foreign,
			freed,
			&before,
			&block,
			(void *)1,
			(void *)((uintptr_t)1 << 63),
		};

		CHECK_HR(heap_free(yard.heap, freed), S_OK);
		snapshot_take(&before, &yard.host);
		for (size_t n = 0; n < ROWS(none); n++) {
			size_t size;

			tap_row("size %zu, address %zu", sizes[i], n);
			CHECK_HR(heap_get_size(yard.heap, none[n], &size),
				 HOST_E_INVALIDOPERATION);
		}
		CHECK_HR(IHostMalloc2_GetSize(yard.heap, block, NULL), E_POINTER);
		CHECK_HR(IHostMalloc2_GetSize(yard.heap, NULL, NULL), E_POINTER);
		CHECK_HR(IHostMalloc2_Trim(yard.heap, NULL), E_POINTER);
		CHECK(heap_size(yard.heap, block) >= sizes[i]);
		CHECK_UNCHANGED(&before);
		CHECK_HR(heap_free(yard.heap, block), S_OK);
	}
	yard_end(&other);
	yard_end(&yard);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(an_empty_heap_gives_every_page_back);
	TAP_RUN(a_heap_that_was_never_used_has_nothing);
	TAP_RUN(live_blocks_stay_and_the_heap_works_on);
	TAP_RUN(one_live_block_holds_no_more_than_it_needs);
	TAP_RUN(what_a_sleeping_thread_has_freed_goes_too);
	TAP_RUN(what_an_ended_thread_has_freed_goes_too);
	TAP_RUN(a_low_that_is_told_trims_every_heap);
	TAP_RUN(getsize_knows_live_blocks_only);
	return tap_done();
}
