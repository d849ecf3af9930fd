/*
 * Cases about MEM_COMMIT that is refused: nothing is reserved there, or there is no memory.
 *
 * A commit is of one reservation, wholly, or of nothing: a collector that is refused goes on
 * with what it has, and would read pages that came by half as its own.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

/* ---- Where nothing is reserved ---- */

/* The hole: free; 32 pages, of which some are committed; 16 pages next to them; free. */
static unsigned char *take_adjacent(struct hm_trial *t)
{
	unsigned char *hole = (unsigned char *)hm_hole(t, 8 * HM_GRANULE), *first;

	if (hole == NULL)
		return NULL;
	first = hole + HM_GRANULE;
	if (hm_take(t, first, 2 * HM_GRANULE, MEM_RESERVE, PAGE_READWRITE) == NULL ||
	    hm_take(t, first + 2 * HM_GRANULE, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE) ==
		    NULL)
		return NULL;
	if (!hm_commit(t, first, HM_PAGE, PAGE_READONLY) ||
	    !hm_commit(t, first + 0x1F000, HM_PAGE, PAGE_READWRITE) ||
	    !hm_commit(t, first + 0x20000, HM_PAGE, PAGE_READONLY) ||
	    !CHECK(t, hm_can_write(first + 0x1F000, 0x42)))
		return NULL;
	return hole;
}

struct range {
	const char *what;
	size_t offset;
	SIZE_T size;
};

static void refuse_ranges(struct hm_trial *t, const struct range *rows, size_t count)
{
	unsigned char *hole = take_adjacent(t);

	for (size_t i = 0; hole != NULL && i < count; i++) {
		hm_row(t, "%s", rows[i].what);
		hm_refused_alloc(t, hole + rows[i].offset, rows[i].size, MEM_COMMIT,
				 PAGE_READWRITE, eTaskCritical, HM_INVALID_ADDRESS);
	}
}

static void what_is_not_reserved_is_not_committed(struct hm_trial *t)
{
	static const struct range rows[] = {
		{ "free memory", 0, 0x1000 },
		{ "free memory up to the first", 0, 0x10000 },
		{ "starts a page before", 0xF000, 0x2000 },
		{ "starts one byte before", 0xFFFF, 2 },
		{ "one byte past the end", 0x30000, 0x10001 },
		{ "from the last byte past the end", 0x3FFFF, 2 },
		{ "behind the end", 0x40000, 1 },
		{ "far past the end", 0x30000, 0x1000000 },
	};

	refuse_ranges(t, rows, HM_ROWS(rows));
}

static void two_reservations_are_not_committed_at_once(struct hm_trial *t)
{
	static const struct range rows[] = {
		{ "a page of each", 0x2F000, 0x2000 },
		{ "a byte of each", 0x2FFFF, 2 },
		{ "all of both", 0x10000, 0x30000 },
		{ "the first and a byte", 0x10000, 0x20001 },
	};

	refuse_ranges(t, rows, HM_ROWS(rows));
}

static void what_is_given_back_is_not_committed(struct hm_trial *t)
{
	unsigned char *hole = (unsigned char *)hm_hole(t, HM_GRANULE);

	if (hole != NULL)
		hm_refused_alloc(t, hole, HM_PAGE, MEM_COMMIT, PAGE_READWRITE,
				 eTaskCritical, HM_INVALID_ADDRESS);
}

/* To Win32 all reservations of a process are alike; to a host that accounts they are not. */
static void what_others_have_is_not_committed(struct hm_trial *t)
{
	IHostMemoryManager *other;
	void *pages, *base = NULL;

	if (hm_need(t, &IID_IHostMemoryControl, "IHostMemoryControl") == NULL)
		return;
	hm_row(t, "pages of the system's");
	pages = hm_foreign_pages(HM_PAGE);
	if (CHECK(t, pages != NULL)) {
		memset(pages, 0x3C, HM_PAGE);
		hm_refused_alloc(t, pages, HM_PAGE, MEM_COMMIT, PAGE_READONLY,
				 eTaskCritical, HM_INVALID_ADDRESS);
		CHECK(t, hm_can_write(pages, 0x3C));
		CHECK_FILLED(t, pages, HM_PAGE, 0x3C);
		hm_foreign_done(pages, HM_PAGE);
	}
	hm_row(t, "a reservation of another host");
	other = hm_another_host(t);
	if (other == NULL)
		return;
	CHECK_HR(t,
		 IHostMemoryManager_VirtualAlloc(other, NULL, HM_PAGE, MEM_RESERVE,
						 PAGE_READWRITE, eTaskCritical, &base),
		 S_OK);
	if (base != NULL)
		hm_refused_alloc(t, base, HM_PAGE, MEM_COMMIT, PAGE_READWRITE,
				 eTaskCritical, HM_INVALID_ADDRESS);
	(void)IHostMemoryManager_Release(other);
}

/* ---- Limits of the host ---- */

static bool limit(struct hm_trial *t, IHostMemoryControl *control, size_t bytes)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;

	budget.cbLimit = bytes;
	return CHECK_HR(t, IHostMemoryControl_SetBudget(control, &budget), S_OK);
}

static void a_full_budget_refuses_all_or_nothing(struct hm_trial *t)
{
	unsigned char *base = hm_witness(t),
		      *hole = (unsigned char *)hm_hole(t, HM_GRANULE);
	IHostMemoryControl *control =
		(IHostMemoryControl *)hm_need(t, &IID_IHostMemoryControl,
					      "IHostMemoryControl");

	if (base == NULL || hole == NULL || control == NULL ||
	    !limit(t, control, (HM_WITNESS_COMMITTED + 1) * HM_PAGE))
		return;
	hm_row(t, "one page too many, of several");
	hm_refused_alloc(t, base + HM_PAGE, (HM_WITNESS_COMMITTED + 1) * HM_PAGE,
			 MEM_COMMIT, PAGE_READONLY, eTaskCritical, E_OUTOFMEMORY);
	hm_row(t, "no reservation is left of one that cannot be committed");
	hm_refused_alloc(t, hole, 2 * HM_PAGE, HM_BOTH, PAGE_READWRITE, eTaskCritical,
			 E_OUTOFMEMORY);
	hm_refused_alloc(t, NULL, 2 * HM_PAGE, MEM_COMMIT, PAGE_READWRITE, eTaskCritical,
			 E_OUTOFMEMORY);
	CHECK_POINTER(t, hm_take(t, hole, HM_PAGE, MEM_RESERVE, PAGE_NOACCESS), hole);
	hm_row(t, "exactly the limit");
	hm_commit(t, base, (HM_WITNESS_COMMITTED + 1) * HM_PAGE, PAGE_READWRITE);
	hm_row(t, "committed pages need nothing");
	hm_commit(t, base, (HM_WITNESS_COMMITTED + 1) * HM_PAGE, PAGE_READONLY);
	CHECK_FILLED(t, base, HM_WITNESS_COMMITTED * HM_PAGE, 0x5A);
	hm_row(t, "one page more");
	hm_refused_alloc(t, base + (HM_WITNESS_COMMITTED + 1) * HM_PAGE, 1, MEM_COMMIT,
			 PAGE_READWRITE, eProcessCritical, E_OUTOFMEMORY);
}

static void a_failing_system_leaves_pages_as_they_were(struct hm_trial *t)
{
	unsigned char *base = hm_witness(t);
	HostMemFault fault = HOSTMEM_FAULT_INIT;
	uint64_t cookie = 0;
	IHostMemorySimulator *simulator =
		(IHostMemorySimulator *)hm_need(t, &IID_IHostMemorySimulator,
						"IHostMemorySimulator");

	if (base == NULL || simulator == NULL)
		return;
	fault.operations = 1U << HostMemCommit;
	fault.place = HOSTMEM_FAULT_SYSTEM;
	fault.count = 0;
	if (!CHECK_HR(t, IHostMemorySimulator_AddFault(simulator, &fault, &cookie), S_OK))
		return;
	hm_row(t, "pages that are committed, and more");
	hm_refused_alloc(t, base + HM_PAGE, 8 * HM_PAGE, MEM_COMMIT, PAGE_READONLY,
			 eTaskCritical, E_OUTOFMEMORY);
	hm_row(t, "reserve and commit");
	hm_refused_alloc(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE, eTaskCritical,
			 E_OUTOFMEMORY);
	CHECK_HR(t, IHostMemorySimulator_RemoveFault(simulator, cookie), S_OK);
	hm_row(t, "afterwards");
	hm_commit(t, base + HM_PAGE, 8 * HM_PAGE, PAGE_READWRITE);
}

static const struct hm_case cases[] = {
	{ "not-reserved", HM_REQUIRED, "MS VirtualAlloc: MEM_COMMIT",
	  what_is_not_reserved_is_not_committed, HM_DOCUMENTED },
	{ "two-reservations", HM_WINDOWS_DETAIL, "RT: adjacent reservations",
	  two_reservations_are_not_committed_at_once, HM_WINDOWS_DETAIL },
	{ "given-back", HM_REQUIRED, "MS VirtualAlloc: MEM_COMMIT",
	  what_is_given_back_is_not_committed, HM_DOCUMENTED },
	{ "of-others", HM_DOCUMENTED, "HM VirtualAlloc: a reservation of this host",
	  what_others_have_is_not_committed, HM_DOCUMENTED },
	{ "budget", HM_DOCUMENTED, "HM IHostMemoryControl: SetBudget",
	  a_full_budget_refuses_all_or_nothing, HM_DOCUMENTED },
	{ "system-fails", HM_DOCUMENTED, "HM IHostMemorySimulator: AddFault",
	  a_failing_system_leaves_pages_as_they_were, HM_DOCUMENTED },
};

const struct hm_area hm_area_commit_refused = HM_AREA("commit-refused", cases);
