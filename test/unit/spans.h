/*
 * Spans on granules that do not exist: nothing ever looks into a block.
 */
#ifndef HOSTMEM_UNIT_SPANS_H
#define HOSTMEM_UNIT_SPANS_H

#include "fake.h"
#include "hostmem/spans.h"

static size_t spans_in_use; /* bytes of records before the test */
static uintptr_t spans_next;

static inline void spans_begin(void)
{
	CHECK_HR(hm_calls_prepare(), S_OK);
	hm_calls_enter();
	CHECK(hm_metadata_prepare());
	spans_in_use = hm_metadata_in_use();
	spans_next = FAKE_BASE;
}

static inline void spans_end(void)
{
	CHECK_SIZE(hm_metadata_in_use(), spans_in_use);
	hm_calls_leave();
}

/* Where nothing has been in this test. */
static inline uintptr_t fresh_granule(void)
{
	uintptr_t base = spans_next;

	spans_next += HM_SPAN_SIZE;
	CHECK(hm_span_make_room(base));
	return base;
}

/* One of that class with so many bytes of pages. */
static inline struct hm_span *span_of(unsigned class, uint32_t committed)
{
	struct hm_span *span = hm_span_new(NULL, hm_span_kind_of(class));

	if (!CHECK(span != NULL))
		abort();
	hm_span_place_at(span, fresh_granule());
	span->committed = committed;
	hm_span_format(span, class);
	return span;
}

/* Its owner takes the lowest free block from the cursor on; UINT64_MAX = none. */
static inline uint64_t take_first(struct hm_span *span)
{
	uint64_t index;

	if (!hm_span_advance(span))
		return UINT64_MAX;
	index = span->cursor * UINT64_C(64) +
		(uint64_t)__builtin_ctzll(hm_span_free_in(span, span->cursor));
	hm_block_become(&span->marks[index], HM_BLOCK_LIVE);
	return index;
}

static inline bool is_free(const struct hm_span *span, uint64_t index)
{
	return hm_block_state_of(&span->marks[index]) == HM_BLOCK_FREE;
}

static inline size_t count_free(const struct hm_span *span)
{
	size_t count = 0;

	for (uint64_t i = 0; i < span->capacity; i++)
		count += is_free(span, i);
	return count;
}

#endif
