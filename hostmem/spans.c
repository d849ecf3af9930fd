/*
 * Spans: the marks that say which blocks are free, and the table that says which span an
 * address is in.
 *
 * Blocks are taken from where one was free last, upwards.  That keeps what is live together,
 * so that spans become empty, and pages that were never needed stay untouched.
 *
 * A mark is a byte.  A bit would do, and would need an eighth of the memory; but who
 * allocates or frees would have to read a word, change it and write it back, and each block
 * would wait for the one before, which is in the same word.
 *
 * A block that somebody else frees is first marked as returned, in one atomic step, and as
 * free later, by the owner: so a second Free finds it freed, whoever comes.  Only the owner's
 * own Free is no atomic step: at the same moment as another thread's Free of the same block
 * it may overwrite that one's mark.  Then the span has counted a return that it does not
 * find, which tells the owner, when he takes over, that a block was freed twice; it is free
 * once.
 *
 * A mark is changed before the return is counted.  So the owner who finds as many as were
 * counted stops, and what is not counted yet is found next time.  What a second Free at the
 * same moment counts may come so late that the span has blocks of another size by then: the
 * number of live blocks is right, and their bytes are those of that size.
 *
 * The table has a leaf for each 4 GiB in which there are spans.  It is one for the process:
 * a pointer may be anybody's, and only the table can be asked without trusting it.
 *
 * Locks: HM_RANK_LEAVES where a leaf is made.  A record belongs to its owner, who is alone
 * with it by the rules of caches.h, but for returns.
 */
#include "spans.h"
#include "metadata.h"
#include "os/check.h"
#include "os/lock.h"

/* Marks in a word. */
#define GROUP 8U
/* The lowest bit of each. */
#define LOWEST UINT64_C(0x0101010101010101)

_Atomic(hm_span_slot *) hm_span_leaves[HM_SPAN_LEAVES];

static struct hm_lock leaves_lock;

_Static_assert(sizeof(struct hm_span) == 128, "two lines, and the marks");

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
	[HM_SPAN_MIDDLE] = HM_METADATA_SPAN_MIDDLE,
	[HM_SPAN_FINE] = HM_METADATA_SPAN_FINE,
	[HM_SPAN_FINEST] = HM_METADATA_SPAN_FINEST,
	[HM_SPAN_WHOLE] = HM_METADATA_SPAN_WHOLE,
};

static void set_count(struct hm_span *span, size_t count)
{
	atomic_store_explicit(&span->count, (uint16_t)count, memory_order_relaxed);
}

static void set_class(struct hm_span *span, unsigned class)
{
	atomic_store_explicit(&span->class, (uint8_t) class, memory_order_relaxed);
}

/* Nothing in it has pages, and no other mark was ever set: what a small program never needs
 * of a large record is never touched. */
static void clear_marks(struct hm_span *span)
{
	for (unsigned i = 0; i < hm_span_count(span); i++)
		hm_block_become(&span->marks[i], HM_BLOCK_ABSENT);
	set_count(span, 0);
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
	atomic_store_explicit(&span->lister, NULL, memory_order_relaxed);
	atomic_store_explicit(&span->owner, NULL, memory_order_relaxed);
	atomic_store_explicit(&span->heap, heap, memory_order_relaxed);
	atomic_store_explicit(&span->base, 0, memory_order_relaxed);
	atomic_store_explicit(&span->size, 0, memory_order_relaxed);
	atomic_store_explicit(&span->reciprocal, 0, memory_order_relaxed);
	atomic_store_explicit(&span->returns, 0, memory_order_relaxed);
	atomic_store_explicit(&span->queued, 0, memory_order_relaxed);
	atomic_store_explicit(&span->bin, NULL, memory_order_relaxed);
	set_count(span, 0);
	set_class(span, 0);
	span->capacity = span->cursor = span->witness = 0;
	span->place = HM_SPAN_NOWHERE;
	span->kind = (uint8_t)kind;
	span->busy = false;
	span->committed = 0;
	span->length = span->room = 0;
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
	atomic_store_explicit(&span->lister, NULL, memory_order_relaxed);
	atomic_store_explicit(&span->owner, NULL, memory_order_relaxed);
	atomic_store_explicit(&span->heap, NULL, memory_order_relaxed);
	clear_marks(span);
	hm_metadata_give(kind, span);
}

/* ---- Blocks ---- */

void hm_span_format(struct hm_span *span, unsigned class)
{
	uint32_t size = (uint32_t)hm_block_size(class);

	hm_assert(hm_span_kind_of(class) <= span->kind);
	clear_marks(span);
	atomic_store_explicit(&span->size, size, memory_order_relaxed);
	atomic_store_explicit(&span->reciprocal,
			      (uint32_t)(((UINT64_C(1) << 32) + size - 1) / size),
			      memory_order_relaxed);
	set_class(span, class);
	span->capacity = (uint16_t)(HM_SPAN_SIZE / size);
	span->cursor = 0;
	hm_span_grow(span, span->committed);
}

void hm_span_grow(struct hm_span *span, uint32_t committed)
{
	size_t count = hm_min(committed / hm_span_block_size(span), span->capacity);

	span->committed = committed;
	for (size_t i = hm_span_count(span); i < count; i++)
		hm_block_become(&span->marks[i], HM_BLOCK_FREE);
	set_count(span, count);
}

/* ---- Marks, eight at a time ---- */

static uint64_t group_at(const hm_block_mark *first)
{
	return atomic_load_explicit((const _Atomic uint64_t *)(uintptr_t)first,
				    memory_order_relaxed);
}

/* The lowest bit of each mark that is HM_BLOCK_LIVE, FREE or RETURNED. */
static uint64_t live_in(uint64_t group)
{
	return group & ~(group >> 1) & LOWEST;
}

static uint64_t free_in(uint64_t group)
{
	return (group >> 1) & ~group & LOWEST;
}

static uint64_t returned_in(uint64_t group)
{
	return group & (group >> 1) & LOWEST;
}

/* One bit for each mark instead of eight: each has its own way to the highest byte. */
static uint64_t gather(uint64_t lowest)
{
	return (lowest * UINT64_C(0x0102040810204080)) >> 56;
}

bool hm_block_looks_lonely(const hm_block_mark *mark)
{
	return live_in(group_at(mark - (uintptr_t)mark % GROUP)) == 0;
}

uint64_t hm_span_free_in(const struct hm_span *span, unsigned window)
{
	const hm_block_mark *first = &span->marks[window * HM_SPAN_WINDOW];
	uint64_t bits = 0;

	for (unsigned i = 0; i < HM_SPAN_WINDOW; i += GROUP)
		bits |= gather(free_in(group_at(first + i))) << i;
	return bits;
}

static bool has_free(const struct hm_span *span, unsigned window)
{
	const hm_block_mark *first = &span->marks[window * HM_SPAN_WINDOW];
	uint64_t any = 0;

	for (unsigned i = 0; i < HM_SPAN_WINDOW; i += GROUP)
		any |= free_in(group_at(first + i));
	return any != 0;
}

bool hm_span_advance(struct hm_span *span)
{
	unsigned windows = (hm_span_count(span) + HM_SPAN_WINDOW - 1) / HM_SPAN_WINDOW;
	unsigned window = span->cursor;

	for (unsigned i = 0; i < windows; i++) {
		if (has_free(span, window)) {
			span->cursor = (uint16_t)window;
			return true;
		}
		window = window + 1 == windows ? 0 : window + 1;
	}
	return false;
}

struct hm_collected hm_span_collect(struct hm_span *span)
{
	unsigned returns = atomic_load(&span->returns), found = 0;

	if (returns != 0)
		returns = atomic_exchange(&span->returns, 0);
	for (unsigned i = 0; i < hm_span_count(span) && found < returns; i += GROUP) {
		uint64_t returned = returned_in(group_at(&span->marks[i]));

		for (; returned != 0 && found < returns; returned &= returned - 1) {
			hm_block_mark *mark =
				&span->marks[i + (unsigned)__builtin_ctzll(returned) / 8];

			/* It need not be one of those that were counted: whatever its user
			 * did with it is to be over in any case. */
			(void)atomic_load_explicit(mark, memory_order_acquire);
			hm_block_become(mark, HM_BLOCK_FREE);
			found++;
		}
	}
	return (struct hm_collected){ returns, returns - found };
}

bool hm_span_looks_empty(const struct hm_span *span)
{
	for (unsigned i = 0; i < hm_span_count(span); i += GROUP) {
		if (live_in(group_at(&span->marks[i])) != 0)
			return false;
	}
	return true;
}

static bool has_returned(const struct hm_span *span)
{
	for (unsigned i = 0; i < hm_span_count(span); i += GROUP) {
		if (returned_in(group_at(&span->marks[i])) != 0)
			return true;
	}
	return false;
}

/* Begins where one was seen last. */
static bool has_live(struct hm_span *span)
{
	unsigned groups = (hm_span_count(span) + GROUP - 1) / GROUP;
	unsigned group = span->witness < groups ? span->witness : 0;

	for (unsigned i = 0; i < groups; i++) {
		if (live_in(group_at(&span->marks[group * GROUP])) != 0) {
			span->witness = (uint16_t)group;
			return true;
		}
		group = group + 1 == groups ? 0 : group + 1;
	}
	return false;
}

bool hm_span_is_empty(struct hm_span *span, struct hm_collected *collected)
{
	*collected = (struct hm_collected){ 0, 0 };
	if (has_live(span))
		return false;
	*collected = hm_span_collect(span);
	/* Somebody may be about to count a return; it is to be counted for this class. */
	return !has_returned(span);
}

bool hm_span_return(struct hm_span *span, uint64_t index)
{
	uint8_t live = HM_BLOCK_LIVE;

	if (!atomic_compare_exchange_strong(&span->marks[index], &live,
					    HM_BLOCK_RETURNED))
		return false;
	atomic_fetch_add(&span->returns, 1);
	return true;
}

const char *hm_span_check(const struct hm_span *span)
{
	static const unsigned marks[HM_SPAN_KINDS] = {
		[HM_SPAN_COARSE] = HM_SPAN_COARSE_MARKS,
		[HM_SPAN_MIDDLE] = HM_SPAN_MIDDLE_MARKS,
		[HM_SPAN_FINE] = HM_SPAN_FINE_MARKS,
		[HM_SPAN_FINEST] = HM_SPAN_FINEST_MARKS,
	};

	if (hm_span_find(hm_span_base(span)) != span)
		return "a span is not where the table says";
	if (hm_span_count(span) * hm_span_block_size(span) > span->committed)
		return "a span has blocks without pages";
	for (unsigned i = 0; i < marks[span->kind]; i++) {
		bool absent = hm_block_state_of(&span->marks[i]) == HM_BLOCK_ABSENT;

		if (absent && i < hm_span_count(span))
			return "a block with pages is absent";
		if (!absent && i >= hm_span_count(span))
			return "a block without pages is not absent";
	}
	return NULL;
}

/* ---- Lists ---- */

void hm_span_push(struct hm_span_list *list, struct hm_span *span,
		  enum hm_span_place place)
{
	span->place = (uint8_t)place;
	atomic_store_explicit(&span->lister,
			      place == HM_SPAN_LISTED
				      ? atomic_load_explicit(&span->owner,
							     memory_order_relaxed)
				      : NULL,
			      memory_order_relaxed);
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
	atomic_store_explicit(&span->lister, NULL, memory_order_relaxed);
	list->count--;
}
