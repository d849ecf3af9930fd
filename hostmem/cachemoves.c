/*
 * Spans that go from one cache to another: what a thread takes over from the common cache,
 * what it leaves behind, and what others take away from it.
 *
 * A span that is busy stays: its owner is about to come back to it.  The blocks of one that
 * goes are not ready any more, and what others have freed in it has been taken over, so that
 * it is in no queue.
 *
 * Locks: none but as caches.h says; callers have seen to it.
 */
#include "caches.h"

bool hm_cache_adopt(struct hm_cache *cache, struct hm_cache *common, unsigned class)
{
	struct hm_span *span = common->bins[class].spans.first;

	while (span != NULL && span->busy)
		span = span->next;
	if (span == NULL) {
		span = hm_cache_find_idle(common, class);
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
		hm_cache_make_idle(to, span);
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

static void move_sum(_Atomic size_t *to, _Atomic size_t *from)
{
	atomic_fetch_add_explicit(to, atomic_load_explicit(from, memory_order_relaxed),
				  memory_order_relaxed);
	atomic_store_explicit(from, 0, memory_order_relaxed);
}

void hm_cache_add_live(struct hm_cache *to, struct hm_cache *from)
{
	move_sum(&to->returned, &from->returned);
	move_sum(&to->collected, &from->collected);
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
		int64_t live = hm_bin_live(&from->bins[class]);

		hm_bin_count(&to->bins[class], live);
		hm_bin_count(&from->bins[class], -live);
	}
}
