/*
 * Caches that are no thread's, with spans on granules that do not exist.
 */
#ifndef HOSTMEM_UNIT_CACHES_H
#define HOSTMEM_UNIT_CACHES_H

#include "hostmem/caches.h"
#include "spans.h"

#define WHOLE ((uint32_t)HM_SPAN_SIZE)
/* 64 blocks of 1 KiB, in one window. */
#define KIB_CLASS 19U
#define KIB_BLOCKS 64U

/* The number of the heap that these caches serve. */
static const uint64_t cache_number;

static inline void cache_begin(struct hm_cache *cache)
{
	memset(cache, 0, sizeof(*cache));
	hm_cache_clear(cache);
	cache->most_idle = SIZE_MAX;
}

/* A new span of that cache. */
static inline struct hm_span *cache_span(struct hm_cache *cache, unsigned class,
					 uint32_t committed)
{
	struct hm_span *span = span_of(class, committed);

	hm_cache_enter_span(cache, span);
	return span;
}

/* A block as Alloc takes it; NULL: new pages are needed. */
static inline void *cache_take(struct hm_cache *cache, unsigned class)
{
	void *block = NULL;

	return hm_cache_take(cache, &cache_number, class, &block)
		       ? block
		       : hm_cache_find(cache, class);
}

/* Takes `count` blocks, each of the next address. */
static inline void cache_take_in_order(struct hm_cache *cache, struct hm_span *span,
				       unsigned from, unsigned count)
{
	for (unsigned i = from; i < from + count; i++)
		CHECK_POINTER(cache_take(cache, span->class), hm_span_block(span, i));
}

/* As Free puts it back, by its owner; false = it was not live. */
static inline bool cache_put(struct hm_cache *cache, struct hm_span *span, uint64_t index)
{
	bool too_many;

	return hm_cache_try_put(cache, &cache_number, span, hm_span_block(span, index)) ||
	       hm_cache_put(cache, span, index, &too_many);
}

static inline int64_t cache_live(const struct hm_cache *cache, unsigned class)
{
	return hm_bin_live(&cache->bins[class]);
}

static inline size_t cache_ready(const struct hm_cache *cache, unsigned class)
{
	return (size_t)(hm_bin_top(&cache->bins[class]) - cache->bins[class].first);
}

/* Deletes every span of it. */
static inline void cache_end(struct hm_cache *cache)
{
	struct hm_span_list *list;

	CHECK_STR(hm_cache_check(cache), NULL);
	hm_cache_collect(cache);
	for (size_t i = 0; i < HM_BLOCK_CLASSES + 1 + HM_SPAN_WHOLE; i++) {
		list = i < HM_BLOCK_CLASSES    ? &cache->bins[i].spans
		       : i == HM_BLOCK_CLASSES ? &cache->full
					       : &cache->idle[i - HM_BLOCK_CLASSES - 1];
		while (list->first != NULL) {
			struct hm_span *span = list->first;

			span->busy = false;
			hm_cache_remove_span(cache, span);
			hm_span_delete(span);
		}
	}
}

#endif
