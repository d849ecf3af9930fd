/*
 * The sizes of blocks, beside a search through the table that needs no rule.
 */
#include "hostmem/blocksizes.h"
#include "fake.h"
#include "hostmem/os/size.h"

#define LAST (HM_BLOCK_CLASSES - 1)

/* The first size in the table that suffices. */
static unsigned smallest(size_t size)
{
	unsigned class = 0;

	while (hm_block_size(class) < size)
		class ++;
	return class;
}

static void the_sizes_ascend_in_steps_of_at_most_a_quarter(void)
{
	CHECK_SIZE(hm_block_size(0), HM_BLOCK_ALIGNMENT);
	CHECK_SIZE(hm_block_size(LAST), HM_BLOCK_LARGEST);
	for (unsigned class = 0; class < HM_BLOCK_CLASSES; class ++) {
		size_t size = hm_block_size(class);

		tap_row("class %u", class);
		CHECK_SIZE(size % HM_BLOCK_ALIGNMENT, 0);
		if (class == 0)
			continue;
		CHECK(size > hm_block_size(class - 1));
		CHECK(size - hm_block_size(class - 1) <=
		      hm_max(hm_block_size(class - 1) / 4, HM_BLOCK_ALIGNMENT));
	}
}

static void every_size_has_the_smallest_block_that_suffices(void)
{
	for (size_t size = 0; size <= HM_BLOCK_LARGEST; size++) {
		tap_row("%zu bytes", size);
		CHECK_U32(hm_block_class(size), smallest(size));
	}
}

static void aligned_blocks_have_the_smallest_size_that_is_a_multiple(void)
{
	for (size_t alignment = 1; alignment <= HM_BLOCK_LARGEST; alignment *= 2) {
		for (size_t size = 0; size <= HM_BLOCK_LARGEST; size++) {
			unsigned want = smallest(size), class = 77;

			while (hm_block_size(want) % alignment != 0)
				want++;
			tap_row("%zu bytes at %zu", size, alignment);
			CHECK(hm_block_aligned_class(size, alignment, &class));
			CHECK_U32(class, want);
		}
	}
}

static void what_no_block_suffices_for_has_no_class(void)
{
	static const struct {
		size_t size, alignment;
	} rows[] = {
		{ HM_BLOCK_LARGEST + 1, 16 },
		{ HM_BLOCK_LARGEST + 1, HM_BLOCK_LARGEST },
		{ 0, HM_BLOCK_LARGEST * 2 },
		{ HM_BLOCK_LARGEST, HM_BLOCK_LARGEST * 2 },
		{ SIZE_MAX, 16 },
		{ 1, (SIZE_MAX >> 1) + 1 },
		{ SIZE_MAX, (SIZE_MAX >> 1) + 1 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned class = 77;

		tap_row("row %zu", i);
		CHECK(!hm_block_aligned_class(rows[i].size, rows[i].alignment, &class));
		CHECK_U32(class, 77);
	}
}

int main(void)
{
	TAP_RUN(the_sizes_ascend_in_steps_of_at_most_a_quarter);
	TAP_RUN(every_size_has_the_smallest_block_that_suffices);
	TAP_RUN(aligned_blocks_have_the_smallest_size_that_is_a_multiple);
	TAP_RUN(what_no_block_suffices_for_has_no_class);
	return tap_done();
}
