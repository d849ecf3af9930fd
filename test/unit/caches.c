/*
 * One cache: what is taken, and put back by its owner and by others; its lists.
 */
#include "hostmem/caches.h"
#include "caches.h"

#define LARGEST_CLASS (HM_BLOCK_CLASSES - 1)

static struct hm_cache own, other;

static void begin(void)
{
	spans_begin();
	cache_begin(&own);
	cache_begin(&other);
}

static void end(void)
{
	cache_end(&own);
	cache_end(&other);
	spans_end();
}

#define CHECK_PLACE(span, want) CHECK_U32((span)->place, (want))
#define CHECK_LIVE(cache, want) CHECK_INT(cache_live((cache), KIB_CLASS), (want))

/* ---- Blocks ---- */

static void an_empty_cache_has_nothing(void)
{
	begin();
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
		CHECK(cache_take(&own, class) == NULL);
		CHECK_INT(cache_live(&own, class), 0);
		CHECK(own.bins[class].growing == NULL);
		CHECK_U32(own.bins[class].step, PAGE);
	}
	end();
}

static void blocks_are_taken_upwards_and_then_the_span_is_full(void)
{
	struct hm_span *span;

	begin();
	span = cache_span(&own, KIB_CLASS, WHOLE);
	CHECK_PLACE(span, HM_SPAN_LISTED);
	cache_take_in_order(&own, span, 0, KIB_BLOCKS);
	CHECK_LIVE(&own, KIB_BLOCKS);
	CHECK_PLACE(span, HM_SPAN_LISTED); /* nobody has looked yet */
	CHECK(cache_take(&own, KIB_CLASS) == NULL);
	CHECK_PLACE(span, HM_SPAN_FULL);
	CHECK_SIZE(own.full.count, 1);
	CHECK_STR(hm_cache_check(&own), NULL);
	end();
}

static void what_was_freed_last_is_taken_first(void)
{
	struct hm_span *span;

	begin();
	span = cache_span(&own, KIB_CLASS, WHOLE);
	cache_take_in_order(&own, span, 0, 40);
	CHECK(cache_put(&own, span, 3));
	CHECK(cache_put(&own, span, 39));
	CHECK_LIVE(&own, 38);
	CHECK_POINTER(cache_take(&own, KIB_CLASS), hm_span_block(span, 39));
	CHECK_POINTER(cache_take(&own, KIB_CLASS), hm_span_block(span, 3));
	CHECK_LIVE(&own, 40);
	end();
}

static void a_block_is_put_back_once(void)
{
	struct hm_span *span;
	bool too_many;

	begin();
	span = cache_span(&own, KIB_CLASS, WHOLE);
	CHECK(!cache_put(&own, span, 5)); /* never taken */
	cache_take_in_order(&own, span, 0, 10);
	CHECK(!hm_cache_try_put(&other, &cache_number, span, hm_span_block(span, 5)));
	CHECK(!hm_cache_try_put(&own, &cache_number, span,
				(char *)hm_span_block(span, 5) + 16));
	CHECK(hm_cache_try_put(&own, &cache_number, span, hm_span_block(span, 5)));
	CHECK(!hm_cache_try_put(&own, &cache_number, span, hm_span_block(span, 5)));
	CHECK(!hm_cache_put(&own, span, 5, &too_many));
	CHECK(!hm_cache_put_away(&other, span, 5));
	CHECK(hm_cache_put_away(&other, span, 6));
	CHECK(!hm_cache_put_away(&other, span, 6));
	CHECK(!cache_put(&own, span, 6));
	CHECK_LIVE(&own, 9);
	CHECK_LIVE(&other, -1);
	end();
}

static void the_quick_way_is_for_what_is_listed(void)
{
	struct hm_span *span;
	bool too_many = true;

	begin();
	span = cache_span(&own, KIB_CLASS, WHOLE);
	CHECK_POINTER(span->lister, &own);
	cache_take_in_order(&own, span, 0, KIB_BLOCKS);
	CHECK_POINTER(span->lister, &own);
	CHECK(cache_take(&own, KIB_CLASS) == NULL);
	CHECK_PLACE(span, HM_SPAN_FULL);
	CHECK(span->lister == NULL);
	CHECK(hm_cache_put(&own, span, 0, &too_many));
	CHECK(!too_many);
	CHECK_POINTER(span->lister, &own);
	hm_cache_remove_span(&own, span);
	CHECK(span->lister == NULL);
	hm_cache_enter_span(&other, span);
	CHECK_POINTER(span->lister, &other);
	end();
}

static void an_empty_span_is_found_before_pages_are_asked_for(void)
{
	struct hm_span *first, *second;

	begin();
	second = cache_span(&own, KIB_CLASS, WHOLE);
	cache_take_in_order(&own, second, 0, KIB_BLOCKS);
	CHECK(cache_take(&own, KIB_CLASS) == NULL);
	first = cache_span(&own, KIB_CLASS, WHOLE);
	cache_take_in_order(&own, first, 0, 2);
	for (unsigned i = 0; i < KIB_BLOCKS; i++)
		CHECK(cache_put(&own, second, i));
	CHECK(cache_put(&own, first, 0));
	/* It came before the other one when it was not full any more. */
	CHECK_POINTER(own.bins[KIB_CLASS].spans.first, second);
	CHECK(cache_take(&own, LARGEST_CLASS) == NULL);
	CHECK_PLACE(second, HM_SPAN_LISTED);
	CHECK(cache_put(&own, first, 1));
	CHECK_PLACE(first, HM_SPAN_LISTED); /* nobody has looked yet */
	CHECK_POINTER(cache_take(&own, LARGEST_CLASS), hm_span_block(first, 0));
	CHECK_U32(first->class, LARGEST_CLASS);
	CHECK_SIZE(cache_ready(&own, KIB_CLASS), KIB_BLOCKS - 1);
	CHECK_STR(hm_cache_check(&own), NULL);
	end();
}

/* ---- Spans without live blocks ---- */

static void the_first_span_of_a_class_stays_unless_the_cache_is_frugal(void)
{
	for (unsigned frugal = 0; frugal < 2; frugal++) {
		struct hm_span *span;
		bool too_many;

		begin();
		own.frugal = frugal != 0;
		span = cache_span(&own, KIB_CLASS, WHOLE);
		cache_take_in_order(&own, span, 0, 1);
		CHECK(hm_cache_put(&own, span, 0, &too_many));
		CHECK_PLACE(span, frugal ? HM_SPAN_IDLE : HM_SPAN_LISTED);
		/* It is of use in either case. */
		CHECK(cache_take(&own, KIB_CLASS) != NULL);
		CHECK_PLACE(span, HM_SPAN_LISTED);
		end();
	}
}

/* Or each block that a full one gets back would leave an empty span behind. */
static void an_empty_first_span_goes_when_a_full_one_comes_before_it(void)
{
	struct hm_span *full, *first;

	begin();
	full = cache_span(&own, KIB_CLASS, WHOLE);
	cache_take_in_order(&own, full, 0, KIB_BLOCKS);
	CHECK(cache_take(&own, KIB_CLASS) == NULL);
	first = cache_span(&own, KIB_CLASS, WHOLE);
	CHECK(cache_put(&own, full, 9));
	CHECK_PLACE(full, HM_SPAN_LISTED);
	CHECK_PLACE(first, HM_SPAN_IDLE);
	CHECK_POINTER(own.bins[KIB_CLASS].spans.first, full);
	CHECK_POINTER(cache_take(&own, KIB_CLASS), hm_span_block(full, 9));
	end();
}

static void the_one_behind_a_new_first_span_goes_if_it_is_empty(void)
{
	struct hm_span *behind, *first;

	for (unsigned live = 0; live < 2; live++) {
		tap_row("%u live", live);
		begin();
		behind = cache_span(&own, KIB_CLASS, WHOLE);
		cache_take_in_order(&own, behind, 0, live);
		first = cache_span(&own, KIB_CLASS, WHOLE);
		hm_cache_look_behind(&own, first);
		CHECK_PLACE(first, HM_SPAN_LISTED);
		CHECK_PLACE(behind, live == 0 ? HM_SPAN_IDLE : HM_SPAN_LISTED);
		hm_cache_look_behind(&own, behind); /* the last one, or in another list */
		CHECK_STR(hm_cache_check(&own), NULL);
		end();
	}
}

static void too_many_are_more_than_a_cache_may_keep(void)
{
	static const unsigned classes[5] = { KIB_CLASS, 0, 27, 2, 3 };
	struct hm_span *spans[5];
	bool too_many;

	begin();
	own.most_idle = 2;
	own.frugal = true;
	/* Of both kinds. */
	for (unsigned i = 0; i < 5; i++) {
		spans[i] = cache_span(&own, classes[i], WHOLE);
		CHECK(cache_take(&own, classes[i]) != NULL);
	}
	for (unsigned i = 0; i < 5; i++) {
		tap_row("span %u", i);
		CHECK(hm_cache_put(&own, spans[i], 0, &too_many));
		CHECK_PLACE(spans[i], HM_SPAN_IDLE);
		CHECK(too_many == (i >= 2));
	}
	end();
}

static void an_idle_span_is_formatted_if_one_block_has_pages(void)
{
	static const struct {
		size_t size; /* of the block that is wanted */
		uint32_t committed;
		bool fits;
	} rows[] = {
		{ 4096, PAGE, true },  { 4096, PAGE - 1, false }, { 2560, 2048, false },
		{ 2048, 2048, true },  { 256, PAGE, true },       { 256, 255, false },
		{ 224, WHOLE, false }, /* needs more marks than it has */
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned class = hm_block_class(rows[i].size);
		struct hm_span *span;

		tap_row("row %zu", i);
		begin();
		own.frugal = true;
		span = cache_span(&own, KIB_CLASS, rows[i].committed);
		(void)hm_cache_rearrange(&own, span);
		CHECK_PLACE(span, HM_SPAN_IDLE);
		CHECK_POINTER(cache_take(&own, class),
			      rows[i].fits ? hm_span_block(span, 0) : NULL);
		CHECK_U32(span->class, rows[i].fits ? class : KIB_CLASS);
		CHECK_PLACE(span, rows[i].fits ? HM_SPAN_LISTED : HM_SPAN_IDLE);
		CHECK_STR(hm_cache_check(&own), NULL);
		end();
	}
}

static void an_idle_span_with_more_marks_than_needed_will_do(void)
{
	static const unsigned classes[] = { 0, 3, KIB_CLASS };
	struct hm_span *span;

	begin();
	own.frugal = true;
	span = cache_span(&own, 0, WHOLE);
	(void)hm_cache_rearrange(&own, span);
	for (unsigned i = 0; i < 9; i++) {
		unsigned class = classes[i % 3];

		tap_row("class %u", class);
		CHECK_PLACE(span, HM_SPAN_IDLE);
		CHECK_POINTER(cache_take(&own, class), hm_span_block(span, 0));
		CHECK(cache_put(&own, span, 0));
		(void)hm_cache_rearrange(&own, span);
	}
	end();
}

static void a_span_whose_pages_are_coming_is_never_empty(void)
{
	struct hm_span *span;

	begin();
	own.frugal = true;
	span = cache_span(&own, KIB_CLASS, (uint32_t)PAGE);
	span->busy = true;
	cache_take_in_order(&own, span, 0, 1);
	CHECK(cache_put(&own, span, 0));
	CHECK_PLACE(span, HM_SPAN_LISTED);
	CHECK(!hm_cache_is_empty(&own, span));
	span->busy = false;
	CHECK(hm_cache_is_empty(&own, span));
	end();
}

static void what_has_room_for_pages_grows_and_one_at_a_time(void)
{
	struct hm_span *first, *second;

	begin();
	(void)cache_span(&own, KIB_CLASS, WHOLE);
	CHECK(own.bins[KIB_CLASS].growing == NULL);
	first = cache_span(&own, KIB_CLASS, (uint32_t)PAGE);
	CHECK_POINTER(own.bins[KIB_CLASS].growing, first);
	second = cache_span(&own, KIB_CLASS, (uint32_t)PAGE);
	CHECK_POINTER(own.bins[KIB_CLASS].growing, first);
	hm_cache_remove_span(&own, second);
	CHECK_POINTER(own.bins[KIB_CLASS].growing, first);
	hm_cache_enter_span(&own, second);
	hm_cache_remove_span(&own, first);
	CHECK(own.bins[KIB_CLASS].growing == NULL);
	hm_cache_enter_span(&own, first);
	CHECK_POINTER(own.bins[KIB_CLASS].growing, first);
	end();
}

/* ---- Others ---- */

static void what_others_free_is_found_before_pages_are_asked_for(void)
{
	struct hm_span *span;

	begin();
	span = cache_span(&own, KIB_CLASS, WHOLE);
	cache_take_in_order(&own, span, 0, KIB_BLOCKS);
	CHECK(cache_take(&own, KIB_CLASS) == NULL);
	CHECK(hm_cache_put_away(&other, span, 50));
	CHECK(hm_cache_put_away(&other, span, 20));
	CHECK_U32(span->queued, 1);
	CHECK_POINTER(own.queue, span);
	CHECK(span->next_queued == NULL); /* once */
	CHECK_PLACE(span, HM_SPAN_FULL);
	CHECK_POINTER(cache_take(&own, KIB_CLASS), hm_span_block(span, 20));
	CHECK_POINTER(cache_take(&own, KIB_CLASS), hm_span_block(span, 50));
	CHECK(own.queue == NULL);
	CHECK_U32(span->queued, 0);
	CHECK_LIVE(&own, KIB_BLOCKS + 2);
	CHECK_LIVE(&other, -2);
	CHECK_SIZE(other.returned, 2048);
	CHECK_SIZE(own.collected, 2048);
	CHECK_SIZE(own.returned + other.collected, 0);
	/* And again. */
	CHECK(hm_cache_put_away(&other, span, 0));
	CHECK_POINTER(cache_take(&own, KIB_CLASS), hm_span_block(span, 0));
	end();
}

static void a_queue_is_taken_over_as_a_whole(void)
{
	struct hm_span *spans[3];

	begin();
	own.frugal = true;
	for (unsigned i = 0; i < 3; i++) {
		spans[i] = cache_span(&own, KIB_CLASS + i, WHOLE);
		CHECK(cache_take(&own, KIB_CLASS + i) != NULL);
	}
	for (unsigned i = 0; i < 3; i++)
		CHECK(hm_cache_put_away(&other, spans[i], 0));
	hm_cache_collect(&own);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_PLACE(spans[i], HM_SPAN_IDLE);
		CHECK_U32(spans[i]->queued, 0);
		CHECK_INT(cache_live(&own, KIB_CLASS + i) +
				  cache_live(&other, KIB_CLASS + i),
			  0);
	}
	CHECK(own.queue == NULL);
	end();
}

/* Counted by two; it is one block. */
static void what_two_have_freed_is_counted_once(void)
{
	for (unsigned way = 0; way < 2; way++) {
		struct hm_span *span;

		tap_row("way %u", way);
		begin();
		span = cache_span(&own, KIB_CLASS, WHOLE);
		cache_take_in_order(&own, span, 0, 2);
		CHECK(hm_cache_put_away(&other, span, 0));
		/* The owner, who has not seen that. */
		hm_block_become(&span->marks[0], HM_BLOCK_LIVE);
		CHECK(cache_put(&own, span, 0));
		CHECK_INT(cache_live(&own, KIB_CLASS) + cache_live(&other, KIB_CLASS), 0);
		CHECK(cache_put(&own, span, 1));
		if (way == 0)
			hm_cache_collect(&own);
		else
			CHECK(hm_cache_is_empty(&own, span));
		CHECK_INT(cache_live(&own, KIB_CLASS) + cache_live(&other, KIB_CLASS), 0);
		end();
	}
}

int main(void)
{
	TAP_RUN(an_empty_cache_has_nothing);
	TAP_RUN(blocks_are_taken_upwards_and_then_the_span_is_full);
	TAP_RUN(what_was_freed_last_is_taken_first);
	TAP_RUN(a_block_is_put_back_once);
	TAP_RUN(the_quick_way_is_for_what_is_listed);
	TAP_RUN(an_empty_span_is_found_before_pages_are_asked_for);
	TAP_RUN(the_first_span_of_a_class_stays_unless_the_cache_is_frugal);
	TAP_RUN(an_empty_first_span_goes_when_a_full_one_comes_before_it);
	TAP_RUN(the_one_behind_a_new_first_span_goes_if_it_is_empty);
	TAP_RUN(too_many_are_more_than_a_cache_may_keep);
	TAP_RUN(an_idle_span_is_formatted_if_one_block_has_pages);
	TAP_RUN(an_idle_span_with_more_marks_than_needed_will_do);
	TAP_RUN(a_span_whose_pages_are_coming_is_never_empty);
	TAP_RUN(what_has_room_for_pages_grows_and_one_at_a_time);
	TAP_RUN(what_others_free_is_found_before_pages_are_asked_for);
	TAP_RUN(a_queue_is_taken_over_as_a_whole);
	TAP_RUN(what_two_have_freed_is_counted_once);
	return tap_done();
}
