/*
 * Retained memory: runs in lists by size, newest first, and one list of all by age.
 *
 * The newest run is the one whose pages are most likely still in the processor's caches;
 * the oldest is the one to give back when there is no room.  A run is looked for in the
 * list of its size in granules, a few entries deep: sizes that differ by pages only are
 * rare in one program, and a search must not cost what it saves.
 *
 * Zeroing is done when a run is taken again, not when it is kept: most of what is
 * released together is not wanted again together.
 *
 * Locks: HM_RANK_RETAINED around the lists; neither zeroing nor giving back is done under
 * it.
 */
#include "retained.h"
#include "metadata.h"
#include "os/check.h"
#include "os/residents.h"
#include "os/size.h"

/* A search looks at so many. */
#define DEEP 8U

/* Lists are rings; run 0 is nobody's, so a zeroed list is an empty one. */
struct link {
	uint32_t next, previous;
};

struct hm_retained_run {
	uintptr_t base;
	size_t size;
	struct link age, same; /* among all; among those of its granules, or unused */
};

#define FREE_LIST 0U /* of lists[]: runs not in use, singly linked by `same` */

static uint32_t list_of(size_t size)
{
	return (uint32_t)(hm_round_up(size, HM_GRANULE_SIZE) >> HM_GRANULE_SHIFT);
}

bool hm_retained_init(struct hm_retained *retained, size_t limit)
{
	size_t room = hm_min(limit >> HM_GRANULE_SHIFT, 65536) + 1;

	retained->limit = limit;
	if (limit == 0)
		return true;
	retained->runs = hm_metadata_alloc(room * sizeof(*retained->runs));
	retained->room = (uint32_t)room;
	retained->unused = 1;
	return retained->runs != NULL;
}

void hm_retained_destroy(struct hm_retained *retained)
{
	hm_assert(retained->bytes == 0);
	hm_metadata_free(retained->runs, retained->room * sizeof(*retained->runs));
}

static struct hm_retained_run *run_of(struct hm_retained *retained, uint32_t i)
{
	return &retained->runs[i];
}

/* A run that is not in use; 0 = none. */
static uint32_t new_run_locked(struct hm_retained *retained)
{
	uint32_t i = retained->lists[FREE_LIST];

	if (i != 0)
		retained->lists[FREE_LIST] = run_of(retained, i)->same.next;
	else if (retained->unused < retained->room)
		i = retained->unused++;
	return i;
}

static void link_locked(struct hm_retained *retained, uint32_t i)
{
	struct hm_retained_run *all = run_of(retained, 0), *run = run_of(retained, i);
	uint32_t *head = &retained->lists[list_of(run->size)];

	/* By age: run 0 is the ring's beginning. */
	run->age = (struct link){ .next = all->age.next, .previous = 0 };
	run_of(retained, all->age.next)->age.previous = i;
	all->age.next = i;
	run->same = (struct link){ .next = *head, .previous = 0 };
	if (*head != 0)
		run_of(retained, *head)->same.previous = i;
	*head = i;
	atomic_fetch_add_explicit(&retained->bytes, run->size, memory_order_relaxed);
}

static void unlink_locked(struct hm_retained *retained, uint32_t i)
{
	struct hm_retained_run *run = run_of(retained, i);

	run_of(retained, run->age.next)->age.previous = run->age.previous;
	run_of(retained, run->age.previous)->age.next = run->age.next;
	if (run->same.next != 0)
		run_of(retained, run->same.next)->same.previous = run->same.previous;
	if (run->same.previous != 0)
		run_of(retained, run->same.previous)->same.next = run->same.next;
	else
		retained->lists[list_of(run->size)] = run->same.next;
	run->same.next = retained->lists[FREE_LIST];
	retained->lists[FREE_LIST] = i;
	atomic_fetch_sub_explicit(&retained->bytes, run->size, memory_order_relaxed);
}

bool hm_retained_pop(struct hm_retained *retained, uintptr_t *base, size_t *size)
{
	uint32_t i = 0;

	if (atomic_load_explicit(&retained->bytes, memory_order_relaxed) == 0)
		return false;
	hm_lock_acquire(&retained->lock, HM_RANK_RETAINED);
	i = run_of(retained, 0)->age.previous;
	if (i != 0) {
		*base = run_of(retained, i)->base;
		*size = run_of(retained, i)->size;
		unlink_locked(retained, i);
	}
	hm_lock_release(&retained->lock, HM_RANK_RETAINED);
	return i != 0;
}

static bool try_put(struct hm_retained *retained, uintptr_t base, size_t size)
{
	uint32_t i = 0;

	hm_lock_acquire(&retained->lock, HM_RANK_RETAINED);
	if (retained->bytes + size <= retained->limit)
		i = new_run_locked(retained);
	if (i != 0) {
		run_of(retained, i)->base = base;
		run_of(retained, i)->size = size;
		link_locked(retained, i);
	}
	hm_lock_release(&retained->lock, HM_RANK_RETAINED);
	return i != 0;
}

void hm_retained_put(struct hm_retained *retained, const struct hm_page_source *pages,
		     uintptr_t base, size_t size)
{
	uintptr_t oldest;
	size_t oldest_size;

	while (!try_put(retained, base, size)) {
		bool popped = hm_retained_pop(retained, &oldest, &oldest_size);

		/* Only where there is no room at all is it the new one that goes. */
		if (!popped) {
			pages->give_up(pages, (void *)base, size);
			return;
		}
		pages->give_up(pages, (void *)oldest, oldest_size);
	}
}

static uint32_t find_locked(struct hm_retained *retained, size_t size, size_t alignment)
{
	uint32_t i = retained->lists[list_of(size)];

	for (uint32_t seen = 0; i != 0 && seen < DEEP; seen++) {
		const struct hm_retained_run *run = run_of(retained, i);

		if (run->size == size && run->base % alignment == 0)
			return i;
		i = run->same.next;
	}
	return 0;
}

bool hm_retained_take(struct hm_retained *retained, const struct hm_page_source *pages,
		      size_t size, size_t alignment, uintptr_t *base)
{
	struct hm_retained_run run;
	uint32_t i;

	if (atomic_load_explicit(&retained->bytes, memory_order_relaxed) < size)
		return false;
	hm_lock_acquire(&retained->lock, HM_RANK_RETAINED);
	i = find_locked(retained, size, alignment);
	if (i != 0) {
		run = *run_of(retained, i);
		unlink_locked(retained, i);
	}
	hm_lock_release(&retained->lock, HM_RANK_RETAINED);
	if (i == 0)
		return false;
	if (!hm_residents_zero((void *)run.base, run.size)) {
		pages->give_up(pages, (void *)run.base, run.size);
		return false;
	}
	*base = run.base;
	return true;
}

void hm_retained_trim(struct hm_retained *retained, const struct hm_page_source *pages)
{
	uintptr_t base;
	size_t size;

	while (hm_retained_pop(retained, &base, &size))
		pages->give_up(pages, (void *)base, size);
}
