/*
 * VirtualQuery and the walk over a host's regions, on pages that do not exist.
 */
#include "hostmem/query.h"
#include "fake.h"
#include "hostmem/commit.h"
#include "hostmem/protection.h"
#include "hostmem/regions.h"
#include "hostmem/release.h"
#include "hostmem/reserve.h"

#include <pthread.h>

#define PAGES 300U
#define END (FAKE_BASE + PAGES * PAGE)

static struct fake_host fake, other;
static struct hm_host *host = &fake.host;

static void *reserve(struct fake_host *of, size_t pages, DWORD type, DWORD protect)
{
	struct hm_allocation want = {
		.size = pages * PAGE, .alignment = UNIT, .type = type, .protect = protect
	};
	void *out = NULL;

	CHECK_HR(hm_reserve(&of->host, &want, &out), S_OK);
	return out;
}

static void set_code(uintptr_t address, size_t pages, unsigned code)
{
	struct hm_region *region = hm_regions_lock(host, address);
	struct hm_states_change change;

	if (!CHECK(region != NULL))
		return;
	CHECK(hm_region_prepare(region, address, pages * PAGE, code, HM_NEED_NORMAL,
				&change));
	hm_region_publish(region, &change);
	hm_regions_unlock(region);
}

static void commit(size_t first, size_t pages, DWORD protect)
{
	struct hm_allocation want = { .address = FAKE_BASE + first * PAGE,
				      .size = pages * PAGE,
				      .type = MEM_COMMIT,
				      .protect = protect };
	void *out;

	CHECK_HR(hm_commit(host, &want, &out), S_OK);
}

/* A host with one reservation, some of whose pages are committed. */
static void start(DWORD protect)
{
	fake_host_init(&fake);
	CHECK_POINTER(reserve(&fake, PAGES, MEM_RESERVE, protect), (void *)FAKE_BASE);
	commit(5, 3, PAGE_READONLY);
	commit(8, 1, PAGE_READWRITE | PAGE_GUARD);
	commit(20, PAGES - 20, PAGE_EXECUTE_READ);
}

static const struct row {
	size_t page, run;
	DWORD state, protect;
} rows[] = {
	{ 0, 5, MEM_RESERVE, 0 },
	{ 4, 1, MEM_RESERVE, 0 },
	{ 5, 3, MEM_COMMIT, PAGE_READONLY },
	{ 7, 1, MEM_COMMIT, PAGE_READONLY },
	{ 8, 1, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD },
	{ 9, 11, MEM_RESERVE, 0 },
	{ 20, PAGES - 20, MEM_COMMIT, PAGE_EXECUTE_READ },
	{ PAGES - 1, 1, MEM_COMMIT, PAGE_EXECUTE_READ },
};

static void check_row(const struct row *row, uintptr_t offset, DWORD sticky)
{
	uintptr_t page = FAKE_BASE + row->page * PAGE;
	MEMORY_BASIC_INFORMATION info;

	memset(&info, 0x5A, sizeof(info));
	tap_row("page %zu + %zu", row->page, (size_t)offset);
	CHECK_HR(hm_query(host, page + offset, &info), S_OK);
	CHECK_POINTER(info.BaseAddress, (void *)page);
	CHECK_POINTER(info.AllocationBase, (void *)FAKE_BASE);
	CHECK_U32(info.AllocationProtect, PAGE_READWRITE | sticky);
	CHECK_SIZE(info.RegionSize, row->run * PAGE);
	CHECK_U32(info.State, row->state);
	CHECK_U32(info.Protect, row->protect | (row->protect != 0 ? sticky : 0));
	CHECK_U32(info.Type, MEM_PRIVATE);
}

static void a_run_begins_at_the_page_and_ends_where_the_state_does(void)
{
	start(PAGE_READWRITE);
	for (size_t i = 0; i < ROWS(rows); i++) {
		check_row(&rows[i], 0, 0);
		check_row(&rows[i], PAGE - 1, 0);
	}
	fake_host_end(&fake);
}

static void what_belongs_to_the_reservation_is_told_with_committed_pages(void)
{
	start(PAGE_READWRITE | PAGE_WRITECOMBINE);
	for (size_t i = 0; i < ROWS(rows); i++)
		check_row(&rows[i], 1, PAGE_WRITECOMBINE);
	fake_host_end(&fake);
}

static void asking_takes_no_lock_and_no_system_call(void)
{
	struct hm_system_calls kept;
	struct hm_region *region;

	start(PAGE_READWRITE);
	kept = hm_system;
	memset(&hm_system, 0, sizeof(hm_system));
	region = hm_regions_lock(host, FAKE_BASE);
	/* Whatever waited for the lock or called the system would not return. */
	for (size_t i = 0; i < ROWS(rows); i++)
		check_row(&rows[i], 0, 0);
	hm_regions_unlock(region);
	hm_system = kept;
	fake_host_end(&fake);
}

static void what_is_not_live_memory_of_the_host_is_asked_of_the_system(void)
{
	MEMORY_BASIC_INFORMATION info;
	uintptr_t theirs;

	start(PAGE_READWRITE);
	fake_host_init(&other);
	other.pages.next = END + 100 * UNIT;
	theirs = (uintptr_t)reserve(&other, 1, MEM_RESERVE, PAGE_READWRITE);
	/* The system knows of no reservation there; a sanitizer may have it mapped. */
	CHECK_HR(hm_query(host, theirs, &info), S_OK);
	CHECK(info.State != MEM_RESERVE);
	CHECK_HR(hm_query(&other.host, theirs, &info), S_OK);
	CHECK_U32(info.State, MEM_RESERVE);
	CHECK_HR(hm_query(host, FAKE_BASE - 1, &info), S_OK);
	CHECK(info.State != MEM_RESERVE);
	CHECK_HR(hm_query(host, (uintptr_t)&info, &info), S_OK);
	CHECK_U32(info.State, MEM_COMMIT);
	CHECK_HR(hm_query(host, UINTPTR_MAX, &info), E_INVALIDARG);
	fake_host_end(&other);
	fake_host_end(&fake);
}

/* The walk, written down. */
static struct walk {
	MEMORY_BASIC_INFORMATION runs[16];
	size_t count, most;
	uintptr_t release; /* given back when its first run is told */
} walk;

static BOOL HOSTMEM_CALL note(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	CHECK_POINTER(state, &walk);
	if (walk.count < ROWS(walk.runs))
		walk.runs[walk.count] = *run;
	walk.count++;
	if (walk.release != 0 && walk.release == (uintptr_t)run->AllocationBase)
		CHECK_HR(hm_release(host, walk.release), S_OK);
	return walk.count < walk.most;
}

static size_t walk_all(size_t most)
{
	walk.count = 0;
	walk.most = most;
	hm_walk(host, note, &walk);
	return walk.count;
}

static void the_walk_tells_every_run_of_the_host_in_order(void)
{
	uintptr_t second;

	memset(&walk, 0, sizeof(walk));
	start(PAGE_READWRITE);
	fake_host_init(&other);
	other.pages.next = END + 16 * UNIT;
	(void)reserve(&other, 10, MEM_RESERVE, PAGE_READWRITE);
	fake.pages.next = END + 32 * UNIT;
	second = (uintptr_t)reserve(&fake, 2, MEM_RESERVE | MEM_COMMIT, PAGE_READONLY);
	CHECK_SIZE(walk_all(SIZE_MAX), 6);
	for (size_t i = 1; i < 6; i++) {
		tap_row("run %zu", i);
		CHECK((uintptr_t)walk.runs[i].BaseAddress >=
		      (uintptr_t)walk.runs[i - 1].BaseAddress +
			      walk.runs[i - 1].RegionSize);
	}
	CHECK_POINTER(walk.runs[0].BaseAddress, (void *)FAKE_BASE);
	CHECK_POINTER(walk.runs[4].AllocationBase, (void *)FAKE_BASE);
	CHECK_POINTER(walk.runs[5].AllocationBase, (void *)second);
	CHECK_U32(walk.runs[5].State, MEM_COMMIT);
	CHECK_SIZE(walk_all(3), 3);
	CHECK_SIZE(walk_all(1), 1);
	fake_host_end(&other);
	fake_host_end(&fake);
}

static void the_walk_goes_on_behind_what_goes_meanwhile(void)
{
	memset(&walk, 0, sizeof(walk));
	start(PAGE_READWRITE);
	fake.pages.next = END + 16 * UNIT;
	(void)reserve(&fake, 2, MEM_RESERVE, PAGE_READONLY);
	walk.release = FAKE_BASE;
	CHECK_SIZE(walk_all(SIZE_MAX), 2);
	CHECK_SIZE((uintptr_t)walk.runs[1].AllocationBase, fake.pages.next - UNIT);
	walk.release = 0;
	CHECK_SIZE(walk_all(SIZE_MAX), 1);
	fake_host_end(&fake);
	fake_host_init(&fake);
	CHECK_SIZE(walk_all(SIZE_MAX), 0);
	fake_host_end(&fake);
}

static void parts_of_one_reservation_are_walked_as_their_own(void)
{
	memset(&walk, 0, sizeof(walk));
	start(PAGE_READWRITE);
	CHECK_HR(hm_release_range(host, FAKE_BASE + PAGE, PAGE), S_OK);
	CHECK_HR(hm_release_range(host, FAKE_BASE + 3 * PAGE, PAGE), S_OK);
	CHECK_SIZE(walk_all(3), 3);
	for (size_t i = 0; i < 3; i++) {
		tap_row("part %zu", i);
		CHECK_POINTER(walk.runs[i].AllocationBase,
			      (void *)(FAKE_BASE + 2 * i * PAGE));
		CHECK_SIZE(walk.runs[i].RegionSize, PAGE);
	}
	fake_host_end(&fake);
}

/* Commits and gives back while others ask: each answer is one that was true once. */
static _Atomic bool writer_done;

static void *change_often(void *unused)
{
	unsigned committed = hm_code_from_protection(PAGE_READWRITE);

	for (unsigned i = 0; i < 5000; i++) {
		set_code(FAKE_BASE + 100 * PAGE, 20, committed);
		set_code(FAKE_BASE + 110 * PAGE, 20, committed);
		set_code(FAKE_BASE + 100 * PAGE, 30, HM_STATE_RESERVED);
	}
	atomic_store(&writer_done, true);
	return unused;
}

static void an_answer_is_never_half_of_two(void)
{
	MEMORY_BASIC_INFORMATION info;
	pthread_t writer;

	fake_host_init(&fake);
	(void)reserve(&fake, PAGES, MEM_RESERVE, PAGE_READWRITE);
	CHECK_INT(pthread_create(&writer, NULL, change_often, NULL), 0);
	while (!atomic_load(&writer_done)) {
		CHECK_HR(hm_query(host, FAKE_BASE + 100 * PAGE, &info), S_OK);
		if (info.State == MEM_COMMIT)
			CHECK(info.RegionSize == 20 * PAGE ||
			      info.RegionSize == 30 * PAGE);
		else
			CHECK_SIZE(info.RegionSize, (PAGES - 100) * PAGE);
		CHECK_POINTER(info.AllocationBase, (void *)FAKE_BASE);
	}
	CHECK_INT(pthread_join(writer, NULL), 0);
	CHECK_U32(hm_host_release(host), 0);
}

int main(void)
{
	TAP_RUN(a_run_begins_at_the_page_and_ends_where_the_state_does);
	TAP_RUN(what_belongs_to_the_reservation_is_told_with_committed_pages);
	TAP_RUN(asking_takes_no_lock_and_no_system_call);
	TAP_RUN(what_is_not_live_memory_of_the_host_is_asked_of_the_system);
	TAP_RUN(the_walk_tells_every_run_of_the_host_in_order);
	TAP_RUN(the_walk_goes_on_behind_what_goes_meanwhile);
	TAP_RUN(parts_of_one_reservation_are_walked_as_their_own);
	TAP_RUN(an_answer_is_never_half_of_two);
	return tap_done();
}
