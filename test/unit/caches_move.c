/*
 * Spans from one cache to the other, and the rules that the checker knows.
 */
#include "hostmem/caches.h"
#include "caches.h"

static struct hm_cache own, common;

static void begin(void)
{
	spans_begin();
	cache_begin(&own);
	cache_begin(&common);
	common.frugal = true;
	own.frugal = true;
}

static void check(void)
{
	CHECK_STR(hm_cache_check(&own), NULL);
	CHECK_STR(hm_cache_check(&common), NULL);
}

static void end(void)
{
	check();
	cache_end(&own);
	cache_end(&common);
	spans_end();
}

#define CHECK_PLACE(span, want) CHECK_U32((span)->place, (want))

/* One of `cache` in which nothing is live. */
static struct hm_span *idle_span(struct hm_cache *cache, unsigned class,
				 uint32_t committed)
{
	struct hm_span *span = cache_span(cache, class, committed);

	(void)hm_cache_rearrange(cache, span);
	CHECK_PLACE(span, HM_SPAN_IDLE);
	return span;
}

/* ---- All that is of use, or all ---- */

struct scene {
	struct hm_span *listed, *full, *idle, *busy;
};

static struct scene make_scene(void)
{
	struct scene scene;

	begin();
	scene.full = cache_span(&own, KIB_CLASS, WHOLE);
	cache_take_in_order(&own, scene.full, 0, KIB_BLOCKS);
	CHECK(cache_take(&own, KIB_CLASS) == NULL);
	scene.listed = cache_span(&own, KIB_CLASS, WHOLE);
	cache_take_in_order(&own, scene.listed, 0, 1);
	scene.idle = idle_span(&own, 0, WHOLE);
	scene.busy = cache_span(&own, 27, 2 * (uint32_t)PAGE);
	CHECK(cache_take(&own, 27) != NULL);
	scene.busy->busy = true;
	return scene;
}

static void what_is_useful_goes_and_the_full_stay(void)
{
	struct scene scene = make_scene();

	hm_cache_move(&own, &common, HM_MOVE_USEFUL);
	CHECK_POINTER(scene.listed->owner, &common);
	CHECK_PLACE(scene.listed, HM_SPAN_LISTED);
	CHECK_POINTER(scene.idle->owner, &common);
	CHECK_PLACE(scene.idle, HM_SPAN_IDLE);
	CHECK_POINTER(scene.full->owner, &own);
	CHECK_PLACE(scene.full, HM_SPAN_FULL);
	CHECK_POINTER(scene.busy->owner, &own);
	check();
	CHECK(cache_take(&own, KIB_CLASS) == NULL);
	end();
}

static void everything_goes_but_what_is_busy(void)
{
	struct scene scene = make_scene();

	hm_cache_move(&own, &common, HM_MOVE_ALL);
	CHECK_POINTER(scene.full->owner, &common);
	CHECK_PLACE(scene.full, HM_SPAN_FULL);
	CHECK_POINTER(scene.full->bin, &common.bins[KIB_CLASS]);
	CHECK_POINTER(scene.busy->owner, &own);
	CHECK_SIZE(own.full.count, 0);
	CHECK_SIZE(own.idle[HM_SPAN_FINE].count, 0);
	CHECK(own.bins[KIB_CLASS].spans.first == NULL);
	end();
}

/* Nobody may find it in a queue that is no more its owner's. */
static void what_others_have_freed_goes_with_the_span(void)
{
	struct scene scene = make_scene();

	CHECK(hm_cache_put_away(&common, scene.full, 7));
	hm_cache_move(&own, &common, HM_MOVE_USEFUL);
	CHECK(own.queue == NULL);
	CHECK_U32(scene.full->queued, 0);
	CHECK_POINTER(scene.full->owner, &common);
	CHECK(is_free(scene.full, 7));
	end();
}

static void a_span_that_is_removed_is_in_no_queue(void)
{
	struct scene scene = make_scene();

	CHECK(hm_cache_put_away(&common, scene.listed, 0));
	CHECK_POINTER(own.queue, scene.listed);
	hm_cache_remove_span(&own, scene.listed);
	CHECK(own.queue == NULL);
	CHECK_PLACE(scene.listed, HM_SPAN_NOWHERE);
	CHECK_SIZE(cache_ready(&own, KIB_CLASS), 0);
	hm_cache_enter_span(&own, scene.listed);
	end();
}

/* Which was the last one of its class, and was kept as such. */
static void an_empty_span_becomes_idle_where_nobody_keeps_it(void)
{
	struct hm_span *span;

	begin();
	own.frugal = false;
	span = cache_span(&own, KIB_CLASS, WHOLE);
	(void)hm_cache_rearrange(&own, span);
	CHECK_PLACE(span, HM_SPAN_LISTED);
	hm_cache_move(&own, &common, HM_MOVE_USEFUL);
	CHECK_PLACE(span, HM_SPAN_IDLE);
	CHECK_POINTER(span->owner, &common);
	end();
}

static void so_many_idle_spans_stay_as_are_kept(void)
{
	for (size_t kept = 0; kept <= 6; kept++) {
		tap_row("%zu kept", kept);
		begin();
		for (unsigned i = 0; i < 5; i++)
			(void)idle_span(&own, i < 2 ? KIB_CLASS : i < 4 ? 0 : 3, WHOLE);
		hm_cache_move_idle(&own, &common, kept);
		CHECK_SIZE(hm_cache_idle_count(&own), kept < 5 ? kept : 5);
		CHECK_SIZE(hm_cache_idle_count(&common), kept < 5 ? 5 - kept : 0);
		end();
	}
}

static void counts_are_handed_over(void)
{
	begin();
	(void)cache_span(&own, KIB_CLASS, WHOLE);
	CHECK(cache_take(&own, KIB_CLASS) != NULL);
	hm_bin_count(&own.bins[3], -2);
	hm_bin_count(&common.bins[3], 5);
	own.returned = 300;
	own.collected = 20;
	common.returned = 4000;
	hm_cache_add_live(&common, &own);
	CHECK_INT(cache_live(&common, KIB_CLASS), 1);
	CHECK_INT(cache_live(&common, 3), 3);
	CHECK_INT(cache_live(&own, KIB_CLASS), 0);
	CHECK_INT(cache_live(&own, 3), 0);
	CHECK_SIZE(common.returned, 4300);
	CHECK_SIZE(common.collected, 20);
	CHECK_SIZE(own.returned + own.collected, 0);
	end();
}

/* ---- From the common cache ---- */

static void a_span_with_free_blocks_is_adopted_before_an_idle_one(void)
{
	struct hm_span *idle, *listed, *busy;

	begin();
	idle = idle_span(&common, KIB_CLASS, WHOLE);
	listed = cache_span(&common, KIB_CLASS, WHOLE);
	cache_take_in_order(&common, listed, 0, 1);
	busy = cache_span(&common, KIB_CLASS, (uint32_t)PAGE);
	busy->busy = true;
	CHECK(hm_cache_adopt(&own, &common, KIB_CLASS));
	CHECK_POINTER(listed->owner, &own);
	check();
	CHECK(hm_cache_adopt(&own, &common, KIB_CLASS));
	CHECK_POINTER(idle->owner, &own);
	CHECK_PLACE(idle, HM_SPAN_LISTED);
	CHECK(!hm_cache_adopt(&own, &common, KIB_CLASS));
	CHECK_POINTER(busy->owner, &common);
	end();
}

static void an_idle_span_of_another_class_is_adopted_if_it_has_the_pages(void)
{
	struct hm_span *small, *large;

	begin();
	small = idle_span(&common, KIB_CLASS, (uint32_t)PAGE / 2);
	CHECK(!hm_cache_adopt(&own, &common, 27));
	CHECK(!hm_cache_adopt(&own, &common, 0)); /* of the other kind */
	large = idle_span(&common, KIB_CLASS, (uint32_t)PAGE);
	CHECK(hm_cache_adopt(&own, &common, 27));
	CHECK_POINTER(large->owner, &own);
	CHECK_U32(large->class, 27);
	CHECK_POINTER(small->owner, &common);
	CHECK(cache_take(&own, 27) != NULL);
	end();
}

/* ---- The checker ---- */

static void each_broken_rule_of_a_cache_is_found(void)
{
	struct hm_span *span, *idle;
	struct hm_ready *ready;

	begin();
	span = cache_span(&own, KIB_CLASS, (uint32_t)PAGE);
	CHECK(cache_take(&own, KIB_CLASS) != NULL);
	idle = idle_span(&own, 0, WHOLE);
	CHECK_STR(hm_cache_check(&own), NULL);
	span->place = HM_SPAN_FULL;
	CHECK_STR(hm_cache_check(&own), "a span is in another list than it says");
	span->place = HM_SPAN_LISTED;
	idle->place = HM_SPAN_LISTED;
	CHECK_STR(hm_cache_check(&own), "a span is in another list than it says");
	idle->place = HM_SPAN_IDLE;
	span->owner = &common;
	CHECK_STR(hm_cache_check(&own), "a span is in the list of somebody else");
	span->owner = &own;
	own.bins[KIB_CLASS].spans.count++;
	CHECK_STR(hm_cache_check(&own), "a list is miscounted");
	own.bins[KIB_CLASS].spans.count--;
	own.bins[3].growing = span;
	CHECK_STR(hm_cache_check(&own),
		  "what grows is of another class, or somebody else's");
	own.bins[3].growing = NULL;
	ready = hm_bin_top(&own.bins[KIB_CLASS]) - 1;
	hm_block_become(ready->mark, HM_BLOCK_LIVE);
	CHECK_STR(hm_cache_check(&own), "a block is ready and not free");
	hm_block_become(ready->mark, HM_BLOCK_FREE);
	span->lister = NULL;
	CHECK_STR(hm_cache_check(&own), "a block is ready whose span is not listed");
	span->lister = &own;
	own.bins[KIB_CLASS].first[-1].block = ready->block;
	CHECK_STR(hm_cache_check(&own), "the end of what is ready is overwritten");
	own.bins[KIB_CLASS].first[-1].block = NULL;
	span->count++;
	CHECK_STR(hm_cache_check(&own), "a span has blocks without pages");
	span->count--;
	end();
}

int main(void)
{
	TAP_RUN(what_is_useful_goes_and_the_full_stay);
	TAP_RUN(everything_goes_but_what_is_busy);
	TAP_RUN(what_others_have_freed_goes_with_the_span);
	TAP_RUN(a_span_that_is_removed_is_in_no_queue);
	TAP_RUN(an_empty_span_becomes_idle_where_nobody_keeps_it);
	TAP_RUN(so_many_idle_spans_stay_as_are_kept);
	TAP_RUN(counts_are_handed_over);
	TAP_RUN(a_span_with_free_blocks_is_adopted_before_an_idle_one);
	TAP_RUN(an_idle_span_of_another_class_is_adopted_if_it_has_the_pages);
	TAP_RUN(each_broken_rule_of_a_cache_is_found);
	return tap_done();
}
