/*
 * States of granules: two bitmaps, and a bitmap of their words that are not blank.
 *
 * A word's bit in `touched` is set before the word is changed, and cleared only by
 * somebody who owns all 64 granules of the word and makes them blank; so it never says
 * "blank" wrongly, and says "look" too often at most.
 *
 * No locks.
 */
#include "granules.h"

#define PEEK(field) atomic_load_explicit(&(field), memory_order_relaxed)

/* Of a word's granules, those from `first` on, at most `count`. */
static uint64_t mask_of(uint32_t first, uint32_t count)
{
	uint32_t room = 64 - first % 64;

	return (UINT64_MAX >> (64 - (count < room ? count : room))) << (first % 64);
}

/* Granules from the beginning of a word on that certainly are blank, whole words only. */
static uint32_t untouched(const struct hm_granules *granules, uint32_t word)
{
	uint64_t touched = PEEK(granules->touched[word / 64]) >> (word % 64);

	return 64 * (touched == 0 ? 64 - word % 64 : (uint32_t)__builtin_ctzll(touched));
}

unsigned hm_granules_look(const struct hm_granules *granules, uint32_t first,
			  uint32_t count)
{
	unsigned seen = 0;

	for (uint32_t end = first + count; first < end;) {
		uint64_t mask = mask_of(first, end - first);
		uint64_t open = PEEK(granules->open[first / 64]) & mask;
		uint64_t odd = PEEK(granules->odd[first / 64]) & mask;

		seen |= (open != mask ? HM_SOME_BLANK : 0U) |
			(open != 0 ? HM_SOME_OPEN : 0U) | (odd != 0 ? HM_SOME_ODD : 0U);
		first += 64 - first % 64;
		if (first < end && (seen & HM_SOME_BLANK))
			first += untouched(granules, first / 64);
	}
	return seen;
}

uint32_t hm_granules_run(const struct hm_granules *granules, uint32_t first,
			 uint32_t limit, enum hm_granule_state *state)
{
	uint32_t end = first + limit, at = first;
	uint64_t open, odd;

	*state = hm_granules_state(granules, first);
	open = *state & 1 ? UINT64_MAX : 0;
	odd = *state & 2 ? UINT64_MAX : 0;
	while (at < end) {
		uint64_t other = mask_of(at, end - at) &
				 ((PEEK(granules->open[at / 64]) ^ open) |
				  (PEEK(granules->odd[at / 64]) ^ odd));

		if (other != 0)
			return at / 64 * 64 + (uint32_t)__builtin_ctzll(other) - first;
		at += 64 - at % 64;
		if (*state == HM_GRANULE_BLANK && at < end)
			at += untouched(granules, at / 64);
	}
	return limit;
}

static void set_bits(_Atomic uint64_t *word, uint64_t mask, bool value)
{
	if (value)
		atomic_fetch_or_explicit(word, mask, memory_order_release);
	else
		atomic_fetch_and_explicit(word, ~mask, memory_order_release);
}

void hm_granules_set(struct hm_granules *granules, uint32_t first, uint32_t count,
		     enum hm_granule_state state)
{
	for (uint32_t end = first + count; first < end; first += 64 - first % 64) {
		uint64_t mask = mask_of(first, end - first);
		uint32_t word = first / 64;
		uint64_t bit = UINT64_C(1) << (word % 64);

		if (state != HM_GRANULE_BLANK &&
		    !(PEEK(granules->touched[word / 64]) & bit))
			set_bits(&granules->touched[word / 64], bit, true);
		set_bits(&granules->open[word], mask, (state & 1) != 0);
		set_bits(&granules->odd[word], mask, (state & 2) != 0);
		if (state == HM_GRANULE_BLANK && mask == UINT64_MAX)
			set_bits(&granules->touched[word / 64], bit, false);
	}
}

bool hm_granules_any_apart(const struct hm_granules *granules, uint32_t first,
			   uint32_t count)
{
	uint64_t apart = 0;

	for (uint32_t end = first + count; first < end; first += 64 - first % 64)
		apart |= PEEK(granules->apart[first / 64]) & mask_of(first, end - first);
	return apart != 0;
}

uint32_t hm_granules_set_apart(struct hm_granules *granules, uint32_t first,
			       uint32_t count, bool apart)
{
	uint32_t changed = 0;

	for (uint32_t end = first + count; first < end; first += 64 - first % 64) {
		_Atomic uint64_t *word = &granules->apart[first / 64];
		uint64_t mask = mask_of(first, end - first);
		uint64_t before = PEEK(*word) & mask;

		if (before == (apart ? mask : 0))
			continue;
		set_bits(word, mask, apart);
		changed += (uint32_t)__builtin_popcountll(before ^ (apart ? mask : 0));
	}
	return changed;
}
