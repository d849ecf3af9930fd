/*
 * Spans: the bits that say which blocks are free, and the table that says which span an
 * address is in.
 *
 * Blocks are taken from the lowest address on.  That keeps what is live together, so that
 * spans become empty, and pages that were never needed stay untouched.
 *
 * A block that somebody else frees is marked `returned` first and `free` later, by the
 * owner, who sets the one before it clears the other: at every moment a freed block has one
 * of the two marks at least, so a second Free finds it.  Two Frees of one block that miss
 * each other, one of them the owner's, leave both marks; the owner finds that when it takes
 * over, and the block is freed once.
 *
 * The table has a leaf for each 4 GiB in which there are spans.  It is one for the process:
 * a pointer may be anybody's, and only the table can be asked without trusting it.
 *
 * Locks: HM_RANK_LEAVES where a leaf is made.  A record belongs to its owner, who is alone
 * with it by the rules of caches.h.
 */
#include "spans.h"
#include "metadata.h"
#include "os/check.h"
#include "os/lock.h"

_Atomic(hm_span_slot *) hm_span_leaves[HM_SPAN_LEAVES];

static struct hm_lock leaves_lock;

/* ---- The table ---- */

/* NULL = no memory. */
static hm_span_slot *leaf_for(uintptr_t address)
{
	_Atomic(hm_span_slot *) *place = &hm_span_leaves[address >> HM_SPAN_LEAF_SHIFT];
	hm_span_slot *leaf = atomic_load_explicit(place, memory_order_acquire);

	if (leaf != NULL)
		return leaf;
	hm_lock_acquire(&leaves_lock, HM_RANK_LEAVES);
	leaf = atomic_load_explicit(place, memory_order_relaxed);
	if (leaf == NULL) {
		leaf = hm_metadata_map_forever(HM_SPAN_LEAF_SIZE * sizeof(*leaf));
		atomic_store_explicit(place, leaf, memory_order_release);
	}
	hm_lock_release(&leaves_lock, HM_RANK_LEAVES);
	return leaf;
}

static void set_leaf(hm_span_slot *leaf, uintptr_t address, struct hm_span *span)
{
	atomic_store_explicit(
		&leaf[(address >> HM_GRANULE_SHIFT) & (HM_SPAN_LEAF_SIZE - 1)], span,
		memory_order_release);
}

static const enum hm_metadata_kind metadata_kinds[HM_SPAN_KINDS] = {
	[HM_SPAN_COARSE] = HM_METADATA_SPAN_COARSE,
	[HM_SPAN_FINE] = HM_METADATA_SPAN_FINE,
	[HM_SPAN_WHOLE] = HM_METADATA_SPAN_WHOLE,
};

struct hm_span *hm_span_new(struct hm_heap *heap, enum hm_span_kind kind, uintptr_t base)
{
	hm_span_slot *leaf = leaf_for(base);
	struct hm_span *span = NULL;

	if (leaf != NULL)
		span = hm_metadata_take(metadata_kinds[kind], HM_NEED_NORMAL);
	if (span == NULL)
		return NULL;
	atomic_store_explicit(&span->owner, NULL, memory_order_relaxed);
	atomic_store_explicit(&span->heap, heap, memory_order_relaxed);
	atomic_store_explicit(&span->base, base, memory_order_relaxed);
	atomic_store_explicit(&span->size, 0, memory_order_relaxed);
	atomic_store_explicit(&span->reciprocal, 0, memory_order_relaxed);
	atomic_store_explicit(&span->count, 0, memory_order_relaxed);
	atomic_store_explicit(&span->queued, 0, memory_order_relaxed);
	span->capacity = span->used = span->cursor = 0;
	span->class = 0;
	span->place = HM_SPAN_NOWHERE;
	span->kind = (uint8_t)kind;
	span->busy = span->tracked = false;
	span->committed = 0;
	span->length = span->room = 0;
	span->address = base;
	span->tracks = NULL;
	for (unsigned i = 0; i < 2 * hm_span_words(kind); i++)
		hm_span_set_word(span, i, 0);
	set_leaf(leaf, base, span);
	return span;
}

void hm_span_delete(struct hm_span *span)
{
	enum hm_metadata_kind kind = metadata_kinds[span->kind];

	set_leaf(leaf_for(hm_span_base(span)), hm_span_base(span), NULL);
	atomic_store_explicit(&span->owner, NULL, memory_order_relaxed);
	atomic_store_explicit(&span->heap, NULL, memory_order_relaxed);
	atomic_store_explicit(&span->count, 0, memory_order_relaxed);
	hm_metadata_give(kind, span);
}

/* ---- Blocks ---- */

void hm_span_format(struct hm_span *span, unsigned class)
{
	uint32_t size = (uint32_t)hm_block_size(class);

	hm_assert(span->used == 0 && hm_span_kind_of(class) == span->kind);
	atomic_store_explicit(&span->count, 0, memory_order_relaxed);
	atomic_store_explicit(&span->size, size, memory_order_relaxed);
	atomic_store_explicit(&span->reciprocal,
			      (uint32_t)(((UINT64_C(1) << 32) + size - 1) / size),
			      memory_order_relaxed);
	span->class = (uint8_t) class;
	span->capacity = (uint16_t)(HM_SPAN_SIZE / size);
	span->cursor = 0;
	for (unsigned i = 0; i < 2 * hm_span_words((enum hm_span_kind)span->kind); i++)
		hm_span_set_word(span, i, 0);
	hm_span_grow(span, span->committed);
}

void hm_span_grow(struct hm_span *span, uint32_t committed)
{
	size_t count = committed / hm_span_block_size(span);
	size_t index = atomic_load_explicit(&span->count, memory_order_relaxed);

	span->committed = committed;
	count = hm_min(count, span->capacity);
	if (index / 64 < span->cursor)
		span->cursor = (uint16_t)(index / 64);
	for (; index < count; index++) {
		unsigned word = (unsigned)(index / 64);

		hm_span_set_word(span, word,
				 hm_span_word(span, word) | UINT64_C(1) << (index % 64));
	}
	atomic_store_explicit(&span->count, (uint32_t)count, memory_order_relaxed);
}

bool hm_span_advance(struct hm_span *span)
{
	unsigned words = (atomic_load_explicit(&span->count, memory_order_relaxed) + 63) /
			 64;

	for (unsigned word = span->cursor; word < words; word++) {
		if (hm_span_word(span, word) == 0)
			continue;
		span->cursor = (uint16_t)word;
		return true;
	}
	return false;
}

unsigned hm_span_collect(struct hm_span *span)
{
	unsigned words = hm_span_words((enum hm_span_kind)span->kind);
	unsigned twice = 0;

	for (unsigned word = 0; word < words; word++) {
		_Atomic uint64_t *returned = &span->words[words + word];
		uint64_t bits = atomic_load_explicit(returned, memory_order_acquire);
		uint64_t free = hm_span_word(span, word);

		if (bits == 0)
			continue;
		hm_span_set_word(span, word, free | bits);
		atomic_fetch_and_explicit(returned, ~bits, memory_order_acq_rel);
		twice += (unsigned)__builtin_popcountll(bits & free);
		span->used = (uint16_t)(span->used - __builtin_popcountll(bits & ~free));
		if (word < span->cursor)
			span->cursor = (uint16_t)word;
	}
	return twice;
}

bool hm_span_return(struct hm_span *span, size_t index)
{
	unsigned words = hm_span_words((enum hm_span_kind)span->kind);
	unsigned word = (unsigned)(index / 64);
	uint64_t bit = UINT64_C(1) << (index % 64);
	_Atomic uint64_t *returned = &span->words[words + word];

	if (atomic_fetch_or_explicit(returned, bit, memory_order_acq_rel) & bit)
		return false;
	if ((hm_span_word(span, word) & bit) == 0)
		return true;
	/* Its owner had taken it over already. */
	atomic_fetch_and_explicit(returned, ~bit, memory_order_acq_rel);
	return false;
}

const char *hm_span_check(const struct hm_span *span)
{
	unsigned words = hm_span_words((enum hm_span_kind)span->kind);
	size_t count = atomic_load_explicit(&span->count, memory_order_relaxed);
	size_t free = 0;

	if (hm_span_find(hm_span_base(span)) != span)
		return "a span is not where the table says";
	if (count * hm_span_block_size(span) > span->committed)
		return "a span has blocks without pages";
	for (unsigned word = 0; word < words; word++) {
		uint64_t bits = hm_span_word(span, word);

		if (word < span->cursor && bits != 0)
			return "a free block lies in front of the cursor";
		if (count < (size_t)(word + 1) * 64 &&
		    (count <= (size_t)word * 64 ? bits : bits >> (count % 64)) != 0)
			return "a free block has no pages";
		free += (size_t)__builtin_popcountll(bits);
	}
	return free + span->used == count ? NULL : "free and live blocks are not all";
}

/* ---- Lists ---- */

void hm_span_push(struct hm_span_list *list, struct hm_span *span,
		  enum hm_span_place place)
{
	span->place = (uint8_t)place;
	span->previous = NULL;
	span->next = list->first;
	if (span->next != NULL)
		span->next->previous = span;
	list->first = span;
	list->count++;
}

void hm_span_unlink(struct hm_span_list *list, struct hm_span *span)
{
	if (span->next != NULL)
		span->next->previous = span->previous;
	if (span->previous != NULL)
		span->previous->next = span->next;
	else
		list->first = span->next;
	span->place = HM_SPAN_NOWHERE;
	list->count--;
}
