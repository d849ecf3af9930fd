/*
 * MEM_RESERVE on pages that do not exist: what the system is asked for, what is entered,
 * and what is left when something fails.
 */
#include "hostmem/reserve.h"
#include "fake.h"
#include "hostmem/os/size.h"
#include "hostmem/regions.h"

static struct fake_host fake;
static struct hm_host *host = &fake.host;
static struct listener ear;
static void *out;

static void start(void)
{
	memset(&ear, 0, sizeof(ear));
	fake_host_init(&fake);
	listen(host, &ear, ALL_EVENTS);
}

static HRESULT reserve(uintptr_t address, size_t size, DWORD type, DWORD protect)
{
	struct hm_allocation want = { .address = address,
				      .size = size,
				      .alignment = UNIT,
				      .type = type,
				      .protect = protect,
				      .level = eTaskCritical };

	out = NULL;
	return hm_reserve(host, &want, &out);
}

static void check_nothing_left(unsigned given_up)
{
	struct hm_region_view view;

	CHECK_POINTER(out, NULL);
	CHECK_USAGE(&fake, 0, 0);
	CHECK_SIZE(fake_usage(&fake).cRegions, 0);
	CHECK(!hm_regions_next(0, &view));
	CHECK_STR(hm_regions_check(), NULL);
	CHECK_U32(fake.pages.calls[GIVE_UP], given_up);
}

static void a_bare_reservation_is_not_charged_and_raises_no_event(void)
{
	struct hm_region_view view;

	start();
	CHECK_HR(reserve(0, 5 * PAGE + 1, MEM_RESERVE, PAGE_READONLY), S_OK);
	CHECK_POINTER(out, (void *)FAKE_BASE);
	CHECK_USAGE(&fake, 6 * PAGE, 0);
	CHECK_SIZE(fake_usage(&fake).cRegions, 1);
	CHECK_U32(ear.count, 0);
	CHECK_SIZE(fake.pages.size, 6 * PAGE);
	CHECK_U32(fake.pages.flags, 0);
	CHECK_U32(fake.pages.access, HM_ACCESS_NONE);
	CHECK(hm_regions_find(FAKE_BASE + 5 * PAGE, &view));
	CHECK_POINTER(view.host, host);
	CHECK_U32(view.protection, PAGE_READONLY);
	fake_host_end(&fake);
}

static void reserve_and_commit_is_one_commit_of_the_whole(void)
{
	struct hm_region *region;

	start();
	CHECK_HR(reserve(0, 100 * PAGE, MEM_RESERVE | MEM_COMMIT,
			 PAGE_EXECUTE_READ | PAGE_TARGETS_INVALID),
		 S_OK);
	CHECK_USAGE(&fake, 100 * PAGE, 100 * PAGE);
	CHECK_U32(fake.pages.flags, HM_RESERVE_COMMITTED);
	CHECK_U32(fake.pages.access, HM_ACCESS_READ | HM_ACCESS_EXECUTE);
	CHECK_U32(ear.count, 1);
	CHECK_EVENT(&ear, 0, HostMemEventAllocate, HostMemCommit, 100 * PAGE);
	CHECK_POINTER(ear.events[0].address, NULL);
	region = hm_regions_lock(host, FAKE_BASE);
	if (CHECK(region != NULL)) {
		CHECK_U32(region->protection, PAGE_EXECUTE_READ);
		CHECK_SIZE(hm_region_committed(region, FAKE_BASE, 100 * PAGE),
			   100 * PAGE);
		hm_regions_unlock(region);
	}
	fake_host_end(&fake);
	/* What the host's end gives back. */
	CHECK_EVENT(&ear, 1, HostMemEventFree, HostMemRelease, 100 * PAGE);
}

static void guarded_pages_are_committed_without_access(void)
{
	struct hm_region *region;
	struct hm_states_view states;
	unsigned code = 0;

	start();
	CHECK_HR(reserve(0, 300 * PAGE, MEM_RESERVE | MEM_COMMIT,
			 PAGE_READWRITE | PAGE_GUARD),
		 S_OK);
	CHECK_U32(fake.pages.access, HM_ACCESS_NONE);
	CHECK_USAGE(&fake, 300 * PAGE, 300 * PAGE);
	region = hm_regions_lock(host, FAKE_BASE);
	if (CHECK(region != NULL)) {
		states = hm_region_states(region);
		CHECK_SIZE(hm_states_run(&states, 0, 300, &code), 300);
		CHECK(code & HM_STATE_GUARD);
		hm_regions_unlock(region);
	}
	fake_host_end(&fake);
}

static void a_wanted_place_goes_down_to_64_kib_and_up_to_a_page(void)
{
	static const struct {
		uintptr_t address;
		size_t size;
		uintptr_t base;
		size_t covered;
	} rows[] = {
		{ FAKE_BASE, 1, FAKE_BASE, PAGE },
		{ FAKE_BASE + 1, PAGE, FAKE_BASE, 2 * PAGE },
		{ FAKE_BASE + UNIT - 1, 1, FAKE_BASE, UNIT },
		{ FAKE_BASE + UNIT - 1, 2, FAKE_BASE, UNIT + PAGE },
		{ FAKE_BASE + 3 * PAGE, UNIT, FAKE_BASE, UNIT + 3 * PAGE },
		{ HM_USER_END - UNIT, UNIT, HM_USER_END - UNIT, UNIT },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("0x%zx + 0x%zx", (size_t)rows[i].address, rows[i].size);
		start();
		CHECK_HR(reserve(rows[i].address, rows[i].size, MEM_RESERVE,
				 PAGE_NOACCESS),
			 S_OK);
		CHECK_POINTER(out, (void *)rows[i].base);
		CHECK_SIZE(fake.pages.address, rows[i].base);
		CHECK_SIZE(fake.pages.size, rows[i].covered);
		CHECK_USAGE(&fake, rows[i].covered, 0);
		fake_host_end(&fake);
	}
}

static void a_conflict_with_ourselves_asks_nobody(void)
{
	start();
	CHECK_HR(reserve(FAKE_BASE, PAGE, MEM_RESERVE, PAGE_NOACCESS), S_OK);
	CHECK_HR(reserve(FAKE_BASE + 2 * PAGE, PAGE, MEM_RESERVE | MEM_COMMIT,
			 PAGE_READWRITE),
		 BAD_ADDRESS);
	CHECK_POINTER(out, NULL);
	CHECK_U32(fake.pages.calls[RESERVE], 1);
	CHECK_U32(ear.count, 0);
	CHECK_USAGE(&fake, PAGE, 0);
	/* The conflict comes before what there is no way to give. */
	CHECK_HR(reserve(FAKE_BASE, PAGE, MEM_RESERVE | MEM_PHYSICAL, PAGE_READWRITE),
		 BAD_ADDRESS);
	fake_host_end(&fake);
}

static void what_cannot_be_given_is_refused_before_anybody_is_asked(void)
{
	const DWORD both = MEM_RESERVE | MEM_COMMIT;
	const struct {
		const char *name;
		DWORD type, protect;
		bool strict;
		size_t size, large;
		HRESULT want;
	} rows[] = {
		{ "strict", both, PAGE_EXECUTE_READWRITE, true, PAGE, 0, E_ACCESSDENIED },
		{ "strict, reserved", MEM_RESERVE, PAGE_EXECUTE_READWRITE, true, PAGE, 0,
		  E_ACCESSDENIED },
		{ "physical", MEM_RESERVE | MEM_PHYSICAL, PAGE_READWRITE, false, PAGE, 0,
		  NOT_SUPPORTED },
		{ "write watch", both | MEM_WRITE_WATCH, PAGE_READWRITE, false, PAGE, 0,
		  NOT_SUPPORTED },
		{ "no large pages", both | MEM_LARGE_PAGES, PAGE_READWRITE, false,
		  16 * UNIT, 0, NO_PRIVILEGE },
		{ "part of a large page", both | MEM_LARGE_PAGES, PAGE_READWRITE, false,
		  UNIT, 2 * UNIT, E_INVALIDARG },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].name);
		start();
		host->strict_execute = rows[i].strict;
		fake.pages.large = rows[i].large;
		CHECK_HR(reserve(0, rows[i].size, rows[i].type, rows[i].protect),
			 rows[i].want);
		CHECK_U32(fake.pages.calls[RESERVE], 0);
		CHECK_U32(ear.count, 0);
		check_nothing_left(0);
		fake_host_end(&fake);
	}
	start();
	host->strict_execute = true;
	CHECK_HR(reserve(0, PAGE, both, PAGE_EXECUTE_READ), S_OK);
	CHECK_HR(reserve(0, PAGE, both, PAGE_READWRITE), S_OK);
	fake_host_end(&fake);
}

static void the_system_is_told_of_large_pages_place_and_alignment(void)
{
	struct hm_allocation want = { .size = 4 * UNIT,
				      .alignment = 8 * UNIT,
				      .type = MEM_RESERVE | MEM_COMMIT | MEM_LARGE_PAGES |
					      MEM_TOP_DOWN,
				      .protect = PAGE_READWRITE };
	struct hm_region_view view;

	start();
	fake.pages.large = 4 * UNIT;
	fake.pages.next = FAKE_BASE + UNIT;
	CHECK_HR(hm_reserve(host, &want, &out), S_OK);
	CHECK_POINTER(out, (void *)(FAKE_BASE + 8 * UNIT));
	CHECK_U32(fake.pages.flags,
		  HM_RESERVE_COMMITTED | HM_RESERVE_LARGE | HM_RESERVE_TOP_DOWN);
	CHECK_SIZE(fake.pages.alignment, 8 * UNIT);
	CHECK(hm_regions_find((uintptr_t)out, &view));
	CHECK_U32(view.region->traits, HM_REGION_LARGE);
	fake_host_end(&fake);
}

static void when_the_system_refuses_nothing_is_left(void)
{
	static const struct {
		uintptr_t address;
		HRESULT answer;
		bool usable;
	} rows[] = {
		{ 0, E_OUTOFMEMORY, true },       { FAKE_BASE, E_OUTOFMEMORY, true },
		{ FAKE_BASE, BAD_ADDRESS, true }, { 0, E_ACCESSDENIED, true },
		{ 0, NO_PRIVILEGE, true },        { 0, E_FAIL, false },
		{ FAKE_BASE, E_FAIL, false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		start();
		fake.pages.answer[RESERVE] = rows[i].answer;
		CHECK_HR(reserve(rows[i].address, PAGE, MEM_RESERVE | MEM_COMMIT,
				 PAGE_READWRITE),
			 rows[i].answer);
		check_nothing_left(0);
		CHECK_U32(ear.count, 2);
		CHECK_EVENT(&ear, 1, HostMemEventFailure, HostMemCommit, PAGE);
		CHECK_INT(ear.events[1].announced, TRUE);
		CHECK_INT(ear.events[1].reason, HostMemBySystem);
		CHECK_HR(ear.events[1].result, rows[i].answer);
		CHECK_SIZE(fake_usage(&fake).cFailedOs, 1);
		CHECK_INT(hm_host_check(host) == S_OK, rows[i].usable);
		fake_host_end(&fake);
	}
}

static void without_memory_for_the_records_nothing_is_left(void)
{
	static const struct {
		const char *name;
		uintptr_t address;
		DWORD protect;
		enum hm_metadata_kind kind;
		unsigned asked;
	} rows[] = {
		{ "guarded states", 0, PAGE_READWRITE | PAGE_GUARD, HM_METADATA_STATES,
		  0 },
		{ "a block of records", 0, PAGE_READWRITE, HM_METADATA_REGION, 1 },
		{ "the same at a wanted place", FAKE_BASE + ((uintptr_t)99 << 32),
		  PAGE_READWRITE, HM_METADATA_REGION, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hoard hoard;

		tap_row("%s", rows[i].name);
		start();
		fake.pages.next = FAKE_BASE + ((uintptr_t)77 << 32);
		hoard_kind(&hoard, rows[i].kind, HM_NEED_NORMAL);
		CHECK_HR(reserve(rows[i].address, 100 * PAGE, MEM_RESERVE | MEM_COMMIT,
				 rows[i].protect),
			 E_OUTOFMEMORY);
		hoard_end(&hoard, rows[i].kind);
		/* What the system gave before has gone back. */
		CHECK_U32(fake.pages.calls[RESERVE], rows[i].asked);
		check_nothing_left(rows[i].asked);
		CHECK_U32(ear.count, 2);
		CHECK_EVENT(&ear, 1, HostMemEventFailure, HostMemCommit, 100 * PAGE);
		fake_host_end(&fake);
	}
}

/* While the system is asked for a wanted place. */
static void look_there(void *phase)
{
	struct hm_region_view view;

	if (CHECK(hm_regions_find(FAKE_BASE, &view)))
		CHECK_INT(view.phase, *(enum hm_region_phase *)phase);
	CHECK(hm_regions_units_in_use(FAKE_BASE, FAKE_BASE + PAGE));
	CHECK_POINTER(hm_regions_lock(host, FAKE_BASE), NULL);
}

static void a_wanted_place_is_known_before_the_system_is_asked(void)
{
	static const HRESULT answers[] = { S_OK, BAD_ADDRESS, E_OUTOFMEMORY };
	enum hm_region_phase phase = HM_REGION_ARRIVING;

	for (size_t i = 0; i < ROWS(answers); i++) {
		tap_row("0x%08x", (unsigned)answers[i]);
		start();
		fake.pages.hook = look_there;
		fake.pages.hook_state = &phase;
		fake.pages.answer[RESERVE] = answers[i];
		CHECK_HR(reserve(FAKE_BASE, PAGE, MEM_RESERVE | MEM_COMMIT,
				 PAGE_READWRITE | PAGE_GUARD),
			 answers[i]);
		fake.pages.hook = NULL;
		if (FAILED(answers[i]))
			check_nothing_left(0);
		else
			CHECK_USAGE(&fake, PAGE, PAGE);
		fake_host_end(&fake);
	}
}

static void memory_that_is_ours_already_is_an_impossible_answer(void)
{
	start();
	CHECK_HR(reserve(FAKE_BASE, PAGE, MEM_RESERVE, PAGE_NOACCESS), S_OK);
	/* As if somebody had unmapped it behind our back. */
	fake.pages.next = FAKE_BASE;
	CHECK_HR(reserve(0, PAGE, MEM_RESERVE, PAGE_NOACCESS), E_FAIL);
	CHECK_HR(hm_host_check(host), HOST_E_CLRNOTAVAILABLE);
	CHECK_USAGE(&fake, PAGE, 0);
	fake_host_end(&fake);
}

static void a_veto_keeps_the_system_out(void)
{
	start();
	ear.refuse = 1;
	CHECK_HR(reserve(0, PAGE, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE),
		 E_OUTOFMEMORY);
	CHECK_U32(fake.pages.calls[RESERVE], 0);
	check_nothing_left(0);
	fake_host_end(&fake);
}

static void probing_takes_nothing(void)
{
	static const struct {
		uintptr_t start;
		size_t size, asked;
		HRESULT answer;
		bool want;
	} rows[] = {
		{ 0, PAGE, PAGE, S_OK, true },
		{ 0, 0, PAGE, S_OK, true },
		{ 0, PAGE, PAGE, E_OUTOFMEMORY, false },
		{ FAKE_BASE + 1, PAGE, 2 * PAGE, S_OK, true },
		{ FAKE_BASE, PAGE, PAGE, BAD_ADDRESS, false },
		{ PAGE, PAGE, 0, S_OK, false },
		{ HM_USER_END, 1, 0, S_OK, false },
		{ 0, (size_t)1 << 63, 0, S_OK, false },
		{ FAKE_BASE, SIZE_MAX, 0, S_OK, false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		start();
		fake.pages.answer[RESERVE] = rows[i].answer;
		CHECK_INT(hm_reserve_probe(host, rows[i].start, rows[i].size),
			  rows[i].want);
		CHECK_SIZE(fake.pages.size, rows[i].asked);
		CHECK_U32(ear.count, 0);
		out = NULL;
		check_nothing_left(rows[i].want);
		CHECK_HR(hm_host_check(host), S_OK);
		fake_host_end(&fake);
	}
}

int main(void)
{
	TAP_RUN(a_bare_reservation_is_not_charged_and_raises_no_event);
	TAP_RUN(reserve_and_commit_is_one_commit_of_the_whole);
	TAP_RUN(guarded_pages_are_committed_without_access);
	TAP_RUN(a_wanted_place_goes_down_to_64_kib_and_up_to_a_page);
	TAP_RUN(a_conflict_with_ourselves_asks_nobody);
	TAP_RUN(what_cannot_be_given_is_refused_before_anybody_is_asked);
	TAP_RUN(the_system_is_told_of_large_pages_place_and_alignment);
	TAP_RUN(when_the_system_refuses_nothing_is_left);
	TAP_RUN(without_memory_for_the_records_nothing_is_left);
	TAP_RUN(a_wanted_place_is_known_before_the_system_is_asked);
	TAP_RUN(memory_that_is_ours_already_is_an_impossible_answer);
	TAP_RUN(a_veto_keeps_the_system_out);
	TAP_RUN(probing_takes_nothing);
	return tap_done();
}
