/*
 * Heaps near the limit: a request fits if a free block exists anywhere in the heap, and what
 * heaps keep for later stands in nobody's way.
 *
 * Each test fills the budget with blocks of one size until one more is refused, frees some,
 * and knows then exactly how many more there must be.
 */
#include "heap.h"
#include "threads.h"

#define LIMIT MIB

enum { MOST = 70000 }; /* blocks of 16 bytes that go into LIMIT, and more */

static struct yard yard;
static void *blocks[MOST];
static size_t count;

/* What is freed by whom: from `first` on, each `step`th. */
static size_t first, step;

static const size_t sizes[] = { 16, 100, 1000, 3000, 5000, 20000, 40000, 100000, 300000 };

static bool start_full(size_t size)
{
	HostMemBudget budget = budget_of(LIMIT);

	if (!yard_make_limited(&yard, &budget))
		return false;
	count = heap_fill_up(yard.heap, size, blocks, MOST);
	CHECK(count > 1 && count < MOST);
	CHECK(yard_charged(&yard) <= LIMIT);
	/* Nor is more than half of it wasted. */
	CHECK(host_usage(&yard.host).cbHeap > LIMIT / 2);
	for (size_t i = 0; i < count; i++)
		heap_fill(blocks[i], size, i);
	return count > 1;
}

static void give(size_t number)
{
	CHECK_HR(heap_free(yard.heap, blocks[number]), S_OK);
	blocks[number] = NULL;
}

static size_t give_some(void)
{
	size_t given = 0;

	for (size_t i = first; i < count; i += step) {
		if (blocks[i] == NULL)
			continue;
		give(i);
		given++;
	}
	return given;
}

/* So many more are granted, and then none. */
static void check_room(size_t size, size_t wanted)
{
	size_t got = 0;
	void *extra;

	for (size_t i = 0; i < count && got < wanted; i++) {
		if (blocks[i] != NULL)
			continue;
		if (!CHECK_HR(heap_alloc(yard.heap, size, &blocks[i]), S_OK))
			break;
		heap_fill(blocks[i], size, i);
		got++;
	}
	CHECK_SIZE(got, wanted);
	CHECK_HR(heap_alloc(yard.heap, size, &extra), E_OUTOFMEMORY);
	CHECK(yard_charged(&yard) <= LIMIT);
}

static void end(size_t size)
{
	for (size_t i = 0; i < count; i++) {
		if (blocks[i] == NULL)
			continue;
		CHECK(heap_holds(blocks[i], size, i));
		give(i);
	}
	(void)heap_trim(yard.heap);
	CHECK_HEAP(&yard, 0, 0);
	CHECK_SIZE(yard_charged(&yard), 0);
	yard_end(&yard);
}

static void frees_make_room_again_exactly(void)
{
	static const size_t steps[] = { 1, 2, 7 };

	for (size_t i = 0; i < ROWS(sizes); i++) {
		if (!start_full(sizes[i]))
			return;
		for (size_t n = 0; n < ROWS(steps); n++) {
			tap_row("size %zu, each %zu", sizes[i], steps[n]);
			first = n;
			step = steps[n];
			check_room(sizes[i], give_some());
		}
		end(sizes[i]);
	}
}

/* ---- Other threads ---- */

static _Atomic bool given;
static size_t given_count;

/* Frees, and sleeps if it is not told to end. */
static HRESULT free_some(struct caller *caller)
{
	given_count = give_some();
	atomic_store(&given, true);
	while (!atomic_load(&caller->go))
		(void)sched_yield();
	return S_OK;
}

/* Has blocks of its own first, so that there is something kept for it. */
static HRESULT use_and_free_some(struct caller *caller)
{
	first = 0;
	step = 3;
	(void)give_some();
	check_room(caller->size, (count + 2) / 3);
	return free_some(caller);
}

static void with_another_thread(HRESULT (*call)(struct caller *caller), size_t size,
				bool ends)
{
	struct caller caller = { .call = call, .size = size, .go = ends };

	if (!start_full(size))
		return;
	first = 1;
	step = 2;
	atomic_store(&given, false);
	caller_start(&caller, &yard.host);
	if (ends)
		CHECK_HR(caller_end(&caller), S_OK);
	while (!atomic_load(&given))
		(void)sched_yield();
	check_room(size, given_count);
	if (!ends)
		CHECK_HR(caller_end(&caller), S_OK);
	end(size);
}

static void what_another_thread_has_freed_is_to_be_had(void)
{
	static HRESULT (*const calls[])(struct caller * caller) = { free_some,
								    use_and_free_some };

	for (size_t i = 0; i < ROWS(sizes) * ROWS(calls) * 2; i++) {
		size_t size = sizes[i % ROWS(sizes)];
		size_t call = i / ROWS(sizes) % ROWS(calls);
		bool ends = i / ROWS(sizes) / ROWS(calls) != 0;

		tap_row("size %zu, call %zu, ends %d", size, call, ends);
		with_another_thread(calls[call], size, ends);
	}
}

enum { SHARERS = 4, TURNS = 20000, SHARERS_SIZE = 2000 };

static size_t share; /* of blocks, for each */
static _Atomic size_t refused;

/* Has at most its share at any time, and mostly nearly all of it. */
static HRESULT keep_to_the_share(struct caller *caller)
{
	void **mine = calloc(share, sizeof(*mine));
	uint64_t random = caller->ms;

	for (size_t i = 0; i < TURNS && mine != NULL && share != 0; i++) {
		size_t n = heap_draw(&random, share);

		if (mine[n] != NULL && heap_draw(&random, 8) == 0) {
			CHECK_HR(heap_free(yard.heap, mine[n]), S_OK);
			mine[n] = NULL;
		} else if (mine[n] != NULL) {
			continue;
		} else if (heap_alloc(yard.heap, caller->size, &mine[n]) != S_OK) {
			atomic_fetch_add(&refused, 1);
		}
	}
	for (size_t i = 0; i < share && mine != NULL; i++)
		CHECK_HR(heap_free(yard.heap, mine[i]), S_OK);
	free(mine);
	return S_OK;
}

/* All of them together never have more than fits, so there always is a free block. */
static void threads_that_keep_to_their_share_are_never_refused(void)
{
	struct caller callers[SHARERS];

	if (!start_full(SHARERS_SIZE))
		return;
	share = count / SHARERS;
	atomic_store(&refused, 0);
	first = 0;
	step = 1;
	(void)give_some();
	for (size_t i = 0; i < SHARERS; i++) {
		callers[i] = (struct caller){ .call = keep_to_the_share,
					      .size = SHARERS_SIZE,
					      .ms = (uint32_t)i };
		caller_start(&callers[i], &yard.host);
	}
	for (size_t i = 0; i < SHARERS; i++)
		CHECK_HR(caller_end(&callers[i]), S_OK);
	CHECK_SIZE(atomic_load(&refused), 0);
	CHECK(host_usage(&yard.host).cbPeakCharged <= LIMIT);
	end(SHARERS_SIZE);
}

/* ---- Other sizes ---- */

/* One block of the larger size is free, and there is no room for more pages. */
static void a_larger_free_block_serves(void)
{
	for (size_t i = 0; i < ROWS(sizes) * ROWS(sizes); i++) {
		size_t large = sizes[i / ROWS(sizes)], small = sizes[i % ROWS(sizes)];
		void *out;

		if (small >= large)
			continue;
		tap_row("%zu in %zu", small, large);
		if (!start_full(large))
			return;
		give(count / 2);
		CHECK_HR(heap_alloc(yard.heap, small, &out), S_OK);
		CHECK(heap_size(yard.heap, out) >= small);
		CHECK_HR(heap_free(yard.heap, out), S_OK);
		/* And as itself again, afterwards. */
		check_room(large, 1);
		end(large);
	}
}

/* Everything is free: the budget is to be had in blocks of another size, but for what a span
 * that was made for one size may have too much of for another. */
static void freed_blocks_become_blocks_of_any_size(void)
{
	for (size_t i = 0; i < ROWS(sizes) * ROWS(sizes); i++) {
		size_t from = sizes[i / ROWS(sizes)], to = sizes[i % ROWS(sizes)];
		size_t fits;

		tap_row("from %zu to %zu", from, to);
		if (!start_full(to))
			return;
		fits = count;
		end(to);
		if (!start_full(from))
			return;
		first = 0;
		step = 1;
		(void)give_some();
		count = heap_fill_up(yard.heap, to, blocks, MOST);
		CHECK(count >= fits - fits / 16);
		(void)give_some();
		CHECK_HEAP(&yard, 0, 0);
		yard_end(&yard);
	}
}

/* ---- Requests of others ---- */

static HRESULT commit(size_t size)
{
	void *base;
	HRESULT hr = vm_alloc(&yard.host, NULL, size, MEM_COMMIT, PAGE_READWRITE, &base);

	if (SUCCEEDED(hr))
		CHECK_HR(vm_release(&yard.host, base), S_OK);
	return hr;
}

static void what_a_heap_keeps_refuses_nobody(void)
{
	struct caller caller = { .call = free_some };
	IHostMalloc2 *second;
	void *block;

	for (size_t i = 0; i < ROWS(sizes); i++) {
		tap_row("size %zu", sizes[i]);
		caller.go = false;
		caller.done = false;
		if (!start_full(sizes[i]))
			return;
		second = heap_new(yard.host.manager, 0);
		CHECK_HR(commit(LIMIT), E_OUTOFMEMORY);
		first = 0;
		step = 2;
		(void)give_some();
		/* The rest is freed by a thread that sleeps. */
		step = 1;
		atomic_store(&given, false);
		caller_start(&caller, &yard.host);
		while (!atomic_load(&given))
			(void)sched_yield();
		CHECK_HR(commit(LIMIT), S_OK);
		/* Nor a heap of the same host, which keeps something then. */
		CHECK_HR(heap_alloc(second, LIMIT / 2, &block), S_OK);
		CHECK_HR(heap_free(second, block), S_OK);
		CHECK_HR(heap_alloc(yard.heap, LIMIT / 2, &block), S_OK);
		CHECK_HR(heap_free(yard.heap, block), S_OK);
		CHECK_HR(commit(LIMIT), S_OK);
		CHECK_HR(caller_end(&caller), S_OK);
		CHECK_U32(IHostMalloc2_Release(second), 0);
		end(sizes[i]);
	}
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(frees_make_room_again_exactly);
	TAP_RUN(what_another_thread_has_freed_is_to_be_had);
	TAP_RUN(threads_that_keep_to_their_share_are_never_refused);
	TAP_RUN(a_larger_free_block_serves);
	TAP_RUN(freed_blocks_become_blocks_of_any_size);
	TAP_RUN(what_a_heap_keeps_refuses_nobody);
	return tap_done();
}
