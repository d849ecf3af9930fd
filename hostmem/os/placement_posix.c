/*
 * Where a reservation goes that is a mapping of its own.
 *
 * Win32 gives addresses at multiples of 64 KiB and lets no two reservations share such a unit;
 * the kernel knows pages only, and likes the topmost hole best, whatever its ends.  So there
 * is a guess to each reservation, made of the last one: the kernel takes it in one call, or
 * more is mapped than needed and both ends go back.  What is remembered here are guesses; the
 * kernel has the last word, since it is never asked to map over anything.
 *
 * Locks: none, and of two threads with the same guess one has to ask again.  Those of
 * leftovers_posix.c.
 */
#include "placement.h"
#include "leftovers.h"
#include "memory.h"
#include "size.h"

#include <stdatomic.h>

static _Atomic(void *) last_place; /* that reserve_anywhere gave */

/*
 * From the top down the next place is right below this address, a multiple of 64 KiB; 0: the
 * kernel is to say.  The low bits tell how many units are free there, 0 = nobody knows.
 */
static _Atomic uintptr_t next_below;
#define MOST_UNITS (HM_GRANULE_SIZE - 1)

static _Atomic(void *) part_of_one; /* that is about to be given back */

/* From the first to the last unit in which a reservation was cut off in front, so that one may
 * begin in the middle. */
static _Atomic uintptr_t first_ragged = UINTPTR_MAX, last_ragged;

static bool usable(void *address, size_t size, size_t alignment)
{
	return (uintptr_t)address >= HM_USER_START &&
	       hm_range_valid((uintptr_t)address, size) &&
	       (uintptr_t)address % alignment == 0;
}

HRESULT hm_placement_exactly(void *wanted, size_t size, const struct hm_room *room,
			     void **out)
{
	HRESULT hr = hm_memory_map(wanted, size, room->access,
				   room->flags | HM_MAP_EXACTLY, out);

	/* Kernels before 4.17 take the address for a hint and may go elsewhere. */
	if (SUCCEEDED(hr) && *out != wanted) {
		hm_leftover(*out, size);
		*out = NULL;
		return HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS);
	}
	return hr;
}

/* The tail behind the last page goes back: the region is pages long, and not units. */
static void give_up_tail(const struct hm_room *room, void *base)
{
	if (room->units != room->size)
		hm_leftover((char *)base + room->size, room->units - room->size);
}

/*
 * Maps more than is needed and gives up both ends: finds a place of any alignment if there
 * is one, at the price of the room for it.  The highest place in what was mapped is kept,
 * next to what is there already, so that the kernel can merge the two.
 */
static HRESULT reserve_trimmed(const struct hm_room *room, void **out)
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
static HRESULT reserve_near(const struct hm_room *room, void **out)
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
		    FAILED(hm_placement_exactly(place, room->units, room, out)))
			return reserve_trimmed(room, out);
	}
	give_up_tail(room, *out);
	return S_OK;
}

static void note_ragged(uintptr_t unit)
{
	uintptr_t first = atomic_load(&first_ragged), last = atomic_load(&last_ragged);

	while (unit < first && !atomic_compare_exchange_weak(&first_ragged, &first, unit))
		continue;
	while (unit > last && !atomic_compare_exchange_weak(&last_ragged, &last, unit))
		continue;
}

static bool may_be_ragged(uintptr_t unit)
{
	return unit >= atomic_load(&first_ragged) && unit <= atomic_load(&last_ragged);
}

/* Right below the last one, or in the hole that was given back above it.  With one call of the
 * exact size: who has the first page of a unit has the unit, unless it may be ragged. */
static bool reserve_below(const struct hm_room *room, void **out)
{
	uintptr_t next = atomic_load_explicit(&next_below, memory_order_relaxed);
	uintptr_t units = next % HM_GRANULE_SIZE, top = next - units;
	uintptr_t place = hm_round_down(top - room->units, room->alignment);
	bool whole = may_be_ragged(place + room->units - HM_GRANULE_SIZE);

	if (top <= room->units ||
	    (units != 0 && top - place > units << HM_GRANULE_SHIFT) ||
	    !usable((void *)place, room->units, room->alignment) ||
	    FAILED(hm_placement_exactly((void *)place, whole ? room->units : room->size,
					room, out)))
		return false;
	if (whole)
		give_up_tail(room, *out);
	if (units != 0)
		units -= (top - place) >> HM_GRANULE_SHIFT;
	atomic_store_explicit(&next_below, place + units, memory_order_relaxed);
	return true;
}

/*
 * From the top down.  Where the next place is not known to be free, more is mapped than needed
 * at once: the topmost hole that the kernel knows is off the grid as a rule, some library's
 * neighbour, and to try it each time costs more than to trim.
 */
static HRESULT reserve_high(const struct hm_room *room, void **out)
{
	HRESULT hr;

	*out = NULL;
	if (reserve_below(room, out))
		return S_OK;
	hr = reserve_trimmed(room, out);
	atomic_store_explicit(&next_below, (uintptr_t)*out, memory_order_relaxed);
	return hr;
}

HRESULT hm_placement_anywhere(const struct hm_room *room, bool high, void **out)
{
	HRESULT hr = high ? reserve_high(room, out) : reserve_near(room, out);

	if (FAILED(hr))
		return hr;
	if (!usable(*out, room->units, room->alignment)) {
		hm_leftover(*out, room->size);
		*out = NULL;
		return E_OUTOFMEMORY;
	}
	atomic_store_explicit(&last_place, *out, memory_order_relaxed);
	return S_OK;
}

/* Whole units that were given back above the next place are a better one; those right above it
 * make it larger. */
static void note_hole(uintptr_t start, uintptr_t end)
{
	uintptr_t next = atomic_load_explicit(&next_below, memory_order_relaxed);
	uintptr_t known = next % HM_GRANULE_SIZE;
	uintptr_t units = (end - start) >> HM_GRANULE_SHIFT;

	if (next == 0 || end <= next)
		return;
	if (start == next - known)
		units = known == 0 ? 0 : units + known;
	atomic_store_explicit(&next_below, end + hm_min(units, MOST_UNITS),
			      memory_order_relaxed);
}

/* The unit at the end of a reservation was nobody else's; of what was a part of one until now,
 * the rest may be in it. */
void hm_placement_note_freed(void *address, size_t size)
{
	void *part = address;
	bool divided = atomic_compare_exchange_strong(&part_of_one, &part, NULL);
	uintptr_t start = hm_round_up((uintptr_t)address, HM_GRANULE_SIZE);
	uintptr_t end = (uintptr_t)address + size;

	end = divided ? hm_round_down(end, HM_GRANULE_SIZE)
		      : hm_round_up(end, HM_GRANULE_SIZE);
	if (end > start)
		note_hole(start, end);
}

void hm_placement_note_part(void *address, size_t size, uintptr_t behind)
{
	uintptr_t end = (uintptr_t)address + size;

	if (end % HM_GRANULE_SIZE != 0 && end != behind)
		note_ragged(hm_round_down(end, HM_GRANULE_SIZE));
	atomic_store_explicit(&part_of_one, address, memory_order_relaxed);
}

void hm_placement_forget_part(void)
{
	atomic_store_explicit(&part_of_one, NULL, memory_order_relaxed);
}
