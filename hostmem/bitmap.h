#ifndef HOSTMEM_BITMAP_H
#define HOSTMEM_BITMAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A set of numbers below 65,536 that finds the nearest member below or above in three
 * steps.
 *
 * One writer at a time, which the caller sees to; any number of readers, without a lock.
 * A reader may miss a member that is being added and see one that is being removed,
 * nothing else: a bit of an upper level is set before, and cleared after, the bits that
 * it stands for.
 *
 * A zeroed bitmap is an empty one.
 */
#define HM_BITMAP_SIZE 65536U

struct hm_bitmap {
	_Atomic uint64_t top; /* bit i: middle[i] may have a member */
	_Atomic uint64_t middle[16];
	_Atomic uint64_t bottom[1024];
};

void hm_bitmap_add(struct hm_bitmap *map, uint32_t number);
void hm_bitmap_remove(struct hm_bitmap *map, uint32_t number);

/* Inline: one load answers it. */
static inline bool hm_bitmap_has(const struct hm_bitmap *map, uint32_t number)
{
	uint64_t word = atomic_load_explicit(&map->bottom[number / 64],
					     memory_order_acquire);

	return (word >> (number % 64) & 1) != 0;
}

/* The largest member <= number, the smallest >= number; false if there is none. */
bool hm_bitmap_previous(const struct hm_bitmap *map, uint32_t number, uint32_t *out);
bool hm_bitmap_next(const struct hm_bitmap *map, uint32_t number, uint32_t *out);

/* NULL if the levels agree (no writer at work), else the rule that is broken. */
const char *hm_bitmap_check(const struct hm_bitmap *map);

#endif
