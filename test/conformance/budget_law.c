/*
 * Budgets at work: the law of the levels, budgets that change while memory is held, and
 * many threads under one limit.
 */
#include "budget.h"
#include "recorder.h"

#include <pthread.h>
#include <sched.h>

enum {
	BUDGETS = 3000,
	STATES = 3, /* of each budget */
	TRIES = 3,  /* in each state */
	PAGES = 64,
};

static struct host host;

/* Below and above what is ever asked, and without a limit; not always whole pages. */
static size_t random_size(uint64_t *state)
{
	size_t kind = random_below(state, 8);

	if (kind == 0)
		return SIZE_MAX - random_below(state, 3);
	return random_below(state, PAGES + 8) * PAGE +
	       (kind == 1 ? random_below(state, PAGE) : 0);
}

static void swap_if(size_t *a, size_t *b, bool falls)
{
	size_t first = *a;

	if ((*a < *b) != falls)
		return;
	*a = *b;
	*b = first;
}

static void sort(size_t figures[LEVELS], bool falls)
{
	swap_if(&figures[0], &figures[1], falls);
	swap_if(&figures[1], &figures[2], falls);
	swap_if(&figures[0], &figures[1], falls);
}

static HostMemBudget random_budget(uint64_t *state)
{
	HostMemBudget budget = budget_of(random_size(state));

	for (size_t i = 0; i < LEVELS; i++) {
		budget.cbHeadroom[i] = random_size(state);
		if (budget.cbHeadroom[i] > budget.cbLimit || random_below(state, 2) == 0)
			budget.cbHeadroom[i] = budget.cbLimit /
					       (2 + random_below(state, 8));
		budget.cbLargest[i] = random_below(state, 3) ? SIZE_MAX
							     : random_size(state);
	}
	sort(budget.cbHeadroom, true);
	sort(budget.cbLargest, false);
	return budget;
}

static bool is_granted(const HostMemBudget *budget, size_t level, size_t charged,
		       size_t size)
{
	return size == 0 ||
	       (size <= budget->cbLargest[level] &&
		charged + size <= budget->cbLimit - budget->cbHeadroom[level]);
}

/* The same request at each level, in the same state. */
static void try_all_levels(void *base, const HostMemBudget *budget, size_t first,
			   size_t pages, unsigned granted[2])
{
	HostMemUsage before = host_usage(&host);
	HRESULT lower = E_OUTOFMEMORY;

	for (size_t level = 0; level < LEVELS; level++) {
		bool grant = is_granted(budget, level, before.cbCharged, pages * PAGE);
		HRESULT hr = vm_commit_pages(&host, at(base, first * PAGE), pages,
					     (EMemoryCriticalLevel)level);

		tap_row("level %zu, %zu pages, %zu charged", level, pages,
			before.cbCharged / PAGE);
		CHECK_HR(hr, grant ? S_OK : E_OUTOFMEMORY);
		CHECK(FAILED(lower) || SUCCEEDED(hr));
		lower = hr;
		granted[SUCCEEDED(hr)]++;
		if (SUCCEEDED(hr))
			CHECK_HR(vm_free(&host, at(base, first * PAGE), pages * PAGE,
					 MEM_DECOMMIT),
				 S_OK);
		CHECK_SIZE(host_usage(&host).cbCharged, before.cbCharged);
	}
}

static void what_a_level_is_refused_every_lower_one_is_refused(void)
{
	static const HostMemBudget no_limits = HOSTMEM_BUDGET_INIT;
	unsigned granted[2] = { 0, 0 };
	uint64_t state = 35;
	void *base;

	if (!host_create(&host, 0))
		return;
	base = vm_new(&host, 2 * PAGES * PAGE, MEM_RESERVE, PAGE_NOACCESS);
	for (unsigned i = 0; i < BUDGETS * STATES; i++) {
		HostMemBudget budget = random_budget(&state);
		size_t held = random_below(&state, PAGES);

		CHECK_HR(budget_set(&host, &no_limits), S_OK);
		CHECK_HR(vm_free(&host, base, 0, MEM_DECOMMIT), S_OK);
		if (held != 0)
			CHECK_HR(vm_commit_pages(&host, base, held, eTaskCritical), S_OK);
		CHECK_HR(budget_set(&host, &budget), S_OK);
		for (unsigned n = 0; n < TRIES; n++)
			try_all_levels(base, &budget, PAGES,
				       1 + random_below(&state, PAGES), granted);
		if (tap_failed())
			break;
	}
	CHECK(granted[0] > BUDGETS && granted[1] > BUDGETS);
	host_destroy(&host);
}

static void a_limit_below_the_use_takes_nothing_away(void)
{
	HostMemBudget budget = budget_of(SIZE_MAX);
	struct snapshot before;
	void *base, *out;

	if (!host_create_budget(&host, &budget))
		return;
	base = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(vm_commit(&host, base, 10 * PAGE, PAGE_READWRITE), S_OK);
	memset(base, 7, 10 * PAGE);
	snapshot_take(&before, &host);
	budget = budget_of(4 * PAGE);
	CHECK_HR(budget_set(&host, &budget), S_OK);
	CHECK_UNCHANGED(&before);
	CHECK_HR(vm_commit_pages(&host, at(base, 10 * PAGE), 1, eProcessCritical),
		 E_OUTOFMEMORY);
	/* What charges nothing goes on. */
	CHECK_HR(vm_commit(&host, base, 10 * PAGE, PAGE_READWRITE), S_OK);
	out = vm_new(&host, UNIT, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(vm_release(&host, out), S_OK);
	CHECK_HR(vm_free(&host, base, 6 * PAGE, MEM_DECOMMIT), S_OK);
	CHECK_HR(vm_commit_pages(&host, base, 1, eProcessCritical), E_OUTOFMEMORY);
	CHECK_HR(vm_free(&host, at(base, 6 * PAGE), PAGE, MEM_DECOMMIT), S_OK);
	CHECK_HR(vm_commit_pages(&host, base, 1, eProcessCritical), S_OK);
	CHECK_HR(vm_commit_pages(&host, at(base, PAGE), 1, eProcessCritical),
		 E_OUTOFMEMORY);
	budget = budget_of(5 * PAGE);
	CHECK_HR(budget_set(&host, &budget), S_OK);
	CHECK_HR(vm_commit_pages(&host, at(base, PAGE), 1, eProcessCritical), S_OK);
	host_destroy(&host);
}

/* A mapping cannot be refused, and takes room from what can. */
static void what_cannot_be_refused_counts_all_the_same(void)
{
	HostMemBudget budget = budget_of(4 * PAGE);
	void *mapping = at(NULL, (uintptr_t)0x300000000);
	void *base;

	if (!host_create_budget(&host, &budget))
		return;
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(host.manager, mapping,
								100 * PAGE),
		 S_OK);
	CHECK_SIZE(host_usage(&host).cbCharged, 100 * PAGE);
	CHECK_HR(vm_alloc_at_level(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE,
				   eProcessCritical, &base),
		 E_OUTOFMEMORY);
	CHECK_HR(IHostMemoryManager_AcquiredVirtualAddressSpace(host.manager, mapping,
								PAGE),
		 S_OK);
	base = vm_new(&host, 3 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &base),
		 E_OUTOFMEMORY);
	CHECK_SIZE(host_usage(&host).cRefusedBudget, 2);
	host_destroy(&host);
}

/* ---- From anywhere ---- */

static void halve_the_limit(struct recorder *recorder, const HostMemEvent *event)
{
	HostMemBudget budget = budget_of(event->size / 2), bad = budget;

	bad.cbHeadroom[eProcessCritical] = 1;
	CHECK_HR(budget_set(recorder->host, &bad), E_INVALIDARG);
	CHECK_HR(budget_set(recorder->host, &budget), S_OK);
	CHECK_BUDGET(recorder->host, &budget);
}

/* The request has passed the budget; the new one is for those that come later. */
static void a_callback_may_replace_the_budget(void)
{
	struct recorder recorder = { .then = halve_the_limit };
	void *base, *out;

	if (!host_create(&host, 0))
		return;
	recorder_start(&recorder, &host, ALLOCATE_BIT);
	base = vm_new(&host, 4 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	recorder_stop(&recorder);
	CHECK_SIZE(recorder.count, 1);
	CHECK_SIZE(host_usage(&host).cbCharged, 4 * PAGE);
	CHECK_HR(vm_alloc(&host, NULL, PAGE, MEM_COMMIT, PAGE_READWRITE, &out),
		 E_OUTOFMEMORY);
	CHECK_HR(vm_release(&host, base), S_OK);
	out = vm_new(&host, 2 * PAGE, MEM_COMMIT, PAGE_READWRITE);
	host_destroy(&host);
}

enum { THREADS = 4, ROUNDS = 3000, LIMIT = 40, SLOTS = 4 };

static _Atomic size_t most_charged, granted_count, refused_count;
static _Atomic bool over;
static uint32_t charge; /* what is charged */

static BOOL HOSTMEM_CALL note_most(void *state, const HostMemEvent *event)
{
	size_t most = atomic_load(&most_charged);

	(void)state;
	while (most < event->cbCharged &&
	       !atomic_compare_exchange_weak(&most_charged, &most, event->cbCharged))
		;
	CHECK(event->cbPeak <= LIMIT * PAGE);
	return TRUE;
}

/* Takes into a slot that is empty, else gives what is there. */
static void take_or_give(uint64_t *state, void **slot)
{
	size_t pages = 1 + random_below(state, LIMIT / 2);
	EMemoryCriticalLevel level = (EMemoryCriticalLevel)random_below(state, LEVELS);
	HRESULT hr;

	if (*slot != NULL) {
		CHECK_HR(vm_release(&host, *slot), S_OK);
		*slot = NULL;
		return;
	}
	hr = vm_alloc_at_level(&host, NULL, pages * PAGE,
			       charge == HOSTMEM_CHARGE_RESERVE ? MEM_RESERVE
								: MEM_COMMIT,
			       PAGE_READWRITE, level, slot);
	CHECK(host_usage(&host).cbCharged <= LIMIT * PAGE);
	if (SUCCEEDED(hr)) {
		atomic_fetch_add(&granted_count, 1);
		return;
	}
	CHECK_HR(hr, E_OUTOFMEMORY);
	atomic_fetch_add(&refused_count, 1);
}

static void *take_and_give(void *seed)
{
	uint64_t state = *(uint64_t *)seed;
	void *slots[SLOTS] = { NULL };

	for (unsigned i = 0; i < ROUNDS; i++)
		take_or_give(&state, &slots[random_below(&state, SLOTS)]);
	for (size_t i = 0; i < SLOTS; i++) {
		if (slots[i] != NULL)
			CHECK_HR(vm_release(&host, slots[i]), S_OK);
	}
	return NULL;
}

/* Two budgets that both keep to the limit. */
static void *replace(void *unused)
{
	HostMemBudget both[2] = { budget_of(LIMIT * PAGE), budget_of(LIMIT / 2 * PAGE) };

	both[0].cbHeadroom[eTaskCritical] = LIMIT / 4 * PAGE;
	both[0].dwFlags = charge;
	both[1].dwFlags = charge | HOSTMEM_ANNOUNCE_ALWAYS;
	for (unsigned i = 0; !atomic_load(&over); i++) {
		CHECK_HR(budget_set(&host, &both[i % 2]), S_OK);
		CHECK_BUDGET(&host, &both[i % 2]);
		sched_yield();
	}
	return unused;
}

static void run_threads(void)
{
	uint64_t seeds[THREADS] = { 1, 22, 333, 4444 }, cookie;
	HostMemBudget budget = budget_of(LIMIT * PAGE);
	pthread_t threads[THREADS + 1];

	budget.dwFlags = charge;
	if (!host_create_budget(&host, &budget))
		return;
	most_charged = granted_count = refused_count = 0;
	over = false;
	CHECK_HR(IHostMemoryControl_Subscribe(host.control, ALL_BITS, note_most, NULL,
					      &cookie),
		 S_OK);
	CHECK_INT(pthread_create(&threads[THREADS], NULL, replace, NULL), 0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, take_and_give, &seeds[i]), 0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	atomic_store(&over, true);
	CHECK_INT(pthread_join(threads[THREADS], NULL), 0);
	CHECK(most_charged != 0 && most_charged <= LIMIT * PAGE);
	CHECK(granted_count != 0 && refused_count != 0);
	CHECK_SIZE(host_usage(&host).cRefusedBudget, refused_count);
	CHECK_SIZE(host_usage(&host).cbCharged, 0);
	CHECK(host_usage(&host).cbPeakCharged <= LIMIT * PAGE);
	host_destroy(&host);
}

static void threads_together_never_pass_the_limit(void)
{
	for (charge = HOSTMEM_CHARGE_COMMIT; charge <= HOSTMEM_CHARGE_RESERVE; charge++) {
		tap_row("charge %u", charge);
		run_threads();
	}
}

int main(void)
{
	TAP_RUN(what_a_level_is_refused_every_lower_one_is_refused);
	TAP_RUN(a_limit_below_the_use_takes_nothing_away);
	TAP_RUN(what_cannot_be_refused_counts_all_the_same);
	TAP_RUN(a_callback_may_replace_the_budget);
	TAP_RUN(threads_together_never_pass_the_limit);
	return tap_done();
}
