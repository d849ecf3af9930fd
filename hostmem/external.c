/*
 * Acquired mappings.
 *
 * An array in no order, searched from end to end: a runtime maps its images and little
 * else, and the calls are as rare as the system calls that they report.
 *
 * An acquisition that covers earlier ones takes their bytes; what it covers in the middle
 * leaves two pieces of one start.  A start whose bytes are all gone stays known, so that
 * releasing it is no error.
 *
 * Locks: HM_RANK_EXTERNAL.  Memory for a longer array is found before it is taken.
 */
#include "external.h"
#include "metadata.h"
#include "os/size.h"

#include <string.h>

#define FIRST_ROOM 32

/* Returns with the lock held and room for `more` runs, or without it: no memory. */
static bool lock_with_room(struct hm_external *external, size_t more)
{
	struct hm_external_run *larger = NULL;
	size_t room = 0;

	for (;;) {
		size_t wanted;

		hm_lock_acquire(&external->lock, HM_RANK_EXTERNAL);
		wanted = external->count + more;
		if (wanted <= external->room || wanted <= room)
			break;
		hm_lock_release(&external->lock, HM_RANK_EXTERNAL);
		hm_metadata_free(larger, room * sizeof(*larger));
		room = hm_max(FIRST_ROOM, wanted * 2);
		larger = hm_metadata_alloc(room * sizeof(*larger));
		if (larger == NULL)
			return false;
	}
	if (room > external->room) {
		struct hm_external_run *before = external->runs;
		size_t before_room = external->room;

		if (before != NULL)
			memcpy(larger, before, external->count * sizeof(*before));
		external->runs = larger;
		external->room = room;
		larger = before;
		room = before_room;
	}
	hm_metadata_free(larger, room * sizeof(*larger));
	return true;
}

static void drop(struct hm_external *external, size_t i)
{
	external->runs[i] = external->runs[--external->count];
}

static void add(struct hm_external *external, uintptr_t start, uintptr_t end,
		uintptr_t acquired)
{
	external->runs[external->count++] = (struct hm_external_run){
		.start = start, .end = end, .acquired = acquired
	};
}

static size_t forget_start(struct hm_external *external, uintptr_t start, bool *known)
{
	size_t bytes = 0;

	*known = false;
	for (size_t i = external->count; i-- > 0;) {
		const struct hm_external_run *run = &external->runs[i];

		if (run->acquired != start)
			continue;
		*known = true;
		bytes += run->end - run->start;
		drop(external, i);
	}
	return bytes;
}

/* Takes [start, end) away from every run; returns how many bytes they lose. */
static size_t cut_out(struct hm_external *external, uintptr_t start, uintptr_t end)
{
	size_t bytes = 0;

	for (size_t i = external->count; i-- > 0;) {
		struct hm_external_run *run = &external->runs[i];
		uintptr_t low = hm_max(run->start, start);
		uintptr_t high = hm_min(run->end, end);

		if (low >= high)
			continue;
		bytes += high - low;
		if (high < run->end && low > run->start) {
			add(external, high, run->end, run->acquired);
			run->end = low;
		} else if (low > run->start) {
			run->end = low;
		} else {
			run->start = high;
		}
	}
	return bytes;
}

static void refund(struct hm_external *external, struct hm_budget *budget, size_t size)
{
	hm_budget_refund(budget, size);
	atomic_fetch_sub_explicit(&external->bytes, size, memory_order_relaxed);
}

bool hm_external_acquire(struct hm_external *external, struct hm_budget *budget,
			 uintptr_t start, size_t size, size_t *displaced)
{
	bool known;

	*displaced = 0;
	/* The run itself, and the second piece of one that it falls into. */
	if (!lock_with_room(external, 2))
		return false;
	*displaced = forget_start(external, start, &known);
	*displaced += cut_out(external, start, start + size);
	refund(external, budget, *displaced);
	add(external, start, start + size, start);
	hm_budget_charge(budget, size);
	atomic_fetch_add_explicit(&external->bytes, size, memory_order_relaxed);
	hm_lock_release(&external->lock, HM_RANK_EXTERNAL);
	return true;
}

bool hm_external_release(struct hm_external *external, struct hm_budget *budget,
			 uintptr_t start, size_t *size)
{
	bool known;

	hm_lock_acquire(&external->lock, HM_RANK_EXTERNAL);
	*size = forget_start(external, start, &known);
	refund(external, budget, *size);
	hm_lock_release(&external->lock, HM_RANK_EXTERNAL);
	return known;
}

bool hm_external_pop(struct hm_external *external, struct hm_budget *budget,
		     uintptr_t *start, size_t *size)
{
	if (external->count == 0)
		return false;
	*start = external->runs[0].acquired;
	return hm_external_release(external, budget, *start, size);
}

void hm_external_destroy(struct hm_external *external)
{
	hm_metadata_free(external->runs, external->room * sizeof(*external->runs));
}
