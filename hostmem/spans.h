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
 * What becomes of a block is told by a mark beside the record, never in the block: what a
 * program writes into a block that it has freed harms nobody, and a second Free is seen.
 * A mark is its owner's, plain loads and stores, but for one change: anybody makes a live
 * block a returned one.  It is free when the owner has taken it over.
 *
 * Pages are committed from the front as blocks are needed, `committed` bytes so far.
 *
 * Records are never unmapped and serve as spans only, so a stale pointer to one can be
 * read.
 */
#define HM_SPAN_SIZE HM_GRANULE_SIZE

struct hm_heap;
struct hm_cache;
struct hm_cache_bin;

enum hm_span_place {
	HM_SPAN_NOWHERE,
	HM_SPAN_LISTED, /* in the list of its class: it has free blocks, or just had some */
	HM_SPAN_FULL,   /* in the list of those without */
	HM_SPAN_IDLE,   /* in that of those in which nothing is live, of any class */
	HM_SPAN_LARGE, /* one large block, live */
	HM_SPAN_KEPT,  /* one that is kept for later */
};

/* Eight of them are looked at in one word: bit 0 is set while somebody has the block, or
 * has just returned it, bit 1 when it was freed. */
enum hm_block_state {
	HM_BLOCK_ABSENT, /* it has no pages */
	HM_BLOCK_LIVE,
	HM_BLOCK_FREE,
	HM_BLOCK_RETURNED, /* freed by somebody else, and not taken over */
};
typedef _Atomic uint8_t hm_block_mark;

struct hm_span {
	/* The owner while it is HM_SPAN_LISTED, else NULL: whose quick Free is all that
	 * there is to do. */
	_Atomic(struct hm_cache_bin *) bin; /* of the owner, of its class */
	_Atomic(struct hm_cache *) lister;
	_Atomic(struct hm_cache *) owner; /* NULL: of a large block */
	_Atomic(struct hm_heap *) heap;
	_Atomic uintptr_t base;
	_Atomic uint32_t size;       /* bytes of a block; of a large one 0 */
	_Atomic uint32_t reciprocal; /* of it, see hm_span_index */
	_Atomic uint16_t count;      /* blocks that have pages */
	uint16_t capacity;           /* blocks that there is room for */
	uint16_t cursor;             /* the window in which a free block was found last */
	_Atomic uint8_t class;
	uint8_t place;
	uint8_t kind;     /* enum hm_span_kind */
	bool busy;        /* its owner is committing pages of it */
	uint16_t witness; /* the word of marks in which a live block was seen last */

	_Alignas(64) uint32_t committed; /* bytes */
	_Atomic uint32_t returns;        /* blocks returned that nobody has taken over */
	_Atomic uint32_t queued;         /* in its owner's queue of returns */
	_Atomic(struct hm_span *) next_queued;
	size_t length; /* of a large block: bytes of its pages */
	size_t room;   /* of it: bytes of its reservation */
	struct hm_span *next, *previous;

	_Alignas(64) hm_block_mark marks[];
};

/* Bytes of a record. */
#define HM_SPAN_RECORD(marks) (sizeof(struct hm_span) + (marks))

/* Spans of small blocks have records with more marks, those of large ones none.  One with
 * more than it needs will do. */
enum hm_span_kind {
	HM_SPAN_COARSE,
	HM_SPAN_MIDDLE,
	HM_SPAN_FINE,
	HM_SPAN_FINEST,
	HM_SPAN_WHOLE,
	HM_SPAN_KINDS
};
#define HM_SPAN_COARSE_MARKS 256U
#define HM_SPAN_MIDDLE_MARKS 1024U
#define HM_SPAN_FINE_MARKS 2048U
#define HM_SPAN_FINEST_MARKS 4096U

static inline enum hm_span_kind hm_span_kind_of(unsigned class)
{
	size_t size = hm_block_size(class);

	if (size >= HM_SPAN_SIZE / HM_SPAN_COARSE_MARKS)
		return HM_SPAN_COARSE;
	if (size >= HM_SPAN_SIZE / HM_SPAN_MIDDLE_MARKS)
		return HM_SPAN_MIDDLE;
	return size >= HM_SPAN_SIZE / HM_SPAN_FINE_MARKS ? HM_SPAN_FINE : HM_SPAN_FINEST;
}

/* ---- Which span an address is in ---- */

#define HM_SPAN_LEAF_SHIFT 32
#define HM_SPAN_LEAVES ((size_t)1 << (47 - HM_SPAN_LEAF_SHIFT))
#define HM_SPAN_LEAF_SIZE ((size_t)1 << (HM_SPAN_LEAF_SHIFT - HM_GRANULE_SHIFT))

typedef _Atomic(struct hm_span *) hm_span_slot;
extern HM_HIDDEN _Atomic(hm_span_slot *) hm_span_leaves[HM_SPAN_LEAVES];

/* Of any heap of the process; NULL = none.  Of a large block: for its first granule. */
HM_QUICK struct hm_span *hm_span_find(uintptr_t address)
{
	uintptr_t leaf_number = address >> HM_SPAN_LEAF_SHIFT;
	hm_span_slot *leaf;

	if (!HM_LIKELY(leaf_number < HM_SPAN_LEAVES))
		return NULL;
	leaf = atomic_load_explicit(&hm_span_leaves[leaf_number], memory_order_acquire);
	if (!HM_LIKELY(leaf != NULL))
		return NULL;
	/* What is left of it, so that nothing has to be cut off. */
	return atomic_load_explicit(&leaf[(uint32_t)address >> HM_GRANULE_SHIFT],
				    memory_order_acquire);
}

/* Makes what is needed for spans at `base` to be found; false = no memory.  Like the
 * following, between hm_calls_enter and hm_calls_leave. */
bool hm_span_make_room(uintptr_t base);

/* A record that nobody can find yet; NULL = no memory. */
struct hm_span *hm_span_new(struct hm_heap *heap, enum hm_span_kind kind);
/* It is at `base` from now on, for which there is room. */
void hm_span_place_at(struct hm_span *span, uintptr_t base);
/* The end of one, placed or not. */
void hm_span_delete(struct hm_span *span);

/* ---- Blocks ---- */

/* Makes a span without live blocks one of this class, all its committed blocks free. */
void hm_span_format(struct hm_span *span, unsigned class);
/* `committed` bytes have pages now: what that makes room for is free. */
void hm_span_grow(struct hm_span *span, uint32_t committed);

static inline size_t hm_span_block_size(const struct hm_span *span)
{
	return atomic_load_explicit(&span->size, memory_order_relaxed);
}

static inline uintptr_t hm_span_base(const struct hm_span *span)
{
	return atomic_load_explicit(&span->base, memory_order_relaxed);
}

/* Of the one that owned it at some time until now. */
HM_QUICK struct hm_cache_bin *hm_span_bin(const struct hm_span *span)
{
	return atomic_load_explicit(&span->bin, memory_order_acquire);
}

static inline void *hm_span_block(const struct hm_span *span, size_t index)
{
	return (void *)(hm_span_base(span) + index * hm_span_block_size(span));
}

/*
 * The number of the block of a span that begins at an address in its granule; false = none
 * does.  Of the product, the upper half is the number, and the lower is what the offset has
 * in excess, in units of the reciprocal: less than one if there is nothing.
 */
HM_QUICK bool hm_span_index(const struct hm_span *span, uintptr_t address,
			    uint64_t *index)
{
	uint32_t reciprocal = atomic_load_explicit(&span->reciprocal,
						   memory_order_relaxed);
	uint64_t product = (address & (HM_SPAN_SIZE - 1)) * reciprocal;

	if (!HM_LIKELY((uint32_t)product < reciprocal))
		return false;
	*index = product >> 32;
	return true;
}

static inline enum hm_block_state hm_block_state_of(const hm_block_mark *mark)
{
	return (enum hm_block_state)atomic_load_explicit(mark, memory_order_relaxed);
}

HM_QUICK void hm_block_become(hm_block_mark *mark, enum hm_block_state state)
{
	atomic_store_explicit(mark, (uint8_t)state, memory_order_relaxed);
}

/* Who is not the owner asks, too. */
static inline unsigned hm_span_count(const struct hm_span *span)
{
	return atomic_load_explicit(&span->count, memory_order_relaxed);
}

static inline unsigned hm_span_class(const struct hm_span *span)
{
	return atomic_load_explicit(&span->class, memory_order_relaxed);
}

/* Whether no block whose mark is in the same word is live. */
bool hm_block_looks_lonely(const hm_block_mark *mark);

/* Free blocks are looked for in windows of 64: which of them are, one bit each. */
#define HM_SPAN_WINDOW 64U
uint64_t hm_span_free_in(const struct hm_span *span, unsigned window);

/* Moves the cursor to a window with a free block; false = there is none. */
bool hm_span_advance(struct hm_span *span);
/* Takes over what others have freed: so many blocks, so many of them freed twice. */
struct hm_collected {
	unsigned blocks, twice;
};
struct hm_collected hm_span_collect(struct hm_span *span);
/* Whether no block is live; what others have freed has been taken over then, and may have been
 * if not.  Cheap where it is asked often. */
bool hm_span_is_empty(struct hm_span *span, struct hm_collected *collected);

/* The same as far as anybody can tell; nothing is taken over. */
bool hm_span_looks_empty(const struct hm_span *span);

/* Whether a block is live, as far as anybody can tell. */
static inline bool hm_span_is_live(const struct hm_span *span, uint64_t index)
{
	return hm_block_state_of(&span->marks[index]) == HM_BLOCK_LIVE;
}

/* Somebody else frees a block; false = it was not live. */
bool hm_span_return(struct hm_span *span, uint64_t index);

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
