/*
 * Cases about PAGE_GUARD: a page that tells of its first access.
 *
 * On Windows that access raises an exception, the guard of that one page is gone by then, and
 * who made the access may try again.  Elsewhere the program's handler of faults has to ask
 * the host, by HostMemHandleFault; then the access is made again within the probe.  Both are
 * a hit here: the access did not go through silently.  A host that has guards and no such
 * function is only asked for what it says of them.
 *
 * A host may refuse guards; accepting and forgetting them is what it may not.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

#define GUARDED (PAGE_READWRITE | PAGE_GUARD)

/* ---- Hits ---- */

static hm_fault_entry fault_entry;
static unsigned asked, answered;

static bool ask_the_host(void *address, BOOL write)
{
	/* A host that says yes for ever would keep the probe for ever. */
	if (asked++ > 8 || fault_entry(address, write) != S_OK)
		return false;
	answered++;
	return true;
}

/* What comes of an access: a guard page tells of the first, and lets later ones pass. */
enum touch { SILENT, HIT, FAULT };

static enum touch judge(bool done)
{
	if (fault_entry == NULL)
		return done ? SILENT : HIT;
	if (answered == 1)
		return HIT;
	return done && answered == 0 ? SILENT : FAULT;
}

static enum touch read_from(const unsigned char *address)
{
	asked = answered = 0;
	return judge(hm_can_read(address));
}

static enum touch write_to(unsigned char *address)
{
	asked = answered = 0;
	return judge(hm_can_write(address, 0x11));
}

static DWORD protection_of(struct hm_trial *t, const void *address)
{
	MEMORY_BASIC_INFORMATION run;

	return CHECK_HR(t, hm_query(t, address, &run), S_OK) ? run.Protect : 0;
}

/* Committed pages with guards; NULL, and the case is skipped, if the host has none. */
static unsigned char *take_guarded(struct hm_trial *t, size_t pages, DWORD protect)
{
	struct hm_state before;
	void *base;
	HRESULT hr;

	hm_look(t, &before);
	hr = hm_alloc(t, NULL, pages * HM_PAGE, HM_BOTH, protect | PAGE_GUARD,
		      eTaskCritical, &base);
	if (FAILED(hr)) {
		CHECK(t, hr == HM_NOT_SUPPORTED || hr == E_INVALIDARG);
		CHECK_UNCHANGED(t, &before);
		hm_skip(t, "the host refuses PAGE_GUARD");
		return NULL;
	}
	if (base == NULL)
		return NULL;
	hm_keep(t, base);
	return (unsigned char *)base;
}

/* The same, where hits can be told. */
static unsigned char *take_working(struct hm_trial *t, size_t pages, DWORD protect)
{
	unsigned char *probe = take_guarded(t, 1, PAGE_READWRITE);

	if (probe == NULL)
		return NULL;
	fault_entry = t->target->fault_entry;
	if (fault_entry != NULL)
		hm_probe_repairs(ask_the_host);
	if (!CHECK(t, read_from(probe) == HIT))
		return NULL;
	if (protection_of(t, probe) == GUARDED && fault_entry == NULL) {
		hm_skip(t, "the module has no HostMemHandleFault, so nobody can tell "
			   "the host of a fault");
		return NULL;
	}
	return take_guarded(t, pages, protect);
}

/* ---- What is said of guards ---- */

static void guards_are_told_or_refused(struct hm_trial *t)
{
	static const DWORD rows[] = { PAGE_READONLY, PAGE_READWRITE, PAGE_EXECUTE,
				      PAGE_EXECUTE_READ };

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		DWORD guarded = rows[i] | PAGE_GUARD;
		unsigned char *base;

		hm_row(t, "0x%x", (unsigned)guarded);
		base = take_guarded(t, 3, rows[i]);
		if (base == NULL)
			return;
		CHECK_RUN(t, base, MEM_COMMIT, guarded, 3 * HM_PAGE, base);
		hm_protect(t, base + HM_PAGE, HM_PAGE, rows[i], guarded);
		CHECK_RUN(t, base, MEM_COMMIT, guarded, HM_PAGE, base);
		CHECK_RUN(t, base + HM_PAGE, MEM_COMMIT, rows[i], HM_PAGE, base);
		CHECK_RUN(t, base + 2 * HM_PAGE, MEM_COMMIT, guarded, HM_PAGE, base);
		hm_protect(t, base + HM_PAGE, HM_PAGE, guarded, rows[i]);
		hm_protect(t, base, 3 * HM_PAGE, guarded, guarded);
		CHECK_RUN(t, base, MEM_COMMIT, guarded, 3 * HM_PAGE, base);
		hm_give(t, base);
	}
}

static void commit_and_decommit_take_it_away(struct hm_trial *t)
{
	unsigned char *base = take_guarded(t, 3, PAGE_READWRITE);

	if (base == NULL)
		return;
	hm_row(t, "protect");
	hm_protect(t, base, HM_PAGE, PAGE_READWRITE, GUARDED);
	CHECK(t, hm_can_write(base, 1));
	hm_row(t, "commit");
	hm_commit(t, base + HM_PAGE, HM_PAGE, PAGE_READWRITE);
	CHECK(t, hm_can_write(base + HM_PAGE, 1));
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, 2 * HM_PAGE, base);
	hm_row(t, "decommit and commit");
	hm_decommit(t, base + 2 * HM_PAGE, HM_PAGE);
	CHECK_RUN(t, base + 2 * HM_PAGE, MEM_RESERVE, 0, HM_PAGE, base);
	CHECK(t, !hm_can_read(base + 2 * HM_PAGE));
	hm_commit(t, base + 2 * HM_PAGE, HM_PAGE, PAGE_READWRITE);
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, 3 * HM_PAGE, base);
	CHECK(t, hm_can_write(base + 2 * HM_PAGE, 1));
}

static void a_failed_call_leaves_guards(struct hm_trial *t)
{
	unsigned char *base = take_guarded(t, 4, PAGE_READWRITE);

	if (base == NULL || !hm_decommit(t, base + 3 * HM_PAGE, HM_PAGE))
		return;
	hm_row(t, "protect with a reserved page");
	hm_refused_protect(t, base, 4 * HM_PAGE, PAGE_READWRITE, HM_INVALID_ADDRESS);
	CHECK_RUN(t, base, MEM_COMMIT, GUARDED, 3 * HM_PAGE, base);
	hm_row(t, "protect with a bad protection");
	hm_refused_protect(t, base, 3 * HM_PAGE, PAGE_WRITECOPY, E_INVALIDARG);
	CHECK_RUN(t, base, MEM_COMMIT, GUARDED, 3 * HM_PAGE, base);
	hm_row(t, "commit past the end");
	hm_refused_alloc(t, base, 5 * HM_PAGE, MEM_COMMIT, PAGE_READWRITE, eTaskCritical,
			 HM_INVALID_ADDRESS);
	CHECK_RUN(t, base, MEM_COMMIT, GUARDED, 3 * HM_PAGE, base);
	hm_row(t, "decommit past the end");
	hm_refused_free(t, base, 5 * HM_PAGE, MEM_DECOMMIT, E_INVALIDARG);
	CHECK_RUN(t, base, MEM_COMMIT, GUARDED, 3 * HM_PAGE, base);
}

/* A runtime sets one on a page of its stack, which no host gave it. */
static void foreign_pages_are_guarded_or_refused(struct hm_trial *t)
{
	unsigned char *base = (unsigned char *)hm_foreign_pages(2 * HM_PAGE);
	DWORD old, now;
	HRESULT hr;

	if (!CHECK(t, base != NULL))
		return;
	hr = hm_reprotect(t, base, 1, GUARDED, &old);
	now = protection_of(t, base);
	if (FAILED(hr)) {
		CHECK_SIZE(t, now, PAGE_READWRITE);
		CHECK(t, hm_can_write(base, 1));
	} else {
		CHECK_SIZE(t, old, PAGE_READWRITE);
		CHECK_SIZE(t, now, GUARDED);
		hm_protect(t, base, 1, PAGE_READWRITE, GUARDED);
		CHECK(t, hm_can_write(base, 1));
	}
	hm_foreign_done(base, 2 * HM_PAGE);
}

/* ---- What guards do ---- */

static void each_page_is_hit_once(struct hm_trial *t)
{
	unsigned char *base = take_working(t, 4, PAGE_READWRITE);

	if (base == NULL)
		return;
	CHECK(t, read_from(base + HM_PAGE + 0x123) == HIT);
	CHECK(t, read_from(base + HM_PAGE + 0x123) == SILENT);
	CHECK(t, write_to(base + HM_PAGE) == SILENT);
	CHECK(t, read_from(base + 2 * HM_PAGE - 1) == SILENT);
	CHECK_SIZE(t, base[HM_PAGE], 0x11);
	CHECK_RUN(t, base, MEM_COMMIT, GUARDED, HM_PAGE, base);
	CHECK_RUN(t, base + HM_PAGE, MEM_COMMIT, PAGE_READWRITE, HM_PAGE, base);
	CHECK_RUN(t, base + 2 * HM_PAGE, MEM_COMMIT, GUARDED, 2 * HM_PAGE, base);
	CHECK(t, write_to(base + 4 * HM_PAGE - 1) == HIT);
	CHECK(t, write_to(base) == HIT);
	CHECK(t, read_from(base + 2 * HM_PAGE) == HIT);
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, 4 * HM_PAGE, base);
}

static void the_protection_beneath_holds(struct hm_trial *t)
{
	static const struct {
		DWORD protect;
		bool write;
	} rows[] = {
		{ PAGE_READONLY, false },
		{ PAGE_READWRITE, true },
		{ PAGE_EXECUTE_READ, false },
	};

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		unsigned char *base;

		hm_row(t, "0x%x", (unsigned)rows[i].protect);
		base = take_working(t, 2, rows[i].protect);
		if (base == NULL)
			return;
		CHECK(t, read_from(base) == HIT);
		CHECK(t, hm_can_read(base));
		CHECK(t, hm_can_write(base, 1) == rows[i].write);
		/* First the guard, then what the page itself allows. */
		CHECK(t, write_to(base + HM_PAGE) == HIT);
		CHECK(t, hm_can_write(base + HM_PAGE, 1) == rows[i].write);
		CHECK(t, hm_can_read(base + HM_PAGE));
		CHECK_RUN(t, base, MEM_COMMIT, rows[i].protect, 2 * HM_PAGE, base);
		hm_give(t, base);
	}
}

static void a_guard_can_be_set_again(struct hm_trial *t)
{
	unsigned char *base = take_working(t, 2, PAGE_READWRITE);

	if (base == NULL)
		return;
	hm_protect(t, base, 2 * HM_PAGE, PAGE_READWRITE, GUARDED);
	memset(base, 0xA7, 2 * HM_PAGE);
	for (unsigned round = 1; round <= 3; round++) {
		hm_row(t, "round %u", round);
		hm_protect(t, base, HM_PAGE, GUARDED, PAGE_READWRITE);
		CHECK(t, read_from(base + round) == HIT);
		CHECK(t, read_from(base + round) == SILENT);
		CHECK_FILLED(t, base, 2 * HM_PAGE, 0xA7);
		CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, 2 * HM_PAGE, base);
	}
}

static void a_query_is_no_access(struct hm_trial *t)
{
	unsigned char *base = take_working(t, 2, PAGE_READWRITE);

	if (base == NULL)
		return;
	CHECK_RUN(t, base, MEM_COMMIT, GUARDED, 2 * HM_PAGE, base);
	CHECK_RUN(t, base + HM_PAGE, MEM_COMMIT, GUARDED, HM_PAGE, base);
	CHECK(t, read_from(base) == HIT);
	CHECK(t, read_from(base + HM_PAGE) == HIT);
}

static void a_failed_protect_leaves_them_armed(struct hm_trial *t)
{
	unsigned char *base = take_working(t, 4, PAGE_READWRITE);

	if (base == NULL || !hm_decommit(t, base + 3 * HM_PAGE, HM_PAGE))
		return;
	hm_refused_protect(t, base, 4 * HM_PAGE, PAGE_READWRITE, HM_INVALID_ADDRESS);
	for (size_t page = 0; page < 3; page++) {
		hm_row(t, "page %zu", page);
		CHECK(t, read_from(base + page * HM_PAGE) == HIT);
	}
}

/* A fault that is not the host's must not be claimed: the program would try for ever. */
static void other_faults_are_not_its_own(struct hm_trial *t)
{
	unsigned char *base;
	void *foreign;

	if (t->target->fault_entry == NULL) {
		hm_skip(t, "the module has no HostMemHandleFault");
		return;
	}
	base = take_guarded(t, 1, PAGE_READWRITE);
	if (base == NULL || !hm_give(t, base))
		return;
	foreign = hm_foreign_pages(HM_PAGE);
	hm_row(t, "NULL");
	CHECK_HR(t, t->target->fault_entry(NULL, FALSE), S_FALSE);
	hm_row(t, "a page of the system's");
	if (CHECK(t, foreign != NULL)) {
		hm_protect(t, foreign, HM_PAGE, PAGE_NOACCESS, PAGE_READWRITE);
		CHECK_HR(t, t->target->fault_entry(foreign, TRUE), S_FALSE);
		hm_foreign_done(foreign, HM_PAGE);
	}
	hm_row(t, "released");
	CHECK_HR(t, t->target->fault_entry(base, FALSE), S_FALSE);
	hm_row(t, "reserved");
	base = hm_take(t, NULL, HM_PAGE, MEM_RESERVE, PAGE_READWRITE);
	CHECK_HR(t, t->target->fault_entry(base, FALSE), S_FALSE);
	hm_row(t, "no access");
	if (base != NULL && hm_commit(t, base, HM_PAGE, PAGE_NOACCESS))
		CHECK_HR(t, t->target->fault_entry(base, FALSE), S_FALSE);
	hm_row(t, "kernel half");
	CHECK_HR(t, t->target->fault_entry((void *)(uintptr_t)0xFFFF800000000000, FALSE),
		 S_FALSE);
}

static const struct hm_case cases[] = {
	{ "told-or-refused", HM_REQUIRED, "MS memory protection constants; HM",
	  guards_are_told_or_refused, HM_NO_GROUP },
	{ "commit-and-decommit", HM_DOCUMENTED, "MS VirtualFree; RK",
	  commit_and_decommit_take_it_away, HM_NO_GROUP },
	{ "failed-calls", HM_REQUIRED, "MS VirtualProtect: failure changes nothing",
	  a_failed_call_leaves_guards, HM_NO_GROUP },
	{ "foreign-pages", HM_REQUIRED,
	  "CLR guards its stacks; HM: or ERROR_NOT_SUPPORTED",
	  foreign_pages_are_guarded_or_refused, HM_NO_GROUP },
	{ "each-page-once", HM_DOCUMENTED, "MS Creating Guard Pages",
	  each_page_is_hit_once, HM_NO_GROUP },
	{ "protection-beneath", HM_DOCUMENTED, "MS Creating Guard Pages",
	  the_protection_beneath_holds, HM_NO_GROUP },
	{ "armed-again", HM_DOCUMENTED, "MS Creating Guard Pages",
	  a_guard_can_be_set_again, HM_NO_GROUP },
	{ "query-is-no-access", HM_REQUIRED, "MS VirtualQuery", a_query_is_no_access,
	  HM_NO_GROUP },
	{ "armed-after-failure", HM_REQUIRED, "MS VirtualProtect",
	  a_failed_protect_leaves_them_armed, HM_NO_GROUP },
	{ "other-faults", HM_DOCUMENTED, "HM HostMemHandleFault: S_FALSE",
	  other_faults_are_not_its_own, HM_NO_GROUP },
};

const struct hm_area hm_area_guard_pages = HM_AREA("guard-pages", cases);
