/*
 * Page states under random operations, beside a flat array of codes.
 */
#include "hostmem/pagestates.h"
#include "tree.h"

static unsigned random_code(uint64_t *state)
{
	/* Mostly reserved or one code, so that there are long runs. */
	static const unsigned codes[] = { 0, 0, 0, 3, 3, 3, 1, 6, GUARDED, 15 };

	return codes[random_below(state, ROWS(codes))];
}

static size_t random_length(uint64_t *state, size_t most)
{
	size_t length = (size_t)1 << random_below(state, 21);

	length += random_below(state, 20) - hm_states_capacity(0) / 2;
	if (length == 0 || length > most)
		length = 1 + random_below(state, most);
	return length;
}

static void clear_some_guard(uint64_t *state)
{
	size_t page = random_below(state, tree.pages);
	size_t in_use = hm_metadata_in_use();
	bool guarded = (tree.codes[page] & HM_STATE_GUARD) != 0;

	CHECK_INT(hm_states_clear_guard(&tree.root, tree.levels, page), guarded);
	tree.codes[page] &= HM_STATE_ACCESS_MASK;
	CHECK_SIZE(hm_metadata_in_use(), in_use);
}

/* What prepare has worked out is seen by nobody, and leaves nothing behind. */
static void prepare_and_abandon(size_t first, size_t count, unsigned code)
{
	size_t in_use = hm_metadata_in_use();
	uint64_t root = tree.root, version = tree.version;
	struct hm_states_change change;

	if (!CHECK(prepare(first, count, code, &change)))
		return;
	CHECK_STR(hm_states_check(change.after, tree.levels), NULL);
	hm_states_abandon(&change);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
	CHECK_SIZE(tree.root, root);
	CHECK_SIZE(tree.version, version);
}

static void extract_and_compare(size_t first, size_t count)
{
	size_t in_use = hm_metadata_in_use();
	unsigned levels = hm_states_levels(count);
	struct hm_states_view view = { .levels = levels };
	hm_states_root root;

	if (!CHECK(hm_states_extract(tree.root, tree.levels, first, count, &root)))
		return;
	view.root = root;
	CHECK_STR(hm_states_check(root, levels), NULL);
	CHECK_SIZE(hm_states_committed(root, levels, 0, count), committed(first, count));
	for (size_t page = 0; page < count && !tap_failed();) {
		unsigned code = 99;
		size_t run = hm_states_run(&view, page, count - page, &code);

		CHECK_U32(code, tree.codes[first + page]);
		CHECK(run != 0 && run <= length_of_run(first + page, count - page));
		page += run;
	}
	hm_states_free(root, levels);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
}

static void random_step(uint64_t *state)
{
	size_t first = random_below(state, tree.pages);
	size_t count = random_length(state, tree.pages - first);
	unsigned code = random_code(state);

	switch (random_below(state, 8)) {
	case 0:
		prepare_and_abandon(first, count, code);
		break;
	case 1:
		extract_and_compare(first, count);
		break;
	case 2:
		clear_some_guard(state);
		break;
	default:
		set(first, count, code);
	}
	check_run(first, tree.pages - first);
	CHECK_SIZE(hm_states_committed(tree.root, tree.levels, first, count),
		   committed(first, count));
}

static void random_changes_agree_with_an_array(void)
{
	static const struct {
		size_t pages;
		unsigned steps;
	} rows[] = {
		{ 1, 100 },     { 2, 200 },     { 16, 2000 },
		{ 17, 2000 },   { 256, 2000 },  { 300, 2000 },
		{ 4096, 2000 }, { 70000, 300 }, { MOST_PAGES, 60 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uint64_t state = 0x9E3779B97F4A7C15 + i;

		start(rows[i].pages);
		for (unsigned step = 0; step < rows[i].steps && !tap_failed(); step++) {
			tap_row("%zu pages, step %u", rows[i].pages, step);
			random_step(&state);
			if (step % 50 == 0)
				check_all();
		}
		check_all();
		end();
	}
}

int main(void)
{
	TAP_RUN(random_changes_agree_with_an_array);
	return tap_done();
}
