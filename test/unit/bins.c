/*
 * The blocks that a cache has ready, and when their spans are looked at.
 */
#include "hostmem/bins.h"
#include "caches.h"

#define LARGEST_CLASS (HM_BLOCK_CLASSES - 1)

static struct hm_cache own;

static void begin(void)
{
	spans_begin();
	cache_begin(&own);
}

static void end(void)
{
	cache_end(&own);
	spans_end();
}

#define CHECK_PLACE(span, want) CHECK_U32((span)->place, (want))

/* More than there is room for among the ready ones is free all the same. */
static void no_block_is_lost_behind_the_ready_ones(void)
{
	enum { SPANS = 9, EACH = 16 };
	struct hm_span *spans[SPANS];
	uint64_t seen[SPANS] = { 0 };

	begin();
	for (unsigned i = 0; i < SPANS; i++) {
		spans[i] = cache_span(&own, LARGEST_CLASS, WHOLE);
		cache_take_in_order(&own, spans[i], 0, EACH);
	}
	CHECK(cache_take(&own, LARGEST_CLASS) == NULL);
	for (unsigned i = 0; i < SPANS * EACH; i++) {
		CHECK(cache_put(&own, spans[i % SPANS], i / SPANS));
		CHECK(cache_ready(&own, LARGEST_CLASS) <= HM_READY_FAR);
		CHECK_STR(hm_cache_check(&own), NULL);
	}
	CHECK_INT(cache_live(&own, LARGEST_CLASS), 0);
	for (unsigned i = 0; i < SPANS * EACH; i++) {
		void *block = cache_take(&own, LARGEST_CLASS);
		struct hm_span *span = hm_span_find((uintptr_t)block);
		uint64_t index = 0;

		CHECK(hm_span_index(span, (uintptr_t)block, &index));
		for (unsigned j = 0; j < SPANS; j++)
			seen[j] |= span == spans[j] ? UINT64_C(1) << index : 0;
	}
	for (unsigned i = 0; i < SPANS; i++)
		CHECK_SIZE(seen[i], (1U << EACH) - 1);
	CHECK(cache_take(&own, LARGEST_CLASS) == NULL);
	end();
}

/* When it is the turn of its last block to make room. */
static void an_empty_span_is_found_when_there_are_too_many_ready_ones(void)
{
	struct hm_span *first, *empty, *others[5];

	begin();
	empty = cache_span(&own, LARGEST_CLASS, WHOLE);
	cache_take_in_order(&own, empty, 0, 16);
	for (unsigned i = 0; i < 5; i++) {
		others[i] = cache_span(&own, LARGEST_CLASS, WHOLE);
		cache_take_in_order(&own, others[i], 0, 16);
	}
	first = cache_span(&own, LARGEST_CLASS, WHOLE);
	cache_take_in_order(&own, first, 0, 1);
	for (unsigned i = 0; i < 16; i++)
		CHECK(cache_put(&own, empty, i));
	for (unsigned i = 0; cache_ready(&own, LARGEST_CLASS) < HM_READY_FAR; i++) {
		CHECK(cache_put(&own, others[i % 5], i / 5));
		CHECK_PLACE(empty, HM_SPAN_LISTED);
	}
	CHECK(cache_put(&own, others[4], 15));
	CHECK_PLACE(empty, HM_SPAN_IDLE);
	CHECK_STR(hm_cache_check(&own), NULL);
	end();
}

/* From then on few are ready, until some are wanted again. */
static void while_spans_become_empty_few_blocks_are_ready(void)
{
	enum { SPANS = 40 };
	struct hm_span *spans[SPANS];

	begin();
	for (unsigned i = 0; i < SPANS; i++) {
		spans[i] = cache_span(&own, LARGEST_CLASS, WHOLE);
		cache_take_in_order(&own, spans[i], 0, 16);
	}
	CHECK(cache_take(&own, LARGEST_CLASS) == NULL);
	for (unsigned i = 0; i < SPANS * 16; i++)
		CHECK(cache_put(&own, spans[i % SPANS], i / SPANS));
	CHECK(cache_ready(&own, LARGEST_CLASS) <= HM_READY_FEW);
	CHECK(own.bins[LARGEST_CLASS].spans.count <= HM_READY_FEW + 1);
	CHECK_SIZE(own.bins[LARGEST_CLASS].spans.count + hm_cache_idle_count(&own),
		   SPANS);
	for (unsigned i = 0; i < SPANS * 16; i++)
		CHECK(cache_take(&own, LARGEST_CLASS) != NULL);
	CHECK(cache_take(&own, LARGEST_CLASS) == NULL);
	for (unsigned i = 0; i < HM_READY_FAR; i++)
		CHECK(cache_put(&own, spans[i % SPANS], i / SPANS));
	CHECK_SIZE(cache_ready(&own, LARGEST_CLASS), HM_READY_FAR - SPANS);
	end();
}

/* Which takes as long as it is in vain; what is empty is found a little later. */
static void looking_in_vain_for_empty_spans_is_done_less_and_less(void)
{
	struct hm_span *first, *empty;

	begin();
	empty = cache_span(&own, KIB_CLASS, WHOLE);
	cache_take_in_order(&own, empty, 0, 1);
	first = cache_span(&own, KIB_CLASS, WHOLE);
	for (unsigned i = 0; i < 200; i++)
		CHECK(cache_take(&own, LARGEST_CLASS) == NULL);
	CHECK_U32(own.pause, 63);
	CHECK(cache_put(&own, empty, 0));
	for (unsigned i = 0; i < 63 && empty->place == HM_SPAN_LISTED; i++)
		(void)cache_take(&own, LARGEST_CLASS);
	CHECK_U32(empty->class, LARGEST_CLASS);
	CHECK_U32(own.pause, 0);
	CHECK_PLACE(first, HM_SPAN_LISTED);
	end();
}

static void a_count_below_zero_is_told_from_what_is_ready(void)
{
	struct hm_cache_bin *bin = &own.bins[KIB_CLASS];

	begin();
	for (int live = -3; live <= 3; live++) {
		for (unsigned ready = 0; ready <= HM_READY_NEAR; ready++) {
			tap_row("%d live, %u ready", live, ready);
			atomic_store(&bin->given, 2 * (live + (int)ready));
			hm_bin_set_top(bin, bin->first + ready);
			CHECK_INT(hm_bin_live(bin), live);
		}
	}
	hm_bin_set_top(bin, bin->first);
	end();
}

/* Whatever it has changed by then. */
static void an_owner_that_is_suspended_in_the_middle_hides_nothing(void)
{
	struct hm_cache_bin *bin = &own.bins[KIB_CLASS];

	begin();
	for (int live = -3; live <= 3; live++) {
		for (unsigned ready = 0; ready <= HM_READY_NEAR; ready++) {
			tap_row("%d live, %u ready", live, ready);
			atomic_store(&bin->given, 2 * live + 1);
			hm_bin_set_top(bin, bin->first + ready);
			CHECK_INT(hm_bin_live(bin), live);
		}
	}
	hm_bin_set_top(bin, bin->first);
	end();
}

/* Until it is through, or has given up; whatever has become of the list since. */
static void a_call_is_at_work_from_its_beginning_to_its_end(void)
{
	struct hm_cache_bin *bin = &own.bins[KIB_CLASS];
	static const uint64_t number = 1;
	struct hm_span *span;
	void *block;

	begin();
	span = cache_span(&own, KIB_CLASS, WHOLE);
	CHECK(!hm_cache_is_at_work(&own.quick));
	block = cache_take(&own, KIB_CLASS);
	CHECK(!hm_cache_is_at_work(&own.quick));
	for (int i = -1; i <= 1; i += 2) {
		hm_bin_begin(bin, hm_bin_top(bin));
		CHECK(hm_cache_is_at_work(&own.quick));
		hm_bin_set_top(bin, hm_bin_top(bin) + i);
		CHECK(!hm_cache_is_at_work(&own.quick));
	}
	hm_bin_begin(bin, hm_bin_top(bin));
	hm_bin_give_up(bin);
	CHECK(!hm_cache_is_at_work(&own.quick));
	/* What is for somebody else gives up, too. */
	CHECK(!hm_cache_take(&own, &number, KIB_CLASS, &block));
	CHECK(!hm_cache_is_at_work(&own.quick));
	CHECK(!hm_cache_try_put(&own, &number, span, block));
	CHECK(!hm_cache_is_at_work(&own.quick));
	CHECK(hm_cache_try_put(&own, &cache_number, span, block));
	/* The one before ended there. */
	hm_bin_forget_all(bin);
	CHECK(!hm_cache_is_at_work(&own.quick));
	end();
}

int main(void)
{
	TAP_RUN(no_block_is_lost_behind_the_ready_ones);
	TAP_RUN(an_empty_span_is_found_when_there_are_too_many_ready_ones);
	TAP_RUN(while_spans_become_empty_few_blocks_are_ready);
	TAP_RUN(looking_in_vain_for_empty_spans_is_done_less_and_less);
	TAP_RUN(a_count_below_zero_is_told_from_what_is_ready);
	TAP_RUN(an_owner_that_is_suspended_in_the_middle_hides_nothing);
	TAP_RUN(a_call_is_at_work_from_its_beginning_to_its_end);
	return tap_done();
}
