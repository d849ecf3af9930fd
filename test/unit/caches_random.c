/*
 * Two caches and the common one beside a table of live blocks: random operations, as the
 * threads of a heap make them, one after the other.
 */
#include "hostmem/caches.h"
#include "caches.h"

enum { CACHES = 3, MOST = 3000, STEPS = 30000, COMMON = CACHES - 1 };

static struct hm_cache caches[CACHES];
static struct {
	char *block;
	unsigned class;
} live[MOST];
static size_t live_count;
static int64_t per_class[HM_BLOCK_CLASSES];
static uint64_t state;

static size_t draw(size_t limit)
{
	return random_below(&state, limit);
}

/* A few classes of all kinds, so that spans change their class. */
static unsigned draw_class(void)
{
	static const unsigned classes[] = { 0, 2, 3, 11, KIB_CLASS, 23, 25, 27 };

	return classes[draw(ROWS(classes))];
}

static void *take_any(struct hm_cache *cache, unsigned class)
{
	void *block;

	while ((block = cache_take(cache, class)) == NULL) {
		struct hm_span *span = cache->bins[class].growing;

		if (cache != &caches[COMMON] &&
		    hm_cache_adopt(cache, &caches[COMMON], class))
			continue;
		if (span == NULL) {
			(void)cache_span(cache, class,
					 (uint32_t)hm_round_up(hm_block_size(class),
							       PAGE));
			continue;
		}
		hm_span_grow(span, (uint32_t)hm_min(HM_SPAN_SIZE, 2 * span->committed));
		(void)hm_cache_rearrange(cache, span);
		if (span->count == span->capacity)
			cache->bins[class].growing = NULL;
	}
	return block;
}

static void take(struct hm_cache *cache)
{
	unsigned class = draw_class(), overlaps = 0;
	char *block;

	if (live_count == MOST)
		return;
	block = take_any(cache, class);
	for (size_t i = 0; i < live_count; i++) {
		if (block + hm_block_size(class) > live[i].block &&
		    block < live[i].block + hm_block_size(live[i].class))
			overlaps++;
	}
	CHECK_U32(overlaps, 0);
	live[live_count].block = block;
	live[live_count++].class = class;
	per_class[class]++;
}

static bool put(struct hm_cache *user, struct hm_span *span, uint64_t index)
{
	return span->owner == user ? cache_put(user, span, index)
				   : hm_cache_put_away(user, span, index);
}

static void give(struct hm_cache *user)
{
	size_t i = draw(hm_max(live_count, 1));
	struct hm_span *span;
	uint64_t index = 0;

	if (live_count == 0)
		return;
	span = hm_span_find((uintptr_t)live[i].block);
	CHECK(hm_span_index(span, (uintptr_t)live[i].block, &index));
	CHECK_U32(span->class, live[i].class);
	CHECK(hm_span_is_live(span, index));
	CHECK(put(user, span, index));
	CHECK(!put(user, span, index));
	per_class[live[i].class]--;
	live[i] = live[--live_count];
}

static void rearrange(void)
{
	struct hm_cache *from = &caches[draw(COMMON)], *to = &caches[COMMON];

	switch (draw(6)) {
	case 0:
		hm_cache_move(from, to, HM_MOVE_USEFUL);
		break;
	case 1:
		hm_cache_move(from, to, HM_MOVE_ALL);
		hm_cache_add_live(to, from);
		break;
	case 2:
		hm_cache_move_idle(from, to, draw(4));
		break;
	case 3:
		hm_cache_collect(to);
		break;
	default:
		hm_cache_collect(from);
		break;
	}
}

/* Bytes that wait in the spans of a list to be taken over. */
static size_t waiting_in(const struct hm_span_list *list)
{
	size_t sum = 0;

	for (struct hm_span *span = list->first; span != NULL; span = span->next) {
		for (uint64_t i = 0; i < span->count; i++)
			sum += hm_block_state_of(&span->marks[i]) == HM_BLOCK_RETURNED
				       ? hm_span_block_size(span)
				       : 0;
	}
	return sum;
}

static void check_returned(void)
{
	size_t returned = 0, collected = 0, waiting = 0;

	for (unsigned i = 0; i < CACHES; i++) {
		const struct hm_cache *cache = &caches[i];

		returned += cache->returned;
		collected += cache->collected;
		waiting += waiting_in(&cache->full);
		for (unsigned kind = 0; kind < HM_SPAN_WHOLE; kind++)
			waiting += waiting_in(&cache->idle[kind]);
		for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++)
			waiting += waiting_in(&cache->bins[class].spans);
	}
	CHECK_SIZE(returned - collected, waiting);
}

static void check(void)
{
	for (unsigned i = 0; i < CACHES; i++)
		CHECK_STR(hm_cache_check(&caches[i]), NULL);
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
		int64_t sum = 0;

		for (unsigned i = 0; i < CACHES; i++)
			sum += cache_live(&caches[i], class);
		CHECK_INT(sum, per_class[class]);
	}
	if (draw(8) == 0)
		check_returned();
}

/* Grows, and shrinks again, a few times. */
static void step(unsigned number)
{
	bool growing = number / 2500 % 2 == 0;
	struct hm_cache *cache = &caches[draw(CACHES)];

	if (draw(40) == 0)
		rearrange();
	else if (draw(8) < (growing ? 5U : 2U))
		take(cache);
	else
		give(cache);
}

static void blocks_are_whose_they_are_whatever_the_caches_do(void)
{
	spans_begin();
	for (unsigned i = 0; i < CACHES; i++)
		cache_begin(&caches[i]);
	caches[COMMON].frugal = true;
	state = 0x5EED;
	for (unsigned i = 0; i < STEPS && !tap_failed(); i++) {
		tap_row("step %u", i);
		step(i);
		if (i % 16 == 0)
			check();
	}
	while (live_count != 0)
		give(&caches[draw(CACHES)]);
	check();
	/* Nothing is live, so nothing is full and all of it can be had. */
	for (unsigned i = 0; i < COMMON; i++)
		hm_cache_move(&caches[i], &caches[COMMON], HM_MOVE_ALL);
	hm_cache_collect(&caches[COMMON]);
	CHECK_SIZE(caches[COMMON].full.count, 0);
	for (unsigned i = 0; i < CACHES; i++)
		cache_end(&caches[i]);
	spans_end();
}

int main(void)
{
	TAP_RUN(blocks_are_whose_they_are_whatever_the_caches_do);
	return tap_done();
}
