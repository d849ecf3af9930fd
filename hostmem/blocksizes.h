#ifndef HOSTMEM_BLOCKSIZES_H
#define HOSTMEM_BLOCKSIZES_H

#include "os/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The sizes in which a heap has blocks: each 16 bytes up to 128, then four sizes to a
 * doubling, so that beyond 128 bytes at most a fifth of a block is in excess.  What is larger
 * than the last one gets pages of its own.
 *
 * A class is the number of a size.
 */
#define HM_BLOCK_ALIGNMENT ((size_t)16)
#define HM_BLOCK_LARGEST ((size_t)4 << 10)
#define HM_BLOCK_CLASSES 28U

extern HM_HIDDEN const uint16_t hm_block_sizes[HM_BLOCK_CLASSES];
/* The class of (size + 15) / 16.  Working it out was rejected: no less work, and it takes a
 * register that the quick way of Alloc needs for an argument. */
extern HM_HIDDEN const uint8_t hm_block_classes[HM_BLOCK_LARGEST / 16 + 1];

/* The class of the smallest block with `size` bytes, which is at most the largest. */
HM_QUICK unsigned hm_block_class(size_t size)
{
	return hm_block_classes[(size + 15) / 16];
}

HM_QUICK size_t hm_block_size(unsigned class)
{
	return hm_block_sizes[class];
}

/* The smallest class whose blocks, side by side from a multiple of `alignment` on, all lie
 * at multiples of it; false = none has such blocks. */
bool hm_block_aligned_class(size_t size, size_t alignment, unsigned *class);

#endif
