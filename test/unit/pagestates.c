/*
 * Page states: levels, edges, memory that runs out, readers, the checker.
 */
#include "hostmem/pagestates.h"
#include "tree.h"

static void a_tree_has_as_many_levels_as_it_needs(void)
{
	static const struct {
		size_t pages;
		unsigned levels;
	} rows[] = {
		{ 1, 0 },
		{ 16, 0 },
		{ 17, 1 },
		{ 256, 1 },
		{ 257, 2 },
		{ 4096, 2 },
		{ 4097, 3 },
		{ 65536, 3 },
		{ 65537, 4 },
		{ 1 << 20, 4 },
		{ (1 << 20) + 1, 5 },
		{ (size_t)1 << 35, 8 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%zu pages", rows[i].pages);
		CHECK_U32(hm_states_levels(rows[i].pages), rows[i].levels);
		CHECK(hm_states_capacity(rows[i].levels) >= rows[i].pages);
		CHECK(rows[i].levels == 0 ||
		      hm_states_capacity(rows[i].levels - 1) < rows[i].pages);
	}
}

static void a_uniform_tree_is_one_run_and_needs_no_memory(void)
{
	static const size_t sizes[] = { 1, 16, 17, 256, 4097, MOST_PAGES };

	for (size_t i = 0; i < ROWS(sizes); i++) {
		for (unsigned code = 0; code < HM_STATE_GUARD; code++) {
			unsigned got = 99;

			tap_row("%zu pages, code %u", sizes[i], code);
			start(sizes[i]);
			tree.root = hm_states_uniform(tree.levels, code);
			memset(tree.codes, (int)code, sizes[i]);
			CHECK_SIZE(run_of(0, sizes[i], &got), sizes[i]);
			CHECK_U32(got, code);
			CHECK_SIZE(run_of(sizes[i] - 1, 1, &got), 1);
			check_all();
			CHECK_SIZE(hm_metadata_in_use(), tree.in_use);
			end();
		}
	}
}

static void changes_at_the_edges_of_words_and_nodes_stay_inside(void)
{
	static const size_t edges[] = { 0,    1,    15,   16,   17,    31,   32,
					255,  256,  257,  511,  4095,  4096, 4097,
					4111, 4112, 8191, 8192, 69630, 69631 };
	const size_t pages = 69632;

	for (size_t i = 0; i < ROWS(edges); i++) {
		for (size_t j = i + 1; j < ROWS(edges) && !tap_failed(); j++) {
			start(pages);
			tap_row("pages %zu to %zu", edges[i], edges[j]);
			set(edges[i], edges[j] - edges[i], 3);
			check_all();
			set(edges[i], edges[j] - edges[i], GUARDED);
			check_all();
			set(0, edges[j], 5);
			check_all();
			set(edges[i], pages - edges[i], HM_STATE_RESERVED);
			check_all();
			end();
		}
	}
}

static void pages_that_are_alike_again_take_no_memory(void)
{
	start(65536);
	set(777, 1, 3);
	CHECK(hm_metadata_in_use() > tree.in_use);
	set(777, 1, HM_STATE_RESERVED);
	CHECK_SIZE(hm_metadata_in_use(), tree.in_use);
	for (size_t page = 0; page < 65536; page += 2)
		set(page, 1, 4);
	for (size_t page = 1; page < 65536; page += 2)
		set(page, 1, 4);
	CHECK_SIZE(hm_metadata_in_use(), tree.in_use);
	set(0, 65536, GUARDED);
	CHECK(hm_metadata_in_use() > tree.in_use);
	set(0, 65536, 4);
	CHECK_SIZE(hm_metadata_in_use(), tree.in_use);
	end();
}

/* Tries a change with `blocks` nodes to be had, and tells whether it could be made. */
static bool try_with(size_t blocks, size_t first, size_t count, unsigned code)
{
	struct hm_states_change change;
	uint64_t root = tree.root;
	struct hoard hoard;
	size_t in_use;
	bool done;

	hoard_kind(&hoard, HM_METADATA_STATES, HM_NEED_NORMAL);
	hoard_give(&hoard, HM_METADATA_STATES, blocks);
	in_use = hm_metadata_in_use();
	done = prepare(first, count, code, &change);
	if (done)
		hm_states_abandon(&change);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
	CHECK_SIZE(tree.root, root);
	hoard_end(&hoard, HM_METADATA_STATES);
	return done;
}

static void without_memory_everything_stays_as_it_was(void)
{
	static const struct {
		const char *name;
		size_t first, count;
		unsigned code;
	} rows[] = {
		{ "one page", 5000, 1, 3 },
		{ "across nodes", 4090, 5000, 3 },
		{ "many guarded ones", 100, 9000, GUARDED },
		{ "back to reserved", 300, 60000, HM_STATE_RESERVED },
	};

	CHECK(hm_metadata_prepare());
	start(65536);
	set(1000, 30000, 3);
	set(8000, 100, GUARDED);
	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t blocks = 0;

		while (!try_with(blocks, rows[i].first, rows[i].count, rows[i].code) &&
		       blocks < 100)
			blocks++;
		tap_row("%s: %zu nodes", rows[i].name, blocks);
		CHECK(blocks > 0 && blocks < 100);
		check_all();
	}
	end();
}

static void extracting_without_memory_leaves_nothing_behind(void)
{
	struct hoard hoard;
	size_t blocks, in_use;
	bool done = false;

	start(65536);
	for (size_t page = 0; page < 40000; page += 777)
		set(page, 100, page % 2 ? 3 : GUARDED);
	for (blocks = 0; !done && blocks < 1000; blocks++) {
		hm_states_root root = 4711;

		hoard_kind(&hoard, HM_METADATA_STATES, HM_NEED_TO_FREE);
		hoard_give(&hoard, HM_METADATA_STATES, blocks);
		in_use = hm_metadata_in_use();
		done = hm_states_extract(tree.root, tree.levels, 3, 50000, &root);
		if (done)
			hm_states_free(root, hm_states_levels(50000));
		CHECK_SIZE(hm_metadata_in_use(), in_use);
		hoard_end(&hoard, HM_METADATA_STATES);
	}
	CHECK(done && blocks > 10);
	check_all();
	end();
}

static void a_reader_with_an_old_view_is_told_so(void)
{
	struct hm_states_view before, plain;
	unsigned code;

	start(65536);
	set(100, 100, 3);
	before = view_now();
	CHECK_SIZE(hm_states_run(&before, 100, 1000, &code), 100);
	set(40000, 1, 4);
	CHECK_SIZE(hm_states_run(&before, 100, 1000, &code), 0);
	/* Whoever holds the region's lock has no version to look at. */
	plain = view_now();
	plain.version = NULL;
	plain.seen = 12345;
	CHECK_SIZE(hm_states_run(&plain, 100, 1000, &code), 100);
	end();
}

static void the_guard_of_one_page_is_cleared_in_place(void)
{
	struct hm_states_view before;
	unsigned code;

	start(4096);
	set(0, 4096, GUARDED);
	before = view_now();
	CHECK(hm_states_clear_guard(&tree.root, tree.levels, 1234));
	CHECK(!hm_states_clear_guard(&tree.root, tree.levels, 1234));
	/* One word has changed, so readers need not begin anew. */
	CHECK_SIZE(hm_states_run(&before, 1234, 10, &code), 1);
	CHECK_U32(code, 3);
	tree.codes[1234] = 3;
	check_all();
	set(0, 4096, 3);
	CHECK(!hm_states_clear_guard(&tree.root, tree.levels, 77));
	end();
}

static void the_checker_finds_damage(void)
{
	static const struct {
		const char *name;
		uint64_t entry;
	} rows[] = {
		{ "nowhere", 0 },
		{ "a code that is none", 16 << 1 | 1 },
		{ "a folded guard", GUARDED << 1 | 1 },
		{ "no folded entry at all", UINT64_MAX },
	};

	start(65536);
	set(5000, 1, 3);
	for (size_t i = 0; i < ROWS(rows); i++) {
		_Atomic uint64_t *node = (_Atomic uint64_t *)(uintptr_t)tree.root;
		uint64_t kept = node[7];

		tap_row("%s", rows[i].name);
		CHECK(hm_states_check(rows[i].entry, tree.levels) != NULL);
		node[7] = rows[i].entry;
		CHECK(hm_states_check(tree.root, tree.levels) != NULL);
		node[7] = kept;
		CHECK_STR(hm_states_check(tree.root, tree.levels), NULL);
	}
	end();
}

int main(void)
{
	TAP_RUN(a_tree_has_as_many_levels_as_it_needs);
	TAP_RUN(a_uniform_tree_is_one_run_and_needs_no_memory);
	TAP_RUN(changes_at_the_edges_of_words_and_nodes_stay_inside);
	TAP_RUN(pages_that_are_alike_again_take_no_memory);
	TAP_RUN(without_memory_everything_stays_as_it_was);
	TAP_RUN(extracting_without_memory_leaves_nothing_behind);
	TAP_RUN(a_reader_with_an_old_view_is_told_so);
	TAP_RUN(the_guard_of_one_page_is_cleared_in_place);
	TAP_RUN(the_checker_finds_damage);
	return tap_done();
}
