/*
 * The page source of most hosts: arenas for what they serve well, a mapping of its own for
 * the rest.
 *
 * Which of the two a range is told by its address: it lies in an arena and is not lent, or
 * it does not.  So a host may have both, and which arenas it takes from matters only when
 * it reserves.
 *
 * Locks: none but those inside places.c; the caller has the reservation's.
 */
#include "arenapages.h"
#include "committing.h"
#include "lending.h"
#include "opening.h"
#include "shelf.h"
#include "os/container.h"
#include "os/thread.h"

#include "abi/hostmem.h"

#include <stdlib.h>
#include <string.h>

/* The most that is committed here by the reservation itself, and the most that is
 * reserved; above, a mapping of its own costs less than the guards, or hardly more. */
#define LARGEST_COMMITTED ((size_t)256 << 10)
#define LARGEST ((size_t)1 << 30)

#define DIRECT (&hm_pages_posix)

/* To take an exact place that others have for a moment. */
#define ATTEMPTS 8U

struct arena_source {
	struct hm_page_source source;
	struct hm_arenas *arenas;
};

static struct hm_arenas *arenas_of(const struct hm_page_source *self)
{
	return hm_const_container_of(self, struct arena_source, source)->arenas;
}

static HRESULT arena_commit(const struct hm_page_source *self, void *address, size_t size,
			    unsigned access, const struct hm_page_history *before)
{
	struct hm_arena *arena = hm_arena_of((uintptr_t)address);

	(void)self;
	if (arena == NULL)
		return DIRECT->commit(DIRECT, address, size, access, before);
	return hm_commit_in(arena, (uintptr_t)address, size, access, before);
}

static HRESULT arena_protect(const struct hm_page_source *self, void *address,
			     size_t size, unsigned access,
			     const struct hm_page_history *before)
{
	struct hm_arena *arena = hm_arena_of((uintptr_t)address);

	(void)self;
	if (arena == NULL)
		return DIRECT->protect(DIRECT, address, size, access, before);
	return hm_protect_in(arena, (uintptr_t)address, size, access, before);
}

static HRESULT arena_decommit(const struct hm_page_source *self, void *address,
			      size_t size, const struct hm_page_history *before)
{
	struct hm_arena *arena = hm_arena_of((uintptr_t)address);

	(void)self;
	if (arena == NULL)
		return DIRECT->decommit(DIRECT, address, size, before);
	return hm_decommit_in(arena, (uintptr_t)address, size, before);
}

static HRESULT arena_release(const struct hm_page_source *self, void *address,
			     size_t size, const struct hm_page_history *before)
{
	struct hm_arena *arena = hm_arena_of((uintptr_t)address);

	(void)self;
	if (arena == NULL)
		return DIRECT->release(DIRECT, address, size, before);
	return hm_release_in(arena, (uintptr_t)address, size, before);
}

static void arena_divide(const struct hm_page_source *self, void *address, size_t size,
			 const struct hm_page_history *before)
{
	struct hm_arena *arena = hm_arena_of((uintptr_t)address);

	(void)self;
	if (arena == NULL)
		DIRECT->divide(DIRECT, address, size, before);
	else
		hm_divide(arena, (uintptr_t)address, size, before->start, before->end);
}

static void arena_unite(const struct hm_page_source *self, void *address, size_t size,
			const struct hm_page_history *before)
{
	struct hm_arena *arena = hm_arena_of((uintptr_t)address);

	(void)self;
	if (arena == NULL)
		DIRECT->unite(DIRECT, address, size, before);
	else
		hm_place_reunite(arena, (uintptr_t)address, size, before->start,
				 before->end);
}

static void arena_give_up(const struct hm_page_source *self, void *address, size_t size)
{
	struct hm_arena *arena = hm_arena_of((uintptr_t)address);

	(void)self;
	/* What cannot be shut stays taken: that costs addresses, and no memory. */
	if (arena == NULL)
		DIRECT->give_up(DIRECT, address, size);
	else
		(void)hm_release_in(arena, (uintptr_t)address, size, NULL);
}

static void arena_discard(const struct hm_page_source *self, void *address, size_t size)
{
	(void)self;
	hm_memory_discard(address, size);
}

static void arena_prefer_huge(const struct hm_page_source *self, void *address,
			      size_t size)
{
	(void)self;
	hm_memory_prefer_huge(address, size);
}

/* ---- Reserving ---- */

/* The history of a reservation that has just begun. */
static struct hm_page_run all_reserved(const struct hm_page_history *self, void *address)
{
	return (struct hm_page_run){ .size = self->end - (uintptr_t)address };
}

/* Commits what has just been taken, if that is wanted; what it does not get, it gives
 * back. */
static HRESULT furnish(const struct hm_place *place, size_t size, unsigned flags,
		       unsigned access, void **out)
{
	uintptr_t base = hm_place_start(place);
	struct hm_page_history before = { all_reserved, base, base + size };
	HRESULT hr = S_OK;

	if (flags & HM_RESERVE_COMMITTED)
		hr = hm_commit_in(place->arena, base, size, access, &before);
	if (SUCCEEDED(hr))
		*out = (void *)base;
	else
		hm_give(place);
	return hr;
}

static bool is_for_arenas(const struct hm_page_source *self, size_t size,
			  size_t alignment, unsigned flags)
{
	if (arenas_of(self) == NULL ||
	    (flags & (HM_RESERVE_LARGE | HM_RESERVE_TOP_DOWN)) || size > LARGEST ||
	    alignment > LARGEST)
		return false;
	return !(flags & HM_RESERVE_COMMITTED) || (flags & HM_RESERVE_LASTING) ||
	       size <= LARGEST_COMMITTED;
}

/* Takes granules; small ones are open, or soon will be.  Their address; 0 = none. */
static uintptr_t take(struct hm_arenas *arenas, size_t size, size_t alignment,
		      bool committed)
{
	uint32_t count = (uint32_t)(hm_round_up(size, HM_GRANULE_SIZE) >>
				    HM_GRANULE_SHIFT);
	uint32_t unit = (uint32_t)(alignment >> HM_GRANULE_SHIFT);
	uintptr_t base = hm_shelf_take(arenas, count, unit);
	struct hm_place place;
	bool crowded;

	if (base != 0)
		return base;
	if (!hm_place_take(arenas, count, unit, count < HM_WINDOW, &place, &crowded))
		return 0;
	if (crowded && !committed)
		hm_open_ahead(&place);
	return hm_place_start(&place);
}

static HRESULT reserve_anywhere(const struct hm_page_source *self, size_t size,
				size_t alignment, unsigned flags, unsigned access,
				void **out)
{
	struct hm_place place;
	uintptr_t base = 0;
	HRESULT hr;

	if (is_for_arenas(self, size, alignment, flags))
		base = take(arenas_of(self), size, alignment,
			    (flags & HM_RESERVE_COMMITTED) != 0);
	if (base == 0)
		return DIRECT->reserve(DIRECT, NULL, size, alignment, flags, access, out);
	place = hm_place_of(hm_arena_at(base), base, size);
	hr = furnish(&place, size, flags, access, out);
	/* A policy may forbid to make memory executable later on, and allow it at once. */
	if (hr == E_ACCESSDENIED)
		hr = DIRECT->reserve(DIRECT, NULL, size, alignment, flags, access, out);
	return hr;
}

/* Whether an exact place can be taken in one of our own arenas. */
static bool is_inside(const struct hm_page_source *self, const struct hm_arena *arena,
		      uintptr_t base, size_t size, unsigned flags)
{
	return arena != NULL && arena->set == arenas_of(self) &&
	       !(flags & HM_RESERVE_LARGE) && hm_arena_reach(arena, base) >= base + size;
}

/*
 * Takes the place; no region is there, that has been looked up.  What is not free all the
 * same is on a shelf, or has been taken for a moment by somebody who opens or tidies.
 */
static bool take_exactly(struct hm_arena *arena, uintptr_t base, size_t size,
			 struct hm_place *out)
{
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		if (hm_place_take_at(arena, base, size, out))
			return true;
		(void)hm_shelves_clear(&hm_arenas_with_guards);
		(void)hm_shelves_clear(&hm_arenas_without_guards);
		if (i != 0)
			hm_thread_yield();
	}
	return false;
}

/* Where arenas cannot make it, they give up what they have there. */
static HRESULT reserve_on_loan(void *wanted, size_t size, unsigned flags, unsigned access,
			       struct hm_loan *loan, void **out)
{
	HRESULT hr;

	(void)hm_shelves_clear(&hm_arenas_with_guards);
	(void)hm_shelves_clear(&hm_arenas_without_guards);
	hr = hm_lend((uintptr_t)wanted, size, loan);
	if (FAILED(hr))
		return hr;
	hr = DIRECT->reserve(DIRECT, wanted, size, HM_GRANULE_SIZE, flags, access, out);
	if (FAILED(hr))
		hm_take_back(loan);
	return hr;
}

static HRESULT reserve_exactly(const struct hm_page_source *self, void *wanted,
			       size_t size, unsigned flags, unsigned access, void **out)
{
	uintptr_t base = (uintptr_t)wanted;
	struct hm_arena *arena = hm_arena_of(base);
	struct hm_place place;
	struct hm_loan loan;

	if (!is_inside(self, arena, base, size, flags))
		return reserve_on_loan(wanted, size, flags, access, &loan, out);
	if (!take_exactly(arena, base, size, &place))
		return HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS);
	return furnish(&place, size, flags, access, out);
}

static bool arena_probe(const struct hm_page_source *self, uintptr_t base, size_t size)
{
	struct hm_arena *arena = hm_arena_of(base);
	struct hm_place place;
	struct hm_loan loan;
	void *address;

	if (is_inside(self, arena, base, size, 0)) {
		if (!take_exactly(arena, base, size, &place))
			return false;
		hm_give(&place);
		return true;
	}
	if (FAILED(reserve_on_loan((void *)base, size, 0, HM_ACCESS_NONE, &loan,
				   &address)))
		return false;
	DIRECT->give_up(DIRECT, address, size);
	hm_take_back(&loan);
	return true;
}

static HRESULT arena_reserve(const struct hm_page_source *self, void *wanted, size_t size,
			     size_t alignment, unsigned flags, unsigned access,
			     void **out)
{
	*out = NULL;
	if (wanted != NULL)
		return reserve_exactly(self, wanted, size, flags, access, out);
	return reserve_anywhere(self, size, alignment, flags, access, out);
}

static size_t arena_large_page_size(const struct hm_page_source *self)
{
	(void)self;
	return DIRECT->large_page_size(DIRECT);
}

#define OPERATIONS \
	{ \
		.large_page_size = arena_large_page_size, .reserve = arena_reserve, \
		.commit = arena_commit, .protect = arena_protect, \
		.decommit = arena_decommit, .discard = arena_discard, \
		.prefer_huge = arena_prefer_huge, .divide = arena_divide, \
		.unite = arena_unite, .release = arena_release, \
		.give_up = arena_give_up, \
	}

static const struct arena_source with_guards = { OPERATIONS, &hm_arenas_with_guards };
static const struct arena_source without_guards = { OPERATIONS,
						    &hm_arenas_without_guards };

static const struct arena_source direct = { OPERATIONS, NULL };

const struct hm_page_source *const hm_pages_with_guards = &with_guards.source;
const struct hm_page_source *const hm_pages_without_guards = &without_guards.source;
const struct hm_page_source *const hm_pages_without_arenas = &direct.source;

static bool is_forced(const char *way)
{
	const char *wanted = getenv("HOSTMEM_PAGES");

	return wanted != NULL && strcmp(wanted, way) == 0;
}

const struct hm_page_source *hm_pages_choose(uint32_t flags)
{
	if (is_forced("direct") || hm_memory_is_counted())
		return hm_pages_without_arenas;
	if ((flags & HOSTMEM_NO_GUARD_PAGES) || is_forced("protect") ||
	    !hm_memory_has_guards())
		return hm_pages_without_guards;
	return hm_pages_with_guards;
}

struct hm_arenas *hm_pages_arenas(const struct hm_page_source *source)
{
	if (source == hm_pages_with_guards || source == hm_pages_without_guards)
		return arenas_of(source);
	return NULL;
}

bool hm_pages_are_ordinary(const struct hm_page_source *source, uintptr_t base,
			   size_t size)
{
	const struct hm_arenas *arenas = hm_pages_arenas(source);
	struct hm_arena *arena;
	struct hm_place place;

	if (arenas == NULL || base % HM_GRANULE_SIZE != 0)
		return false;
	arena = hm_arena_of(base);
	if (arena == NULL || arena->set != arenas)
		return false;
	place = hm_place_of(arena, base, size);
	return place.count ==
		       hm_place_whole(arena, base, size, base, base + size).count &&
	       hm_place_seen(&place) == HM_SOME_OPEN;
}

bool hm_pages_take(const struct hm_page_source *source, size_t size, size_t alignment,
		   uintptr_t *base)
{
	struct hm_arenas *arenas = hm_pages_arenas(source);

	if (arenas == NULL || !is_for_arenas(source, size, alignment, 0))
		return false;
	*base = take(arenas, size, alignment, false);
	return *base != 0;
}

bool hm_pages_probe(const struct hm_page_source *source, uintptr_t base, size_t size)
{
	void *address;

	if (base != 0 && source->reserve == arena_reserve)
		return arena_probe(source, base, size);
	if (FAILED(source->reserve(source, (void *)base, size, HM_GRANULE_SIZE, 0,
				   HM_ACCESS_NONE, &address)))
		return false;
	source->give_up(source, address, size);
	return true;
}
