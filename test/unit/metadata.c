/*
 * The library's own memory.
 */
#include "hostmem/metadata.h"
#include "fake.h"

#include <pthread.h>

enum { BLOCKS = 3000 };

static void blocks_are_zeroed_and_lie_apart(void)
{
	static const size_t sizes[] = { 1, 63, 64, 65, 100, 128, 4096, 4097, 100000 };
	size_t before = hm_metadata_in_use();
	char *blocks[ROWS(sizes)][2];

	for (size_t i = 0; i < ROWS(sizes); i++) {
		for (size_t j = 0; j < 2; j++) {
			size_t sum = 0;
			char *block = hm_metadata_alloc(sizes[i]);

			tap_row("%zu bytes", sizes[i]);
			if (!CHECK(block != NULL))
				return;
			CHECK_SIZE((uintptr_t)block % 64, 0);
			for (size_t k = 0; k < sizes[i]; k++)
				sum += (unsigned char)block[k];
			CHECK_SIZE(sum, 0);
			memset(block, (int)(1 + 2 * i + j), sizes[i]);
			blocks[i][j] = block;
		}
	}
	for (size_t i = 0; i < ROWS(sizes); i++) {
		for (size_t j = 0; j < 2; j++) {
			tap_row("%zu bytes", sizes[i]);
			CHECK_INT(blocks[i][j][0], 1 + 2 * (int)i + (int)j);
			CHECK_INT(blocks[i][j][sizes[i] - 1], 1 + 2 * (int)i + (int)j);
			hm_metadata_free(blocks[i][j], sizes[i]);
		}
	}
	CHECK_SIZE(hm_metadata_in_use(), before);
}

static void a_block_that_was_used_is_zeroed_again(void)
{
	unsigned char *block = hm_metadata_alloc(256);
	unsigned char *again;

	if (!CHECK(block != NULL))
		return;
	memset(block, 0xA5, 256);
	hm_metadata_free(block, 256);
	again = hm_metadata_alloc(256);
	CHECK_POINTER(again, block);
	for (size_t i = 0; i < 256; i++)
		CHECK_INT(again[i], 0);
	hm_metadata_free(again, 256);
}

static void freeing_nothing_is_allowed(void)
{
	size_t before = hm_metadata_in_use();

	hm_metadata_free(NULL, 0);
	hm_metadata_free(NULL, 64);
	CHECK_SIZE(hm_metadata_in_use(), before);
}

static void any_size_may_be_asked_for(void)
{
	static const size_t sizes[] = { (size_t)1 << 20, ((size_t)1 << 20) + 1,
					(size_t)5 << 20, (size_t)64 << 20 };

	for (size_t i = 0; i < ROWS(sizes); i++) {
		char *block = hm_metadata_alloc(sizes[i]);

		tap_row("%zu bytes", sizes[i]);
		if (!CHECK(block != NULL))
			continue;
		block[0] = block[sizes[i] - 1] = 1;
		CHECK(hm_metadata_overlaps((uintptr_t)block + sizes[i] - 1, 1));
		hm_metadata_free(block, sizes[i]);
	}
	tap_row("more than there are addresses");
	CHECK_POINTER(hm_metadata_alloc(SIZE_MAX / 2), NULL);
	CHECK_POINTER(hm_metadata_alloc(SIZE_MAX), NULL);
}

static void what_is_in_use_is_counted(void)
{
	size_t before = hm_metadata_in_use();
	void *states = hm_metadata_take(HM_METADATA_STATES, HM_NEED_NORMAL);
	void *region = hm_metadata_take(HM_METADATA_REGION, HM_NEED_NORMAL);
	void *block = hm_metadata_alloc(1000);

	CHECK(states != NULL && region != NULL && block != NULL);
	CHECK_SIZE(hm_metadata_in_use(), before + 128 + 64 + 1024);
	hm_metadata_give(HM_METADATA_STATES, states);
	hm_metadata_give(HM_METADATA_REGION, region);
	CHECK_SIZE(hm_metadata_in_use(), before + 1024);
	hm_metadata_bury(block, 1000);
	CHECK_SIZE(hm_metadata_in_use(), before);
}

static void a_buried_block_is_never_seen_again(void)
{
	char *dead = hm_metadata_alloc(200);
	struct hoard hoard;
	bool seen = false;

	if (!CHECK(dead != NULL))
		return;
	memset(dead, 0x5A, 200);
	hm_metadata_bury(dead, 200);
	hoard_size(&hoard, 200);
	for (void **block = hoard.first; block != NULL; block = *block)
		seen |= (char *)block == dead;
	hoard_end_size(&hoard, 200);
	CHECK(!seen);
	CHECK_INT(dead[0], 0x5A);
	CHECK_INT(dead[199], 0x5A);
}

/* All blocks of one kind and one size that can be had without the system's help. */
static size_t chain_length(const struct hoard *hoard, uintptr_t low, size_t size)
{
	size_t inside = 0;

	for (void **block = hoard->first; block != NULL; block = *block)
		inside += (uintptr_t)block - low < size;
	return inside;
}

/* Gives many blocks of one kind back, then takes all there are of the others. */
static void kinds_never_mix(void)
{
	static void *mine[BLOCKS];
	struct hoard hoard;
	size_t strangers = 0;

	for (size_t i = 0; i < BLOCKS; i++) {
		mine[i] = hm_metadata_take(HM_METADATA_REGION, HM_NEED_NORMAL);
		if (!CHECK(mine[i] != NULL))
			return;
	}
	for (size_t i = 0; i < BLOCKS; i++)
		hm_metadata_give(HM_METADATA_REGION, mine[i]);
	hoard_kind(&hoard, HM_METADATA_STATES, HM_NEED_NORMAL);
	for (size_t i = 0; i < BLOCKS; i += 100)
		strangers += chain_length(&hoard, (uintptr_t)mine[i], 64);
	hoard_end(&hoard, HM_METADATA_STATES);
	hoard_size(&hoard, 64);
	for (size_t i = 0; i < BLOCKS; i += 100)
		strangers += chain_length(&hoard, (uintptr_t)mine[i], 64);
	hoard_end_size(&hoard, 64);
	CHECK_SIZE(strangers, 0);
	CHECK(BLOCKS > 64);
}

static void no_memory_is_null_and_changes_nothing(void)
{
	struct hoard regions, general;
	size_t before = hm_metadata_in_use(), without;

	hoard_kind(&regions, HM_METADATA_REGION, HM_NEED_NORMAL);
	without = hm_metadata_in_use();
	errno = 4711;
	CHECK_POINTER(hm_metadata_take(HM_METADATA_REGION, HM_NEED_NORMAL), NULL);
	CHECK_INT(errno, 4711);
	CHECK_POINTER(hm_metadata_map_forever(64), NULL);
	CHECK_SIZE(hm_metadata_in_use(), without);
	hoard_end(&regions, HM_METADATA_REGION);
	hoard_size(&general, 4096);
	without = hm_metadata_in_use();
	CHECK_POINTER(hm_metadata_alloc(4096), NULL);
	CHECK_SIZE(hm_metadata_in_use(), without);
	hoard_end_size(&general, 4096);
	CHECK_SIZE(hm_metadata_in_use(), before);
}

static void what_is_set_aside_is_for_calls_that_free(void)
{
	static const struct {
		const char *name;
		enum hm_metadata_kind kind;
	} rows[] = {
		{ "states", HM_METADATA_STATES },
		{ "region", HM_METADATA_REGION },
	};

	CHECK(hm_metadata_prepare());
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hoard normal;
		void *blocks[100];
		size_t got = 0;

		tap_row("%s", rows[i].name);
		hoard_kind(&normal, rows[i].kind, HM_NEED_NORMAL);
		while (got < ROWS(blocks) &&
		       (blocks[got] = hm_metadata_take(rows[i].kind, HM_NEED_TO_FREE)) !=
			       NULL)
			got++;
		CHECK_SIZE(got, 64);
		/* What comes back fills up what is set aside, before others get any. */
		while (got > 0)
			hm_metadata_give(rows[i].kind, blocks[--got]);
		CHECK_POINTER(hm_metadata_take(rows[i].kind, HM_NEED_NORMAL), NULL);
		hoard_end(&normal, rows[i].kind);
	}
}

static void preparing_again_sets_nothing_more_aside(void)
{
	size_t before = hm_metadata_in_use();
	struct hoard hoard;

	CHECK(hm_metadata_prepare());
	hoard_kind(&hoard, HM_METADATA_STATES, HM_NEED_NORMAL);
	/* They are there already, so it needs no memory. */
	CHECK(hm_metadata_prepare());
	hoard_end(&hoard, HM_METADATA_STATES);
	CHECK_SIZE(hm_metadata_in_use(), before);
}

static void preparing_without_memory_fails(void)
{
	size_t before = hm_metadata_in_use();
	struct hoard hoard;

	hoard_kind(&hoard, HM_METADATA_STATES, HM_NEED_TO_FREE);
	CHECK(!hm_metadata_prepare());
	hoard_give(&hoard, HM_METADATA_STATES, 63);
	CHECK(!hm_metadata_prepare());
	hoard_give(&hoard, HM_METADATA_STATES, 1);
	CHECK(hm_metadata_prepare());
	hoard_end(&hoard, HM_METADATA_STATES);
	CHECK_SIZE(hm_metadata_in_use(), before);
}

static void our_records_are_told_from_everything_else(void)
{
	static char other[1];
	char *block = hm_metadata_alloc(64);
	size_t in_use = hm_metadata_in_use();
	size_t size = (5 << 20) - 64; /* more than any span has: one of its own */
	char *table = hm_metadata_map_forever(size);
	uintptr_t start = (uintptr_t)table;

	if (!CHECK(block != NULL && table != NULL))
		return;
	CHECK_SIZE(start % PAGE, 0);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
	CHECK(hm_metadata_overlaps((uintptr_t)block, 1));
	CHECK(hm_metadata_overlaps(start, 1));
	CHECK(hm_metadata_overlaps(start - PAGE, PAGE + 1));
	CHECK(hm_metadata_overlaps(start + size, 64));
	CHECK(hm_metadata_overlaps(start - PAGE, 8 * PAGE));
	CHECK(!hm_metadata_overlaps((uintptr_t)other, 1));
	CHECK(!hm_metadata_overlaps(FAKE_BASE, UNIT));
	hm_metadata_free(block, 64);
}

static unsigned maps;
static size_t map_limit; /* more than this is refused */

static void *counting_map(void *address, size_t size, int protection, int flags, int file,
			  long offset)
{
	maps++;
	if (size > map_limit)
		return fake_refuse_map(address, size, protection, flags, file, offset);
	return fake_real_map(address, size, protection, flags, file, offset);
}

static void count_maps(size_t limit)
{
	fake_real_map = hm_system.map;
	hm_system.map = counting_map;
	maps = 0;
	map_limit = limit;
}

static void tables_are_zeroed_and_lie_apart(void)
{
	static const size_t sizes[] = { 1, 64, 65, PAGE, 3 * PAGE + 1, 100000 };
	unsigned char *tables[100 * ROWS(sizes)];
	size_t sum = 0;

	for (size_t i = 0; i < ROWS(tables); i++) {
		size_t size = sizes[i % ROWS(sizes)];

		/* What is handed out between them, and comes back, is not zero. */
		void *block = hm_metadata_alloc(1000);

		tables[i] = hm_metadata_map_forever(size);
		if (!CHECK(block != NULL && tables[i] != NULL))
			return;
		memset(block, 0x5A, 1000);
		hm_metadata_free(block, 1000);
		CHECK_SIZE((uintptr_t)tables[i] % (size < PAGE ? 64 : PAGE), 0);
		CHECK(hm_metadata_overlaps((uintptr_t)tables[i] + size - 1, 1));
		for (size_t k = 0; k < size; k++)
			sum += tables[i][k];
		memset(tables[i], (int)i, size);
	}
	CHECK_SIZE(sum, 0);
	for (size_t i = 0; i < ROWS(tables); i++) {
		tap_row("table %zu", i);
		CHECK_INT(tables[i][0], (unsigned char)i);
		CHECK_INT(tables[i][sizes[i % ROWS(sizes)] - 1], (unsigned char)i);
	}
}

/* As for the records of a million regions. */
static void many_tables_take_few_spans(void)
{
	count_maps(SIZE_MAX);
	for (size_t i = 0; i < ((size_t)64 << 20) / PAGE; i++)
		CHECK(hm_metadata_map_forever(PAGE) != NULL);
	memory_allow();
	CHECK(maps != 0 && maps <= 32);
}

/* Takes pages until a new span is begun, of the largest size by now. */
static void begin_span(void)
{
	count_maps(SIZE_MAX);
	while (maps == 0 && CHECK(hm_metadata_map_forever(PAGE) != NULL))
		;
	memory_allow();
}

static void a_large_table_leaves_the_rest_of_a_span_to_others(void)
{
	begin_span();
	count_maps(SIZE_MAX);
	CHECK(hm_metadata_map_forever((size_t)64 << 20) != NULL);
	CHECK_INT(maps, 1);
	for (size_t i = 0; i < 512; i++)
		CHECK(hm_metadata_map_forever(PAGE) != NULL);
	CHECK_INT(maps, 1);
	memory_allow();
}

static void what_a_span_has_left_is_not_lost(void)
{
	size_t half = (size_t)512 << 10;
	void *block;

	/* Of 4 MiB each: not quite a quarter is left of the first. */
	begin_span();
	for (size_t i = 0; i < 25; i++)
		CHECK(hm_metadata_map_forever((size_t)128 << 10) != NULL);
	count_maps(SIZE_MAX);
	while (maps == 0 && CHECK(hm_metadata_alloc((size_t)2 << 20) != NULL))
		;
	memory_allow();
	memory_refuse();
	while (hm_metadata_map_forever(PAGE) != NULL)
		;
	block = hm_metadata_alloc(half);
	memory_allow();
	CHECK(block != NULL);
	hm_metadata_free(block, half);
}

static unsigned unmaps;
static int (*real_unmap)(void *, size_t);

static int counting_unmap(void *address, size_t size)
{
	unmaps++;
	return real_unmap(address, size);
}

/* Somebody else, who needs a page too, is faster. */
static void *overtaken_map(void *address, size_t size, int protection, int flags,
			   int file, long offset)
{
	hm_system.map = counting_map;
	CHECK(hm_metadata_map_forever(PAGE) != NULL);
	return counting_map(address, size, protection, flags, file, offset);
}

static void of_two_spans_mapped_at_once_one_goes_back(void)
{
	memory_refuse();
	while (hm_metadata_map_forever(64) != NULL)
		;
	memory_allow();
	count_maps(SIZE_MAX);
	hm_system.map = overtaken_map;
	real_unmap = hm_system.unmap;
	hm_system.unmap = counting_unmap;
	CHECK(hm_metadata_map_forever(PAGE) != NULL);
	CHECK_INT(maps, 2);
	CHECK_INT(unmaps, 1);
	hm_system.unmap = real_unmap;
	memory_allow();
}

static void where_little_is_left_a_small_span_will_do(void)
{
	struct hoard hoard;

	hoard_size(&hoard, 64);
	memory_allow();
	count_maps((size_t)16 << 10);
	CHECK(hm_metadata_map_forever(PAGE) != NULL);
	CHECK_INT(maps, 2);
	CHECK_POINTER(hm_metadata_map_forever(8 * PAGE), NULL);
	hm_system.map = fake_refuse_map;
	CHECK(hm_metadata_map_forever(PAGE) != NULL);
	memory_allow();
	hoard_end_size(&hoard, 64);
}

enum { THREADS = 4, ROUNDS = 5000 };

static void *take_and_give(void *seed)
{
	uint64_t state = *(uint64_t *)seed;
	uint64_t *held[16] = { NULL };

	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t slot = random_below(&state, 16);

		if (held[slot] != NULL) {
			CHECK_SIZE(held[slot][1], *(uint64_t *)seed);
			hm_metadata_give(HM_METADATA_STATES, held[slot]);
		}
		held[slot] = hm_metadata_take(HM_METADATA_STATES, HM_NEED_NORMAL);
		if (!CHECK(held[slot] != NULL))
			return NULL;
		held[slot][1] = *(uint64_t *)seed;
	}
	for (size_t i = 0; i < 16; i++) {
		if (held[i] != NULL)
			hm_metadata_give(HM_METADATA_STATES, held[i]);
	}
	return NULL;
}

static void no_two_threads_have_one_block(void)
{
	uint64_t seeds[THREADS] = { 11, 22, 33, 44 };
	size_t before = hm_metadata_in_use();
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, take_and_give, &seeds[i]), 0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_SIZE(hm_metadata_in_use(), before);
}

int main(void)
{
	TAP_RUN(blocks_are_zeroed_and_lie_apart);
	TAP_RUN(a_block_that_was_used_is_zeroed_again);
	TAP_RUN(freeing_nothing_is_allowed);
	TAP_RUN(any_size_may_be_asked_for);
	TAP_RUN(what_is_in_use_is_counted);
	TAP_RUN(a_buried_block_is_never_seen_again);
	TAP_RUN(kinds_never_mix);
	TAP_RUN(no_memory_is_null_and_changes_nothing);
	TAP_RUN(preparing_without_memory_fails);
	TAP_RUN(what_is_set_aside_is_for_calls_that_free);
	TAP_RUN(preparing_again_sets_nothing_more_aside);
	TAP_RUN(our_records_are_told_from_everything_else);
	TAP_RUN(tables_are_zeroed_and_lie_apart);
	TAP_RUN(many_tables_take_few_spans);
	TAP_RUN(a_large_table_leaves_the_rest_of_a_span_to_others);
	TAP_RUN(what_a_span_has_left_is_not_lost);
	TAP_RUN(of_two_spans_mapped_at_once_one_goes_back);
	TAP_RUN(where_little_is_left_a_small_span_will_do);
	TAP_RUN(no_two_threads_have_one_block);
	return tap_done();
}
