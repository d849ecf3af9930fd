/*
 * Cases about VirtualQuery while other threads change what it is asked about.
 *
 * What it says was true at one moment: a record whose state is of before and whose protection
 * is of after is torn.  And it never waits for a call of another thread, which may be stopped in
 * the middle of it, or in a callback.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

enum { TURNS = 300, PATIENCE_MS = 3000 };

/* What the other thread does; it stays when the case is over. */
static struct changes {
	IHostMemoryManager *memory;
	unsigned char *base;
	HRESULT (*change)(IHostMemoryManager *memory, unsigned char *base, unsigned turn);
	_Atomic bool begin, failed, enough, over;
	_Atomic unsigned asked; /* meanwhile, by the thread of the case */
} changes;

/* Always an even number of turns: what the last one takes back is not there at the end. */
static bool goes_on(unsigned turn)
{
	return turn % 2 != 0 ||
	       (!changes.enough && (turn < TURNS || changes.asked < TURNS));
}

static void make_changes(void *state)
{
	(void)state;
	while (!changes.begin)
		hm_pause(0);
	/* After a failure the next turn might take what is not the host's. */
	for (unsigned turn = 0; !changes.failed && goes_on(turn); turn++)
		changes.failed = changes.change(changes.memory, changes.base, turn) !=
				 S_OK;
	changes.over = true;
}

static HRESULT allocate(IHostMemoryManager *memory, void *address, SIZE_T size,
			DWORD type)
{
	void *out = NULL;
	HRESULT hr = IHostMemoryManager_VirtualAlloc(memory, address, size, type,
						     PAGE_READWRITE, eTaskCritical, &out);

	return hr == S_OK && out != address ? E_FAIL : hr;
}

static HRESULT commit_or_decommit(IHostMemoryManager *memory, unsigned char *base,
				  unsigned turn)
{
	return turn % 2 == 0 ? allocate(memory, base, HM_PAGE, MEM_COMMIT)
			     : IHostMemoryManager_VirtualFree(memory, base, HM_PAGE,
							      MEM_DECOMMIT);
}

static HRESULT protect_or_not(IHostMemoryManager *memory, unsigned char *base,
			      unsigned turn)
{
	DWORD old;

	return IHostMemoryManager_VirtualProtect(memory, base, HM_PAGE,
						 turn % 2 == 0 ? PAGE_READWRITE
							       : PAGE_NOACCESS,
						 &old);
}

static HRESULT reserve_or_release(IHostMemoryManager *memory, unsigned char *base,
				  unsigned turn)
{
	return turn % 2 == 0
		       ? allocate(memory, base, 4 * HM_PAGE, MEM_RESERVE)
		       : IHostMemoryManager_VirtualFree(memory, base, 0, MEM_RELEASE);
}

/* One thread changes, the thread of the case asks. */
struct scene {
	/* Takes the memory; what is changed goes to changes.base, what is asked about comes
	 * back.  NULL after a failed check. */
	unsigned char *(*prepare)(struct hm_trial *t);
	HRESULT (*change)(IHostMemoryManager *memory, unsigned char *base, unsigned turn);
	/* Whether a run is one of those that there are, one after the other. */
	bool (*is_whole)(const MEMORY_BASIC_INFORMATION *run, const void *base);
};

/* Asks until the changes are over, or an answer is torn. */
static void ask_meanwhile(struct hm_trial *t, const struct scene *scene, void *page)
{
	unsigned long long until = hm_now_ms() + PATIENCE_MS;
	MEMORY_BASIC_INFORMATION run;
	bool torn = false;

	while (!changes.over && !torn && hm_now_ms() < until) {
		SIZE_T length = 0;

		torn = IHostMemoryManager_VirtualQuery(t->memory, page, &run, sizeof(run),
						       &length) != S_OK ||
		       length != sizeof(run) || run.BaseAddress != page ||
		       !scene->is_whole(&run, changes.base);
		changes.asked++;
	}
	changes.enough = true;
	if (torn)
		hm_row(t, "state 0x%x, protection 0x%x, size 0x%zx", (unsigned)run.State,
		       (unsigned)run.Protect, run.RegionSize);
	CHECK(t, !torn);
}

/* The thread has its stack before a case chooses an address: it might lie there. */
static void change_and_ask(struct hm_trial *t, const struct scene *scene)
{
	struct hm_helper *helper = hm_start(t, make_changes, NULL);
	void *page;

	if (helper == NULL)
		return;
	changes.memory = t->memory;
	changes.change = scene->change;
	page = scene->prepare(t);
	changes.failed = page == NULL;
	changes.begin = true;
	if (page != NULL)
		ask_meanwhile(t, scene, page);
	if (CHECK(t, hm_helper_ends(helper, PATIENCE_MS)))
		CHECK(t, !changes.failed);
}

/* Page 1 of 4 changes; page 0 and the two behind it are read-only. */
static unsigned char *page_between_others(struct hm_trial *t)
{
	unsigned char *base = hm_take(t, NULL, 4 * HM_PAGE, HM_BOTH, PAGE_READONLY);

	changes.base = base + HM_PAGE;
	return base != NULL && hm_decommit(t, changes.base, HM_PAGE) ? changes.base
								     : NULL;
}

static bool is_between_others(const MEMORY_BASIC_INFORMATION *run, const void *base)
{
	return run->AllocationBase == (const unsigned char *)base - HM_PAGE &&
	       run->AllocationProtect == PAGE_READONLY && run->RegionSize == HM_PAGE &&
	       run->Type == MEM_PRIVATE;
}

static bool is_reserved_or_committed(const MEMORY_BASIC_INFORMATION *run,
				     const void *base)
{
	return is_between_others(run, base) &&
	       ((run->State == MEM_COMMIT && run->Protect == PAGE_READWRITE) ||
		(run->State == MEM_RESERVE && run->Protect == 0));
}

static void a_page_is_committed_and_decommitted(struct hm_trial *t)
{
	static const struct scene scene = { page_between_others, commit_or_decommit,
					    is_reserved_or_committed };

	change_and_ask(t, &scene);
}

static unsigned char *committed_page_between_others(struct hm_trial *t)
{
	unsigned char *page = page_between_others(t);

	return page != NULL && hm_commit(t, page, HM_PAGE, PAGE_NOACCESS) ? page : NULL;
}

static bool has_a_protection(const MEMORY_BASIC_INFORMATION *run, const void *base)
{
	return is_between_others(run, base) && run->State == MEM_COMMIT &&
	       (run->Protect == PAGE_READWRITE || run->Protect == PAGE_NOACCESS);
}

static void a_page_is_protected(struct hm_trial *t)
{
	static const struct scene scene = { committed_page_between_others, protect_or_not,
					    has_a_protection };

	change_and_ask(t, &scene);
}

static unsigned char *page_before_another(struct hm_trial *t)
{
	unsigned char *page = page_between_others(t);

	return page != NULL ? page - HM_PAGE : NULL;
}

static bool is_the_quiet_page(const MEMORY_BASIC_INFORMATION *run, const void *base)
{
	return is_between_others(run, base) && run->State == MEM_COMMIT &&
	       run->Protect == PAGE_READONLY;
}

/* The run of a page ends at the one that changes, whatever that is just now. */
static void the_page_before_changes_nothing(struct hm_trial *t)
{
	static const struct scene scene = { page_before_another, commit_or_decommit,
					    is_the_quiet_page };

	change_and_ask(t, &scene);
}

static unsigned char *hole(struct hm_trial *t)
{
	changes.base = hm_hole(t, HM_GRANULE);
	return changes.base;
}

static bool is_there_or_not(const MEMORY_BASIC_INFORMATION *run, const void *base)
{
	if (run->AllocationBase != base)
		return run->State == MEM_FREE && run->RegionSize >= 4 * HM_PAGE;
	return run->State == MEM_RESERVE && run->Protect == 0 &&
	       run->RegionSize == 4 * HM_PAGE && run->AllocationProtect == PAGE_READWRITE;
}

static void a_reservation_comes_and_goes(struct hm_trial *t)
{
	static const struct scene scene = { hole, reserve_or_release, is_there_or_not };

	change_and_ask(t, &scene);
}

/* ---- While a call is in a callback ---- */

static struct held {
	IHostMemoryManager *memory;
	void *base;
	HRESULT result; /* of the query */
	MEMORY_BASIC_INFORMATION run;
	_Atomic bool inside, goes_on;
} held;

static BOOL HOSTMEM_CALL stay_inside(void *state, const HostMemEvent *event)
{
	unsigned long long until = hm_now_ms() + PATIENCE_MS;

	(void)state;
	(void)event;
	held.inside = true;
	while (!held.goes_on && hm_now_ms() < until)
		hm_pause(1);
	return TRUE;
}

static void commit_a_page(void *state)
{
	(void)state;
	(void)allocate(held.memory, held.base, HM_PAGE, MEM_COMMIT);
}

static void query_a_page(void *state)
{
	SIZE_T length = 0;

	(void)state;
	held.result = IHostMemoryManager_VirtualQuery(held.memory, held.base, &held.run,
						      sizeof(held.run), &length);
}

static void check_the_query(struct hm_trial *t)
{
	unsigned long long until = hm_now_ms() + PATIENCE_MS / 3;
	struct hm_helper *query;

	while (!held.inside && hm_now_ms() < until)
		hm_pause(1);
	if (!CHECK(t, held.inside))
		return;
	query = hm_start(t, query_a_page, NULL);
	if (query == NULL || !CHECK(t, hm_helper_ends(query, PATIENCE_MS / 3)))
		return;
	CHECK_HR(t, held.result, S_OK);
	CHECK_SIZE(t, held.run.State, MEM_RESERVE);
	CHECK_POINTER(t, held.run.AllocationBase, held.base);
}

static void a_query_does_not_wait_for_a_callback(struct hm_trial *t)
{
	IHostMemoryControl *control =
		(IHostMemoryControl *)hm_need(t, &IID_IHostMemoryControl,
					      "IHostMemoryControl, whose events may "
					      "take their time");
	struct hm_helper *commit;
	uint64_t cookie = 0;

	if (control == NULL)
		return;
	held.memory = t->memory;
	held.base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);
	if (held.base == NULL ||
	    !CHECK_HR(t,
		      IHostMemoryControl_Subscribe(control,
						   (DWORD)1 << HostMemEventAllocate,
						   stay_inside, NULL, &cookie),
		      S_OK))
		return;
	commit = hm_start(t, commit_a_page, NULL);
	check_the_query(t);
	held.goes_on = true;
	if (commit != NULL)
		CHECK(t, hm_helper_ends(commit, PATIENCE_MS));
	CHECK_HR(t, IHostMemoryControl_Unsubscribe(control, cookie), S_OK);
	CHECK_RUN(t, held.base, MEM_COMMIT, PAGE_READWRITE, HM_PAGE, held.base);
}

static const struct hm_case cases[] = {
	{ "commit-and-decommit", HM_REQUIRED,
	  "MS VirtualQuery; CLR queries on any thread",
	  a_page_is_committed_and_decommitted, HM_NO_GROUP },
	{ "protect", HM_REQUIRED, "MS VirtualQuery; CLR queries on any thread",
	  a_page_is_protected, HM_NO_GROUP },
	{ "the-page-before", HM_REQUIRED, "MS VirtualQuery; CLR queries on any thread",
	  the_page_before_changes_nothing, HM_NO_GROUP },
	{ "reserve-and-release", HM_REQUIRED,
	  "MS VirtualQuery; CLR queries on any thread", a_reservation_comes_and_goes,
	  HM_NO_GROUP },
	{ "inside-a-callback", HM_REQUIRED,
	  "HR VirtualQuery: no lock that a stopped thread may hold",
	  a_query_does_not_wait_for_a_callback, HM_NO_GROUP },
};

const struct hm_area hm_area_query_races = HM_AREA("query-races", cases);
