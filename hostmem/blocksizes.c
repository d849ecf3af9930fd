/*
 * Block sizes: two tables, and the rule that made them.
 *
 * More sizes would leave less in excess in each block, and more spans with a few blocks
 * only; a quarter of a doubling is where mature allocators have ended up, too.  Beyond a page
 * a block has pages of its own: a span with a handful of blocks is seldom empty, so what is
 * freed there would serve no other size.
 *
 * No locks.
 */
#include "blocksizes.h"

const uint16_t hm_block_sizes[HM_BLOCK_CLASSES] = {
	16,  32,  48,  64,  80,  96,   112,  128,  160,  192,  224,  256,  320,  384,
	448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096,
};

const uint8_t hm_block_classes[HM_BLOCK_LARGEST / 16 + 1] = {
	0,  0,  1,  2,  3,  4,  5,  6,  7,  8,  8,  9,  9,  10, 10, 11, 11, 12, 12, 12,
	12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15, 16, 16, 16, 16, 16, 16, 16,
	16, 17, 17, 17, 17, 17, 17, 17, 17, 18, 18, 18, 18, 18, 18, 18, 18, 19, 19, 19,
	19, 19, 19, 19, 19, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20,
	20, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 22, 22, 22,
	22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 23, 23, 23, 23, 23, 23, 23,
	23, 23, 23, 23, 23, 23, 23, 23, 23, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24,
	24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24,
	24, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25,
	25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 26, 26, 26, 26, 26, 26, 26,
	26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26,
	26, 26, 26, 26, 26, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27,
	27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27,
};

bool hm_block_aligned_class(size_t size, size_t alignment, unsigned *class)
{
	unsigned i;

	if (size > HM_BLOCK_LARGEST || alignment > HM_BLOCK_LARGEST)
		return false;
	i = hm_block_class(size);
	/* The last size is a power of two, so the search ends. */
	while (hm_block_sizes[i] % alignment != 0)
		i++;
	*class = i;
	return true;
}
