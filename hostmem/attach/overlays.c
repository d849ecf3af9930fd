/*
 * The list of overlays, in order of their addresses.
 *
 * Most programs have none, and are then asked one load per call.  A runtime that maps its
 * libraries over reserved pages has some hundreds, so they are found by halving; they come
 * and go with files, so that moving the rest of the list is nothing beside the system calls.
 *
 * Locks: HM_RANK_OVERLAYS, between hm_calls_enter and hm_calls_leave.
 */
#include "overlays.h"
#include "hostmem/calls.h"
#include "hostmem/metadata.h"
#include "hostmem/os/lock.h"
#include "hostmem/os/size.h"

#include <string.h>

#define FIRST_ROOM 256U

_Atomic size_t hm_overlays_count;

static struct {
	struct hm_lock lock;
	struct hm_overlay *all;
	size_t count, room;
} list;

static void enter(void)
{
	hm_calls_enter();
	hm_lock_acquire(&list.lock, HM_RANK_OVERLAYS);
}

static void leave(void)
{
	atomic_store_explicit(&hm_overlays_count, list.count, memory_order_release);
	hm_lock_release(&list.lock, HM_RANK_OVERLAYS);
	hm_calls_leave();
}

/* The number of the first that ends behind an address. */
static size_t first_behind(uintptr_t address)
{
	size_t low = 0, high = list.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (list.all[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool make_room(size_t wanted)
{
	size_t room = hm_max(list.room * 2, FIRST_ROOM);
	struct hm_overlay *all;

	if (list.count + wanted <= list.room)
		return true;
	all = hm_metadata_alloc(room * sizeof(*all));
	if (all == NULL)
		return false;
	if (list.all != NULL) {
		memcpy(all, list.all, list.count * sizeof(*all));
		hm_metadata_free(list.all, list.room * sizeof(*all));
	}
	list.all = all;
	list.room = room;
	return true;
}

/* Puts `count` others in the place of `gone` of them. */
static void replace(size_t place, size_t gone, const struct hm_overlay *others,
		    size_t count)
{
	struct hm_overlay *at = list.all + place;

	memmove(at + count, at + gone, (list.count - place - gone) * sizeof(list.all[0]));
	if (count != 0)
		memcpy(at, others, count * sizeof(*others));
	list.count = list.count - gone + count;
}

/* What remains of those that reach into [start, end): a part before it and one behind. */
static size_t outside(size_t place, uintptr_t start, uintptr_t end, size_t *gone,
		      struct hm_overlay parts[2])
{
	size_t last = place, count = 0;

	while (last < list.count && list.all[last].start < end)
		last++;
	*gone = last - place;
	if (*gone == 0)
		return 0;
	if (list.all[place].start < start)
		parts[count++] = (struct hm_overlay){ list.all[place].start, start };
	if (list.all[last - 1].end > end)
		parts[count++] = (struct hm_overlay){ end, list.all[last - 1].end };
	return count;
}

bool hm_overlays_search(uintptr_t start, uintptr_t end, struct hm_overlay *out)
{
	size_t place;
	bool found;

	enter();
	place = first_behind(start);
	found = place < list.count && list.all[place].start < end;
	if (found) {
		out->start = hm_max(list.all[place].start, start);
		out->end = hm_min(list.all[place].end, end);
	}
	leave();
	return found;
}

bool hm_overlays_add(uintptr_t start, uintptr_t end)
{
	bool room;

	enter();
	room = make_room(2);
	if (room) {
		struct hm_overlay parts[3];
		size_t place = first_behind(start), gone, count;

		count = outside(place, start, end, &gone, parts);
		/* Before the part behind it, if there is one. */
		if (count != 0 && parts[count - 1].start == end) {
			parts[count] = parts[count - 1];
			parts[count - 1] = (struct hm_overlay){ start, end };
		} else {
			parts[count] = (struct hm_overlay){ start, end };
		}
		replace(place, gone, parts, count + 1);
	}
	leave();
	return room;
}

bool hm_overlays_remove(uintptr_t start, uintptr_t end)
{
	bool room;

	if (atomic_load_explicit(&hm_overlays_count, memory_order_acquire) == 0)
		return true;
	enter();
	/* For one that is cut in two, and for noting again what was not to be had. */
	room = make_room(2);
	if (room) {
		struct hm_overlay parts[2];
		size_t place = first_behind(start), gone, count;

		count = outside(place, start, end, &gone, parts);
		replace(place, gone, parts, count);
	}
	leave();
	return room;
}
