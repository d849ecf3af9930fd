/*
 * The end of a host, as its subscribers see it: what is told by the last Release, and
 * what becomes of a call in whose callback the host is shut down or let go.
 */
#include "recorder.h"

/* Looks at memory after its host is gone. */
static struct host witness;

static void refuse_all_changes(struct recorder *recorder, const HostMemEvent *event)
{
	void *out;

	(void)event;
	CHECK_HR(vm_alloc(recorder->host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(vm_release(recorder->host, recorder->events[0].address),
		 HOST_E_CLRNOTAVAILABLE);
	(void)host_usage(recorder->host);
}

static void the_last_release_tells_what_it_gives_back(void)
{
	void *const mapping = (void *)(uintptr_t)0x20000000;
	struct recorder recorder = { .then = refuse_all_changes };
	bool seen[3] = { false, false, false };
	struct host host, copy;
	void *regions[2];
	void *reserved;

	if (!host_create(&host, 0))
		return;
	copy = host;
	regions[0] = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	regions[1] = vm_new(&host, 4 * UNIT, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(vm_commit(&host, at(regions[1], UNIT), 3 * PAGE, PAGE_READONLY), S_OK);
	reserved = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(host.manager, mapping,
								0x5000),
		 S_OK);
	recorder_start(&recorder, &copy, ALL_BITS);
	host_destroy(&host);
	CHECK_SIZE(recorder.count, 3);
	for (size_t i = 0; i < recorder.count; i++) {
		const HostMemEvent *event = &recorder.events[i];

		tap_row("event %zu", i);
		CHECK_INT(event->type, HostMemEventFree);
		CHECK_INT(event->level, eTaskCritical);
		seen[0] |= event->address == regions[0] && event->size == UNIT &&
			   event->operation == HostMemRelease;
		seen[1] |= event->address == regions[1] && event->size == 3 * PAGE &&
			   event->operation == HostMemRelease;
		seen[2] |= event->address == mapping && event->size == 0x5000 &&
			   event->operation == HostMemMapping;
		for (size_t j = 0; j < i; j++)
			CHECK(event->request != recorder.events[j].request);
	}
	tap_row("%s", "");
	CHECK(seen[0] && seen[1] && seen[2]);
	CHECK_SIZE(recorder.events[recorder.count - 1].cbCharged, 0);
	CHECK_U32(vm_state(&witness, regions[0]), MEM_FREE);
	CHECK_U32(vm_state(&witness, regions[1]), MEM_FREE);
	CHECK_U32(vm_state(&witness, reserved), MEM_FREE);
}

static void leave(struct recorder *recorder, const HostMemEvent *event)
{
	(void)event;
	recorder_stop(recorder);
}

static void who_leaves_during_the_last_release_hears_no_more(void)
{
	struct recorder first = { .then = leave };
	struct recorder second = { .refuse = false };
	struct host host, copy;

	if (!host_create(&host, 0))
		return;
	copy = host;
	for (size_t i = 0; i < 3; i++)
		(void)vm_new(&host, PAGE, MEM_COMMIT, PAGE_READWRITE);
	recorder_start(&first, &copy, ALL_BITS);
	recorder_start(&second, &copy, ALL_BITS);
	host_destroy(&host);
	CHECK_SIZE(first.count, 1);
	CHECK_SIZE(second.count, 3);
}

static void the_sum_of_events_ends_at_zero(void)
{
	struct ledger ledger = { .sum = 0 };
	struct host host;

	if (!host_create(&host, 0))
		return;
	ledger_start(&ledger, &host);
	for (size_t i = 1; i <= 40; i++) {
		void *base = vm_new(&host, i * PAGE, i % 3 ? MEM_COMMIT : MEM_RESERVE,
				    PAGE_READWRITE);

		if (i % 4 == 0)
			CHECK_HR(IHostMemoryPages_ReleaseRange(host.pages, at(base, PAGE),
							       PAGE),
				 S_OK);
		CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(
				 host.manager, at(NULL, 0x20000000 + i * 0x1800), 0x2000),
			 S_OK);
	}
	CHECK(ledger.sum > 0);
	host_destroy(&host);
	CHECK(ledger.sum == 0);
}

/* ---- The host is let go or shut down inside a callback ---- */

/* What a callback does to the host when an event of a type comes, once. */
struct ending {
	struct host host;
	HostMemEventType when;
	bool shut_down; /* else the last reference goes */
	bool done;
	BOOL answer;
	struct ledger ledger;
	HostMemEvent last;
};

static BOOL HOSTMEM_CALL end_the_host(void *state, const HostMemEvent *event)
{
	struct ending *ending = (struct ending *)state;

	(void)ledger_event(&ending->ledger, event);
	ending->last = *event;
	if (ending->done || event->type != ending->when)
		return ending->answer;
	ending->done = true;
	if (ending->shut_down)
		CHECK_HR(IHostMemoryControl_Shutdown(ending->host.control), S_OK);
	else
		CHECK_U32(IHostMemoryManager_Release(ending->host.manager), 0);
	return ending->answer;
}

/* A host with 16 reserved pages; with one reference if it is to be let go. */
static void *ending_start(struct ending *ending)
{
	uint64_t cookie;
	void *base;

	if (!host_create(&ending->host, 0))
		return NULL;
	CHECK_HR(IHostMemoryControl_Subscribe(ending->host.control, ALL_BITS,
					      end_the_host, ending, &cookie),
		 S_OK);
	base = vm_new(&ending->host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	ending->answer = TRUE;
	if (!ending->shut_down) {
		IHostMemoryControl_Release(ending->host.control);
		IHostMemoryPages_Release(ending->host.pages);
	}
	return base;
}

static void a_request_in_whose_callback_shutdown_comes_is_abandoned(void)
{
	struct ending ending = { .when = HostMemEventAllocate, .shut_down = true };
	struct snapshot before;
	void *base = ending_start(&ending);
	void *out;

	snapshot_take(&before, &ending.host);
	CHECK_HR(vm_commit(&ending.host, base, 2 * PAGE, PAGE_READWRITE),
		 HOST_E_ABANDONED);
	CHECK_UNCHANGED(&before);
	CHECK_INT(ending.last.type, HostMemEventFailure);
	CHECK_INT(ending.last.reason, HostMemByShutdown);
	CHECK_HR(ending.last.result, HOST_E_ABANDONED);
	CHECK_INT(ending.last.announced, TRUE);
	CHECK(ending.ledger.sum == 0);
	CHECK_HR(vm_alloc(&ending.host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 HOST_E_CLRNOTAVAILABLE);
	host_destroy(&ending.host);
	CHECK(ending.ledger.sum == 0);
}

static void a_new_region_is_abandoned_as_well(void)
{
	struct ending ending = { .when = HostMemEventAllocate, .shut_down = true };
	struct snapshot before;
	void *out;

	(void)ending_start(&ending);
	snapshot_take(&before, &ending.host);
	CHECK_HR(vm_alloc(&ending.host, NULL, UNIT, MEM_RESERVE | MEM_COMMIT,
			  PAGE_READWRITE, &out),
		 HOST_E_ABANDONED);
	CHECK_UNCHANGED(&before);
	host_destroy(&ending.host);
}

/* What was done stays done. */
static void a_free_in_whose_callback_shutdown_comes_has_happened(void)
{
	struct ending ending = { .when = HostMemEventFree, .shut_down = true };
	void *base = ending_start(&ending);

	CHECK_HR(vm_commit(&ending.host, base, PAGE, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_release(&ending.host, base), S_OK);
	CHECK_U32(vm_state(&witness, base), MEM_FREE);
	CHECK(ending.done);
	CHECK_HR(vm_release(&ending.host, base), HOST_E_CLRNOTAVAILABLE);
	host_destroy(&ending.host);
	CHECK(ending.ledger.sum == 0);
}

static void a_request_in_whose_callback_the_host_is_let_go_is_abandoned(void)
{
	struct ending ending = { .when = HostMemEventAllocate };
	void *base = ending_start(&ending);
	void *out = POISON;

	CHECK_HR(IHostMemoryManager_VirtualAlloc(ending.host.manager, base, PAGE,
						 MEM_COMMIT, PAGE_READWRITE,
						 eTaskCritical, &out),
		 HOST_E_ABANDONED);
	CHECK_POINTER(out, NULL);
	CHECK(ending.done);
	CHECK(ending.ledger.sum == 0);
	CHECK_U32(vm_state(&witness, base), MEM_FREE);
}

static void a_free_in_whose_callback_the_host_is_let_go_has_happened(void)
{
	struct ending ending = { .when = HostMemEventFree };
	void *base = ending_start(&ending);
	void *other;

	other = vm_new(&ending.host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_commit(&ending.host, base, 4 * PAGE, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_free(&ending.host, base, PAGE, MEM_DECOMMIT), S_OK);
	CHECK(ending.done);
	/* The rest went with the host, and was told. */
	CHECK(ending.ledger.sum == 0);
	CHECK_U32(vm_state(&witness, base), MEM_FREE);
	CHECK_U32(vm_state(&witness, other), MEM_FREE);
}

static void a_refusal_in_whose_callback_the_host_is_let_go_stays_a_refusal(void)
{
	struct ending ending = { .when = HostMemEventFailure };
	void *base = ending_start(&ending);
	void *out = POISON;

	ending.answer = FALSE;
	CHECK_HR(IHostMemoryManager_VirtualAlloc(ending.host.manager, base, PAGE,
						 MEM_COMMIT, PAGE_READWRITE,
						 eTaskCritical, &out),
		 E_OUTOFMEMORY);
	CHECK_POINTER(out, NULL);
	CHECK(ending.done);
	CHECK_U32(vm_state(&witness, base), MEM_FREE);
}

int main(void)
{
	if (!host_create(&witness, 0))
		return 1;
	TAP_RUN(the_last_release_tells_what_it_gives_back);
	TAP_RUN(who_leaves_during_the_last_release_hears_no_more);
	TAP_RUN(the_sum_of_events_ends_at_zero);
	TAP_RUN(a_request_in_whose_callback_shutdown_comes_is_abandoned);
	TAP_RUN(a_new_region_is_abandoned_as_well);
	TAP_RUN(a_free_in_whose_callback_shutdown_comes_has_happened);
	TAP_RUN(a_request_in_whose_callback_the_host_is_let_go_is_abandoned);
	TAP_RUN(a_free_in_whose_callback_the_host_is_let_go_has_happened);
	TAP_RUN(a_refusal_in_whose_callback_the_host_is_let_go_stays_a_refusal);
	host_destroy(&witness);
	return tap_done();
}
