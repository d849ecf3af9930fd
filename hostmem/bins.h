#ifndef HOSTMEM_BINS_H
#define HOSTMEM_BINS_H

#include "spans.h"

/*
 * What a cache has of one class: spans with free blocks, and blocks that are ready.
 */
struct hm_ready {
	void *block;
	hm_block_mark *mark;
};

struct hm_cache_bin {
	/*
	 * Of the list of ready blocks: where there is no room for one more, behind the last
	 * one, the same as a call has found it that is at work, and the first one.
	 *
	 * What a call reads is not where a line of the memory begins: there users write,
	 * whose first words processors take for these, until they have looked twice, where
	 * the last bits of the address are the same.
	 */
	_Alignas(64) struct hm_ready *limit;
	_Atomic(struct hm_ready *) top;
	_Atomic(struct hm_ready *) found;
	struct hm_ready *first;
	/*
	 * Blocks that its users and the list above have been given, less those that were put
	 * back: without those that are ready it is what its users have, see hm_bin_live.
	 * So what every call changes is one word.  The number is doubled; an odd one is
	 * what its users have, while both are about to change.
	 */
	_Atomic int64_t given;
	_Atomic uint32_t changes;  /* of `given` */
	uint32_t step;             /* bytes of pages to ask for next time */
	struct hm_span_list spans; /* with free blocks, as far as the owner knows */
	struct hm_span *growing;   /* has room for more pages, and nobody is at it */
};

/*
 * Free blocks that will be taken next, the last one first: those that were freed last, and
 * what was found when there were none.  They are marked as free like all others, so the list
 * may be dropped at any time; but while it has blocks none is taken in another way, so that
 * all of them stay free.
 *
 * Of small blocks as many as a program frees in one go, often: what finds no room costs
 * more, and so does finding it again.
 */
#define HM_READY_NEAR 320U
#define HM_READY_FAR 64U
#define HM_READY_NEAR_CLASSES 20U /* up to a KiB */

/* While spans of a class become empty, each of its ready blocks may keep one from being found:
 * so there are few then. */
#define HM_READY_FEW 8U

static inline unsigned hm_ready_most(unsigned class)
{
	return class < HM_READY_NEAR_CLASSES ? HM_READY_NEAR : HM_READY_FAR;
}

/* One more for each class, with no block, tells that there is no other. */
#define HM_READY_ALL \
	(HM_READY_NEAR_CLASSES * (HM_READY_NEAR + 1) + \
	 (HM_BLOCK_CLASSES - HM_READY_NEAR_CLASSES) * (HM_READY_FAR + 1))

HM_QUICK struct hm_ready *hm_bin_top(const struct hm_cache_bin *bin)
{
	return atomic_load_explicit(&bin->top, memory_order_relaxed);
}

/* Released for hm_bin_live and who stops, whoever else asks. */
HM_QUICK void hm_bin_set_top(struct hm_cache_bin *bin, struct hm_ready *top)
{
	atomic_store_explicit(&bin->top, top, memory_order_release);
}

/*
 * Between these a quick call is inside, see quick.h: hm_bin_begin with the top as it is, then
 * hm_bin_set_top with another one or hm_bin_give_up.
 */
HM_QUICK void hm_bin_begin(struct hm_cache_bin *bin, struct hm_ready *top)
{
	atomic_store_explicit(&bin->found, top, memory_order_relaxed);
}

HM_QUICK void hm_bin_give_up(struct hm_cache_bin *bin)
{
	atomic_store_explicit(&bin->found, NULL, memory_order_release);
}

static inline bool hm_bin_is_at_work(const struct hm_cache_bin *bin)
{
	struct hm_ready *found = atomic_load_explicit(&bin->found, memory_order_acquire);

	return found != NULL &&
	       found == atomic_load_explicit(&bin->top, memory_order_acquire);
}

/* How many blocks its users have taken less those that they have put back; anybody may ask.
 * The sum of that over all caches of a heap is what is live.  It may be below zero: who frees
 * is not always who has allocated.  Exact, also while the owner is suspended in the middle of a
 * change; who asks begins again when there was one meanwhile. */
int64_t hm_bin_live(const struct hm_cache_bin *bin);

/* ---- For its owner, and who may touch what is his ---- */

/* An empty one; its list begins behind `none`, which stays without a block. */
void hm_bin_clear(struct hm_cache_bin *bin, struct hm_ready *none, unsigned most);

/* How long its list may become; it is not longer now. */
static inline void hm_bin_limit_ready(struct hm_cache_bin *bin, unsigned most)
{
	bin->limit = bin->first + most;
}

static inline size_t hm_bin_count_ready(const struct hm_cache_bin *bin)
{
	return (size_t)(hm_bin_top(bin) - bin->first);
}

/* So many more, or less, have been given to others. */
void hm_bin_count(struct hm_cache_bin *bin, int64_t given);

/* A free block is ready; there is room. */
void hm_bin_make_ready(struct hm_cache_bin *bin, struct hm_span *span, uint64_t index);
/* What a span has free in the window of its cursor is ready, so that the lowest is taken
 * first. */
void hm_bin_make_window_ready(struct hm_cache_bin *bin, struct hm_span *span);

/* The first so many are not ready any more, or all. */
void hm_bin_forget_first(struct hm_cache_bin *bin, size_t count);
void hm_bin_forget_all(struct hm_cache_bin *bin);
/* Those whose span is not listed by that cache are not. */
void hm_bin_purge(struct hm_cache_bin *bin, const struct hm_cache *lister);

/* NULL if the bin of that cache keeps its rules, else the rule broken. */
const char *hm_bin_check(const struct hm_cache_bin *bin, const struct hm_cache *lister);

#endif
