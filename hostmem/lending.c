/*
 * Lending arena space: see lending.h.
 *
 * The granules are taken first, so that nobody else can have them; then they are marked,
 * and unmapped.  Who looks at them in between asks the system, as for anybody's memory, and
 * may be told of a mapping that is just going.
 *
 * Locks: the arenas', inside places.c.
 */
#include "lending.h"
#include "opening.h"
#include "os/memory.h"

#define NO_ROOM HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)

/* No arena is smaller, or begins in between. */
#define STEP HM_ARENA_SMALLEST

/* Takes [base, end), which the arena has not lent before. */
static HRESULT take_part(struct hm_arena *arena, uintptr_t base, uintptr_t end,
			 struct hm_loan *loan)
{
	struct hm_place *part = &loan->parts[loan->count];

	if (loan->count == HM_MOST_LENDERS)
		return NO_ROOM;
	if (!hm_place_take_at(arena, base, end - base, part))
		return NO_ROOM;
	loan->count++;
	return S_OK;
}

static HRESULT take_all(uintptr_t base, uintptr_t end, struct hm_loan *loan)
{
	HRESULT hr = S_OK;

	for (uintptr_t at = base; at < end && SUCCEEDED(hr);) {
		struct hm_arena *arena = hm_arena_at(at);
		uintptr_t reach = arena != NULL ? hm_arena_reach(arena, at) : at;

		if (arena == NULL)
			at = hm_round_down(at, STEP) + STEP;
		else if (reach == at)
			at += HM_GRANULE_SIZE; /* lent before */
		else
			hr = take_part(arena, at, hm_min(end, reach), loan);
		at = hm_max(at, reach);
	}
	return hr;
}

/* Gives back what was only taken, from part `first` on. */
static void give_parts(struct hm_loan *loan, unsigned first)
{
	for (unsigned i = first; i < loan->count; i++)
		hm_place_give(&loan->parts[i], NULL);
	loan->count = first;
}

/*
 * Blank comes first, so that it is known what the granules are if they stay; lent comes
 * before unmapping, so that whoever is given the addresses next finds them lent.
 */
static bool unmap_part(const struct hm_place *part)
{
	if ((hm_place_seen(part) & HM_SOME_OPEN) && !hm_close(part))
		return false;
	hm_place_set(part, HM_GRANULE_LENT);
	if (SUCCEEDED(hm_memory_unmap((void *)hm_place_start(part), hm_place_size(part))))
		return true;
	hm_place_set(part, HM_GRANULE_BLANK);
	return false;
}

HRESULT hm_lend(uintptr_t base, size_t size, struct hm_loan *loan)
{
	HRESULT hr;

	loan->count = 0;
	hr = take_all(base, base + size, loan);
	if (FAILED(hr)) {
		give_parts(loan, 0);
		return hr;
	}
	for (unsigned i = 0; i < loan->count; i++) {
		const struct hm_place *part = &loan->parts[i];

		if (!unmap_part(part)) {
			give_parts(loan, i);
			hm_take_back(loan);
			return E_OUTOFMEMORY;
		}
	}
	return S_OK;
}

void hm_take_back(const struct hm_loan *loan)
{
	for (unsigned i = 0; i < loan->count; i++) {
		const struct hm_place *part = &loan->parts[i];
		void *wanted = (void *)hm_place_start(part);
		void *address;

		/* It stays lent where others were quicker, or the system has no room. */
		if (FAILED(hm_memory_map(wanted, hm_place_size(part), HM_ACCESS_NONE,
					 HM_MAP_EXACTLY, &address)))
			continue;
		if (address != wanted) {
			(void)hm_memory_unmap(address, hm_place_size(part));
			continue;
		}
		hm_memory_dump(address, hm_place_size(part), false);
		hm_place_set(part, HM_GRANULE_BLANK);
		hm_place_give(part, NULL);
	}
}
