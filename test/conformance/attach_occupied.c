/*
 * Addresses that a runtime names, for the translated mmap: whatever is there, nobody hears of a
 * refusal that was none, and no budget stands between a runtime and its own memory.
 */
#include "recorder.h"

#include "abi/attach.h"

#include <errno.h>
#include <sys/mman.h>

#define NEW (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static struct host host;

/* Memory of somebody else, at a multiple of 64 KiB; it is never given back. */
static unsigned char *strangers(size_t size)
{
	unsigned char *base = mmap(NULL, size + UNIT, RW, NEW, -1, 0);

	if (!CHECK(base != MAP_FAILED))
		return NULL;
	base += -(uintptr_t)base % UNIT;
	memset(base, 7, size);
	return base;
}

/* A multiple of 64 KiB at which nothing is. */
static void *nobodys(size_t size)
{
	unsigned char *base = mmap(NULL, size + UNIT, PROT_NONE, NEW, -1, 0);

	CHECK(base != MAP_FAILED);
	CHECK_INT(munmap(base, size + UNIT), 0);
	return base + -(uintptr_t)base % UNIT;
}

/* Nothing was charged, and nobody heard of anything. */
static void check_untold(struct recorder *recorder, const struct snapshot *before)
{
	CHECK_SIZE(recorder->count, 0);
	CHECK_UNCHANGED(before);
	recorder_stop(recorder);
}

static void limit(size_t more)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	if (more != SIZE_MAX)
		budget.cbLimit = host_usage(&host).cbCharged + more;
	CHECK_HR(IHostMemoryControl_SetBudget(host.control, &budget), S_OK);
}

/* As the guard pages that a runtime makes in the stack of a thread. */
static void what_is_somebody_elses_is_replaced_by_the_system(void)
{
	static const struct {
		const char *what;
		size_t start, size, room;
	} rows[] = {
		{ "a unit", 0, UNIT, SIZE_MAX },
		{ "pages at its start", 0, 4 * PAGE, SIZE_MAX },
		{ "pages in its middle", PAGE, 4 * PAGE, SIZE_MAX },
		{ "a unit, and the budget is used up", 0, UNIT, 0 },
		{ "pages, and the budget is used up", PAGE, PAGE, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned char *base = strangers(2 * UNIT);
		struct recorder recorder = { .count = 0 };
		unsigned char *at;
		struct snapshot before;

		tap_row("%s", rows[i].what);
		if (base == NULL)
			return;
		at = base + rows[i].start;
		limit(rows[i].room);
		recorder_start(&recorder, &host, ALL_BITS);
		snapshot_take(&before, &host);
		errno = 0;
		CHECK_POINTER(HostMemMmap(at, rows[i].size, RW, NEW | MAP_FIXED, -1, 0),
			      at);
		CHECK_INT(errno, 0);
		check_untold(&recorder, &before);
		CHECK_INT(at[0], 0);
		CHECK_INT(at[rows[i].size - 1], 0);
		CHECK_INT(at[rows[i].size], 7);
	}
	limit(SIZE_MAX);
}

/* At a wish for an address the system does not answer that it is taken, either. */
static void a_hint_at_which_something_is_is_forgotten(void)
{
	unsigned char *base = strangers(2 * UNIT), *other;
	struct recorder recorder = { .count = 0 };

	recorder_start(&recorder, &host, ALL_BITS);
	other = HostMemMmap(base, UNIT, RW, NEW, -1, 0);
	if (CHECK(other != MAP_FAILED) && CHECK(other != base))
		other[0] = 1;
	CHECK_INT(base[0], 7);
	CHECK_SIZE(recorder.count, 1);
	CHECK_INT(recorder.events[0].type, HostMemEventAllocate);
	CHECK_SIZE(recorder.events[0].size, UNIT);
	recorder_stop(&recorder);
	CHECK_INT(HostMemMunmap(other, UNIT), 0);
}

static void a_place_that_must_be_free_and_is_not_is_an_error_of_the_systems(void)
{
	unsigned char *base = strangers(UNIT);
	struct recorder recorder = { .count = 0 };
	struct snapshot before;

	recorder_start(&recorder, &host, ALL_BITS);
	snapshot_take(&before, &host);
	errno = 0;
	CHECK_POINTER(HostMemMmap(base, UNIT, RW, NEW | MAP_FIXED_NOREPLACE, -1, 0),
		      MAP_FAILED);
	CHECK_INT(errno, EEXIST);
	check_untold(&recorder, &before);
	CHECK_INT(base[0], 7);
}

static void where_nothing_is_the_place_becomes_the_hosts(void)
{
	static const int kinds[] = { 0, MAP_FIXED, MAP_FIXED_NOREPLACE };

	for (size_t i = 0; i < ROWS(kinds); i++) {
		void *hole = nobodys(UNIT);
		size_t charged = host_usage(&host).cbCharged;

		tap_row("flags %x", (unsigned)kinds[i]);
		CHECK_POINTER(HostMemMmap(hole, UNIT, RW, NEW | kinds[i], -1, 0), hole);
		CHECK_SIZE(host_usage(&host).cbCharged, charged + UNIT);
		CHECK_INT(vm_state(&host, hole), MEM_COMMIT);
		CHECK_INT(HostMemMunmap(hole, UNIT), 0);
		CHECK_SIZE(host_usage(&host).cbCharged, charged);
	}
}

/* Such a place is asked for as any other memory, and may be refused. */
static void a_free_place_is_refused_when_the_budget_is_used_up(void)
{
	void *hole = nobodys(UNIT);
	struct recorder recorder = { .count = 0 };

	limit(0);
	recorder_start(&recorder, &host, ALL_BITS);
	errno = 0;
	CHECK_POINTER(HostMemMmap(hole, UNIT, RW, NEW | MAP_FIXED, -1, 0), MAP_FAILED);
	CHECK_INT(errno, ENOMEM);
	CHECK_SIZE(recorder.count, 1);
	CHECK_INT(recorder.events[0].type, HostMemEventFailure);
	CHECK_INT(recorder.events[0].reason, HostMemByBudget);
	recorder_stop(&recorder);
	limit(SIZE_MAX);
}

int main(void)
{
	if (!host_create(&host, HOSTMEM_MONITOR_OFF) ||
	    !CHECK_HR(HostMemAttach((IUnknown *)host.control, NULL), S_OK))
		return tap_done();
	TAP_RUN(what_is_somebody_elses_is_replaced_by_the_system);
	TAP_RUN(a_hint_at_which_something_is_is_forgotten);
	TAP_RUN(a_place_that_must_be_free_and_is_not_is_an_error_of_the_systems);
	TAP_RUN(where_nothing_is_the_place_becomes_the_hosts);
	TAP_RUN(a_free_place_is_refused_when_the_budget_is_used_up);
	return tap_done();
}
