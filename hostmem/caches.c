/*
 * Caches: the spans of one thread, or of nobody, and their lists.
 *
 * A span is in the list of its class while it may have free blocks, then in that of the
 * full ones, and in the idle list when nothing in it is live.  The first of its class stays,
 * or a program that allocates and frees one block would format a span each time.
 *
 * Whether anything is live in a span is not asked with every block that is freed, which would
 * cost as much as all else.  A block that is freed is among those that are ready; when it
 * loses its place there, or pages are needed, its span is looked at.
 *
 * What others free of a thread's spans waits in the spans' own marks.  Each span with such
 * blocks is in its owner's queue once; the owner looks there when it has nothing else, so
 * that a queue is taken over as a whole and its atomic operations are shared by many blocks.
 *
 * Locks: none but as caches.h says; callers have seen to it.
 */
#include "caches.h"
#include "os/check.h"
#include "os/container.h"

/* Times that ready blocks are left alone at most, see settle. */
#define LONGEST_PAUSE 63U

/* ---- Lists ---- */

static struct hm_cache_bin *bin_of(struct hm_cache *cache, const struct hm_span *span)
{
	return &cache->bins[hm_span_class(span)];
}

static bool has_room(const struct hm_span *span)
{
	return hm_span_count(span) < span->capacity;
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

	atomic_store_explicit(&span->bin, bin, memory_order_relaxed);
	atomic_store_explicit(&span->owner, cache, memory_order_relaxed);
	if (hm_span_advance(span))
		hm_span_push(&bin->spans, span, HM_SPAN_LISTED);
	else
		hm_span_push(&cache->full, span, HM_SPAN_FULL);
	if (bin->growing == NULL && has_room(span))
		bin->growing = span;
}

static void unlist(struct hm_cache *cache, struct hm_span *span)
{
	struct hm_cache_bin *bin = bin_of(cache, span);

	if (bin->growing == span)
		bin->growing = NULL;
	hm_span_unlink(list_of(cache, span), span);
}

size_t hm_cache_idle_count(const struct hm_cache *cache)
{
	size_t count = 0;

	for (unsigned kind = 0; kind < HM_SPAN_WHOLE; kind++)
		count += cache->idle[kind].count;
	return count;
}

void hm_cache_remove_span(struct hm_cache *cache, struct hm_span *span)
{
	struct hm_cache_bin *bin = bin_of(cache, span);

	hm_assert(!span->busy);
	/* Nobody may find it in the queue later. */
	if (atomic_load_explicit(&span->queued, memory_order_relaxed) != 0)
		hm_cache_collect(cache);
	if (span->place == HM_SPAN_LISTED)
		hm_bin_forget_all(bin);
	unlist(cache, span);
}

/* The caller sees to those that are ready. */
static void retire(struct hm_cache *cache, struct hm_span *span)
{
	unlist(cache, span);
	hm_span_push(&cache->idle[span->kind], span, HM_SPAN_IDLE);
}

void hm_cache_make_idle(struct hm_cache *cache, struct hm_span *span)
{
	retire(cache, span);
	hm_bin_purge(bin_of(cache, span), cache);
}

/* ---- Spans in which nothing is live ---- */

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
	hm_bin_count(bin_of(cache, span), collected.twice);
}

bool hm_cache_is_empty(struct hm_cache *cache, struct hm_span *span)
{
	struct hm_collected collected;
	bool empty;

	if (span->busy)
		return false;
	empty = hm_span_is_empty(span, &collected);
	note_collected(cache, span, collected);
	return empty;
}

/* The first span of a class stays when nothing in it is live; the others do not. */
static bool is_to_be_idle(struct hm_cache *cache, struct hm_span *span)
{
	return span->place == HM_SPAN_LISTED &&
	       (cache->frugal || bin_of(cache, span)->spans.first != span) &&
	       hm_cache_is_empty(cache, span);
}

void hm_cache_look_behind(struct hm_cache *cache, struct hm_span *span)
{
	if (span->place == HM_SPAN_LISTED && span->next != NULL &&
	    is_to_be_idle(cache, span->next))
		hm_cache_make_idle(cache, span->next);
}

bool hm_cache_rearrange(struct hm_cache *cache, struct hm_span *span)
{
	if (span->place == HM_SPAN_FULL) {
		hm_span_unlink(&cache->full, span);
		hm_span_push(&bin_of(cache, span)->spans, span, HM_SPAN_LISTED);
		hm_cache_look_behind(cache, span);
	}
	if (is_to_be_idle(cache, span))
		hm_cache_make_idle(cache, span);
	return hm_cache_idle_count(cache) > cache->most_idle;
}

/* The spans of the first so many that are ready become idle if nothing in them is live;
 * whether there was one: who is ready has to be purged then. */
static bool examine_ready(struct hm_cache *cache, const struct hm_cache_bin *bin,
			  size_t count)
{
	const struct hm_ready *ready = bin->first;
	uintptr_t seen = 0;
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		uintptr_t block = (uintptr_t)ready[i].block;
		struct hm_span *span;

		if (block / HM_SPAN_SIZE == seen || !hm_block_looks_lonely(ready[i].mark))
			continue;
		seen = block / HM_SPAN_SIZE;
		span = hm_span_find(block);
		if (is_to_be_idle(cache, span)) {
			retire(cache, span);
			any = true;
		}
	}
	return any;
}

/*
 * The older half loses its place.  Where a span has become empty others are about to: then
 * all do, and few have one from now on.
 */
static void make_room(struct hm_cache *cache, struct hm_cache_bin *bin)
{
	size_t count = hm_bin_count_ready(bin);

	if (!examine_ready(cache, bin, count / 2)) {
		hm_bin_forget_first(bin, count / 2);
		return;
	}
	(void)examine_ready(cache, bin, count);
	hm_bin_forget_all(bin);
	hm_bin_limit_ready(bin, HM_READY_FEW);
}

/*
 * The spans of ready blocks in which nothing is live become idle, but for the first of each
 * class; whether there was one.  If that is asked in vain it costs as much, so it is then
 * asked less and less often.
 */
static bool settle(struct hm_cache *cache)
{
	bool any = false;

	if (cache->paused++ < cache->pause)
		return false;
	cache->paused = 0;

	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
		struct hm_cache_bin *bin = &cache->bins[class];
		size_t count = hm_bin_count_ready(bin);

		if (count != 0 && examine_ready(cache, bin, count)) {
			hm_bin_purge(bin, cache);
			any = true;
		}
	}
	cache->pause = any ? 0 : (uint32_t)hm_min(cache->pause * 2 + 1, LONGEST_PAUSE);
	return any;
}

struct hm_span *hm_cache_find_idle(struct hm_cache *cache, unsigned class)
{
	for (unsigned kind = hm_span_kind_of(class); kind < HM_SPAN_WHOLE; kind++) {
		struct hm_span *span = cache->idle[kind].first;

		while (span != NULL && span->committed < hm_block_size(class))
			span = span->next;
		if (span != NULL)
			return span;
	}
	return NULL;
}

static bool use_idle(struct hm_cache *cache, unsigned class)
{
	struct hm_span *span = hm_cache_find_idle(cache, class);

	if (span == NULL)
		return false;
	hm_span_unlink(&cache->idle[span->kind], span);
	hm_span_format(span, class);
	hm_cache_enter_span(cache, span);
	return true;
}

/* ---- Blocks ---- */

bool hm_cache_is_at_work(const struct hm_quick *quick)
{
	const struct hm_cache *cache = hm_const_container_of(quick, struct hm_cache,
							     quick);
	bool any = false;

	for (unsigned class = 0; class < HM_BLOCK_CLASSES && !any; class ++)
		any = hm_bin_is_at_work(&cache->bins[class]);
	return any;
}

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

static void put_ready(struct hm_cache *cache, struct hm_span *span, uint64_t index)
{
	struct hm_cache_bin *bin = bin_of(cache, span);

	if (hm_bin_top(bin) == bin->limit)
		make_room(cache, bin);
	/* It may have become idle by that. */
	if (span->place == HM_SPAN_LISTED)
		hm_bin_make_ready(bin, span, index);
}

bool hm_cache_put(struct hm_cache *cache, struct hm_span *span, uint64_t index,
		  bool *too_many)
{
	if (!hm_span_is_live(span, index))
		return false;
	hm_block_become(&span->marks[index], HM_BLOCK_FREE);
	hm_bin_count(bin_of(cache, span), -1);
	if (cache->frugal || span->place == HM_SPAN_FULL)
		(void)hm_cache_rearrange(cache, span);
	else
		put_ready(cache, span, index);
	*too_many = hm_cache_idle_count(cache) > cache->most_idle;
	return true;
}

/* The last one that is ready. */
static void *take(struct hm_cache_bin *bin)
{
	struct hm_ready *last = hm_bin_top(bin) - 1;

	hm_block_become(last->mark, HM_BLOCK_LIVE);
	hm_bin_give_up(bin);
	hm_bin_set_top(bin, last);
	return last->block;
}

void *hm_cache_find(struct hm_cache *cache, unsigned class)
{
	struct hm_cache_bin *bin = &cache->bins[class];
	bool collected = false, settled = false;

	if (hm_bin_count_ready(bin) == 0)
		hm_bin_limit_ready(bin, hm_ready_most(class));
	while (hm_bin_count_ready(bin) == 0) {
		struct hm_span *span = bin->spans.first;

		if (span != NULL) {
			if (hm_span_advance(span) || collect_span(cache, span)) {
				hm_bin_make_window_ready(bin, span);
			} else {
				hm_span_unlink(&bin->spans, span);
				hm_span_push(&cache->full, span, HM_SPAN_FULL);
			}
		} else if (!collected) {
			hm_cache_collect(cache);
			collected = true;
		} else if (!use_idle(cache, class)) {
			if (settled || !settle(cache))
				return NULL;
			settled = true;
		}
	}
	return take(bin);
}

bool hm_cache_put_away(struct hm_cache *cache, struct hm_span *span, uint64_t index)
{
	unsigned class = hm_span_class(span);
	struct hm_cache *owner;
	struct hm_span *first;

	if (!hm_span_return(span, index))
		return false;
	hm_bin_count(&cache->bins[class], -1);
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

void hm_cache_clear(struct hm_cache *cache)
{
	struct hm_ready *none = cache->ready;

	cache->pause = cache->paused = 0;
	cache->full = (struct hm_span_list){ NULL, 0 };
	for (unsigned kind = 0; kind < HM_SPAN_WHOLE; kind++)
		cache->idle[kind] = (struct hm_span_list){ NULL, 0 };
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
		hm_bin_clear(&cache->bins[class], none, hm_ready_most(class));
		none += 1 + hm_ready_most(class);
	}
	atomic_store_explicit(&cache->queue, NULL, memory_order_relaxed);
	cache->returned = cache->collected = 0;
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
		if (broken == NULL)
			broken = hm_bin_check(bin, cache);
	}
	return broken;
}
