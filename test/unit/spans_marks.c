/*
 * The marks of spans: which blocks are free, live or returned, and who may say so.
 */
#include "hostmem/spans.h"
#include "spans.h"

#define WHOLE ((uint32_t)HM_SPAN_SIZE)

#define CHECK_COLLECTED(span, blocks, twice) \
	check_collected((span), (blocks), (twice), __FILE__, __LINE__)

static void check_collected(struct hm_span *span, unsigned blocks, unsigned twice,
			    const char *file, int line)
{
	struct hm_collected collected = hm_span_collect(span);

	tap_check_u32(collected.blocks, blocks, "collected.blocks", file, line);
	tap_check_u32(collected.twice, twice, "collected.twice", file, line);
}

static void what_has_no_pages_is_neither_free_nor_live(void)
{
	struct hm_span *span;
	uint32_t committed = (uint32_t)PAGE;

	spans_begin();
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
		span = span_of(class, committed);
		for (; committed <= HM_SPAN_SIZE; committed += (uint32_t)PAGE) {
			size_t count = committed / hm_block_size(class);

			tap_row("class %u, %u bytes", class, committed);
			hm_span_grow(span, committed);
			CHECK_SIZE(span->count, count);
			CHECK_SIZE(count_free(span), count);
			CHECK_STR(hm_span_check(span), NULL);
			if (count == span->capacity)
				continue;
			CHECK(!hm_span_is_live(span, count));
			CHECK(!hm_span_return(span, count));
		}
		committed = (uint32_t)PAGE;
		hm_span_delete(span);
	}
	spans_end();
}

static void growing_changes_nothing_about_blocks_that_were_there(void)
{
	struct hm_span *span;

	spans_begin();
	span = span_of(4, (uint32_t)PAGE); /* 51 blocks of 80 bytes */
	for (unsigned i = 0; i < 51; i++)
		CHECK_SIZE(take_first(span), i);
	CHECK(hm_span_return(span, 7));
	hm_span_grow(span, 2 * (uint32_t)PAGE);
	CHECK_SIZE(span->count, 102);
	CHECK_SIZE(count_free(span), 51);
	CHECK(hm_span_is_live(span, 50));
	CHECK(!hm_span_is_live(span, 7));
	CHECK(!is_free(span, 7));
	CHECK(is_free(span, 51));
	CHECK_COLLECTED(span, 1, 0);
	CHECK(is_free(span, 7));
	CHECK_SIZE(count_free(span), 52);
	hm_span_delete(span);
	spans_end();
}

static void a_block_is_freed_once_whoever_frees_it(void)
{
	struct hm_span *span;

	spans_begin();
	span = span_of(0, WHOLE);
	CHECK(!hm_span_return(span, 0)); /* free already */
	CHECK_SIZE(take_first(span), 0);
	CHECK(hm_span_is_live(span, 0));
	CHECK(hm_span_return(span, 0));
	CHECK(!hm_span_is_live(span, 0));
	CHECK(!hm_span_return(span, 0)); /* waits to be taken over */
	CHECK_SIZE(count_free(span), span->capacity - 1U);
	CHECK_COLLECTED(span, 1, 0);
	CHECK_SIZE(count_free(span), span->capacity);
	CHECK(!hm_span_return(span, 0)); /* has been */
	CHECK_SIZE(take_first(span), 0);
	CHECK(hm_span_return(span, 0));
	hm_span_delete(span);
	spans_end();
}

/* The owner has not seen that somebody else was quicker, and has put his mark on it. */
static void a_return_that_is_not_found_was_a_second_free(void)
{
	struct hm_span *span;

	spans_begin();
	span = span_of(0, WHOLE);
	for (unsigned i = 0; i < 200; i++)
		(void)take_first(span);
	CHECK(hm_span_return(span, 3));
	CHECK(hm_span_return(span, 70));
	CHECK(hm_span_return(span, 130));
	hm_block_become(&span->marks[3], HM_BLOCK_FREE);
	hm_block_become(&span->marks[130], HM_BLOCK_FREE);
	CHECK_COLLECTED(span, 3, 2);
	CHECK_SIZE(count_free(span), span->capacity - 197U);
	CHECK_COLLECTED(span, 0, 0);
	CHECK_STR(hm_span_check(span), NULL);
	hm_span_delete(span);
	spans_end();
}

static void empty_is_what_has_no_live_block(void)
{
	struct hm_span *span;
	struct hm_collected collected = { 77, 77 };

	spans_begin();
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class += 13) {
		tap_row("class %u", class);
		span = span_of(class, WHOLE / 2);
		CHECK(hm_span_looks_empty(span));
		CHECK_SIZE(take_first(span), 0);
		CHECK(!hm_span_looks_empty(span));
		CHECK(!hm_span_is_empty(span, &collected));
		CHECK(hm_span_return(span, 0));
		CHECK(hm_span_looks_empty(span));
		CHECK(!is_free(span, 0));
		CHECK(hm_span_is_empty(span, &collected));
		CHECK_U32(collected.blocks, 1);
		CHECK_U32(collected.twice, 0);
		/* Which takes over what has been returned. */
		CHECK(is_free(span, 0));
		hm_span_delete(span);
	}
	spans_end();
}

static void the_cursor_goes_round_and_stays_where_something_is_free(void)
{
	struct hm_span *span;

	spans_begin();
	span = span_of(3, WHOLE); /* 16 windows */
	for (uint64_t i = 0; i < 1024; i++)
		CHECK_SIZE(take_first(span), i);
	CHECK(!hm_span_advance(span));
	hm_block_become(&span->marks[128], HM_BLOCK_FREE);
	CHECK_SIZE(take_first(span), 128);
	CHECK_U32(span->cursor, 2);
	hm_block_become(&span->marks[65], HM_BLOCK_FREE);
	CHECK_SIZE(take_first(span), 65);
	CHECK(!hm_span_advance(span));
	hm_span_delete(span);
	spans_end();
}

/* Each state in each place of a word, beside each other one. */
static void a_window_tells_which_blocks_are_free(void)
{
	struct hm_span *span;
	uint64_t random = 0x5EED;

	spans_begin();
	span = span_of(0, WHOLE);
	for (unsigned round = 0; round < 2000; round++) {
		unsigned window = (unsigned)random_below(&random, 64);
		uint64_t want = 0;
		bool lonely[8] = { true, true, true, true, true, true, true, true };

		for (unsigned i = 0; i < 64; i++) {
			enum hm_block_state state =
				(enum hm_block_state)random_below(&random, 4);

			hm_block_become(&span->marks[window * 64 + i], state);
			want |= (uint64_t)(state == HM_BLOCK_FREE) << i;
			lonely[i / 8] &= state != HM_BLOCK_LIVE;
		}
		CHECK_SIZE(hm_span_free_in(span, window), want);
		for (unsigned i = 0; i < 64; i++)
			CHECK(hm_block_looks_lonely(&span->marks[window * 64 + i]) ==
			      lonely[i / 8]);
	}
	hm_span_delete(span);
	spans_end();
}

/* Somebody has changed the mark and not yet counted it. */
static void who_is_about_to_count_a_return_is_waited_for(void)
{
	struct hm_span *span;
	struct hm_collected collected;

	spans_begin();
	span = span_of(0, WHOLE);
	(void)take_first(span);
	hm_block_become(&span->marks[0], HM_BLOCK_RETURNED);
	CHECK(hm_span_looks_empty(span));
	CHECK_COLLECTED(span, 0, 0);
	CHECK(!hm_span_is_empty(span, &collected));
	atomic_fetch_add(&span->returns, 1);
	CHECK(hm_span_is_empty(span, &collected));
	CHECK_U32(collected.blocks, 1);
	CHECK_U32(collected.twice, 0);
	hm_span_delete(span);
	spans_end();
}

/* A record that was a span's is as good as a new one. */
static void a_record_is_used_again_without_a_trace(void)
{
	struct hm_span *span, *again;

	spans_begin();
	span = span_of(0, WHOLE);
	for (unsigned i = 0; i < 4096; i++)
		(void)take_first(span);
	CHECK(hm_span_return(span, 4095));
	hm_span_delete(span);
	again = span_of(0, (uint32_t)PAGE);
	CHECK_POINTER(again, span);
	CHECK_STR(hm_span_check(again), NULL);
	CHECK_SIZE(count_free(again), 256);
	CHECK_COLLECTED(again, 0, 0);
	hm_span_delete(again);
	spans_end();
}

static void a_span_of_another_class_begins_anew(void)
{
	struct hm_span *span;

	spans_begin();
	span = span_of(HM_BLOCK_CLASSES - 1, WHOLE / 2 + (uint32_t)PAGE);
	CHECK_SIZE(span->count, 9);
	(void)take_first(span);
	hm_span_format(span, 12);
	CHECK_U32(span->class, 12);
	CHECK_SIZE(span->count, (WHOLE / 2 + PAGE) / 320);
	CHECK_SIZE(count_free(span), span->count);
	CHECK_U32(span->cursor, 0);
	CHECK_STR(hm_span_check(span), NULL);
	hm_span_delete(span);
	spans_end();
}

int main(void)
{
	TAP_RUN(what_has_no_pages_is_neither_free_nor_live);
	TAP_RUN(growing_changes_nothing_about_blocks_that_were_there);
	TAP_RUN(a_block_is_freed_once_whoever_frees_it);
	TAP_RUN(a_return_that_is_not_found_was_a_second_free);
	TAP_RUN(empty_is_what_has_no_live_block);
	TAP_RUN(the_cursor_goes_round_and_stays_where_something_is_free);
	TAP_RUN(a_window_tells_which_blocks_are_free);
	TAP_RUN(who_is_about_to_count_a_return_is_waited_for);
	TAP_RUN(a_record_is_used_again_without_a_trace);
	TAP_RUN(a_span_of_another_class_begins_anew);
	return tap_done();
}
