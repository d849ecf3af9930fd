#ifndef HOSTMEM_SPANS_H
#define HOSTMEM_SPANS_H

#include "blocksizes.h"
#include "os/size.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A span: a granule of 64 KiB with blocks of one size, or the pages of one large block.
 *
 * Which blocks are free is told by bits beside the record, never in the blocks: what a
 * program writes into a block that it has freed harms nobody, and a second Free is seen.
 * There are two sets of bits.  `free` is its owner's: plain loads and stores.  `returned`
 * is where everybody else frees: a bit is set there until the owner takes it over.
 *
 * Pages are committed from the front as blocks are needed, `committed` bytes so far.
 *
 * Records are never unmapped and serve as spans only, so a stale pointer to one can be
 * read.
 */
#define HM_SPAN_SIZE HM_GRANULE_SIZE

struct hm_heap;
struct hm_cache;

enum hm_span_place {
	HM_SPAN_NOWHERE,
	HM_SPAN_LISTED, /* in the list of its class: it has free blocks, or just had some */
	HM_SPAN_FULL,   /* in the list of those without */
	HM_SPAN_IDLE,   /* in that of those in which nothing is live, of any class */
	HM_SPAN_LARGE, /* one large block; in no list */
};

struct hm_span {
	_Atomic(struct hm_cache *) owner; /* NULL: of a large block */
	_Atomic(struct hm_heap *) heap;
	_Atomic uintptr_t base;
	_Atomic uint32_t size; /* bytes of a block; of a large one 0 */
	_Atomic uint32_t
		reciprocal;     /* of it: an offset times this is 2^32 times an index */
	_Atomic uint32_t count; /* blocks that have pages */
	uint16_t capacity;      /* blocks that there is room for */
	uint16_t used;          /* live, or freed and not taken over yet */
	uint16_t cursor;        /* words of `free` before this one are 0 */
	uint8_t class;
	uint8_t place;
	uint8_t kind; /* how many words there are, see below */
	bool busy;    /* its owner is committing pages of it */
	bool tracked; /* there is a record for each block, see tracking.h */
	struct hm_span *next, *previous;

	_Alignas(64) uint32_t committed; /* bytes */
	_Atomic uint32_t queued;         /* in its owner's queue of returns */
	_Atomic(struct hm_span *) next_queued;
	size_t length;     /* of a large block: bytes of its pages */
	size_t room;       /* of it: bytes of its reservation */
	uintptr_t address; /* of it: where the program's block begins */
	void *tracks;

	_Alignas(64) _Atomic uint64_t words[]; /* free, then returned */
};

/* Spans of small blocks have records with more bits. */
enum hm_span_kind { HM_SPAN_COARSE, HM_SPAN_FINE, HM_SPAN_WHOLE, HM_SPAN_KINDS };
#define HM_SPAN_COARSE_WORDS 16U
#define HM_SPAN_FINE_WORDS 64U

static inline unsigned hm_span_words(enum hm_span_kind kind)
{
	return kind == HM_SPAN_COARSE ? HM_SPAN_COARSE_WORDS
	       : kind == HM_SPAN_FINE ? HM_SPAN_FINE_WORDS
				      : 0;
}

static inline enum hm_span_kind hm_span_kind_of(unsigned class)
{
	return hm_block_size(class) < HM_SPAN_SIZE / (64 * HM_SPAN_COARSE_WORDS)
		       ? HM_SPAN_FINE
		       : HM_SPAN_COARSE;
}

/* ---- Which span an address is in ---- */

#define HM_SPAN_LEAF_SHIFT 32
#define HM_SPAN_LEAVES ((size_t)1 << (47 - HM_SPAN_LEAF_SHIFT))
#define HM_SPAN_LEAF_SIZE ((size_t)1 << (HM_SPAN_LEAF_SHIFT - HM_GRANULE_SHIFT))

typedef _Atomic(struct hm_span *) hm_span_slot;
extern _Atomic(hm_span_slot *) hm_span_leaves[HM_SPAN_LEAVES];

/* Of any heap of the process; NULL = none.  Of a large block: for its first granule. */
static inline struct hm_span *hm_span_find(uintptr_t address)
{
	hm_span_slot *leaf;

	if (address >> HM_SPAN_LEAF_SHIFT >= HM_SPAN_LEAVES)
		return NULL;
	leaf = atomic_load_explicit(&hm_span_leaves[address >> HM_SPAN_LEAF_SHIFT],
				    memory_order_acquire);
	if (leaf == NULL)
		return NULL;
	return atomic_load_explicit(
		&leaf[(address >> HM_GRANULE_SHIFT) & (HM_SPAN_LEAF_SIZE - 1)],
		memory_order_acquire);
}

/* A record, in the map from now on; NULL = no memory.  Between hm_calls_enter and
 * hm_calls_leave; so is hm_span_delete, which takes it out of the map. */
struct hm_span *hm_span_new(struct hm_heap *heap, enum hm_span_kind kind, uintptr_t base);
void hm_span_delete(struct hm_span *span);

/* ---- Blocks ---- */

/* Makes a span without live blocks one of this class, all its committed blocks free. */
void hm_span_format(struct hm_span *span, unsigned class);
/* `committed` bytes have pages now: what that makes room for is free. */
void hm_span_grow(struct hm_span *span, uint32_t committed);

static inline uint64_t hm_span_word(const struct hm_span *span, unsigned word)
{
	return atomic_load_explicit(&span->words[word], memory_order_relaxed);
}

static inline void hm_span_set_word(struct hm_span *span, unsigned word, uint64_t bits)
{
	atomic_store_explicit(&span->words[word], bits, memory_order_relaxed);
}

static inline uintptr_t hm_span_base(const struct hm_span *span)
{
	return atomic_load_explicit(&span->base, memory_order_relaxed);
}

static inline size_t hm_span_block_size(const struct hm_span *span)
{
	return atomic_load_explicit(&span->size, memory_order_relaxed);
}

/* Takes the first free block, if there is one in the word under the cursor. */
static inline void *hm_span_take(struct hm_span *span)
{
	unsigned word = span->cursor;
	uint64_t bits = hm_span_word(span, word);
	size_t index;

	if (bits == 0)
		return NULL;
	hm_span_set_word(span, word, bits & (bits - 1));
	span->used++;
	index = (size_t)word * 64 + (size_t)__builtin_ctzll(bits);
	return (void *)(hm_span_base(span) + index * hm_span_block_size(span));
}

/* Moves the cursor to a word with a free block; false = there is none. */
bool hm_span_advance(struct hm_span *span);
/* Takes over what others have freed; how many of these blocks had been freed twice. */
unsigned hm_span_collect(struct hm_span *span);

/* The number of the block that begins at an address; false = none does. */
static inline bool hm_span_index(const struct hm_span *span, uintptr_t address,
				 size_t *index)
{
	size_t offset = address - hm_span_base(span);
	uint64_t product = (uint64_t)offset *
			   atomic_load_explicit(&span->reciprocal, memory_order_relaxed);

	*index = (size_t)(product >> 32);
	return *index * hm_span_block_size(span) == offset &&
	       *index < atomic_load_explicit(&span->count, memory_order_relaxed);
}

/* Whether a block is live, as far as its freer can tell. */
static inline bool hm_span_is_live(const struct hm_span *span, size_t index)
{
	unsigned word = (unsigned)(index / 64);
	unsigned words = hm_span_words((enum hm_span_kind)span->kind);

	return (((hm_span_word(span, word) | hm_span_word(span, words + word)) >>
		 (index % 64)) &
		1) == 0;
}

/* The owner frees a live block. */
static inline void hm_span_put(struct hm_span *span, size_t index)
{
	unsigned word = (unsigned)(index / 64);

	hm_span_set_word(span, word,
			 hm_span_word(span, word) | UINT64_C(1) << (index % 64));
	if (word < span->cursor)
		span->cursor = (uint16_t)word;
	span->used--;
}

/* Somebody else frees a block; false = it was not live. */
bool hm_span_return(struct hm_span *span, size_t index);

/* NULL if the record keeps its rules, else the rule broken. */
const char *hm_span_check(const struct hm_span *span);

/* ---- Lists ---- */

struct hm_span_list {
	struct hm_span *first;
	size_t count;
};

void hm_span_push(struct hm_span_list *list, struct hm_span *span,
		  enum hm_span_place place);
void hm_span_unlink(struct hm_span_list *list, struct hm_span *span);

#endif
