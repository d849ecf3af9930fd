/*
 * Blocks that become smaller where memory is short: nobody is asked for it, so that never
 * fails and never waits, also while others wait; what becomes free serves those.
 *
 * Who waits has a level of its own and may do so for an hour.  The thread that makes blocks
 * smaller may wait, too, but not for long, so that a failure is one and not a hanging test.
 */
#include "heap.h"
#include "threads.h"

#define LIMIT MIB
#define SIZE ((size_t)1000)

enum { MOST = 2000, SOON = 1 /* ms */ };

static const struct kind {
	const char *name;
	uint32_t flags; /* of the host */
	bool named;     /* blocks are made by DebugAlloc */
} kinds[] = {
	{ "plain", 0, false },
	{ "with a name", 0, true },
	{ "of a debugging heap", HOSTMEM_DEBUG_HEAP, false },
};

static struct yard yard;
static HostMemBudget budget;
static void *blocks[MOST];
static size_t count;

static void set_wait(uint32_t others, uint32_t ours)
{
	budget.msWait[eTaskCritical] = ours;
	budget.msWait[eProcessCritical] = others;
	CHECK_HR(budget_set(&yard.host, &budget), S_OK);
}

static HRESULT take(const struct kind *kind, size_t size, void **out)
{
	return kind->named ? heap_alloc_debug(yard.heap, size, __FILE__, __LINE__, out)
			   : heap_alloc(yard.heap, size, out);
}

static bool start_full(const struct kind *kind, size_t size)
{
	if (!waiting_host_with(&yard.host, &budget, LIMIT, kind->flags))
		return false;
	yard.heap = heap_new(yard.host.manager, MALLOC_THREADSAFE);
	if (yard.heap == NULL) {
		host_destroy(&yard.host);
		return false;
	}
	set_wait(HOUR, 0);
	for (count = 0; count < MOST; count++) {
		if (take(kind, size, &blocks[count]) != S_OK)
			break;
		heap_fill(blocks[count], size, count);
	}
	set_wait(HOUR, SOON);
	return CHECK(count > 4 && count < MOST);
}

static void give_all(void)
{
	for (size_t i = 0; i < count; i++)
		CHECK_HR(heap_free(yard.heap, blocks[i]), S_OK);
	(void)heap_trim(yard.heap);
}

static void end(void)
{
	CHECK_HEAP(&yard, 0, 0);
	CHECK_SIZE(yard_charged(&yard), 0);
	yard_end(&yard);
}

/* It is not short of anything. */
static void shrink(size_t number, size_t from, size_t to)
{
	unsigned before = atomic_load(&threads_short);
	void *out;

	CHECK_HR(heap_realloc(yard.heap, blocks[number], to, 0, &out), S_OK);
	CHECK_U32(atomic_load(&threads_short), before);
	if (out == NULL)
		return;
	CHECK(from >= to && heap_size(yard.heap, out) >= to);
	CHECK(heap_holds(out, to, number));
	blocks[number] = out;
}

/* In steps, where nothing is free but what the steps before have left. */
static void shrink_all(const struct kind *kind, size_t size)
{
	for (size_t from = size; from > 0; from = from * 2 / 5) {
		for (size_t n = 0; n < count; n++) {
			tap_row("%s, block %zu of %zu from %zu", kind->name, n, size,
				from);
			shrink(n, from, from * 2 / 5);
		}
	}
	CHECK_SIZE(host_usage(&yard.host).cBlocks, count);
}

static void becoming_smaller_never_waits_and_never_fails(void)
{
	static const size_t sizes[] = { 1000, 4000, 20000, 100000 };

	for (size_t i = 0; i < ROWS(kinds) * ROWS(sizes); i++) {
		const struct kind *kind = &kinds[i / ROWS(sizes)];
		size_t size = sizes[i % ROWS(sizes)];
		struct caller caller = { .call = call_commit,
					 .level = eProcessCritical,
					 .size = LIMIT };

		if (!start_full(kind, size))
			return;
		caller_wait_for_memory(&caller, &yard.host);
		shrink_all(kind, size);
		CHECK(!atomic_load(&caller.done));
		give_all();
		let_out(&yard.host, &caller, S_OK);
		end();
	}
}

/* With nobody else who waits. */
static void nor_where_the_host_is_full(void)
{
	for (size_t i = 0; i < ROWS(kinds); i++) {
		if (!start_full(&kinds[i], SIZE))
			return;
		shrink_all(&kinds[i], SIZE);
		give_all();
		end();
	}
}

/* ---- Who waits ---- */

static HRESULT call_alloc(struct caller *caller)
{
	return heap_alloc_at_level(yard.heap, caller->size, caller->level, &caller->out);
}

/* The block moves to one that is at hand, and the waiter gets its place. */
static void who_waits_is_served_by_a_block_that_becomes_smaller(void)
{
	struct caller caller = { .call = call_alloc,
				 .level = eProcessCritical,
				 .size = SIZE };
	void *small, *old;

	if (!start_full(&kinds[0], SIZE))
		return;
	budget.cbLimit += PAGE;
	CHECK_HR(budget_set(&yard.host, &budget), S_OK);
	small = heap_take(yard.heap, SIZE / 10);
	old = blocks[0];
	caller_wait_for_memory(&caller, &yard.host);
	shrink(0, SIZE, SIZE / 10);
	CHECK(blocks[0] != old);
	CHECK_HR(caller_end(&caller), S_OK);
	CHECK_POINTER(caller.out, old);
	CHECK_HR(heap_free(yard.heap, caller.out), S_OK);
	CHECK_HR(heap_free(yard.heap, small), S_OK);
	give_all();
	end();
}

static void who_waits_is_served_by_pages_of_a_block_that_becomes_smaller(void)
{
	struct caller caller = { .call = call_commit,
				 .level = eProcessCritical,
				 .size = 10 * PAGE };

	if (!start_full(&kinds[0], 25 * PAGE))
		return;
	caller_wait_for_memory(&caller, &yard.host);
	shrink(0, 25 * PAGE, 12 * PAGE);
	let_out(&yard.host, &caller, S_OK);
	give_all();
	end();
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(becoming_smaller_never_waits_and_never_fails);
	TAP_RUN(nor_where_the_host_is_full);
	TAP_RUN(who_waits_is_served_by_a_block_that_becomes_smaller);
	TAP_RUN(who_waits_is_served_by_pages_of_a_block_that_becomes_smaller);
	return tap_done();
}
