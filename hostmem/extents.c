/*
 * Free extents in lists by size, and by address in a bitmap.
 *
 * By size: per kind 64 lists, and a word that tells which have members, so that the
 * smallest list with an extent that is large enough is one shift and one count of zeros
 * away.  Sizes up to 16 have a list each; from there on, every power of two is divided in
 * four.  More and finer lists would waste less when an extent is chosen, and need a second
 * word; instead, the first extent of a request's own list is looked at before any
 * larger one is cut.
 *
 * By address: an extent is described by the tag of its last granule, which is a member of
 * the bitmap.  Granules are taken from the low end, which keeps an arena compact; the last
 * granule stays the last one then, and neither the bitmap nor, mostly, a list changes.
 *
 * Neighbours are found without a search.  The one below has its last granule there.  The one
 * above has noted its size at its first granule, too.  Such notes are not cleared when they
 * no longer mean anything, or were never written, so they are only believed if the extent
 * that they tell of is there.  (A search in the bitmap costs as much as all of the rest.)
 *
 * A tag has 8 bytes since it needs no value for "nothing": the last member of a list has
 * itself for next, the list knows its first one, and the one granule that every extent
 * has is not counted.
 */
#include "extents.h"

#include "os/check.h"
#include "os/size.h"

#include <stddef.h>

#define EXACT_CLASSES 16U

/* The rare half of a function; inlined, it makes the common half save registers. */
#define APART __attribute__((noinline))

_Static_assert(HM_EXTENTS_MOST == HM_BITMAP_SIZE, "a granule fits the bitmap");
_Static_assert(sizeof(struct hm_extent_tag) == 8, "a tag is one word");

static uint32_t first_of(const struct hm_extents *extents, uint32_t last)
{
	return last - extents->tags[last].rest;
}

static uint32_t kind_of(const struct hm_extents *extents, uint32_t last)
{
	return extents->tags[last].list / HM_EXTENT_CLASSES;
}

static struct hm_extent extent_of(const struct hm_extents *extents, uint32_t last)
{
	return (struct hm_extent){ .first = first_of(extents, last),
				   .count = extents->tags[last].rest + 1U,
				   .kind = kind_of(extents, last) };
}

/* 0 to 15 for 1 to 16 granules, 16 for 17 to 19, 17 for 20 to 23, ... 63 for 57,344 to
 * 65,536. */
static uint32_t class_of(uint32_t count)
{
	uint32_t log;

	if (count <= EXACT_CLASSES)
		return count - 1;
	count -= count / HM_EXTENTS_MOST; /* the whole of it as all but one */
	log = 31U ^ (uint32_t)__builtin_clz(count);
	return 4 * (log - 1) + (count >> (log - 2));
}

/* The first class that has no extents with fewer granules; there may be none. */
static uint32_t sure_class(uint32_t count)
{
	if (count <= EXACT_CLASSES)
		return count - 1;
	return count > HM_EXTENTS_MOST ? HM_EXTENT_CLASSES : class_of(count - 1) + 1;
}

static uint32_t lowest(uint64_t word)
{
	return (uint32_t)__builtin_ctzll(word);
}

static uint32_t list_of(uint32_t kind, uint32_t count)
{
	return kind * HM_EXTENT_CLASSES + class_of(count);
}

static void list_add(struct hm_extents *extents, uint32_t last, uint32_t list)
{
	uint64_t *used = &extents->used[list / HM_EXTENT_CLASSES];
	uint64_t bit = UINT64_C(1) << (list % HM_EXTENT_CLASSES);
	uint32_t next = last;

	if ((*used & bit) != 0) {
		next = extents->heads[list];
		extents->tags[next].previous = (uint16_t)last;
	}
	*used |= bit;
	extents->heads[list] = (uint16_t)last;
	extents->tags[last].next = (uint16_t)next;
	extents->tags[last].list = (uint16_t)list;
}

static void list_remove(struct hm_extents *extents, uint32_t last)
{
	uint32_t list = extents->tags[last].list;
	uint16_t next = extents->tags[last].next, previous;

	if (extents->heads[list] != last) {
		previous = extents->tags[last].previous;
		extents->tags[previous].next = next == last ? previous : next;
		extents->tags[next].previous = previous;
		return;
	}
	extents->heads[list] = next;
	if (next == last)
		extents->used[list / HM_EXTENT_CLASSES] &=
			~(UINT64_C(1) << (list % HM_EXTENT_CLASSES));
}

static void note_size(struct hm_extents *extents, uint32_t first, uint32_t last)
{
	extents->tags[first].rest = (uint16_t)(last - first);
	extents->tags[last].rest = (uint16_t)(last - first);
}

static void extent_add(struct hm_extents *extents, uint32_t first, uint32_t last,
		       uint32_t kind)
{
	note_size(extents, first, last);
	list_add(extents, last, list_of(kind, last - first + 1));
	hm_bitmap_add(&extents->lasts, last);
}

static void extent_remove(struct hm_extents *extents, uint32_t last)
{
	list_remove(extents, last);
	hm_bitmap_remove(&extents->lasts, last);
}

static APART void list_change(struct hm_extents *extents, uint32_t last, uint32_t list)
{
	list_remove(extents, last);
	list_add(extents, last, list);
}

/* Another beginning for an extent. */
static inline void extent_begin(struct hm_extents *extents, uint32_t first, uint32_t last)
{
	uint32_t list = list_of(kind_of(extents, last), last - first + 1);

	note_size(extents, first, last);
	if (list != extents->tags[last].list)
		list_change(extents, last, list);
}

/* Takes the granules below `end` out of a free extent. */
static void cut_front(struct hm_extents *extents, uint32_t last, uint32_t end)
{
	extents->free -= end - first_of(extents, last);
	if (end <= last)
		extent_begin(extents, end, last);
	else
		extent_remove(extents, last);
}

/* Takes granules out of a free extent. */
static void cut(struct hm_extents *extents, uint32_t last, uint32_t first, uint32_t count)
{
	uint32_t begin = first_of(extents, last), kind = kind_of(extents, last);

	cut_front(extents, last, first + count);
	if (begin == first)
		return;
	extent_add(extents, begin, first - 1, kind);
	extents->free += first - begin;
}

void hm_extents_init(struct hm_extents *extents, uint32_t origin, uint32_t count)
{
	hm_assert(count != 0 && count <= HM_EXTENTS_MOST);
	extents->origin = origin;
	extents->count = count;
	extents->free = count;
	extent_add(extents, 0, count - 1, HM_EXTENT_BLANK);
}

/* A request for granules. */
struct wish {
	uint32_t count, alignment;
};

/* Whether a free extent can grant it, and from which granule on. */
static bool fits(const struct hm_extents *extents, uint32_t last, const struct wish *wish,
		 uint32_t *first)
{
	uint32_t begin = first_of(extents, last), count = last - begin + 1;
	uint32_t skip = (0 - (extents->origin + begin)) & (wish->alignment - 1);

	*first = begin + skip;
	return wish->count <= count && skip <= count - wish->count;
}

/* The first extent of a list that can. */
static bool find_in_list(const struct hm_extents *extents, uint32_t head,
			 const struct wish *wish, uint32_t *last, uint32_t *first)
{
	for (uint32_t i = head;; i = extents->tags[i].next) {
		if (fits(extents, i, wish, first)) {
			*last = i;
			return true;
		}
		if (extents->tags[i].next == i)
			return false;
	}
}

/* The first extent of the kind that can; one that surely fits before those that may. */
static bool find(const struct hm_extents *extents, enum hm_extent_kind kind,
		 const struct wish *wish, uint32_t *last, uint32_t *first)
{
	const uint16_t *heads = &extents->heads[kind * HM_EXTENT_CLASSES];
	uint64_t used = extents->used[kind];
	uint32_t own = class_of(wish->count);
	uint32_t sure = sure_class(wish->count + (wish->alignment - 1));

	if ((used >> own & 1) != 0) {
		*last = heads[own];
		if (fits(extents, *last, wish, first))
			return true;
	}
	if (sure < HM_EXTENT_CLASSES && used >> sure != 0) {
		*last = heads[sure + lowest(used >> sure)];
		return fits(extents, *last, wish, first);
	}
	for (used = used >> own << own; used != 0; used &= used - 1) {
		if (find_in_list(extents, heads[lowest(used)], wish, last, first))
			return true;
	}
	return false;
}

static APART bool take_fitting(struct hm_extents *extents, enum hm_extent_kind kind,
			       uint32_t count, uint32_t alignment, uint32_t *first)
{
	const struct wish wish = { .count = count, .alignment = alignment };
	uint32_t last, found;

	if (count > extents->free || !find(extents, kind, &wish, &last, &found))
		return false;
	cut(extents, last, found, count);
	*first = found;
	return true;
}

bool hm_extents_take(struct hm_extents *extents, enum hm_extent_kind kind, uint32_t count,
		     uint32_t alignment, uint32_t *first)
{
	uint32_t class = count - 1, last;
	uint64_t used;

	hm_assert(kind < HM_EXTENT_KINDS && count != 0 && hm_is_power_of_two(alignment));
	if (count > EXACT_CLASSES || alignment != 1)
		return take_fitting(extents, kind, count, alignment, first);

	/* What find would say, without its questions: every member of these lists fits. */
	used = extents->used[kind] >> class;
	if (used == 0)
		return false;
	class += lowest(used);
	last = extents->heads[kind * HM_EXTENT_CLASSES + class];
	*first = first_of(extents, last);
	cut_front(extents, last, *first + count);
	return true;
}

/* The free extent that a granule lies in. */
static bool find_around(const struct hm_extents *extents, uint32_t granule,
			uint32_t *last)
{
	return hm_bitmap_next(&extents->lasts, granule, last) &&
	       first_of(extents, *last) <= granule;
}

bool hm_extents_take_at(struct hm_extents *extents, uint32_t first, uint32_t count)
{
	uint32_t last, end = first + count;

	hm_assert(count != 0);
	if (first >= extents->count || count > extents->count - first)
		return false;
	for (uint32_t at = first; at < end; at = last + 1) {
		if (!find_around(extents, at, &last))
			return false;
	}
	for (uint32_t at = first, next; at < end; at = next) {
		if (!find_around(extents, at, &last))
			return false;
		next = (uint32_t)hm_min(end, last + 1);
		cut(extents, last, at, next - at);
	}
	return true;
}

uint32_t hm_extents_take_below(struct hm_extents *extents, enum hm_extent_kind kind,
			       uint32_t first, uint32_t limit)
{
	uint32_t last, from;

	hm_assert(kind < HM_EXTENT_KINDS && first <= extents->count);
	if (first <= limit || !find_around(extents, first - 1, &last) ||
	    kind_of(extents, last) != kind)
		return 0;
	from = (uint32_t)hm_max(first_of(extents, last), limit);
	cut(extents, last, from, first - from);
	return first - from;
}

uint32_t hm_extents_take_above(struct hm_extents *extents, enum hm_extent_kind kind,
			       uint32_t end, uint32_t limit)
{
	uint32_t last, to;

	hm_assert(kind < HM_EXTENT_KINDS && end <= extents->count);
	if (end >= limit || end == extents->count || !find_around(extents, end, &last) ||
	    kind_of(extents, last) != kind)
		return 0;
	to = (uint32_t)hm_min(last + 1, limit);
	cut(extents, last, end, to - end);
	return to - end;
}

/* The free extent that begins at a granule, going by a note that may be old. */
static bool find_beginning(const struct hm_extents *extents, uint32_t granule,
			   uint32_t *last)
{
	uint32_t rest = extents->tags[granule].rest;

	*last = granule + rest;
	return *last < extents->count && hm_bitmap_has(&extents->lasts, *last) &&
	       extents->tags[*last].rest == rest;
}

void hm_extents_give(struct hm_extents *extents, const struct hm_extent *given,
		     struct hm_extent *merged)
{
	uint32_t first = given->first, last = first + given->count - 1, above;

	hm_assert(given->kind < HM_EXTENT_KINDS && given->count != 0 &&
		  first < extents->count && given->count <= extents->count - first);
	hm_assert(!hm_bitmap_next(&extents->lasts, first, &above) ||
		  first_of(extents, above) > last);
	extents->free += given->count;
	if (first != 0 && hm_bitmap_has(&extents->lasts, first - 1) &&
	    kind_of(extents, first - 1) == given->kind) {
		extent_remove(extents, first - 1);
		first = first_of(extents, first - 1);
	}
	if (last + 1 != extents->count && find_beginning(extents, last + 1, &above) &&
	    kind_of(extents, above) == given->kind) {
		last = above;
		extent_begin(extents, first, last);
	} else {
		extent_add(extents, first, last, given->kind);
	}
	if (merged != NULL)
		*merged = extent_of(extents, last);
}

uint32_t hm_extents_free(const struct hm_extents *extents)
{
	return extents->free;
}

bool hm_extents_next(const struct hm_extents *extents, uint32_t from,
		     struct hm_extent *out)
{
	uint32_t last;

	if (from >= extents->count || !hm_bitmap_next(&extents->lasts, from, &last))
		return false;
	if (first_of(extents, last) < from &&
	    (last + 1 == extents->count ||
	     !hm_bitmap_next(&extents->lasts, last + 1, &last)))
		return false;
	*out = extent_of(extents, last);
	return true;
}

/* By address.  Counts the extents. */
static const char *check_extents(const struct hm_extents *extents, uint32_t *found)
{
	uint32_t free = 0, end = 0, last, kind = HM_EXTENT_KINDS;

	*found = 0;
	for (uint32_t from = 0;
	     from < HM_EXTENTS_MOST && hm_bitmap_next(&extents->lasts, from, &last);
	     from = last + 1) {
		const struct hm_extent_tag *tag = &extents->tags[last];

		if (last >= extents->count)
			return "a free extent ends beyond the arena";
		if (tag->rest > last - from)
			return "two free extents overlap";
		if (tag->list >= HM_EXTENT_KINDS * HM_EXTENT_CLASSES ||
		    tag->list != list_of(kind_of(extents, last), tag->rest + 1U))
			return "a free extent is in the list of another size";
		if (extents->tags[last - tag->rest].rest != tag->rest)
			return "a free extent's first granule does not tell its size";
		if (last - tag->rest == end && kind_of(extents, last) == kind)
			return "neighbours of one kind are two extents";
		kind = kind_of(extents, last);
		end = last + 1;
		free += tag->rest + 1U;
		*found += 1;
	}
	return free == extents->free ? NULL : "the extents do not add up to what is free";
}

/* Counts the members down from `limit`, which they are expected not to exceed. */
static const char *check_list(const struct hm_extents *extents, uint32_t list,
			      uint32_t *limit)
{
	uint32_t i = extents->heads[list], previous = i;

	for (;; previous = i, i = extents->tags[i].next) {
		const struct hm_extent_tag *tag = &extents->tags[i];

		if (!hm_bitmap_has(&extents->lasts, i) || tag->list != list)
			return "a list has a member that is not a free extent of its "
			       "size";
		if (previous != i && tag->previous != previous)
			return "a list is not the same in both directions";
		if (*limit == 0)
			return "a list has a free extent more than once";
		*limit -= 1;
		if (tag->next == i)
			return NULL;
	}
}

const char *hm_extents_check(const struct hm_extents *extents)
{
	const char *broken = hm_bitmap_check(&extents->lasts);
	uint32_t left;

	if (broken == NULL)
		broken = check_extents(extents, &left);
	for (uint32_t list = 0;
	     broken == NULL && list < HM_EXTENT_KINDS * HM_EXTENT_CLASSES; list++) {
		if ((extents->used[list / HM_EXTENT_CLASSES] >>
			     (list % HM_EXTENT_CLASSES) &
		     1) != 0)
			broken = check_list(extents, list, &left);
	}
	if (broken == NULL && left != 0)
		broken = "a free extent is in no list";
	return broken;
}
