/*
 * Retained memory at random, beside a model, and shared by threads.
 */
#include "hostmem/retained.h"
#include "stubborn.h"

#include <pthread.h>

#define KEPT (16 * UNIT) /* the limit */

static struct fake_pages pages;
static struct hm_retained *retained;

/* What went back to the page source in one step, in that order. */
static struct {
	uintptr_t base;
	size_t size;
} given[KEPT / UNIT + 1];
static size_t given_count;

static void note_given(void *state)
{
	(void)state;
	if (CHECK(given_count < ROWS(given))) {
		given[given_count].base = pages.address;
		given[given_count++].size = pages.size;
	}
}

static void begin(void)
{
	CHECK_HR(hm_calls_prepare(), S_OK);
	hm_calls_enter();
	fake_pages_init(&pages);
	pages.hook = note_given;
	given_count = 0;
	retained = hm_metadata_alloc(sizeof(*retained));
	CHECK(retained != NULL && hm_retained_init(retained, KEPT));
}

static void finish(void)
{
	given_count = 0;
	hm_retained_trim(retained, &pages.source);
	CHECK_SIZE(retained->bytes, 0);
	hm_retained_destroy(retained);
	hm_metadata_free(retained, sizeof(*retained));
	hm_calls_leave();
}

/* Written memory at a multiple of 64 KiB. */
static void *real(size_t size)
{
	unsigned char *memory = pages_of_ours(size + UNIT, PROT_READ | PROT_WRITE);
	uintptr_t start = ((uintptr_t)memory + UNIT - 1) & ~(uintptr_t)(UNIT - 1);

	memset((void *)start, 0x5A, size);
	return (void *)start;
}

/* ---- Beside a model ---- */

#define MODEL 64U

static struct {
	uintptr_t base;
	size_t size;
} model[MODEL]; /* by age, oldest first */
static size_t model_count, model_bytes;

static void model_remove(size_t i)
{
	model_bytes -= model[i].size;
	memmove(&model[i], &model[i + 1], (--model_count - i) * sizeof(model[0]));
}

static void model_put(uintptr_t base, size_t size)
{
	size_t gone = given_count;

	hm_retained_put(retained, &pages.source, base, size);
	for (; gone < given_count && CHECK(model_count != 0); gone++) {
		CHECK_SIZE(given[gone].base, model[0].base);
		CHECK_SIZE(given[gone].size, model[0].size);
		/* Nothing goes without need. */
		CHECK(model_bytes + size > KEPT || model_count >= KEPT / UNIT);
		model_remove(0);
	}
	model[model_count].base = base;
	model[model_count++].size = size;
	model_bytes += size;
}

static void model_take(size_t size)
{
	uintptr_t base;

	if (!hm_retained_take(retained, &pages.source, size, UNIT, &base))
		return;
	CHECK(is_zero((unsigned char *)base, size));
	memset((void *)base, 0x5A, size);
	for (size_t i = model_count; i-- > 0;) {
		if (model[i].size != size)
			continue;
		/* The newest of that size. */
		CHECK_SIZE(base, model[i].base);
		model_remove(i);
		return;
	}
	CHECK(base == 0 && "it was never put");
}

static bool in_model(uintptr_t base)
{
	for (size_t i = 0; i < model_count; i++) {
		if (model[i].base == base)
			return true;
	}
	return false;
}

static void step_at_random(uint64_t *random, unsigned char *memory)
{
	size_t size = (1 + random_below(random, 3)) *
		      (random_below(random, 2) ? UNIT : PAGE);
	uintptr_t base = (uintptr_t)memory + random_below(random, MODEL) * 4 * UNIT;

	given_count = 0;
	switch (random_below(random, 8)) {
	case 0:
		if (hm_retained_pop(retained, &base, &size)) {
			CHECK_SIZE(base, model[0].base);
			CHECK_SIZE(size, model[0].size);
			model_remove(0);
		} else {
			CHECK_SIZE(model_count, 0);
		}
		break;
	case 1:
	case 2:
	case 3:
		model_take(size);
		break;
	default:
		if (!in_model(base))
			model_put(base, size);
	}
	CHECK_SIZE(retained->bytes, model_bytes);
	CHECK(model_bytes <= KEPT);
}

static void random_use_agrees_with_a_model(void)
{
	unsigned char *memory = real(MODEL * 4 * UNIT);
	uint64_t random = 4711;

	begin();
	model_count = model_bytes = 0;
	for (unsigned step = 0; step < 20000 && !tap_failed(); step++) {
		tap_row("step %u", step);
		step_at_random(&random, memory);
	}
	finish();
	CHECK_SIZE(given_count, model_count);
}

/* ---- Threads ---- */

static _Atomic uint32_t owners[KEPT / UNIT];
static unsigned char *shared;

static void *take_and_put(void *state)
{
	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		uintptr_t base;

		hm_calls_enter();
		if (hm_retained_take(retained, &pages.source, UNIT, UNIT, &base)) {
			size_t number = (base - (uintptr_t)shared) / UNIT;

			CHECK_U32(atomic_fetch_add(&owners[number], 1), 0);
			CHECK_INT(*(unsigned char *)base, 0);
			*(unsigned char *)base = 1;
			CHECK_U32(atomic_fetch_sub(&owners[number], 1), 1);
			hm_retained_put(retained, &pages.source, base, UNIT);
		}
		hm_calls_leave();
	}
	return NULL;
}

static void no_two_threads_are_given_the_same(void)
{
	pthread_t threads[4];

	shared = real(KEPT);
	begin();
	for (size_t i = 0; i < KEPT / UNIT; i++)
		hm_retained_put(retained, &pages.source, (uintptr_t)shared + i * UNIT,
				UNIT);
	for (size_t i = 0; i < ROWS(threads); i++)
		CHECK(pthread_create(&threads[i], NULL, take_and_put, NULL) == 0);
	for (size_t i = 0; i < ROWS(threads); i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK_SIZE(retained->bytes, KEPT);
	CHECK_SIZE(given_count, 0);
	finish();
	CHECK_SIZE(given_count, KEPT / UNIT);
}

int main(void)
{
	TAP_RUN(random_use_agrees_with_a_model);
	TAP_RUN(no_two_threads_are_given_the_same);
	return tap_done();
}
