#ifndef HOSTMEM_DIRECTORY_H
#define HOSTMEM_DIRECTORY_H

#include "bitmap.h"
#include "metadata.h"
#include "os/lock.h"
#include "os/size.h"
#include "regions.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Where the records of regions are: blocks of 4 GiB, in a block a bitmap of the granules
 * in which a region starts, and a record for each granule, 64 of them in a table.
 *
 * Only regions.c, which reads, and entering.c, which changes, use it.  Readers take no
 * lock.  Writers hold the part of the directory that their range lies in: one block, or
 * everything where the range crosses from one block into another.
 */
#define HM_BLOCK_SHIFT 32
#define HM_BLOCKS 32768U /* 2^47 bytes */
#define HM_BLOCK_GRANULES HM_BITMAP_SIZE
#define HM_TABLE_RECORDS 64U /* as many as a word of the bitmap has bits */

struct hm_directory_table {
	struct hm_region records[HM_TABLE_RECORDS];
};

struct hm_directory_block {
	struct hm_bitmap starts;
	_Atomic(struct hm_directory_table *) tables[HM_BLOCK_GRANULES / HM_TABLE_RECORDS];
};

/* Every 64th block, and what its writer writes. */
#define HM_STRIPES 64U

struct hm_directory_stripe {
	_Alignas(64) struct hm_lock lock; /* HM_RANK_DIRECTORY */
	_Atomic uint64_t changes;         /* one writer at a time: the holder */
};

extern _Atomic(struct hm_directory_block *) hm_directory_blocks[HM_BLOCKS];
extern struct hm_directory_stripe hm_directory_stripes[HM_STRIPES];

/* 1 while somebody holds everything. */
extern _Atomic uint32_t hm_directory_closed;

static inline uint32_t hm_block_of(uintptr_t address)
{
	return (uint32_t)(address >> HM_BLOCK_SHIFT);
}

static inline struct hm_directory_stripe *hm_stripe_of(uintptr_t address)
{
	return &hm_directory_stripes[hm_block_of(address) % HM_STRIPES];
}

/* The number of an address's granule in its block. */
static inline uint32_t hm_granule_of(uintptr_t address)
{
	return (uint32_t)(address >> HM_GRANULE_SHIFT) % HM_BLOCK_GRANULES;
}

static inline bool hm_same_block(uintptr_t base, uintptr_t end)
{
	return hm_block_of(base) == hm_block_of(end - 1);
}

static inline enum hm_region_phase hm_record_phase(const struct hm_region *region)
{
	return (enum hm_region_phase)(
		atomic_load_explicit(&region->extent, memory_order_acquire) &
		HM_REGION_PHASES);
}

/* NULL = no region has ever started there. */
static inline struct hm_directory_block *hm_directory_block(uintptr_t address)
{
	if (hm_block_of(address) >= HM_BLOCKS)
		return NULL;
	return atomic_load_explicit(&hm_directory_blocks[hm_block_of(address)],
				    memory_order_acquire);
}

/* The record of a granule in which a region starts, or for which there is room. */
static inline struct hm_region *hm_directory_record(struct hm_directory_block *block,
						    uint32_t place)
{
	struct hm_directory_table *table =
		atomic_load_explicit(&block->tables[place / HM_TABLE_RECORDS],
				     memory_order_acquire);

	return &table->records[place % HM_TABLE_RECORDS];
}

/*
 * The first record of the nearest granule at or below the address in which a region
 * starts, if there is one in the block.
 *
 * The granule's own bit comes before all others, so that the processor can go on to the
 * record while the word of the bitmap is still on its way.
 */
static inline struct hm_region *hm_directory_near(uintptr_t address)
{
	struct hm_directory_block *block = hm_directory_block(address);
	uint32_t place = hm_granule_of(address);
	uint64_t starts;

	if (block == NULL)
		return NULL;
	starts = atomic_load_explicit(&block->starts.bottom[place / 64],
				      memory_order_acquire);
	if (!(starts >> (place % 64) & 1)) {
		starts &= (UINT64_C(1) << (place % 64)) - 1;
		if (starts != 0)
			place = place / 64 * 64 + 63U - (uint32_t)__builtin_clzll(starts);
		else if (!hm_bitmap_previous(&block->starts, place, &place))
			return NULL;
	}
	return hm_directory_record(block, place);
}

/* The same from granule number `granule` of the address space on, in any block; *found is
 * the number of the granule.  NULL = there is none. */
struct hm_region *hm_directory_at_or_below(uint64_t granule, uint64_t *found);
struct hm_region *hm_directory_at_or_above(uint64_t granule, uint64_t *found);

/* Makes the record of the granule of an address, unless it is there already; not with the
 * directory locked.  NULL = no memory. */
struct hm_region *hm_directory_make_room(uintptr_t address, enum hm_metadata_need need);

/* The record of the very granule of an address, in use or not; NULL = there is no room. */
static inline struct hm_region *hm_directory_own(uintptr_t address)
{
	struct hm_directory_block *block = hm_directory_block(address);
	uint32_t place = hm_granule_of(address);
	struct hm_directory_table *table = NULL;

	if (block != NULL)
		table = atomic_load_explicit(&block->tables[place / HM_TABLE_RECORDS],
					     memory_order_acquire);
	return table != NULL ? &table->records[place % HM_TABLE_RECORDS] : NULL;
}

/* Locks what concerns [base, end), or everything; the result is for unlocking. */
struct hm_directory_stripe *hm_directory_lock(uintptr_t base, uintptr_t end);
struct hm_directory_stripe *hm_directory_lock_all(void);
void hm_directory_unlock(struct hm_directory_stripe *held);

/* Notes that a region starts in the granule of `base`, or that none does any more. */
void hm_directory_add(uintptr_t base);
void hm_directory_remove(uintptr_t base);

/* Counts a change, with the block of `base` locked. */
static inline void hm_directory_count_change(uintptr_t base)
{
	_Atomic uint64_t *changes = &hm_stripe_of(base)->changes;
	uint64_t count = atomic_load_explicit(changes, memory_order_relaxed);

	atomic_store_explicit(changes, count + 1, memory_order_release);
}

uint64_t hm_directory_changes(void);

/* NULL if bits and records agree (no writer at work), else the rule that is broken. */
const char *hm_directory_check(void);

#endif
