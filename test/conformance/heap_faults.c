/*
 * Refusals of a heap that are meant: fault rules for HostMemHeap, which see each Alloc, also
 * one that needs no pages; and the budget by level, for the pages that it does need.
 */
#include "faulted.h"
#include "heap.h"
#include "ledger.h"

static struct yard yard;
static struct recorder recorder;
static struct account account;
static IHostMemorySimulator *simulator;

#define HEAPS (1U << HostMemHeap)

static bool start(const HostMemBudget *budget)
{
	memset(&recorder, 0, sizeof(recorder));
	if (!yard_make_limited(&yard, budget))
		return false;
	simulator = host_simulator(&yard.host);
	recorder_start(&recorder, &yard.host, ALL_BITS);
	account_start(&account, &yard.host, account_event);
	return true;
}

static void end(void)
{
	account_check(&account);
	recorder_stop(&recorder);
	account_stop(&account);
	yard_end(&yard);
}

static uint64_t add_rule(const HostMemFault *fault)
{
	uint64_t cookie = 0;

	CHECK_HR(IHostMemorySimulator_AddFault(simulator, fault, &cookie), S_OK);
	return cookie;
}

static HostMemFault rule(uint32_t place, uint64_t nth)
{
	HostMemFault fault = HOSTMEM_FAULT_INIT;

	fault.operations = HEAPS;
	fault.place = place;
	fault.nth = nth;
	return fault;
}

/* ---- Which calls a rule sees ---- */

static HRESULT call_alloc(size_t size, void **out)
{
	return heap_alloc(yard.heap, size, out);
}

static HRESULT call_debug(size_t size, void **out)
{
	return heap_alloc_debug(yard.heap, size, "heap_faults.c", 1, out);
}

static HRESULT call_aligned(size_t size, void **out)
{
	return heap_alloc_aligned(yard.heap, size, 64, 0, out);
}

static HRESULT call_realloc(size_t size, void **out)
{
	return heap_realloc(yard.heap, NULL, size, 0, out);
}

/* Exactly the third of seven, whether they need pages or not. */
static void refuse_the_third(HRESULT (*call)(size_t, void **), uint32_t place,
			     size_t size)
{
	HostMemFault fault = rule(place, 3);
	void *blocks[7];

	if (!start(NULL))
		return;
	(void)add_rule(&fault);
	for (size_t i = 0; i < ROWS(blocks); i++) {
		HRESULT want = i == 2 ? E_OUTOFMEMORY : S_OK;

		CHECK_HR(call(size, &blocks[i]), want);
		CHECK_HR(heap_free(yard.heap, i % 2 == 0 ? blocks[i] : NULL), S_OK);
		account_check(&account);
	}
	CHECK_SIZE(host_usage(&yard.host).cRefusedInjected, 1);
	CHECK_SIZE(host_usage(&yard.host).cRefusedBudget, 0);
	CHECK_SIZE(host_usage(&yard.host).cFailedOs, 0);
	end();
}

static void a_rule_sees_each_alloc_and_refuses_exactly_the_third(void)
{
	static HRESULT (*const calls[])(size_t, void **) = { call_alloc, call_debug,
							     call_aligned, call_realloc };
	static const size_t sizes[] = { 0, 100, 5000, 200000, 3000000 };
	static const uint32_t places[] = { HOSTMEM_FAULT_BUDGET, HOSTMEM_FAULT_SYSTEM };

	for (size_t i = 0; i < ROWS(calls) * ROWS(sizes) * ROWS(places); i++) {
		size_t size = sizes[i / ROWS(calls) % ROWS(sizes)];
		uint32_t place = places[i / ROWS(calls) / ROWS(sizes)];

		tap_row("call %zu, size %zu, place %u", i % ROWS(calls), size, place);
		refuse_the_third(calls[i % ROWS(calls)], place, size);
	}
}

static void a_rule_sees_the_size_and_the_level_of_the_call(void)
{
	static const struct {
		size_t size;
		EMemoryCriticalLevel level;
		HRESULT want;
	} rows[] = {
		{ 99, eAppDomainCritical, S_OK },
		{ 100, eAppDomainCritical, E_OUTOFMEMORY },
		{ 200, eAppDomainCritical, E_OUTOFMEMORY },
		{ 201, eAppDomainCritical, S_OK },
		{ 150, eTaskCritical, S_OK },
		{ 150, eProcessCritical, S_OK },
		{ 150, eAppDomainCritical, E_OUTOFMEMORY },
	};
	HostMemFault fault = rule(HOSTMEM_FAULT_BUDGET, 0);
	void *block;

	fault.cbMin = 100;
	fault.cbMax = 200;
	fault.levels = 1U << eAppDomainCritical;
	fault.count = 0;
	if (!start(NULL))
		return;
	(void)add_rule(&fault);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tap_row("size %zu, level %d", rows[i].size, rows[i].level);
		CHECK_HR(heap_alloc_at_level(yard.heap, rows[i].size, rows[i].level,
					     &block),
			 rows[i].want);
		CHECK_HR(heap_free(yard.heap, block), S_OK);
	}
	end();
}

/* What gives memory back, and bad arguments, are no requests. */
static void a_rule_counts_requests_only(void)
{
	HostMemFault fault = rule(HOSTMEM_FAULT_BUDGET, 2);
	void *block, *out;

	if (!start(NULL))
		return;
	(void)add_rule(&fault);
	block = heap_take(yard.heap, 100);
	CHECK_HR(heap_alloc_at_level(yard.heap, 100, (EMemoryCriticalLevel)3, &out),
		 E_INVALIDARG);
	CHECK_HR(heap_free(yard.heap, &out), HOST_E_INVALIDOPERATION);
	CHECK(heap_size(yard.heap, block) >= 100);
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	(void)heap_trim(yard.heap);
	(void)vm_new(&yard.host, UNIT, MEM_COMMIT, PAGE_READWRITE);
	CHECK_SIZE(host_usage(&yard.host).cRefusedInjected, 0);
	CHECK_HR(heap_alloc(yard.heap, 100, &out), E_OUTOFMEMORY);
	end();
}

static void rules_for_other_operations_do_not_see_heaps(void)
{
	HostMemFault fault = fault_always(E_OUTOFMEMORY);
	void *block;

	if (!start(NULL))
		return;
	fault.operations = 1U << HostMemReserve | 1U << HostMemCommit;
	(void)add_rule(&fault);
	for (size_t size = 1; size <= 4 * MIB; size *= 4) {
		tap_row("size %zu", size);
		CHECK_HR(heap_alloc(yard.heap, size, &block), S_OK);
	}
	end();
}

/* ---- What is told of it ---- */

static void an_injected_refusal_is_told_once_and_changes_nothing(void)
{
	static const size_t sizes[] = { 100, 3000000 };
	static struct snapshot before;

	for (size_t i = 0; i < 2 * ROWS(sizes); i++) {
		HostMemFault fault = rule((uint32_t)(i / ROWS(sizes)), 0);
		const HostMemEvent *event;
		void *block;

		tap_row("size %zu, place %u", sizes[i % ROWS(sizes)], fault.place);
		if (!start(NULL))
			return;
		/* There are pages for the small one. */
		(void)heap_take(yard.heap, sizes[0]);
		recorder_clear(&recorder);
		fault.result = HOST_E_TIMEOUT;
		(void)add_rule(&fault);
		snapshot_take(&before, &yard.host);
		CHECK_HR(heap_alloc_at_level(yard.heap, sizes[i % ROWS(sizes)],
					     eAppDomainCritical, &block),
			 HOST_E_TIMEOUT);
		CHECK_UNCHANGED(&before);
		CHECK_SIZE(host_usage(&yard.host).cRefusedInjected, 1);
		if (!CHECK(recorder.count >= 1))
			return;
		event = &recorder.events[recorder.count - 1];
		CHECK_INT(event->type, HostMemEventFailure);
		CHECK_INT(event->operation, HostMemHeap);
		CHECK_INT(event->reason, HostMemByFault);
		CHECK_INT(event->level, eAppDomainCritical);
		CHECK_HR(event->result, HOST_E_TIMEOUT);
		/* In place of the budget nobody has been asked yet. */
		CHECK_SIZE(recorder.count, event->announced ? 2 : 1);
		if (fault.place == HOSTMEM_FAULT_BUDGET)
			CHECK(!event->announced);
		end();
	}
}

static void e_fail_puts_the_host_out_of_use(void)
{
	HostMemFault fault = rule(HOSTMEM_FAULT_BUDGET, 0);
	void *block, *out;

	if (!start(NULL))
		return;
	block = heap_take(yard.heap, 100);
	fault.result = E_FAIL;
	(void)add_rule(&fault);
	CHECK_HR(heap_alloc(yard.heap, 100, &out), E_FAIL);
	CHECK_HR(heap_alloc(yard.heap, 100, &out), HOST_E_CLRNOTAVAILABLE);
	CHECK_HR(heap_free(yard.heap, block), HOST_E_CLRNOTAVAILABLE);
	end();
}

/* ---- The budget ---- */

/* A block of 1 MiB that nothing is left of for a task is granted to the process. */
static void headroom_refuses_the_lower_levels_first(void)
{
	HostMemBudget budget = budget_of(16 * MIB);
	HRESULT refused[3] = { S_OK, S_OK, S_OK };
	size_t rounds = 0;

	budget.cbHeadroom[eTaskCritical] = 8 * MIB;
	budget.cbHeadroom[eAppDomainCritical] = 4 * MIB;
	if (!start(&budget))
		return;
	for (; refused[eProcessCritical] == S_OK && rounds < 64; rounds++) {
		for (int level = eTaskCritical; level <= eProcessCritical; level++) {
			size_t room = budget.cbLimit - budget.cbHeadroom[level];
			void *block;
			HRESULT hr = heap_alloc_at_level(yard.heap, MIB,
							 (EMemoryCriticalLevel)level,
							 &block);

			tap_row("round %zu, level %d", rounds, level);
			if (hr == S_OK)
				CHECK(yard_charged(&yard) <= room);
			else
				CHECK_HR(hr, E_OUTOFMEMORY);
			/* What is refused at a level stays so, and at every lower one. */
			CHECK(SUCCEEDED(hr) <= SUCCEEDED(refused[level]));
			refused[level] = hr;
			account_check(&account);
		}
		CHECK(SUCCEEDED(refused[0]) <= SUCCEEDED(refused[1]));
		CHECK(SUCCEEDED(refused[1]) <= SUCCEEDED(refused[2]));
		recorder_clear(&recorder);
	}
	CHECK_HR(refused[eProcessCritical], E_OUTOFMEMORY);
	CHECK(rounds > 4 && rounds < 64);
	CHECK(yard_charged(&yard) > 14 * MIB);
	CHECK(host_usage(&yard.host).cRefusedBudget > 3);
	end();
}

static void a_task_is_refused_and_the_process_granted_for_small_blocks_too(void)
{
	HostMemBudget budget = budget_of(4 * MIB);
	void *block;
	size_t count = 0;

	budget.cbHeadroom[eTaskCritical] = 2 * MIB;
	budget.cbHeadroom[eAppDomainCritical] = 2 * MIB;
	if (!start(&budget))
		return;
	while (heap_alloc(yard.heap, 1000, &block) == S_OK && count < 10000) {
		recorder_clear(&recorder);
		count++;
	}
	CHECK(count >= 1500 && count < 10000);
	CHECK(yard_charged(&yard) <= 2 * MIB);
	CHECK_HR(heap_alloc_at_level(yard.heap, 1000, eAppDomainCritical, &block),
		 E_OUTOFMEMORY);
	CHECK_HR(heap_alloc_at_level(yard.heap, 1000, eProcessCritical, &block), S_OK);
	/* What the process has paid for, the task may use. */
	CHECK_HR(heap_free(yard.heap, block), S_OK);
	CHECK_HR(heap_alloc(yard.heap, 1000, &block), S_OK);
	end();
}

static void a_refusal_of_the_budget_is_told(void)
{
	HostMemBudget budget = budget_of(MIB);
	void *block;

	if (!start(&budget))
		return;
	CHECK_HR(heap_alloc_at_level(yard.heap, 2 * MIB, eProcessCritical, &block),
		 E_OUTOFMEMORY);
	if (CHECK_SIZE(recorder.count, 1)) {
		CHECK_INT(recorder.events[0].type, HostMemEventFailure);
		CHECK_INT(recorder.events[0].operation, HostMemHeap);
		CHECK_INT(recorder.events[0].reason, HostMemByBudget);
		CHECK_INT(recorder.events[0].level, eProcessCritical);
		CHECK_INT(recorder.events[0].announced, FALSE);
		CHECK_HR(recorder.events[0].result, E_OUTOFMEMORY);
	}
	CHECK_SIZE(host_usage(&yard.host).cRefusedBudget, 1);
	end();
}

static void one_block_may_be_too_large_for_a_level(void)
{
	HostMemBudget budget = budget_of(SIZE_MAX);
	void *block;

	budget.cbLargest[eTaskCritical] = MIB;
	if (!start(&budget))
		return;
	CHECK_HR(heap_alloc(yard.heap, 2 * MIB, &block), E_OUTOFMEMORY);
	CHECK_HR(heap_alloc(yard.heap, 1000, &block), S_OK);
	CHECK_HR(heap_alloc_at_level(yard.heap, 2 * MIB, eAppDomainCritical, &block),
		 S_OK);
	end();
}

int main(void)
{
	TAP_RUN(a_rule_sees_each_alloc_and_refuses_exactly_the_third);
	TAP_RUN(a_rule_sees_the_size_and_the_level_of_the_call);
	TAP_RUN(a_rule_counts_requests_only);
	TAP_RUN(rules_for_other_operations_do_not_see_heaps);
	TAP_RUN(an_injected_refusal_is_told_once_and_changes_nothing);
	TAP_RUN(e_fail_puts_the_host_out_of_use);
	TAP_RUN(headroom_refuses_the_lower_levels_first);
	TAP_RUN(a_task_is_refused_and_the_process_granted_for_small_blocks_too);
	TAP_RUN(a_refusal_of_the_budget_is_told);
	TAP_RUN(one_block_may_be_too_large_for_a_level);
	return tap_done();
}
