/*
 * Fork of a process in which threads with blocks have ended, and others rest.
 *
 * What the ended ones left belongs to the heap by then, and what the resting ones have comes to
 * it in the child, where they are not.  There the account is exact, what is idle goes back with
 * Trim, whoever had it, and new threads work; the same once more in the child's own child.
 */
#include "test/heap.h"
#include "test/stress/crowd.h"
#include "test/stress/forked.h"

#include <stdatomic.h>

enum {
	THREADS = 4,
	GENERATIONS = 3, /* that have ended */
	PLACES = 300,
	SPANS = 8, /* that each resting thread has idle */
	CHILD_SECONDS = FACES_ROUNDS(10, 60),
};

static struct {
	struct faces faces;
	IHostMalloc2 *heap;
	_Atomic(void *) places[PLACES];
} stage;

static size_t size_of(size_t place)
{
	return (size_t)9 << place % 11;
}

/* ---- Threads ---- */

/* A block is freed by whoever replaces it, with another one or with none: so what a thread has
 * taken less what it has freed is any number. */
static void *replace(void *argument)
{
	struct crowd_member *self = argument;

	for (int i = 0; i < 1000; i++) {
		size_t place = (size_t)crowd_draw(self, PLACES);
		void *block = NULL;

		if (crowd_draw(self, 3) != 0) {
			block = heap_take(stage.heap, size_of(place));
			heap_fill(block, size_of(place), place);
		}
		block = atomic_exchange(&stage.places[place], block);
		if (block != NULL)
			CHECK(heap_holds(block, size_of(place), place));
		CHECK_HR(heap_free(stage.heap, block), S_OK);
	}
	return NULL;
}

/* Spans of blocks, so many to each, in which nothing is live. */
static void make_idle(void)
{
	static _Thread_local void *blocks[SPANS * (UNIT / PAGE)];
	size_t count = sizeof(blocks) / sizeof(blocks[0]);

	for (size_t i = 0; i < count; i++)
		blocks[i] = heap_take(stage.heap, PAGE);
	for (size_t i = 0; i < count; i++)
		CHECK_HR(heap_free(stage.heap, blocks[i]), S_OK);
}

static void *replace_and_rest(void *argument)
{
	struct crowd_member *self = argument;

	(void)replace(self);
	make_idle();
	crowd_meet(self); /* there is a fork between these two */
	crowd_meet(self);
	return NULL;
}

/* Returns when all rest; the caller is one of those who meet. */
static void start_resting(struct crowd *crowd)
{
	CHECK_INT(pthread_barrier_init(&crowd->barrier, NULL, THREADS + 1), 0);
	crowd->count = THREADS;
	for (unsigned i = 0; i < THREADS; i++) {
		struct crowd_member *member = &crowd->members[i];

		*member =
			(struct crowd_member){ .crowd = crowd, .number = i, .random = i };
		if (pthread_create(&member->thread, NULL, replace_and_rest, member) != 0)
			abort();
	}
	(void)pthread_barrier_wait(&crowd->barrier);
}

static void let_rest_end(struct crowd *crowd)
{
	(void)pthread_barrier_wait(&crowd->barrier);
	crowd_join(crowd);
}

/* ---- What is left of them ---- */

static void check_books(void)
{
	HostMemUsage usage = faces_usage(&stage.faces);
	size_t bytes = 0, count = 0;

	for (size_t i = 0; i < PLACES; i++) {
		void *block = atomic_load(&stage.places[i]);

		if (block == NULL)
			continue;
		CHECK(heap_holds(block, size_of(i), i));
		bytes += heap_size(stage.heap, block);
		count++;
	}
	CHECK_SIZE(usage.cBlocks, count);
	CHECK_SIZE(usage.cbHeap, bytes);
	CHECK(usage.cbHeapPages >= usage.cbHeap);
	faces_check_account(&stage.faces);
}

/* At least what one thread had idle: while they came to rest one may have used what another
 * had left. */
static void check_trim(void)
{
	size_t before = faces_usage(&stage.faces).cbHeapPages;
	size_t freed = heap_trim(stage.heap);

	CHECK(freed >= SPANS * UNIT / 2);
	CHECK_SIZE(faces_usage(&stage.faces).cbHeapPages, before - freed);
	CHECK_SIZE(heap_trim(stage.heap), 0);
	check_books();
}

static void clear_stage(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		void *block = atomic_exchange(&stage.places[i], NULL);

		CHECK_HR(heap_free(stage.heap, block), S_OK);
		if (block != NULL)
			CHECK_HR(heap_free(stage.heap, block), HOST_E_INVALIDOPERATION);
	}
	check_books();
	(void)heap_trim(stage.heap);
	CHECK_SIZE(faces_usage(&stage.faces).cbHeapPages, 0);
	CHECK_SIZE(IHostMalloc2_Release(stage.heap), 0);
	CHECK_SIZE(faces_usage(&stage.faces).cLeakedBlocks, 0);
	faces_check_empty(&stage.faces);
	CHECK_SIZE(faces_release(&stage.faces), 0);
}

/* ---- Forks ---- */

static void fork_with_threads(unsigned depth);

static _Noreturn void be_the_child(unsigned depth)
{
	check_books();
	check_trim();
	make_idle();
	/* The thread sanitizer allows no threads there. */
	if (!FACES_THREAD_SANITIZER) {
		crowd_run(THREADS, replace, NULL);
		check_books();
		if (depth > 1)
			fork_with_threads(depth - 1);
	}
	clear_stage();
	_exit(tap_failed());
}

static void fork_with_threads(unsigned depth)
{
	struct crowd crowd;
	pid_t child;

	for (int i = 0; i < GENERATIONS; i++)
		crowd_run(THREADS, replace, NULL);
	(void)replace(&(struct crowd_member){ .random = 7 });
	start_resting(&crowd);
	child = fork_checked(CHILD_SECONDS);
	if (child == 0)
		be_the_child(depth);
	check_child(child);
	let_rest_end(&crowd);
	check_books();
}

static void what_ended_and_resting_threads_had_is_the_childs(void)
{
	for (int i = 0; i < FACES_ROUNDS(20, 4) && !tap_failed(); i++) {
		tap_row("round %d", i);
		memset(&stage, 0, sizeof(stage));
		if (!CHECK_HR(faces_create(&stage.faces), S_OK))
			return;
		stage.heap = heap_new(stage.faces.manager, MALLOC_THREADSAFE);
		if (stage.heap == NULL)
			return;
		fork_with_threads(2);
		clear_stage();
	}
}

int main(void)
{
	TAP_RUN(what_ended_and_resting_threads_had_is_the_childs);
	return tap_done();
}
