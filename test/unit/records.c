/*
 * Records of blocks, beside a flat array that is told the same.
 */
#include "hostmem/records.h"
#include "hostmem/calls.h"
#include "hostmem/metadata.h"
#include "test/heap.h"

enum { BLOCKS = 500, STEPS = 20000, FRONT = 16 };

static struct hm_records records;
static const struct hm_record *last_dead;

static void *address_of(size_t number)
{
	return (void *)(0x7f0000000000 + number * 0x130 + FRONT);
}

static void note(void *state, const struct hm_record *record)
{
	CHECK_POINTER(state, &records);
	last_dead = record;
}

static struct hm_record *add(size_t number, size_t size, const char *file)
{
	struct hm_record_wish wish = { .block = address_of(number),
				       .base = (uintptr_t)address_of(number) - FRONT,
				       .length = size + FRONT + 16,
				       .size = size,
				       .named = file != NULL,
				       .file = file,
				       .line = (int32_t)number };
	struct hm_record *record = hm_records_new(&records);

	if (CHECK(record != NULL))
		hm_records_add(&records, record, &wish);
	return record;
}

static enum hm_claim claim(size_t number, struct hm_record **record)
{
	*record = NULL;
	last_dead = NULL;
	return hm_records_claim(&records, address_of(number), record, note, &records);
}

static void check(void)
{
	const char *broken = hm_records_check(&records);

	CHECK_STR(broken != NULL ? broken : "", "");
}

static void the_life_of_a_record(void)
{
	struct hm_record *record, *added = add(3, 100, "a.c");
	size_t size = 1;

	CHECK_POINTER((void *)hm_record_block(added), address_of(3));
	CHECK(hm_records_size(&records, address_of(3), &size));
	CHECK_SIZE(size, 100);
	CHECK(!hm_records_size(&records, address_of(4), &size));
	CHECK_INT(claim(4, &record), HM_CLAIM_UNKNOWN);
	CHECK_INT(claim(3, &record), HM_CLAIM_MADE);
	CHECK_POINTER(record, added);
	CHECK_INT(claim(3, &record), HM_CLAIM_DEAD);
	CHECK_POINTER(last_dead, added);
	hm_records_unclaim(&records, added);
	CHECK_INT(claim(3, &record), HM_CLAIM_MADE);
	hm_records_resize(&records, record, 90, 122);
	CHECK_SIZE(atomic_load(&records.live_bytes), 90);
	check();
	hm_records_retire(&records, record, false);
	CHECK_SIZE(atomic_load(&records.live_bytes), 0);
	CHECK(!hm_records_size(&records, address_of(3), &size));
	CHECK_INT(claim(3, &record), HM_CLAIM_DEAD);
	CHECK_POINTER(hm_records_pop(&records, 122, 1), NULL);
	CHECK_POINTER(hm_records_pop(&records, 121, 1), added);
	CHECK_INT(claim(3, &record), HM_CLAIM_UNKNOWN);
	hm_records_delete(&records, added);
	check();
}

static void what_was_retired_goes_in_order(void)
{
	struct hm_record *record;

	for (size_t i = 0; i < 5; i++)
		(void)add(i, 10, NULL);
	for (size_t i = 0; i < 5; i++) {
		CHECK_INT(claim(4 - i, &record), HM_CLAIM_MADE);
		hm_records_retire(&records, record, i == 4);
	}
	check();
	for (size_t i = 0; i < 5; i++) {
		record = hm_records_pop(&records, SIZE_MAX, 4 - i);
		CHECK_POINTER((void *)hm_record_block(record),
			      address_of(i == 0 ? 0 : 5 - i));
		hm_records_delete(&records, record);
	}
	check();
}

static void a_tool_does_not_find_the_block_in_a_record(void)
{
	struct hm_record *record = add(1, 10, NULL);
	const uintptr_t *words = (const uintptr_t *)record;

	for (size_t i = 0; i < sizeof(*record) / sizeof(*words); i++)
		CHECK(words[i] < (uintptr_t)address_of(1) ||
		      words[i] >= (uintptr_t)address_of(1) + 10);
	(void)hm_records_pop_live(&records);
	hm_records_delete(&records, record);
	atomic_store(&records.live_count, 0);
	atomic_store(&records.live_bytes, 0);
}

enum state { NONE, LIVE, RETIRED };

/* One step with one block; how many are retired. */
static size_t step(enum state *states, size_t number, size_t retired)
{
	struct hm_record *record;

	switch (states[number]) {
	case NONE:
		CHECK(add(number, number, number % 3 ? "b.c" : NULL) != NULL);
		states[number] = LIVE;
		return retired;
	case LIVE:
		CHECK_INT(claim(number, &record), HM_CLAIM_MADE);
		hm_records_retire(&records, record, false);
		states[number] = RETIRED;
		return retired + 1;
	default:
		CHECK_INT(claim(number, &record), HM_CLAIM_DEAD);
		record = hm_records_pop(&records, 0, 0);
		number = (hm_record_block(record) - (uintptr_t)address_of(0)) / 0x130;
		CHECK_INT((int)states[number], (int)RETIRED);
		states[number] = NONE;
		hm_records_delete(&records, record);
		return retired - 1;
	}
}

static void many_blocks_beside_an_array(void)
{
	static enum state states[BLOCKS];
	size_t retired = 0, before = hm_metadata_in_use();
	uint64_t seed = 1;
	struct hm_record *record;

	for (size_t i = 0; i < STEPS; i++) {
		retired = step(states, heap_draw(&seed, BLOCKS), retired);
		CHECK_SIZE(records.retired.count, retired);
		if (i % 1000 == 0)
			check();
	}
	for (size_t i = 0; i < BLOCKS; i++) {
		size_t size;

		CHECK_INT(hm_records_size(&records, address_of(i), &size),
			  states[i] == LIVE);
	}
	while ((record = hm_records_pop(&records, 0, 0)) != NULL)
		hm_records_delete(&records, record);
	while ((record = hm_records_pop_live(&records)) != NULL)
		hm_records_delete(&records, record);
	hm_records_destroy(&records);
	CHECK(hm_metadata_in_use() <= before);
}

int main(void)
{
	hm_calls_enter();
	TAP_RUN(the_life_of_a_record);
	TAP_RUN(what_was_retired_goes_in_order);
	TAP_RUN(a_tool_does_not_find_the_block_in_a_record);
	TAP_RUN(many_blocks_beside_an_array);
	hm_calls_leave();
	return tap_done();
}
