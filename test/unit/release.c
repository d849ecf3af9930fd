/*
 * Giving memory back, on pages that do not exist.
 */
#include "hostmem/release.h"
#include "fake.h"
#include "hostmem/os/size.h"
#include "hostmem/parked.h"
#include "hostmem/regions.h"
#include "hostmem/reserve.h"

#define PAGES 300U
#define END (FAKE_BASE + PAGES * PAGE)

static struct fake_host fake;
static struct hm_host *host = &fake.host;
static struct listener ear;

/* A host with one reservation of which every page is committed, or none. */
static void start_with(DWORD type)
{
	struct hm_allocation want = { .size = PAGES * PAGE,
				      .alignment = UNIT,
				      .type = type,
				      .protect = PAGE_READWRITE };
	void *out = NULL;

	memset(&ear, 0, sizeof(ear));
	fake_host_init(&fake);
	CHECK_HR(hm_reserve(host, &want, &out), S_OK);
	CHECK_POINTER(out, (void *)FAKE_BASE);
	memset(&fake.pages.calls, 0, sizeof(fake.pages.calls));
	listen(host, &ear, ALL_EVENTS);
}

static void start(void)
{
	start_with(MEM_RESERVE | MEM_COMMIT);
}

static size_t committed_in(uintptr_t address, size_t size)
{
	struct hm_region *region = hm_regions_lock(host, address);
	size_t bytes = 0;

	if (region != NULL) {
		bytes = hm_region_committed(region, address, size);
		hm_regions_unlock(region);
	}
	return bytes;
}

static unsigned live_regions(void)
{
	struct hm_region_view view;
	unsigned count = 0;

	CHECK_STR(hm_regions_check(), NULL);
	for (uintptr_t at = 0; hm_regions_next(at, &view); at = view.base + PAGE)
		count += view.phase == HM_REGION_LIVE;
	CHECK_SIZE(fake_usage(&fake).cRegions, count);
	return count;
}

static void a_decommit_refunds_what_was_committed(void)
{
	static const struct {
		uintptr_t offset;
		size_t size, first, pages, freed;
	} rows[] = {
		{ 10 * PAGE, 5 * PAGE, 10, 5, 5 },   { 10 * PAGE, 5 * PAGE, 0, 0, 0 },
		{ 12 * PAGE, 10 * PAGE, 12, 10, 7 }, { 30 * PAGE + 1, PAGE, 30, 2, 2 },
		{ 40 * PAGE + 5, 1, 40, 1, 1 },      { 5, 0, 0, PAGES, PAGES - 15 },
	};
	size_t left = PAGES;
	unsigned events = 0, calls = 0;

	start();
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		CHECK_HR(hm_decommit(host, FAKE_BASE + rows[i].offset, rows[i].size),
			 S_OK);
		left -= rows[i].freed;
		CHECK_USAGE(&fake, PAGES * PAGE, left * PAGE);
		calls += rows[i].freed != 0;
		CHECK_U32(fake.pages.calls[DECOMMIT], calls);
		if (rows[i].freed != 0) {
			CHECK_SIZE(fake.pages.address, FAKE_BASE + rows[i].first * PAGE);
			CHECK_SIZE(fake.pages.size, rows[i].pages * PAGE);
			CHECK_EVENT(&ear, events, HostMemEventFree, HostMemDecommit,
				    rows[i].freed * PAGE);
			events++;
		}
		CHECK_U32(ear.count, events);
	}
	CHECK_U32(live_regions(), 1);
	fake_host_end(&fake);
}

enum call { TO_DECOMMIT, TO_RELEASE, TO_GIVE_PART };

static void what_is_not_ours_to_free_is_refused(void)
{
	static const struct {
		const char *name;
		enum call call;
		uintptr_t address;
		size_t size;
		HRESULT want;
	} rows[] = {
		{ "nowhere", TO_RELEASE, 0, 0, HOST_E_INVALIDOPERATION },
		{ "below", TO_RELEASE, FAKE_BASE - 1, 0, HOST_E_INVALIDOPERATION },
		{ "behind", TO_RELEASE, END, 0, HOST_E_INVALIDOPERATION },
		{ "second page", TO_RELEASE, FAKE_BASE + PAGE, 0, BAD_ADDRESS },
		{ "last byte", TO_RELEASE, END - 1, 0, BAD_ADDRESS },
		{ "nowhere", TO_DECOMMIT, 0, PAGE, HOST_E_INVALIDOPERATION },
		{ "behind", TO_DECOMMIT, END, PAGE, HOST_E_INVALIDOPERATION },
		{ "second page, whole", TO_DECOMMIT, FAKE_BASE + PAGE, 0, BAD_ADDRESS },
		{ "past the end", TO_DECOMMIT, END - PAGE, PAGE + 1, E_INVALIDARG },
		{ "far past it", TO_DECOMMIT, FAKE_BASE, (size_t)1 << 40, E_INVALIDARG },
		{ "nowhere", TO_GIVE_PART, 0, PAGE, HOST_E_INVALIDOPERATION },
		{ "behind", TO_GIVE_PART, END, PAGE, HOST_E_INVALIDOPERATION },
		{ "past the end", TO_GIVE_PART, END - PAGE, PAGE + 1, E_INVALIDARG },
	};

	start();
	for (size_t i = 0; i < ROWS(rows); i++) {
		HRESULT hr;

		if (rows[i].call == TO_RELEASE)
			hr = hm_release(host, rows[i].address);
		else if (rows[i].call == TO_DECOMMIT)
			hr = hm_decommit(host, rows[i].address, rows[i].size);
		else
			hr = hm_release_range(host, rows[i].address, rows[i].size);
		tap_row("%s, call %d", rows[i].name, rows[i].call);
		CHECK_HR(hr, rows[i].want);
		CHECK_USAGE(&fake, PAGES * PAGE, PAGES * PAGE);
	}
	CHECK_U32(ear.count, 0);
	CHECK_U32(fake.pages.calls[RELEASE] + fake.pages.calls[DECOMMIT], 0);
	CHECK_U32(live_regions(), 1);
	fake_host_end(&fake);
}

static void a_release_gives_everything_back_at_once(void)
{
	static const uintptr_t offsets[] = { 0, 1, PAGE - 1 };

	for (size_t i = 0; i < ROWS(offsets); i++) {
		tap_row("offset %zu", (size_t)offsets[i]);
		start();
		CHECK_HR(hm_decommit(host, FAKE_BASE, PAGE), S_OK);
		CHECK_HR(hm_release(host, FAKE_BASE + offsets[i]), S_OK);
		CHECK_USAGE(&fake, 0, 0);
		CHECK_U32(live_regions(), 0);
		CHECK_SIZE(fake.pages.address, FAKE_BASE);
		CHECK_SIZE(fake.pages.size, PAGES * PAGE);
		CHECK_U32(ear.count, 2);
		CHECK_EVENT(&ear, 1, HostMemEventFree, HostMemRelease,
			    (PAGES - 1) * PAGE);
		CHECK_HR(hm_release(host, FAKE_BASE), HOST_E_INVALIDOPERATION);
		fake_host_end(&fake);
	}
	start_with(MEM_RESERVE);
	CHECK_HR(hm_release(host, FAKE_BASE), S_OK);
	/* Nothing was charged, so nothing is refunded and nobody told. */
	CHECK_U32(ear.count, 0);
	fake_host_end(&fake);
}

static void a_part_goes_and_the_rest_is_reservations_of_its_own(void)
{
	static const struct {
		const char *name;
		size_t first, count;
		unsigned regions;
	} rows[] = {
		{ "one page in front", 0, 1, 1 },
		{ "a unit in front", 0, 16, 1 },
		{ "all but the last page", 0, PAGES - 1, 1 },
		{ "one page behind", PAGES - 1, 1, 1 },
		{ "all but the first page", 1, PAGES - 1, 1 },
		{ "one page in the middle", 5, 1, 2 },
		{ "a unit in the middle", 16, 16, 2 },
		{ "all but the ends", 1, PAGES - 2, 2 },
		{ "all of it", 0, PAGES, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uintptr_t at = FAKE_BASE + rows[i].first * PAGE;
		uintptr_t behind = at + rows[i].count * PAGE;
		size_t left = (PAGES - rows[i].count) * PAGE;

		tap_row("%s", rows[i].name);
		start();
		CHECK_HR(hm_release_range(host, at, rows[i].count * PAGE - 1), S_OK);
		CHECK_USAGE(&fake, left, left);
		CHECK_U32(live_regions(), rows[i].regions);
		CHECK_SIZE(fake.pages.address, at);
		CHECK_SIZE(fake.pages.size, rows[i].count * PAGE);
		CHECK_POINTER(hm_regions_lock(host, at), NULL);
		CHECK_SIZE(committed_in(FAKE_BASE, at - FAKE_BASE), at - FAKE_BASE);
		if (behind < END) {
			CHECK_SIZE(committed_in(behind, END - behind), END - behind);
			CHECK_HR(hm_release(host, behind), S_OK);
		}
		CHECK_U32(ear.count, behind < END ? 2 : 1);
		CHECK_EVENT(&ear, 0, HostMemEventFree, HostMemRelease,
			    rows[i].count * PAGE);
		fake_host_end(&fake);
	}
}

static void each_part_keeps_its_own_states(void)
{
	start();
	CHECK_HR(hm_decommit(host, FAKE_BASE + 10 * PAGE, 20 * PAGE), S_OK);
	CHECK_HR(hm_decommit(host, FAKE_BASE + 100 * PAGE, 50 * PAGE), S_OK);
	CHECK_HR(hm_release_range(host, FAKE_BASE + 25 * PAGE, 10 * PAGE), S_OK);
	/* Five of the ten were committed. */
	CHECK_EVENT(&ear, 2, HostMemEventFree, HostMemRelease, 5 * PAGE);
	CHECK_USAGE(&fake, 290 * PAGE, 225 * PAGE);
	CHECK_SIZE(committed_in(FAKE_BASE, 25 * PAGE), 10 * PAGE);
	CHECK_SIZE(committed_in(FAKE_BASE + 35 * PAGE, 265 * PAGE), 215 * PAGE);
	CHECK_SIZE(committed_in(FAKE_BASE + 100 * PAGE, 50 * PAGE), 0);
	fake_host_end(&fake);
}

/* Refusals and memory, for each of the three calls. */
static HRESULT call(enum call call)
{
	if (call == TO_DECOMMIT)
		return hm_decommit(host, FAKE_BASE + 10 * PAGE, 100 * PAGE);
	if (call == TO_RELEASE)
		return hm_release(host, FAKE_BASE);
	return hm_release_range(host, FAKE_BASE + 10 * PAGE, 100 * PAGE);
}

static void giving_back_succeeds_without_memory(void)
{
	for (enum call c = TO_DECOMMIT; c <= TO_GIVE_PART; c++) {
		struct hoard states, regions;

		tap_row("call %d", c);
		start();
		hoard_kind(&states, HM_METADATA_STATES, HM_NEED_NORMAL);
		memory_allow();
		hoard_kind(&regions, HM_METADATA_REGION, HM_NEED_NORMAL);
		CHECK_HR(call(c), S_OK);
		hoard_end(&regions, HM_METADATA_REGION);
		hoard_end(&states, HM_METADATA_STATES);
		fake_host_end(&fake);
	}
}

static void without_even_what_is_set_aside_nothing_changes(void)
{
	static const struct {
		enum call call;
		enum hm_metadata_kind kind;
	} rows[] = {
		{ TO_DECOMMIT, HM_METADATA_STATES },
		{ TO_GIVE_PART, HM_METADATA_STATES },
		{ TO_GIVE_PART, HM_METADATA_REGION },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hoard hoard;
		size_t in_use;

		tap_row("call %d, kind %d", rows[i].call, rows[i].kind);
		start();
		/* So that the rest on the right has states which take memory. */
		CHECK_HR(hm_decommit(host, END - 2 * PAGE, PAGE), S_OK);
		hoard_kind(&hoard, rows[i].kind, HM_NEED_TO_FREE);
		in_use = hm_metadata_in_use();
		CHECK_HR(call(rows[i].call), E_OUTOFMEMORY);
		CHECK_SIZE(hm_metadata_in_use(), in_use);
		hoard_end(&hoard, rows[i].kind);
		CHECK_USAGE(&fake, PAGES * PAGE, (PAGES - 1) * PAGE);
		CHECK_U32(live_regions(), 1);
		CHECK_U32(ear.count, 1);
		CHECK_HR(hm_host_check(host), S_OK);
		CHECK_U32(fake.pages.calls[DECOMMIT] + fake.pages.calls[RELEASE], 1);
		fake_host_end(&fake);
	}
}

static void what_the_system_will_not_take_is_parked_and_the_call_has_succeeded(void)
{
	static const enum call calls[] = { TO_RELEASE, TO_GIVE_PART };

	for (size_t i = 0; i < ROWS(calls); i++) {
		size_t left = calls[i] == TO_RELEASE ? 0 : 200 * PAGE;
		struct hm_region_view view;

		tap_row("call %d", calls[i]);
		start();
		fake.pages.answer[RELEASE] = S_FALSE;
		CHECK_HR(call(calls[i]), S_OK);
		CHECK_USAGE(&fake, left, left);
		CHECK(hm_regions_find(FAKE_BASE + 20 * PAGE, &view));
		CHECK_INT(view.phase, HM_REGION_PARKED);
		CHECK_U32(ear.count, 1);
		CHECK_POINTER(hm_regions_lock(host, FAKE_BASE + 20 * PAGE), NULL);
		fake.pages.answer[RELEASE] = S_OK;
		hm_unpark(&fake.pages.source);
		CHECK(!hm_regions_find(FAKE_BASE + 20 * PAGE, &view));
		CHECK_USAGE(&fake, left, left);
		fake_host_end(&fake);
	}
}

static void an_impossible_answer_ends_the_hosts_service(void)
{
	static const struct {
		enum call call;
		enum fake_call answer;
	} rows[] = {
		{ TO_DECOMMIT, DECOMMIT },
		{ TO_RELEASE, RELEASE },
		{ TO_GIVE_PART, RELEASE },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hm_region_view view;

		tap_row("call %d", rows[i].call);
		start();
		fake.pages.answer[rows[i].answer] = E_FAIL;
		CHECK_HR(call(rows[i].call), E_FAIL);
		CHECK_HR(hm_host_check(host), HOST_E_CLRNOTAVAILABLE);
		fake.pages.answer[rows[i].answer] = S_OK;
		CHECK_STR(hm_regions_check(), NULL);
		CHECK_SIZE(host->budget.claimed, host->budget.charged);
		CHECK_U32(hm_host_release(host), 0);
		CHECK_U32(fake.destroyed, 1);
		/* Perhaps the system takes it later; nothing besides is left. */
		if (rows[i].call != TO_DECOMMIT)
			hm_unpark(&fake.pages.source);
		CHECK(!hm_regions_next(0, &view));
		CHECK_SIZE(hm_metadata_in_use(), fake.in_use);
	}
}

static void a_host_that_ends_frees_each_reservation(void)
{
	struct hm_allocation bare = { .size = PAGE,
				      .alignment = UNIT,
				      .type = MEM_RESERVE,
				      .protect = PAGE_NOACCESS };
	void *out;

	start();
	CHECK_HR(hm_release_range(host, FAKE_BASE + PAGE, PAGE), S_OK);
	CHECK_HR(hm_reserve(host, &bare, &out), S_OK);
	CHECK_U32(live_regions(), 3);
	fake_host_end(&fake);
	CHECK_U32(ear.count, 3);
	CHECK_EVENT(&ear, 1, HostMemEventFree, HostMemRelease, PAGE);
	CHECK_EVENT(&ear, 2, HostMemEventFree, HostMemRelease, (PAGES - 2) * PAGE);
	CHECK(ear.events[1].request != ear.events[2].request);
	CHECK_POINTER(ear.events[2].address, (void *)(FAKE_BASE + 2 * PAGE));
	CHECK_U32(live_regions(), 0);
}

int main(void)
{
	TAP_RUN(a_decommit_refunds_what_was_committed);
	TAP_RUN(what_is_not_ours_to_free_is_refused);
	TAP_RUN(a_release_gives_everything_back_at_once);
	TAP_RUN(a_part_goes_and_the_rest_is_reservations_of_its_own);
	TAP_RUN(each_part_keeps_its_own_states);
	TAP_RUN(giving_back_succeeds_without_memory);
	TAP_RUN(without_even_what_is_set_aside_nothing_changes);
	TAP_RUN(what_the_system_will_not_take_is_parked_and_the_call_has_succeeded);
	TAP_RUN(an_impossible_answer_ends_the_hosts_service);
	TAP_RUN(a_host_that_ends_frees_each_reservation);
	return tap_done();
}
