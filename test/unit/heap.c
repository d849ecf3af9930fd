/*
 * A heap: what is live in it, what it keeps, and who finds what of whom.
 */
#include "hostmem/heap.h"
#include "heaps.h"

#include <sched.h>

enum { MANY = 4096 };

static struct hm_heap heap, second;
static void *blocks[MANY];

static void begin(DWORD type)
{
	heaps_begin();
	heap_make(&heap, type);
}

static void end(void)
{
	CHECK_STR(hm_heap_check(&heap), NULL);
	hm_heap_destroy(&heap);
	heaps_end();
}

/* ---- Life ---- */

/* Comes first: no cache is there to be used again. */
static void without_memory_there_is_no_heap(void)
{
	heaps_begin();
	memset(&heap, 0, sizeof(heap));
	memory_refuse();
	CHECK_HR(hm_heap_init(&heap, host, 0), E_OUTOFMEMORY);
	memory_allow();
	CHECK(host->heaps == NULL);
	heaps_end();
}

static void each_heap_has_a_number_and_is_known_to_its_host(void)
{
	uint64_t number;

	begin(MALLOC_THREADSAFE);
	heap_make(&second, MALLOC_EXECUTABLE);
	number = heap.number;
	CHECK(number != 0 && second.number == number + 1);
	CHECK_U32(second.slot, second.number % HM_CACHE_SLOTS);
	CHECK(heap.only == NULL && second.only == second.common);
	CHECK_U32(heap.protect, PAGE_READWRITE);
	CHECK_U32(second.protect, PAGE_EXECUTE_READWRITE);
	CHECK_U32(host->heap_count, 2);
	hm_heap_destroy(&heap); /* the older one, which is not the first of the list */
	CHECK_POINTER(host->heaps, &second);
	heap_make(&heap, 0);
	CHECK_SIZE(heap.number, number + 2);
	hm_heap_destroy(&second);
	CHECK_POINTER(host->heaps, &heap);
	CHECK_U32(host->heap_count, 1);
	end();
}

static void what_is_live_at_the_end_is_leaked_and_given_back(void)
{
	HostMemUsage usage;

	for (DWORD type = 0; type < 4; type++) {
		tap_row("type %u", type);
		begin(type);
		(void)heap_take(&heap, 100);
		(void)heap_take(&heap, 4000);
		(void)heap_take(&heap, 20000);
		CHECK_HEAPS(112 + 4096 + 20480, 3, 2 * PAGE + 20480);
		end();
		usage = fake_usage(&fake);
		CHECK_SIZE(usage.cbLeaked, 112 + 4096 + 20480);
		CHECK_SIZE(usage.cLeakedBlocks, 3);
	}
}

/* ---- Blocks ---- */

static void a_block_has_the_size_of_its_class_or_whole_pages(void)
{
	static const struct {
		size_t wanted, size;
	} rows[] = {
		{ 0, 16 },      { 1, 16 },
		{ 16, 16 },     { 17, 32 },
		{ 1024, 1024 }, { 1025, 1280 },
		{ 4096, 4096 }, { 4097, 2 * PAGE },
		{ UNIT, UNIT }, { UNIT + 1, UNIT + PAGE },
	};

	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		size_t wanted = rows[i / 2].wanted, size = 77;

		tap_row("%zu bytes", wanted);
		begin(i % 2 == 0 ? 0 : MALLOC_THREADSAFE);
		blocks[0] = heap_take(&heap, wanted);
		CHECK_HR(hm_heap_size(&heap, blocks[0], &size), S_OK);
		CHECK_SIZE(size, rows[i / 2].size);
		CHECK_SIZE((uintptr_t)blocks[0] % 16, 0);
		CHECK_HEAPS(size, 1, hm_round_up(size, PAGE));
		CHECK_HR(heap_free(&heap, blocks[0]), S_OK);
		CHECK_SIZE(fake_usage(&fake).cBlocks, 0);
		end();
	}
}

static void nothing_but_a_live_block_of_its_own_is_freed(void)
{
	for (DWORD type = 0; type < 4; type++) {
		size_t size = 77;
		char *block, *large, *theirs;

		tap_row("type %u", type);
		begin(type);
		heap_make(&second, type);
		block = heap_take(&heap, 48);
		large = heap_take(&heap, 5000);
		theirs = heap_take(&second, 48);
		void *const refused[] = { block + 1,
					  block + 16,
					  block + 48,
					  large + 16,
					  large + UNIT,
					  theirs,
					  &size,
					  (void *)1,
					  (void *)UINTPTR_MAX,
					  (void *)~((uintptr_t)block) };

		for (size_t i = 0; i < ROWS(refused); i++) {
			tap_row("type %u, row %zu", type, i);
			CHECK_HR(heap_free(&heap, refused[i]), HOST_E_INVALIDOPERATION);
			CHECK_HR(hm_heap_size(&heap, refused[i], &size),
				 HOST_E_INVALIDOPERATION);
			CHECK_SIZE(size, 77);
		}
		CHECK_HR(heap_free(&heap, NULL), S_OK);
		CHECK_HR(heap_free(&heap, block), S_OK);
		CHECK_HR(heap_free(&heap, block), HOST_E_INVALIDOPERATION);
		CHECK_HR(heap_free(&heap, large), S_OK);
		CHECK_HR(heap_free(&heap, large), HOST_E_INVALIDOPERATION);
		CHECK_HR(hm_heap_size(&heap, large, &size), HOST_E_INVALIDOPERATION);
		hm_heap_destroy(&second);
		end();
	}
}

/* ---- What is unusual ---- */

static void make_unusual(unsigned what, bool unusual)
{
	static struct hm_waiter waiter;
	static uint64_t cookie;
	HostMemFault fault = HOSTMEM_FAULT_INIT;

	if (what == 0) {
		CHECK_HR(unusual ? hm_gate_enter(host, 0) : hm_gate_leave(host), S_OK);
	} else if (what == 1 && unusual) {
		CHECK_HR(hm_faults_add(&host->faults, &fault, &cookie), S_OK);
	} else if (what == 1) {
		CHECK_HR(hm_faults_remove(&host->faults, cookie), S_OK);
	} else if (what == 2 && unusual) {
		atomic_fetch_add(&host->waiting.expected, 1);
		memset(&waiter, 0, sizeof(waiter));
		waiter.for_any_free = true;
		hm_waiting_begin(&host->waiting, &host->budget, &waiter);
	} else if (what == 2) {
		hm_waiting_cancel(&host->waiting, &waiter);
		atomic_fetch_sub(&host->waiting.expected, 1);
	}
	hm_host_refresh(host);
}

static void quick_calls_are_for_a_host_at_peace(void)
{
	for (unsigned what = 0; what < 3; what++) {
		void *block = NULL;

		tap_row("what %u", what);
		begin(MALLOC_THREADSAFE);
		CHECK(!hm_heap_is_unusual(&heap));
		blocks[0] = heap_take(&heap, 16);
		CHECK(hm_heap_alloc_quickly(&heap, hm_heap_cache(&heap), 16, &block));
		make_unusual(what, true);
		CHECK(hm_heap_is_unusual(&heap));
		CHECK(!hm_heap_alloc_quickly(&heap, hm_heap_cache(&heap), 16, &block));
		CHECK(!hm_heap_free_quickly(&heap, hm_heap_cache(&heap), block));
		make_unusual(what, false);
		CHECK(!hm_heap_is_unusual(&heap));
		/* The first one that comes after a stop looks twice. */
		blocks[1] = heap_take(&heap, 16);
		CHECK(hm_heap_free_quickly(&heap, hm_heap_cache(&heap), block));
		end();
	}
}

static void a_host_out_of_use_serves_no_blocks(void)
{
	void *block, *out = NULL;

	begin(MALLOC_THREADSAFE);
	block = heap_take(&heap, 16);
	CHECK_HR(hm_host_result(host, E_FAIL), E_FAIL);
	CHECK(hm_heap_is_unusual(&heap));
	CHECK_HR(heap_try(&heap, 16, &out), HOST_E_CLRNOTAVAILABLE);
	CHECK(out == NULL);
	CHECK_HR(heap_free(&heap, block), HOST_E_CLRNOTAVAILABLE);
	end();
}

/* ---- What it keeps ---- */

static void trim_leaves_what_is_live_and_nothing_else(void)
{
	for (DWORD type = 0; type < 4; type++) {
		size_t pages, freed;

		tap_row("type %u", type);
		begin(type);
		for (size_t i = 0; i < MANY; i++)
			blocks[i] = heap_take(&heap, i % 512 * 8);
		for (size_t i = 1; i < MANY; i++)
			CHECK_HR(heap_free(&heap, blocks[i]), S_OK);
		pages = fake_usage(&fake).cbHeapPages;
		freed = heap_trim(&heap);
		CHECK_SIZE(freed, pages - fake_usage(&fake).cbHeapPages);
		CHECK(fake_usage(&fake).cbHeapPages <= UNIT);
		CHECK_SIZE(fake_usage(&fake).cBlocks, 1);
		CHECK_SIZE(heap_trim(&heap), 0);
		CHECK_HR(heap_free(&heap, blocks[0]), S_OK);
		pages = fake_usage(&fake).cbHeapPages;
		CHECK_SIZE(heap_trim(&heap), pages);
		CHECK_HEAPS(0, 0, 0);
		end();
	}
}

static void all_heaps_of_a_host_are_trimmed_while_its_gate_lets_them(void)
{
	begin(MALLOC_THREADSAFE);
	CHECK(!hm_heaps_trim(host));
	heap_make(&second, 0);
	CHECK_HR(heap_free(&heap, heap_take(&heap, 16)), S_OK);
	CHECK_HR(heap_free(&second, heap_take(&second, 5000)), S_OK);
	CHECK_HEAPS(0, 0, 3 * PAGE);
	CHECK(hm_heaps_trim(host));
	CHECK_HEAPS(0, 0, 0);
	CHECK(!hm_heaps_trim(host));
	hm_heap_destroy(&second);
	end();
}

/* So a heap that has been large does not stay so. */
static void what_is_idle_goes_back_beyond_a_share(void)
{
	for (DWORD type = 0; type < 4; type += MALLOC_THREADSAFE) {
		tap_row("type %u", type);
		begin(type);
		for (size_t i = 0; i < MANY; i++)
			blocks[i] = heap_take(&heap, 4096);
		CHECK_HEAPS(MANY * PAGE, MANY, MANY * PAGE);
		for (size_t i = 0; i < MANY; i++)
			CHECK_HR(heap_free(&heap, blocks[i]), S_OK);
		CHECK(fake_usage(&fake).cbHeapPages <= 40 * UNIT);
		CHECK(fake_usage(&fake).cbHeapPages >= 8 * UNIT);
		end();
	}
}

/* ---- Of whom ---- */

static void a_free_block_is_found_whoever_has_it(void)
{
	struct heap_task task = { heap_take_many, &heap, blocks, 64, 64 };
	unsigned class = hm_block_class(64);
	void *found;

	begin(MALLOC_THREADSAFE);
	/* In this thread's cache: 64 bytes; what another thread has of them is live. */
	blocks[100] = heap_take(&heap, 64);
	heap_elsewhere(&task);
	CHECK_HR(heap_free(&heap, blocks[7]), S_OK);
	hm_calls_enter();
	found = hm_heap_find_anywhere(&heap, class, 16);
	CHECK(found != NULL);
	CHECK(hm_heap_find_anywhere(&heap, hm_block_class(2048), 16) == NULL);
	/* A larger one will do, if it is aligned. */
	CHECK(hm_heap_find_anywhere(&heap, 0, 64) != NULL);
	CHECK(hm_heap_find_anywhere(&heap, 0, 128) == NULL);
	hm_calls_leave();
	CHECK_STR(hm_heap_check(&heap), NULL);
	CHECK_SIZE(fake_usage(&fake).cBlocks, 66);
	end();
}

static _Atomic bool taken, may_end;

static void take_and_stay(struct heap_task *task)
{
	heap_take_many(task);
	atomic_store(&taken, true);
	while (!atomic_load(&may_end))
		(void)sched_yield();
}

/* A thread that allocates no more would keep what others free for it. */
static void what_waits_for_an_idle_thread_is_recalled(void)
{
	struct heap_task task = { take_and_stay, &heap, blocks, 512, 1024 };
	pthread_t thread;
	bool recalled;

	begin(MALLOC_THREADSAFE);
	atomic_store(&taken, false);
	atomic_store(&may_end, false);
	if (pthread_create(&thread, NULL, heap_run_task, &task) != 0)
		abort();
	while (!atomic_load(&taken))
		(void)sched_yield();
	for (size_t i = 0; i < 512; i++) {
		tap_row("%zu KiB", i);
		CHECK_HR(heap_free(&heap, blocks[i]), S_OK);
		hm_calls_enter();
		recalled = i % 16 == 0 && hm_heap_recall(&heap);
		hm_calls_leave();
		/* From 256 KiB on, and then it begins anew. */
		CHECK(recalled == (i == 256));
	}
	hm_calls_enter();
	CHECK(hm_heap_recall(&heap) == false);
	CHECK(hm_heap_find(&heap, hm_block_class(1024)) != NULL);
	hm_calls_leave();
	atomic_store(&may_end, true);
	(void)pthread_join(thread, NULL);
	end();
}

/* ---- Who waits ---- */

static void a_freed_block_goes_to_who_waits_for_one(void)
{
	struct hm_block_want want = {
		.heap = &heap, .size = 64, .alignment = 16, .waiters = &heap.waiters
	};
	struct hm_waiter waiter = { .for_any_free = true, .want = &want };

	begin(MALLOC_THREADSAFE);
	/* Two smaller ones, so that no span becomes empty. */
	for (size_t i = 0; i < 5; i++)
		blocks[i] = heap_take(&heap, i == 0 || i == 4 ? 48 : 64);
	atomic_fetch_add(&heap.waiters, 1);
	atomic_fetch_add(&host->waiting.expected, 1);
	hm_waiting_begin(&host->waiting, &host->budget, &waiter);
	hm_host_refresh(host);
	CHECK_HR(heap_free(&heap, blocks[0]), S_OK);
	CHECK(want.block == NULL);
	CHECK_HR(heap_free(&heap, blocks[1]), S_OK);
	CHECK_POINTER(want.block, blocks[1]);
	CHECK_U32(waiter.wake, HM_WAKE_AGAIN);
	CHECK_U32(host->waiting.count, 0);
	/* It is his, and live. */
	CHECK_SIZE(fake_usage(&fake).cBlocks, 4);
	CHECK_HR(heap_free(&heap, blocks[2]), S_OK);
	CHECK_SIZE(fake_usage(&fake).cBlocks, 3);
	CHECK_HR(heap_free(&heap, want.block), S_OK);
	CHECK_HR(heap_free(&heap, want.block), HOST_E_INVALIDOPERATION);
	atomic_fetch_sub(&host->waiting.expected, 1);
	hm_heaps_after_fork(host);
	CHECK_U32(heap.waiters, 0);
	hm_host_refresh(host);
	end();
}

int main(void)
{
	TAP_RUN(without_memory_there_is_no_heap);
	TAP_RUN(each_heap_has_a_number_and_is_known_to_its_host);
	TAP_RUN(what_is_live_at_the_end_is_leaked_and_given_back);
	TAP_RUN(a_block_has_the_size_of_its_class_or_whole_pages);
	TAP_RUN(nothing_but_a_live_block_of_its_own_is_freed);
	TAP_RUN(quick_calls_are_for_a_host_at_peace);
	TAP_RUN(a_host_out_of_use_serves_no_blocks);
	TAP_RUN(trim_leaves_what_is_live_and_nothing_else);
	TAP_RUN(all_heaps_of_a_host_are_trimmed_while_its_gate_lets_them);
	TAP_RUN(what_is_idle_goes_back_beyond_a_share);
	TAP_RUN(a_free_block_is_found_whoever_has_it);
	TAP_RUN(what_waits_for_an_idle_thread_is_recalled);
	TAP_RUN(a_freed_block_goes_to_who_waits_for_one);
	return tap_done();
}
