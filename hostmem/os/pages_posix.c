/*
 * Pages from mmap, one mapping per reservation.
 *
 * Reserve is a PROT_NONE mapping that the kernel does not charge; commit and protect
 * are mprotect; decommit maps fresh PROT_NONE pages over the range, which takes the
 * contents and the access away in one call that other threads cannot see half-done.
 * MADV_DONTNEED with mprotect was rejected for that: between the two a stray write
 * would silently bring a page back.
 *
 * This is how everything was that arenas (arenapages.h) do better now; what is left for it
 * are huge reservations, exact addresses that are in no arena, MEM_TOP_DOWN, large pages,
 * and systems that do not let us have arenas.  Core dumps leave out what was never
 * written of such a reservation by themselves, as long as its pages without access are
 * fresh ones: that too speaks for mapping over.
 *
 * mprotect walks the kernel's mappings one by one and may stop half-way when
 * vm.max_map_count is reached.  So commit and protect take the history of the range and
 * put it back.  That cannot fail for want of room, because undoing a split merges; if
 * it fails nevertheless, nobody knows what the pages are, and that is E_FAIL.
 *
 * Locks: those of leftovers_posix.c.  errno is kept: it is the runtime's, and may be in use by
 * its caller.
 */
#include "pages.h"
#include "check.h"
#include "largepages.h"
#include "leftovers.h"
#include "size.h"

#include <stdatomic.h>
#include <unistd.h>

/* Huge pages go where there is room for one. */
#define PLACED (HM_RESERVE_TOP_DOWN | HM_RESERVE_LARGE)

/* From so many bytes of tables on, huge pages pay. */
#define MANY_TABLES ((size_t)2 << 20)

static _Atomic(void *) last_place; /* that reserve_anywhere gave */

/* The same from the top down; NULL: there may be a higher place than right below it. */
static _Atomic(void *) lowest_place;
static _Atomic(void *) part_of_one; /* that is about to be given back */

/* A reservation was cut within a unit, so there may be one that begins in the middle. */
static _Atomic bool ragged;

/* There may be reserved pages that can be written to, see clear. */
static _Atomic bool loose;

/*
 * Where the system has no room for the change, access stays with pages that are reserved,
 * and whoever writes to them would find that after the next commit.
 */
static HRESULT clear(void *address, size_t size)
{
	HRESULT hr = hm_memory_clear(address, size);

	if (hr == S_FALSE)
		atomic_store_explicit(&loose, true, memory_order_relaxed);
	return hr;
}

void hm_pages_drop_uncommitted(void *address, size_t size,
			       const struct hm_page_history *before)
{
	char *at = address;

	while (size != 0) {
		struct hm_page_run run = before->run_at(before, at);

		hm_assert(run.size != 0);
		run.size = hm_min(run.size, size);
		if (!run.committed)
			(void)hm_memory_drop(at, run.size);
		at += run.size;
		size -= run.size;
	}
}

static HRESULT posix_decommit(const struct hm_page_source *self, void *address,
			      size_t size, const struct hm_page_history *before)
{
	(void)self, (void)before;
	return FAILED(clear(address, size)) ? E_FAIL : S_OK;
}

/* Undoes a change that stopped half-way. */
static HRESULT restore(char *address, size_t size, const struct hm_page_history *before)
{
	while (size != 0) {
		struct hm_page_run run = before->run_at(before, address);
		HRESULT hr;

		hm_assert(run.size != 0);
		run.size = hm_min(run.size, size);
		hr = run.committed ? hm_memory_put_back(address, run.size, run.access)
				   : clear(address, run.size);
		/* What decommit could not take access away from is as it was. */
		if (FAILED(hr))
			return E_FAIL;
		address += run.size;
		size -= run.size;
	}
	return S_OK;
}

static HRESULT posix_protect(const struct hm_page_source *self, void *address,
			     size_t size, unsigned access,
			     const struct hm_page_history *before)
{
	HRESULT hr;

	(void)self;
	hr = hm_memory_protect(address, size, access);
	if (FAILED(hr) && FAILED(restore(address, size, before)))
		return E_FAIL;
	return hr;
}

static HRESULT posix_commit(const struct hm_page_source *self, void *address, size_t size,
			    unsigned access, const struct hm_page_history *before)
{
	if (atomic_load_explicit(&loose, memory_order_relaxed))
		hm_pages_drop_uncommitted(address, size, before);
	return posix_protect(self, address, size, access, before);
}

static bool usable(void *address, size_t size, size_t alignment)
{
	return (uintptr_t)address >= HM_USER_START &&
	       hm_range_valid((uintptr_t)address, size) &&
	       (uintptr_t)address % alignment == 0;
}

static HRESULT reserve_exact(void *wanted, size_t size, unsigned access, unsigned flags,
			     void **out)
{
	HRESULT hr = hm_memory_map(wanted, size, access, flags | HM_MAP_EXACTLY, out);

	/* Kernels before 4.17 take the address for a hint and may go elsewhere. */
	if (SUCCEEDED(hr) && *out != wanted) {
		hm_leftover(*out, size);
		*out = NULL;
		return HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS);
	}
	return hr;
}

/* What a reservation that may lie anywhere is to be. */
struct room {
	size_t size,
		units; /* the same in whole 64 KiB units, so that none is ever shared */
	size_t alignment;
	unsigned access, flags;
};

/* The tail behind the last page goes back: the region is pages long, and not units. */
static void give_up_tail(const struct room *room, void *base)
{
	if (room->units != room->size)
		hm_leftover((char *)base + room->size, room->units - room->size);
}

/*
 * Maps more than is needed and gives up both ends: finds a place of any alignment if there
 * is one, at the price of the room for it.  The highest place in what was mapped is kept,
 * next to what is there already, so that the kernel can merge the two.
 */
static HRESULT reserve_trimmed(const struct room *room, void **out)
{
	size_t span = room->units + room->alignment;
	char *address, *start, *end;
	void *mapped;
	HRESULT hr;

	*out = NULL;
	if (room->alignment > HM_USER_END - room->units)
		return E_OUTOFMEMORY;
	hr = hm_memory_map(NULL, span, room->access, room->flags, &mapped);
	if (FAILED(hr))
		return hr;
	address = mapped;
	end = address + span;
	start = end - room->units;
	start -= (uintptr_t)start % room->alignment;
	if (start + room->size != end)
		hm_leftover(start + room->size, (size_t)(end - (start + room->size)));
	if (start != address)
		hm_leftover(address, (size_t)(start - address));
	*out = start;
	return S_OK;
}

/*
 * Whole 64 KiB units are asked for, so that the kernel's next place stays aligned and no
 * two reservations ever share a unit.
 *
 * The last place that was given is the hint for the next: it is aligned, and either free
 * again or right above what the kernel would take anyway.  If the kernel goes elsewhere
 * and off the grid (it likes the topmost hole best, whatever its ends), the grid just
 * below its place is most likely free; only if not, more is mapped than needed.
 */
static HRESULT reserve_near(const struct room *room, void **out)
{
	void *last = atomic_load_explicit(&last_place, memory_order_relaxed);
	HRESULT hr = hm_memory_map(last, room->units, room->access, room->flags, out);
	void *place = *out;

	if (FAILED(hr))
		return hr;
	if (!usable(place, room->units, room->alignment)) {
		hm_leftover(place, room->units);
		place = (void *)hm_round_down((uintptr_t)place, room->alignment);
		if (!usable(place, room->units, room->alignment) ||
		    FAILED(reserve_exact(place, room->units, room->access, room->flags,
					 out)))
			return reserve_trimmed(room, out);
	}
	give_up_tail(room, *out);
	return S_OK;
}

/*
 * From the top down: right below the last one, as long as nothing was given back above it
 * that the kernel would rather take.  That is one call, of the exact size: who has the first
 * page of a unit has the unit, unless a reservation's front was given back.  Otherwise more is
 * mapped than needed at once: the topmost hole that the kernel knows is off the grid as a
 * rule, some library's neighbour, and to try it each time costs more than to trim.
 */
static HRESULT reserve_high(const struct room *room, void **out)
{
	void *last = atomic_load_explicit(&lowest_place, memory_order_relaxed);
	void *place = (void *)hm_round_down((uintptr_t)last - room->units,
					    room->alignment);
	bool whole = atomic_load_explicit(&ragged, memory_order_relaxed);

	*out = NULL;
	if ((uintptr_t)last <= room->units ||
	    !usable(place, room->units, room->alignment) ||
	    FAILED(reserve_exact(place, whole ? room->units : room->size, room->access,
				 room->flags, out)))
		return reserve_trimmed(room, out);
	if (whole)
		give_up_tail(room, *out);
	return S_OK;
}

static HRESULT reserve_anywhere(const struct room *room, bool high, void **out)
{
	HRESULT hr = high ? reserve_high(room, out) : reserve_near(room, out);

	if (FAILED(hr))
		return hr;
	if (!usable(*out, room->units, room->alignment)) {
		hm_leftover(*out, room->size);
		*out = NULL;
		return E_OUTOFMEMORY;
	}
	if (high)
		atomic_store_explicit(&lowest_place, *out, memory_order_relaxed);
	atomic_store_explicit(&last_place, *out, memory_order_relaxed);
	return S_OK;
}

static HRESULT posix_reserve(const struct hm_page_source *self, void *wanted, size_t size,
			     size_t alignment, unsigned flags, unsigned access,
			     void **out)
{
	const struct room room = {
		.size = size,
		.units = hm_round_up(size, HM_GRANULE_SIZE),
		.alignment = alignment,
		.access = flags & HM_RESERVE_COMMITTED ? access : HM_ACCESS_NONE,
		.flags = flags & HM_RESERVE_LARGE ? HM_MAP_LARGE : 0U,
	};
	HRESULT hr;

	(void)self;
	hm_assert(wanted != NULL || hm_is_power_of_two(alignment));
	hm_leftovers_give_up();
	if (wanted != NULL)
		hr = reserve_exact(wanted, size, room.access, room.flags, out);
	else
		hr = reserve_anywhere(&room, (flags & PLACED) == HM_RESERVE_TOP_DOWN,
				      out);
	/* The pool of huge pages is empty, or the kernel was built without one. */
	if ((flags & HM_RESERVE_LARGE) && (hr == E_OUTOFMEMORY || hr == E_FAIL))
		return HRESULT_FROM_WIN32(ERROR_PRIVILEGE_NOT_HELD);
	return hr;
}

/*
 * What was given back may be a better place for the next reservation than right below the
 * last one; not so a part of one that is smaller than a unit, since the rest is still there.
 */
static void note_hole(void *address, size_t size)
{
	void *part = address;

	if (atomic_compare_exchange_strong(&part_of_one, &part, NULL) &&
	    size < HM_GRANULE_SIZE)
		return;
	atomic_store_explicit(&lowest_place, NULL, memory_order_relaxed);
}

static HRESULT posix_release(const struct hm_page_source *self, void *address,
			     size_t size, const struct hm_page_history *before)
{
	(void)self, (void)before;
	switch (hm_memory_unmap(address, size)) {
	case S_OK:
		note_hole(address, size);
		hm_leftovers_give_up();
		return S_OK;
	case E_OUTOFMEMORY:
		/* If even that fails, the memory waits with its addresses. */
		(void)hm_memory_clear(address, size);
		return S_FALSE;
	default:
		return E_FAIL;
	}
}

/* The kernel knows who is where. */
static void posix_divide(const struct hm_page_source *self, void *address, size_t size,
			 const struct hm_page_history *before)
{
	uintptr_t end = (uintptr_t)address + size;

	(void)self;
	if (end % HM_GRANULE_SIZE != 0 && end != before->end)
		atomic_store_explicit(&ragged, true, memory_order_relaxed);
	atomic_store_explicit(&part_of_one, address, memory_order_relaxed);
}

static void posix_unite(const struct hm_page_source *self, void *address, size_t size,
			const struct hm_page_history *before)
{
	(void)self, (void)address, (void)size, (void)before;
	atomic_store_explicit(&part_of_one, NULL, memory_order_relaxed);
}

static void posix_give_up(const struct hm_page_source *self, void *address, size_t size)
{
	(void)self;
	hm_leftover(address, size);
	note_hole(address, size);
}

static void posix_discard(const struct hm_page_source *self, void *address, size_t size)
{
	(void)self;
	hm_memory_discard(address, size);
}

static void posix_prefer_huge(const struct hm_page_source *self, void *address,
			      size_t size)
{
	(void)self;
	hm_memory_prefer_huge(address, size);
}

static size_t posix_large_page_size(const struct hm_page_source *self)
{
	(void)self;
	return hm_large_page_size();
}

const struct hm_page_source hm_pages_posix = {
	.large_page_size = posix_large_page_size,
	.reserve = posix_reserve,
	.commit = posix_commit,
	.protect = posix_protect,
	.decommit = posix_decommit,
	.discard = posix_discard,
	.prefer_huge = posix_prefer_huge,
	.divide = posix_divide,
	.unite = posix_unite,
	.release = posix_release,
	.give_up = posix_give_up,
};

bool hm_pages_usable(void)
{
	return sysconf(_SC_PAGESIZE) == (long)HM_PAGE_SIZE;
}

void *hm_pages_map_metadata(size_t size)
{
	void *address;

	(void)hm_memory_map(NULL, size, HM_ACCESS_WRITE, 0, &address);
	/* Much of it is looked through at random, where each page is a miss of its own. */
	if (address != NULL && size >= MANY_TABLES)
		hm_memory_prefer_huge(address, size);
	return address;
}

void hm_pages_unmap_metadata(void *address, size_t size)
{
	/* Own whole mappings; a refusal would leave them mapped, which harms nobody. */
	(void)hm_memory_unmap(address, size);
}

HRESULT hm_pages_protect_foreign(void *address, size_t size, unsigned access)
{
	HRESULT hr = hm_memory_protect(address, size, access);

	/* EINVAL of a mapping that has rules of its own: the memory is not for us. */
	return hr == E_FAIL ? E_ACCESSDENIED : hr;
}
