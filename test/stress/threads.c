/*
 * Many threads on one host: what they do to common regions, to their own, to subscribers
 * and to mappings adds up, whatever the order.
 *
 * Bounded by numbers of rounds, not by time.  The thread sanitizer runs this, too.
 */
#include "test/stress/crowd.h"

#include "hostmem/metadata.h"
#include "hostmem/regions.h"

#include <sched.h>
#include <stdatomic.h>

enum {
	RELEASERS = 32,
	COMMON_PAGES = 300, /* of the region that all commit at once */
	OWN_REGIONS = 6,
	MAPPINGS = 8,
	LISTENERS = 3,
};

/* One host, and the sum of its events. */
struct stage {
	struct faces faces;
	char *base;
	uint64_t cookie;
	unsigned rounds;
	_Atomic size_t sum;
	_Atomic unsigned released, not_ours, frees, vetoes;
	_Atomic bool over;
	size_t in_use;
};

/* The last allocate event of this thread: a later attempt replaces it. */
static _Thread_local struct {
	uint64_t request;
	size_t size;
} last;

static BOOL HOSTMEM_CALL add_up(void *state, const HostMemEvent *event)
{
	struct stage *stage = state;

	switch (event->type) {
	case HostMemEventAllocate:
		if (event->attempt > 1 && event->request == last.request)
			atomic_fetch_sub(&stage->sum, last.size);
		last.request = event->request;
		last.size = event->size;
		atomic_fetch_add(&stage->sum, event->size);
		/* No, now and then. */
		if (event->request % 16 != 3 || event->operation == HostMemMapping)
			return TRUE;
		atomic_fetch_add(&stage->vetoes, 1);
		return FALSE;
	case HostMemEventFree:
		atomic_fetch_sub(&stage->sum, event->size);
		atomic_fetch_add(&stage->frees, 1);
		return TRUE;
	default:
		if (event->announced)
			atomic_fetch_sub(&stage->sum, last.size);
		return TRUE;
	}
}

static bool set_stage(struct stage *stage, unsigned rounds)
{
	memset(stage, 0, sizeof(*stage));
	stage->rounds = rounds;
	stage->in_use = hm_metadata_in_use();
	return CHECK_HR(faces_create(&stage->faces), S_OK) &&
	       CHECK_HR(IHostMemoryControl_Subscribe(stage->faces.control, 7, add_up,
						     stage, &stage->cookie),
			S_OK);
}

/* Nobody is at work: the books are true, and at the end empty. */
static void clear_stage(struct stage *stage)
{
	faces_check_account(&stage->faces);
	CHECK_SIZE(atomic_load(&stage->sum), faces_usage(&stage->faces).cbCharged);
	CHECK_STR(hm_regions_check(), NULL);
	if (stage->base != NULL)
		CHECK_HR(faces_free(&stage->faces, stage->base), S_OK);
	faces_check_empty(&stage->faces);
	CHECK_SIZE(faces_release(&stage->faces), 0);
	CHECK_SIZE(atomic_load(&stage->sum), 0);
	CHECK_SIZE(hm_metadata_in_use(), stage->in_use);
}

/* Written to as well, so that the system has something to do when it is released. */
static char *reserve_committed(struct stage *stage, size_t size)
{
	void *out;

	/* Vetoes are the subscriber's game, not this test's subject. */
	while (faces_alloc(&stage->faces, NULL, size, MEM_RESERVE | MEM_COMMIT,
			   PAGE_READWRITE, &out) == E_OUTOFMEMORY)
		;
	memset(out, 1, size);
	return out;
}

static void *release_the_same(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;

	for (unsigned round = 0; round < stage->rounds; round++) {
		HRESULT hr;

		if (self->number == 0)
			stage->base = reserve_committed(stage, 100 * PAGE);
		crowd_meet(self);
		hr = faces_free(&stage->faces, stage->base + self->number);
		if (hr == HOST_E_INVALIDOPERATION)
			atomic_fetch_add(&stage->not_ours, 1);
		else if (CHECK_HR(hr, S_OK))
			atomic_fetch_add(&stage->released, 1);
		crowd_meet(self);
	}
	return NULL;
}

static void one_of_32_releases_of_a_base_succeeds(void)
{
	struct stage stage;

	if (!set_stage(&stage, FACES_ROUNDS(1000, 100)))
		return;
	crowd_run(RELEASERS, release_the_same, &stage);
	CHECK_SIZE(atomic_load(&stage.released), stage.rounds);
	CHECK_SIZE(atomic_load(&stage.not_ours), stage.rounds * (RELEASERS - 1));
	CHECK_SIZE(atomic_load(&stage.frees), stage.rounds);
	stage.base = NULL;
	clear_stage(&stage);
}

static void *commit_the_same(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;

	crowd_meet(self);
	for (unsigned round = 0; round < stage->rounds; round++) {
		size_t first = crowd_draw(self, COMMON_PAGES);
		size_t size = (1 + crowd_draw(self, COMMON_PAGES - first)) * PAGE;
		char *from = stage->base + first * PAGE;
		HRESULT hr;

		switch (crowd_draw(self, 4)) {
		case 0:
			CHECK_HR(faces_decommit(&stage->faces, from, size), S_OK);
			break;
		case 1:
			hr = faces_protect(&stage->faces, from, PAGE,
					   crowd_draw(self, 2) ? PAGE_READONLY
							       : PAGE_READWRITE);
			if (hr != INVALID_ADDRESS)
				CHECK_HR(hr, S_OK);
			break;
		default:
			hr = faces_commit(&stage->faces, from, size);
			if (hr != E_OUTOFMEMORY)
				CHECK_HR(hr, S_OK);
		}
	}
	return NULL;
}

static void what_threads_commit_in_one_region_adds_up(void)
{
	struct stage stage;

	if (!set_stage(&stage, FACES_ROUNDS(50000, 6000)))
		return;
	stage.base = faces_reserve(&stage.faces, COMMON_PAGES * PAGE);
	crowd_run(8, commit_the_same, &stage);
	CHECK_SIZE(faces_usage(&stage.faces).cRefusedCallback,
		   atomic_load(&stage.vetoes));
	CHECK(atomic_load(&stage.vetoes) != 0);
	clear_stage(&stage);
}

/* A region of a thread's own, and what it has written on its first committed pages. */
struct own {
	char *base;
	size_t pages, committed;
	uint64_t stamp;
};

static void check_stamp(const struct own *own)
{
	for (size_t i = 0; i < own->committed; i++)
		CHECK_SIZE(*(uint64_t *)(void *)(own->base + i * PAGE), own->stamp);
}

static void grow(struct stage *stage, struct own *own, uint64_t stamp)
{
	HRESULT hr = faces_commit(&stage->faces, own->base, own->pages * PAGE);

	if (hr == E_OUTOFMEMORY)
		return;
	CHECK_HR(hr, S_OK);
	check_stamp(own);
	for (size_t i = own->committed; i < own->pages; i++)
		CHECK_SIZE(*(uint64_t *)(void *)(own->base + i * PAGE), 0);
	own->committed = own->pages;
	own->stamp = stamp;
	for (size_t i = 0; i < own->pages; i++)
		*(uint64_t *)(void *)(own->base + i * PAGE) = stamp;
}

static void shrink(struct stage *stage, struct own *own, size_t left)
{
	if (left >= own->committed)
		return;
	CHECK_HR(faces_decommit(&stage->faces, own->base + left * PAGE,
				(own->pages - left) * PAGE),
		 S_OK);
	own->committed = left;
	check_stamp(own);
}

/* Gives up the second half. */
static void halve(struct stage *stage, struct own *own)
{
	size_t left = own->pages / 2;

	if (left == 0)
		return;
	CHECK_HR(IHostMemoryPages_ReleaseRange(stage->faces.pages,
					       own->base + left * PAGE,
					       (own->pages - left) * PAGE),
		 S_OK);
	own->pages = left;
	own->committed = own->committed < left ? own->committed : left;
	check_stamp(own);
}

static void let_go(struct stage *stage, struct own *own)
{
	check_stamp(own);
	CHECK_HR(faces_free(&stage->faces, own->base), S_OK);
	*own = (struct own){ .base = NULL };
}

static void storm(struct crowd_member *self, struct own *own)
{
	struct stage *stage = self->state;
	MEMORY_BASIC_INFORMATION run;

	if (own->base == NULL) {
		own->pages = 1 + crowd_draw(self, 40);
		own->base = faces_reserve(&stage->faces, own->pages * PAGE);
		return;
	}
	switch (crowd_draw(self, 5)) {
	case 0:
	case 1:
		grow(stage, own, crowd_draw(self, UINT64_MAX) | 1);
		break;
	case 2:
		shrink(stage, own, crowd_draw(self, own->pages));
		break;
	case 3:
		halve(stage, own);
		break;
	default:
		let_go(stage, own);
		return;
	}
	CHECK_HR(faces_query(&stage->faces, own->base, &run), S_OK);
	CHECK_POINTER(run.AllocationBase, own->base);
	CHECK_SIZE(run.RegionSize,
		   (own->committed != 0 ? own->committed : own->pages) * PAGE);
}

static void *storm_alone(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;
	struct own own[OWN_REGIONS] = { { .base = NULL } };

	crowd_meet(self);
	for (unsigned round = 0; round < stage->rounds; round++)
		storm(self, &own[crowd_draw(self, OWN_REGIONS)]);
	for (size_t i = 0; i < OWN_REGIONS; i++) {
		if (own[i].base != NULL)
			let_go(stage, &own[i]);
	}
	return NULL;
}

static void threads_with_regions_of_their_own_do_not_disturb_each_other(void)
{
	struct stage stage;

	if (!set_stage(&stage, FACES_ROUNDS(40000, 6000)))
		return;
	crowd_run(4, storm_alone, &stage);
	faces_check_empty(&stage.faces);
	clear_stage(&stage);
}

/* Lives until Unsubscribe has returned, and not an instant longer. */
struct listener {
	_Atomic uint64_t calls;
	uint64_t magic;
};

#define MAGIC UINT64_C(0x4C49535445454E21)

static BOOL HOSTMEM_CALL listen(void *state, const HostMemEvent *event)
{
	struct listener *listener = state;

	(void)event;
	atomic_fetch_add(&listener->calls, 1);
	/* Long enough for an Unsubscribe that does not wait to come back meanwhile. */
	(void)sched_yield();
	CHECK_SIZE(listener->magic, MAGIC);
	return TRUE;
}

static void listen_once(struct crowd_member *self, struct stage *stage)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	IHostMemoryControl *control = stage->faces.control;
	uint64_t cookie;
	void *out;

	if (listener == NULL)
		abort();
	listener->magic = MAGIC;
	CHECK_HR(IHostMemoryControl_Subscribe(control, 7, listen, listener, &cookie),
		 S_OK);
	if (crowd_draw(self, 4) == 0 &&
	    SUCCEEDED(faces_alloc(&stage->faces, NULL, PAGE, MEM_RESERVE | MEM_COMMIT,
				  PAGE_READWRITE, &out))) {
		CHECK(atomic_load(&listener->calls) != 0);
		CHECK_HR(faces_free(&stage->faces, out), S_OK);
	}
	CHECK_HR(IHostMemoryControl_Unsubscribe(control, cookie), S_OK);
	CHECK_HR(IHostMemoryControl_Unsubscribe(control, cookie), E_INVALIDARG);
	listener->magic = 0;
	free(listener);
}

static void *listen_or_ask(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;
	void *out;

	crowd_meet(self);
	for (unsigned round = 0; self->number < LISTENERS && round < stage->rounds;
	     round++)
		listen_once(self, stage);
	if (self->number == 0)
		atomic_store(&stage->over, true);
	while (!atomic_load(&stage->over)) {
		if (SUCCEEDED(faces_alloc(&stage->faces, NULL, 2 * PAGE,
					  MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
					  &out)))
			CHECK_HR(faces_free(&stage->faces, out), S_OK);
	}
	return NULL;
}

static void no_callback_comes_after_unsubscribe_has_returned(void)
{
	struct stage stage;

	if (!set_stage(&stage, FACES_ROUNDS(20000, 2000)))
		return;
	crowd_run(LISTENERS + 2, listen_or_ask, &stage);
	clear_stage(&stage);
}

static char *mapping(size_t n)
{
	return (char *)UINT64_C(0x500000000) + n * PAGE;
}

static void *acquire_the_same(void *argument)
{
	struct crowd_member *self = argument;
	struct stage *stage = self->state;
	IHostMemoryManager *manager = stage->faces.manager;

	crowd_meet(self);
	for (unsigned round = 0; round < stage->rounds; round++) {
		size_t first = crowd_draw(self, MAPPINGS);
		size_t size = (1 + crowd_draw(self, MAPPINGS)) * PAGE;
		HRESULT hr;

		if (crowd_draw(self, 2) == 0) {
			CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(
					 manager, mapping(first), size),
				 S_OK);
			continue;
		}
		hr = IHostMemoryManager_ReleasedVirtualAddressSpace(manager,
								    mapping(first));
		if (hr != HOST_E_INVALIDOPERATION)
			CHECK_HR(hr, S_OK);
	}
	return NULL;
}

static void mappings_that_threads_acquire_at_once_add_up(void)
{
	struct stage stage;
	HostMemUsage usage;

	if (!set_stage(&stage, FACES_ROUNDS(50000, 6000)))
		return;
	crowd_run(4, acquire_the_same, &stage);
	usage = faces_usage(&stage.faces);
	CHECK_SIZE(usage.cbCharged, usage.cbExternal);
	CHECK_SIZE(atomic_load(&stage.sum), usage.cbExternal);
	/* At no time was there more than all of them. */
	CHECK(usage.cbPeakCharged <= 2 * MAPPINGS * PAGE);
	for (size_t i = 0; i < MAPPINGS; i++)
		(void)IHostMemoryManager_ReleasedVirtualAddressSpace(stage.faces.manager,
								     mapping(i));
	clear_stage(&stage);
}

int main(void)
{
	TAP_RUN(one_of_32_releases_of_a_base_succeeds);
	TAP_RUN(what_threads_commit_in_one_region_adds_up);
	TAP_RUN(threads_with_regions_of_their_own_do_not_disturb_each_other);
	TAP_RUN(no_callback_comes_after_unsubscribe_has_returned);
	TAP_RUN(mappings_that_threads_acquire_at_once_add_up);
	return tap_done();
}
