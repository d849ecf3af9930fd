#ifndef HOSTMEM_PAGESTATES_H
#define HOSTMEM_PAGESTATES_H

#include "metadata.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The states of a region's pages: a 4-bit code for each, in a tree that readers follow
 * without a lock while one writer changes it.
 *
 * A word holds 16 codes.  A region of at most 16 pages is one word; a larger one is a
 * tree of nodes with 16 entries, in which a subtree whose pages are all alike is a single
 * entry, however large it is.
 *
 * A writer never changes a node that a reader may be in, but for one word at a time: it
 * copies the path, publishes the new root with one store, moves the version on, and only
 * then frees what was replaced.  So a reader that sees the same version before and after
 * has seen one state of the whole region, and it never waits, even for a writer that is
 * stopped for good.
 */
typedef uint64_t hm_states_root; /* what the word at the top means depends on `levels` */

#define HM_STATE_RESERVED 0U /* every other code is a committed page */
#define HM_STATE_GUARD 8U    /* bit: the first access is to be reported */
#define HM_STATE_ACCESS_MASK 7U

/* A reader's proof that what it read belongs together. */
struct hm_states_view {
	hm_states_root root;
	unsigned levels;
	const _Atomic uint64_t *version; /* NULL: the caller holds the region's lock */
	uint64_t seen;
};

/* Levels of the tree for a region of `pages` pages: 0 = the root is the word. */
unsigned hm_states_levels(size_t pages);
/* Pages a tree of that many levels can describe; those beyond the region's end have no
 * meaning, so a change that reaches the end may as well cover them and fold. */
size_t hm_states_capacity(unsigned levels);
/* A root whose pages all have `code`, which is not a guard; needs no memory. */
hm_states_root hm_states_uniform(unsigned levels, unsigned code);

/*
 * The code of `page` and the number of pages from it on, at most `limit`, that share it.
 * 0 if the version moved: look at the region anew.
 */
size_t hm_states_run(const struct hm_states_view *view, size_t page, size_t limit,
		     unsigned *code);

/* Committed pages among `count` from `first` on. */
size_t hm_states_committed(hm_states_root root, unsigned levels, size_t first,
			   size_t count);

/* A change that is worked out but not yet visible. */
struct hm_states_change {
	hm_states_root before, after;
	unsigned levels;
	size_t first, count;
};

/* Works out "pages first .. first+count-1 get `code`"; false = no memory. */
bool hm_states_prepare(hm_states_root root, unsigned levels, size_t first, size_t count,
		       unsigned code, enum hm_metadata_need need,
		       struct hm_states_change *out);
/* Makes it visible and frees what it replaces. */
void hm_states_publish(_Atomic uint64_t *root, _Atomic uint64_t *version,
		       const struct hm_states_change *change);
/* Forgets it. */
void hm_states_abandon(const struct hm_states_change *change);

/*
 * A tree of its own for `count` pages from `first` on, for a region that is being split.
 * false = no memory.
 */
bool hm_states_extract(hm_states_root root, unsigned levels, size_t first, size_t count,
		       hm_states_root *out);
/* Frees a tree that no region has any more. */
void hm_states_free(hm_states_root root, unsigned levels);

/*
 * Clears the guard of one page in place and tells whether it was set.  Needs no memory
 * (guarded pages are never folded into one entry), so a fault handler may call it.
 */
bool hm_states_clear_guard(_Atomic uint64_t *root, unsigned levels, size_t page);

/* NULL if every rule above holds, else the rule that is broken. */
const char *hm_states_check(hm_states_root root, unsigned levels);

#endif
