/*
 * Cases about the sum of events, which is the usage: a client that only listens knows at any
 * time what is charged.
 *
 * The walk is random and the same in every run: 500 calls of all kinds, some of them refused by
 * a limit, some by a second subscriber after the first has said yes.
 */
#include "areas.h"
#include "control.h"

#include <string.h>

enum { PLACES = 6, PAGES = 16, STEPS = 500, LIMIT_PAGES = 40 };

struct walk {
	struct hm_trial *t;
	IHostMemoryControl *control;
	IHostMalloc *heap;
	uint64_t seed;
	void *bases[PLACES];
	void *blocks[PLACES];
	bool mapped[PLACES];
	size_t sum; /* of events */
	bool moody; /* the second subscriber refuses */
	unsigned vetoes, refusals;
	unsigned misnumbered; /* events */
	uint64_t last_request, open_request;
};

static BOOL HOSTMEM_CALL add_up(void *state, const HostMemEvent *event)
{
	struct walk *walk = (struct walk *)state;

	if (event->type == HostMemEventAllocate)
		walk->sum += event->size;
	if (event->type == HostMemEventFree)
		walk->sum -= event->size;
	walk->sum -= event->cbWithdrawn;
	/* A failure belongs to the allocation before it, or to one that nobody was told of. */
	if (event->type == HostMemEventFailure && event->announced)
		walk->misnumbered += event->request != walk->open_request;
	else
		walk->misnumbered += event->request <= walk->last_request;
	if (event->request > walk->last_request)
		walk->last_request = event->request;
	if (event->type == HostMemEventAllocate)
		walk->open_request = event->request;
	return TRUE;
}

static BOOL HOSTMEM_CALL be_moody(void *state, const HostMemEvent *event)
{
	struct walk *walk = (struct walk *)state;

	(void)event;
	walk->vetoes += walk->moody;
	return walk->moody ? FALSE : TRUE;
}

/* ---- Steps ---- */

static size_t pick(struct walk *walk, size_t count)
{
	return (size_t)(hm_next(&walk->seed) % count);
}

static void reserve_or_release(struct walk *walk, size_t place, HRESULT *hr)
{
	IHostMemoryManager *memory = walk->t->memory;
	void **base = &walk->bases[place];

	if (*base != NULL) {
		*hr = IHostMemoryManager_VirtualFree(memory, *base, 0, MEM_RELEASE);
		*base = NULL;
		return;
	}
	*hr = IHostMemoryManager_VirtualAlloc(memory, NULL, PAGES * HM_PAGE,
					      pick(walk, 2) == 0 ? MEM_RESERVE : HM_BOTH,
					      PAGE_READWRITE, eTaskCritical, base);
}

static void commit_or_decommit(struct walk *walk, size_t place, HRESULT *hr)
{
	size_t first = pick(walk, PAGES);
	size_t count = 1 + pick(walk, PAGES - first);
	void *at = hm_at(walk->bases[place], first * HM_PAGE);
	void *out;

	if (walk->bases[place] == NULL)
		return;
	if (pick(walk, 2) == 0)
		*hr = IHostMemoryManager_VirtualFree(walk->t->memory, at, count * HM_PAGE,
						     MEM_DECOMMIT);
	else
		*hr = IHostMemoryManager_VirtualAlloc(walk->t->memory, at,
						      count * HM_PAGE, MEM_COMMIT,
						      PAGE_READWRITE,
						      (EMemoryCriticalLevel)pick(walk, 3),
						      &out);
}

static void map_or_unmap(struct walk *walk, size_t place, HRESULT *hr)
{
	void *start = (void *)(uintptr_t)(0x2000000000 + place * HM_GRANULE);

	if (walk->mapped[place] && pick(walk, 2) == 0) {
		*hr = IHostMemoryManager_ReleasedVirtualAddressSpace(walk->t->memory,
								     start);
		walk->mapped[place] = false;
		return;
	}
	*hr = IHostMemoryManager_AcquiredVirtualAddressSpace(walk->t->memory, start,
							     (1 + pick(walk, 3)) *
								     HM_PAGE);
	walk->mapped[place] = true;
}

static void take_or_free_a_block(struct walk *walk, size_t place, HRESULT *hr)
{
	void **block = &walk->blocks[place];

	if (*block != NULL) {
		*hr = IHostMalloc_Free(walk->heap, *block);
		*block = NULL;
		return;
	}
	*hr = IHostMalloc_Alloc(walk->heap, 1 + pick(walk, 20 * HM_PAGE), eTaskCritical,
				block);
}

static void take_a_step(struct walk *walk)
{
	static void (*const kinds[])(struct walk * walk, size_t place, HRESULT * hr) = {
		reserve_or_release, commit_or_decommit, commit_or_decommit, map_or_unmap,
		take_or_free_a_block
	};
	HRESULT hr = S_OK;

	walk->moody = pick(walk, 6) == 0;
	kinds[pick(walk, HM_ROWS(kinds))](walk, pick(walk, PLACES), &hr);
	walk->moody = false;
	CHECK(walk->t, hr == S_OK || hr == E_OUTOFMEMORY);
	walk->refusals += FAILED(hr);
}

static void give_all_back(struct walk *walk)
{
	for (size_t place = 0; place < PLACES; place++) {
		HRESULT hr = S_OK;

		if (walk->bases[place] != NULL)
			reserve_or_release(walk, place, &hr);
		if (walk->blocks[place] != NULL)
			take_or_free_a_block(walk, place, &hr);
		if (walk->mapped[place])
			hr = IHostMemoryManager_ReleasedVirtualAddressSpace(
				walk->t->memory,
				(void *)(uintptr_t)(0x2000000000 + place * HM_GRANULE));
		CHECK_HR(walk->t, hr, S_OK);
	}
}

static void the_sum_of_events_is_the_usage(struct hm_trial *t)
{
	struct walk walk = { .t = t, .seed = 4711 };
	uint64_t first = 0, second = 0;

	walk.control = hm_control(t);
	walk.heap = walk.control != NULL ? hm_heap(t) : NULL;
	if (walk.heap == NULL)
		return;
	walk.sum = hm_usage(t, walk.control).cbCharged;
	(void)hm_limit(t, walk.control, LIMIT_PAGES * HM_PAGE);
	CHECK_HR(t,
		 IHostMemoryControl_Subscribe(walk.control, HM_ALL_EVENTS, add_up, &walk,
					      &first),
		 S_OK);
	CHECK_HR(t,
		 IHostMemoryControl_Subscribe(walk.control, HM_ALLOCATE, be_moody, &walk,
					      &second),
		 S_OK);
	for (unsigned step = 0; step < STEPS; step++) {
		hm_row(t, "step %u", step);
		take_a_step(&walk);
		if (!CHECK_SIZE(t, walk.sum, hm_usage(t, walk.control).cbCharged))
			break;
	}
	hm_row(t, "at the end");
	CHECK_SIZE(t, walk.misnumbered, 0);
	CHECK(t, walk.vetoes > 10 && walk.refusals > walk.vetoes / 2);
	give_all_back(&walk);
	(void)IHostMalloc_Release(walk.heap);
	CHECK_SIZE(t, walk.sum, 0);
	CHECK_SIZE(t, hm_usage(t, walk.control).cbCharged, 0);
	CHECK_SIZE(t, hm_usage(t, walk.control).cbReserved, 0);
	CHECK_HR(t, IHostMemoryControl_Unsubscribe(walk.control, first), S_OK);
	CHECK_HR(t, IHostMemoryControl_Unsubscribe(walk.control, second), S_OK);
}

static void the_last_release_gives_the_rest_back(struct hm_trial *t)
{
	struct walk walk = { .t = t };
	IHostMemoryManager *other;
	void *control = NULL, *base = NULL;
	uint64_t cookie = 0;

	if (hm_control(t) == NULL)
		return;
	other = hm_another_host(t);
	if (other == NULL ||
	    !CHECK_HR(t,
		      IHostMemoryManager_QueryInterface(other, &IID_IHostMemoryControl,
							&control),
		      S_OK))
		return;
	CHECK_HR(t,
		 IHostMemoryControl_Subscribe((IHostMemoryControl *)control,
					      HM_ALL_EVENTS, add_up, &walk, &cookie),
		 S_OK);
	for (unsigned i = 1; i <= 3; i++)
		CHECK_HR(t,
			 IHostMemoryManager_VirtualAlloc(other, NULL, i * HM_PAGE,
							 HM_BOTH, PAGE_READWRITE,
							 eTaskCritical, &base),
			 S_OK);
	CHECK_HR(t,
		 IHostMemoryManager_AcquiredVirtualAddressSpace(
			 other, (void *)(uintptr_t)0x2000000000, HM_PAGE),
		 S_OK);
	CHECK_SIZE(t, walk.sum, 7 * HM_PAGE);
	(void)IHostMemoryControl_Release((IHostMemoryControl *)control);
	(void)IHostMemoryManager_Release(other);
	CHECK_SIZE(t, walk.sum, 0);
}

static const struct hm_case cases[] = {
	{ "random-walk", HM_DOCUMENTED, "HM header: the sum of events is the usage",
	  the_sum_of_events_is_the_usage, HM_NO_GROUP },
	{ "last-release", HM_DOCUMENTED,
	  "HM header: the last Release sends a free event for what is still charged",
	  the_last_release_gives_the_rest_back, HM_NO_GROUP },
};

const struct hm_area hm_area_events_sum = HM_AREA("events-sum", cases);
