/*
 * Caches: the spans of one thread, or of nobody, and their lists.
 *
 * A span is in the list of its class while it may have free blocks, then in that of the
 * full ones, and in the idle list when nothing in it is live.  The first of its class stays,
 * or a program that allocates and frees one block would format a span each time.
 *
 * What others free of a thread's spans waits in the spans' own bits.  Each span with such
 * blocks is in its owner's queue once; the owner looks there when it has nothing else, so
 * that a queue is taken over as a whole and its atomic operations are shared by many blocks.
 *
 * Locks: none but as caches.h says; callers have seen to it.
 */
#include "caches.h"
#include "os/check.h"

/* The first pages that a class asks for; each time twice as many, up to a span. */
#define FIRST_STEP ((uint32_t)HM_PAGE_SIZE)

/* ---- Lists ---- */

static struct hm_cache_bin *bin_of(struct hm_cache *cache, const struct hm_span *span)
{
	return &cache->bins[span->class];
}

static bool has_room(const struct hm_span *span)
{
	return span->count < span->capacity;
}

static struct hm_span_list *list_of(struct hm_cache *cache, const struct hm_span *span)
{
	if (span->place == HM_SPAN_FULL)
		return &cache->full;
	return span->place == HM_SPAN_IDLE ? &cache->idle[span->kind]
					   : &bin_of(cache, span)->spans;
}

void hm_cache_enter_span(struct hm_cache *cache, struct hm_span *span)
{
	struct hm_cache_bin *bin = bin_of(cache, span);

	span->bin = bin;
	atomic_store_explicit(&span->owner, cache, memory_order_relaxed);
	if (hm_span_advance(span))
		hm_span_push(&bin->spans, span, HM_SPAN_LISTED);
	else
		hm_span_push(&cache->full, span, HM_SPAN_FULL);
	if (bin->growing == NULL && has_room(span))
		bin->growing = span;
}

static void count(struct hm_cache_bin *bin, int64_t change)
{
	hm_bin_set_state(bin, hm_bin_state(bin) + (uint64_t)change * HM_BIN_LIVE);
}

static void nothing_ready(struct hm_cache_bin *bin)
{
	hm_bin_set_state(bin, hm_bin_state(bin) & ~HM_BIN_READY);
}

/* Out of its list, and out of the mind of its class. */
static void take_out(struct hm_cache *cache, struct hm_span *span)
{
	struct hm_cache_bin *bin = bin_of(cache, span);

	if (bin->growing == span)
		bin->growing = NULL;
	nothing_ready(bin);
	hm_span_unlink(list_of(cache, span), span);
}

void hm_cache_remove_span(struct hm_cache *cache, struct hm_span *span)
{
	hm_assert(!span->busy);
	/* Nobody may find it in the queue later. */
	if (atomic_load_explicit(&span->queued, memory_order_relaxed) != 0)
		hm_cache_collect(cache);
	take_out(cache, span);
}

static void make_idle(struct hm_cache *cache, struct hm_span *span)
{
	take_out(cache, span);
	hm_span_push(&cache->idle[span->kind], span, HM_SPAN_IDLE);
}

static void add(_Atomic size_t *sum, size_t bytes)
{
	atomic_store_explicit(sum,
			      atomic_load_explicit(sum, memory_order_relaxed) + bytes,
			      memory_order_relaxed);
}

static void note_collected(struct hm_cache *cache, const struct hm_span *span,
			   struct hm_collected collected)
{
	add(&cache->collected, collected.blocks * hm_span_block_size(span));
	/* Freed twice and counted twice, see spans.c. */
	count(bin_of(cache, span), collected.twice);
}

bool hm_cache_is_empty(struct hm_cache *cache, struct hm_span *span)
{
	struct hm_collected collected;

	if (span->busy || !hm_span_is_empty(span, &collected))
		return false;
	note_collected(cache, span, collected);
	return true;
}

/* The first span of a class stays when nothing in it is live; the others do not. */
static bool is_to_be_idle(struct hm_cache *cache, struct hm_span *span)
{
	return span->place == HM_SPAN_LISTED &&
	       (cache->frugal || bin_of(cache, span)->spans.first != span) &&
	       hm_cache_is_empty(cache, span);
}

bool hm_cache_rearrange(struct hm_cache *cache, struct hm_span *span)
{
	struct hm_cache_bin *bin = bin_of(cache, span);
	struct hm_span *first = bin->spans.first;

	if (span->place == HM_SPAN_FULL) {
		hm_span_unlink(&cache->full, span);
		hm_span_push(&bin->spans, span, HM_SPAN_LISTED);
		if (first != NULL && is_to_be_idle(cache, first))
			make_idle(cache, first);
	}
	if (is_to_be_idle(cache, span))
		make_idle(cache, span);
	return cache->idle[HM_SPAN_COARSE].count + cache->idle[HM_SPAN_FINE].count >
	       cache->most_idle;
}

/* An idle span in which a block of that class has pages; NULL = none. */
static struct hm_span *find_idle(struct hm_cache *cache, unsigned class)
{
	struct hm_span *span = cache->idle[hm_span_kind_of(class)].first;

	while (span != NULL && span->committed < hm_block_size(class))
		span = span->next;
	return span;
}

static bool use_idle(struct hm_cache *cache, unsigned class)
{
	struct hm_span *span = find_idle(cache, class);

	if (span == NULL)
		return false;
	hm_span_unlink(&cache->idle[span->kind], span);
	hm_span_format(span, class);
	hm_cache_enter_span(cache, span);
	return true;
}

/* ---- Blocks ---- */

/* Takes over what others have freed in one span. */
static bool collect_span(struct hm_cache *cache, struct hm_span *span)
{
	note_collected(cache, span, hm_span_collect(span));
	return hm_span_advance(span);
}

void hm_cache_collect(struct hm_cache *cache)
{
	struct hm_span *span = atomic_exchange(&cache->queue, NULL);

	while (span != NULL) {
		struct hm_span *next = atomic_load_explicit(&span->next_queued,
							    memory_order_relaxed);

		/* First: whoever frees from now on enters it again. */
		atomic_exchange(&span->queued, 0);
		if (collect_span(cache, span))
			(void)hm_cache_rearrange(cache, span);
		span = next;
	}
}

bool hm_cache_put(struct hm_cache *cache, struct hm_span *span, uint64_t index,
		  bool *too_many)
{
	struct hm_span_word *word = &span->words[index / 64];
	uint64_t bit = UINT64_C(1) << (index % 64);

	if (!hm_span_is_live(span, index))
		return false;
	atomic_store_explicit(&word->free,
			      atomic_load_explicit(&word->free, memory_order_relaxed) |
				      bit,
			      memory_order_relaxed);
	count(bin_of(cache, span), -1);
	*too_many = hm_cache_rearrange(cache, span);
	return true;
}

/* Makes what one word of a span has ready, so that the lowest is taken first. */
static void make_ready(struct hm_cache_bin *bin, struct hm_span *span)
{
	struct hm_span_word *word = &span->words[span->cursor];
	/* One that is marked twice was freed twice; it is not to be taken in between. */
	uint64_t bits = atomic_load_explicit(&word->free, memory_order_relaxed) &
			~atomic_load_explicit(&word->returned, memory_order_relaxed);
	size_t size = hm_span_block_size(span);
	char *first = hm_span_block(span, (size_t)span->cursor * 64);
	unsigned found = (unsigned)__builtin_popcountll(bits);
	unsigned ready = found < HM_CACHE_READY ? found : HM_CACHE_READY;

	hm_bin_set_state(bin, hm_bin_state(bin) + ready * HM_BIN_ONE_READY);
	for (; ready != 0; bits &= bits - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(bits);

		ready--;
		bin->ready[ready].block = first + bit * size;
		bin->ready[ready].spot = hm_span_spot_of(word, bit);
	}
}

void *hm_cache_find(struct hm_cache *cache, unsigned class)
{
	struct hm_cache_bin *bin = &cache->bins[class];
	bool collected = false;
	void *block = NULL;

	while ((hm_bin_state(bin) & HM_BIN_READY) == 0) {
		struct hm_span *span = bin->spans.first;

		if (span != NULL) {
			if (hm_span_advance(span) || collect_span(cache, span)) {
				make_ready(bin, span);
				/* All of them freed twice: the second mark goes. */
				if ((hm_bin_state(bin) & HM_BIN_READY) == 0)
					(void)collect_span(cache, span);
			} else {
				hm_span_unlink(&bin->spans, span);
				hm_span_push(&cache->full, span, HM_SPAN_FULL);
			}
		} else if (!collected) {
			hm_cache_collect(cache);
			collected = true;
		} else if (!use_idle(cache, class)) {
			return NULL;
		}
	}
	(void)hm_cache_take(cache, class, &block);
	return block;
}

bool hm_cache_put_away(struct hm_cache *cache, struct hm_span *span, uint64_t index)
{
	unsigned class = span->class;
	struct hm_cache *owner;
	struct hm_span *first;

	if (!hm_span_return(span, index))
		return false;
	count(&cache->bins[class], -1);
	add(&cache->returned, hm_block_size(class));
	if (atomic_load(&span->queued) != 0 || atomic_exchange(&span->queued, 1) != 0)
		return true;
	owner = atomic_load_explicit(&span->owner, memory_order_relaxed);
	first = atomic_load_explicit(&owner->queue, memory_order_relaxed);
	do {
		atomic_store_explicit(&span->next_queued, first, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak(&owner->queue, &first, span));
	return true;
}

/* ---- Spans from one to the other ---- */

bool hm_cache_adopt(struct hm_cache *cache, struct hm_cache *common, unsigned class)
{
	struct hm_span *span = common->bins[class].spans.first;

	while (span != NULL && span->busy)
		span = span->next;
	if (span == NULL) {
		span = find_idle(common, class);
		if (span == NULL)
			return false;
		hm_cache_remove_span(common, span);
		hm_span_format(span, class);
	} else {
		hm_cache_remove_span(common, span);
	}
	hm_cache_enter_span(cache, span);
	return true;
}

static void hand_over(struct hm_cache *from, struct hm_cache *to, struct hm_span *span)
{
	bool idle = span->place == HM_SPAN_IDLE;

	if (span->busy)
		return;
	hm_cache_remove_span(from, span);
	hm_cache_enter_span(to, span);
	if (idle || (to->frugal && hm_cache_is_empty(to, span)))
		make_idle(to, span);
}

static void hand_over_list(struct hm_cache *from, struct hm_cache *to,
			   const struct hm_span_list *list)
{
	struct hm_span *next;

	for (struct hm_span *span = list->first; span != NULL; span = next) {
		next = span->next;
		hand_over(from, to, span);
	}
}

void hm_cache_move(struct hm_cache *from, struct hm_cache *to, enum hm_cache_move what)
{
	hm_cache_collect(from);
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++)
		hand_over_list(from, to, &from->bins[class].spans);
	for (unsigned kind = 0; kind < HM_SPAN_WHOLE; kind++)
		hand_over_list(from, to, &from->idle[kind]);
	if (what == HM_MOVE_ALL)
		hand_over_list(from, to, &from->full);
}

void hm_cache_move_idle(struct hm_cache *from, struct hm_cache *to, size_t kept)
{
	for (unsigned kind = 0; kind < HM_SPAN_WHOLE; kind++) {
		struct hm_span_list *idle = &from->idle[kind];

		while (idle->count > kept)
			hand_over(from, to, idle->first);
		kept -= hm_min(kept, idle->count);
	}
}

void hm_cache_clear(struct hm_cache *cache)
{
	cache->full = (struct hm_span_list){ NULL, 0 };
	for (unsigned kind = 0; kind < HM_SPAN_WHOLE; kind++)
		cache->idle[kind] = (struct hm_span_list){ NULL, 0 };
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
		struct hm_cache_bin *bin = &cache->bins[class];

		bin->spans = (struct hm_span_list){ NULL, 0 };
		bin->growing = NULL;
		bin->step = FIRST_STEP;
		hm_bin_set_state(bin, 0);
	}
	atomic_store_explicit(&cache->queue, NULL, memory_order_relaxed);
	cache->returned = cache->collected = 0;
}

void hm_cache_add_live(struct hm_cache *to, struct hm_cache *from)
{
	add(&to->returned, from->returned);
	add(&to->collected, from->collected);
	from->returned = from->collected = 0;
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
		count(&to->bins[class], hm_bin_live(&from->bins[class]));
		hm_bin_set_state(&from->bins[class], 0);
	}
}

/* ---- Checking ---- */

static const char *check_list(const struct hm_cache *cache,
			      const struct hm_span_list *list, enum hm_span_place place)
{
	const struct hm_span *span = list->first;
	const char *broken = NULL;
	size_t count = 0;

	for (; span != NULL && broken == NULL; span = span->next, count++) {
		broken = hm_span_check(span);
		if (broken == NULL && span->place != place)
			broken = "a span is in another list than it says";
		if (atomic_load_explicit(&span->owner, memory_order_relaxed) != cache)
			broken = "a span is in the list of somebody else";
	}
	return broken == NULL && count != list->count ? "a list is miscounted" : broken;
}

const char *hm_cache_check(const struct hm_cache *cache)
{
	const char *broken = check_list(cache, &cache->full, HM_SPAN_FULL);

	for (unsigned kind = 0; kind < HM_SPAN_WHOLE && broken == NULL; kind++)
		broken = check_list(cache, &cache->idle[kind], HM_SPAN_IDLE);
	for (unsigned class = 0; class < HM_BLOCK_CLASSES && broken == NULL; class ++) {
		const struct hm_cache_bin *bin = &cache->bins[class];

		broken = check_list(cache, &bin->spans, HM_SPAN_LISTED);
		if (broken == NULL && bin->growing != NULL &&
		    bin->growing->class != class)
			broken = "what grows is of another class";
	}
	return broken;
}
