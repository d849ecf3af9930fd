/*
 * Fork while other threads are in the middle of a heap: the child has one thread, the blocks
 * of all the others, and books that are true.
 *
 * Each thread has at most one block that no table knows: one that it has just been given, or
 * is about to free.  What the tables know is exact where all threads rest.  A child that
 * waits for a thread which was left behind is ended by its alarm, and that is a failure.
 */
#include "test/heap.h"
#include "test/stress/crowd.h"
#include "test/stress/forked.h"

#include <stdatomic.h>

enum { THREADS = 4, PLACES = 200, CHILD_SECONDS = FACES_ROUNDS(5, 60) };

struct stage {
	struct faces faces;
	IHostMalloc2 *heap;
	_Atomic(void *) places[PLACES];
	_Atomic bool over;
};

static bool set_stage(struct stage *stage)
{
	memset(stage, 0, sizeof(*stage));
	if (!CHECK_HR(faces_create(&stage->faces), S_OK))
		return false;
	stage->heap = heap_new(stage->faces.manager, MALLOC_THREADSAFE);
	return stage->heap != NULL;
}

static size_t size_of(size_t place)
{
	return (size_t)7 << place % 15;
}

/* Replaces a block, which another thread may have put there. */
static void replace(struct crowd_member *self, struct stage *stage)
{
	size_t place = crowd_draw(self, PLACES);
	void *block = heap_take(stage->heap, size_of(place));

	heap_fill(block, size_of(place), place);
	block = atomic_exchange(&stage->places[place], block);
	CHECK_HR(heap_free(stage->heap, block), S_OK);
}

static void *replace_until_over(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;

	while (!atomic_load(&stage->over)) {
		replace(self, stage);
		if (crowd_draw(self, 500) == 0)
			(void)heap_trim(stage->heap);
	}
	return NULL;
}

/* The account is that of the table, but for so many blocks that it does not know. */
static void check_books(struct stage *stage, size_t unknown)
{
	HostMemUsage usage = faces_usage(&stage->faces);
	size_t bytes = 0, count = 0;

	for (size_t i = 0; i < PLACES; i++) {
		void *block = atomic_load(&stage->places[i]);

		if (block == NULL)
			continue;
		CHECK(heap_holds(block, size_of(i), i));
		bytes += heap_size(stage->heap, block);
		count++;
	}
	CHECK(usage.cBlocks >= count && usage.cBlocks <= count + unknown);
	CHECK(usage.cbHeap >= bytes && usage.cbHeap <= bytes + unknown * 2 * UNIT * 4);
	if (unknown == 0)
		CHECK_SIZE(usage.cbHeap, bytes);
	CHECK(usage.cbHeapPages >= usage.cbHeap);
	faces_check_account(&stage->faces);
}

/* Blocks of all sizes, of this heap and of a new one. */
static void check_works(struct stage *stage)
{
	IHostMalloc2 *fresh = heap_new(stage->faces.manager, MALLOC_THREADSAFE);
	void *blocks[2][PLACES];

	for (size_t i = 0; i < PLACES; i++) {
		blocks[0][i] = heap_take(stage->heap, size_of(i));
		blocks[1][i] = heap_take(fresh, size_of(i));
		heap_fill(blocks[0][i], size_of(i), i);
		heap_fill(blocks[1][i], size_of(i), i + PLACES);
	}
	for (size_t i = 0; i < PLACES; i++) {
		CHECK(heap_holds(blocks[0][i], size_of(i), i));
		CHECK(heap_holds(blocks[1][i], size_of(i), i + PLACES));
		CHECK_HR(heap_free(stage->heap, blocks[0][i]), S_OK);
		CHECK_HR(heap_free(fresh, blocks[1][i]), S_OK);
	}
	CHECK_SIZE(IHostMalloc2_Release(fresh), 0);
}

/* Frees what the threads of the parent have taken. */
static void free_all(struct stage *stage, size_t unknown)
{
	HostMemUsage usage;

	for (size_t i = 0; i < PLACES; i++) {
		void *block = atomic_exchange(&stage->places[i], NULL);

		CHECK(block == NULL || heap_holds(block, size_of(i), i));
		CHECK_HR(heap_free(stage->heap, block), S_OK);
		if (block != NULL)
			CHECK_HR(heap_free(stage->heap, block), HOST_E_INVALIDOPERATION);
	}
	(void)heap_trim(stage->heap);
	usage = faces_usage(&stage->faces);
	CHECK(usage.cBlocks <= unknown);
	if (usage.cBlocks == 0) {
		CHECK_SIZE(usage.cbHeap, 0);
		CHECK_SIZE(usage.cbHeapPages, 0);
	}
}

static void clear_stage(struct stage *stage, size_t unknown)
{
	check_books(stage, unknown);
	free_all(stage, unknown);
	CHECK_SIZE(IHostMalloc2_Release(stage->heap), 0);
	CHECK(faces_usage(&stage->faces).cLeakedBlocks <= unknown);
	faces_check_empty(&stage->faces);
	CHECK_SIZE(faces_release(&stage->faces), 0);
}

static _Noreturn void be_the_child(struct stage *stage, size_t unknown)
{
	check_books(stage, unknown);
	check_works(stage);
	check_books(stage, unknown);
	clear_stage(stage, unknown);
	_exit(tap_failed());
}

static void a_child_of_a_busy_process_has_a_heap_that_works(void)
{
	static struct stage stage;
	struct crowd crowd;

	if (!set_stage(&stage) ||
	    !crowd_start(&crowd, THREADS, replace_until_over, &stage))
		return;
	for (int i = 0; i < FACES_ROUNDS(200, 40) && !tap_failed(); i++) {
		pid_t child = fork_checked(CHILD_SECONDS);

		if (child == 0)
			be_the_child(&stage, THREADS);
		tap_row("fork %d", i);
		check_child(child);
	}
	atomic_store(&stage.over, true);
	crowd_join(&crowd);
	clear_stage(&stage, 0);
}

/* Each has replaced blocks, so that something is kept for it, and then rests. */
static void *replace_and_rest(void *argument)
{
	struct crowd_member *self = argument;

	for (int i = 0; i < 1000; i++)
		replace(self, self->state);
	crowd_meet(self); /* there is a fork between these two */
	crowd_meet(self);
	return NULL;
}

/* Returns when all rest; the caller is one of those who meet. */
static void start_resting(struct crowd *crowd, struct stage *stage)
{
	CHECK_INT(pthread_barrier_init(&crowd->barrier, NULL, THREADS + 1), 0);
	crowd->count = THREADS;
	for (unsigned i = 0; i < THREADS; i++) {
		struct crowd_member *member = &crowd->members[i];

		*member = (struct crowd_member){
			.crowd = crowd, .state = stage, .number = i, .random = i
		};
		if (pthread_create(&member->thread, NULL, replace_and_rest, member) != 0)
			abort();
	}
	(void)pthread_barrier_wait(&crowd->barrier);
}

static void what_resting_threads_had_is_exactly_what_the_child_has(void)
{
	static struct stage stage;
	struct crowd crowd;

	for (int i = 0; i < FACES_ROUNDS(30, 8) && !tap_failed(); i++) {
		pid_t child;

		tap_row("round %d", i);
		if (!set_stage(&stage))
			return;
		start_resting(&crowd, &stage);
		check_books(&stage, 0);
		child = fork_checked(CHILD_SECONDS);
		if (child == 0)
			be_the_child(&stage, 0);
		check_child(child);
		(void)pthread_barrier_wait(&crowd.barrier);
		crowd_join(&crowd);
		clear_stage(&stage, 0);
	}
}

/* ---- In a callback ---- */

static struct {
	bool armed;
	HostMemEventType type;
	pid_t child;
} forking;
static _Thread_local bool forks; /* the thread that does */

static BOOL HOSTMEM_CALL fork_here(void *state, const HostMemEvent *event)
{
	struct stage *stage = state;

	if (!forks || !forking.armed || event->type != forking.type ||
	    event->operation != HostMemHeap)
		return TRUE;
	forking.armed = false;
	forking.child = fork_checked(CHILD_SECONDS);
	/* On both sides the heap that asks may be used. */
	CHECK_HR(heap_free(stage->heap, heap_take(stage->heap, 300)), S_OK);
	return TRUE;
}

/* Both sides go on with the call, which needs pages or gives them back. */
static void fork_at(struct stage *stage, HostMemEventType type, size_t unknown)
{
	void *block;

	forking.type = type;
	forking.armed = true;
	forking.child = -1;
	block = heap_take(stage->heap, (size_t)3 << 20);
	CHECK_HR(heap_free(stage->heap, block), S_OK);
	(void)heap_trim(stage->heap);
	CHECK(!forking.armed);
	if (forking.child == 0)
		be_the_child(stage, unknown);
	check_child(forking.child);
}

static void fork_at_both(struct stage *stage, size_t unknown)
{
	uint64_t cookie;

	forks = true;
	CHECK_HR(IHostMemoryControl_Subscribe(stage->faces.control, 7, fork_here, stage,
					      &cookie),
		 S_OK);
	for (int i = 0; i < FACES_ROUNDS(20, 6) && !tap_failed(); i++) {
		tap_row("round %d", i);
		fork_at(stage, HostMemEventAllocate, unknown);
		fork_at(stage, HostMemEventFree, unknown);
	}
	CHECK_HR(IHostMemoryControl_Unsubscribe(stage->faces.control, cookie), S_OK);
	forks = false;
}

static void fork_in_a_callback_of_a_heap_leaves_two_that_work(void)
{
	static struct stage stage;

	if (!set_stage(&stage))
		return;
	fork_at_both(&stage, 0);
	clear_stage(&stage, 0);
}

static void fork_in_a_callback_of_a_busy_heap_works_too(void)
{
	static struct stage stage;
	struct crowd crowd;

	if (!set_stage(&stage) ||
	    !crowd_start(&crowd, THREADS, replace_until_over, &stage))
		return;
	fork_at_both(&stage, THREADS);
	atomic_store(&stage.over, true);
	crowd_join(&crowd);
	clear_stage(&stage, 0);
}

int main(void)
{
	TAP_RUN(a_child_of_a_busy_process_has_a_heap_that_works);
	TAP_RUN(what_resting_threads_had_is_exactly_what_the_child_has);
	TAP_RUN(fork_in_a_callback_of_a_heap_leaves_two_that_work);
	TAP_RUN(fork_in_a_callback_of_a_busy_heap_works_too);
	return tap_done();
}
