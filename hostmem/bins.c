/*
 * Bins: the blocks of one class that are ready, and how many there are in use.
 *
 * What is live could be one number that each call changes.  But a call changes where the list
 * of ready blocks ends, too, and two changes cost more than one.  So there is the end of the
 * list, and how many blocks were given to the users and to the list together: that changes
 * only when the list is filled or shortened by other means than a call.
 *
 * Who wants to know needs both from the same moment, and the owner may be suspended between
 * changing the one and the other.  So while it changes both, `given` holds what the users have
 * by itself, which stays the same.  Who asks may have read the one before and the other
 * after a change: it looks whether there was one, and begins again.
 *
 * No locks: a bin is its cache's, see caches.h.
 */
#include "bins.h"
#include "os/thread.h"

#include <string.h>

/* The first pages that a class asks for; each time twice as many, up to a span. */
#define FIRST_STEP ((uint32_t)HM_PAGE_SIZE)

void hm_bin_clear(struct hm_cache_bin *bin, struct hm_ready *none, unsigned most)
{
	bin->first = none + 1;
	hm_bin_limit_ready(bin, most);
	bin->step = FIRST_STEP;
	bin->spans = (struct hm_span_list){ NULL, 0 };
	bin->growing = NULL;
	atomic_store_explicit(&bin->given, 0, memory_order_relaxed);
	hm_bin_give_up(bin);
	hm_bin_set_top(bin, bin->first);
}

/* Who reads anything that changes later sees that this has. */
static void set_given(struct hm_cache_bin *bin, int64_t value)
{
	uint32_t changes = atomic_load_explicit(&bin->changes, memory_order_relaxed);

	atomic_store_explicit(&bin->given, value, memory_order_relaxed);
	atomic_store_explicit(&bin->changes, changes + 1, memory_order_release);
}

void hm_bin_count(struct hm_cache_bin *bin, int64_t given)
{
	set_given(bin,
		  atomic_load_explicit(&bin->given, memory_order_relaxed) + 2 * given);
}

/* So many more are given to the list, and ready; or less. */
static void move(struct hm_cache_bin *bin, int64_t count)
{
	int64_t given = atomic_load_explicit(&bin->given, memory_order_relaxed);

	set_given(bin, given - 2 * (int64_t)hm_bin_count_ready(bin) + 1);
	hm_bin_give_up(bin);
	hm_bin_set_top(bin, hm_bin_top(bin) + count);
	atomic_store_explicit(&bin->given, given + 2 * count, memory_order_release);
}

int64_t hm_bin_live(const struct hm_cache_bin *bin)
{
	for (;;) {
		uint32_t changes = atomic_load_explicit(&bin->changes,
							memory_order_acquire);
		int64_t given = atomic_load_explicit(&bin->given, memory_order_acquire);
		struct hm_ready *top = atomic_load_explicit(&bin->top,
							    memory_order_acquire);

		if (given % 2 != 0)
			return (given - 1) / 2;
		if (changes == atomic_load_explicit(&bin->changes, memory_order_relaxed))
			return given / 2 - (top - bin->first);
		hm_thread_yield();
	}
}

/* ---- Blocks that are ready ---- */

static struct hm_ready ready_of(struct hm_span *span, uint64_t index)
{
	return (struct hm_ready){ hm_span_block(span, index), &span->marks[index] };
}

void hm_bin_make_ready(struct hm_cache_bin *bin, struct hm_span *span, uint64_t index)
{
	*hm_bin_top(bin) = ready_of(span, index);
	move(bin, 1);
}

void hm_bin_make_window_ready(struct hm_cache_bin *bin, struct hm_span *span)
{
	uint64_t bits = hm_span_free_in(span, span->cursor);
	uint64_t first = span->cursor * (uint64_t)HM_SPAN_WINDOW;
	int found = __builtin_popcountll(bits);
	struct hm_ready *ready = hm_bin_top(bin) + found;

	for (; bits != 0; bits &= bits - 1)
		*--ready = ready_of(span, first + (uint64_t)__builtin_ctzll(bits));
	move(bin, found);
}

static void forget(struct hm_cache_bin *bin, size_t count)
{
	move(bin, -(int64_t)count);
}

void hm_bin_forget_first(struct hm_cache_bin *bin, size_t count)
{
	memmove(bin->first, bin->first + count,
		(hm_bin_count_ready(bin) - count) * sizeof(*bin->first));
	forget(bin, count);
}

void hm_bin_forget_all(struct hm_cache_bin *bin)
{
	forget(bin, hm_bin_count_ready(bin));
}

static bool is_listed(const struct hm_span *span, const struct hm_cache *lister)
{
	return atomic_load_explicit(&span->lister, memory_order_relaxed) == lister;
}

void hm_bin_purge(struct hm_cache_bin *bin, const struct hm_cache *lister)
{
	size_t count = hm_bin_count_ready(bin), kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (is_listed(hm_span_find((uintptr_t)bin->first[i].block), lister))
			bin->first[kept++] = bin->first[i];
	}
	forget(bin, count - kept);
}

const char *hm_bin_check(const struct hm_cache_bin *bin, const struct hm_cache *lister)
{
	if (bin->growing != NULL && hm_span_bin(bin->growing) != bin)
		return "what grows is of another class, or somebody else's";
	if (bin->first[-1].block != NULL)
		return "the end of what is ready is overwritten";
	for (size_t i = 0; i < hm_bin_count_ready(bin); i++) {
		const struct hm_ready *ready = &bin->first[i];
		const struct hm_span *span = hm_span_find((uintptr_t)ready->block);

		if (span == NULL || !is_listed(span, lister) || hm_span_bin(span) != bin)
			return "a block is ready whose span is not listed";
		if (hm_block_state_of(ready->mark) != HM_BLOCK_FREE)
			return "a block is ready and not free";
	}
	return NULL;
}
