/*
 * Spans: the bits that say which blocks are free, and the table that says which span an
 * address is in.
 *
 * Blocks are taken from where one was free last, upwards.  That keeps what is live together,
 * so that spans become empty, and pages that were never needed stay untouched.
 *
 * A block that somebody else frees is marked `returned` first and `free` later, by the
 * owner: at every moment a freed block has one of the two marks at least, and who looks for
 * them does so while nobody moves one to the other, so a second Free finds it.  Only the
 * owner's own Free looks without that: one that misses another thread's at the same moment
 * leaves both marks.  The owner finds that when he takes over, and the block is freed once.
 *
 * The table has a leaf for each 4 GiB in which there are spans.  It is one for the process:
 * a pointer may be anybody's, and only the table can be asked without trusting it.
 *
 * Locks: HM_RANK_LEAVES where a leaf is made; the latch of a span.  A record belongs to its
 * owner, who is alone with it by the rules of caches.h.
 */
#include "spans.h"
#include "metadata.h"
#include "os/check.h"
#include "os/lock.h"
#include "os/thread.h"

/* Looks at a latch before the processor is given away. */
#define SPINS 100U

_Atomic(hm_span_slot *) hm_span_leaves[HM_SPAN_LEAVES];

static struct hm_lock leaves_lock;

_Static_assert(sizeof(struct hm_span) == 128, "two lines, and the words");

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

static unsigned words_of(const struct hm_span *span)
{
	static const uint8_t words[HM_SPAN_KINDS] = {
		[HM_SPAN_COARSE] = HM_SPAN_COARSE_WORDS,
		[HM_SPAN_FINE] = HM_SPAN_FINE_WORDS,
	};

	return words[span->kind];
}

/* Nothing in it has pages. */
static void clear_words(struct hm_span *span)
{
	for (unsigned word = 0; word < words_of(span); word++) {
		/* In this order: at no moment does a block look live. */
		atomic_store_explicit(&span->words[word].returned, UINT64_MAX,
				      memory_order_release);
		atomic_store_explicit(&span->words[word].free, 0, memory_order_release);
	}
}

bool hm_span_make_room(uintptr_t base)
{
	return leaf_for(base) != NULL;
}

struct hm_span *hm_span_new(struct hm_heap *heap, enum hm_span_kind kind)
{
	struct hm_span *span = hm_metadata_take(metadata_kinds[kind], HM_NEED_NORMAL);

	if (span == NULL)
		return NULL;
	atomic_store_explicit(&span->owner, NULL, memory_order_relaxed);
	atomic_store_explicit(&span->heap, heap, memory_order_relaxed);
	atomic_store_explicit(&span->base, 0, memory_order_relaxed);
	atomic_store_explicit(&span->size, 0, memory_order_relaxed);
	atomic_store_explicit(&span->reciprocal, 0, memory_order_relaxed);
	atomic_store_explicit(&span->queued, 0, memory_order_relaxed);
	atomic_store_explicit(&span->latch, 0, memory_order_relaxed);
	span->bin = NULL;
	span->count = span->capacity = span->cursor = 0;
	span->class = 0;
	span->place = HM_SPAN_NOWHERE;
	span->kind = (uint8_t)kind;
	span->busy = false;
	span->committed = 0;
	span->length = span->room = 0;
	clear_words(span);
	return span;
}

void hm_span_place_at(struct hm_span *span, uintptr_t base)
{
	atomic_store_explicit(&span->base, base, memory_order_relaxed);
	set_leaf(leaf_for(base), base, span);
}

void hm_span_delete(struct hm_span *span)
{
	enum hm_metadata_kind kind = metadata_kinds[span->kind];

	if (hm_span_base(span) != 0)
		set_leaf(leaf_for(hm_span_base(span)), hm_span_base(span), NULL);
	atomic_store_explicit(&span->owner, NULL, memory_order_relaxed);
	atomic_store_explicit(&span->heap, NULL, memory_order_relaxed);
	clear_words(span);
	hm_metadata_give(kind, span);
}

/* ---- Blocks ---- */

/* Held for a few instructions, in a quick call, by who frees from outside and by the owner
 * while he takes over: what one of them sees of the two marks is true until he is done. */
static void latch(struct hm_span *span)
{
	unsigned spins = 0;

	while (atomic_exchange_explicit(&span->latch, 1, memory_order_acquire) != 0) {
		if (++spins < SPINS)
			hm_thread_relax();
		else
			hm_thread_yield();
	}
}

static void unlatch(struct hm_span *span)
{
	atomic_store_explicit(&span->latch, 0, memory_order_release);
}

void hm_span_format(struct hm_span *span, unsigned class)
{
	uint32_t size = (uint32_t)hm_block_size(class);

	hm_assert(hm_span_kind_of(class) == span->kind);
	atomic_store_explicit(&span->size, size, memory_order_relaxed);
	atomic_store_explicit(&span->reciprocal,
			      (uint32_t)(((UINT64_C(1) << 32) + size - 1) / size),
			      memory_order_relaxed);
	span->class = (uint8_t) class;
	span->count = 0;
	span->capacity = (uint16_t)(HM_SPAN_SIZE / size);
	span->cursor = 0;
	clear_words(span);
	hm_span_grow(span, span->committed);
}

/* The bits of a word that are blocks with pages. */
static uint64_t valid_bits(const struct hm_span *span, unsigned word)
{
	unsigned first = word * 64;

	if (span->count <= first)
		return 0;
	return span->count - first >= 64 ? UINT64_MAX
					 : (UINT64_C(1) << (span->count - first)) - 1;
}

void hm_span_grow(struct hm_span *span, uint32_t committed)
{
	size_t count = hm_min(committed / hm_span_block_size(span), span->capacity);
	unsigned word = span->count / 64;

	span->committed = committed;
	latch(span);
	for (; (size_t)word * 64 < count; word++) {
		struct hm_span_word *bits = &span->words[word];
		uint64_t before = valid_bits(span, word), fresh;

		span->count = (uint16_t)hm_min(count, ((size_t)word + 1) * 64);
		fresh = valid_bits(span, word) & ~before;
		atomic_store_explicit(&bits->returned,
				      atomic_load_explicit(&bits->returned,
							   memory_order_relaxed) &
					      ~fresh,
				      memory_order_relaxed);
		atomic_store_explicit(&bits->free,
				      atomic_load_explicit(&bits->free,
							   memory_order_relaxed) |
					      fresh,
				      memory_order_relaxed);
	}
	unlatch(span);
}

bool hm_span_advance(struct hm_span *span)
{
	unsigned words = words_of(span);
	unsigned word = span->cursor;

	do {
		if (atomic_load_explicit(&span->words[word].free, memory_order_relaxed) !=
		    0) {
			span->cursor = (uint16_t)word;
			return true;
		}
		word = word + 1 == words ? 0 : word + 1;
	} while (word != span->cursor);
	return false;
}

struct hm_collected hm_span_collect(struct hm_span *span)
{
	struct hm_collected collected = { 0, 0 };

	latch(span);
	for (unsigned i = 0; i < words_of(span); i++) {
		struct hm_span_word *word = &span->words[i];
		uint64_t returned = atomic_load_explicit(&word->returned,
							 memory_order_relaxed);
		uint64_t bits = returned & valid_bits(span, i);
		uint64_t free = atomic_load_explicit(&word->free, memory_order_relaxed);

		if (bits == 0)
			continue;
		atomic_store_explicit(&word->free, free | bits, memory_order_relaxed);
		atomic_store_explicit(&word->returned, returned & ~bits,
				      memory_order_release);
		collected.blocks += (unsigned)__builtin_popcountll(bits);
		collected.twice += (unsigned)__builtin_popcountll(bits & free);
	}
	unlatch(span);
	return collected;
}

bool hm_span_looks_empty(const struct hm_span *span)
{
	for (unsigned i = 0; i < words_of(span); i++) {
		const struct hm_span_word *word = &span->words[i];

		if ((atomic_load_explicit(&word->free, memory_order_relaxed) |
		     atomic_load_explicit(&word->returned, memory_order_relaxed)) !=
		    UINT64_MAX)
			return false;
	}
	return true;
}

bool hm_span_is_empty(struct hm_span *span, struct hm_collected *collected)
{
	if (!hm_span_looks_empty(span))
		return false;
	*collected = hm_span_collect(span);
	return true;
}

bool hm_span_return(struct hm_span *span, uint64_t index)
{
	struct hm_span_word *word = &span->words[index / 64];
	uint64_t bit = UINT64_C(1) << (index % 64);
	uint64_t returned, free;

	latch(span);
	returned = atomic_load_explicit(&word->returned, memory_order_relaxed);
	free = atomic_load_explicit(&word->free, memory_order_relaxed);
	if (((returned | free) & bit) == 0)
		atomic_store(&word->returned, returned | bit);
	unlatch(span);
	return ((returned | free) & bit) == 0;
}

const char *hm_span_check(const struct hm_span *span)
{
	if (hm_span_find(hm_span_base(span)) != span)
		return "a span is not where the table says";
	if (span->count * hm_span_block_size(span) > span->committed)
		return "a span has blocks without pages";
	for (unsigned i = 0; i < words_of(span); i++) {
		uint64_t valid = valid_bits(span, i);

		if (atomic_load(&span->words[i].free) & ~valid)
			return "a free block has no pages";
		if (~atomic_load(&span->words[i].returned) & ~valid)
			return "a block without pages may be freed";
	}
	return NULL;
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
