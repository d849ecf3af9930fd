/*
 * Tidying while other threads commit and decommit in the same arena.
 */
#include "hostmem/tidy.h"
#include "arena.h"
#include "hostmem/arenapages.h"
#include "hostmem/commit.h"
#include "hostmem/release.h"

#include <pthread.h>

#define GRANULES 256U /* of each worker */

static const struct hm_page_source *pages;
static struct hm_host host;

static void destroy(struct hm_host *ended)
{
	(void)ended;
}

static HRESULT allocate(uintptr_t address, size_t size, DWORD type, void **out)
{
	struct hm_allocation want = { address,        size,          UNIT, type,
				      PAGE_READWRITE, eTaskCritical, false };

	return type == MEM_COMMIT ? hm_commit(&host, &want, out)
				  : hm_reserve(&host, &want, out);
}

#define ROUNDS 600U

struct worker {
	pthread_t thread;
	uintptr_t base;
	unsigned wrong;
	uint64_t random;
};

static _Atomic bool over;

/* Commits, writes, decommits; what is committed keeps what was written. */
static void *work(void *state)
{
	struct worker *worker = state;
	uint8_t values[GRANULES / 4] = {
		0
	}; /* of every fourth granule; 0: not committed */

	for (unsigned i = 0; i < ROUNDS; i++) {
		void *out;
		size_t which = random_below(&worker->random, ROWS(values));
		uintptr_t at = worker->base + which * 4 * UNIT;

		if (values[which] == 0) {
			worker->wrong += FAILED(allocate(at, 3 * PAGE, MEM_COMMIT, &out));
			values[which] = (uint8_t)(i % 255 + 1);
			worker->wrong += *bytes_at(at + PAGE) != 0;
			*bytes_at(at + PAGE) = values[which];
			continue;
		}
		worker->wrong += *bytes_at(at + PAGE) != values[which];
		worker->wrong += FAILED(hm_decommit(&host, at, 3 * PAGE));
		values[which] = 0;
	}
	return NULL;
}

static void *keep_tidy(void *state)
{
	(void)state;
	while (!over) {
		hm_calls_enter();
		(void)hm_tidy(pages);
		hm_calls_leave();
	}
	return NULL;
}

static void run(void)
{
	struct worker workers[2] = { { .random = 1 }, { .random = 2 } };
	pthread_t tidier;

	for (size_t i = 0; i < ROWS(workers); i++) {
		void *out = NULL;

		CHECK_HR(allocate(0, GRANULES * UNIT, MEM_RESERVE, &out), S_OK);
		workers[i].base = (uintptr_t)out;
	}
	over = false;
	CHECK_INT(pthread_create(&tidier, NULL, keep_tidy, NULL), 0);
	for (size_t i = 0; i < ROWS(workers); i++)
		CHECK_INT(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	for (size_t i = 0; i < ROWS(workers); i++) {
		CHECK_INT(pthread_join(workers[i].thread, NULL), 0);
		CHECK_U32(workers[i].wrong, 0);
	}
	over = true;
	CHECK_INT(pthread_join(tidier, NULL), 0);
	for (size_t i = 0; i < ROWS(workers); i++)
		CHECK_HR(hm_release(&host, workers[i].base), S_OK);
}

/* The seam is for one thread only, so it is not there. */
static void threads_commit_in_the_arena_that_is_tidied(void)
{
	for (size_t i = hm_memory_has_guards() ? 0 : 1; i < ROWS(both_sets); i++) {
		tap_row("source %zu", i);
		arenas_begin();
		hm_calls_leave();
		seam_remove();
		pages = i == 0 ? hm_pages_with_guards : hm_pages_without_guards;
		memset(&host, 0, sizeof(host));
		hm_host_init(&host, pages, destroy);
		run();
		CHECK_U32(hm_host_release(&host), 0);
		hm_calls_enter();
		arenas_end();
	}
}

int main(void)
{
	TAP_RUN(threads_commit_in_the_arena_that_is_tidied);
	return tap_done();
}
