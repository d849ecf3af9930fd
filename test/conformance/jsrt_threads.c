/*
 * Runtimes and threads: two that know nothing of each other, one that several allocate
 * from, many that come and go.
 */
#include "jsrt_workers.h"

/* Vetoes and the limit included. */
static void a_plain_counter_is_right_when_threads_meet(void)
{
	struct counter counter = { .refuse_every = 7 };
	struct worker workers[WORKERS];

	engine_change_flags(&engine, HOSTMEM_ANNOUNCE_ALWAYS);
	engine_set_limit(&engine, 9 * PAGE);
	engine_set_callback(&engine, &counter, count_event);
	workers_start(workers, WORKERS, &engine, NULL);
	workers_end(workers, WORKERS);
	CHECK(atomic_load(&counter.sum) == 0);
}

/* Each has its own callback, its own limit, and hears of itself only. */
static void two_runtimes_run_in_parallel(void)
{
	static const size_t limits[] = { 4 * PAGE, SIZE_MAX };
	struct counter counters[2] = { { .refuse_every = 0 }, { .refuse_every = 0 } };
	struct engine engines[2];
	struct worker workers[2];

	for (size_t i = 0; i < 2; i++) {
		if (!engine_start(&engines[i], JsRuntimeAttributeNone))
			return;
		engine_change_flags(&engines[i], HOSTMEM_ANNOUNCE_ALWAYS);
		engine_set_limit(&engines[i], limits[i]);
		engine_set_callback(&engines[i], &counters[i], count_event);
		workers_start(&workers[i], 1, &engines[i], NULL);
	}
	workers_end(workers, 2);
	for (size_t i = 0; i < 2; i++) {
		tap_row("runtime %zu", i);
		CHECK_U32(atomic_load(&counters[i].calls), 2 * ROUNDS);
		CHECK(atomic_load(&counters[i].sum) == 0);
		engine_end(&engines[i]);
	}
}

static void *live(void *state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		struct counter counter = { .refuse_every = 0 };
		struct engine self;

		if (!engine_start(&self, JsRuntimeAttributeNone))
			return NULL;
		engine_set_callback(&self, &counter, count_event);
		CHECK(engine_commit(&self, 2) != NULL);
		engine_end(&self);
		CHECK(atomic_load(&counter.sum) == 0);
	}
	return NULL;
}

static void runtimes_come_and_go_in_parallel(void)
{
	pthread_t threads[WORKERS];

	for (size_t i = 0; i < WORKERS; i++)
		CHECK(pthread_create(&threads[i], NULL, live, NULL) == 0);
	for (size_t i = 0; i < WORKERS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
}

struct witness {
	pthread_t thread;
	atomic_uint elsewhere; /* calls on another thread than this */
};

static bool HOSTMEM_CALL look_where(void *state, JsMemoryEventType event, size_t size)
{
	struct witness *witness = (struct witness *)state;

	(void)event;
	(void)size;
	if (!pthread_equal(pthread_self(), witness->thread))
		atomic_fetch_add(&witness->elsewhere, 1);
	return true;
}

static void *allocate_alone(void *state)
{
	struct witness witness = { .thread = pthread_self() };

	(void)state;
	engine_set_callback(&engine, &witness, look_where);
	engine_free(&engine, engine_commit(&engine, 1));
	engine_set_callback(&engine, NULL, NULL);
	CHECK_JS(JsCollectGarbage(engine.runtime), JsNoError);
	CHECK_U32(atomic_load(&witness.elsewhere), 0);
	return NULL;
}

/* Made on one thread, a runtime is used on another, and disposed of on the first. */
static void a_callback_runs_on_the_thread_that_allocates(void)
{
	pthread_t thread;

	allocate_alone(NULL);
	CHECK(pthread_create(&thread, NULL, allocate_alone, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

int main(void)
{
	ENGINE_RUN(a_plain_counter_is_right_when_threads_meet);
	TAP_RUN(two_runtimes_run_in_parallel);
	TAP_RUN(runtimes_come_and_go_in_parallel);
	ENGINE_RUN(a_callback_runs_on_the_thread_that_allocates);
	return tap_done();
}
