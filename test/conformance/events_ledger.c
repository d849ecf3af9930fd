/*
 * The sum of events is the usage: by the rule in hostmem.h always, and by plain adding and
 * subtracting where failures are announced.
 *
 * What happens meanwhile is a workload of all levels with budgets, vetoes, fault rules, a
 * reclaimer, a heap, and requests from inside callbacks (workload.h, workload_heap.h).
 */
#include "ledger.h"
#include "workload_heap.h"

#include <pthread.h>

enum { ROUNDS = 4, CALLS = 1500 };

static struct host host;
static struct workload work;
static struct workload_heap heap;

static bool start(uint32_t flags, enum workload_reach reach, uint64_t seed)
{
	HostMemBudget budget = budget_of(WORKLOAD_LIMIT * PAGE);

	budget.dwFlags = flags;
	if (!host_create_budget(&host, &budget))
		return false;
	workload_start(&work, &host, reach, seed);
	work.budget_flags = flags;
	CHECK_HR(IHostMemoryControl_SetReclaimer(host.control, workload_reclaim, NULL),
		 S_OK);
	return true;
}

static void meddle(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t cookie;

		CHECK_HR(IHostMemoryControl_Subscribe(host.control, ALL_BITS,
						      workload_meddle, NULL, &cookie),
			 S_OK);
	}
}

/* One account in front of those who meddle, one behind: it is not asked about all. */
static void run_by_the_rule(uint32_t flags, enum workload_reach reach, uint64_t seed,
			    struct account accounts[2])
{
	if (!start(flags, reach, seed))
		return;
	workload_add_heap(&work, &heap, 0);
	account_start(&accounts[0], &host, account_event);
	meddle(2);
	account_start(&accounts[1], &host, account_event);
	for (unsigned i = 0; i < CALLS; i++) {
		tap_row("flags %u, reach %u, seed %u, call %u", flags, (unsigned)reach,
			(unsigned)seed, i);
		workload_call(&work);
		account_check(&accounts[0]);
		account_check(&accounts[1]);
		CHECK_SIZE(host_usage(&host).cbHeap, heap.bytes);
		CHECK_SIZE(host_usage(&host).cBlocks, heap.count);
		if (tap_failed())
			break;
	}
	work.quiet = true;
	workload_end_heap(&work);
	host_destroy(&host);
	CHECK_SIZE((size_t)accounts[0].sum, 0);
	CHECK_SIZE((size_t)accounts[1].sum, 0);
}

static void the_sum_of_events_is_what_is_charged(void)
{
	static struct account accounts[2];
	uint64_t events = 0, replaced = 0, taken_back = 0, bare = 0;

	for (uint32_t flags = 0; flags < 4; flags++) {
		for (int reach = REACH_OWN; reach <= REACH_ALL; reach++) {
			for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
				run_by_the_rule(flags, (enum workload_reach)reach, seed,
						accounts);
				if (tap_failed())
					return;
				events += accounts[1].events;
				replaced += accounts[1].replaced;
				taken_back += accounts[1].taken_back;
				bare += accounts[1].bare;
			}
		}
	}
	/* All of it did happen. */
	CHECK(events > 10000 && replaced > 100 && taken_back > 100 && bare > 100);
}

static void a_naive_counter_is_right_if_failures_are_announced(void)
{
	static struct account accounts[2];

	for (uint32_t mode = 0; mode < 2; mode++) {
		uint32_t flags = HOSTMEM_ANNOUNCE_ALWAYS | mode;

		if (!start(flags, REACH_OWN, 7))
			return;
		account_start(&accounts[0], &host, account_naive);
		meddle(2);
		account_start(&accounts[1], &host, account_naive);
		for (unsigned i = 0; i < ROUNDS * CALLS && !tap_failed(); i++) {
			tap_row("mode %u, call %u", mode, i);
			workload_call(&work);
			account_check(&accounts[0]);
			account_check(&accounts[1]);
		}
		CHECK(host_usage(&host).cRefusedBudget > 100);
		CHECK(host_usage(&host).cRefusedInjected > 100);
		work.quiet = true;
		host_destroy(&host);
		CHECK_SIZE((size_t)accounts[0].sum, 0);
		CHECK_SIZE((size_t)accounts[1].sum, 0);
	}
}

/* Without it a refusal of the budget is a bare failure, as Chakra's. */
static void a_naive_counter_is_wrong_otherwise(void)
{
	static struct account naive, right;
	HostMemBudget budget = budget_of(PAGE);
	void *out;

	if (!host_create_budget(&host, &budget))
		return;
	account_start(&naive, &host, account_naive);
	account_start(&right, &host, account_event);
	CHECK_HR(vm_alloc(&host, NULL, 2 * PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	CHECK_SIZE((size_t)naive.sum, (size_t)0 - 2 * PAGE);
	account_check(&right);
	budget.dwFlags = HOSTMEM_ANNOUNCE_ALWAYS;
	CHECK_HR(budget_set(&host, &budget), S_OK);
	CHECK_HR(vm_alloc(&host, NULL, 2 * PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	CHECK_SIZE((size_t)naive.sum, (size_t)0 - 2 * PAGE);
	account_check(&right);
	host_destroy(&host);
}

/* ---- Threads ---- */

enum { THREADS = 4, THREAD_CALLS = 1500 };

static struct workload works[THREADS];
static struct workload_heap heaps[THREADS];
static void *common; /* a region for all of them, or NULL */

/* What a commit needs here changes between its attempts. */
static void work_on_common_pages(struct workload *mine)
{
	EMemoryCriticalLevel level = (EMemoryCriticalLevel)workload_draw(mine, LEVELS);
	size_t page = workload_draw(mine, WORKLOAD_PAGES);
	size_t pages = 1 + workload_draw(mine, WORKLOAD_PAGES - page);

	if (workload_draw(mine, 2) != 0)
		workload_check(mine, vm_commit_pages(&host, at(common, page * PAGE),
						     pages, level));
	else
		CHECK_HR(vm_free(&host, at(common, page * PAGE), pages * PAGE,
				 MEM_DECOMMIT),
			 S_OK);
}

static void *work_alone(void *number)
{
	struct workload *mine = &works[*(const unsigned *)number];

	workload_start(mine, &host, common != NULL ? REACH_ALL : REACH_OWN,
		       10 + *(const unsigned *)number);
	mine->one_of_many = true;
	mine->budget_flags = work.budget_flags;
	if (common != NULL)
		workload_add_heap(mine, &heaps[*(const unsigned *)number], 0);
	for (unsigned i = 0; i < THREAD_CALLS && !tap_failed(); i++) {
		tap_row("thread %u, call %u", *(const unsigned *)number, i);
		workload_call(mine);
		if (common != NULL)
			work_on_common_pages(mine);
	}
	mine->quiet = true;
	workload_end_heap(mine);
	return NULL;
}

static void run_threads(HostMemEventCallback callback)
{
	static const unsigned numbers[THREADS] = { 0, 1, 2, 3 };
	static struct account accounts[2];
	pthread_t threads[THREADS];

	account_start(&accounts[0], &host, callback);
	meddle(2);
	account_start(&accounts[1], &host, callback);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, work_alone,
					 (void *)(uintptr_t)&numbers[i]),
			  0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	account_check(&accounts[0]);
	account_check(&accounts[1]);
	work.quiet = true;
	host_destroy(&host);
	CHECK_SIZE((size_t)accounts[0].sum, 0);
	CHECK_SIZE((size_t)accounts[1].sum, 0);
}

/* Each on its own regions and heap, and a common region; budgets, rules, mappings and
 * subscribers are shared. */
static void the_sum_is_right_when_many_threads_have_ended(void)
{
	for (uint32_t flags = 0; flags < 4; flags++) {
		tap_row("flags %u", flags);
		if (!start(flags, REACH_OWN, 1))
			return;
		common = vm_new(&host, WORKLOAD_PAGES * PAGE, MEM_RESERVE, PAGE_NOACCESS);
		run_threads(account_event);
	}
}

/* Nobody else changes what a request needs, and nothing inside it: there is no heap, whose
 * requests need no pages any more when somebody has freed a block. */
static void so_is_that_of_a_naive_counter_if_failures_are_announced(void)
{
	for (uint32_t mode = 0; mode < 2; mode++) {
		tap_row("mode %u", mode);
		if (!start(HOSTMEM_ANNOUNCE_ALWAYS | mode, REACH_OWN, 1))
			return;
		common = NULL;
		run_threads(account_naive);
	}
}

int main(void)
{
	TAP_RUN(the_sum_of_events_is_what_is_charged);
	TAP_RUN(a_naive_counter_is_right_if_failures_are_announced);
	TAP_RUN(a_naive_counter_is_wrong_otherwise);
	TAP_RUN(the_sum_is_right_when_many_threads_have_ended);
	TAP_RUN(so_is_that_of_a_naive_counter_if_failures_are_announced);
	return tap_done();
}
