/*
 * Cases about events: which call raises which, with what in it.
 *
 * A call that charges or refunds nothing raises no event, and bad arguments raise none at all.
 * So an event always stands for bytes, and its absence for none.
 */
#include "areas.h"
#include "control.h"

/* ---- Subscribing ---- */

static BOOL HOSTMEM_CALL agree(void *state, const HostMemEvent *event)
{
	(void)event;
	++*(unsigned *)state;
	return TRUE;
}

static void bad_subscriptions_are_refused(struct hm_trial *t)
{
	static const DWORD masks[] = { 0, 8, 0x10, 0x40000000, 0x80000000, 0xFFFFFFFF };
	IHostMemoryControl *control = hm_control(t);
	unsigned calls = 0;
	uint64_t cookie;

	if (control == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(masks); i++) {
		hm_row(t, "mask 0x%x", (unsigned)masks[i]);
		cookie = 0x5A5A5A5A;
		CHECK_REFUSED(t,
			      IHostMemoryControl_Subscribe(control, masks[i], agree,
							   &calls, &cookie),
			      E_INVALIDARG);
		CHECK_SIZE(t, cookie, 0);
	}
	hm_row(t, "no callback");
	cookie = 0x5A5A5A5A;
	CHECK_REFUSED(t, IHostMemoryControl_Subscribe(control, 7, NULL, &calls, &cookie),
		      E_POINTER);
	CHECK_SIZE(t, cookie, 0);
	hm_row(t, "no cookie");
	CHECK_REFUSED(t, IHostMemoryControl_Subscribe(control, 7, agree, &calls, NULL),
		      E_POINTER);
	hm_row(t, "nobody has subscribed");
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, calls, 0);
}

static void unknown_cookies_are_refused(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder recorder = { .refuse = false };

	if (control == NULL)
		return;
	CHECK_REFUSED(t, IHostMemoryControl_Unsubscribe(control, 0), E_INVALIDARG);
	CHECK_REFUSED(t, IHostMemoryControl_Unsubscribe(control, 1), E_INVALIDARG);
	if (!hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	CHECK_REFUSED(t, IHostMemoryControl_Unsubscribe(control, recorder.cookie + 1),
		      E_INVALIDARG);
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, recorder.count, 1);
	hm_unsubscribe(&recorder);
	hm_row(t, "a second time");
	CHECK_REFUSED(t, IHostMemoryControl_Unsubscribe(control, recorder.cookie),
		      E_INVALIDARG);
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, recorder.count, 1);
}

static void a_mask_chooses_the_types(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);

	for (DWORD mask = 1; control != NULL && mask <= HM_ALL_EVENTS; mask++) {
		struct hm_recorder recorder = { .refuse = false };
		unsigned allocations = (mask & HM_ALLOCATE) != 0;
		unsigned frees = (mask & HM_FREE) != 0;
		unsigned failures = (mask & HM_FAILURE_BIT) != 0;
		void *base;

		hm_row(t, "mask %u", (unsigned)mask);
		if (!hm_subscribe(&recorder, t, control, mask))
			return;
		base = hm_grant(t, 1, eTaskCritical, S_OK);
		CHECK_SIZE(t, recorder.count, allocations);
		if (base != NULL)
			(void)hm_give(t, base);
		CHECK_SIZE(t, recorder.count, allocations + frees);
		(void)hm_limit(t, control, 0);
		(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
		(void)hm_limit(t, control, SIZE_MAX);
		CHECK_SIZE(t, recorder.count, allocations + frees + failures);
		hm_unsubscribe(&recorder);
	}
}

/* ---- Which call raises which ---- */

enum call { RESERVE, COMMIT, DECOMMIT, PROTECT, RELEASE, ACQUIRE, UNMAP };

struct row {
	const char *name;
	enum call call;
	size_t page, pages;
	size_t told; /* pages in the one event; 0: there is none */
	HostMemEventType type;
	HostMemOperation operation;
};

static const struct row rows[] = {
	{ "reserve", RESERVE, 0, 16, 0, 0, 0 },
	{ "commit", COMMIT, 2, 3, 3, HostMemEventAllocate, HostMemCommit },
	{ "commit again", COMMIT, 2, 3, 0, 0, 0 },
	{ "commit, a part again", COMMIT, 1, 5, 2, HostMemEventAllocate, HostMemCommit },
	{ "protect", PROTECT, 1, 5, 0, 0, 0 },
	{ "decommit", DECOMMIT, 2, 1, 1, HostMemEventFree, HostMemDecommit },
	{ "decommit again", DECOMMIT, 2, 1, 0, 0, 0 },
	{ "decommit, a part again", DECOMMIT, 0, 4, 2, HostMemEventFree,
	  HostMemDecommit },
	{ "release", RELEASE, 0, 0, 2, HostMemEventFree, HostMemRelease },
	{ "reserve anew", RESERVE, 0, 16, 0, 0, 0 },
	{ "release what was never committed", RELEASE, 0, 0, 0, 0, 0 },
	{ "a mapping", ACQUIRE, 0, 4, 4, HostMemEventAllocate, HostMemMapping },
	{ "a mapping that is gone", UNMAP, 0, 0, 4, HostMemEventFree, HostMemMapping },
	{ "a mapping of no size", ACQUIRE, 0, 0, 0, 0, 0 },
};

static void make_call(struct hm_trial *t, const struct row *row, void **base)
{
	void *at = hm_at(*base, row->page * HM_PAGE);
	size_t size = row->pages * HM_PAGE;

	switch (row->call) {
	case RESERVE:
		*base = hm_take(t, NULL, size, MEM_RESERVE, PAGE_READWRITE);
		break;
	case COMMIT:
		(void)hm_commit(t, at, size, PAGE_READWRITE);
		break;
	case DECOMMIT:
		(void)hm_decommit(t, at, size);
		break;
	case PROTECT:
		(void)hm_protect(t, at, size, PAGE_READONLY, PAGE_READWRITE);
		break;
	case RELEASE:
		(void)hm_give(t, *base);
		break;
	case ACQUIRE:
		CHECK_HR(t,
			 IHostMemoryManager_AcquiredVirtualAddressSpace(t->memory,
									HM_MAPPING, size),
			 S_OK);
		break;
	case UNMAP:
		CHECK_HR(t,
			 IHostMemoryManager_ReleasedVirtualAddressSpace(t->memory,
									HM_MAPPING),
			 S_OK);
		break;
	}
}

static void each_call_raises_what_it_charges(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder recorder = { .refuse = false };
	void *base = NULL;

	if (control == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		unsigned before = recorder.count;

		hm_row(t, "%s", rows[i].name);
		make_call(t, &rows[i], &base);
		CHECK_SIZE(t, recorder.count - before, rows[i].told != 0);
		if (recorder.count == before)
			continue;
		CHECK_EVENT(t, hm_event(&recorder, before), rows[i].type,
			    rows[i].operation, rows[i].told * HM_PAGE);
		CHECK_SIZE(t, hm_event(&recorder, before)->attempt,
			   rows[i].type == HostMemEventAllocate);
		CHECK(t, !hm_event(&recorder, before)->announced);
		CHECK_SIZE(t, hm_event(&recorder, before)->cbWithdrawn, 0);
	}
	hm_unsubscribe(&recorder);
}

static void heaps_tell_of_pages(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	IHostMalloc *heap = control != NULL ? hm_heap(t) : NULL;
	struct hm_recorder recorder = { .refuse = false };
	void *block = NULL;
	size_t charged;
	const HostMemEvent *event;

	if (heap == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	charged = hm_usage(t, control).cbCharged;
	CHECK_HR(t, IHostMalloc_Alloc(heap, 64 * HM_PAGE, eAppDomainCritical, &block),
		 S_OK);
	CHECK(t, recorder.count >= 1);
	event = hm_event(&recorder, 0);
	CHECK_EVENT(t, event, HostMemEventAllocate, HostMemHeap,
		    hm_usage(t, control).cbCharged - charged);
	CHECK(t, event->size >= 64 * HM_PAGE && event->size % HM_PAGE == 0);
	CHECK_SIZE(t, event->level, eAppDomainCritical);
	CHECK_HR(t, IHostMalloc_Free(heap, block), S_OK);
	(void)IHostMalloc_Release(heap);
	event = hm_event(&recorder, recorder.count - 1);
	CHECK_SIZE(t, event->type, HostMemEventFree);
	CHECK_SIZE(t, event->operation, HostMemHeap);
	CHECK_SIZE(t, event->level, eTaskCritical);
	hm_unsubscribe(&recorder);
}

static void an_event_tells_of_its_request(struct hm_trial *t)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder recorder = { .refuse = false };
	void *first, *second;
	const HostMemEvent *event = &recorder.events[0];

	if (control == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	budget.cbLimit = 8 * HM_PAGE;
	(void)hm_set_budget(t, control, &budget);
	first = hm_grant(t, 2, eAppDomainCritical, S_OK);
	CHECK_SIZE(t, event[0].level, eAppDomainCritical);
	CHECK_SIZE(t, event[0].cbCharged, 0);
	CHECK_SIZE(t, event[0].cbPeak, 0);
	CHECK_SIZE(t, event[0].cbLimit, 8 * HM_PAGE);
	second = hm_grant(t, 3, eProcessCritical, S_OK);
	CHECK_SIZE(t, event[1].level, eProcessCritical);
	CHECK_SIZE(t, event[1].cbCharged, 2 * HM_PAGE);
	CHECK_SIZE(t, event[1].cbPeak, 2 * HM_PAGE);
	CHECK(t, event[1].request != event[0].request);
	if (first == NULL || second == NULL)
		return;
	hm_row(t, "a free");
	(void)hm_give(t, second);
	CHECK_SIZE(t, event[2].level, eTaskCritical);
	CHECK_SIZE(t, event[2].cbCharged, 2 * HM_PAGE);
	CHECK_SIZE(t, event[2].cbPeak, 5 * HM_PAGE);
	CHECK_POINTER(t, event[2].address, second);
	CHECK(t, event[2].request != event[0].request &&
			 event[2].request != event[1].request);
	hm_row(t, "a commit where the pages are known");
	(void)hm_decommit(t, first, 2 * HM_PAGE);
	(void)hm_commit(t, hm_at(first, HM_PAGE), HM_PAGE, PAGE_READWRITE);
	CHECK_POINTER(t, event[3].address, first);
	CHECK_POINTER(t, event[4].address, hm_at(first, HM_PAGE));
	hm_unsubscribe(&recorder);
}

static void bad_arguments_raise_none(struct hm_trial *t)
{
	static int not_the_hosts;
	IHostMemoryControl *control = hm_control(t);
	void *base = control != NULL ? hm_grant(t, 16, eTaskCritical, S_OK) : NULL;
	struct hm_recorder recorder = { .refuse = false };

	if (base == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	(void)hm_refused_alloc(t, NULL, 0, HM_BOTH, PAGE_READWRITE, eTaskCritical,
			       E_INVALIDARG);
	(void)hm_refused_alloc(t, NULL, HM_PAGE, HM_BOTH, 0, eTaskCritical, E_INVALIDARG);
	(void)hm_refused_alloc(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE,
			       (EMemoryCriticalLevel)3, E_INVALIDARG);
	(void)hm_refused_alloc(t, base, HM_PAGE, MEM_RESERVE, PAGE_READWRITE,
			       eTaskCritical, HM_INVALID_ADDRESS);
	(void)hm_refused_alloc(t, hm_at(base, 15 * HM_PAGE), 2 * HM_PAGE, MEM_COMMIT,
			       PAGE_READWRITE, eTaskCritical, HM_INVALID_ADDRESS);
	(void)hm_refused_free(t, base, HM_PAGE, MEM_RELEASE, E_INVALIDARG);
	(void)hm_refused_free(t, base, 17 * HM_PAGE, MEM_DECOMMIT, E_INVALIDARG);
	(void)hm_refused_free(t, hm_at(base, HM_PAGE), 0, MEM_RELEASE,
			      HM_INVALID_ADDRESS);
	(void)hm_refused_free(t, &not_the_hosts, 0, MEM_RELEASE, HOST_E_INVALIDOPERATION);
	(void)hm_refused_protect(t, base, 17 * HM_PAGE, PAGE_READONLY,
				 HM_INVALID_ADDRESS);
	CHECK_SIZE(t, recorder.count, 0);
	hm_unsubscribe(&recorder);
}

static void other_hosts_are_not_heard(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	IHostMemoryManager *other = control != NULL ? hm_another_host(t) : NULL;
	struct hm_recorder recorder = { .refuse = true };
	void *base = NULL;

	if (other == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	CHECK_HR(t,
		 IHostMemoryManager_VirtualAlloc(other, NULL, HM_PAGE, HM_BOTH,
						 PAGE_READWRITE, eTaskCritical, &base),
		 S_OK);
	CHECK_HR(t, IHostMemoryManager_VirtualFree(other, base, 0, MEM_RELEASE), S_OK);
	CHECK_SIZE(t, recorder.count, 0);
	hm_unsubscribe(&recorder);
	(void)IHostMemoryManager_Release(other);
}

static const struct hm_case cases[] = {
	{ "bad-subscriptions", HM_DOCUMENTED, "HM header: Subscribe, Errors",
	  bad_subscriptions_are_refused, HM_DOCUMENTED },
	{ "unknown-cookies", HM_DOCUMENTED, "HM header: Unsubscribe, Errors",
	  unknown_cookies_are_refused, HM_DOCUMENTED },
	{ "masks", HM_DOCUMENTED, "HM header: Subscribe, eventMask",
	  a_mask_chooses_the_types, HM_NO_GROUP },
	{ "each-call", HM_DOCUMENTED, "HM header: HostMemEvent, HostMemOperation",
	  each_call_raises_what_it_charges, HM_NO_GROUP },
	{ "heaps", HM_DOCUMENTED, "HM header: HostMemHeap", heaps_tell_of_pages,
	  HM_NO_GROUP },
	{ "fields", HM_DOCUMENTED, "HM header: HostMemEvent",
	  an_event_tells_of_its_request, HM_NO_GROUP },
	{ "bad-arguments", HM_DOCUMENTED,
	  "HM header: HostMemEvent, bad arguments raise none", bad_arguments_raise_none,
	  HM_DOCUMENTED },
	{ "other-hosts", HM_DOCUMENTED, "HM header: HostMemCreate, several hosts",
	  other_hosts_are_not_heard, HM_NO_GROUP },
};

const struct hm_area hm_area_events = HM_AREA("events", cases);
