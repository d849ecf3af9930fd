/*
 * The budget as what makes memory low: whoever charges too much is not told, the monitor's
 * thread tells, once; and whatever many threads do about the mark, in the end the state is
 * what the figures say.
 */
#include "monitor.h"

#include <pthread.h>

static struct watched watched;

static bool begin(size_t soft_limit)
{
	HostMemBudget budget = budget_of(LIMIT);

	budget.cbSoftLimit = soft_limit;
	return watched_begin(&watched, &budget);
}

/* Whoever looks finds what the monitor would; and the mark that it would set is set. */
static void look_around(void)
{
	EMemoryAvailable available;

	CHECK_HR(IHostMemoryMonitor_Look(watched.monitor, &available), S_OK);
	CHECK_INT(available, NEUTRAL);
	CHECK_HEARD(&watched.callback, "");
}

/* ---- Crossing ---- */

static IHostMalloc *heap;

static void *by_commit(size_t pages)
{
	return take_pages(&watched, pages);
}

static void uncommit(void *base, size_t pages)
{
	(void)pages;
	give_pages(&watched, base);
}

static void *by_commit_of_reserved(size_t pages)
{
	void *base = vm_new(&watched.host, LIMIT, MEM_RESERVE, PAGE_READWRITE);

	CHECK_HR(vm_commit(&watched.host, base, pages * PAGE, PAGE_READWRITE), S_OK);
	return base;
}

static void *by_aligned(size_t pages)
{
	void *base = NULL;

	CHECK_HR(IHostMemoryPages_ReserveAligned(watched.host.pages, pages * PAGE, UNIT,
						 MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE,
						 eTaskCritical, &base),
		 S_OK);
	return base;
}

static void *by_heap(size_t pages)
{
	void *block = NULL;

	CHECK_HR(IHostMemoryManager_CreateMalloc(watched.host.manager, MALLOC_THREADSAFE,
						 &heap),
		 S_OK);
	CHECK_HR(IHostMalloc_Alloc(heap, (pages - 1) * PAGE, eTaskCritical, &block),
		 S_OK);
	return block;
}

static void free_heap(void *block, size_t pages)
{
	(void)pages;
	CHECK_HR(IHostMalloc_Free(heap, block), S_OK);
	IHostMalloc_Release(heap);
}

static void *by_small_blocks(size_t pages)
{
	void *block;

	CHECK_HR(IHostMemoryManager_CreateMalloc(watched.host.manager, MALLOC_THREADSAFE,
						 &heap),
		 S_OK);
	while (host_usage(&watched.host).cbCharged < pages * PAGE &&
	       CHECK_HR(IHostMalloc_Alloc(heap, 200, eTaskCritical, &block), S_OK))
		;
	return heap;
}

static void free_small_blocks(void *base, size_t pages)
{
	(void)base, (void)pages;
	IHostMalloc_Release(heap);
}

static void *by_mapping(size_t pages)
{
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(watched.host.manager,
								at(NULL, 64 * UNIT),
								pages * PAGE),
		 S_OK);
	return at(NULL, 64 * UNIT);
}

static void unmap(void *base, size_t pages)
{
	(void)pages;
	CHECK_HR(IHostMemoryManager_ReleasedVirtualAddressSpace(watched.host.manager,
								base),
		 S_OK);
}

static const struct {
	const char *what;
	void *(*take)(size_t pages);
	void (*give)(void *base, size_t pages);
} ways[] = {
	{ "VirtualAlloc", by_commit, uncommit },
	{ "commit", by_commit_of_reserved, uncommit },
	{ "ReserveAligned", by_aligned, uncommit },
	{ "a large block", by_heap, free_heap },
	{ "small blocks", by_small_blocks, free_small_blocks },
	{ "a mapping", by_mapping, unmap },
};

static void whatever_crosses_the_mark_is_told_once_by_the_monitor(void)
{
	for (size_t i = 0; i < ROWS(ways) && begin(SIZE_MAX); i++) {
		uint64_t calls;
		void *base;

		tap_row("%s", ways[i].what);
		look_around();
		calls = source_calls(watched.monitor, HostMemSourceBudget);
		base = ways[i].take(92);
		wait_for_told(&watched, 1);
		CHECK(atomic_load(&watched.told_by) != thread_id());
		CHECK(source_calls(watched.monitor, HostMemSourceBudget) > calls);
		wait_for_looks(&watched);
		CHECK_HEARD(&watched.callback, "1");
		ways[i].give(base, 92);
		wait_for_told(&watched, 2);
		CHECK(atomic_load(&watched.told_by) != thread_id());
		CHECK_HEARD(&watched.callback, "2");
		watched_end(&watched);
	}
}

/* A Low of a load wants 90 per cent, one of the soft limit a byte more than that. */
static void the_mark_is_exact(void)
{
	static const struct {
		size_t soft_limit, quiet; /* pages */
	} rows[] = { { SIZE_MAX / PAGE, 89 }, { 50, 50 }, { 0, 0 }, { 95, 89 } };

	for (size_t i = 0; i < ROWS(rows) && begin(rows[i].soft_limit * PAGE); i++) {
		void *base = NULL, *one;

		tap_row("row %zu", i);
		look_around();
		if (rows[i].quiet != 0)
			base = take_pages(&watched, rows[i].quiet);
		CHECK_SIZE(source_calls(watched.monitor, HostMemSourceBudget), 0);
		look_around();
		one = take_pages(&watched, 1);
		wait_for_told(&watched, 1);
		CHECK_HEARD(&watched.callback, "1");
		give_pages(&watched, one);
		if (base != NULL)
			give_pages(&watched, base);
		wait_for_told(&watched, 2);
		CHECK_HEARD(&watched.callback, "2");
		watched_end(&watched);
	}
}

static void a_budget_that_shrinks_below_what_is_charged_is_told(void)
{
	HostMemBudget budget = budget_of(LIMIT);
	uint64_t calls;
	void *base;

	if (!begin(SIZE_MAX))
		return;
	base = take_pages(&watched, 40);
	calls = source_calls(watched.monitor, HostMemSourceBudget);
	budget.cbLimit = 30 * PAGE;
	CHECK_HR(budget_set(&watched.host, &budget), S_OK);
	wait_for_told(&watched, 1);
	CHECK_HEARD(&watched.callback, "1");
	CHECK(atomic_load(&watched.told_by) != thread_id());
	CHECK(source_calls(watched.monitor, HostMemSourceBudget) > calls);
	budget.cbLimit = LIMIT;
	CHECK_HR(budget_set(&watched.host, &budget), S_OK);
	wait_for_told(&watched, 2);
	CHECK_HEARD(&watched.callback, "2");
	budget.cbSoftLimit = 39 * PAGE;
	CHECK_HR(budget_set(&watched.host, &budget), S_OK);
	wait_for_told(&watched, 3);
	CHECK_HEARD(&watched.callback, "1");
	give_pages(&watched, base);
	wait_for_told(&watched, 4);
	watched_end(&watched);
}

/* What High allows is less. */
static void plenty_ends_at_a_mark_of_its_own(void)
{
	HostMemThresholds thresholds = short_times();
	void *base;

	if (!begin(SIZE_MAX))
		return;
	thresholds.msPlenty = 1;
	CHECK_HR(IHostMemoryMonitor_SetThresholds(watched.monitor, &thresholds), S_OK);
	CHECK_HR(IHostMemorySimulator_SetMemoryLoad(watched.simulator, 10, SIZE_MAX),
		 S_OK);
	wait_for_told(&watched, 1);
	CHECK_HEARD(&watched.callback, "3");
	base = take_pages(&watched, 75);
	wait_for_told(&watched, 2);
	CHECK_HEARD(&watched.callback, "2");
	give_pages(&watched, base);
	wait_for_told(&watched, 3);
	CHECK_HEARD(&watched.callback, "3");
	base = take_pages(&watched, 95);
	wait_for_told(&watched, 4);
	CHECK_HEARD(&watched.callback, "1");
	give_pages(&watched, base);
	wait_for_told(&watched, 5);
	watched_end(&watched);
}

/* ---- The reclaimer ---- */

static _Atomic unsigned reclaimed;
static _Atomic size_t reclaim_wanted;
static _Atomic unsigned told_before;
static void *reclaim_base;

static size_t HOSTMEM_CALL reclaim(void *state, size_t wanted)
{
	(void)state;
	atomic_store(&reclaim_wanted, wanted);
	atomic_store(&told_before, atomic_load(&watched.callback.calls));
	if (reclaim_base != NULL)
		give_pages(&watched, reclaim_base);
	reclaim_base = NULL;
	atomic_fetch_add(&reclaimed, 1);
	return 0;
}

static void the_reclaimer_is_called_before_a_low(void)
{
	void *base;

	if (!begin(SIZE_MAX))
		return;
	atomic_store(&reclaimed, 0);
	CHECK_HR(IHostMemoryControl_SetReclaimer(watched.host.control, reclaim, NULL),
		 S_OK);
	reclaim_base = take_pages(&watched, 20);
	base = take_pages(&watched, 75);
	wait_for_told(&watched, 1);
	CHECK_U32(atomic_load(&reclaimed), 1);
	CHECK_U32(atomic_load(&told_before), 0);
	/* Below 85 per cent: 84 pages and all but one byte of the next. */
	CHECK_SIZE(atomic_load(&reclaim_wanted), 95 * PAGE - (85 * PAGE - 1));
	wait_for_told(&watched, 2);
	CHECK_HEARD(&watched.callback, "12");
	CHECK_U32(atomic_load(&reclaimed), 1);
	give_pages(&watched, base);
	watched_end(&watched);
}

/* ---- When nothing is told ---- */

static void nothing_is_told_during_a_suspension(void)
{
	IHostGCManager *collector;
	void *face = NULL, *base;

	if (!begin(SIZE_MAX))
		return;
	CHECK_HR(IHostMemoryManager_QueryInterface(watched.host.manager,
						   &IID_IHostGCManager, &face),
		 S_OK);
	collector = (IHostGCManager *)face;
	CHECK_HR(IHostGCManager_SuspensionStarting(collector), S_OK);
	base = take_pages(&watched, 95);
	wait_for_looks(&watched);
	CHECK_HEARD(&watched.callback, "");
	CHECK_HR(IHostGCManager_SuspensionEnding(collector, 0), S_OK);
	/* On the thread that has ended it. */
	CHECK_HEARD(&watched.callback, "1");
	CHECK_INT(atomic_load(&watched.told_by), thread_id());
	CHECK_HR(IHostGCManager_SuspensionStarting(collector), S_OK);
	give_pages(&watched, base);
	wait_for_looks(&watched);
	CHECK_HEARD(&watched.callback, "");
	base = take_pages(&watched, 95);
	wait_for_looks(&watched);
	CHECK_HR(IHostGCManager_SuspensionEnding(collector, 0), S_OK);
	/* What came and went meanwhile is not told. */
	CHECK_HEARD(&watched.callback, "");
	IHostGCManager_Release(collector);
	give_pages(&watched, base);
	wait_for_told(&watched, 2);
	CHECK_HEARD(&watched.callback, "2");
	watched_end(&watched);
}

static void nobody_is_told_after_he_was_taken_away(void)
{
	struct callback late = callback_new();
	void *base;

	if (!begin(SIZE_MAX))
		return;
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
			 watched.host.manager, NULL),
		 S_OK);
	CHECK_U32(watched.callback.references, 1);
	base = take_pages(&watched, 95);
	wait_for_looks(&watched);
	CHECK_HEARD(&watched.callback, "");
	/* Edges are the host's. */
	CHECK_HR(IHostMemoryManager_RegisterMemoryNotificationCallback(
			 watched.host.manager, &late.iface),
		 S_OK);
	wait_for_looks(&watched);
	CHECK_HEARD(&late, "");
	CHECK_SIZE(host_usage(&watched.host).cNotifications, 0);
	CHECK_HR(watched_register(&watched), S_OK);
	CHECK_U32(late.references, 1);
	give_pages(&watched, base);
	wait_for_told(&watched, 1);
	CHECK_HEARD(&watched.callback, "2");
	watched_end(&watched);
}

/* The monitor goes on looking, since GetMemoryLoad needs its figures. */
static void in_virtual_time_it_tells_nothing_by_itself(void)
{
	void *base;

	if (!begin(SIZE_MAX))
		return;
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(watched.simulator, TRUE), S_OK);
	base = take_pages(&watched, 95);
	wait_for_looks(&watched);
	CHECK_HEARD(&watched.callback, "");
	CHECK_HR(IHostMemorySimulator_Advance(watched.simulator, 0), S_OK);
	CHECK_HEARD(&watched.callback, "1");
	CHECK_INT(atomic_load(&watched.told_by), thread_id());
	give_pages(&watched, base);
	CHECK_HR(IHostMemorySimulator_Advance(watched.simulator, 0), S_OK);
	CHECK_HEARD(&watched.callback, "");
	CHECK_HR(IHostMemorySimulator_Advance(watched.simulator, CALM), S_OK);
	CHECK_HEARD(&watched.callback, "2");
	/* Back in real time what was missed is found. */
	base = take_pages(&watched, 95);
	wait_for_looks(&watched);
	CHECK_HEARD(&watched.callback, "");
	CHECK_HR(IHostMemorySimulator_SetVirtualTime(watched.simulator, FALSE), S_OK);
	wait_for_told(&watched, 3);
	CHECK_HEARD(&watched.callback, "1");
	give_pages(&watched, base);
	wait_for_told(&watched, 4);
	watched_end(&watched);
}

int main(void)
{
	(void)alarm(WATCHDOG);
	TAP_RUN(whatever_crosses_the_mark_is_told_once_by_the_monitor);
	TAP_RUN(the_mark_is_exact);
	TAP_RUN(a_budget_that_shrinks_below_what_is_charged_is_told);
	TAP_RUN(plenty_ends_at_a_mark_of_its_own);
	TAP_RUN(the_reclaimer_is_called_before_a_low);
	TAP_RUN(nothing_is_told_during_a_suspension);
	TAP_RUN(nobody_is_told_after_he_was_taken_away);
	TAP_RUN(in_virtual_time_it_tells_nothing_by_itself);
	return tap_done();
}
