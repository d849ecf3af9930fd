/*
 * A tree of page states under test, beside a flat array of what it should say.
 */
#ifndef HOSTMEM_UNIT_TREE_H
#define HOSTMEM_UNIT_TREE_H

#include "fake.h"
#include "hostmem/pagestates.h"

#define MOST_PAGES ((size_t)1 << 20)
#define GUARDED (HM_STATE_GUARD | 3U)

/* A tree under test, and what it should say. */
static struct {
	_Atomic uint64_t root, version;
	unsigned levels;
	size_t pages, in_use;
	uint8_t codes[MOST_PAGES];
} tree;

static inline void start(size_t pages)
{
	tree.pages = pages;
	tree.levels = hm_states_levels(pages);
	tree.root = hm_states_uniform(tree.levels, HM_STATE_RESERVED);
	tree.in_use = hm_metadata_in_use();
	memset(tree.codes, HM_STATE_RESERVED, pages);
}

static inline void end(void)
{
	hm_states_free(tree.root, tree.levels);
	CHECK_SIZE(hm_metadata_in_use(), tree.in_use);
}

static inline bool prepare(size_t first, size_t count, unsigned code,
			   struct hm_states_change *change)
{
	return hm_states_prepare(tree.root, tree.levels, first, count, code,
				 HM_NEED_NORMAL, change);
}

static inline void set(size_t first, size_t count, unsigned code)
{
	struct hm_states_change change;

	if (!CHECK(prepare(first, count, code, &change)))
		return;
	hm_states_publish(&tree.root, &tree.version, &change);
	memset(tree.codes + first, (int)code, count);
}

static inline struct hm_states_view view_now(void)
{
	return (struct hm_states_view){ .root = tree.root,
					.levels = tree.levels,
					.version = &tree.version,
					.seen = tree.version };
}

static inline size_t run_of(size_t page, size_t limit, unsigned *code)
{
	struct hm_states_view view = view_now();

	return hm_states_run(&view, page, limit, code);
}

static inline size_t length_of_run(size_t page, size_t limit)
{
	size_t count = 0;

	while (count < limit && tree.codes[page + count] == tree.codes[page])
		count++;
	return count;
}

static inline size_t committed(size_t first, size_t count)
{
	size_t total = 0;

	for (size_t i = first; i < first + count; i++)
		total += tree.codes[i] != HM_STATE_RESERVED;
	return total;
}

/* Two runs that follow each other may have one code; they may not be cut otherwise. */
static inline void check_run(size_t page, size_t limit)
{
	size_t want = length_of_run(page, limit), got = 0;
	unsigned code = 99;

	while (got < want) {
		size_t part = run_of(page + got, limit - got, &code);

		CHECK_U32(code, tree.codes[page]);
		if (!CHECK(part != 0))
			return;
		got += part;
	}
	CHECK_SIZE(got, want);
}

/* Every run from one end to the other. */
static inline void check_all(void)
{
	CHECK_STR(hm_states_check(tree.root, tree.levels), NULL);
	CHECK_SIZE(hm_states_committed(tree.root, tree.levels, 0, tree.pages),
		   committed(0, tree.pages));
	for (size_t page = 0; page < tree.pages && !tap_failed();) {
		size_t run = length_of_run(page, tree.pages - page);

		check_run(page, tree.pages - page);
		page += run;
	}
}

#endif
