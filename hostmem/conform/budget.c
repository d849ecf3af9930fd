/*
 * Cases about the budget: who is granted how much, to the page.
 *
 * A request of level i is granted while what is charged stays, with it, at or below the limit
 * less the headroom of that level.  Each edge is asked from both sides; what is granted is
 * given back before the next question, so that each is asked in a state that is known.
 */
#include "areas.h"
#include "control.h"

static const char *const level_names[] = { "task", "domain", "process" };

/* One request of so many pages in the state as it is; whether it was granted. */
static bool is_granted(struct hm_trial *t, size_t pages, EMemoryCriticalLevel level)
{
	void *base;
	HRESULT hr = hm_alloc(t, NULL, pages * HM_PAGE, HM_BOTH, PAGE_READWRITE, level,
			      &base);

	if (base != NULL) {
		hm_keep(t, base);
		(void)hm_give(t, base);
	}
	CHECK(t, hr == S_OK || hr == E_OUTOFMEMORY);
	return SUCCEEDED(hr);
}

static void the_limit_is_exact_at_each_level(struct hm_trial *t)
{
	static const size_t charged[] = { 0, 1, 7, 12, 14, 16 };
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	IHostMemoryControl *control = hm_control(t);
	void *base = control != NULL
			     ? hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE)
			     : NULL;

	if (base == NULL)
		return;
	budget.cbLimit = 16 * HM_PAGE;
	budget.cbHeadroom[0] = 4 * HM_PAGE;
	budget.cbHeadroom[1] = 2 * HM_PAGE;
	(void)hm_set_budget(t, control, &budget);
	for (size_t i = 0; i < HM_ROWS(charged); i++) {
		if (charged[i] != 0)
			CHECK_HR(t,
				 IHostMemoryManager_VirtualAlloc(t->memory, base,
								 charged[i] * HM_PAGE,
								 MEM_COMMIT,
								 PAGE_READWRITE,
								 eProcessCritical, &base),
				 S_OK);
		for (int level = 0; level < 3; level++) {
			size_t most = (budget.cbLimit - budget.cbHeadroom[level]) /
				      HM_PAGE;
			size_t room = most > charged[i] ? most - charged[i] : 0;

			hm_row(t, "%u pages charged, %s", (unsigned)charged[i],
			       level_names[level]);
			CHECK(t, !is_granted(t, room + 1, (EMemoryCriticalLevel)level));
			if (room >= 1)
				CHECK(t,
				      is_granted(t, room, (EMemoryCriticalLevel)level));
			if (room >= 2)
				CHECK(t, is_granted(t, room - 1,
						    (EMemoryCriticalLevel)level));
			CHECK_SIZE(t, hm_usage(t, control).cbCharged,
				   charged[i] * HM_PAGE);
		}
	}
}

/* Budgets at random: the law holds for every one of them, whatever is granted. */
static void what_a_level_is_refused_every_lower_one_is(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	uint64_t seed = 20240607;

	for (unsigned i = 0; control != NULL && i < 30; i++) {
		HostMemBudget budget = HOSTMEM_BUDGET_INIT;
		size_t pages = (size_t)(1 + hm_next(&seed) % 12);
		bool lower = false;

		hm_row(t, "budget %u, %u pages", i, (unsigned)pages);
		for (int level = 2; level >= 0; level--)
			budget.cbHeadroom[level] =
				(level == 2 ? 0 : budget.cbHeadroom[level + 1]) +
				(size_t)(hm_next(&seed) % 3) * HM_PAGE;
		for (int level = 0; level < 3; level++)
			budget.cbLargest[level] =
				(level == 0 ? 0 : budget.cbLargest[level - 1]) +
				(size_t)(hm_next(&seed) % 8) * HM_PAGE;
		budget.cbLimit = budget.cbHeadroom[0] +
				 (size_t)(hm_next(&seed) % 10) * HM_PAGE;
		(void)hm_set_budget(t, control, &budget);
		for (int level = 0; level < 3; level++) {
			bool granted = is_granted(t, pages, (EMemoryCriticalLevel)level);

			CHECK(t, granted || !lower);
			CHECK(t, granted == (pages * HM_PAGE <= budget.cbLargest[level] &&
					     pages * HM_PAGE <=
						     budget.cbLimit -
							     budget.cbHeadroom[level]));
			lower = granted;
		}
	}
}

static void one_request_may_be_too_large(struct hm_trial *t)
{
	static const size_t largest[] = { 2, 4, 8 };
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	IHostMemoryControl *control = hm_control(t);
	void *base;

	if (control == NULL)
		return;
	for (size_t i = 0; i < 3; i++)
		budget.cbLargest[i] = largest[i] * HM_PAGE;
	(void)hm_set_budget(t, control, &budget);
	for (int level = 0; level < 3; level++) {
		hm_row(t, "%s", level_names[level]);
		CHECK(t, is_granted(t, largest[level] - 1, (EMemoryCriticalLevel)level));
		CHECK(t, is_granted(t, largest[level], (EMemoryCriticalLevel)level));
		CHECK(t, !is_granted(t, largest[level] + 1, (EMemoryCriticalLevel)level));
	}
	hm_row(t, "what is reserved is not charged, and counts for nothing");
	base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);
	hm_row(t, "several requests may be larger together");
	for (size_t page = 0; base != NULL && page < 8; page += 2)
		(void)hm_commit(t, hm_at(base, page * HM_PAGE), 2 * HM_PAGE,
				PAGE_READWRITE);
	hm_row(t, "pages that are there do not count");
	if (base != NULL)
		(void)hm_commit(t, base, 10 * HM_PAGE, PAGE_READWRITE);
}

/* ---- What a refusal leaves ---- */

static void a_refused_request_leaves_nothing(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	void *base = control != NULL
			     ? hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE)
			     : NULL;

	if (base == NULL)
		return;
	(void)hm_commit(t, base, HM_PAGE, PAGE_READWRITE);
	(void)hm_limit(t, control, 3 * HM_PAGE);
	hm_row(t, "reserve and commit");
	(void)hm_refused_alloc(t, NULL, 3 * HM_PAGE, HM_BOTH, PAGE_READWRITE,
			       eProcessCritical, E_OUTOFMEMORY);
	hm_row(t, "commit at NULL");
	(void)hm_refused_alloc(t, NULL, 3 * HM_PAGE, MEM_COMMIT, PAGE_READWRITE,
			       eTaskCritical, E_OUTOFMEMORY);
	hm_row(t, "commit in a reservation: no page of it");
	(void)hm_refused_alloc(t, hm_at(base, HM_PAGE), 3 * HM_PAGE, MEM_COMMIT,
			       PAGE_READWRITE, eTaskCritical, E_OUTOFMEMORY);
	hm_row(t, "commit that begins with pages that are there: nor their protection");
	(void)hm_refused_alloc(t, base, 4 * HM_PAGE, MEM_COMMIT, PAGE_READONLY,
			       eTaskCritical, E_OUTOFMEMORY);
	hm_row(t, "the place that was asked for is free");
	(void)hm_limit(t, control, SIZE_MAX);
	(void)hm_grant(t, 3, eTaskCritical, S_OK);
}

static void a_full_budget_refuses_only_what_is_charged(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	void *base = control != NULL
			     ? hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE)
			     : NULL;
	void *more;

	if (base == NULL)
		return;
	(void)hm_limit(t, control, 4 * HM_PAGE);
	(void)hm_commit(t, base, 4 * HM_PAGE, PAGE_READWRITE);
	hm_row(t, "commit again");
	(void)hm_commit(t, base, 4 * HM_PAGE, PAGE_READWRITE);
	hm_row(t, "commit a part again, with another protection");
	(void)hm_commit(t, hm_at(base, HM_PAGE), HM_PAGE, PAGE_READONLY);
	hm_row(t, "protect");
	(void)hm_protect(t, hm_at(base, HM_PAGE), HM_PAGE, PAGE_READWRITE, PAGE_READONLY);
	hm_row(t, "reserve");
	more = hm_take(t, NULL, 16 * HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);
	hm_row(t, "commit one page more");
	(void)hm_refused_alloc(t, base, 5 * HM_PAGE, MEM_COMMIT, PAGE_READWRITE,
			       eProcessCritical, E_OUTOFMEMORY);
	hm_row(t, "release what was only reserved");
	if (more != NULL)
		(void)hm_give(t, more);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 4 * HM_PAGE);
}

static void what_is_given_back_can_be_granted_again(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	void *base, *other;

	if (control == NULL)
		return;
	(void)hm_limit(t, control, 4 * HM_PAGE);
	base = hm_grant(t, 4, eTaskCritical, S_OK);
	(void)hm_grant(t, 1, eProcessCritical, E_OUTOFMEMORY);
	hm_row(t, "after decommit");
	if (base == NULL || !hm_decommit(t, hm_at(base, HM_PAGE), 2 * HM_PAGE))
		return;
	(void)hm_grant(t, 3, eProcessCritical, E_OUTOFMEMORY);
	other = hm_grant(t, 2, eTaskCritical, S_OK);
	hm_row(t, "after release");
	(void)hm_give(t, base);
	(void)hm_grant(t, 3, eProcessCritical, E_OUTOFMEMORY);
	(void)hm_grant(t, 2, eTaskCritical, S_OK);
	if (other != NULL)
		(void)hm_give(t, other);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 2 * HM_PAGE);
}

/* ---- What else is charged ---- */

static void heaps_live_under_the_limit(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	IHostMalloc *heap = control != NULL ? hm_heap(t) : NULL;
	void *block = NULL, *refused = HM_POISON;

	if (heap == NULL)
		return;
	CHECK_HR(t, IHostMalloc_Alloc(heap, 64 * HM_PAGE, eTaskCritical, &block), S_OK);
	(void)hm_limit(t, control, hm_usage(t, control).cbCharged);
	for (int level = 0; level < 3; level++) {
		hm_row(t, "%s", level_names[level]);
		refused = HM_POISON;
		CHECK_HR(t,
			 IHostMalloc_Alloc(heap, 128 * HM_PAGE,
					   (EMemoryCriticalLevel)level, &refused),
			 E_OUTOFMEMORY);
		CHECK_POINTER(t, refused, NULL);
	}
	CHECK_SIZE(t, hm_usage(t, control).cBlocks, 1);
	hm_row(t, "what is freed can be taken again");
	CHECK_HR(t, IHostMalloc_Free(heap, block), S_OK);
	CHECK_HR(t, IHostMalloc_Alloc(heap, 64 * HM_PAGE, eTaskCritical, &block), S_OK);
	CHECK_HR(t, IHostMalloc_Free(heap, block), S_OK);
	(void)IHostMalloc_Release(heap);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 0);
}

/* A mapping is there already: nobody can refuse it, but it takes room from others. */
static void mappings_are_charged_and_never_refused(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);

	if (control == NULL)
		return;
	(void)hm_limit(t, control, 8 * HM_PAGE);
	CHECK_HR(t,
		 IHostMemoryManager_AcquiredVirtualAddressSpace(t->memory, HM_MAPPING,
								6 * HM_PAGE),
		 S_OK);
	CHECK(t, !is_granted(t, 3, eProcessCritical));
	CHECK(t, is_granted(t, 2, eTaskCritical));
	hm_row(t, "beyond the limit");
	CHECK_HR(t,
		 IHostMemoryManager_AcquiredVirtualAddressSpace(t->memory, HM_MAPPING,
								20 * HM_PAGE),
		 S_OK);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 20 * HM_PAGE);
	CHECK(t, !is_granted(t, 1, eProcessCritical));
	hm_row(t, "gone");
	CHECK_HR(t, IHostMemoryManager_ReleasedVirtualAddressSpace(t->memory, HM_MAPPING),
		 S_OK);
	CHECK(t, is_granted(t, 8, eTaskCritical));
}

static void a_limit_below_what_is_charged_takes_nothing_away(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	void *base = control != NULL ? hm_grant(t, 8, eTaskCritical, S_OK) : NULL;

	if (base == NULL)
		return;
	CHECK(t, hm_can_write(base, 0x42));
	(void)hm_limit(t, control, 2 * HM_PAGE);
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, 8 * HM_PAGE, base);
	CHECK_SIZE(t, ((unsigned char *)base)[0], 0x42);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 8 * HM_PAGE);
	CHECK(t, !is_granted(t, 1, eProcessCritical));
	hm_row(t, "until there is room");
	(void)hm_decommit(t, base, 6 * HM_PAGE);
	CHECK(t, !is_granted(t, 1, eProcessCritical));
	(void)hm_decommit(t, base, 7 * HM_PAGE);
	CHECK(t, is_granted(t, 1, eTaskCritical));
}

/* ---- Several threads ---- */

enum { THREADS = 4, ROUNDS = 60, LIMIT_PAGES = 6 };

struct crowd {
	struct hm_trial *t;
	IHostMemoryControl *control;
	_Atomic unsigned number, granted, refused, overshot, other;
};

static void ask_and_give_back(void *state)
{
	struct crowd *crowd = (struct crowd *)state;
	uint64_t seed = 77 + crowd->number++;

	for (unsigned i = 0; i < ROUNDS; i++) {
		SIZE_T pages = (SIZE_T)(1 + hm_next(&seed) % 4);
		HostMemUsage usage = HOSTMEM_USAGE_INIT;
		void *base = NULL;
		HRESULT hr = IHostMemoryManager_VirtualAlloc(crowd->t->memory, NULL,
							     pages * HM_PAGE, HM_BOTH,
							     PAGE_READWRITE,
							     eTaskCritical, &base);

		(void)IHostMemoryControl_GetUsage(crowd->control, &usage);
		crowd->overshot += usage.cbCharged > LIMIT_PAGES * HM_PAGE;
		crowd->granted += hr == S_OK;
		crowd->refused += hr == E_OUTOFMEMORY;
		if (SUCCEEDED(hr))
			hr = IHostMemoryManager_VirtualFree(crowd->t->memory, base, 0,
							    MEM_RELEASE);
		crowd->other += FAILED(hr) && hr != E_OUTOFMEMORY;
	}
}

static void threads_never_overshoot_together(struct hm_trial *t)
{
	static struct crowd crowd;

	crowd = (struct crowd){ .t = t, .control = hm_control(t) };
	if (crowd.control == NULL)
		return;
	(void)hm_limit(t, crowd.control, LIMIT_PAGES * HM_PAGE);
	hm_together(t, THREADS, ask_and_give_back, &crowd);
	CHECK_SIZE(t, crowd.overshot, 0);
	CHECK_SIZE(t, crowd.other, 0);
	CHECK_SIZE(t, crowd.granted + crowd.refused, THREADS * ROUNDS);
	CHECK(t, crowd.granted != 0);
	CHECK(t, hm_usage(t, crowd.control).cbPeakCharged <= LIMIT_PAGES * HM_PAGE);
	CHECK_SIZE(t, hm_usage(t, crowd.control).cbCharged, 0);
	CHECK_SIZE(t, hm_usage(t, crowd.control).cRefusedBudget, crowd.refused);
	hm_row(t, "what was pending is no more");
	CHECK(t, is_granted(t, LIMIT_PAGES, eTaskCritical));
}

static const struct hm_case cases[] = {
	{ "limit", HM_DOCUMENTED,
	  "HM header: HostMemBudget, a request of level i is granted",
	  the_limit_is_exact_at_each_level, HM_NO_GROUP },
	{ "headroom-law", HM_DOCUMENTED,
	  "HM header: what one level is refused every lower one is refused",
	  what_a_level_is_refused_every_lower_one_is, HM_NO_GROUP },
	{ "largest", HM_DOCUMENTED, "HM header: HostMemBudget.cbLargest",
	  one_request_may_be_too_large, HM_NO_GROUP },
	{ "refused", HM_DOCUMENTED, "HM header: on failure nothing has changed",
	  a_refused_request_leaves_nothing, HM_DOCUMENTED },
	{ "full", HM_DOCUMENTED, "HM header: committed pages are charged, nothing twice",
	  a_full_budget_refuses_only_what_is_charged, HM_DOCUMENTED },
	{ "given-back", HM_DOCUMENTED, "HM header: HostMemBudget",
	  what_is_given_back_can_be_granted_again, HM_NO_GROUP },
	{ "heaps", HM_DOCUMENTED, "HM header: the pages of heaps are charged",
	  heaps_live_under_the_limit, HM_NO_GROUP },
	{ "mappings", HM_DOCUMENTED, "HM header: AcquiredVirtualAddressSpace, charged",
	  mappings_are_charged_and_never_refused, HM_NO_GROUP },
	{ "below-charged", HM_DOCUMENTED, "HM header: SetBudget takes nothing away",
	  a_limit_below_what_is_charged_takes_nothing_away, HM_NO_GROUP },
	{ "threads", HM_DOCUMENTED,
	  "HM header: with it and with the requests under way, at or below",
	  threads_never_overshoot_together, HM_NO_GROUP },
};

const struct hm_area hm_area_budget = HM_AREA("budget", cases);
