/*
 * GetUsage and WalkRegions.
 */
#include "host.h"

static struct host host;

struct walk {
	size_t count, stop_after; /* 0: go on to the end */
	MEMORY_BASIC_INFORMATION runs[128];
};

static BOOL HOSTMEM_CALL record(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	struct walk *walk = (struct walk *)state;

	if (!CHECK(walk->count < ROWS(walk->runs)))
		return FALSE;
	walk->runs[walk->count++] = *run;
	return walk->count != walk->stop_after;
}

/* Three regions: 4 pages "w-wr", 16 reserved, 2 committed. */
static void make_regions(void *bases[3])
{
	bases[0] = vm_new(&host, 4 * PAGE, MEM_RESERVE, PAGE_READONLY);
	CHECK_HR(vm_commit(&host, bases[0], PAGE, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_commit(&host, at(bases[0], 2 * PAGE), PAGE, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_commit(&host, at(bases[0], 3 * PAGE), PAGE, PAGE_READONLY), S_OK);
	bases[1] = vm_new(&host, 16 * PAGE, MEM_RESERVE, PAGE_NOACCESS);
	bases[2] = vm_new(&host, 2 * PAGE, MEM_COMMIT, PAGE_EXECUTE_READ | PAGE_GUARD);
}

static void release_regions(void *bases[3])
{
	for (size_t i = 0; i < 3; i++)
		CHECK_HR(vm_release(&host, bases[i]), S_OK);
}

static void the_walk_tells_every_run_in_ascending_order(void)
{
	struct walk walk = { 0 };
	size_t reserved = 0, committed = 0;
	void *bases[3];

	make_regions(bases);
	CHECK_HR(IHostMemoryControl_WalkRegions(host.control, record, &walk), S_OK);
	CHECK_SIZE(walk.count, 6);
	for (size_t i = 0; i < walk.count; i++) {
		const MEMORY_BASIC_INFORMATION *run = &walk.runs[i];
		MEMORY_BASIC_INFORMATION info;

		tap_row("run %zu", i);
		CHECK_HR(vm_query(&host, run->BaseAddress, &info), S_OK);
		snapshot_check_run(run, &info, __FILE__, __LINE__);
		CHECK(i == 0 || (uintptr_t)run->BaseAddress >
					(uintptr_t)walk.runs[i - 1].BaseAddress);
		reserved += run->RegionSize;
		committed += run->State == MEM_COMMIT ? run->RegionSize : 0;
	}
	CHECK_SIZE(reserved, host_usage(&host).cbReserved);
	CHECK_SIZE(committed, host_usage(&host).cbCommitted);
	release_regions(bases);
	walk.count = 0;
	CHECK_HR(IHostMemoryControl_WalkRegions(host.control, record, &walk), S_OK);
	CHECK_SIZE(walk.count, 0);
}

static void false_ends_the_walk(void)
{
	void *bases[3];

	make_regions(bases);
	for (size_t stop = 1; stop <= 6; stop++) {
		struct walk walk = { .stop_after = stop };

		tap_row("after %zu", stop);
		CHECK(SUCCEEDED(
			IHostMemoryControl_WalkRegions(host.control, record, &walk)));
		CHECK_SIZE(walk.count, stop);
	}
	release_regions(bases);
}

static void a_walk_needs_a_callback(void)
{
	CHECK_HR(IHostMemoryControl_WalkRegions(host.control, NULL, NULL), E_POINTER);
}

static void another_hosts_regions_are_not_told(void)
{
	struct walk walk = { 0 };
	struct host other;
	void *base;

	if (!host_create(&other, 0))
		return;
	base = vm_new(&other, UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(IHostMemoryControl_WalkRegions(host.control, record, &walk), S_OK);
	CHECK_SIZE(walk.count, 0);
	CHECK_HR(IHostMemoryControl_WalkRegions(other.control, record, &walk), S_OK);
	CHECK_SIZE(walk.count, 1);
	CHECK_HR(vm_release(&other, base), S_OK);
	host_destroy(&other);
}

static BOOL HOSTMEM_CALL release_it(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	CHECK_HR(vm_release(&host, run->AllocationBase), S_OK);
	++*(size_t *)state;
	return TRUE;
}

static BOOL HOSTMEM_CALL commit_it(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	void *other;

	CHECK_HR(vm_commit(&host, run->BaseAddress, run->RegionSize, PAGE_READWRITE),
		 S_OK);
	other = vm_new(&host, PAGE, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, other), S_OK);
	++*(size_t *)state;
	return TRUE;
}

static BOOL HOSTMEM_CALL walk_again(void *state, const MEMORY_BASIC_INFORMATION *run)
{
	struct walk walk = { 0 };

	CHECK_HR(IHostMemoryControl_WalkRegions(host.control, record, &walk), S_OK);
	CHECK_SIZE(walk.count, 6);
	CHECK(run->RegionSize != 0);
	++*(size_t *)state;
	return TRUE;
}

static void the_callback_may_change_what_it_is_told(void)
{
	void *bases[3];
	size_t calls = 0;

	make_regions(bases);
	CHECK_HR(IHostMemoryControl_WalkRegions(host.control, walk_again, &calls), S_OK);
	CHECK_SIZE(calls, 6);
	calls = 0;
	CHECK_HR(IHostMemoryControl_WalkRegions(host.control, commit_it, &calls), S_OK);
	CHECK(calls >= 3);
	CHECK_SIZE(host_usage(&host).cbCommitted, 22 * PAGE);
	calls = 0;
	CHECK_HR(IHostMemoryControl_WalkRegions(host.control, release_it, &calls), S_OK);
	CHECK_SIZE(calls, 3);
	CHECK_SIZE(host_usage(&host).cRegions, 0);
}

static void usage_counts_regions_pages_and_the_peak(void)
{
	HostMemUsage usage;
	void *bases[3];

	make_regions(bases);
	usage = host_usage(&host);
	CHECK_SIZE(usage.cRegions, 3);
	CHECK_SIZE(usage.cbReserved, 22 * PAGE);
	CHECK_SIZE(usage.cbCommitted, 5 * PAGE);
	CHECK_SIZE(usage.cbCharged, 5 * PAGE);
	CHECK(usage.cbPeakCharged >= 5 * PAGE);
	CHECK_SIZE(usage.cbHeap, 0);
	CHECK_SIZE(usage.cbExternal, 0);
	CHECK_SIZE(usage.cbRetained, 0);
	CHECK_SIZE(usage.cBlocks, 0);
	CHECK_SIZE(usage.cRefusedBudget, 0);
	CHECK_SIZE(usage.cRefusedCallback, 0);
	CHECK_SIZE(usage.cRefusedInjected, 0);
	CHECK_SIZE(usage.cFailedOs, 0);
	CHECK_SIZE(usage.cNotifications, 0);
	release_regions(bases);
	CHECK_SIZE(host_usage(&host).cbCharged, 0);
	CHECK_SIZE(host_usage(&host).cbPeakCharged, usage.cbPeakCharged);
}

static void the_peak_is_the_most_that_was_charged_at_once(void)
{
	struct host fresh;
	void *base, *other;

	if (!host_create(&fresh, 0))
		return;
	base = vm_new(&fresh, 4 * UNIT, MEM_RESERVE, PAGE_NOACCESS);
	CHECK_SIZE(host_usage(&fresh).cbPeakCharged, 0);
	CHECK_HR(vm_commit(&fresh, base, 2 * UNIT, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_free(&fresh, base, UNIT, MEM_DECOMMIT), S_OK);
	other = vm_new(&fresh, PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_SIZE(host_usage(&fresh).cbPeakCharged, 2 * UNIT);
	CHECK_HR(vm_commit(&fresh, base, 3 * UNIT, PAGE_READWRITE), S_OK);
	CHECK_SIZE(host_usage(&fresh).cbPeakCharged, 3 * UNIT + PAGE);
	CHECK_HR(vm_release(&fresh, base), S_OK);
	CHECK_HR(vm_release(&fresh, other), S_OK);
	CHECK_SIZE(host_usage(&fresh).cbPeakCharged, 3 * UNIT + PAGE);
	host_destroy(&fresh);
}

/* In: what the caller has; out: what was filled in. */
static void usage_of_callers_with_another_size(void)
{
	enum { OURS = sizeof(HostMemUsage), ROOM = OURS + 64 };
	static const struct {
		uint32_t size;
		HRESULT want;
	} rows[] = {
		{ 0, E_INVALIDARG },
		{ 4, E_INVALIDARG },
		{ 8, E_INVALIDARG },
		{ 15, E_INVALIDARG },
		{ 17, E_INVALIDARG },
		{ 20, E_INVALIDARG },
		{ 16, S_OK },
		{ 24, S_OK },
		{ OURS - 8, S_OK },
		{ OURS, S_OK },
		{ OURS + 8, S_OK },
		{ ROOM, S_OK },
		{ OURS + 1, E_INVALIDARG },
		{ UINT32_MAX, E_INVALIDARG },
	};
	void *base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);

	for (size_t i = 0; i < ROWS(rows); i++) {
		union {
			HostMemUsage usage;
			unsigned char bytes[ROOM];
		} buffer;
		size_t filled = rows[i].size < OURS ? rows[i].size : OURS;

		tap_row("cbSize %u", rows[i].size);
		memset(&buffer, POISON_BYTE, sizeof(buffer));
		buffer.usage.cbSize = rows[i].size;
		CHECK_HR(IHostMemoryControl_GetUsage(host.control, &buffer.usage),
			 rows[i].want);
		if (rows[i].want != S_OK)
			filled = 4; /* cbSize, whatever it holds now */
		else
			CHECK_SIZE(buffer.usage.cbReserved, UNIT);
		for (size_t byte = filled; byte < ROOM; byte++) {
			if (!CHECK_INT(buffer.bytes[byte], POISON_BYTE))
				break;
		}
		if (rows[i].want == S_OK)
			CHECK_U32(buffer.usage.cbSize, (uint32_t)filled);
	}
	CHECK_HR(vm_release(&host, base), S_OK);
	CHECK_HR(IHostMemoryControl_GetUsage(host.control, NULL), E_POINTER);
}

int main(void)
{
	if (!host_create(&host, 0))
		return 1;
	TAP_RUN(the_walk_tells_every_run_in_ascending_order);
	TAP_RUN(false_ends_the_walk);
	TAP_RUN(a_walk_needs_a_callback);
	TAP_RUN(another_hosts_regions_are_not_told);
	TAP_RUN(the_callback_may_change_what_it_is_told);
	TAP_RUN(usage_counts_regions_pages_and_the_peak);
	TAP_RUN(the_peak_is_the_most_that_was_charged_at_once);
	TAP_RUN(usage_of_callers_with_another_size);
	host_destroy(&host);
	return tap_done();
}
