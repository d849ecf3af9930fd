/*
 * Refusals: by a subscriber and by the system; who is told, and that the sum of events
 * is the usage whatever happens.
 */
#include "maps.h"
#include "recorder.h"

#include <pthread.h>

static struct host host;

static void a_veto_fails_the_request_and_changes_nothing(void)
{
	static const struct {
		const char *what;
		bool reserved; /* pages of a region, or a new region */
		DWORD type;
		size_t size;
	} rows[] = {
		{ "commit", true, MEM_COMMIT, PAGE },
		{ "commit over committed pages", true, MEM_COMMIT, 4 * PAGE },
		{ "reserve and commit", false, MEM_RESERVE | MEM_COMMIT, 3 * PAGE },
		{ "commit at NULL", false, MEM_COMMIT, 3 * PAGE },
	};
	struct recorder recorder = { .refuse = true };
	const HostMemEvent *event = recorder.events;
	unsigned char *base = (unsigned char *)vm_new(&host, UNIT, MEM_RESERVE,
						      PAGE_READWRITE);
	uint64_t refused = host_usage(&host).cRefusedCallback;
	struct snapshot before;

	CHECK_HR(vm_commit(&host, base + PAGE, PAGE, PAGE_READONLY), S_OK);
	recorder_start(&recorder, &host, ALL_BITS);
	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		void *out;

		tap_row("%s", rows[i].what);
		recorder_clear(&recorder);
		CHECK_HR(vm_alloc_at_level(&host, rows[i].reserved ? base : NULL,
					   rows[i].size, rows[i].type, PAGE_READWRITE,
					   eProcessCritical, &out),
			 E_OUTOFMEMORY);
		CHECK_UNCHANGED(&before);
		CHECK_SIZE(host_usage(&host).cRefusedCallback, ++refused);
		CHECK_SIZE(recorder.count, 2);
		CHECK_INT(event[0].type, HostMemEventAllocate);
		CHECK_EVENT(&event[1], HostMemEventFailure, HostMemCommit, event[0].size);
		CHECK_INT(event[1].level, eProcessCritical);
		CHECK_INT(event[1].reason, HostMemByCallback);
		CHECK_HR(event[1].result, E_OUTOFMEMORY);
		CHECK(event[1].announced);
		CHECK_U32(event[1].attempt, 1);
		CHECK_SIZE(event[1].request, event[0].request);
		CHECK_SIZE(event[1].cbCharged, before.usage.cbCharged);
	}
	recorder_stop(&recorder);
	CHECK_HR(vm_release(&host, base), S_OK);
}

static void no_answer_counts_but_that_to_an_allocate_event(void)
{
	struct recorder recorder = { .refuse = true };
	void *base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);

	recorder_start(&recorder, &host, FREE_BIT | FAILURE_BIT);
	CHECK_HR(vm_free(&host, base, PAGE, MEM_DECOMMIT), S_OK);
	CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_SIZE(recorder.count, 2);
	recorder_stop(&recorder);
}

static void an_answer_is_not_remembered(void)
{
	struct recorder recorder = { .refuse = true };
	void *base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	void *other;

	recorder_start(&recorder, &host, ALL_BITS);
	CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READWRITE), E_OUTOFMEMORY);
	recorder.refuse = false;
	CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READWRITE), S_OK);
	recorder.refuse = true;
	/* Nothing to charge, nobody to ask. */
	CHECK_HR(vm_commit(&host, base, PAGE, PAGE_READONLY), S_OK);
	other = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	recorder_stop(&recorder);
	CHECK_HR(vm_release(&host, other), S_OK);
	CHECK_HR(vm_release(&host, base), S_OK);
}

/* Six subscribers; the third says no. */
static void a_veto_is_told_to_those_who_were_asked(void)
{
	static const struct {
		const char *what;
		DWORD mask;
		bool refuses;
		size_t allocates, failures;
		BOOL announced;
	} rows[] = {
		{ "asked", ALL_BITS, false, 1, 1, TRUE },
		{ "failures only", FAILURE_BIT, false, 0, 1, FALSE },
		{ "the refuser", ALL_BITS, true, 1, 1, TRUE },
		{ "not asked any more", ALL_BITS, false, 0, 0, FALSE },
		{ "failures only, behind", FAILURE_BIT, false, 0, 1, FALSE },
		{ "asked no more, hears no failures", ALLOCATE_BIT, true, 0, 0, FALSE },
	};
	struct recorder recorders[ROWS(rows)] = { { .refuse = false } };
	void *out;

	for (size_t i = 0; i < ROWS(rows); i++) {
		recorders[i].refuse = rows[i].refuses;
		recorder_start(&recorders[i], &host, rows[i].mask);
	}
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct recorder *recorder = &recorders[i];
		size_t last = recorder->count != 0 ? recorder->count - 1 : 0;
		const HostMemEvent *event = &recorder->events[last];

		tap_row("%s", rows[i].what);
		CHECK_SIZE(recorder->count, rows[i].allocates + rows[i].failures);
		if (rows[i].failures != 0 && recorder->count != 0) {
			CHECK_EVENT(event, HostMemEventFailure, HostMemCommit, PAGE);
			CHECK_INT(event->reason, HostMemByCallback);
			CHECK_INT(event->announced, rows[i].announced);
		}
		recorder_stop(&recorders[i]);
	}
}

/* More than any machine has: the subscribers agree, the system does not. */
static void a_refusal_of_the_system_is_told_to_all_who_hear_failures(void)
{
	const size_t size = 0x7FFFFFFE0000;
	struct recorder all = { .refuse = false };
	struct recorder failures = { .refuse = false };
	struct recorder allocations = { .refuse = false };
	uint64_t failed = host_usage(&host).cFailedOs;
	struct snapshot before;
	void *out;

	recorder_start(&all, &host, ALL_BITS);
	recorder_start(&failures, &host, FAILURE_BIT);
	recorder_start(&allocations, &host, ALLOCATE_BIT);
	snapshot_take(&before, &host);
	CHECK_HR(vm_alloc(&host, NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
			  &out),
		 E_OUTOFMEMORY);
	CHECK_UNCHANGED(&before);
	CHECK_SIZE(host_usage(&host).cFailedOs, failed + 1);
	CHECK_SIZE(all.count, 2);
	CHECK_EVENT(&all.events[0], HostMemEventAllocate, HostMemCommit, size);
	CHECK_EVENT(&all.events[1], HostMemEventFailure, HostMemCommit, size);
	CHECK_INT(all.events[1].reason, HostMemBySystem);
	CHECK_HR(all.events[1].result, E_OUTOFMEMORY);
	CHECK_INT(all.events[1].announced, TRUE);
	CHECK_SIZE(all.events[1].request, all.events[0].request);
	CHECK_SIZE(failures.count, 1);
	CHECK_INT(failures.events[0].announced, FALSE);
	CHECK_SIZE(allocations.count, 1);
	recorder_stop(&all);
	recorder_stop(&failures);
	recorder_stop(&allocations);
}

static void a_bare_reservation_that_fails_is_told_without_having_been_announced(void)
{
	struct recorder recorder = { .refuse = true };
	void *out;

	recorder_start(&recorder, &host, ALL_BITS);
	CHECK_HR(vm_alloc(&host, NULL, 0x7FFFFFFE0000, MEM_RESERVE, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	CHECK_SIZE(recorder.count, 1);
	CHECK_INT(recorder.events[0].type, HostMemEventFailure);
	CHECK_INT(recorder.events[0].operation, HostMemReserve);
	CHECK_INT(recorder.events[0].reason, HostMemBySystem);
	CHECK_HR(recorder.events[0].result, E_OUTOFMEMORY);
	CHECK_INT(recorder.events[0].announced, FALSE);
	recorder_stop(&recorder);
}

/* Where only the system knows that something is there. */
static void a_conflict_found_late_takes_the_announcement_back(void)
{
	unsigned char *alone = pages_alone(32, PROT_READ);
	struct ledger ledger = { .sum = 0 };
	struct recorder recorder = { .refuse = false };
	void *out;

	recorder_start(&recorder, &host, ALL_BITS);
	ledger_start(&ledger, &host);
	CHECK_HR(vm_alloc(&host, alone + 16 * PAGE, PAGE, MEM_RESERVE | MEM_COMMIT,
			  PAGE_READWRITE, &out),
		 HR_INVALID_ADDRESS);
	CHECK(ledger.sum == 0);
	if (recorder.count != 0) {
		CHECK_SIZE(recorder.count, 2);
		CHECK_INT(recorder.events[0].type, HostMemEventAllocate);
		CHECK_INT(recorder.events[1].type, HostMemEventFailure);
		CHECK_HR(recorder.events[1].result, HR_INVALID_ADDRESS);
		CHECK_INT(recorder.events[1].announced, TRUE);
	}
	CHECK_HR(IHostMemoryControl_Unsubscribe(host.control, ledger.cookie), S_OK);
	recorder_stop(&recorder);
	CHECK(munmap(alone, 32 * PAGE) == 0);
}

static void mappings_are_told_and_the_answer_is_not_asked_for(void)
{
	void *const start = (void *)(uintptr_t)0x20000000;
	struct recorder recorder = { .refuse = true };
	struct recorder second = { .refuse = false };
	const HostMemEvent *event = recorder.events;

	recorder_start(&recorder, &host, ALL_BITS);
	recorder_start(&second, &host, ALL_BITS);
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(host.manager, start,
								0x3000),
		 S_OK);
	CHECK_SIZE(recorder.count, 1);
	CHECK_EVENT(&event[0], HostMemEventAllocate, HostMemMapping, 0x3000);
	CHECK_POINTER(event[0].address, start);
	CHECK_SIZE(host_usage(&host).cbExternal, 0x3000);
	CHECK_HR(IHostMemoryManager_ReleasedVirtualAddressSpace(host.manager, start),
		 S_OK);
	CHECK_SIZE(recorder.count, 2);
	CHECK_EVENT(&event[1], HostMemEventFree, HostMemMapping, 0x3000);
	CHECK_POINTER(event[1].address, start);
	CHECK_INT(event[1].level, eTaskCritical);
	/* Nor does a no keep it from those who come after. */
	CHECK_SIZE(second.count, 2);
	recorder_stop(&second);
	recorder_clear(&recorder);
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(host.manager, start, 0),
		 S_OK);
	CHECK_SIZE(recorder.count, 0);
	recorder_stop(&recorder);
}

/* ---- Random operations: the sum of events is what is charged ---- */

enum { SLOTS = 8, SLOT_PAGES = 16 };

struct worker {
	uint64_t random;
	void *slots[SLOTS];
	size_t number;
	unsigned steps;
};

static size_t draw(struct worker *worker, size_t below)
{
	worker->random = worker->random * 6364136223846793005 + 1442695040888963407;
	return (size_t)(worker->random >> 33) % below;
}

static void random_step(struct worker *worker)
{
	void **slot = &worker->slots[draw(worker, SLOTS)];
	size_t page = draw(worker, SLOT_PAGES);
	size_t pages = 1 + draw(worker, SLOT_PAGES - page);
	void *mapping = at(NULL, 0x20000000 + worker->number * 0x1000000 +
					 draw(worker, 64) * PAGE);

	switch (draw(worker, 8)) {
	case 0:
	case 1:
		if (*slot == NULL)
			vm_alloc(&host, NULL, SLOT_PAGES * PAGE,
				 draw(worker, 2) ? MEM_RESERVE : MEM_COMMIT,
				 PAGE_READWRITE, slot);
		break;
	case 2:
	case 3:
		vm_commit(&host, at(*slot, page * PAGE), pages * PAGE, PAGE_READWRITE);
		break;
	case 4:
		vm_free(&host, at(*slot, page * PAGE), pages * PAGE, MEM_DECOMMIT);
		break;
	case 5:
		if (*slot != NULL && vm_release(&host, *slot) == S_OK)
			*slot = NULL;
		break;
	case 6:
		IHostMemoryManager_AcquiredVirtualAddressSpace(host.manager, mapping,
							       draw(worker, 8) * PAGE);
		break;
	default:
		IHostMemoryManager_ReleasedVirtualAddressSpace(host.manager, mapping);
		break;
	}
}

static void empty_slots(struct worker *worker)
{
	for (size_t i = 0; i < SLOTS; i++) {
		if (worker->slots[i] != NULL)
			CHECK_HR(vm_release(&host, worker->slots[i]), S_OK);
	}
	for (size_t page = 0; page < 64; page++)
		IHostMemoryManager_ReleasedVirtualAddressSpace(
			host.manager,
			at(NULL, 0x20000000 + worker->number * 0x1000000 + page * PAGE));
}

static void the_sum_of_events_is_the_usage_after_every_operation(void)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct worker worker = { .random = seed };
		struct ledger ledger = { .sum = (int64_t)host_usage(&host).cbCharged };

		ledger_start(&ledger, &host);
		atomic_store(&ledger.refuse_every,
			     (unsigned)(seed % 4 == 0 ? 0 : 1 + seed));
		for (size_t step = 0; step < 2000; step++) {
			tap_row("seed %u, step %zu", (unsigned)seed, step);
			random_step(&worker);
			if (!CHECK_SIZE((size_t)ledger.sum, host_usage(&host).cbCharged))
				break;
		}
		empty_slots(&worker);
		CHECK_SIZE((size_t)ledger.sum, host_usage(&host).cbCharged);
		CHECK_HR(IHostMemoryControl_Unsubscribe(host.control, ledger.cookie),
			 S_OK);
	}
}

static void *work(void *state)
{
	struct worker *worker = (struct worker *)state;

	for (unsigned step = 0; step < worker->steps; step++)
		random_step(worker);
	return NULL;
}

/* All threads work in the same regions. */
static void the_sum_of_events_is_the_usage_when_threads_meet(void)
{
	struct ledger ledger = { .sum = (int64_t)host_usage(&host).cbCharged };
	struct worker workers[4];
	pthread_t threads[ROWS(workers)];
	void *shared = vm_new(&host, SLOT_PAGES * PAGE, MEM_RESERVE, PAGE_READWRITE);

	ledger_start(&ledger, &host);
	atomic_store(&ledger.refuse_every, 7);
	for (size_t i = 0; i < ROWS(workers); i++) {
		workers[i] = (struct worker){ .random = i, .number = i, .steps = 5000 };
		for (size_t slot = 0; slot < SLOTS; slot++)
			workers[i].slots[slot] = shared;
		CHECK(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
	}
	for (size_t i = 0; i < ROWS(workers); i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK_SIZE((size_t)ledger.sum, host_usage(&host).cbCharged);
	CHECK_HR(IHostMemoryControl_Unsubscribe(host.control, ledger.cookie), S_OK);
}

int main(void)
{
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(a_veto_fails_the_request_and_changes_nothing);
	TAP_RUN(no_answer_counts_but_that_to_an_allocate_event);
	TAP_RUN(an_answer_is_not_remembered);
	TAP_RUN(a_veto_is_told_to_those_who_were_asked);
	TAP_RUN(a_refusal_of_the_system_is_told_to_all_who_hear_failures);
	TAP_RUN(a_bare_reservation_that_fails_is_told_without_having_been_announced);
	TAP_RUN(a_conflict_found_late_takes_the_announcement_back);
	TAP_RUN(mappings_are_told_and_the_answer_is_not_asked_for);
	TAP_RUN(the_sum_of_events_is_the_usage_after_every_operation);
	TAP_RUN(the_sum_of_events_is_the_usage_when_threads_meet);
	host_destroy(&host);
	return tap_done();
}
