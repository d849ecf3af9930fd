/*
 * MEM_COMMIT and MEM_RESET on pages that do not exist.
 */
#include "hostmem/commit.h"
#include "fake.h"
#include "hostmem/os/size.h"
#include "hostmem/protection.h"

#define PAGES 300U

static struct fake_host fake;
static struct hm_host *host = &fake.host;
static struct listener ear;
static void *out;

static struct hm_allocation allocation(uintptr_t address, size_t size, DWORD type,
				       DWORD protect)
{
	return (struct hm_allocation){ .address = address,
				       .size = size,
				       .alignment = UNIT,
				       .type = type,
				       .protect = protect,
				       .level = eTaskCritical };
}

/* A host with one reservation, at FAKE_BASE. */
static void start(void)
{
	struct hm_allocation want = allocation(0, PAGES * PAGE, MEM_RESERVE,
					       PAGE_READWRITE);

	memset(&ear, 0, sizeof(ear));
	fake_host_init(&fake);
	fake.pages.large = UNIT / 2;
	CHECK_HR(hm_reserve(host, &want, &out), S_OK);
	CHECK_POINTER(out, (void *)FAKE_BASE);
	listen(host, &ear, ALL_EVENTS);
}

static HRESULT commit(size_t first, size_t count, DWORD protect)
{
	struct hm_allocation want = allocation(FAKE_BASE + first * PAGE, count * PAGE,
					       MEM_COMMIT, protect);

	out = NULL;
	return hm_commit(host, &want, &out);
}

static unsigned code_of(size_t page)
{
	struct hm_region_view view = { .base = 0 };
	unsigned code = 99;

	CHECK(hm_regions_find(FAKE_BASE, &view));
	CHECK_SIZE(hm_states_run(&view.states, page, 1, &code), 1);
	return code;
}

static unsigned code(DWORD protect)
{
	return hm_code_from_protection(protect);
}

static void only_what_is_not_committed_yet_is_charged(void)
{
	static const struct {
		size_t first, count, charged;
	} rows[] = {
		{ 10, 10, 10 }, { 10, 10, 0 }, { 5, 10, 5 }, { 0, 40, 25 }, { 39, 2, 1 },
	};
	unsigned events = 0;
	size_t total = 0;

	start();
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("pages %zu + %zu", rows[i].first, rows[i].count);
		CHECK_HR(commit(rows[i].first, rows[i].count, PAGE_READWRITE), S_OK);
		CHECK_POINTER(out, (void *)(FAKE_BASE + rows[i].first * PAGE));
		total += rows[i].charged;
		CHECK_USAGE(&fake, PAGES * PAGE, total * PAGE);
		if (rows[i].charged == 0) {
			CHECK_U32(ear.count, events);
			continue;
		}
		CHECK_EVENT(&ear, events, HostMemEventAllocate, HostMemCommit,
			    rows[i].charged * PAGE);
		CHECK_POINTER(ear.events[events].address,
			      (void *)(FAKE_BASE + rows[i].first * PAGE));
		CHECK_U32(ear.count, ++events);
	}
	fake_host_end(&fake);
}

static void the_range_goes_out_to_whole_pages(void)
{
	struct hm_allocation want = allocation(FAKE_BASE + PAGE + 1, PAGE, MEM_COMMIT,
					       PAGE_READONLY);

	start();
	CHECK_HR(hm_commit(host, &want, &out), S_OK);
	CHECK_POINTER(out, (void *)(FAKE_BASE + PAGE));
	CHECK_SIZE(fake.pages.address, FAKE_BASE + PAGE);
	CHECK_SIZE(fake.pages.size, 2 * PAGE);
	CHECK_U32(fake.pages.access, HM_ACCESS_READ);
	CHECK_USAGE(&fake, PAGES * PAGE, 2 * PAGE);
	for (size_t page = 0; page < 4; page++)
		CHECK_INT(code_of(page) != HM_STATE_RESERVED, page == 1 || page == 2);
	fake_host_end(&fake);
}

static void committing_again_changes_the_access_and_only_where_it_differs(void)
{
	start();
	CHECK_HR(commit(0, 10, PAGE_READWRITE), S_OK);
	CHECK_HR(commit(2, 5, PAGE_READWRITE), S_OK);
	CHECK_U32(fake.pages.calls[COMMIT], 1);
	CHECK_HR(commit(2, 5, PAGE_EXECUTE_READ), S_OK);
	CHECK_U32(fake.pages.calls[COMMIT], 2);
	CHECK_U32(fake.pages.access, HM_ACCESS_READ | HM_ACCESS_EXECUTE);
	CHECK_U32(code_of(1), code(PAGE_READWRITE));
	CHECK_U32(code_of(2), code(PAGE_EXECUTE_READ));
	CHECK_HR(commit(2, 5, PAGE_EXECUTE_READ | PAGE_GUARD), S_OK);
	CHECK_U32(fake.pages.access, HM_ACCESS_NONE);
	CHECK_U32(code_of(6), code(PAGE_EXECUTE_READ | PAGE_GUARD));
	CHECK_HR(commit(0, 10, PAGE_READWRITE), S_OK);
	CHECK_U32(fake.pages.calls[COMMIT], 4);
	CHECK_USAGE(&fake, PAGES * PAGE, 10 * PAGE);
	fake_host_end(&fake);
}

static void a_range_that_is_not_all_ours_is_a_bad_address(void)
{
	static struct fake_host other;
	static const struct {
		uintptr_t address;
		size_t size;
	} rows[] = {
		{ FAKE_BASE + PAGES * PAGE, PAGE },
		{ FAKE_BASE + (PAGES - 1) * PAGE, 2 * PAGE },
		{ FAKE_BASE + (PAGES - 1) * PAGE + 1, PAGE },
		{ FAKE_BASE - PAGE, 2 * PAGE },
		{ HM_USER_START, PAGE },
	};
	struct hm_allocation theirs = allocation(FAKE_BASE, PAGE, MEM_COMMIT,
						 PAGE_READWRITE);

	start();
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_allocation want = allocation(rows[i].address, rows[i].size,
						       MEM_COMMIT, PAGE_READWRITE);

		tap_row("row %zu", i);
		out = NULL;
		CHECK_HR(hm_commit(host, &want, &out), BAD_ADDRESS);
		CHECK_POINTER(out, NULL);
	}
	fake_host_init(&other);
	CHECK_HR(hm_commit(&other.host, &theirs, &out), BAD_ADDRESS);
	CHECK_U32(hm_host_release(&other.host), 0);
	CHECK_U32(fake.pages.calls[COMMIT], 0);
	CHECK_U32(ear.count, 0);
	CHECK_USAGE(&fake, PAGES * PAGE, 0);
	fake_host_end(&fake);
}

static void policy_and_large_pages_come_before_anybody_is_asked(void)
{
	struct hm_region *region;

	start();
	host->strict_execute = true;
	CHECK_HR(commit(0, 1, PAGE_EXECUTE_READWRITE), E_ACCESSDENIED);
	CHECK_HR(commit(0, 1, PAGE_EXECUTE_READ), S_OK);
	CHECK_U32(ear.count, 1);
	fake_host_end(&fake);
	start();
	region = hm_regions_lock(host, FAKE_BASE);
	CHECK(hm_region_whole_pages(host, region, FAKE_BASE + PAGE, 3 * PAGE));
	atomic_store(&region->traits, HM_REGION_LARGE);
	CHECK(hm_region_whole_pages(host, region, FAKE_BASE + 8 * PAGE, 16 * PAGE));
	CHECK(!hm_region_whole_pages(host, region, FAKE_BASE + PAGE, 8 * PAGE));
	CHECK(!hm_region_whole_pages(host, region, FAKE_BASE, 7 * PAGE));
	hm_regions_unlock(region);
	CHECK_HR(commit(1, 8, PAGE_READONLY), E_INVALIDARG);
	CHECK_HR(commit(8, 8, PAGE_READONLY), S_OK);
	fake_host_end(&fake);
}

static void when_the_system_refuses_everything_is_as_it_was(void)
{
	static const struct {
		HRESULT answer;
		HostMemReason reason;
		bool usable;
	} rows[] = {
		{ E_OUTOFMEMORY, HostMemBySystem, true },
		{ E_ACCESSDENIED, HostMemNoReason, true },
		{ E_FAIL, HostMemBySystem, false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t in_use;

		tap_row("0x%08x", (unsigned)rows[i].answer);
		start();
		CHECK_HR(commit(5, 5, PAGE_READONLY), S_OK);
		in_use = hm_metadata_in_use();
		fake.pages.answer[COMMIT] = rows[i].answer;
		CHECK_HR(commit(0, 20, PAGE_READWRITE), rows[i].answer);
		CHECK_USAGE(&fake, PAGES * PAGE, 5 * PAGE);
		CHECK_SIZE(hm_metadata_in_use(), in_use);
		CHECK_U32(code_of(5), code(PAGE_READONLY));
		CHECK_EVENT(&ear, 2, HostMemEventFailure, HostMemCommit, 15 * PAGE);
		if (rows[i].reason != HostMemNoReason)
			CHECK_INT(ear.events[2].reason, rows[i].reason);
		CHECK_INT(ear.events[2].announced, TRUE);
		CHECK_INT(hm_host_check(host) == S_OK, rows[i].usable);
		fake_host_end(&fake);
	}
}

static void without_memory_for_the_states_the_system_is_not_asked(void)
{
	struct hoard hoard;

	start();
	hoard_kind(&hoard, HM_METADATA_STATES, HM_NEED_NORMAL);
	CHECK_HR(commit(5, 5, PAGE_READWRITE), E_OUTOFMEMORY);
	hoard_end(&hoard, HM_METADATA_STATES);
	CHECK_U32(fake.pages.calls[COMMIT], 0);
	CHECK_USAGE(&fake, PAGES * PAGE, 0);
	CHECK_EVENT(&ear, 1, HostMemEventFailure, HostMemCommit, 5 * PAGE);
	CHECK_SIZE(fake_usage(&fake).cFailedOs, 1);
	fake_host_end(&fake);
}

/* Commits pages of the range that is being asked about. */
static void commit_some(struct listener *listener, const HostMemEvent *event)
{
	struct hm_allocation want = allocation(FAKE_BASE, *(size_t *)listener->state,
					       MEM_COMMIT, PAGE_READWRITE);
	void *inner;

	listener->hook = NULL;
	CHECK_U32(event->attempt, 1);
	CHECK_HR(hm_commit(host, &want, &inner), S_OK);
}

static void what_others_commit_meanwhile_is_not_charged_twice(void)
{
	static size_t inside[] = { 4 * PAGE, 10 * PAGE };

	for (size_t i = 0; i < ROWS(inside); i++) {
		tap_row("%zu bytes", inside[i]);
		start();
		ear.hook = commit_some;
		ear.state = &inside[i];
		CHECK_HR(commit(0, 10, PAGE_READONLY), S_OK);
		CHECK_USAGE(&fake, PAGES * PAGE, 10 * PAGE);
		CHECK_U32(code_of(0), code(PAGE_READONLY));
		CHECK_U32(ear.count, 2);
		CHECK_EVENT(&ear, 0, HostMemEventAllocate, HostMemCommit, 10 * PAGE);
		CHECK_EVENT(&ear, 1, HostMemEventAllocate, HostMemCommit,
			    10 * PAGE - inside[i]);
		CHECK_U32(ear.events[1].attempt, 2);
		CHECK_SIZE(ear.events[1].request, ear.events[0].request);
		fake_host_end(&fake);
	}
}

static void the_history_tells_the_runs_as_they_are(void)
{
	static const struct {
		size_t first, count;
		bool committed;
		unsigned access;
	} runs[] = {
		{ 0, 5, false, 0 },
		{ 5, 3, true, HM_ACCESS_READ },
		{ 8, 2, true, HM_ACCESS_NONE },
		{ 10, PAGES - 10, false, 0 },
	};
	struct hm_region *region;
	struct hm_region_history history;

	start();
	CHECK_HR(commit(5, 3, PAGE_READONLY), S_OK);
	CHECK_HR(commit(8, 2, PAGE_READONLY | PAGE_GUARD), S_OK);
	region = hm_regions_lock(host, FAKE_BASE);
	history = hm_region_history(region);
	for (size_t i = 0; i < ROWS(runs); i++) {
		size_t page = runs[i].first;

		tap_row("run %zu", i);
		while (page < runs[i].first + runs[i].count && !tap_failed()) {
			struct hm_page_run run =
				history.history.run_at(&history.history,
						       (void *)(FAKE_BASE + page * PAGE));

			CHECK(run.size != 0);
			CHECK_INT(run.committed, runs[i].committed);
			if (run.committed)
				CHECK_U32(run.access, runs[i].access);
			page += run.size / PAGE;
		}
		CHECK_SIZE(page, runs[i].first + runs[i].count);
	}
	hm_regions_unlock(region);
	fake_host_end(&fake);
}

static void a_range_is_all_committed_or_it_is_not(void)
{
	static const struct {
		size_t first, count;
		bool all, uniform;
	} rows[] = {
		{ 5, 3, true, true },  { 5, 5, true, false }, { 4, 3, false, false },
		{ 0, 5, false, true }, { 9, 1, true, true },  { 9, 2, false, false },
	};
	struct hm_region *region;

	start();
	CHECK_HR(commit(5, 3, PAGE_READONLY), S_OK);
	CHECK_HR(commit(8, 2, PAGE_READWRITE), S_OK);
	region = hm_regions_lock(host, FAKE_BASE);
	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned first = 99;
		bool uniform = false;

		tap_row("pages %zu + %zu", rows[i].first, rows[i].count);
		CHECK_INT(hm_region_all_committed(region,
						  FAKE_BASE + rows[i].first * PAGE,
						  rows[i].count * PAGE, &first, &uniform),
			  rows[i].all);
		CHECK_INT(uniform, rows[i].uniform);
		CHECK_U32(first, code_of(rows[i].first));
	}
	hm_regions_unlock(region);
	fake_host_end(&fake);
}

static void reset_discards_whole_committed_pages_and_charges_nothing(void)
{
	static const struct {
		size_t offset, size;
		unsigned discards;
		size_t address, bytes;
		HRESULT undo;
	} rows[] = {
		{ 5 * PAGE, PAGE, 1, 5 * PAGE, PAGE, NOT_SUPPORTED },
		{ 5 * PAGE + 1, PAGE, 0, 0, 0, S_OK },
		{ 5 * PAGE + 1, 2 * PAGE, 1, 6 * PAGE, PAGE, NOT_SUPPORTED },
		{ 5 * PAGE, 1, 0, 0, 0, S_OK },
		{ 0, 20 * PAGE, 1, 5 * PAGE, 5 * PAGE, NOT_SUPPORTED },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_allocation want = allocation(FAKE_BASE + rows[i].offset,
						       rows[i].size, MEM_RESET,
						       PAGE_READWRITE);

		tap_row("row %zu", i);
		start();
		CHECK_HR(commit(5, 5, PAGE_READWRITE), S_OK);
		CHECK_HR(hm_reset(host, &want, &out), S_OK);
		CHECK_POINTER(out,
			      (void *)(FAKE_BASE + hm_round_down(rows[i].offset, PAGE)));
		CHECK_U32(fake.pages.calls[DISCARD], rows[i].discards);
		if (rows[i].discards != 0) {
			CHECK_SIZE(fake.pages.address, FAKE_BASE + rows[i].address);
			CHECK_SIZE(fake.pages.size, rows[i].bytes);
		}
		want.type = MEM_RESET_UNDO;
		CHECK_HR(hm_reset(host, &want, &out), rows[i].undo);
		CHECK_U32(ear.count, 1);
		CHECK_USAGE(&fake, PAGES * PAGE, 5 * PAGE);
		want.size = PAGES * PAGE;
		CHECK_HR(hm_reset(host, &want, &out),
			 rows[i].offset == 0 ? rows[i].undo : BAD_ADDRESS);
		fake_host_end(&fake);
	}
}

int main(void)
{
	TAP_RUN(only_what_is_not_committed_yet_is_charged);
	TAP_RUN(the_range_goes_out_to_whole_pages);
	TAP_RUN(committing_again_changes_the_access_and_only_where_it_differs);
	TAP_RUN(a_range_that_is_not_all_ours_is_a_bad_address);
	TAP_RUN(policy_and_large_pages_come_before_anybody_is_asked);
	TAP_RUN(when_the_system_refuses_everything_is_as_it_was);
	TAP_RUN(without_memory_for_the_states_the_system_is_not_asked);
	TAP_RUN(what_others_commit_meanwhile_is_not_charged_twice);
	TAP_RUN(the_history_tells_the_runs_as_they_are);
	TAP_RUN(a_range_is_all_committed_or_it_is_not);
	TAP_RUN(reset_discards_whole_committed_pages_and_charges_nothing);
	return tap_done();
}
