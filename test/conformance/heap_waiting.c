/*
 * Heaps that run short: who waits for memory is served by a free block as by pages, and a
 * reclaimer may free blocks of the heap that asks.
 */
#include "heap.h"
#include "threads.h"

#define LIMIT MIB

enum { MOST = 2000 };

#define SIZE ((size_t)1000)

static struct yard yard;
static HostMemBudget budget;
static void *blocks[MOST];
static size_t count;

static bool start_full(size_t size, bool waits)
{
	if (!waiting_host(&yard.host, &budget, LIMIT))
		return false;
	yard.heap = heap_new(yard.host.manager, MALLOC_THREADSAFE);
	if (yard.heap == NULL) {
		host_destroy(&yard.host);
		return false;
	}
	for (size_t i = 0; i < 3; i++)
		budget.msWait[i] = 0;
	CHECK_HR(IHostMemoryControl_SetBudget(yard.host.control, &budget), S_OK);
	count = heap_fill_up(yard.heap, size, blocks, MOST);
	CHECK(count > 4 && count < MOST);
	for (size_t i = 0; i < 3; i++)
		budget.msWait[i] = waits ? HOUR : 0;
	CHECK_HR(IHostMemoryControl_SetBudget(yard.host.control, &budget), S_OK);
	return count > 4;
}

static void give(size_t number)
{
	CHECK_HR(heap_free(yard.heap, blocks[number]), S_OK);
	blocks[number] = NULL;
}

static void end(void)
{
	for (size_t i = 0; i < count; i++)
		give(i);
	(void)heap_trim(yard.heap);
	CHECK_HEAP(&yard, 0, 0);
	CHECK_SIZE(yard_charged(&yard), 0);
	yard_end(&yard);
}

static HRESULT call_alloc(struct caller *caller)
{
	return heap_alloc_at_level(yard.heap, caller->size, caller->level, &caller->out);
}

static void let_block_out(struct caller *caller)
{
	CHECK_HR(caller_end(caller), S_OK);
	CHECK_HR(heap_free(yard.heap, caller->out), S_OK);
}

/* ---- Waiting ---- */

/* Its neighbours are live, so no page is refunded. */
static void a_waiting_alloc_is_served_by_a_free_block(void)
{
	struct caller caller = { .call = call_alloc, .size = SIZE };
	size_t charged;

	if (!start_full(SIZE, true))
		return;
	charged = yard_charged(&yard);
	caller_wait_for_memory(&caller, &yard.host);
	give(count / 2);
	CHECK_HR(caller_end(&caller), S_OK);
	CHECK_SIZE(yard_charged(&yard), charged);
	CHECK_SIZE(host_usage(&yard.host).cBlocks, count);
	blocks[count / 2] = caller.out;
	end();
}

static void a_waiting_alloc_is_served_by_a_larger_free_block(void)
{
	struct caller caller = { .call = call_alloc, .size = 50 };

	if (!start_full(SIZE, true))
		return;
	caller_wait_for_memory(&caller, &yard.host);
	give(count / 2);
	let_block_out(&caller);
	end();
}

static HRESULT call_realloc(struct caller *caller)
{
	return heap_realloc(yard.heap, caller->address, caller->size, 0, &caller->out);
}

static void a_waiting_realloc_is_served_too(void)
{
	struct caller caller = { .call = call_realloc, .size = 5 * SIZE };

	if (!start_full(SIZE, true))
		return;
	caller.address = blocks[0];
	heap_fill(blocks[0], SIZE, 1);
	caller_wait_for_memory(&caller, &yard.host);
	for (size_t i = 1; i < count; i++)
		give(i);
	CHECK_HR(caller_end(&caller), S_OK);
	CHECK(heap_holds(caller.out, SIZE, 1));
	blocks[0] = caller.out;
	end();
}

static void waiting_allocs_are_served_by_level(void)
{
	struct caller callers[3];
	static const unsigned served[] = { 3, 2, 1 };

	if (!start_full(SIZE, true))
		return;
	for (int level = eTaskCritical; level <= eProcessCritical; level++) {
		callers[level] = (struct caller){
			.call = call_alloc,
			.size = SIZE,
			.level = (EMemoryCriticalLevel)level,
		};
		caller_wait_for_memory(&callers[level], &yard.host);
	}
	for (size_t i = 0; i < ROWS(callers); i++) {
		give(count / 2 + i);
		while (atomic_load(&callers_served) != i + 1)
			(void)sched_yield();
	}
	for (size_t i = 0; i < ROWS(callers); i++) {
		tap_row("level %zu", i);
		let_block_out(&callers[i]); /* it has ended then */
		CHECK_U32(callers[i].served, served[i]);
	}
	end();
}

/* The heap would like to keep the pages. */
static void a_waiting_commit_is_served_by_what_a_heap_keeps(void)
{
	struct caller caller = { .call = call_commit, .size = LIMIT };

	if (!start_full(SIZE, true))
		return;
	caller_wait_for_memory(&caller, &yard.host);
	for (size_t i = 0; i < count; i++)
		give(i);
	let_out(&yard.host, &caller, S_OK);
	end();
}

static void a_waiting_alloc_is_served_by_pages(void)
{
	struct caller caller = { .call = call_alloc, .size = SIZE };
	void *base;

	if (!start_full(SIZE, true))
		return;
	for (size_t i = 0; i < count; i++)
		give(i);
	(void)heap_trim(yard.heap);
	base = vm_new(&yard.host, LIMIT, MEM_COMMIT, PAGE_READWRITE);
	caller_wait_for_memory(&caller, &yard.host);
	CHECK_HR(vm_release(&yard.host, base), S_OK);
	let_block_out(&caller);
	end();
}

static void time_ends_the_wait_of_an_alloc(void)
{
	void *out;

	if (!start_full(SIZE, true))
		return;
	for (size_t i = 0; i < 3; i++)
		budget.msWait[i] = 2;
	CHECK_HR(IHostMemoryControl_SetBudget(yard.host.control, &budget), S_OK);
	CHECK_HR(heap_alloc(yard.heap, SIZE, &out), HOST_E_TIMEOUT);
	CHECK_HR(heap_realloc(yard.heap, blocks[0], LIMIT / 2, 0, &out), HOST_E_TIMEOUT);
	CHECK_SIZE(host_usage(&yard.host).cBlocks, count);
	/* What never fits does not wait. */
	CHECK_HR(heap_alloc(yard.heap, 2 * LIMIT, &out), E_OUTOFMEMORY);
	end();
}

static void shutdown_ends_the_wait_of_an_alloc(void)
{
	struct caller caller = { .call = call_alloc, .size = SIZE };

	if (!start_full(SIZE, true))
		return;
	caller_wait_for_memory(&caller, &yard.host);
	CHECK_HR(IHostMemoryControl_Shutdown(yard.host.control), S_OK);
	CHECK_HR(caller_end(&caller), HOST_E_ABANDONED);
	CHECK_POINTER(caller.out, NULL);
	yard_end(&yard);
}

/* ---- A reclaimer ---- */

static unsigned reclaims;

static size_t HOSTMEM_CALL free_one(void *state, size_t wanted)
{
	(void)state, (void)wanted;
	reclaims++;
	give(count / 2);
	return SIZE;
}

static size_t HOSTMEM_CALL free_all(void *state, size_t wanted)
{
	(void)state, (void)wanted;
	reclaims++;
	for (size_t i = 0; i < count; i++)
		give(i);
	return LIMIT;
}

static void set_reclaimer(HostMemReclaimCallback callback)
{
	reclaims = 0;
	CHECK_HR(IHostMemoryControl_SetReclaimer(yard.host.control, callback, NULL),
		 S_OK);
}

static void a_reclaimer_may_free_blocks_of_the_heap_that_asks(void)
{
	static const size_t wanted[] = { SIZE, 50 };

	for (size_t i = 0; i < ROWS(wanted); i++) {
		void *out;

		tap_row("size %zu", wanted[i]);
		if (!start_full(SIZE, false))
			return;
		set_reclaimer(free_one);
		CHECK_HR(heap_alloc(yard.heap, wanted[i], &out), S_OK);
		CHECK_U32(reclaims, 1);
		blocks[count / 2] = out;
		set_reclaimer(NULL);
		end();
	}
}

/* Its own pages are lent to others, and back. */
static void a_reclaimer_may_free_blocks_for_pages(void)
{
	void *base;

	if (!start_full(SIZE, false))
		return;
	set_reclaimer(free_all);
	CHECK_HR(vm_alloc(&yard.host, NULL, LIMIT, MEM_COMMIT, PAGE_READWRITE, &base),
		 S_OK);
	CHECK_U32(reclaims, 1);
	set_reclaimer(NULL);
	CHECK_HR(vm_release(&yard.host, base), S_OK);
	end();
}

static void who_finds_a_free_block_does_not_ask_the_reclaimer(void)
{
	void *out;

	if (!start_full(SIZE, false))
		return;
	give(1);
	set_reclaimer(free_one);
	CHECK_HR(heap_alloc(yard.heap, SIZE, &out), S_OK);
	CHECK_U32(reclaims, 0);
	CHECK_HR(heap_free(yard.heap, out), S_OK);
	set_reclaimer(NULL);
	end();
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(a_waiting_alloc_is_served_by_a_free_block);
	TAP_RUN(a_waiting_alloc_is_served_by_a_larger_free_block);
	TAP_RUN(a_waiting_realloc_is_served_too);
	TAP_RUN(waiting_allocs_are_served_by_level);
	TAP_RUN(a_waiting_commit_is_served_by_what_a_heap_keeps);
	TAP_RUN(a_waiting_alloc_is_served_by_pages);
	TAP_RUN(time_ends_the_wait_of_an_alloc);
	TAP_RUN(shutdown_ends_the_wait_of_an_alloc);
	TAP_RUN(a_reclaimer_may_free_blocks_of_the_heap_that_asks);
	TAP_RUN(a_reclaimer_may_free_blocks_for_pages);
	TAP_RUN(who_finds_a_free_block_does_not_ask_the_reclaimer);
	return tap_done();
}
