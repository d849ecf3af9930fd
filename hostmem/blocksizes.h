#ifndef HOSTMEM_BLOCKSIZES_H
#define HOSTMEM_BLOCKSIZES_H

#include "os/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The sizes in which a heap has blocks: each 16 bytes up to 128, then four sizes to a
 * doubling, so that beyond 128 bytes at most a fifth of a block is in excess.  What is larger than the last
 * one gets pages of its own.
 *
 * A class is the number of a size.
 */
#define HM_BLOCK_ALIGNMENT ((size_t)16)
#define HM_BLOCK_LARGEST ((size_t)4 << 10)
#define HM_BLOCK_CLASSES 28U

extern HM_HIDDEN const uint16_t hm_block_sizes[HM_BLOCK_CLASSES];
/* The class of (size + 15) / 16, up to 1024 bytes. */
#define HM_BLOCK_NEAR ((size_t)1024)
extern HM_HIDDEN const uint8_t hm_block_near[HM_BLOCK_NEAR / 16 + 1];

#define HM_BLOCK_EVEN \
	7U /* the class of 128 bytes, which is 2^7: the last of the even sizes */

HM_QUICK unsigned hm_block_far_class(size_t size)
{
	unsigned doubling = 63U - (unsigned)__builtin_clzll(size - 1);
	unsigned quarter = (unsigned)((size - 1) >> (doubling - 2)) & 3;

	return HM_BLOCK_EVEN + 1 + (doubling - HM_BLOCK_EVEN) * 4 + quarter;
}

HM_QUICK unsigned hm_block_near_class(size_t size)
{
	return hm_block_near[(size + 15) / 16];
}

/* The class of the smallest block with `size` bytes, which is at most the largest. */
HM_QUICK unsigned hm_block_class(size_t size)
{
	return size <= HM_BLOCK_NEAR ? hm_block_near_class(size)
				     : hm_block_far_class(size);
}

HM_QUICK size_t hm_block_size(unsigned class)
{
	return hm_block_sizes[class];
}

/* The smallest class whose blocks, side by side from a multiple of `alignment` on, all lie
 * at multiples of it; false = none has such blocks. */
bool hm_block_aligned_class(size_t size, size_t alignment, unsigned *class);

#endif
