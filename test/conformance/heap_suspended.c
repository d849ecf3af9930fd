/*
 * Heaps while a collector holds the other threads still.
 *
 * One of them may have been stopped anywhere, in the middle of a call of the heap too, and
 * goes on only when the collector has done its work.  So the collector's own requests never
 * wait for it, also where memory is short: they are refused, or served by what is at hand.
 *
 * The thread that is held makes calls that need no lock, so a call that never returns has
 * waited for such a call to end.  The watchdog makes a failure of that.
 */
#include "heap.h"
#include "threads.h"

#include <errno.h>
#include <signal.h>

#define LIMIT MIB
#define SIZE ((size_t)1000)

enum {
	ROUNDS = 100,
	HANG = 60, /* s; all of this takes one or two */
	MOST = 1200,
};

static struct yard yard;
static HostMemBudget budget;
static IHostGCManager *collector;
static void *blocks[MOST];
static size_t count;

/* ---- A thread that is held ---- */

static struct {
	IHostMalloc2 *heap; /* its own, of the same host */
	pthread_t thread;
	_Atomic unsigned turns;
	_Atomic bool hold, held, over;
} mutator;

static void hold_still(int number)
{
	int kept = errno;

	(void)number;
	atomic_store(&mutator.held, true);
	while (atomic_load(&mutator.hold))
		(void)sched_yield();
	atomic_store(&mutator.held, false);
	errno = kept;
}

/* Always the same block, which is at hand: beside one that is live, so it has pages. */
static void *mutate(void *argument)
{
	void *kept = heap_take(mutator.heap, SIZE), *block;

	(void)argument;
	while (!atomic_load(&mutator.over)) {
		for (int i = 0; i < 100; i++) {
			CHECK_HR(heap_alloc(mutator.heap, SIZE, &block), S_OK);
			CHECK_HR(heap_free(mutator.heap, block), S_OK);
		}
		atomic_fetch_add(&mutator.turns, 1);
	}
	CHECK_HR(heap_free(mutator.heap, kept), S_OK);
	return NULL;
}

/* It is past what others had it wait for, and in calls that need no lock. */
static void let_run(void)
{
	unsigned turns = atomic_load(&mutator.turns);

	while (atomic_load(&mutator.turns) - turns < 2)
		(void)sched_yield();
}

static void suspend(void)
{
	let_run();
	CHECK_HR(IHostGCManager_SuspensionStarting(collector), S_OK);
	atomic_store(&mutator.hold, true);
	CHECK_INT(pthread_kill(mutator.thread, SIGUSR1), 0);
	while (!atomic_load(&mutator.held))
		(void)sched_yield();
}

static void resume(void)
{
	atomic_store(&mutator.hold, false);
	while (atomic_load(&mutator.held))
		(void)sched_yield();
	CHECK_HR(IHostGCManager_SuspensionEnding(collector, 0), S_OK);
}

/* ---- The stage ---- */

static void set_wait(uint32_t ms)
{
	for (size_t i = 0; i < LEVELS; i++)
		budget.msWait[i] = ms;
	CHECK_HR(budget_set(&yard.host, &budget), S_OK);
}

static bool start(size_t limit)
{
	struct sigaction action = { .sa_handler = hold_still, .sa_flags = SA_RESTART };
	void *face = NULL;

	budget = budget_of(limit);
	if (!yard_make_limited(&yard, &budget))
		return false;
	CHECK_HR(IHostMemoryManager_QueryInterface(yard.host.manager, &IID_IHostGCManager,
						   &face),
		 S_OK);
	collector = (IHostGCManager *)face;
	mutator.heap = heap_new(yard.host.manager, MALLOC_THREADSAFE);
	atomic_store(&mutator.over, false);
	count = 0;
	CHECK_INT(sigaction(SIGUSR1, &action, NULL), 0);
	if (pthread_create(&mutator.thread, NULL, mutate, NULL) != 0)
		abort();
	let_run();
	return true;
}

static bool start_full(void)
{
	if (!start(LIMIT))
		return false;
	count = heap_fill_up(yard.heap, SIZE, blocks, MOST);
	for (size_t i = 0; i < count; i++)
		heap_fill(blocks[i], SIZE, i);
	return CHECK(count > 500);
}

static void end(void)
{
	atomic_store(&mutator.over, true);
	(void)pthread_join(mutator.thread, NULL);
	CHECK_U32(IHostMalloc2_Release(mutator.heap), 0);
	for (size_t i = 0; i < count; i++) {
		CHECK(heap_holds(blocks[i], SIZE, i));
		CHECK_HR(heap_free(yard.heap, blocks[i]), S_OK);
	}
	(void)heap_trim(yard.heap);
	CHECK_HEAP(&yard, 0, 0);
	CHECK_SIZE(yard_pages(&yard), 0);
	IHostGCManager_Release(collector);
	yard_end(&yard);
}

/* ---- What the collector asks for ---- */

/* Whatever it is, it is over soon, and has changed nothing. */
static void ask_for_too_much(HRESULT want)
{
	static const size_t sizes[] = { 100, SIZE, 4096, 20000, LIMIT / 2 };
	HostMemUsage before = host_usage(&yard.host);
	void *out;

	for (int i = 0; i < ROUNDS && !tap_failed(); i++) {
		tap_row("round %d", i);
		suspend();
		CHECK_HR(heap_alloc(yard.heap, sizes[(size_t)i % ROWS(sizes)], &out),
			 want);
		CHECK_HR(heap_realloc(yard.heap, blocks[0], LIMIT / 2, 0, &out), want);
		CHECK_HR(vm_alloc(&yard.host, NULL, LIMIT, MEM_COMMIT, PAGE_READWRITE,
				  &out),
			 want);
		resume();
	}
	CHECK_SIZE(host_usage(&yard.host).cbHeapPages, before.cbHeapPages);
}

static void what_does_not_fit_is_refused_while_threads_are_held(void)
{
	if (!start_full())
		return;
	ask_for_too_much(E_OUTOFMEMORY);
	end();
}

/* It waits for memory, and not for the thread. */
static void who_may_wait_for_memory_is_told_that_time_is_up(void)
{
	if (!start_full())
		return;
	set_wait(1);
	ask_for_too_much(HOST_E_TIMEOUT);
	set_wait(0);
	end();
}

static void a_block_that_is_at_hand_serves_while_threads_are_held(void)
{
	void *out;

	if (!start_full())
		return;
	for (int i = 0; i < ROUNDS && !tap_failed(); i++) {
		size_t number = (size_t)i * 7 % count;

		tap_row("round %d", i);
		suspend();
		CHECK_HR(heap_free(yard.heap, blocks[number]), S_OK);
		CHECK_HR(heap_alloc(yard.heap, SIZE, &out), S_OK);
		resume();
		heap_fill(out, SIZE, number);
		blocks[number] = out;
	}
	end();
}

/* ---- What was freed for threads that do not come by ---- */

enum { LEFT = 4000, TAKEN = 40 };

static struct {
	pthread_t thread;
	pthread_barrier_t barrier;
	void *blocks[LEFT];
} owner;

/* Its blocks are freed by the collector, while it rests. */
static void *own(void *argument)
{
	(void)argument;
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < LEFT; i++)
			owner.blocks[i] = heap_take(yard.heap, 100);
		(void)pthread_barrier_wait(&owner.barrier);
		(void)pthread_barrier_wait(&owner.barrier);
	}
	return NULL;
}

static void free_the_owners(void)
{
	for (size_t i = 0; i < LEFT; i++)
		CHECK_HR(heap_free(yard.heap, owner.blocks[i]), S_OK);
}

static void take_pages(void)
{
	void *taken[TAKEN];

	for (size_t i = 0; i < TAKEN; i++)
		taken[i] = heap_take(yard.heap, 4096);
	for (size_t i = 0; i < TAKEN; i++)
		CHECK_HR(heap_free(yard.heap, taken[i]), S_OK);
}

/* Others' free blocks are not looked for then, and memory is not short either. */
static void pages_are_granted_while_threads_are_held(void)
{
	if (!start(SIZE_MAX))
		return;
	CHECK_INT(pthread_barrier_init(&owner.barrier, NULL, 2), 0);
	if (pthread_create(&owner.thread, NULL, own, NULL) != 0)
		abort();
	for (int round = 0; round < ROUNDS; round++) {
		tap_row("round %d", round);
		(void)pthread_barrier_wait(&owner.barrier);
		(void)heap_trim(yard.heap);
		free_the_owners();
		suspend();
		take_pages();
		resume();
		(void)pthread_barrier_wait(&owner.barrier);
	}
	(void)pthread_join(owner.thread, NULL);
	(void)pthread_barrier_destroy(&owner.barrier);
	end();
}

/* More than a thread keeps for later; what is too much goes when threads run again. */
static void a_sweep_frees_blocks_while_threads_are_held(void)
{
	static void *swept[LEFT];

	if (!start(SIZE_MAX))
		return;
	for (int round = 0; round < ROUNDS / 2; round++) {
		tap_row("round %d", round);
		for (size_t i = 0; i < LEFT; i++)
			swept[i] = heap_take(yard.heap, SIZE);
		suspend();
		for (size_t i = 0; i < LEFT; i++)
			CHECK_HR(heap_free(yard.heap, swept[i]), S_OK);
		resume();
	}
	end();
}

/* Only what no thread has at hand can go then; the rest does when threads run again. */
static void a_trim_takes_from_nobody_who_is_held(void)
{
	SIZE_T freed;

	if (!start(SIZE_MAX))
		return;
	for (int round = 0; round < ROUNDS; round++) {
		void *large = heap_take(yard.heap, 20000);

		tap_row("round %d", round);
		take_pages();
		CHECK_HR(heap_free(yard.heap, large), S_OK);
		suspend();
		CHECK_HR(IHostMalloc2_Trim(yard.heap, &freed), S_OK);
		CHECK_SIZE(freed, 5 * PAGE);
		CHECK_HR(IHostMalloc2_Trim(mutator.heap, &freed), S_OK);
		CHECK_SIZE(freed, 0);
		resume();
		CHECK(heap_trim(yard.heap) != 0);
	}
	end();
}

int main(void)
{
	(void)alarm(HANG);
	TAP_RUN(what_does_not_fit_is_refused_while_threads_are_held);
	TAP_RUN(who_may_wait_for_memory_is_told_that_time_is_up);
	TAP_RUN(a_block_that_is_at_hand_serves_while_threads_are_held);
	TAP_RUN(pages_are_granted_while_threads_are_held);
	TAP_RUN(a_sweep_frees_blocks_while_threads_are_held);
	TAP_RUN(a_trim_takes_from_nobody_who_is_held);
	return tap_done();
}
