/*
 * Heaps in a storm of threads: they come, use heaps, hand blocks on and go, also from within
 * their own end; heaps and hosts go while others are at work.
 *
 * Bounded by numbers of rounds, not by time.  The thread sanitizer runs this, too.
 */
#include "test/stress/traffic.h"

#include <sched.h>

/* ---- Threads that come and go ---- */

/* Used in destructors of thread-specific data, before and after the library's own. */
struct last_words {
	struct crowd_member *self;
	unsigned times;
};

static pthread_key_t last_words;

static void say_last_words(void *state)
{
	struct last_words *words = state;

	for (unsigned i = 0; i < 20; i++)
		hand_on(words->self, words->self->state);
	if (++words->times < 3)
		(void)pthread_setspecific(last_words, words);
	else
		free(words);
}

static void *come_and_go(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;
	struct last_words *words = calloc(1, sizeof(*words));

	if (words == NULL)
		abort();
	words->self = self;
	(void)pthread_setspecific(last_words, words);
	for (unsigned i = 0; i < stage->rounds; i++)
		hand_on(self, stage);
	if (self->number % 2 != 0)
		pthread_exit(NULL);
	return NULL;
}

static void threads_that_come_and_go_leave_a_true_account(void)
{
	static struct stage stage;

	CHECK_INT(pthread_key_create(&last_words, say_last_words), 0);
	if (!set_stage(&stage, 60))
		return;
	for (int i = 0; i < FACES_ROUNDS(600, 60); i++) {
		tap_row("generation %d", i);
		crowd_run(8, come_and_go, &stage);
		if (i % 10 == 0)
			check_account(&stage);
		if (i % 50 == 0)
			empty_places(&stage);
	}
	tap_row("at the end");
	clear_stage(&stage);
	CHECK_INT(pthread_key_delete(last_words), 0);
}

/* ---- Many heaps ---- */

enum { HEAPS = 150, OWN_HEAPS = 45 };

static void use(struct crowd_member *self, IHostMalloc2 *heap)
{
	size_t size = any_size(self);
	void *block = heap_take(heap, size);

	if (block == NULL)
		return;
	memset(block, 0x11, size);
	/* One in eight goes with its heap. */
	if (crowd_draw(self, 8) != 0)
		CHECK_HR(heap_free(heap, block), S_OK);
}

static void *make_use_and_release(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;
	IHostMalloc2 *heaps[OWN_HEAPS] = { NULL };

	crowd_meet(self);
	for (unsigned i = 0; i < stage->rounds; i++) {
		IHostMalloc2 **heap = &heaps[crowd_draw(self, OWN_HEAPS)];

		if (*heap == NULL) {
			*heap = heap_new(stage->faces.manager,
					 (DWORD)crowd_draw(self, 4));
		} else if (crowd_draw(self, 40) == 0) {
			CHECK_SIZE(IHostMalloc2_Release(*heap), 0);
			*heap = NULL;
		} else {
			use(self, *heap);
		}
	}
	for (size_t i = 0; i < OWN_HEAPS; i++) {
		if (heaps[i] != NULL)
			CHECK_SIZE(IHostMalloc2_Release(heaps[i]), 0);
	}
	return NULL;
}

static void heaps_are_made_and_released_while_others_are_used(void)
{
	static struct stage stage;

	if (!set_stage(&stage, FACES_ROUNDS(60000, 5000)))
		return;
	crowd_run(THREADS, make_use_and_release, &stage);
	CHECK_SIZE(faces_usage(&stage.faces).cBlocks, 0);
	CHECK(faces_usage(&stage.faces).cLeakedBlocks != 0);
	clear_stage(&stage);
}

/* Turn by turn, so that none is the one that was used last. */
static void one_thread_uses_many_heaps(void)
{
	static IHostMalloc2 *heaps[HEAPS];
	static void *blocks[HEAPS];
	static struct stage stage;

	if (!set_stage(&stage, 0))
		return;
	for (size_t i = 0; i < HEAPS; i++)
		heaps[i] = heap_new(stage.faces.manager,
				    i % 2 != 0 ? MALLOC_THREADSAFE : 0);
	for (size_t round = 0; round < 200; round++) {
		for (size_t i = 0; i < HEAPS; i++) {
			if (round != 0) {
				CHECK(heap_holds(blocks[i], 100, i));
				CHECK_HR(heap_free(heaps[i], blocks[i]), S_OK);
			}
			blocks[i] = heap_take(heaps[i], 100);
			heap_fill(blocks[i], 100, i);
		}
	}
	for (size_t i = 0; i < HEAPS; i++) {
		CHECK_HR(heap_free(heaps[(i + 1) % HEAPS], blocks[i]),
			 HOST_E_INVALIDOPERATION);
		CHECK_HR(heap_free(heaps[i], blocks[i]), S_OK);
	}
	for (size_t i = 0; i < HEAPS; i++)
		CHECK_SIZE(IHostMalloc2_Release(heaps[i]), 0);
	clear_stage(&stage);
}

/* ---- Ends ---- */

static atomic_uint ends;

/* With a reference of its own; afterwards the thread ends, and has used a heap that is gone
 * by then. */
static void *use_and_let_go(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;

	crowd_meet(self);
	for (unsigned i = 0; i < 50; i++)
		hand_on(self, stage);
	if (IHostMalloc2_Release(stage->heap) == 0)
		atomic_fetch_add(&ends, 1);
	return NULL;
}

static void the_last_of_many_threads_releases_the_heap_and_the_host(void)
{
	static struct stage stage;

	for (int i = 0; i < FACES_ROUNDS(300, 40); i++) {
		tap_row("round %d", i);
		if (!set_stage(&stage, 0))
			return;
		atomic_store(&ends, 0);
		for (int n = 1; n < 8; n++)
			(void)IHostMalloc2_AddRef(stage.heap);
		/* The heaps hold the host. */
		CHECK(faces_release(&stage.faces) != 0);
		crowd_run(8, use_and_let_go, &stage);
		CHECK_U32(atomic_load(&ends), 1);
	}
}

static void *use_until_shutdown(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;
	HRESULT hr = S_OK;
	void *block;

	while (hr == S_OK) {
		hr = heap_alloc(stage->heap, any_size(self), &block);
		if (hr != S_OK)
			break;
		hr = heap_free(stage->heap, block);
	}
	if (hr != HOST_E_ABANDONED)
		CHECK_HR(hr, HOST_E_CLRNOTAVAILABLE);
	while (!atomic_load(&stage->over))
		(void)sched_yield();
	CHECK_HR(heap_alloc(stage->heap, 1, &block), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(heap_free(stage->heap, NULL), HOST_E_CLRNOTAVAILABLE);
	return NULL;
}

static void shutdown_stops_all_threads_in_the_middle(void)
{
	static struct stage stage;
	struct crowd crowd;

	for (int i = 0; i < FACES_ROUNDS(200, 30); i++) {
		HostMemUsage usage;

		tap_row("round %d", i);
		if (!set_stage(&stage, 0) ||
		    !crowd_start(&crowd, THREADS, use_until_shutdown, &stage))
			return;
		while (i % 2 != 0 && faces_usage(&stage.faces).cbHeapPages == 0)
			(void)sched_yield();
		CHECK_HR(IHostMemoryControl_Shutdown(stage.faces.control), S_OK);
		atomic_store(&stage.over, true);
		crowd_join(&crowd);
		usage = faces_usage(&stage.faces);
		CHECK(usage.cBlocks <= THREADS);
		CHECK_SIZE(IHostMalloc2_Release(stage.heap), 0);
		CHECK_SIZE(faces_usage(&stage.faces).cLeakedBlocks, usage.cBlocks);
		faces_check_empty(&stage.faces);
		CHECK_SIZE(faces_release(&stage.faces), 0);
	}
}

int main(void)
{
	TAP_RUN(threads_that_come_and_go_leave_a_true_account);
	TAP_RUN(heaps_are_made_and_released_while_others_are_used);
	TAP_RUN(one_thread_uses_many_heaps);
	TAP_RUN(the_last_of_many_threads_releases_the_heap_and_the_host);
	TAP_RUN(shutdown_stops_all_threads_in_the_middle);
	return tap_done();
}
