/*
 * For the tests of JSRT-like functions with several threads: threads that allocate, and a
 * plain counter for all of them.
 */
#ifndef HOSTMEM_CONFORMANCE_JSRT_WORKERS_H
#define HOSTMEM_CONFORMANCE_JSRT_WORKERS_H

#include "jsrt.h"

#include <pthread.h>

enum { ROUNDS = 2000, WORKERS = 3 };

/* ---- A plain counter ---- */

struct counter {
	_Atomic int64_t sum;
	atomic_uint calls;
	unsigned refuse_every; /* 0: never */
};

static inline bool HOSTMEM_CALL count_event(void *state, JsMemoryEventType event,
					    size_t size)
{
	struct counter *counter = (struct counter *)state;
	unsigned call = atomic_fetch_add(&counter->calls, 1);

	if (event != JsMemoryAllocate) {
		atomic_fetch_sub(&counter->sum, (int64_t)size);
		return true;
	}
	atomic_fetch_add(&counter->sum, (int64_t)size);
	return counter->refuse_every == 0 || call % counter->refuse_every != 0;
}

/* ---- Threads that allocate and free ---- */

struct worker {
	const struct engine *engine;
	unsigned rounds;
	atomic_int *stop; /* or NULL: as many rounds as there are */
	pthread_t thread;
};

static inline void *work(void *state)
{
	const struct worker *worker = (const struct worker *)state;

	for (unsigned i = 0;
	     worker->stop != NULL ? atomic_load(worker->stop) == 0 : i < worker->rounds;
	     i++) {
		void *base = engine_try(worker->engine, 1 + i % 5);

		if (base != NULL)
			engine_free(worker->engine, base);
	}
	return NULL;
}

static inline void workers_start(struct worker *workers, size_t count,
				 const struct engine *self, atomic_int *stop)
{
	for (size_t i = 0; i < count; i++) {
		workers[i] =
			(struct worker){ .engine = self, .rounds = ROUNDS, .stop = stop };
		CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
}

static inline void workers_end(struct worker *workers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		CHECK(pthread_join(workers[i].thread, NULL) == 0);
}

#endif
