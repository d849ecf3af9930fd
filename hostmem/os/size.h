#ifndef HOSTMEM_OS_SIZE_H
#define HOSTMEM_OS_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Addresses and sizes: the only place that rounds.
 *
 * Rounding up wraps near the top, so nothing is rounded before hm_range_valid has
 * said that the range lies in user space; after that no rounding can wrap, since user
 * space ends far below 2^64.
 */
#define HM_PAGE_SHIFT 12
#define HM_PAGE_SIZE ((size_t)1 << HM_PAGE_SHIFT)
#define HM_GRANULE_SHIFT 16
#define HM_GRANULE_SIZE ((size_t)1 << HM_GRANULE_SHIFT)

/* First address beyond what Win32 calls user space, and the lowest one it allocates. */
#define HM_USER_END ((uintptr_t)0x7FFFFFFF0000)
#define HM_USER_START ((uintptr_t)0x10000)

/* What Linux may map on x86-64: one page short of 2^47. */
#define HM_SYSTEM_END ((uintptr_t)0x7FFFFFFFF000)

static inline uintptr_t hm_round_down(uintptr_t value, size_t unit)
{
	return value & ~((uintptr_t)unit - 1);
}

static inline uintptr_t hm_round_up(uintptr_t value, size_t unit)
{
	return (value + unit - 1) & ~((uintptr_t)unit - 1);
}

static inline size_t hm_pages(size_t bytes)
{
	return bytes >> HM_PAGE_SHIFT;
}

static inline size_t hm_bytes(size_t pages)
{
	return pages << HM_PAGE_SHIFT;
}

/* Whether [address, address + size) ends at or below `limit`; an empty range does not
 * count as inside anything. */
static inline bool hm_range_below(uintptr_t address, size_t size, uintptr_t limit)
{
	return size != 0 && address < limit && size - 1 <= limit - 1 - address;
}

static inline bool hm_range_valid(uintptr_t address, size_t size)
{
	return hm_range_below(address, size, HM_USER_END);
}

static inline bool hm_is_power_of_two(size_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

static inline size_t hm_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t hm_max(size_t a, size_t b)
{
	return a > b ? a : b;
}

#endif
