/*
 * VirtualProtect and the faults of guarded pages, on pages that do not exist.
 */
#include "hostmem/protect.h"
#include "fake.h"
#include "hostmem/os/thread.h"
#include "hostmem/protection.h"
#include "hostmem/regions.h"
#include "hostmem/reserve.h"

#include <pthread.h>

#define PAGES 300U
#define END (FAKE_BASE + PAGES * PAGE)
#define POISON 0x5A5A5A5AU

static struct fake_host fake;
static struct hm_host *host = &fake.host;

static void start(DWORD protect)
{
	struct hm_allocation want = { .size = PAGES * PAGE,
				      .alignment = UNIT,
				      .type = MEM_RESERVE | MEM_COMMIT,
				      .protect = protect };
	void *out = NULL;

	fake_host_init(&fake);
	CHECK_HR(hm_reserve(host, &want, &out), S_OK);
	CHECK_POINTER(out, (void *)FAKE_BASE);
	fake.pages.large = 8 * PAGE;
}

static HRESULT protect_pages(size_t first, size_t count, DWORD protect, DWORD *old)
{
	*old = POISON;
	return hm_protect(host, FAKE_BASE + first * PAGE, count * PAGE, protect, old);
}

static unsigned code_of(size_t page)
{
	struct hm_region_view view = { .base = 0 };
	unsigned code = 99;

	CHECK(hm_regions_find(FAKE_BASE, &view));
	CHECK_SIZE(hm_states_run(&view.states, page, 1, &code), 1);
	return code;
}

static void check_code(size_t page, DWORD protect)
{
	CHECK_U32(code_of(page), hm_code_from_protection(protect));
}

static void the_old_protection_is_that_of_the_first_page(void)
{
	static const struct {
		size_t first, count;
		DWORD protect, old;
		unsigned calls;
	} rows[] = {
		{ 10, 5, PAGE_READONLY, PAGE_READWRITE, 1 },
		{ 8, 5, PAGE_EXECUTE, PAGE_READWRITE, 2 },
		{ 8, 5, PAGE_EXECUTE, PAGE_EXECUTE, 2 },
		{ 8, 7, PAGE_NOACCESS, PAGE_EXECUTE, 3 },
		{ 9, 1, PAGE_READONLY | PAGE_GUARD, PAGE_NOACCESS, 4 },
		{ 9, 2, PAGE_READWRITE, PAGE_READONLY | PAGE_GUARD, 5 },
		{ 0, PAGES, PAGE_EXECUTE_READWRITE, PAGE_READWRITE, 6 },
		{ PAGES - 1, 1, PAGE_EXECUTE_READ | PAGE_TARGETS_INVALID,
		  PAGE_EXECUTE_READWRITE, 7 },
		{ PAGES - 1, 1, PAGE_READONLY, PAGE_EXECUTE_READ, 8 },
	};
	DWORD old;

	start(PAGE_READWRITE);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("row %zu", i);
		CHECK_HR(protect_pages(rows[i].first, rows[i].count, rows[i].protect,
				       &old),
			 S_OK);
		CHECK_U32(old, rows[i].old);
		CHECK_U32(fake.pages.calls[PROTECT], rows[i].calls);
		CHECK_U32(code_of(rows[i].first + rows[i].count - 1),
			  hm_code_from_protection(rows[i].protect));
		CHECK_USAGE(&fake, PAGES * PAGE, PAGES * PAGE);
	}
	fake_host_end(&fake);
}

static void the_range_goes_out_to_whole_pages(void)
{
	DWORD old;

	start(PAGE_READWRITE);
	CHECK_HR(hm_protect(host, FAKE_BASE + 2 * PAGE - 1, 2, PAGE_READONLY, &old),
		 S_OK);
	CHECK_SIZE(fake.pages.address, FAKE_BASE + PAGE);
	CHECK_SIZE(fake.pages.size, 2 * PAGE);
	CHECK_U32(fake.pages.access, HM_ACCESS_READ);
	check_code(0, PAGE_READWRITE);
	check_code(2, PAGE_READONLY);
	check_code(3, PAGE_READWRITE);
	fake_host_end(&fake);
}

static void what_belongs_to_the_reservation_is_told_with_every_page(void)
{
	static const DWORD modifiers[] = { PAGE_NOCACHE, PAGE_WRITECOMBINE };
	DWORD old;

	for (size_t i = 0; i < ROWS(modifiers); i++) {
		tap_row("0x%x", modifiers[i]);
		start(PAGE_READWRITE | modifiers[i]);
		CHECK_HR(protect_pages(0, 1, PAGE_READONLY, &old), S_OK);
		CHECK_U32(old, PAGE_READWRITE | modifiers[i]);
		CHECK_HR(protect_pages(0, 1, PAGE_READWRITE, &old), S_OK);
		CHECK_U32(old, PAGE_READONLY | modifiers[i]);
		fake_host_end(&fake);
	}
	start(PAGE_READWRITE);
	CHECK_HR(protect_pages(0, 1, PAGE_READONLY | PAGE_NOCACHE, &old), S_OK);
	CHECK_HR(protect_pages(0, 1, PAGE_READONLY, &old), S_OK);
	CHECK_U32(old, PAGE_READONLY);
	fake_host_end(&fake);
}

static void a_range_must_be_all_ours_and_all_committed(void)
{
	static const struct {
		const char *name;
		size_t first, count;
		HRESULT want;
	} rows[] = {
		{ "past the end", PAGES - 1, 2, BAD_ADDRESS },
		{ "far past it", 0, 10 * PAGES, BAD_ADDRESS },
		{ "a hole in front", 20, 5, BAD_ADDRESS },
		{ "a hole inside", 0, PAGES, BAD_ADDRESS },
		{ "a hole behind", 15, 6, BAD_ADDRESS },
		{ "up to the hole", 15, 5, S_OK },
	};
	struct hm_states_change change;
	struct hm_region *region;
	DWORD old;

	start(PAGE_READWRITE);
	region = hm_regions_lock(host, FAKE_BASE);
	CHECK(hm_region_prepare(region, FAKE_BASE + 20 * PAGE, PAGE, HM_STATE_RESERVED,
				HM_NEED_NORMAL, &change));
	hm_region_publish(region, &change);
	hm_regions_unlock(region);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("%s", rows[i].name);
		CHECK_HR(protect_pages(rows[i].first, rows[i].count, PAGE_READONLY, &old),
			 rows[i].want);
		CHECK_U32(old, FAILED(rows[i].want) ? POISON : PAGE_READWRITE);
		check_code(0, PAGE_READWRITE);
		check_code(PAGES - 1, PAGE_READWRITE);
	}
	CHECK_U32(fake.pages.calls[PROTECT], 1);
	CHECK_U32(hm_host_release(host), 0);
	CHECK_U32(fake.destroyed, 1);
}

static void large_pages_and_strictness_have_their_say(void)
{
	struct hm_region *region;
	DWORD old;

	start(PAGE_READWRITE);
	region = hm_regions_lock(host, FAKE_BASE);
	atomic_store(&region->traits, HM_REGION_LARGE);
	hm_regions_unlock(region);
	CHECK_HR(protect_pages(1, 8, PAGE_READONLY, &old), E_INVALIDARG);
	CHECK_HR(protect_pages(8, 9, PAGE_READONLY, &old), E_INVALIDARG);
	CHECK_HR(protect_pages(8, 8, PAGE_READONLY, &old), S_OK);
	host->strict_execute = true;
	CHECK_HR(protect_pages(8, 8, PAGE_EXECUTE_READWRITE, &old), E_ACCESSDENIED);
	CHECK_U32(old, POISON);
	CHECK_HR(hm_protect(host, (uintptr_t)&old, 1, PAGE_EXECUTE_READWRITE, &old),
		 E_ACCESSDENIED);
	CHECK_HR(protect_pages(8, 8, PAGE_EXECUTE_READ, &old), S_OK);
	fake_host_end(&fake);
}

static void when_the_system_refuses_nothing_has_changed(void)
{
	static const struct {
		HRESULT answer;
		size_t failed_os;
		bool usable;
	} rows[] = {
		{ E_OUTOFMEMORY, 1, true },
		{ E_ACCESSDENIED, 0, true },
		{ E_FAIL, 0, false },
	};
	DWORD old;

	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t in_use;

		tap_row("0x%08x", (unsigned)rows[i].answer);
		start(PAGE_READWRITE);
		in_use = hm_metadata_in_use();
		fake.pages.answer[PROTECT] = rows[i].answer;
		CHECK_HR(protect_pages(5, 5, PAGE_READONLY, &old), rows[i].answer);
		CHECK_U32(old, POISON);
		check_code(5, PAGE_READWRITE);
		CHECK_SIZE(hm_metadata_in_use(), in_use);
		CHECK_SIZE(fake_usage(&fake).cFailedOs, rows[i].failed_os);
		CHECK_INT(hm_host_check(host) == S_OK, rows[i].usable);
		fake_host_end(&fake);
	}
}

static void without_memory_the_system_is_not_asked(void)
{
	struct hoard hoard;
	DWORD old;

	start(PAGE_READWRITE);
	hoard_kind(&hoard, HM_METADATA_STATES, HM_NEED_NORMAL);
	CHECK_HR(protect_pages(5, 5, PAGE_READONLY, &old), E_OUTOFMEMORY);
	CHECK_U32(fake.pages.calls[PROTECT], 0);
	/* The whole reservation alike again needs none. */
	CHECK_HR(protect_pages(0, PAGES, PAGE_READONLY, &old), S_OK);
	hoard_end(&hoard, HM_METADATA_STATES);
	fake_host_end(&fake);
}

static void a_fault_takes_the_guard_of_one_page_away(void)
{
	struct hoard hoard;
	size_t in_use;

	start(PAGE_READWRITE | PAGE_GUARD);
	in_use = hm_metadata_in_use();
	hoard_kind(&hoard, HM_METADATA_STATES, HM_NEED_TO_FREE);
	CHECK_HR(hm_handle_fault(FAKE_BASE + 7 * PAGE + 123, true), S_OK);
	hoard_end(&hoard, HM_METADATA_STATES);
	CHECK_SIZE(hm_metadata_in_use(), in_use);
	CHECK_U32(fake.pages.calls[PROTECT], 1);
	CHECK_SIZE(fake.pages.address, FAKE_BASE + 7 * PAGE);
	CHECK_SIZE(fake.pages.size, PAGE);
	CHECK_U32(fake.pages.access, HM_ACCESS_READ | HM_ACCESS_WRITE);
	check_code(6, PAGE_READWRITE | PAGE_GUARD);
	check_code(7, PAGE_READWRITE);
	check_code(8, PAGE_READWRITE | PAGE_GUARD);
	fake_host_end(&fake);
}

static void a_guard_goes_even_where_the_access_stays_forbidden(void)
{
	start(PAGE_READONLY | PAGE_GUARD);
	CHECK_HR(hm_handle_fault(FAKE_BASE, true), S_OK);
	check_code(0, PAGE_READONLY);
	CHECK_HR(hm_handle_fault(FAKE_BASE, true), S_FALSE);
	fake_host_end(&fake);
}

static void a_fault_that_is_no_guard_is_not_ours(void)
{
	static const struct {
		DWORD protect;
		bool write;
		HRESULT want;
	} rows[] = {
		{ PAGE_NOACCESS, false, S_FALSE }, { PAGE_NOACCESS, true, S_FALSE },
		{ PAGE_READONLY, true, S_FALSE },  { PAGE_EXECUTE_READ, true, S_FALSE },
		{ PAGE_READONLY, false, S_OK },    { PAGE_READWRITE, true, S_OK },
		{ PAGE_EXECUTE, false, S_OK },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("0x%x, write %d", rows[i].protect, rows[i].write);
		start(rows[i].protect);
		/* Of a page whose access allows it: another thread was faster. */
		CHECK_HR(hm_handle_fault(FAKE_BASE, rows[i].write), rows[i].want);
		CHECK_U32(fake.pages.calls[PROTECT], 0);
		fake_host_end(&fake);
	}
	start(PAGE_READWRITE | PAGE_GUARD);
	CHECK_HR(hm_handle_fault(END, false), S_FALSE);
	CHECK_HR(hm_handle_fault(FAKE_BASE - 1, false), S_FALSE);
	CHECK_HR(hm_handle_fault(0, false), S_FALSE);
	CHECK_HR(hm_handle_fault(UINTPTR_MAX, true), S_FALSE);
	fake.pages.answer[PROTECT] = E_OUTOFMEMORY;
	CHECK_HR(hm_handle_fault(FAKE_BASE, false), S_FALSE);
	check_code(0, PAGE_READWRITE | PAGE_GUARD);
	fake_host_end(&fake);
}

static void a_fault_that_comes_again_and_again_is_not_believed(void)
{
	unsigned believed = 0;

	start(PAGE_READWRITE | PAGE_GUARD);
	CHECK_HR(hm_handle_fault(FAKE_BASE, false), S_OK);
	while (believed < 1000 && hm_handle_fault(FAKE_BASE, false) == S_OK)
		believed++;
	CHECK(believed > 0 && believed < 1000);
	/* Another page is believed, and then this one again. */
	CHECK_HR(hm_handle_fault(FAKE_BASE + PAGE, false), S_OK);
	CHECK_HR(hm_handle_fault(FAKE_BASE + PAGE, false), S_OK);
	CHECK_HR(hm_handle_fault(FAKE_BASE, false), S_OK);
	fake_host_end(&fake);
}

static void *fault_elsewhere(void *unused)
{
	/* The other thread has the lock, and keeps it until this one has ended. */
	CHECK_HR(hm_handle_fault(FAKE_BASE, false), S_OK);
	return unused;
}

static void a_handler_never_waits(void)
{
	struct hm_region *region;
	pthread_t thread;

	start(PAGE_READWRITE | PAGE_GUARD);
	hm_calls_enter();
	region = hm_regions_lock(host, FAKE_BASE);
	CHECK_INT(pthread_create(&thread, NULL, fault_elsewhere, NULL), 0);
	CHECK_INT(pthread_join(thread, NULL), 0);
	CHECK_HR(hm_handle_fault(FAKE_BASE, false), S_OK);
	hm_regions_unlock(region);
	hm_calls_leave();
	check_code(0, PAGE_READWRITE | PAGE_GUARD);
	CHECK_HR(hm_handle_fault(FAKE_BASE, false), S_OK);
	check_code(0, PAGE_READWRITE);
	fake_host_end(&fake);
}

int main(void)
{
	TAP_RUN(the_old_protection_is_that_of_the_first_page);
	TAP_RUN(the_range_goes_out_to_whole_pages);
	TAP_RUN(what_belongs_to_the_reservation_is_told_with_every_page);
	TAP_RUN(a_range_must_be_all_ours_and_all_committed);
	TAP_RUN(large_pages_and_strictness_have_their_say);
	TAP_RUN(when_the_system_refuses_nothing_has_changed);
	TAP_RUN(without_memory_the_system_is_not_asked);
	TAP_RUN(a_fault_takes_the_guard_of_one_page_away);
	TAP_RUN(a_guard_goes_even_where_the_access_stays_forbidden);
	TAP_RUN(a_fault_that_is_no_guard_is_not_ours);
	TAP_RUN(a_fault_that_comes_again_and_again_is_not_believed);
	TAP_RUN(a_handler_never_waits);
	return tap_done();
}
