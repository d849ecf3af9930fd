/*
 * Spans: which block an address is, which blocks are free, and where spans are found.
 */
#include "hostmem/spans.h"
#include "spans.h"

#define WHOLE ((uint32_t)HM_SPAN_SIZE)

static struct hm_heap *some_heap(void)
{
	static char heap;

	return (struct hm_heap *)(void *)&heap;
}

/* ---- Which block an address is ---- */

static void every_address_of_a_granule_is_a_block_or_is_none(void)
{
	spans_begin();
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
		struct hm_span *span = span_of(class, WHOLE);
		size_t size = hm_block_size(class);
		uint64_t index = 0;

		CHECK_SIZE(hm_span_block_size(span), size);
		CHECK_SIZE(span->capacity, HM_SPAN_SIZE / size);
		CHECK_SIZE(span->count, span->capacity);
		for (size_t offset = 0; offset < HM_SPAN_SIZE; offset++) {
			uintptr_t address = hm_span_base(span) + offset;
			bool begins = hm_span_index(span, address, &index);

			tap_row("class %u, byte %zu", class, offset);
			CHECK(begins == (offset % size == 0));
			if (!begins)
				continue;
			CHECK_SIZE(index, offset / size);
			CHECK_SIZE((uintptr_t)hm_span_block(span, index), address);
			/* Behind the last one there may be room for a part of one. */
			CHECK(is_free(span, index) == (index < span->capacity));
			CHECK(!hm_span_is_live(span, index));
		}
		hm_span_delete(span);
	}
	spans_end();
}

/* ---- Where spans are found ---- */

static void a_span_is_found_from_its_granule_and_from_nowhere_else(void)
{
	struct hm_span *span;
	uintptr_t base;

	spans_begin();
	span = hm_span_new(some_heap(), HM_SPAN_MIDDLE);
	base = fresh_granule();
	CHECK(hm_span_find(base) == NULL);
	hm_span_place_at(span, base);
	CHECK_POINTER(hm_span_find(base), span);
	CHECK_POINTER(hm_span_find(base + 1), span);
	CHECK_POINTER(hm_span_find(base + HM_SPAN_SIZE - 1), span);
	CHECK(hm_span_find(base - 1) == NULL);
	CHECK(hm_span_find(base + HM_SPAN_SIZE) == NULL);
	CHECK(hm_span_find(base + ((uintptr_t)1 << HM_SPAN_LEAF_SHIFT)) == NULL);
	span->committed = WHOLE;
	hm_span_format(span, 3);
	for (unsigned i = 0; i < 100; i++)
		CHECK_SIZE(take_first(span), i);
	hm_span_delete(span);
	CHECK(hm_span_find(base) == NULL);
	/* What still has a pointer to it finds nothing there. */
	CHECK(span->heap == NULL);
	CHECK(span->owner == NULL);
	for (uint64_t i = 0; i < HM_SPAN_MIDDLE_MARKS; i++)
		CHECK(!hm_span_is_live(span, i));
	spans_end();
}

static void no_address_is_too_strange_to_be_looked_for(void)
{
	static const uintptr_t strange[] = {
		0,
		1,
		UINTPTR_MAX,
		(uintptr_t)1 << 47,
		((uintptr_t)1 << 47) - 1,
		(uintptr_t)1 << 63,
		(uintptr_t)&strange,
	};

	for (size_t i = 0; i < ROWS(strange); i++) {
		tap_row("row %zu", i);
		CHECK(hm_span_find(strange[i]) == NULL);
	}
}

static void neighbours_on_both_sides_of_4_gib_have_leaves_of_their_own(void)
{
	const uintptr_t border = FAKE_BASE + ((uintptr_t)1 << HM_SPAN_LEAF_SHIFT);
	struct hm_span *low, *high;

	spans_begin();
	low = hm_span_new(NULL, HM_SPAN_WHOLE);
	high = hm_span_new(NULL, HM_SPAN_WHOLE);
	CHECK(hm_span_make_room(border - HM_SPAN_SIZE));
	CHECK(hm_span_make_room(border));
	hm_span_place_at(low, border - HM_SPAN_SIZE);
	hm_span_place_at(high, border);
	CHECK_POINTER(hm_span_find(border - 1), low);
	CHECK_POINTER(hm_span_find(border), high);
	hm_span_delete(low);
	CHECK(hm_span_find(border - 1) == NULL);
	CHECK_POINTER(hm_span_find(border), high);
	hm_span_delete(high);
	spans_end();
}

static void without_memory_there_is_neither_room_nor_a_record(void)
{
	/* Where no other test has made room. */
	const uintptr_t far = FAKE_BASE - ((uintptr_t)8 << HM_SPAN_LEAF_SHIFT);
	static const enum hm_metadata_kind kinds[] = {
		HM_METADATA_SPAN_COARSE, HM_METADATA_SPAN_MIDDLE, HM_METADATA_SPAN_FINE,
		HM_METADATA_SPAN_FINEST, HM_METADATA_SPAN_WHOLE
	};
	struct hoard hoard;

	spans_begin();
	memory_refuse();
	CHECK(!hm_span_make_room(far));
	CHECK(hm_span_find(far) == NULL);
	memory_allow();
	CHECK(hm_span_make_room(far));
	for (unsigned kind = 0; kind < HM_SPAN_KINDS; kind++) {
		tap_row("kind %u", kind);
		hoard_kind(&hoard, kinds[kind], HM_NEED_NORMAL);
		CHECK(hm_span_new(NULL, (enum hm_span_kind)kind) == NULL);
		hoard_end(&hoard, kinds[kind]);
	}
	spans_end();
}

/* ---- The checker ---- */

static void each_broken_rule_of_a_record_is_found(void)
{
	struct hm_span *span;
	uintptr_t base;

	spans_begin();
	span = span_of(0, (uint32_t)PAGE); /* 256 blocks */
	base = hm_span_base(span);
	CHECK_STR(hm_span_check(span), NULL);
	span->base = base + HM_SPAN_SIZE;
	CHECK_STR(hm_span_check(span), "a span is not where the table says");
	span->base = base;
	span->count = 257;
	CHECK_STR(hm_span_check(span), "a span has blocks without pages");
	span->count = 256;
	hm_block_become(&span->marks[256], HM_BLOCK_FREE);
	CHECK_STR(hm_span_check(span), "a block without pages is not absent");
	hm_block_become(&span->marks[256], HM_BLOCK_ABSENT);
	hm_block_become(&span->marks[255], HM_BLOCK_ABSENT);
	CHECK_STR(hm_span_check(span), "a block with pages is absent");
	hm_block_become(&span->marks[255], HM_BLOCK_LIVE);
	CHECK_STR(hm_span_check(span), NULL);
	hm_span_delete(span);
	spans_end();
}

/* ---- Lists ---- */

static void a_list_gives_up_any_of_its_spans(void)
{
	spans_begin();
	for (unsigned removed = 0; removed < 3; removed++) {
		struct hm_span_list list = { NULL, 0 };
		struct hm_span *spans[3];
		size_t seen = 0;

		for (unsigned i = 0; i < 3; i++) {
			spans[i] = span_of(0, WHOLE);
			hm_span_push(&list, spans[i], HM_SPAN_FULL);
			CHECK_POINTER(list.first, spans[i]);
			CHECK_U32(spans[i]->place, HM_SPAN_FULL);
		}
		hm_span_unlink(&list, spans[removed]);
		CHECK_U32(spans[removed]->place, HM_SPAN_NOWHERE);
		CHECK_SIZE(list.count, 2);
		for (struct hm_span *span = list.first; span != NULL; span = span->next) {
			CHECK(span != spans[removed]);
			CHECK(span->next == NULL || span->next->previous == span);
			seen++;
		}
		CHECK_SIZE(seen, 2);
		hm_span_unlink(&list, list.first);
		hm_span_unlink(&list, list.first);
		CHECK(list.first == NULL);
		for (unsigned i = 0; i < 3; i++)
			hm_span_delete(spans[i]);
	}
	spans_end();
}

int main(void)
{
	TAP_RUN(every_address_of_a_granule_is_a_block_or_is_none);
	TAP_RUN(a_span_is_found_from_its_granule_and_from_nowhere_else);
	TAP_RUN(no_address_is_too_strange_to_be_looked_for);
	TAP_RUN(neighbours_on_both_sides_of_4_gib_have_leaves_of_their_own);
	TAP_RUN(without_memory_there_is_neither_room_nor_a_record);
	TAP_RUN(each_broken_rule_of_a_record_is_found);
	TAP_RUN(a_list_gives_up_any_of_its_spans);
	return tap_done();
}
