/*
 * Fault rules at work: which requests they match, what the caller and subscribers see, and
 * that a request which was refused on demand has changed nothing.
 */
#include "faulted.h"

/* Whatever the rule says is passed on. */
#define ANY_FAILURE ((HRESULT)0x8007ABCD)

static void each_operation_is_matched_by_its_bit(void)
{
	static const struct {
		const char *what;
		DWORD type;
		bool there; /* in the reservation, not anew */
		HostMemOperation operation;
		bool charges;
	} rows[] = {
		{ "reserve", MEM_RESERVE, false, HostMemReserve, false },
		{ "commit", MEM_COMMIT, true, HostMemCommit, true },
		{ "reserve and commit", MEM_RESERVE | MEM_COMMIT, false, HostMemCommit,
		  true },
		{ "commit at NULL", MEM_COMMIT, false, HostMemCommit, true },
	};

	for (uint32_t bits = 0; bits < 4; bits++) {
		for (size_t i = 0; i < ROWS(rows); i++) {
			HostMemFault fault = fault_always(ANY_FAILURE);
			uint32_t bit = 1U << rows[i].operation;
			struct faulted f;
			void *out;

			tap_row("%s, bits %u", rows[i].what, bits);
			if (!faulted_make(&f, NULL))
				return;
			fault.operations = bits;
			faulted_add(&f, &fault);
			if (bits == 0 || (bits & bit) != 0)
				faulted_check_refusal(&f, rows[i].there ? f.base : NULL,
						      rows[i].type, ANY_FAILURE);
			else
				CHECK_HR(vm_alloc(&f.host, rows[i].there ? f.base : NULL,
						  PAGE, rows[i].type, PAGE_READWRITE,
						  &out),
					 S_OK);
			faulted_end(&f);
		}
	}
}

static void a_level_and_a_size_are_matched(void)
{
	static const struct {
		uint32_t levels;
		size_t min, max, pages;
		EMemoryCriticalLevel level;
		bool fires;
	} rows[] = {
		{ 0, 0, 0, 1, eTaskCritical, true },
		{ 1, 0, 0, 1, eTaskCritical, true },
		{ 1, 0, 0, 1, eAppDomainCritical, false },
		{ 2, 0, 0, 1, eAppDomainCritical, true },
		{ 4, 0, 0, 1, eAppDomainCritical, false },
		{ 5, 0, 0, 1, eProcessCritical, true },
		{ 5, 0, 0, 1, eAppDomainCritical, false },
		{ 0, 2 * PAGE, 0, 1, eTaskCritical, false },
		{ 0, 2 * PAGE, 0, 2, eTaskCritical, true },
		{ 0, 2 * PAGE + 1, 0, 2, eTaskCritical, false },
		{ 0, 0, 2 * PAGE, 2, eTaskCritical, true },
		{ 0, 0, 2 * PAGE - 1, 2, eTaskCritical, false },
		{ 0, PAGE, 3 * PAGE, 3, eTaskCritical, true },
		{ 0, PAGE, 3 * PAGE, 4, eTaskCritical, false },
		{ 2, PAGE, 3 * PAGE, 3, eTaskCritical, false },
	};

	for (size_t i = 0; i < ROWS(rows) * 2; i++) {
		size_t row = i / 2;
		HostMemFault fault = fault_always(HOST_E_TIMEOUT);
		struct faulted f;

		tap_row("row %zu, place %zu", row, i % 2);
		if (!faulted_make(&f, NULL))
			return;
		fault.levels = rows[row].levels;
		fault.cbMin = rows[row].min;
		fault.cbMax = rows[row].max;
		fault.place = i % 2;
		faulted_add(&f, &fault);
		CHECK_HR(vm_commit_pages(&f.host, f.base, rows[row].pages,
					 rows[row].level),
			 rows[row].fires ? HOST_E_TIMEOUT : S_OK);
		CHECK_SIZE(host_usage(&f.host).cRefusedInjected, rows[row].fires);
		faulted_end(&f);
	}
}

/* The size is of what is not committed yet, which is what the request is for. */
static void the_size_of_a_commit_is_that_of_fresh_pages(void)
{
	HostMemFault fault = fault_always(E_OUTOFMEMORY);
	struct faulted f;

	if (!faulted_make(&f, NULL))
		return;
	CHECK_HR(vm_commit_pages(&f.host, f.base, 2, eTaskCritical), S_OK);
	fault.cbMin = fault.cbMax = 2 * PAGE;
	faulted_add(&f, &fault);
	CHECK_HR(vm_commit_pages(&f.host, f.base, 4, eTaskCritical), E_OUTOFMEMORY);
	CHECK_HR(vm_commit_pages(&f.host, f.base, 3, eTaskCritical), S_OK);
	/* All there: it asks for nothing, so no rule looks at it. */
	fault.cbMin = fault.cbMax = 0;
	faulted_add(&f, &fault);
	CHECK_HR(vm_commit_pages(&f.host, f.base, 3, eTaskCritical), S_OK);
	CHECK_HR(vm_commit(&f.host, f.base, PAGE, PAGE_READONLY), S_OK);
	CHECK_HR(vm_commit_pages(&f.host, f.base, 4, eTaskCritical), E_OUTOFMEMORY);
	faulted_end(&f);
}

/* Requests 1 to 12; a bit is set where one is refused. */
static void matches_fire_as_they_are_counted(void)
{
	static const struct {
		uint64_t nth, every, count;
		unsigned fires;
	} rows[] = {
		{ 0, 0, 0, 0xFFF },
		{ 0, 0, 1, 0x001 },
		{ 0, 0, 3, 0x007 },
		{ 1, 0, 0, 0x001 },
		{ 3, 0, 0, 0x004 },
		{ 3, 0, 1, 0x004 },
		{ 2, 3, 0, 0x492 },
		{ 2, 3, 2, 0x012 },
		{ 0, 4, 0, 0x888 },
		{ 0, 1, 2, 0x003 },
		{ 12, 1, 0, 0x800 },
		{ 13, 1, 0, 0x000 },
		{ UINT64_MAX, UINT64_MAX, UINT64_MAX, 0x000 },
	};

	for (size_t i = 0; i < ROWS(rows) * 2; i++) {
		size_t row = i / 2;
		HostMemFault fault = fault_always(E_OUTOFMEMORY);
		struct faulted f;
		unsigned fired = 0;

		tap_row("row %zu, place %zu", row, i % 2);
		if (!faulted_make(&f, NULL))
			return;
		fault.nth = rows[row].nth;
		fault.every = rows[row].every;
		fault.count = rows[row].count;
		fault.place = i % 2;
		faulted_add(&f, &fault);
		for (unsigned n = 0; n < 12; n++)
			fired |= (unsigned)FAILED(faulted_take(&f)) << n;
		CHECK_U32(fired, rows[row].fires);
		faulted_end(&f);
	}
}

/* The bit of each request that a fault of this probability and seed refuses. */
static uint64_t draw(double probability, uint64_t seed)
{
	HostMemFault fault = fault_always(E_OUTOFMEMORY);
	struct faulted f;
	uint64_t fired = 0;

	if (!faulted_make(&f, NULL))
		return 0;
	fault.probability = probability;
	fault.seed = seed;
	faulted_add(&f, &fault);
	for (unsigned n = 0; n < 64; n++)
		fired |= (uint64_t)FAILED(faulted_take(&f)) << n;
	faulted_end(&f);
	return fired;
}

/* Bit n: draw n of splitmix64, from 0 on, is below 2^63. */
#define HALF_FROM_0 0x6133CEFB8C850576

static void draws_are_those_of_the_seed(void)
{
	CHECK_SIZE(draw(0.5, 0), HALF_FROM_0);
	CHECK_SIZE(draw(0.5, 7), draw(0.5, 7));
	CHECK(draw(0.5, 7) != draw(0.5, 8));
	CHECK_SIZE(draw(1.0, 7), UINT64_MAX);
	CHECK_SIZE(draw(0x1p-60, 7), 0);
	/* A smaller probability fires at some of the same matches. */
	CHECK_SIZE(draw(0.25, 7) & ~draw(0.5, 7), 0);
}

static void rules_are_asked_in_order_and_the_first_that_fires_ends_it(void)
{
	HostMemFault first = fault_always(HOST_E_TIMEOUT);
	HostMemFault second = fault_always(HOST_E_ABANDONED);
	struct faulted f;
	uint64_t cookie;

	if (!faulted_make(&f, NULL))
		return;
	first.every = 2;
	second.every = 2;
	cookie = faulted_add(&f, &first);
	faulted_add(&f, &second);
	/* The second does not count what the first has refused. */
	CHECK_HR(faulted_take(&f), S_OK);
	CHECK_HR(faulted_take(&f), HOST_E_TIMEOUT);
	CHECK_HR(faulted_take(&f), HOST_E_ABANDONED);
	CHECK_HR(faulted_take(&f), HOST_E_TIMEOUT);
	CHECK_HR(faulted_take(&f), S_OK);
	CHECK_HR(IHostMemorySimulator_RemoveFault(f.simulator, cookie), S_OK);
	CHECK_HR(faulted_take(&f), HOST_E_ABANDONED);
	CHECK_HR(faulted_take(&f), S_OK);
	faulted_end(&f);
}

/* The budget's own refusal comes after one rule and before the other. */
static void a_place_is_before_or_behind_the_budget(void)
{
	static const uint64_t injected[] = { 1, 0 };

	for (uint32_t place = 0; place < 2; place++) {
		HostMemBudget budget = budget_of(PAGE);
		HostMemFault fault = fault_always(E_OUTOFMEMORY);
		struct faulted f;

		tap_row("place %u", place);
		if (!faulted_make(&f, &budget))
			return;
		fault.place = place;
		fault.nth = 1;
		faulted_add(&f, &fault);
		CHECK_HR(vm_commit_pages(&f.host, f.base, 2, eTaskCritical),
			 E_OUTOFMEMORY);
		CHECK_SIZE(host_usage(&f.host).cRefusedInjected, injected[place]);
		CHECK_SIZE(host_usage(&f.host).cRefusedBudget, 1 - injected[place]);
		CHECK_HR(faulted_take(&f), place ? E_OUTOFMEMORY : S_OK);
		CHECK_SIZE(host_usage(&f.host).cRefusedInjected, 1);
		faulted_end(&f);
	}
}

static void what_gives_back_or_only_tells_never_fails(void)
{
	HostMemFault fault = fault_always(E_OUTOFMEMORY);
	void *mapping = at(NULL, (uintptr_t)0x300000000);
	struct faulted f;
	DWORD old;

	if (!faulted_make(&f, NULL))
		return;
	CHECK_HR(vm_commit(&f.host, f.base, UNIT, PAGE_READWRITE), S_OK);
	fault.operations = 0x3F;
	for (fault.place = 0; fault.place < 2; fault.place++)
		faulted_add(&f, &fault);
	CHECK_HR(vm_protect(&f.host, f.base, PAGE, PAGE_READONLY, &old), S_OK);
	CHECK_HR(vm_commit(&f.host, f.base, UNIT, PAGE_READWRITE), S_OK);
	CHECK_HR(vm_free(&f.host, f.base, PAGE, MEM_DECOMMIT), S_OK);
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(f.host.manager, mapping,
								PAGE),
		 S_OK);
	CHECK_HR(IHostMemoryManager_ReleasedVirtualAddressSpace(f.host.manager, mapping),
		 S_OK);
	CHECK_HR(IHostMemoryPages_ReleaseRange(f.host.pages, at(f.base, 8 * PAGE), PAGE),
		 S_OK);
	CHECK_HR(vm_release(&f.host, at(f.base, 9 * PAGE)), S_OK);
	CHECK_SIZE(host_usage(&f.host).cRefusedInjected, 0);
	CHECK_HR(faulted_take(&f), E_OUTOFMEMORY);
	faulted_end(&f);
}

int main(void)
{
	TAP_RUN(each_operation_is_matched_by_its_bit);
	TAP_RUN(a_level_and_a_size_are_matched);
	TAP_RUN(the_size_of_a_commit_is_that_of_fresh_pages);
	TAP_RUN(matches_fire_as_they_are_counted);
	TAP_RUN(draws_are_those_of_the_seed);
	TAP_RUN(rules_are_asked_in_order_and_the_first_that_fires_ends_it);
	TAP_RUN(a_place_is_before_or_behind_the_budget);
	TAP_RUN(what_gives_back_or_only_tells_never_fails);
	return tap_done();
}
