/*
 * GetMemoryLoad: the tightest of the host's budget, the limits of the process and its control
 * groups, and the machine.
 */
#include "budget.h"
#include "child.h"
#include "com_rules.h"
#include "test/proc.h"

#define MIB ((size_t)1 << 20)

static struct host host;

struct figures {
	DWORD percent;
	SIZE_T available;
};

static struct figures ask(void)
{
	struct figures figures = { POISON_DWORD, POISON_SIZE };

	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, &figures.percent,
						  &figures.available),
		 S_OK);
	CHECK(figures.percent <= 100);
	return figures;
}

static bool begin(size_t limit)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.cbLimit = limit;
	return host_create_budget(&host, &budget);
}

static void both_outs_are_cleared_where_one_is_missing(void)
{
	DWORD load = POISON_DWORD;
	SIZE_T available = POISON_SIZE;

	if (!begin(SIZE_MAX))
		return;
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, &load, NULL), E_POINTER);
	CHECK_U32(load, 0);
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, NULL, &available),
		 E_POINTER);
	CHECK_SIZE(available, 0);
	CHECK_HR(IHostMemoryManager_GetMemoryLoad(host.manager, NULL, NULL), E_POINTER);
	host_destroy(&host);
}

static void asking_changes_nothing(void)
{
	struct snapshot before;
	void *base;

	if (!begin(SIZE_MAX))
		return;
	base = vm_new(&host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	snapshot_take(&before, &host);
	CHECK(ask().available > PAGE);
	CHECK_UNCHANGED(&before);
	CHECK_U32(com_count((IUnknown *)host.manager), 3);
	CHECK_HR(vm_release(&host, base), S_OK);
	host_destroy(&host);
}

static void the_own_budget_counts_at_once(void)
{
	if (!begin(64 * MIB))
		return;
	for (size_t used = 0; used <= 64; used += 8) {
		struct figures figures = ask();

		tap_row("%zu MiB used", used);
		CHECK(figures.percent >= used * 100 / 64);
		CHECK(figures.available <= (64 - used) * MIB);
		if (used == 64)
			CHECK_U32(figures.percent, 100);
		else
			(void)vm_new(&host, 8 * MIB, MEM_COMMIT, PAGE_READWRITE);
	}
	host_destroy(&host);
}

static void lower(int limit, size_t most)
{
	struct rlimit now;

	if (CHECK(getrlimit((__rlimit_resource_t)limit, &now) == 0)) {
		now.rlim_cur = most;
		CHECK(setrlimit((__rlimit_resource_t)limit, &now) == 0);
	}
}

static void limit_the_data(void)
{
	if (!begin(SIZE_MAX))
		return;
	lower(RLIMIT_DATA, figure("/proc/self/status", "VmData:") * 1024 + 64 * MIB);
	CHECK(ask().available <= 65 * MIB);
	(void)vm_new(&host, 32 * MIB, MEM_COMMIT, PAGE_READWRITE);
	CHECK(ask().available <= 33 * MIB);
	host_destroy(&host);
}

static void the_limit_of_the_process_counts(void)
{
	in_child(limit_the_data);
}

/* Even with all files in use there is an answer: that of the host's own account. */
static void allow_no_file(void)
{
	struct figures figures;

	if (!begin(64 * MIB))
		return;
	(void)vm_new(&host, 48 * MIB, MEM_COMMIT, PAGE_READWRITE);
	lower(RLIMIT_NOFILE, 0);
	figures = ask();
	CHECK_U32(figures.percent, 75);
	CHECK_SIZE(figures.available, 16 * MIB);
	host_destroy(&host);
}

static void without_a_file_to_open_there_is_the_own_budget(void)
{
	in_child(allow_no_file);
}

static void allow_no_file_and_have_no_budget(void)
{
	struct figures figures;

	if (!begin(SIZE_MAX))
		return;
	lower(RLIMIT_NOFILE, 0);
	figures = ask();
	CHECK_U32(figures.percent, 0);
	CHECK_SIZE(figures.available, SIZE_MAX);
	host_destroy(&host);
}

static void without_any_bound_nothing_is_used(void)
{
	in_child(allow_no_file_and_have_no_budget);
}

int main(void)
{
	TAP_RUN(both_outs_are_cleared_where_one_is_missing);
	TAP_RUN(asking_changes_nothing);
	TAP_RUN(the_own_budget_counts_at_once);
	TAP_RUN(the_limit_of_the_process_counts);
	TAP_RUN(without_a_file_to_open_there_is_the_own_budget);
	TAP_RUN(without_any_bound_nothing_is_used);
	return tap_done();
}
