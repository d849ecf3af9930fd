/*
 * Spans beside a plain array: one owner, random operations; and one owner with other
 * threads that free what it takes, some of it twice.
 */
#include "hostmem/spans.h"
#include "spans.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { STEPS = 4000, RETURNERS = 3, ROUNDS = 30000, WATCHDOG = 300 };

enum state { NO_PAGES, FREE, LIVE, RETURNED };

static enum state model[HM_SPAN_SIZE / 16];

static void check_all(struct hm_span *span)
{
	size_t live = 0;

	for (uint64_t i = 0; i < span->capacity; i++) {
		CHECK(hm_span_is_live(span, i) == (model[i] == LIVE));
		CHECK(is_free(span, i) == (model[i] == FREE));
		live += model[i] == LIVE;
	}
	CHECK(hm_span_looks_empty(span) == (live == 0));
	CHECK_STR(hm_span_check(span), NULL);
}

static void grow(struct hm_span *span, size_t pages)
{
	size_t count = hm_min(span->capacity, pages * PAGE / hm_span_block_size(span));

	hm_span_grow(span, (uint32_t)(pages * PAGE));
	for (size_t i = 0; i < count; i++)
		model[i] = model[i] == NO_PAGES ? FREE : model[i];
}

static void collect(struct hm_span *span)
{
	struct hm_collected collected = hm_span_collect(span);
	unsigned returned = 0;

	for (size_t i = 0; i < span->capacity; i++) {
		returned += model[i] == RETURNED;
		model[i] = model[i] == RETURNED ? FREE : model[i];
	}
	CHECK_U32(collected.blocks, returned);
	CHECK_U32(collected.twice, 0);
}

static void take(struct hm_span *span)
{
	uint64_t index = take_first(span);

	if (index != UINT64_MAX) {
		CHECK_INT(model[index], FREE);
		model[index] = LIVE;
		return;
	}
	for (size_t i = 0; i < span->capacity; i++)
		CHECK(model[i] != FREE);
}

static void step(struct hm_span *span, uint64_t *random)
{
	uint64_t index = random_below(random, span->capacity);
	size_t what = random_below(random, 64);

	if (what == 0 && span->committed < HM_SPAN_SIZE)
		grow(span, span->committed / PAGE + 1);
	else if (what < 4)
		collect(span);
	else if (what < 34)
		take(span);
	else {
		CHECK(hm_span_return(span, index) == (model[index] == LIVE));
		model[index] = model[index] == LIVE ? RETURNED : model[index];
	}
}

static void a_span_does_what_an_array_does(void)
{
	spans_begin();
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
		uint64_t random = class + UINT64_C(0x5EED);
		struct hm_span *span = span_of(class, 0);

		tap_row("class %u", class);
		memset(model, 0, sizeof(model));
		grow(span, hm_block_size(class) / PAGE + 1);
		for (unsigned i = 0; i < STEPS; i++) {
			step(span, &random);
			if (i % 64 == 0)
				check_all(span);
		}
		check_all(span);
		hm_span_delete(span);
	}
	spans_end();
}

/* ---- Others ---- */

static struct hm_span *shared;
static _Atomic uint64_t latest; /* a block that may be live, for whoever wants it */
static _Atomic bool over;
static _Atomic size_t accepted;

static void *return_what_there_is(void *unused)
{
	while (!atomic_load(&over)) {
		if (hm_span_return(shared, atomic_load(&latest)))
			atomic_fetch_add(&accepted, 1);
	}
	return unused;
}

/* Takes blocks and says which; *twice: too many that were freed. */
static void take_for_others(size_t *twice)
{
	for (size_t taken = 0, offered = 0; taken < ROUNDS;) {
		uint64_t index = take_first(shared);

		if (index == UINT64_MAX) {
			*twice += hm_span_collect(shared).twice;
			atomic_store(&latest, offered++ % shared->count);
			(void)sched_yield();
			continue;
		}
		taken++;
		atomic_store(&latest, index);
		for (unsigned i = 0; i < taken % 32; i++)
			*twice += hm_span_collect(shared).twice;
	}
}

/* Whoever frees what has just been freed by another one is refused, or the owner is told. */
static void what_is_freed_twice_at_once_is_freed_once(void)
{
	pthread_t threads[RETURNERS];
	size_t twice = 0, live = 0;

	spans_begin();
	shared = span_of(12, (uint32_t)PAGE); /* 12 blocks of 320 bytes */
	for (size_t i = 0; i < RETURNERS; i++) {
		if (pthread_create(&threads[i], NULL, return_what_there_is, NULL) != 0)
			abort();
	}
	take_for_others(&twice);
	atomic_store(&over, true);
	for (size_t i = 0; i < RETURNERS; i++)
		(void)pthread_join(threads[i], NULL);
	twice += hm_span_collect(shared).twice;
	for (uint64_t i = 0; i < shared->count; i++)
		live += hm_span_is_live(shared, i);
	CHECK_SIZE(atomic_load(&accepted) - twice, ROUNDS - live);
	CHECK_STR(hm_span_check(shared), NULL);
	hm_span_delete(shared);
	spans_end();
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(a_span_does_what_an_array_does);
	TAP_RUN(what_is_freed_twice_at_once_is_freed_once);
	return tap_done();
}
