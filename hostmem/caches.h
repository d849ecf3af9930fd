#ifndef HOSTMEM_CACHES_H
#define HOSTMEM_CACHES_H

#include "quick.h"
#include "spans.h"

/*
 * What one thread has of one heap: spans that are its own.  The owner takes blocks from
 * them and puts blocks back in quick calls, without a lock or an atomic addition.
 *
 * Each heap has a cache that is nobody's, the common one.  There is what threads have left
 * behind when they ended or were stopped; a heap for one thread at a time has no other.
 *
 * Who may touch what
 *   - a thread's own cache: that thread, in a quick call; whoever has stopped quick calls;
 *   - the common cache: under the lock of its heap; of a heap for one thread at a time:
 *     its caller, in a quick call, and who has stopped those;
 *   - a span: who may touch its owner.  It changes its owner where both may be touched.
 */
struct hm_cache_bin {
	struct hm_span_list spans; /* with free blocks, as far as the owner knows */
	struct hm_span *growing;   /* has room for more pages, and nobody is at it */
	uint32_t step;             /* bytes of pages to ask for next time */
	_Atomic int64_t
		live; /* blocks taken less blocks put back by its users: the sum over
				 all caches of a heap is what is live */
};

struct hm_cache {
	struct hm_quick quick;
	_Atomic uint64_t serves; /* the number of the heap; 0 = none */
	_Atomic(struct hm_heap *) heap;
	struct hm_cache *next;     /* of the same thread; of those that nobody has */
	struct hm_cache *next_all; /* of all there are, for good */
	bool common;               /* nobody's own */
	bool frugal; /* does not keep the last span of a class when nothing in it is live */
	size_t most_idle; /* more idle spans than this are too many */
	struct hm_span_list full;
	struct hm_span_list idle[HM_SPAN_WHOLE];
	struct hm_cache_bin bins[HM_BLOCK_CLASSES];

	/* Spans of which others have freed blocks; pushed by them. */
	_Alignas(64) _Atomic(struct hm_span *) queue;
};

/* An empty cache, out of nothing: lists and steps. */
void hm_cache_clear(struct hm_cache *cache);

/* ---- Blocks ---- */

/* A free block of that class, NULL if the first span has none under its cursor. */
static inline void *hm_cache_take(struct hm_cache *cache, unsigned class)
{
	struct hm_cache_bin *bin = &cache->bins[class];
	struct hm_span *span = bin->spans.first;
	void *block;

	if (span == NULL)
		return NULL;
	block = hm_span_take(span);
	if (block != NULL)
		atomic_store_explicit(&bin->live,
				      atomic_load_explicit(&bin->live,
							   memory_order_relaxed) +
					      1,
				      memory_order_relaxed);
	return block;
}

static inline void hm_cache_count_put(struct hm_cache *cache, unsigned class)
{
	_Atomic int64_t *live = &cache->bins[class].live;

	atomic_store_explicit(live, atomic_load_explicit(live, memory_order_relaxed) - 1,
			      memory_order_relaxed);
}

/* The same, after looking at all that the cache has: other words, other spans, what others
 * have freed, idle spans. */
void *hm_cache_find(struct hm_cache *cache, unsigned class);

/* A span of this cache has no live block any more, or was full and is not.  true: there are
 * too many idle spans now, see hm_heap_shed. */
bool hm_cache_rearrange(struct hm_cache *cache, struct hm_span *span);

/* Frees a live block of one of its own spans; true as above. */
static inline bool hm_cache_put(struct hm_cache *cache, struct hm_span *span,
				size_t index)
{
	hm_span_put(span, index);
	hm_cache_count_put(cache, span->class);
	if (span->used != 0 && span->place != HM_SPAN_FULL)
		return false;
	return hm_cache_rearrange(cache, span);
}

/* Frees a block of another thread's span, for a thread that uses `cache`; false = it was
 * not live. */
bool hm_cache_put_away(struct hm_cache *cache, struct hm_span *span, size_t index);

/* Takes over what others have freed. */
void hm_cache_collect(struct hm_cache *cache);

/* ---- Spans ---- */

/* Makes a span one of this cache: listed or full by what it has, growing if it has room. */
void hm_cache_enter_span(struct hm_cache *cache, struct hm_span *span);
/* Takes a span that is not busy out of its owner's lists. */
void hm_cache_remove_span(struct hm_cache *cache, struct hm_span *span);
/* Takes over a span of `class` from the common cache: one with free blocks, else an idle
 * one; false = there is none. */
bool hm_cache_adopt(struct hm_cache *cache, struct hm_cache *common, unsigned class);

/* The same for idle spans, but for `kept` of them. */
void hm_cache_move_idle(struct hm_cache *from, struct hm_cache *to, size_t kept);
/* Counts what the users of one cache have taken and put back to another one. */
void hm_cache_add_live(struct hm_cache *to, struct hm_cache *from);

enum hm_cache_move {
	HM_MOVE_USEFUL, /* what has free blocks, or is idle */
	HM_MOVE_ALL,
};
/* Hands spans over, but for those that are busy. */
void hm_cache_move(struct hm_cache *from, struct hm_cache *to, enum hm_cache_move what);

/* NULL if the cache keeps its rules (it may be touched), else the rule broken. */
const char *hm_cache_check(const struct hm_cache *cache);

#endif
