/*
 * Cases about GetUsage: what a host says it has given out, after every kind of call.
 *
 * Each figure is compared with a sum that the case keeps itself.  What is charged is always
 * the sum of what is committed, the pages of heaps among it, and of announced mappings: this
 * is looked at after every call.
 */
#include "areas.h"
#include "control.h"

/* A mapping that the runtime might have made; nobody touches it. */
/* ---- Pages ---- */

enum act { RESERVE, COMMIT, DECOMMIT, DECOMMIT_ALL, PROTECT, RESET, RELEASE };

/* What is done to 16 pages, and by how many pages the figures move. */
struct step {
	const char *name;
	enum act act;
	size_t page, pages;
	int reserved, committed;
};

static const struct step steps[] = {
	{ "reserve", RESERVE, 0, 16, 16, 0 },
	{ "commit", COMMIT, 0, 4, 0, 4 },
	{ "commit again", COMMIT, 0, 4, 0, 0 },
	{ "commit, half of it again", COMMIT, 2, 4, 0, 2 },
	{ "commit apart", COMMIT, 10, 2, 0, 2 },
	{ "commit across the gap", COMMIT, 5, 6, 0, 4 },
	{ "protect", PROTECT, 0, 12, 0, 0 },
	{ "give contents up", RESET, 0, 12, 0, 0 },
	{ "decommit in the middle", DECOMMIT, 4, 2, 0, -2 },
	{ "decommit again", DECOMMIT, 4, 2, 0, 0 },
	{ "decommit, half of it not committed", DECOMMIT, 3, 4, 0, -2 },
	{ "decommit what never was", DECOMMIT, 13, 2, 0, 0 },
	{ "commit all", COMMIT, 0, 16, 0, 8 },
	{ "decommit all", DECOMMIT_ALL, 0, 0, 0, -16 },
	{ "decommit all again", DECOMMIT_ALL, 0, 0, 0, 0 },
	{ "commit the last", COMMIT, 15, 1, 0, 1 },
	{ "release", RELEASE, 0, 0, -16, -1 },
};

static void act_on(struct hm_trial *t, const struct step *step, void **base)
{
	void *at = hm_at(*base, step->page * HM_PAGE);
	size_t size = step->pages * HM_PAGE;

	switch (step->act) {
	case RESERVE:
		*base = hm_take(t, NULL, size, MEM_RESERVE, PAGE_READWRITE);
		break;
	case COMMIT:
		(void)hm_commit(t, at, size, PAGE_READWRITE);
		break;
	case DECOMMIT:
	case DECOMMIT_ALL:
		(void)hm_decommit(t, at, size);
		break;
	case PROTECT:
		(void)hm_protect(t, at, size, PAGE_READONLY, PAGE_READWRITE);
		break;
	case RESET:
		(void)hm_take(t, at, size, MEM_RESET, PAGE_READWRITE);
		break;
	case RELEASE:
		(void)hm_give(t, *base);
		break;
	}
}

static void check_charge_is_the_sum(struct hm_trial *t, const HostMemUsage *usage)
{
	CHECK_SIZE(t, usage->cbCharged, usage->cbCommitted + usage->cbExternal);
	CHECK(t, usage->cbHeapPages <= usage->cbCommitted);
	CHECK(t, usage->cbPeakCharged >= usage->cbCharged);
}

static void pages_are_counted_once(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	HostMemUsage usage;
	size_t reserved, committed;
	void *base = NULL;

	if (control == NULL)
		return;
	usage = hm_usage(t, control);
	reserved = usage.cbReserved;
	committed = usage.cbCommitted;
	for (size_t i = 0; i < HM_ROWS(steps); i++) {
		hm_row(t, "%s", steps[i].name);
		act_on(t, &steps[i], &base);
		if (base == NULL)
			return;
		reserved += (size_t)(steps[i].reserved * (int)HM_PAGE);
		committed += (size_t)(steps[i].committed * (int)HM_PAGE);
		usage = hm_usage(t, control);
		CHECK_SIZE(t, usage.cbReserved, reserved);
		CHECK_SIZE(t, usage.cbCommitted, committed);
		CHECK_SIZE(t, usage.cRegions, steps[i].act == RELEASE ? 0 : 1);
		check_charge_is_the_sum(t, &usage);
	}
}

static void ways_to_reserve_count_alike(struct hm_trial *t)
{
	static const struct {
		const char *name;
		DWORD type;
		size_t size, reserved, committed;
	} rows[] = {
		{ "reserve", MEM_RESERVE, HM_PAGE, 1, 0 },
		{ "reserve and commit", HM_BOTH, 3 * HM_PAGE, 3, 3 },
		{ "commit at NULL", MEM_COMMIT, 2 * HM_PAGE, 2, 2 },
		{ "a size that is rounded up", HM_BOTH, HM_PAGE + 1, 2, 2 },
		{ "one byte", MEM_RESERVE, 1, 1, 0 },
		{ "from the top", HM_BOTH | MEM_TOP_DOWN, HM_PAGE, 1, 1 },
	};
	IHostMemoryControl *control = hm_control(t);

	for (size_t i = 0; control != NULL && i < HM_ROWS(rows); i++) {
		HostMemUsage usage;
		void *base;

		hm_row(t, "%s", rows[i].name);
		base = hm_take(t, NULL, rows[i].size, rows[i].type, PAGE_READWRITE);
		if (base == NULL)
			continue;
		usage = hm_usage(t, control);
		CHECK_SIZE(t, usage.cbReserved, rows[i].reserved * HM_PAGE);
		CHECK_SIZE(t, usage.cbCommitted, rows[i].committed * HM_PAGE);
		CHECK_SIZE(t, usage.cRegions, 1);
		check_charge_is_the_sum(t, &usage);
		(void)hm_give(t, base);
		usage = hm_usage(t, control);
		CHECK_SIZE(t, usage.cbReserved, 0);
		CHECK_SIZE(t, usage.cbCharged, 0);
		CHECK_SIZE(t, usage.cRegions, 0);
	}
}

static void the_peak_is_the_most_that_was_charged(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	void *base = control != NULL
			     ? hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE)
			     : NULL;

	if (base == NULL)
		return;
	CHECK_SIZE(t, hm_usage(t, control).cbPeakCharged, 0);
	(void)hm_commit(t, base, 4 * HM_PAGE, PAGE_READWRITE);
	CHECK_SIZE(t, hm_usage(t, control).cbPeakCharged, 4 * HM_PAGE);
	(void)hm_decommit(t, base, 3 * HM_PAGE);
	CHECK_SIZE(t, hm_usage(t, control).cbPeakCharged, 4 * HM_PAGE);
	(void)hm_commit(t, base, 2 * HM_PAGE, PAGE_READWRITE);
	CHECK_SIZE(t, hm_usage(t, control).cbPeakCharged, 4 * HM_PAGE);
	hm_row(t, "a refused request does not count");
	(void)hm_limit(t, control, 6 * HM_PAGE);
	(void)hm_grant(t, 4, eTaskCritical, E_OUTOFMEMORY);
	CHECK_SIZE(t, hm_usage(t, control).cbPeakCharged, 4 * HM_PAGE);
	hm_row(t, "one page more than ever");
	(void)hm_commit(t, base, 5 * HM_PAGE, PAGE_READWRITE);
	CHECK_SIZE(t, hm_usage(t, control).cbPeakCharged, 5 * HM_PAGE);
	(void)hm_give(t, base);
	CHECK_SIZE(t, hm_usage(t, control).cbPeakCharged, 5 * HM_PAGE);
}

/* ---- Mappings, heaps, refusals ---- */

static const struct {
	const char *name;
	size_t page, pages, external;
} mappings[] = {
	{ "a mapping", 0, 4, 4 },
	{ "the same start, larger", 0, 6, 6 },
	{ "the same start, smaller", 0, 3, 3 },
	{ "another", 8, 2, 5 },
	{ "one that covers a part", 2, 4, 8 },
	{ "of no size", 32, 0, 8 },
};

static void mappings_are_counted_by_their_bytes(struct hm_trial *t)
{
	/* Pages from HM_MAPPING on; what is there of earlier ones is covered. */
	IHostMemoryControl *control = hm_control(t);
	HostMemUsage usage;

	if (control == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(mappings); i++) {
		hm_row(t, "%s", mappings[i].name);
		CHECK_HR(t,
			 IHostMemoryManager_AcquiredVirtualAddressSpace(
				 t->memory, hm_at(HM_MAPPING, mappings[i].page * HM_PAGE),
				 mappings[i].pages * HM_PAGE),
			 S_OK);
		usage = hm_usage(t, control);
		CHECK_SIZE(t, usage.cbExternal, mappings[i].external * HM_PAGE);
		CHECK_SIZE(t, usage.cbReserved, 0);
		check_charge_is_the_sum(t, &usage);
	}
	hm_row(t, "gone");
	for (size_t page = 0; page <= 8; page += 8)
		CHECK_HR(t,
			 IHostMemoryManager_ReleasedVirtualAddressSpace(
				 t->memory, hm_at(HM_MAPPING, page * HM_PAGE)),
			 S_OK);
	CHECK_HR(t,
		 IHostMemoryManager_ReleasedVirtualAddressSpace(t->memory,
								hm_at(HM_MAPPING,
								      2 * HM_PAGE)),
		 S_OK);
	CHECK_SIZE(t, hm_usage(t, control).cbExternal, 0);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 0);
}

static void unknown_mappings_change_nothing(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_state before;

	if (control == NULL)
		return;
	CHECK_HR(t,
		 IHostMemoryManager_AcquiredVirtualAddressSpace(t->memory, HM_MAPPING,
								4 * HM_PAGE),
		 S_OK);
	for (size_t page = 1; page <= 4; page += 3) {
		hm_row(t, "%u pages from its start", (unsigned)page);
		hm_look(t, &before);
		CHECK_REFUSED(t,
			      IHostMemoryManager_ReleasedVirtualAddressSpace(
				      t->memory, hm_at(HM_MAPPING, page * HM_PAGE)),
			      HOST_E_INVALIDOPERATION);
		CHECK_UNCHANGED(t, &before);
	}
	CHECK_HR(t, IHostMemoryManager_ReleasedVirtualAddressSpace(t->memory, HM_MAPPING),
		 S_OK);
	hm_row(t, "a second time");
	CHECK_REFUSED(t,
		      IHostMemoryManager_ReleasedVirtualAddressSpace(t->memory,
								     HM_MAPPING),
		      HOST_E_INVALIDOPERATION);
}

static void blocks_are_counted_and_their_pages_charged(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	IHostMalloc *heap = control != NULL ? hm_heap(t) : NULL;
	HostMemUsage usage;
	void *small = NULL, *large = NULL;

	if (heap == NULL)
		return;
	CHECK_HR(t, IHostMalloc_Alloc(heap, 100, eTaskCritical, &small), S_OK);
	CHECK_HR(t, IHostMalloc_Alloc(heap, 64 * HM_PAGE, eTaskCritical, &large), S_OK);
	usage = hm_usage(t, control);
	CHECK_SIZE(t, usage.cBlocks, 2);
	CHECK(t, usage.cbHeap >= 100 + 64 * HM_PAGE);
	CHECK(t, usage.cbHeapPages >= 65 * HM_PAGE);
	check_charge_is_the_sum(t, &usage);
	CHECK_HR(t, IHostMalloc_Free(heap, large), S_OK);
	usage = hm_usage(t, control);
	CHECK_SIZE(t, usage.cBlocks, 1);
	CHECK(t, usage.cbHeap >= 100 && usage.cbHeap < 64 * HM_PAGE);
	check_charge_is_the_sum(t, &usage);
	hm_row(t, "a heap that ends with a live block");
	(void)IHostMalloc_Release(heap);
	usage = hm_usage(t, control);
	CHECK_SIZE(t, usage.cBlocks, 0);
	CHECK_SIZE(t, usage.cbHeap, 0);
	CHECK_SIZE(t, usage.cbHeapPages, 0);
	CHECK_SIZE(t, usage.cbCharged, 0);
	CHECK_SIZE(t, usage.cLeakedBlocks, 1);
	CHECK(t, usage.cbLeaked >= 100);
}

static void refusals_are_counted_by_who_refused(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder recorder = { .refuse = true };
	HostMemUsage usage;

	if (control == NULL)
		return;
	(void)hm_limit(t, control, 0);
	(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
	(void)hm_grant(t, 1, eProcessCritical, E_OUTOFMEMORY);
	usage = hm_usage(t, control);
	CHECK_SIZE(t, usage.cRefusedBudget, 2);
	CHECK_SIZE(t, usage.cRefusedCallback, 0);
	(void)hm_limit(t, control, SIZE_MAX);
	if (!hm_subscribe(&recorder, t, control, HM_ALLOCATE))
		return;
	(void)hm_grant(t, 1, eTaskCritical, E_OUTOFMEMORY);
	hm_unsubscribe(&recorder);
	usage = hm_usage(t, control);
	CHECK_SIZE(t, usage.cRefusedBudget, 2);
	CHECK_SIZE(t, usage.cRefusedCallback, 1);
	CHECK_SIZE(t, usage.cRefusedInjected, 0);
	hm_row(t, "bad arguments count nowhere");
	(void)hm_refused_alloc(t, NULL, 0, HM_BOTH, PAGE_READWRITE, eTaskCritical,
			       E_INVALIDARG);
	CHECK_SIZE(t, hm_usage(t, control).cRefusedBudget, 2);
	CHECK_SIZE(t, hm_usage(t, control).cRefusedCallback, 1);
}

static void callbacks_are_timed_for_who_asks(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	struct hm_recorder recorder = { .refuse = false };
	HostMemUsage usage;

	if (control == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	CHECK_SIZE(t, hm_usage(t, control).cTimedCallbacks, 0);
	hm_unsubscribe(&recorder);
	hm_row(t, "HOSTMEM_TIME_CALLBACK");
	if (!hm_subscribe(&recorder, t, control, HM_ALLOCATE | HOSTMEM_TIME_CALLBACK))
		return;
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	(void)hm_grant(t, 1, eTaskCritical, S_OK);
	usage = hm_usage(t, control);
	CHECK_SIZE(t, usage.cTimedCallbacks, 2);
	CHECK(t, usage.nsSlowestCallback <= usage.nsTimedCallbacks);
	hm_unsubscribe(&recorder);
}

static void each_host_has_its_own_account(struct hm_trial *t)
{
	IHostMemoryControl *control = hm_control(t);
	IHostMemoryManager *other = control != NULL ? hm_another_host(t) : NULL;
	void *base = NULL;

	if (other == NULL)
		return;
	CHECK_HR(t,
		 IHostMemoryManager_VirtualAlloc(other, NULL, HM_PAGE, HM_BOTH,
						 PAGE_READWRITE, eTaskCritical, &base),
		 S_OK);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 0);
	CHECK_SIZE(t, hm_usage(t, control).cRegions, 0);
	(void)hm_limit(t, control, 0);
	hm_row(t, "the other has no limit");
	CHECK_HR(t, IHostMemoryManager_VirtualFree(other, base, 0, MEM_RELEASE), S_OK);
	CHECK_HR(t,
		 IHostMemoryManager_VirtualAlloc(other, NULL, HM_PAGE, HM_BOTH,
						 PAGE_READWRITE, eTaskCritical, &base),
		 S_OK);
	CHECK_HR(t, IHostMemoryManager_VirtualFree(other, base, 0, MEM_RELEASE), S_OK);
	(void)IHostMemoryManager_Release(other);
}

static const struct hm_case cases[] = {
	{ "pages", HM_DOCUMENTED, "HM header: HostMemUsage, nothing is charged twice",
	  pages_are_counted_once, HM_NO_GROUP },
	{ "ways-to-reserve", HM_DOCUMENTED, "HM header: HostMemUsage",
	  ways_to_reserve_count_alike, HM_NO_GROUP },
	{ "peak", HM_DOCUMENTED, "HM header: HostMemUsage.cbPeakCharged",
	  the_peak_is_the_most_that_was_charged, HM_NO_GROUP },
	{ "mappings", HM_DOCUMENTED, "HM header: AcquiredVirtualAddressSpace",
	  mappings_are_counted_by_their_bytes, HM_NO_GROUP },
	{ "unknown-mappings", HM_DOCUMENTED,
	  "HM header: ReleasedVirtualAddressSpace, Errors",
	  unknown_mappings_change_nothing, HM_DOCUMENTED },
	{ "blocks", HM_DOCUMENTED, "HM header: HostMemUsage, IHostMalloc",
	  blocks_are_counted_and_their_pages_charged, HM_NO_GROUP },
	{ "refusals", HM_DOCUMENTED, "HM header: HostMemUsage.cRefused...",
	  refusals_are_counted_by_who_refused, HM_NO_GROUP },
	{ "timed-callbacks", HM_DOCUMENTED, "HM header: HOSTMEM_TIME_CALLBACK",
	  callbacks_are_timed_for_who_asks, HM_NO_GROUP },
	{ "own-account", HM_DOCUMENTED, "HM header: HostMemCreate, several hosts",
	  each_host_has_its_own_account, HM_NO_GROUP },
};

const struct hm_area hm_area_usage = HM_AREA("usage", cases);
