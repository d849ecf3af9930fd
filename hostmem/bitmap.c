/*
 * A bitmap of three levels of 64-bit words: 65,536 bits, 1,024 words, 16 words, one.
 *
 * A reader that follows an upper bit to an empty word (its member is just going or not
 * there yet) goes on with the next upper bit, so a search always ends.  A van Emde Boas
 * layout with fewer levels was no faster at this size; a sorted array moves memory on
 * every change.
 */
#include "bitmap.h"

#include <stddef.h>

#define WORD_BITS 64U

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

/* Plain loads and stores: there is one writer, and an atomic read-modify-write costs it
 * ten times as much. */
static void set(_Atomic uint64_t *word, uint32_t bit)
{
	uint64_t value = atomic_load_explicit(word, memory_order_relaxed);

	atomic_store_explicit(word, value | UINT64_C(1) << (bit % WORD_BITS),
			      memory_order_release);
}

static void clear(_Atomic uint64_t *word, uint32_t bit)
{
	uint64_t value = atomic_load_explicit(word, memory_order_relaxed);

	atomic_store_explicit(word, value & ~(UINT64_C(1) << (bit % WORD_BITS)),
			      memory_order_release);
}

static uint32_t highest(uint64_t word)
{
	return 63U - (uint32_t)__builtin_clzll(word);
}

static uint32_t lowest(uint64_t word)
{
	return (uint32_t)__builtin_ctzll(word);
}

/* Bits at or below, and at or above, a place. */
static uint64_t up_to(uint32_t bit)
{
	return UINT64_MAX >> (63U - bit % WORD_BITS);
}

static uint64_t from(uint32_t bit)
{
	return UINT64_MAX << (bit % WORD_BITS);
}

void hm_bitmap_add(struct hm_bitmap *map, uint32_t number)
{
	uint32_t word = number / WORD_BITS;

	set(&map->top, word / WORD_BITS);
	set(&map->middle[word / WORD_BITS], word);
	set(&map->bottom[word], number);
}

void hm_bitmap_remove(struct hm_bitmap *map, uint32_t number)
{
	uint32_t word = number / WORD_BITS;

	clear(&map->bottom[word], number);
	if (load(&map->bottom[word]) != 0)
		return;
	clear(&map->middle[word / WORD_BITS], word);
	if (load(&map->middle[word / WORD_BITS]) == 0)
		clear(&map->top, word / WORD_BITS);
}

/* The last member in the words below `word`. */
static bool previous_word(const struct hm_bitmap *map, uint32_t word, uint32_t *out)
{
	uint64_t middle, top, bits;
	uint32_t group = word / WORD_BITS;

	middle = load(&map->middle[group]) & (up_to(word) >> 1);
	top = load(&map->top) & (up_to(group) >> 1);
	for (;;) {
		while (middle != 0) {
			uint32_t i = group * WORD_BITS + highest(middle);

			bits = load(&map->bottom[i]);
			if (bits != 0) {
				*out = i * WORD_BITS + highest(bits);
				return true;
			}
			middle &= up_to(i) >> 1;
		}
		if (top == 0)
			return false;
		group = highest(top);
		top &= up_to(group) >> 1;
		middle = load(&map->middle[group]);
	}
}

bool hm_bitmap_previous(const struct hm_bitmap *map, uint32_t number, uint32_t *out)
{
	uint32_t word = number / WORD_BITS;
	uint64_t bits = load(&map->bottom[word]) & up_to(number);

	if (bits == 0)
		return previous_word(map, word, out);
	*out = word * WORD_BITS + highest(bits);
	return true;
}

/* The first member in the words above `word`. */
static bool next_word(const struct hm_bitmap *map, uint32_t word, uint32_t *out)
{
	uint64_t middle, top, bits;
	uint32_t group = word / WORD_BITS;

	middle = load(&map->middle[group]) & (from(word) << 1);
	top = load(&map->top) & (from(group) << 1);
	for (;;) {
		while (middle != 0) {
			uint32_t i = group * WORD_BITS + lowest(middle);

			bits = load(&map->bottom[i]);
			if (bits != 0) {
				*out = i * WORD_BITS + lowest(bits);
				return true;
			}
			middle &= middle - 1;
		}
		if (top == 0)
			return false;
		group = lowest(top);
		top &= top - 1;
		middle = load(&map->middle[group]);
	}
}

bool hm_bitmap_next(const struct hm_bitmap *map, uint32_t number, uint32_t *out)
{
	uint32_t word = number / WORD_BITS;
	uint64_t bits = load(&map->bottom[word]) & from(number);

	if (bits == 0)
		return next_word(map, word, out);
	*out = word * WORD_BITS + lowest(bits);
	return true;
}

const char *hm_bitmap_check(const struct hm_bitmap *map)
{
	for (uint32_t word = 0; word < HM_BITMAP_SIZE / WORD_BITS; word++) {
		uint64_t bit =
			load(&map->middle[word / WORD_BITS]) >> (word % WORD_BITS) & 1;

		if ((load(&map->bottom[word]) != 0) != (bit != 0))
			return "a middle bit does not tell whether its word has members";
	}
	for (uint32_t group = 0; group < 16; group++) {
		uint64_t bit = load(&map->top) >> group & 1;

		if ((load(&map->middle[group]) != 0) != (bit != 0))
			return "a top bit does not tell whether its group has members";
	}
	return NULL;
}
