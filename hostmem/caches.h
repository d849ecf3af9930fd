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
 *   - a span: who may touch its owner.  It leaves the common cache under the lock; it leaves
 *     a thread's, and is given back, only while quick calls are stopped, because another
 *     thread that has freed a block in it is about to enter it in its owner's queue.
 */
struct hm_ready {
	void *block;
	hm_span_spot spot;
};

#define HM_CACHE_READY 28U /* fills 512 bytes */

struct hm_cache_bin {
	/*
	 * Bytes of what is ready, in the lower 16 bits, and above how many blocks its users
	 * have taken less those that they have put back: the sum of that over all caches of
	 * a heap is what is live.  In one word, since both change with every call.
	 */
	_Atomic uint64_t state;
	uint32_t step;             /* bytes of pages to ask for next time */
	struct hm_span_list spans; /* with free blocks, as far as the owner knows */
	struct hm_span *growing;   /* has room for more pages, and nobody is at it */
	uintptr_t unused[3];
	/*
	 * Free blocks that will be taken next, the last one first: those that were freed
	 * last, and what was found when there were none.  They are marked as free like all
	 * others, so the list may be dropped at any time; but while it has blocks none is
	 * taken in another way, so that all of them stay free.
	 */
	struct hm_ready ready[HM_CACHE_READY];
};
#define HM_BIN_READY UINT64_C(0xFFFF)
#define HM_BIN_ONE_READY sizeof(struct hm_ready)
#define HM_BIN_LIVE UINT64_C(0x10000)

struct hm_cache {
	struct hm_quick quick;
	_Atomic uint64_t serves; /* the number of the heap; 0 = none */
	_Atomic(struct hm_heap *) heap;
	struct hm_cache *next;     /* of the same thread; of those that nobody has */
	struct hm_cache *next_all; /* of all there are, for good */
	bool common;               /* nobody's own */
	bool frugal; /* does not keep the last span of a class when nothing in it is live */
	size_t most_idle; /* more idle spans than this are too many */
	/* Bytes of blocks of others' spans that its users have freed, and of its own that it
	 * has taken over; the difference of the sums over all caches of a heap lies idle. */
	_Atomic size_t returned, collected;
	struct hm_span_list full;
	struct hm_span_list idle[HM_SPAN_WHOLE];
	_Alignas(64) struct hm_cache_bin bins[HM_BLOCK_CLASSES];

	/* Spans of which others have freed blocks; pushed by them. */
	_Alignas(64) _Atomic(struct hm_span *) queue;
};

/* An empty cache, out of nothing: lists and steps. */
void hm_cache_clear(struct hm_cache *cache);

/* ---- Blocks ---- */

HM_QUICK uint64_t hm_bin_state(const struct hm_cache_bin *bin)
{
	return atomic_load_explicit(&bin->state, memory_order_relaxed);
}

HM_QUICK void hm_bin_set_state(struct hm_cache_bin *bin, uint64_t state)
{
	atomic_store_explicit(&bin->state, state, memory_order_relaxed);
}

/* It may be below zero: who frees is not always who has allocated. */
static inline int64_t hm_bin_live(const struct hm_cache_bin *bin)
{
	return (int64_t)(hm_bin_state(bin) & ~HM_BIN_READY) / (int64_t)HM_BIN_LIVE;
}

HM_QUICK struct hm_ready *hm_bin_ready(struct hm_cache_bin *bin, uint64_t state)
{
	return (struct hm_ready *)((char *)bin->ready + (state & HM_BIN_READY));
}

/* A block of that class that is ready; false: there is none, see hm_cache_find. */
HM_QUICK bool hm_cache_take(struct hm_cache *cache, unsigned class, void **block)
{
	struct hm_cache_bin *bin = &cache->bins[class];
	struct hm_ready *last;
	uint64_t state;

	HM_KEEP(bin);
	state = hm_bin_state(bin);
	if (!HM_LIKELY((state & HM_BIN_READY) != 0))
		return false;
	hm_bin_set_state(bin, state + HM_BIN_LIVE - HM_BIN_ONE_READY);
	last = hm_bin_ready(bin, state) - 1;
	hm_span_take(last->spot);
	*block = last->block;
	return true;
}

/* The same, after looking at all that the cache has: other words, other spans, what others
 * have freed, idle spans. */
void *hm_cache_find(struct hm_cache *cache, unsigned class);

/* A span of this cache may have no live block any more, or was full and is not.  true: there
 * are too many idle spans now. */
bool hm_cache_rearrange(struct hm_cache *cache, struct hm_span *span);

/*
 * Frees a block of one of its own spans; false: nothing done, hm_cache_put has to: it is not
 * live, the span has been full, or it may be empty now and is not the first of its class.
 */
HM_QUICK bool hm_cache_try_put(struct hm_span *span, uint64_t index, void *block)
{
	struct hm_span_word *word = hm_span_word_of(span, index);
	struct hm_cache_bin *bin = span->bin;
	uint64_t bit = UINT64_C(1) << (index % 64);
	uint64_t free, dead, state;

	HM_KEEP(word);
	free = atomic_load_explicit(&word->free, memory_order_relaxed);
	dead = free | atomic_load_explicit(&word->returned, memory_order_relaxed);
	if (!HM_LIKELY((dead | bit) != dead) ||
	    !HM_LIKELY(span->place == HM_SPAN_LISTED) ||
	    ((dead | bit) == UINT64_MAX && bin->spans.first != span))
		return false;
	atomic_store_explicit(&word->free, free | bit, memory_order_relaxed);
	state = hm_bin_state(bin) - HM_BIN_LIVE;
	if (HM_LIKELY((state & HM_BIN_READY) < HM_CACHE_READY * HM_BIN_ONE_READY)) {
		struct hm_ready *ready = hm_bin_ready(bin, state);

		ready->block = block;
		ready->spot = hm_span_spot_of(word, index);
		state += HM_BIN_ONE_READY;
	}
	hm_bin_set_state(bin, state);
	return true;
}

/* The same in any case; false = it was not live.  *too_many as hm_cache_rearrange. */
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
/* Takes over a span of `class` from the common cache: one with free blocks, else an idle
 * one; false = there is none. */
bool hm_cache_adopt(struct hm_cache *cache, struct hm_cache *common, unsigned class);

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
