/*
 * Budgets: what SetBudget and GetBudget take and tell, and what is granted and refused at
 * each level, to the page.
 */
#include "budget.h"
#include "recorder.h"

#define MOST SIZE_MAX
#define ANY \
	{ \
		MOST, MOST, MOST \
	}
#define WHOLE .cbSize = sizeof(HostMemBudget)

static const struct {
	const char *what;
	HostMemBudget budget;
	HRESULT want;
} rows[] = {
	{ "no limits", HOSTMEM_BUDGET_INIT, S_OK },
	{ "limit 0", { WHOLE, .cbLargest = ANY }, S_OK },
	{ "all 0", { WHOLE }, S_OK },
	{ "announce always", { WHOLE, .dwFlags = HOSTMEM_ANNOUNCE_ALWAYS }, S_OK },
	{ "flag 4", { WHOLE, .dwFlags = 4 }, E_INVALIDARG },
	{ "flag 31", { WHOLE, .dwFlags = 0x80000000 }, E_INVALIDARG },
	{ "all flags", { WHOLE, .dwFlags = UINT32_MAX }, E_INVALIDARG },
	{ "headroom is all of it",
	  { WHOLE, .cbLimit = 5, .cbHeadroom = { 5, 5, 5 } },
	  S_OK },
	{ "headroom above the limit",
	  { WHOLE, .cbLimit = 5, .cbHeadroom = { 6, 5, 5 } },
	  E_INVALIDARG },
	{ "headroom beside limit 0", { WHOLE, .cbHeadroom = { 1, 0, 0 } }, E_INVALIDARG },
	{ "headroom rises to domain",
	  { WHOLE, .cbLimit = 9, .cbHeadroom = { 1, 2, 0 } },
	  E_INVALIDARG },
	{ "headroom rises to process",
	  { WHOLE, .cbLimit = 9, .cbHeadroom = { 2, 1, 2 } },
	  E_INVALIDARG },
	{ "headroom of everything", { WHOLE, .cbLimit = MOST, .cbHeadroom = ANY }, S_OK },
	{ "limit and headroom overflow",
	  { WHOLE, .cbLimit = MOST - 1, .cbHeadroom = { MOST, 2, 2 } },
	  E_INVALIDARG },
	{ "largest falls to domain", { WHOLE, .cbLargest = { 2, 1, 3 } }, E_INVALIDARG },
	{ "largest falls to process",
	  { WHOLE, .cbLargest = { 1, MOST, 2 } },
	  E_INVALIDARG },
	{ "largest grows", { WHOLE, .cbLargest = { 0, 1, MOST } }, S_OK },
	{ "soft limit above the limit", { WHOLE, .cbLimit = 1, .cbSoftLimit = 2 }, S_OK },
	{ "waits", { WHOLE, .msWait = { UINT32_MAX, 0, 1 } }, S_OK },
};

static HRESULT create(const HostMemBudget *budget)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	void *object = POISON;
	HRESULT hr;

	config.dwFlags = HOSTMEM_MONITOR_OFF;
	config.budget = budget;
	hr = HostMemCreate(&config, &IID_IHostMemoryControl, &object);
	CHECK((object == NULL) == FAILED(hr));
	if (object == NULL)
		return hr;
	CHECK_BUDGET((&(struct host){ .control = (IHostMemoryControl *)object }), budget);
	CHECK_U32(IUnknown_Release((IUnknown *)object), 0);
	return hr;
}

static void a_budget_is_checked_at_creation_and_later(void)
{
	const HostMemBudget first = { WHOLE, .cbLimit = 77, .cbHeadroom = { 3, 2, 1 },
				      .cbLargest = { 4, 5, 6 }, .msWait = { 0, 7, 0 } };
	struct snapshot before;
	struct host host;

	if (!host_create_budget(&host, &first))
		return;
	snapshot_take(&before, &host);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].what);
		CHECK_HR(create(&rows[i].budget), rows[i].want);
		CHECK_HR(budget_set(&host, &first), S_OK);
		CHECK_HR(budget_set(&host, &rows[i].budget), rows[i].want);
		CHECK_BUDGET(&host, rows[i].want == S_OK ? &rows[i].budget : &first);
	}
	CHECK_UNCHANGED(&before);
	host_destroy(&host);
}

/* What an older record lacks is no limit, whatever lies there. */
static void a_budget_may_end_with_any_field(void)
{
	static const size_t ends[] = { 8, 16, 24, 48, 72, 84, sizeof(HostMemBudget) };
	HostMemBudget given = { WHOLE,
				.cbLimit = 77,
				.cbSoftLimit = 66,
				.cbHeadroom = { 3, 2, 1 },
				.cbLargest = { 4, 5, 6 },
				.msWait = { 8, 7, 9 } };
	size_t next = 0;
	struct host host;

	if (!host_create(&host, 0))
		return;
	for (uint32_t size = 0; size < 2 * sizeof(given); size++) {
		bool ends_here = next < ROWS(ends) && ends[next] == size;
		HostMemBudget want = HOSTMEM_BUDGET_INIT, before = budget_get(&host);

		tap_row("cbSize %u", size);
		given.cbSize = size;
		CHECK_HR(budget_set(&host, &given), ends_here ? S_OK : E_INVALIDARG);
		memcpy(&want, &given, ends_here ? size : 0);
		want.cbSize = sizeof(want);
		CHECK_BUDGET(&host, ends_here ? &want : &before);
		next += ends_here;
	}
	CHECK_SIZE(next, ROWS(ends));
	given.cbSize = UINT32_MAX;
	CHECK_HR(budget_set(&host, &given), E_INVALIDARG);
	host_destroy(&host);
}

static void get_budget_fills_as_much_as_there_is_room_for(void)
{
	HostMemBudget want = budget_of(77);
	struct host host;

	if (!host_create_budget(&host, &want))
		return;
	for (uint32_t size = 0; size < 2 * sizeof(want); size++) {
		unsigned char room[3 * sizeof(want)];
		bool good = size >= 16 && size % 8 == 0;
		uint32_t filled = size < sizeof(want) ? size : sizeof(want);
		HostMemBudget *budget = (HostMemBudget *)(void *)room;

		tap_row("cbSize %u", size);
		memset(room, POISON_BYTE, sizeof(room));
		memcpy(room, &size, sizeof(size));
		CHECK_HR(IHostMemoryControl_GetBudget(host.control, budget),
			 good ? S_OK : E_INVALIDARG);
		want.cbSize = good ? filled : size;
		CHECK_INT(memcmp(room, &want, good ? filled : 4), 0);
		for (size_t i = good ? filled : 4; i < sizeof(room); i++)
			CHECK_U32(room[i], POISON_BYTE);
	}
	host_destroy(&host);
}

static void pointer_then_state_then_arguments(void)
{
	const HostMemBudget good = HOSTMEM_BUDGET_INIT, bad = { .cbSize = 0 };
	HostMemBudget out = { .cbSize = 1 };
	struct host host;

	if (!host_create(&host, 0))
		return;
	for (unsigned down = 0; down < 2; down++) {
		HRESULT gone = HOST_E_CLRNOTAVAILABLE;

		tap_row("down: %u", down);
		CHECK_HR(budget_set(&host, NULL), E_POINTER);
		CHECK_HR(budget_set(&host, &bad), down ? gone : E_INVALIDARG);
		CHECK_HR(budget_set(&host, &good), down ? gone : S_OK);
		CHECK_HR(IHostMemoryControl_GetBudget(host.control, NULL), E_POINTER);
		CHECK_HR(IHostMemoryControl_GetBudget(host.control, &out),
			 down ? gone : E_INVALIDARG);
		CHECK_HR(IHostMemoryControl_Shutdown(host.control), down ? gone : S_OK);
	}
	host_destroy(&host);
}

static void the_way_of_charging_is_fixed_at_creation(void)
{
	for (uint32_t mode = 0; mode < 2; mode++) {
		HostMemBudget budget = budget_of(MOST), first;
		struct host host;

		tap_row("mode %u", mode);
		budget.dwFlags = mode;
		if (!host_create_budget(&host, &budget))
			return;
		first = budget;
		budget.cbLimit = 5;
		for (uint32_t flags = 0; flags < 4; flags++) {
			bool same = (flags & HOSTMEM_CHARGE_RESERVE) == mode;

			budget.dwFlags = flags;
			CHECK_HR(budget_set(&host, &budget), same ? S_OK : E_INVALIDARG);
			CHECK_BUDGET(&host, same ? &budget : &first);
			CHECK_HR(budget_set(&host, &first), S_OK);
		}
		/* A record of nothing but flags. */
		budget.cbSize = 8;
		budget.dwFlags = mode ^ HOSTMEM_CHARGE_RESERVE;
		CHECK_HR(budget_set(&host, &budget), E_INVALIDARG);
		host_destroy(&host);
	}
}

static const HostMemBudget by_level = {
	WHOLE,
	.cbLimit = 20 * PAGE,
	.cbSoftLimit = MOST,
	.cbHeadroom = { 10 * PAGE, 5 * PAGE - 1, 0 },
	.cbLargest = ANY,
};
static const size_t most[LEVELS] = { 10, 15, 20 }; /* pages */

static void check_refusal(const struct recorder *recorder, size_t size,
			  EMemoryCriticalLevel level, const void *base)
{
	const HostMemEvent *event = recorder->events;

	if (!CHECK_SIZE(recorder->count, 1))
		return;
	CHECK_EVENT(event, HostMemEventFailure, HostMemCommit, size);
	CHECK_INT(event->reason, HostMemByBudget);
	CHECK_HR(event->result, E_OUTOFMEMORY);
	CHECK_INT(event->announced, FALSE);
	CHECK_INT(event->level, level);
	CHECK_U32(event->attempt, 1);
	CHECK_POINTER(event->address, base);
	CHECK_SIZE(event->cbCharged, 4 * PAGE);
	CHECK_SIZE(event->cbLimit, 20 * PAGE);
}

/* Equality is granted; a commit that asks for one page more is undone as a whole. */
static void each_level_has_its_limit_to_the_page(void)
{
	struct recorder recorder = { .refuse = false };
	struct host host;
	void *base;

	if (!host_create_budget(&host, &by_level))
		return;
	base = vm_new(&host, 64 * PAGE, MEM_RESERVE, PAGE_NOACCESS);
	recorder_start(&recorder, &host, ALL_BITS);
	for (size_t i = 0; i < LEVELS; i++) {
		EMemoryCriticalLevel level = (EMemoryCriticalLevel)i;
		uint64_t refused = host_usage(&host).cRefusedBudget;
		struct snapshot before;

		tap_row("level %zu", i);
		/* Every second page is there: the fresh ones count. */
		for (size_t page = 1; page < 8; page += 2)
			CHECK_HR(vm_commit_pages(&host, at(base, page * PAGE), 1,
						 eProcessCritical),
				 S_OK);
		snapshot_take(&before, &host);
		recorder_clear(&recorder);
		CHECK_HR(vm_commit_pages(&host, base, most[i] + 1, level), E_OUTOFMEMORY);
		CHECK_UNCHANGED(&before);
		CHECK_SIZE(host_usage(&host).cRefusedBudget, refused + 1);
		check_refusal(&recorder, (most[i] - 3) * PAGE, level, base);
		CHECK_HR(vm_commit_pages(&host, base, most[i], level), S_OK);
		CHECK_SIZE(host_usage(&host).cbCharged, most[i] * PAGE);
		/* It is full at this level: what needs nothing is granted nevertheless. */
		CHECK_HR(vm_commit_pages(&host, base, most[i], level), S_OK);
		CHECK_HR(vm_alloc_at_level(&host, base, 2 * PAGE, MEM_COMMIT,
					   PAGE_READONLY, level, &(void *){ NULL }),
			 S_OK);
		CHECK_HR(vm_commit_pages(&host, base, most[i] + 1, level), E_OUTOFMEMORY);
		CHECK_HR(vm_free(&host, base, 0, MEM_DECOMMIT), S_OK);
		recorder_clear(&recorder);
	}
	recorder_stop(&recorder);
	CHECK_HR(vm_release(&host, base), S_OK);
	host_destroy(&host);
}

static void a_refused_reserve_and_commit_leaves_no_reservation(void)
{
	static const struct {
		const char *what;
		size_t pages, charged;
		EMemoryCriticalLevel level;
		HRESULT want;
	} cases[] = {
		{ "task", 11, 0, eTaskCritical, E_OUTOFMEMORY },
		{ "task, as much as there is", 10, 10, eTaskCritical, S_OK },
		{ "domain", 6, 10, eAppDomainCritical, E_OUTOFMEMORY },
		{ "domain, as much as there is", 5, 15, eAppDomainCritical, S_OK },
		{ "process, huge", (size_t)1 << 30, 15, eProcessCritical, E_OUTOFMEMORY },
		{ "process", 6, 15, eProcessCritical, E_OUTOFMEMORY },
		{ "process, as much as there is", 5, 20, eProcessCritical, S_OK },
		{ "process, nothing left", 1, 20, eProcessCritical, E_OUTOFMEMORY },
	};
	struct snapshot before;
	struct host host;

	if (!host_create_budget(&host, &by_level))
		return;
	for (size_t i = 0; i < ROWS(cases); i++) {
		void *out, *aligned = POISON;

		tap_row("%s", cases[i].what);
		snapshot_take(&before, &host);
		if (cases[i].want != S_OK) {
			CHECK_HR(IHostMemoryPages_ReserveAligned(
					 host.pages, cases[i].pages * PAGE, 4 * UNIT,
					 MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
					 cases[i].level, &aligned),
				 E_OUTOFMEMORY);
			CHECK_POINTER(aligned, NULL);
		}
		CHECK_HR(vm_alloc_at_level(&host, NULL, cases[i].pages * PAGE,
					   MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
					   cases[i].level, &out),
			 cases[i].want);
		if (cases[i].want != S_OK)
			CHECK_UNCHANGED(&before);
		CHECK_SIZE(host_usage(&host).cbCharged, cases[i].charged * PAGE);
	}
	CHECK_SIZE(host_usage(&host).cRefusedBudget, 2 * 5);
	host_destroy(&host);
}

int main(void)
{
	TAP_RUN(a_budget_is_checked_at_creation_and_later);
	TAP_RUN(a_budget_may_end_with_any_field);
	TAP_RUN(get_budget_fills_as_much_as_there_is_room_for);
	TAP_RUN(pointer_then_state_then_arguments);
	TAP_RUN(the_way_of_charging_is_fixed_at_creation);
	TAP_RUN(each_level_has_its_limit_to_the_page);
	TAP_RUN(a_refused_reserve_and_commit_leaves_no_reservation);
	return tap_done();
}
