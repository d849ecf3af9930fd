/*
 * What a heap keeps for later, and what it must not keep: the pages of threads that have
 * ended, a block whose protection was changed, room from those who wait, and a block that is
 * only to become smaller.
 */
#include "heap.h"
#include "threads.h"

#include <pthread.h>
#include <string.h>

enum { THREADS = 24 };

#define SIZE ((size_t)1000)

static struct yard yard;

/* ---- Of threads that end ---- */

static void *use_a_mebibyte(void *unused)
{
	static __thread void *blocks[256];

	(void)unused;
	for (size_t i = 0; i < ROWS(blocks); i++)
		blocks[i] = heap_take(yard.heap, 4096);
	for (size_t i = 0; i < ROWS(blocks); i++)
		CHECK_HR(heap_free(yard.heap, blocks[i]), S_OK);
	return NULL;
}

static void what_threads_leave_goes_back(void)
{
	if (!yard_make(&yard, 0, MALLOC_THREADSAFE))
		return;
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_t thread;

		if (CHECK(pthread_create(&thread, NULL, use_a_mebibyte, NULL) == 0))
			(void)pthread_join(thread, NULL);
	}
	CHECK_HEAP(&yard, 0, 0);
	CHECK(yard_pages(&yard) <= 4 * MIB);
	yard_end(&yard);
}

/* ---- With another protection ---- */

static void a_block_is_kept_only_with_its_heaps_protection(void)
{
	static const DWORD types[] = { MALLOC_THREADSAFE,
				       MALLOC_THREADSAFE | MALLOC_EXECUTABLE };
	const size_t size = 16 * KIB;
	DWORD old;

	for (size_t i = 0; i < ROWS(types); i++) {
		void *block;

		tap_row("type %u", (unsigned)types[i]);
		if (!yard_make(&yard, 0, types[i]))
			return;
		block = heap_take(yard.heap, size);
		CHECK_HR(vm_protect(&yard.host, block, PAGE, PAGE_READONLY, &old), S_OK);
		CHECK_HR(heap_free(yard.heap, block), S_OK);
		CHECK_HR(heap_alloc_aligned(yard.heap, size, 0, HOSTMEM_HEAP_ZERO,
					    &block),
			 S_OK);
		memset(block, 1, size);
		CHECK_HR(heap_free(yard.heap, block), S_OK);
		yard_end(&yard);
	}
}

/* ---- Becoming smaller ---- */

static size_t HOSTMEM_CALL count_reclaims(void *state, size_t wanted)
{
	(void)wanted;
	++*(unsigned *)state;
	return 0;
}

static void becoming_smaller_asks_nobody(void)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	unsigned reclaims = 0;
	void *block, *out;

	budget.cbLimit = PAGE;
	budget.msWait[eTaskCritical] = HOUR;
	if (!yard_make_limited(&yard, &budget))
		return;
	CHECK_HR(IHostMemoryControl_SetReclaimer(yard.host.control, count_reclaims,
						 &reclaims),
		 S_OK);
	block = heap_take(yard.heap, PAGE);
	heap_fill(block, 16, 1);
	CHECK_HR(heap_realloc(yard.heap, block, 16, 0, &out), S_OK);
	CHECK(heap_holds(out, 16, 1));
	CHECK_U32(reclaims, 0);
	CHECK_SIZE(host_usage(&yard.host).cRefusedBudget, 0);
	CHECK_HR(heap_free(yard.heap, out), S_OK);
	yard_end(&yard);
}

/* ---- Waiting ---- */

static HRESULT call_alloc(struct caller *caller)
{
	return heap_alloc_at_level(yard.heap, caller->size, caller->level, &caller->out);
}

/* Pages for somebody of a higher level have room for one more block. */
static void new_pages_serve_who_waits_for_a_block(void)
{
	struct caller caller = { .call = call_alloc, .size = SIZE };
	static void *blocks[1000];
	HostMemBudget budget;
	size_t count;
	void *block;

	if (!waiting_host(&yard.host, &budget, MIB / 2))
		return;
	yard.heap = heap_new(yard.host.manager, MALLOC_THREADSAFE);
	memset(budget.msWait, 0, sizeof(budget.msWait));
	budget.cbHeadroom[eTaskCritical] = MIB / 8;
	CHECK_HR(IHostMemoryControl_SetBudget(yard.host.control, &budget), S_OK);
	count = heap_fill_up(yard.heap, SIZE, blocks, ROWS(blocks));
	budget.msWait[eTaskCritical] = HOUR;
	CHECK_HR(IHostMemoryControl_SetBudget(yard.host.control, &budget), S_OK);
	caller_wait_for_memory(&caller, &yard.host);
	CHECK_HR(heap_alloc_at_level(yard.heap, SIZE, eProcessCritical, &block), S_OK);
	CHECK_HR(caller_end(&caller), S_OK);
	CHECK_HR(heap_free(yard.heap, caller.out), S_OK);
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	while (count > 0)
		CHECK_HR(heap_free(yard.heap, blocks[--count]), S_OK);
	yard_end(&yard);
}

int main(void)
{
	TAP_RUN(what_threads_leave_goes_back);
	TAP_RUN(a_block_is_kept_only_with_its_heaps_protection);
	TAP_RUN(becoming_smaller_asks_nobody);
	TAP_RUN(new_pages_serve_who_waits_for_a_block);
	return tap_done();
}
