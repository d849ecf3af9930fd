/*
 * Cases about WalkRegions: what it reports is what VirtualQuery tells and what GetUsage counts.
 */
#include "areas.h"
#include "control.h"

#include <string.h>

struct walk {
	struct hm_trial *t;
	IHostMemoryControl *control;
	size_t count, stop_after; /* 0: go on to the end */
	size_t reserved, committed;
	uintptr_t last_end;
	unsigned disordered, untrue; /* runs */
};

static BOOL HOSTMEM_CALL hear(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	struct walk *walk = (struct walk *)state;
	MEMORY_BASIC_INFORMATION now;

	walk->count++;
	walk->reserved += run->RegionSize;
	walk->committed += run->State == MEM_COMMIT ? run->RegionSize : 0;
	walk->disordered += (uintptr_t)run->BaseAddress < walk->last_end;
	walk->last_end = (uintptr_t)run->BaseAddress + run->RegionSize;
	walk->untrue += FAILED(hm_query(walk->t, run->BaseAddress, &now)) ||
			now.BaseAddress != run->BaseAddress ||
			now.AllocationBase != run->AllocationBase ||
			now.AllocationProtect != run->AllocationProtect ||
			now.RegionSize != run->RegionSize || now.State != run->State ||
			now.Protect != run->Protect || now.Type != run->Type;
	return walk->count == walk->stop_after ? FALSE : TRUE;
}

static void walk_on(struct walk *walk)
{
	size_t stop_after = walk->stop_after;
	struct hm_trial *t = walk->t;
	IHostMemoryControl *control = walk->control;

	*walk = (struct walk){ .t = t, .control = control, .stop_after = stop_after };
	CHECK_HR(t, IHostMemoryControl_WalkRegions(control, hear, walk), S_OK);
	CHECK_SIZE(t, walk->untrue, 0);
	CHECK_SIZE(t, walk->disordered, 0);
}

/* Six runs: 4 pages "w-wr", 16 reserved, 2 committed. */
static bool make_regions(struct hm_trial *t, void *bases[3])
{
	bases[0] = hm_take(t, NULL, 4 * HM_PAGE, MEM_RESERVE, PAGE_READONLY);
	bases[1] = hm_take(t, NULL, 16 * HM_PAGE, MEM_RESERVE, PAGE_NOACCESS);
	bases[2] = hm_take(t, NULL, 2 * HM_PAGE, HM_BOTH, PAGE_READONLY);
	return bases[0] != NULL && bases[1] != NULL && bases[2] != NULL &&
	       hm_commit(t, bases[0], HM_PAGE, PAGE_READWRITE) &&
	       hm_commit(t, hm_at(bases[0], 2 * HM_PAGE), HM_PAGE, PAGE_READWRITE) &&
	       hm_commit(t, hm_at(bases[0], 3 * HM_PAGE), HM_PAGE, PAGE_READONLY);
}

static void every_run_is_told_once_and_in_order(struct hm_trial *t)
{
	struct walk walk = { .t = t };
	void *bases[3];

	walk.control = hm_control(t);
	if (walk.control == NULL)
		return;
	hm_row(t, "nothing");
	walk_on(&walk);
	CHECK_SIZE(t, walk.count, 0);
	if (!make_regions(t, bases))
		return;
	hm_row(t, "three reservations");
	walk_on(&walk);
	CHECK_SIZE(t, walk.count, 6);
	CHECK_SIZE(t, walk.reserved, hm_usage(t, walk.control).cbReserved);
	CHECK_SIZE(t, walk.committed, hm_usage(t, walk.control).cbCommitted);
	hm_row(t, "protected, and like its neighbour then");
	(void)hm_protect(t, hm_at(bases[0], 2 * HM_PAGE), HM_PAGE, PAGE_READONLY,
			 PAGE_READWRITE);
	walk_on(&walk);
	CHECK_SIZE(t, walk.count, 5);
	hm_row(t, "released");
	(void)hm_give(t, bases[1]);
	walk_on(&walk);
	CHECK_SIZE(t, walk.count, 4);
	CHECK_SIZE(t, walk.reserved, 6 * HM_PAGE);
}

static void false_ends_the_walk(struct hm_trial *t)
{
	struct walk walk = { .t = t };
	void *bases[3];

	walk.control = hm_control(t);
	if (walk.control == NULL || !make_regions(t, bases))
		return;
	for (size_t stop = 1; stop <= 6; stop++) {
		hm_row(t, "after %u", (unsigned)stop);
		walk.stop_after = stop;
		walk_on(&walk);
		CHECK_SIZE(t, walk.count, stop);
	}
}

static void a_walk_needs_a_callback(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);

	if (control != NULL)
		CHECK_REFUSED(t, IHostMemoryControl_WalkRegions(control, NULL, NULL),
			      E_POINTER);
}

static void heaps_are_told_and_other_hosts_are_not(struct hm_trial *t)
{
	struct walk walk = { .t = t };
	IHostMemoryManager *other;
	IHostMalloc *heap;
	void *base = NULL, *block = NULL;

	walk.control = hm_control(t);
	if (walk.control == NULL || (other = hm_another_host(t)) == NULL)
		return;
	CHECK_HR(t,
		 IHostMemoryManager_VirtualAlloc(other, NULL, HM_PAGE, HM_BOTH,
						 PAGE_READWRITE, eTaskCritical, &base),
		 S_OK);
	walk_on(&walk);
	CHECK_SIZE(t, walk.count, 0);
	(void)IHostMemoryManager_VirtualFree(other, base, 0, MEM_RELEASE);
	(void)IHostMemoryManager_Release(other);
	hm_row(t, "a heap");
	heap = hm_heap(t);
	if (heap == NULL)
		return;
	CHECK_HR(t, IHostMalloc_Alloc(heap, 64 * HM_PAGE, eTaskCritical, &block), S_OK);
	walk_on(&walk);
	CHECK(t, walk.committed >= 64 * HM_PAGE);
	CHECK_SIZE(t, walk.committed, hm_usage(t, walk.control).cbCommitted);
	CHECK_SIZE(t, walk.reserved, hm_usage(t, walk.control).cbReserved);
	(void)IHostMalloc_Release(heap);
	walk_on(&walk);
	CHECK_SIZE(t, walk.count, 0);
}

/* ---- Inside the walk ---- */

static BOOL HOSTMEM_CALL commit_it(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	struct walk *walk = (struct walk *)state;

	(void)hm_commit(walk->t, run->BaseAddress, run->RegionSize, PAGE_READWRITE);
	walk->count++;
	return TRUE;
}

static BOOL HOSTMEM_CALL release_it(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	struct walk *walk = (struct walk *)state;

	(void)hm_give(walk->t, run->AllocationBase);
	walk->count++;
	return TRUE;
}

static BOOL HOSTMEM_CALL walk_inside(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	struct walk *outer = (struct walk *)state;
	struct walk inner = { .t = outer->t, .control = outer->control };

	(void)run;
	walk_on(&inner);
	CHECK_SIZE(outer->t, inner.count, 6);
	outer->count++;
	return TRUE;
}

static void the_callback_may_change_what_it_is_told(struct hm_trial *t)
{
	struct walk walk = { .t = t };
	void *bases[3];

	walk.control = hm_control(t);
	if (walk.control == NULL || !make_regions(t, bases))
		return;
	hm_row(t, "walk inside");
	CHECK_HR(t, IHostMemoryControl_WalkRegions(walk.control, walk_inside, &walk),
		 S_OK);
	CHECK_SIZE(t, walk.count, 6);
	/* The rest of each reservation is not told any more. */
	hm_row(t, "release inside");
	walk.count = 0;
	CHECK_HR(t, IHostMemoryControl_WalkRegions(walk.control, release_it, &walk),
		 S_OK);
	CHECK_SIZE(t, walk.count, 3);
	CHECK_SIZE(t, hm_usage(t, walk.control).cRegions, 0);
	hm_row(t, "commit inside");
	walk.count = 0;
	if (!make_regions(t, bases))
		return;
	CHECK_HR(t, IHostMemoryControl_WalkRegions(walk.control, commit_it, &walk), S_OK);
	CHECK(t, walk.count >= 3);
	CHECK_SIZE(t, hm_usage(t, walk.control).cbCommitted, 22 * HM_PAGE);
}

static BOOL HOSTMEM_CALL let_others(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	(void)run;
	hm_let_others_call((struct hm_bystander *)state);
	return FALSE;
}

static void no_lock_is_held(struct hm_trial *t)
{
	static struct hm_bystander bystander;
	IHostMemoryControl *control = hm_control(t);

	memset(&bystander, 0, sizeof(bystander));
	bystander.t = t;
	if (control == NULL || hm_grant(t, 2, eTaskCritical, S_OK) == NULL)
		return;
	CHECK_HR(t, IHostMemoryControl_WalkRegions(control, let_others, &bystander),
		 S_OK);
}

static const struct hm_case cases[] = {
	{ "runs", HM_DOCUMENTED, "HM header: WalkRegions, in the order of addresses",
	  every_run_is_told_once_and_in_order, HM_NO_GROUP },
	{ "ended", HM_DOCUMENTED, "HM header: WalkRegions, FALSE ends the walk",
	  false_ends_the_walk, HM_NO_GROUP },
	{ "no-callback", HM_DOCUMENTED, "HM header: WalkRegions, Errors",
	  a_walk_needs_a_callback, HM_DOCUMENTED },
	{ "heaps", HM_DOCUMENTED,
	  "HM header: IHostMalloc, WalkRegions shows those pages; foreign memory",
	  heaps_are_told_and_other_hosts_are_not, HM_NO_GROUP },
	{ "changes-inside", HM_DOCUMENTED,
	  "HM header: WalkRegions, the callback may call anything",
	  the_callback_may_change_what_it_is_told, HM_NO_GROUP },
	{ "no-lock", HM_DOCUMENTED,
	  "HM header: WalkRegions, with no lock of the host held", no_lock_is_held,
	  HM_NO_GROUP },
};

const struct hm_area hm_area_walk = HM_AREA("walk", cases);
