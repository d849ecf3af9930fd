/*
 * HOSTMEM_CHARGE_RESERVE: address space is what is charged, told and refused, and a commit
 * is free.
 */
#include "budget.h"
#include "recorder.h"

enum { LIMIT = 64 }; /* pages */

static struct host host;

static bool start(size_t limit)
{
	HostMemBudget budget = budget_of(limit);

	budget.dwFlags = HOSTMEM_CHARGE_RESERVE;
	return host_create_budget(&host, &budget);
}

#define CHECK_PAGES(reserved, committed) \
	check_pages((reserved), (committed), __FILE__, __LINE__)

/* In pages; what is reserved is what is charged. */
static void check_pages(size_t reserved, size_t committed, const char *file, int line)
{
	HostMemUsage usage = host_usage(&host);

	tap_check_unsigned(usage.cbReserved, reserved * PAGE, "cbReserved", file, line);
	tap_check_unsigned(usage.cbCommitted, committed * PAGE, "cbCommitted", file,
			   line);
	tap_check_unsigned(usage.cbCharged, reserved * PAGE, "cbCharged", file, line);
}

enum step { RESERVE, BOTH, COMMIT, DECOMMIT, PROTECT, RANGE, RELEASE };

/* On the one region; `page` and `pages` are those of the call. */
static HRESULT play(enum step step, void **base, size_t page, size_t pages)
{
	void *from = at(*base, page * PAGE);
	size_t size = pages * PAGE;
	DWORD old;

	switch (step) {
	case RESERVE:
		return vm_alloc(&host, NULL, size, MEM_RESERVE, PAGE_NOACCESS, base);
	case BOTH:
		return vm_alloc(&host, NULL, size, MEM_RESERVE | MEM_COMMIT,
				PAGE_READWRITE, base);
	case COMMIT:
		return vm_commit(&host, from, size, PAGE_READWRITE);
	case DECOMMIT:
		return vm_free(&host, from, size, MEM_DECOMMIT);
	case PROTECT:
		return vm_protect(&host, from, size, PAGE_READONLY, &old);
	case RANGE:
		return IHostMemoryPages_ReleaseRange(host.pages, from, size);
	default:
		return vm_release(&host, *base);
	}
}

static void address_space_is_charged_and_told_and_a_commit_is_free(void)
{
	static const struct {
		enum step step;
		size_t page, pages;
		size_t told; /* pages in the one event; 0: no event */
		HostMemEventType type;
		HostMemOperation operation;
		size_t reserved, committed; /* afterwards */
	} rows[] = {
		{ RESERVE, 0, 16, 16, HostMemEventAllocate, HostMemReserve, 16, 0 },
		{ COMMIT, 0, 4, 0, 0, 0, 16, 4 },
		{ COMMIT, 0, 16, 0, 0, 0, 16, 16 },
		{ PROTECT, 0, 2, 0, 0, 0, 16, 16 },
		{ DECOMMIT, 2, 5, 0, 0, 0, 16, 11 },
		{ DECOMMIT, 0, 0, 0, 0, 0, 16, 0 },
		{ COMMIT, 6, 4, 0, 0, 0, 16, 4 },
		{ RANGE, 14, 2, 2, HostMemEventFree, HostMemRelease, 14, 4 },
		{ RANGE, 9, 2, 2, HostMemEventFree, HostMemRelease, 12, 3 },
		{ RANGE, 11, 3, 3, HostMemEventFree, HostMemRelease, 9, 3 },
		{ RELEASE, 0, 0, 9, HostMemEventFree, HostMemRelease, 0, 0 },
		{ BOTH, 0, 8, 8, HostMemEventAllocate, HostMemCommit, 8, 8 },
		{ DECOMMIT, 0, 8, 0, 0, 0, 8, 0 },
		{ COMMIT, 0, 8, 0, 0, 0, 8, 8 },
		{ RELEASE, 0, 0, 8, HostMemEventFree, HostMemRelease, 0, 0 },
	};
	struct recorder recorder = { .refuse = false };
	void *base = NULL;

	if (!start(SIZE_MAX))
		return;
	recorder_start(&recorder, &host, ALL_BITS);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("step %zu", i);
		recorder_clear(&recorder);
		CHECK_HR(play(rows[i].step, &base, rows[i].page, rows[i].pages), S_OK);
		CHECK_PAGES(rows[i].reserved, rows[i].committed);
		CHECK_SIZE(recorder.count, rows[i].told != 0);
		if (rows[i].told != 0 && recorder.count == 1)
			CHECK_EVENT(&recorder.events[0], rows[i].type, rows[i].operation,
				    rows[i].told * PAGE);
	}
	CHECK_SIZE(host_usage(&host).cbPeakCharged, 16 * PAGE);
	recorder_stop(&recorder);
	host_destroy(&host);
}

/* Also by those who cannot say so: at an address, aligned, from the top. */
static void every_way_to_reserve_is_charged(void)
{
	void *bases[5], *hole;

	if (!start(LIMIT * PAGE))
		return;
	hole = host_hole(&host, UNIT);
	bases[0] = vm_new(&host, 1, MEM_RESERVE, PAGE_NOACCESS);
	CHECK_PAGES(1, 0);
	CHECK_HR(vm_alloc(&host, at(hole, PAGE + 1), PAGE, MEM_RESERVE, PAGE_NOACCESS,
			  &bases[1]),
		 HR_INVALID_ADDRESS);
	CHECK_HR(vm_release(&host, bases[0]), S_OK);
	CHECK_HR(vm_alloc(&host, at(hole, PAGE + 1), PAGE, MEM_RESERVE, PAGE_NOACCESS,
			  &bases[0]),
		 S_OK);
	CHECK_PAGES(3, 0);
	bases[1] = vm_new(&host, 4 * PAGE, MEM_RESERVE | MEM_TOP_DOWN, PAGE_NOACCESS);
	bases[2] = vm_new(&host, 5 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(IHostMemoryPages_ReserveAligned(host.pages, 6 * PAGE, 4 * UNIT,
						 MEM_RESERVE, PAGE_NOACCESS,
						 eTaskCritical, &bases[3]),
		 S_OK);
	CHECK_HR(IHostMemoryPages_ReserveAligned(host.pages, 7 * PAGE, 4 * UNIT,
						 MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
						 eTaskCritical, &bases[4]),
		 S_OK);
	CHECK_PAGES(25, 12);
	for (size_t i = 0; i < ROWS(bases); i++)
		CHECK_HR(vm_release(&host, bases[i]), S_OK);
	CHECK_PAGES(0, 0);
	host_destroy(&host);
}

static void a_reservation_is_refused_at_the_limit_and_a_commit_never(void)
{
	struct recorder recorder = { .refuse = false };
	struct snapshot before;
	void *base, *out;

	if (!start(LIMIT * PAGE))
		return;
	base = vm_new(&host, (LIMIT - 1) * PAGE, MEM_RESERVE, PAGE_NOACCESS);
	recorder_start(&recorder, &host, ALL_BITS);
	snapshot_take(&before, &host);
	for (DWORD type = MEM_COMMIT; type <= (MEM_RESERVE | MEM_COMMIT);
	     type += MEM_COMMIT) {
		tap_row("type 0x%x", type);
		recorder_clear(&recorder);
		CHECK_HR(vm_alloc_at_level(&host, NULL, 2 * PAGE, type, PAGE_READWRITE,
					   eProcessCritical, &out),
			 E_OUTOFMEMORY);
		CHECK_UNCHANGED(&before);
		CHECK_SIZE(recorder.count, 1);
		CHECK_EVENT(&recorder.events[0], HostMemEventFailure,
			    type == MEM_RESERVE ? HostMemReserve : HostMemCommit,
			    2 * PAGE);
		CHECK_INT(recorder.events[0].reason, HostMemByBudget);
	}
	CHECK_SIZE(host_usage(&host).cRefusedBudget, 3);
	out = vm_new(&host, PAGE, MEM_RESERVE, PAGE_NOACCESS);
	recorder_clear(&recorder);
	CHECK_HR(vm_commit(&host, base, (LIMIT - 1) * PAGE, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_commit(&host, out, PAGE, PAGE_READWRITE), S_OK);
	CHECK_SIZE(recorder.count, 0);
	CHECK_PAGES(LIMIT, LIMIT);
	/* What a commit gives back cannot be had elsewhere. */
	CHECK_HR(vm_free(&host, base, 0, MEM_DECOMMIT), S_OK);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_RESERVE, PAGE_NOACCESS, &out),
		 E_OUTOFMEMORY);
	CHECK_HR(IHostMemoryPages_ReleaseRange(host.pages, base, PAGE), S_OK);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_RESERVE, PAGE_NOACCESS, &out), S_OK);
	recorder_stop(&recorder);
	host_destroy(&host);
}

static void a_subscriber_may_refuse_a_reservation(void)
{
	struct recorder recorder = { .refuse = true };
	struct snapshot before;
	void *base, *out;

	if (!start(SIZE_MAX))
		return;
	base = vm_new(&host, 4 * PAGE, MEM_RESERVE, PAGE_NOACCESS);
	recorder_start(&recorder, &host, ALL_BITS);
	snapshot_take(&before, &host);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_RESERVE, PAGE_NOACCESS, &out),
		 E_OUTOFMEMORY);
	CHECK_UNCHANGED(&before);
	CHECK_SIZE(recorder.count, 2);
	CHECK_EVENT(&recorder.events[0], HostMemEventAllocate, HostMemReserve, PAGE);
	CHECK_EVENT(&recorder.events[1], HostMemEventFailure, HostMemReserve, PAGE);
	CHECK_INT(recorder.events[1].reason, HostMemByCallback);
	/* It is not asked about a commit. */
	CHECK_HR(vm_commit(&host, base, 4 * PAGE, PAGE_READWRITE), S_OK);
	CHECK_SIZE(recorder.count, 2);
	recorder_stop(&recorder);
	host_destroy(&host);
}

/* Levels count for reservations as elsewhere for commits. */
static void levels_are_those_of_reservations(void)
{
	HostMemBudget budget = budget_of(12 * PAGE);
	static const size_t most[LEVELS] = { 4, 8, 12 };

	budget.dwFlags = HOSTMEM_CHARGE_RESERVE;
	budget.cbHeadroom[eTaskCritical] = 8 * PAGE;
	budget.cbHeadroom[eAppDomainCritical] = 4 * PAGE;
	if (!host_create_budget(&host, &budget))
		return;
	for (size_t i = 0; i < LEVELS; i++) {
		EMemoryCriticalLevel level = (EMemoryCriticalLevel)i;
		void *base;

		tap_row("level %zu", i);
		CHECK_HR(vm_alloc_at_level(&host, NULL, (most[i] + 1) * PAGE, MEM_RESERVE,
					   PAGE_NOACCESS, level, &base),
			 E_OUTOFMEMORY);
		CHECK_HR(vm_alloc_at_level(&host, NULL, most[i] * PAGE, MEM_RESERVE,
					   PAGE_NOACCESS, level, &base),
			 S_OK);
		CHECK_HR(vm_commit_pages(&host, base, most[i], eTaskCritical), S_OK);
		CHECK_HR(vm_release(&host, base), S_OK);
	}
	host_destroy(&host);
}

/* What is kept for reuse is charged to nobody, and once when it is handed out again. */
static void what_is_kept_for_reuse_is_charged_once(void)
{
	HostMemBudget budget = budget_of(20 * PAGE);
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	budget.dwFlags = HOSTMEM_CHARGE_RESERVE;
	config.dwFlags = HOSTMEM_MONITOR_OFF;
	config.budget = &budget;
	config.cbRetain = 16 * UNIT;
	if (!host_create_with(&host, &config))
		return;
	for (unsigned i = 0; i < 4; i++) {
		void *base = vm_new(&host, 16 * PAGE, MEM_RESERVE | MEM_COMMIT,
				    PAGE_READWRITE);

		tap_row("round %u", i);
		CHECK_PAGES(16, 16);
		CHECK_HR(vm_release(&host, base), S_OK);
		CHECK_PAGES(0, 0);
	}
	host_destroy(&host);
}

static void the_last_release_tells_of_what_is_still_charged(void)
{
	struct recorder recorder = { .refuse = false };
	void *base;

	if (!start(SIZE_MAX))
		return;
	base = vm_new(&host, 7 * PAGE, MEM_RESERVE, PAGE_NOACCESS);
	CHECK_HR(vm_commit(&host, base, 2 * PAGE, PAGE_READWRITE), S_OK);
	(void)vm_new(&host, 3 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	recorder_start(&recorder, &host, ALL_BITS);
	host_destroy(&host);
	CHECK_SIZE(recorder.count, 2);
	CHECK_SIZE(recorder.events[0].size + recorder.events[1].size, 10 * PAGE);
	CHECK_SIZE(recorder.events[1].cbCharged, 0);
}

int main(void)
{
	TAP_RUN(address_space_is_charged_and_told_and_a_commit_is_free);
	TAP_RUN(every_way_to_reserve_is_charged);
	TAP_RUN(a_reservation_is_refused_at_the_limit_and_a_commit_never);
	TAP_RUN(a_subscriber_may_refuse_a_reservation);
	TAP_RUN(levels_are_those_of_reservations);
	TAP_RUN(what_is_kept_for_reuse_is_charged_once);
	TAP_RUN(the_last_release_tells_of_what_is_still_charged);
	return tap_done();
}
