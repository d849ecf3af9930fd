/*
 * Events: which calls raise which, what they say, who hears them.
 */
#include "recorder.h"

static struct host host;

static void subscribe_checks_its_arguments(void)
{
	struct recorder recorder = { .host = &host };
	uint64_t cookie = POISON_SIZE;

	CHECK_HR(IHostMemoryControl_Subscribe(host.control, 7, NULL, NULL, &cookie),
		 E_POINTER);
	CHECK_SIZE(cookie, 0);
	CHECK_HR(IHostMemoryControl_Subscribe(host.control, 7, recorder_event, &recorder,
					      NULL),
		 E_POINTER);
	for (unsigned bit = 3; bit <= 32; bit++) {
		/* The last one is known, and no event. */
		DWORD mask = bit == 32   ? 0
			     : bit == 31 ? HOSTMEM_TIME_CALLBACK
					 : (DWORD)1 << bit | ALL_BITS;

		tap_row("mask 0x%x", mask);
		cookie = POISON_SIZE;
		CHECK_HR(IHostMemoryControl_Subscribe(host.control, mask, recorder_event,
						      &recorder, &cookie),
			 E_INVALIDARG);
		CHECK_SIZE(cookie, 0);
	}
	CHECK_HR(IHostMemoryControl_Unsubscribe(host.control, 0), E_INVALIDARG);
	CHECK_HR(IHostMemoryControl_Unsubscribe(host.control, UINT64_MAX), E_INVALIDARG);
	recorder_start(&recorder, &host, ALL_BITS);
	recorder_stop(&recorder);
	CHECK_HR(IHostMemoryControl_Unsubscribe(host.control, recorder.cookie),
		 E_INVALIDARG);
	CHECK_HR(vm_release(&host, vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE)),
		 S_OK);
	CHECK_SIZE(recorder.count, 0);
}

static void *watched;

static void state_is_reserved(struct recorder *recorder, const HostMemEvent *event)
{
	CHECK_U32(vm_state(recorder->host, watched), MEM_RESERVE);
	/* What is pending is not charged yet, what was freed not any more. */
	CHECK_SIZE(event->cbCharged, host_usage(recorder->host).cbCharged);
	CHECK_SIZE(event->cbCharged, 0);
}

static void allocations_are_told_before_and_frees_after(void)
{
	struct recorder recorder = { .then = state_is_reserved };
	const HostMemEvent *event = recorder.events;
	size_t peak = host_usage(&host).cbPeakCharged;
	void *page;

	watched = vm_new(&host, UNIT, MEM_RESERVE, PAGE_NOACCESS);
	recorder_start(&recorder, &host, ALL_BITS);
	CHECK_HR(vm_alloc_at_level(&host, at(watched, PAGE + 5), PAGE, MEM_COMMIT,
				   PAGE_READWRITE, eAppDomainCritical, &page),
		 S_OK);
	CHECK_SIZE(recorder.count, 1);
	CHECK_EVENT(&event[0], HostMemEventAllocate, HostMemCommit, 2 * PAGE);
	CHECK_INT(event[0].level, eAppDomainCritical);
	CHECK_INT(event[0].reason, HostMemNoReason);
	CHECK_HR(event[0].result, S_OK);
	CHECK_U32(event[0].attempt, 1);
	CHECK_POINTER(event[0].address, at(watched, PAGE));
	CHECK_SIZE(event[0].cbLimit, SIZE_MAX);
	CHECK_SIZE(event[0].cbPeak, peak);
	watched = at(watched, PAGE);
	CHECK_HR(vm_free(&host, watched, 2 * PAGE, MEM_DECOMMIT), S_OK);
	CHECK_SIZE(recorder.count, 2);
	CHECK_EVENT(&event[1], HostMemEventFree, HostMemDecommit, 2 * PAGE);
	CHECK_INT(event[1].level, eTaskCritical);
	CHECK_INT(event[1].reason, HostMemNoReason);
	CHECK_POINTER(event[1].address, watched);
	CHECK(event[1].request != event[0].request);
	recorder_stop(&recorder);
	CHECK_HR(vm_release(&host, at(watched, 0 - PAGE)), S_OK);
}

/* One region of 16 pages, step by step. */
enum step { RESERVE, COMMIT, DECOMMIT, PROTECT, RESET, RELEASE, RANGE };

static HRESULT take(enum step step, void **base, size_t page, size_t pages)
{
	DWORD old;
	void *out;

	switch (step) {
	case RESERVE:
		return vm_alloc(&host, NULL, pages * PAGE, MEM_RESERVE, PAGE_READWRITE,
				base);
	case COMMIT:
		return vm_commit(&host, at(*base, page * PAGE), pages * PAGE,
				 PAGE_READWRITE);
	case DECOMMIT:
		return vm_free(&host, at(*base, page * PAGE), pages * PAGE, MEM_DECOMMIT);
	case PROTECT:
		return vm_protect(&host, at(*base, page * PAGE), pages * PAGE,
				  PAGE_READONLY, &old);
	case RESET:
		return vm_alloc(&host, at(*base, page * PAGE), pages * PAGE, MEM_RESET,
				PAGE_READWRITE, &out);
	case RANGE:
		return IHostMemoryPages_ReleaseRange(host.pages, at(*base, page * PAGE),
						     pages * PAGE);
	default:
		return vm_release(&host, at(*base, page * PAGE));
	}
}

static void a_call_tells_what_it_charges_or_refunds(void)
{
	static const struct {
		enum step step;
		size_t page, pages;
		size_t told; /* pages in the one event; 0: no event */
		HostMemEventType type;
		HostMemOperation operation;
	} rows[] = {
		{ RESERVE, 0, 16, 0, 0, 0 },
		{ COMMIT, 0, 4, 4, HostMemEventAllocate, HostMemCommit },
		{ COMMIT, 0, 4, 0, 0, 0 }, /* again */
		{ COMMIT, 2, 4, 2, HostMemEventAllocate, HostMemCommit },
		{ PROTECT, 0, 6, 0, 0, 0 },
		{ RESET, 0, 16, 0, 0, 0 },
		{ DECOMMIT, 8, 4, 0, 0, 0 }, /* never committed */
		{ DECOMMIT, 1, 1, 1, HostMemEventFree, HostMemDecommit },
		{ DECOMMIT, 0, 4, 3, HostMemEventFree, HostMemDecommit },
		{ COMMIT, 0, 16, 14, HostMemEventAllocate, HostMemCommit },
		{ RANGE, 14, 2, 2, HostMemEventFree, HostMemRelease },
		{ DECOMMIT, 0, 0, 14, HostMemEventFree, HostMemDecommit },
		{ RANGE, 13, 1, 0, 0, 0 },
		{ COMMIT, 3, 1, 1, HostMemEventAllocate, HostMemCommit },
		{ RELEASE, 0, 0, 1, HostMemEventFree, HostMemRelease },
		{ RESERVE, 0, 16, 0, 0, 0 },
		{ RELEASE, 0, 0, 0, 0, 0 },
	};
	struct recorder recorder = { .refuse = false };
	void *base = NULL;

	recorder_start(&recorder, &host, ALL_BITS);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("step %zu", i);
		recorder_clear(&recorder);
		CHECK_HR(take(rows[i].step, &base, rows[i].page, rows[i].pages), S_OK);
		CHECK_SIZE(recorder.count, rows[i].told != 0);
		if (rows[i].told == 0 || recorder.count != 1)
			continue;
		CHECK_EVENT(&recorder.events[0], rows[i].type, rows[i].operation,
			    rows[i].told * PAGE);
		CHECK_POINTER(recorder.events[0].address, at(base, rows[i].page * PAGE));
	}
	recorder_stop(&recorder);
}

static void reserve_and_commit_in_one_call_is_one_commit(void)
{
	static const DWORD types[] = { MEM_RESERVE | MEM_COMMIT, MEM_COMMIT,
				       MEM_RESERVE | MEM_COMMIT | MEM_TOP_DOWN };
	struct recorder recorder = { .refuse = false };
	void *hole = host_hole(&host, UNIT);
	void *base;

	recorder_start(&recorder, &host, ALL_BITS);
	for (size_t i = 0; i < ROWS(types); i++) {
		tap_row("type 0x%x", types[i]);
		recorder_clear(&recorder);
		base = vm_new(&host, 3 * PAGE + 1, types[i], PAGE_READWRITE);
		CHECK_SIZE(recorder.count, 1);
		CHECK_EVENT(&recorder.events[0], HostMemEventAllocate, HostMemCommit,
			    4 * PAGE);
		CHECK_POINTER(recorder.events[0].address, NULL);
		CHECK_HR(vm_release(&host, at(base, 5)), S_OK);
		CHECK_SIZE(recorder.count, 2);
		CHECK_EVENT(&recorder.events[1], HostMemEventFree, HostMemRelease,
			    4 * PAGE);
		CHECK_POINTER(recorder.events[1].address, base);
	}
	tap_row("at an address, and aligned");
	recorder_clear(&recorder);
	CHECK_HR(vm_alloc(&host, at(hole, 5), PAGE, MEM_RESERVE | MEM_COMMIT,
			  PAGE_READWRITE, &base),
		 S_OK);
	CHECK_EVENT(&recorder.events[0], HostMemEventAllocate, HostMemCommit, 2 * PAGE);
	CHECK_POINTER(recorder.events[0].address, base);
	CHECK_HR(vm_release(&host, base), S_OK);
	recorder_clear(&recorder);
	CHECK_HR(IHostMemoryPages_ReserveAligned(host.pages, PAGE, 4 * UNIT,
						 MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
						 eProcessCritical, &base),
		 S_OK);
	CHECK_SIZE(recorder.count, 1);
	CHECK_EVENT(&recorder.events[0], HostMemEventAllocate, HostMemCommit, PAGE);
	CHECK_INT(recorder.events[0].level, eProcessCritical);
	CHECK_HR(vm_release(&host, base), S_OK);
	recorder_stop(&recorder);
}

static void bad_arguments_raise_no_event(void)
{
	struct recorder recorder = { .refuse = false };
	void *base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	void *out;

	recorder_start(&recorder, &host, ALL_BITS);
	CHECK_HR(vm_alloc(&host, NULL, 0, MEM_COMMIT, PAGE_READWRITE, &out),
		 E_INVALIDARG);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, 0, PAGE_READWRITE, &out), E_INVALIDARG);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, 0, &out), E_INVALIDARG);
	CHECK_HR(vm_commit(&host, base, UNIT + 1, PAGE_READWRITE), HR_INVALID_ADDRESS);
	CHECK_HR(vm_alloc(&host, base, PAGE, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
			  &out),
		 HR_INVALID_ADDRESS);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_RESERVE | MEM_WRITE_WATCH,
			  PAGE_READWRITE, &out),
		 HR_NOT_SUPPORTED);
	CHECK_HR(vm_free(&host, base, 1, MEM_RELEASE), E_INVALIDARG);
	CHECK_HR(vm_release(&host, NULL), HOST_E_INVALIDOPERATION);
	CHECK_HR(vm_free(&host, base, UNIT + 1, MEM_DECOMMIT), E_INVALIDARG);
	CHECK_HR(IHostMemoryManager_ReleasedVirtualAddressSpace(host.manager, base),
		 HOST_E_INVALIDOPERATION);
	CHECK_SIZE(recorder.count, 0);
	recorder_stop(&recorder);
	CHECK_HR(vm_release(&host, base), S_OK);
}

/* Commit, decommit, a refused commit: one event of each type. */
static void a_subscriber_hears_what_its_mask_names(void)
{
	for (DWORD mask = 1; mask <= ALL_BITS; mask++) {
		struct recorder recorder = { .refuse = false };
		struct recorder refuser = { .refuse = false };
		void *base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);
		size_t want = 0;

		tap_row("mask %u", mask);
		recorder_start(&recorder, &host, mask);
		recorder_start(&refuser, &host, ALLOCATE_BIT);
		CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READWRITE), S_OK);
		CHECK_HR(vm_free(&host, base, PAGE, MEM_DECOMMIT), S_OK);
		refuser.refuse = true;
		CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READWRITE), E_OUTOFMEMORY);
		for (size_t i = 0; i < recorder.count; i++)
			CHECK((mask >> recorder.events[i].type & 1) != 0);
		want = (mask & ALLOCATE_BIT ? 2U : 0U) + (mask & FREE_BIT ? 1U : 0U) +
		       (mask & FAILURE_BIT ? 1U : 0U);
		CHECK_SIZE(recorder.count, want);
		if (mask & FAILURE_BIT)
			CHECK_INT(recorder.events[want - 1].announced,
				  (mask & ALLOCATE_BIT) != 0);
		CHECK_SIZE(refuser.count, 2);
		recorder_stop(&recorder);
		recorder_stop(&refuser);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
}

static void subscribers_are_asked_in_order_of_registration(void)
{
	struct recorder recorders[5] = { { .refuse = false } };
	void *base;

	for (size_t i = 0; i < ROWS(recorders); i++)
		recorder_start(&recorders[i], &host, ALL_BITS);
	/* One in the middle leaves, and comes again: at the end. */
	recorder_stop(&recorders[1]);
	recorder_start(&recorders[1], &host, ALL_BITS);
	base = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, base), S_OK);
	for (size_t event = 0; event < 2; event++) {
		static const size_t order[] = { 0, 2, 3, 4, 1 };

		for (size_t i = 0; i + 1 < ROWS(order); i++) {
			const struct recorder *a = &recorders[order[i]];
			const struct recorder *b = &recorders[order[i + 1]];

			tap_row("event %zu, place %zu", event, i);
			CHECK_SIZE(a->count, 2);
			CHECK_SIZE(b->order[event], a->order[event] + 1);
			CHECK_SIZE(a->events[event].request, b->events[event].request);
		}
	}
	for (size_t i = 0; i < ROWS(recorders); i++)
		recorder_stop(&recorders[i]);
}

static void every_request_has_a_number_of_its_own(void)
{
	struct recorder recorder = { .refuse = false };
	void *base;

	recorder_start(&recorder, &host, ALL_BITS);
	for (size_t i = 0; i < RECORDS / 4; i++) {
		base = vm_new(&host, 2 * PAGE, MEM_COMMIT, PAGE_READWRITE);
		CHECK_HR(vm_free(&host, base, PAGE, MEM_DECOMMIT), S_OK);
		CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READWRITE), S_OK);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
	CHECK_SIZE(recorder.count, RECORDS);
	for (size_t i = 0; i < recorder.count; i++) {
		for (size_t j = 0; j < i; j++)
			CHECK(recorder.events[i].request != recorder.events[j].request);
	}
	recorder_stop(&recorder);
}

static void the_level_of_the_request_is_told(void)
{
	struct recorder recorder = { .refuse = false };

	recorder_start(&recorder, &host, ALL_BITS);
	for (int level = eTaskCritical; level <= eProcessCritical; level++) {
		void *base;

		tap_row("level %d", level);
		recorder_clear(&recorder);
		CHECK_HR(vm_alloc_at_level(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE,
					   (EMemoryCriticalLevel)level, &base),
			 S_OK);
		CHECK_INT(recorder.events[0].level, level);
		CHECK_HR(vm_release(&host, base), S_OK);
		CHECK_INT(recorder.events[1].level, eTaskCritical);
	}
	recorder_stop(&recorder);
}

enum { CROWD = 10000 };

static size_t crowd_next;

static BOOL HOSTMEM_CALL called_in_turn(void *state, const HostMemEvent *event)
{
	(void)event;
	CHECK_SIZE(*(const size_t *)state, crowd_next);
	crowd_next++;
	return TRUE;
}

static void ten_thousand_subscribers_are_called_in_turn(void)
{
	static size_t places[CROWD];
	static uint64_t cookies[CROWD];
	void *base;

	for (size_t i = 0; i < CROWD; i++) {
		places[i] = i;
		CHECK_HR(IHostMemoryControl_Subscribe(host.control, ALL_BITS,
						      called_in_turn, &places[i],
						      &cookies[i]),
			 S_OK);
	}
	crowd_next = 0;
	base = vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_SIZE(crowd_next, CROWD);
	crowd_next = 0;
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_SIZE(crowd_next, CROWD);
	for (size_t i = CROWD; i-- > 0;)
		CHECK_HR(IHostMemoryControl_Unsubscribe(host.control, cookies[i]), S_OK);
	crowd_next = 0;
	CHECK_HR(vm_release(&host, vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE)),
		 S_OK);
	CHECK_SIZE(crowd_next, 0);
}

int main(void)
{
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(subscribe_checks_its_arguments);
	TAP_RUN(allocations_are_told_before_and_frees_after);
	TAP_RUN(a_call_tells_what_it_charges_or_refunds);
	TAP_RUN(reserve_and_commit_in_one_call_is_one_commit);
	TAP_RUN(bad_arguments_raise_no_event);
	TAP_RUN(a_subscriber_hears_what_its_mask_names);
	TAP_RUN(subscribers_are_asked_in_order_of_registration);
	TAP_RUN(every_request_has_a_number_of_its_own);
	TAP_RUN(the_level_of_the_request_is_told);
	TAP_RUN(ten_thousand_subscribers_are_called_in_turn);
	host_destroy(&host);
	return tap_done();
}
