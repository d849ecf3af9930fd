/*
 * Page states: a radix tree over the page number, 16 ways.
 *
 * A node has 16 entries.  At level 0 an entry is a word of 16 codes; above, it is a
 * pointer to a node one level down, or, where every page below has the same code, that
 * code with the lowest bit set (node addresses are multiples of 64).
 *
 *     level 0   one word           16 pages     64 KiB
 *     level 1   one node          256 pages      1 MiB
 *     level n                 16^(n+1) pages
 *
 * An array of codes was rejected because a reservation may be terabytes; a sorted vector
 * of runs because a collector that commits every other page makes it thousands long, and
 * each change copies it whole.
 *
 * Every access to an entry is atomic, and nodes stay readable when freed (metadata.h).
 * A reader checks the version before it follows an entry, so it never takes a word of
 * codes in a re-used node for a pointer.
 */
#include "pagestates.h"
#include "os/check.h"
#include "os/size.h"

#define WAYS 16U
#define WAYS_SHIFT 4U
#define CODE_BITS 4U
#define CODE_MASK UINT64_C(15)
#define EVERY_CODE UINT64_C(0x1111111111111111)

struct node {
	_Atomic uint64_t entries[WAYS];
};

_Static_assert(sizeof(struct node) == 128, "a node is a block of HM_METADATA_STATES");

/* Pages below one entry of a level. */
static size_t span_of(unsigned level)
{
	return (size_t)WAYS << (WAYS_SHIFT * level);
}

static bool is_folded(uint64_t entry)
{
	return entry & 1;
}

static uint64_t folded(unsigned code)
{
	return (uint64_t)code << 1 | 1;
}

static unsigned folded_code(uint64_t entry)
{
	return (unsigned)(entry >> 1);
}

static struct node *node_of(uint64_t entry)
{
	return (struct node *)(uintptr_t)entry;
}

static uint64_t load(const _Atomic uint64_t *entry)
{
	return atomic_load_explicit(entry, memory_order_acquire);
}

static void store(_Atomic uint64_t *entry, uint64_t value)
{
	atomic_store_explicit(entry, value, memory_order_release);
}

unsigned hm_states_levels(size_t pages)
{
	unsigned levels = 0;

	while (span_of(levels) < pages)
		levels++;
	return levels;
}

size_t hm_states_capacity(unsigned levels)
{
	return span_of(levels);
}

hm_states_root hm_states_uniform(unsigned levels, unsigned code)
{
	hm_assert(levels == 0 || !(code & HM_STATE_GUARD));
	return levels == 0 ? code * EVERY_CODE : folded(code);
}

/* Codes first .. first+count-1 of a word as a mask. */
static uint64_t word_mask(size_t first, size_t count)
{
	uint64_t mask = count == WAYS ? UINT64_MAX
				      : (UINT64_C(1) << (count * CODE_BITS)) - 1;

	return mask << (first * CODE_BITS);
}

static size_t word_run(uint64_t word, size_t page, unsigned code)
{
	uint64_t different = (word ^ code * EVERY_CODE) >> (page * CODE_BITS);

	if (different == 0)
		return WAYS - page;
	return (size_t)__builtin_ctzll(different) / CODE_BITS;
}

static unsigned word_code(uint64_t word, size_t page)
{
	return (unsigned)(word >> (page * CODE_BITS) & CODE_MASK);
}

static bool view_holds(const struct hm_states_view *view)
{
	return view->version == NULL ||
	       atomic_load_explicit(view->version, memory_order_acquire) == view->seen;
}

/*
 * The entry that tells the code of `page`: a word of codes (*level == 0) or a folded
 * entry at *level.  false if the version moved on the way.
 */
static bool descend(const struct hm_states_view *view, size_t page, uint64_t *entry,
		    unsigned *level)
{
	*entry = view->root;
	*level = view->levels;
	while (*level > 0 && !is_folded(*entry)) {
		size_t way = page / span_of(*level - 1) % WAYS;

		if (!view_holds(view))
			return false;
		*entry = load(&node_of(*entry)->entries[way]);
		(*level)--;
	}
	return true;
}

size_t hm_states_run(const struct hm_states_view *view, size_t page, size_t limit,
		     unsigned *code)
{
	size_t at = page;
	size_t end = page + limit;
	bool first = true;

	while (at < end) {
		uint64_t entry;
		unsigned level, here;
		size_t span;

		if (!descend(view, at, &entry, &level))
			return 0;
		span = span_of(level);
		here = level == 0 ? word_code(entry, at % WAYS) : folded_code(entry);
		if (first)
			*code = here;
		else if (here != *code)
			break;
		first = false;
		at += level == 0 ? word_run(entry, at % WAYS, here) : span - at % span;
		if (level == 0 && at % WAYS != 0)
			break;
	}
	if (!view_holds(view))
		return 0;
	return hm_min(at, end) - page;
}

static size_t word_committed(uint64_t word)
{
	uint64_t any = word | word >> 1 | word >> 2 | word >> 3;

	/* Without the processor's help counting bits is a call. */
	if (any == 0)
		return 0;
	return (size_t)__builtin_popcountll(any & EVERY_CODE);
}

static size_t committed_below(uint64_t entry, unsigned level, size_t first, size_t count)
{
	size_t total = 0;

	if (level == 0)
		return word_committed(entry & word_mask(first, count));
	if (is_folded(entry))
		return folded_code(entry) == HM_STATE_RESERVED ? 0 : count;
	for (size_t end = first + count; first < end;) {
		size_t span = span_of(level - 1);
		size_t part = hm_min(end - first, span - first % span);

		total += committed_below(load(&node_of(entry)->entries[first / span]),
					 level - 1, first % span, part);
		first += part;
	}
	return total;
}

size_t hm_states_committed(hm_states_root root, unsigned levels, size_t first,
			   size_t count)
{
	return committed_below(root, levels, first, count);
}

/* Frees the nodes of a subtree that have a page in the range. */
static void free_touched(uint64_t entry, unsigned level, size_t first, size_t count)
{
	size_t end = first + count;

	if (level == 0 || is_folded(entry) || count == 0)
		return;
	for (size_t span = span_of(level - 1); first < end;) {
		size_t part = hm_min(end - first, span - first % span);

		free_touched(load(&node_of(entry)->entries[first / span]), level - 1,
			     first % span, part);
		first += part;
	}
	hm_metadata_give(HM_METADATA_STATES, node_of(entry));
}

/* The entry that stands for way `i` of an entry, folded or not. */
static uint64_t child_of(uint64_t entry, unsigned level, size_t i)
{
	if (!is_folded(entry))
		return load(&node_of(entry)->entries[i]);
	return hm_states_uniform(level - 1, folded_code(entry));
}

/* Folds a node whose entries are all alike; guarded pages stay unfolded. */
static uint64_t fold(struct node *node, unsigned level)
{
	uint64_t first = load(&node->entries[0]);
	unsigned code;

	if (level == 1)
		code = word_code(first, 0);
	else if (is_folded(first))
		code = folded_code(first);
	else
		return (uintptr_t)node;
	if ((code & HM_STATE_GUARD) || first != hm_states_uniform(level - 1, code))
		return (uintptr_t)node;
	for (size_t i = 1; i < WAYS; i++) {
		if (load(&node->entries[i]) != first)
			return (uintptr_t)node;
	}
	hm_metadata_give(HM_METADATA_STATES, node);
	return folded(code);
}

/*
 * A copy of `entry` in which the range has `code`.  Only nodes with a page in the range
 * are new; the others are shared with the old tree, which is why free_touched is right
 * for throwing away either of the two.
 */
static bool changed(uint64_t entry, unsigned level, size_t first, size_t count,
		    unsigned code, enum hm_metadata_need need, uint64_t *out)
{
	struct node *node;
	size_t span, at, end = first + count;

	if (level == 0) {
		uint64_t mask = word_mask(first, count);

		*out = (entry & ~mask) | (code * EVERY_CODE & mask);
		return true;
	}
	if (count == span_of(level) && !(code & HM_STATE_GUARD)) {
		*out = folded(code);
		return true;
	}
	node = hm_metadata_take(HM_METADATA_STATES, need);
	if (node == NULL)
		return false;
	span = span_of(level - 1);
	for (size_t i = 0; i < WAYS; i++)
		store(&node->entries[i], child_of(entry, level, i));
	for (at = first; at < end;) {
		size_t part = hm_min(end - at, span - at % span);
		uint64_t child;

		if (!changed(child_of(entry, level, at / span), level - 1, at % span,
			     part, code, need, &child))
			break;
		store(&node->entries[at / span], child);
		at += part;
	}
	if (at < end) {
		for (size_t done = first; done < at;) {
			size_t part = hm_min(at - done, span - done % span);

			free_touched(load(&node->entries[done / span]), level - 1,
				     done % span, part);
			done += part;
		}
		hm_metadata_give(HM_METADATA_STATES, node);
		return false;
	}
	*out = fold(node, level);
	return true;
}

bool hm_states_prepare(hm_states_root root, unsigned levels, size_t first, size_t count,
		       unsigned code, enum hm_metadata_need need,
		       struct hm_states_change *out)
{
	out->before = root;
	out->levels = levels;
	out->first = first;
	out->count = count;
	return changed(root, levels, first, count, code, need, &out->after);
}

void hm_states_publish(_Atomic uint64_t *root, _Atomic uint64_t *version,
		       const struct hm_states_change *change)
{
	store(root, change->after);
	/* Nobody may trust what it reads in a node that is freed below. */
	atomic_fetch_add_explicit(version, 1, memory_order_acq_rel);
	free_touched(change->before, change->levels, change->first, change->count);
}

void hm_states_abandon(const struct hm_states_change *change)
{
	free_touched(change->after, change->levels, change->first, change->count);
}

bool hm_states_extract(hm_states_root root, unsigned levels, size_t first, size_t count,
		       hm_states_root *out)
{
	struct hm_states_view view = { .root = root, .levels = levels };
	unsigned own_levels = hm_states_levels(count);
	hm_states_root tree = hm_states_uniform(own_levels, HM_STATE_RESERVED);

	for (size_t at = 0; at < count;) {
		struct hm_states_change change;
		unsigned code;
		size_t run = hm_states_run(&view, first + at, count - at, &code);

		if (code != HM_STATE_RESERVED) {
			if (!hm_states_prepare(tree, own_levels, at, run, code,
					       HM_NEED_TO_FREE, &change)) {
				hm_states_free(tree, own_levels);
				return false;
			}
			free_touched(tree, own_levels, at, run);
			tree = change.after;
		}
		at += run;
	}
	*out = tree;
	return true;
}

void hm_states_free(hm_states_root root, unsigned levels)
{
	free_touched(root, levels, 0, span_of(levels));
}

bool hm_states_clear_guard(_Atomic uint64_t *root, unsigned levels, size_t page)
{
	_Atomic uint64_t *entry = root;
	uint64_t bit, word;

	for (unsigned level = levels; level > 0; level--) {
		uint64_t value = load(entry);

		if (is_folded(value))
			return false;
		entry = &node_of(value)->entries[page / span_of(level - 1) % WAYS];
	}
	bit = (uint64_t)HM_STATE_GUARD << (page % WAYS * CODE_BITS);
	word = load(entry);
	if (!(word & bit))
		return false;
	store(entry, word & ~bit);
	return true;
}

static const char *check_below(uint64_t entry, unsigned level)
{
	const char *broken;

	if (level == 0)
		return NULL;
	if (is_folded(entry)) {
		if (folded_code(entry) > CODE_MASK)
			return "a folded entry has no code";
		if (folded_code(entry) & HM_STATE_GUARD)
			return "guarded pages are folded";
		return NULL;
	}
	if (node_of(entry) == NULL)
		return "an entry points nowhere";
	for (size_t i = 0; i < WAYS; i++) {
		broken = check_below(load(&node_of(entry)->entries[i]), level - 1);
		if (broken != NULL)
			return broken;
	}
	return NULL;
}

const char *hm_states_check(hm_states_root root, unsigned levels)
{
	return check_below(root, levels);
}
