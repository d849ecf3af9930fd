#ifndef HOSTMEM_CACHES_H
#define HOSTMEM_CACHES_H

#include "bins.h"
#include "quick.h"

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
 *   - a span: who may touch its owner.  It leaves the common cache under the lock; it leaves
 *     a thread's, and is given back, only while quick calls are stopped, because another
 *     thread that has freed a block in it is about to enter it in its owner's queue.
 */
struct hm_cache {
	struct hm_cache_bin bins[HM_BLOCK_CLASSES];

	/* Its purpose is the number of the heap that it serves; 0 = none. */
	struct hm_quick quick;
	_Atomic(struct hm_heap *) heap;
	struct hm_cache *next;     /* of the same thread; of those that nobody has */
	struct hm_cache *next_all; /* of all there are, for good */
	bool common;               /* nobody's own */
	bool frugal; /* does not keep the last span of a class when nothing in it is live */
	size_t most_idle; /* more idle spans than this are too many */
	/* How often hm_cache_find leaves ready blocks alone that it could look at, and how
	 * often it has. */
	uint32_t pause, paused;
	/* Bytes of blocks of others' spans that its users have freed, and of its own that it
	 * has taken over; the difference of the sums over all caches of a heap lies idle. */
	_Atomic size_t returned, collected;
	struct hm_span_list full;
	struct hm_span_list idle[HM_SPAN_WHOLE];

	/* Spans of which others have freed blocks; pushed by them. */
	_Alignas(64) _Atomic(struct hm_span *) queue;

	/* Those of the bins.  Zero until it is used: most of it never is. */
	_Alignas(64) struct hm_ready ready[HM_READY_ALL];
};

/* An empty cache, out of nothing: lists and steps. */
void hm_cache_clear(struct hm_cache *cache);

/* ---- Blocks ---- */

/* For its `quick`: whether one of the calls below is inside. */
bool hm_cache_is_at_work(const struct hm_quick *quick);

/*
 * A quick call of its own: a block of that class that is ready, if the cache is for that
 * heap; false: nothing done, see hm_cache_find.
 */
HM_QUICK bool hm_cache_take(struct hm_cache *cache, const uint64_t *number,
			    unsigned class, void **block)
{
	struct hm_cache_bin *bin = &cache->bins[class];
	struct hm_ready *top, *last;
	void *found;

	HM_KEEP(bin);
	top = hm_bin_top(bin);
	hm_bin_begin(bin, top);
	if (HM_LIKELY(hm_quick_is_for(&cache->quick, number))) {
		last = top - 1;
		found = last->block;
		if (HM_LIKELY(found != NULL)) {
			hm_block_become(last->mark, HM_BLOCK_LIVE);
			*block = found;
			hm_bin_set_top(bin, last);
			return true;
		}
	}
	hm_bin_give_up(bin);
	return false;
}

/* The same, after looking at all that the cache has: other blocks, other spans, what others
 * have freed, idle spans. */
void *hm_cache_find(struct hm_cache *cache, unsigned class);

/* A span has become the first of its class: the one that was may have no live block, which
 * was allowed to the first only. */
void hm_cache_look_behind(struct hm_cache *cache, struct hm_span *span);

/*
 * A span of this cache was full and is not, or may have no live block any more.  true: there
 * are too many idle spans now.
 */
bool hm_cache_rearrange(struct hm_cache *cache, struct hm_span *span);

/*
 * The same for a block that is freed; false: nothing done, hm_cache_put has to: it is not a
 * live block of a span that is listed, or there is no room among those that are ready.
 *
 * Whether anything else is live in the span is not asked here, but before its place among
 * those that are ready is given up, and before there is need for pages.
 */
HM_QUICK bool hm_cache_try_put(struct hm_cache *cache, const uint64_t *number,
			       struct hm_span *span, void *block)
{
	struct hm_cache_bin *bin = hm_span_bin(span);
	struct hm_ready *top;
	hm_block_mark *mark;
	uint64_t index;

	/* In this order: what is this thread's now has been so since the bin was read. */
	if (!HM_LIKELY(atomic_load_explicit(&span->lister, memory_order_relaxed) ==
		       cache) ||
	    !HM_LIKELY(hm_span_index(span, (uintptr_t)block, &index)))
		return false;
	mark = &span->marks[index];
	HM_KEEP(mark);
	top = hm_bin_top(bin);
	hm_bin_begin(bin, top);
	if (HM_LIKELY(hm_quick_is_for(&cache->quick, number)) &&
	    HM_LIKELY(hm_block_state_of(mark) == HM_BLOCK_LIVE) &&
	    HM_LIKELY(top != bin->limit)) {
		hm_block_become(mark, HM_BLOCK_FREE);
		top->block = block;
		top->mark = mark;
		hm_bin_set_top(bin, top + 1);
		return true;
	}
	hm_bin_give_up(bin);
	return false;
}

/* The same in any case, of any of its spans; false = it was not live.  *too_many as
 * hm_cache_rearrange. */
bool hm_cache_put(struct hm_cache *cache, struct hm_span *span, uint64_t index,
		  bool *too_many);

/* Whether nothing in a span of its own is live, and nobody is at it. */
bool hm_cache_is_empty(struct hm_cache *cache, struct hm_span *span);

/* Frees a block of another thread's span, for a thread that uses `cache`; false = it was
 * not live. */
bool hm_cache_put_away(struct hm_cache *cache, struct hm_span *span, uint64_t index);

/* Takes over what others have freed. */
void hm_cache_collect(struct hm_cache *cache);

/* ---- Spans ---- */

/* Makes a span one of this cache: listed or full by what it has, growing if it has room. */
void hm_cache_enter_span(struct hm_cache *cache, struct hm_span *span);
/* Takes a span that is not busy out of its owner's lists. */
void hm_cache_remove_span(struct hm_cache *cache, struct hm_span *span);
size_t hm_cache_idle_count(const struct hm_cache *cache);

/* Takes over a span of `class` from the common cache: one with free blocks, else an idle
 * one; false = there is none. */
bool hm_cache_adopt(struct hm_cache *cache, struct hm_cache *common, unsigned class);
/* An idle span with enough marks in which a block of that class has pages; NULL = none. */
struct hm_span *hm_cache_find_idle(struct hm_cache *cache, unsigned class);
/* A span in which nothing is live goes to the idle ones. */
void hm_cache_make_idle(struct hm_cache *cache, struct hm_span *span);

/* Hands over idle spans, but for `kept` of them. */
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
