/*
 * Cases about fault rules: which requests fail, and that they fail on the path of the real
 * thing.
 *
 * The same rules, seed and calls fail in the same places on every machine, so the places are
 * known: they stand in the tables as strings, 'x' for a request that is refused.
 */
#include "areas.h"
#include "control.h"

#include <string.h>

enum { REQUESTS = 12 };

/* A rule that refuses without end. */
static const HostMemFault always = { .cbSize = sizeof(HostMemFault),
				     .result = E_OUTOFMEMORY };

static uint64_t add(struct hm_trial *t, IHostMemorySimulator *simulator,
		    const HostMemFault *fault)
{
	uint64_t cookie = 0;

	CHECK_HR(t, IHostMemorySimulator_AddFault(simulator, fault, &cookie), S_OK);
	CHECK(t, cookie != 0);
	return cookie;
}

static void take_away(struct hm_trial *t, IHostMemorySimulator *simulator,
		      uint64_t cookie)
{
	CHECK_HR(t, IHostMemorySimulator_RemoveFault(simulator, cookie), S_OK);
}

/* Both faces, and whether the host has them. */
static IHostMemorySimulator *begin(struct hm_trial *t)
{
	return hm_control(t) != NULL ? hm_simulator(t) : NULL;
}

/* One request; what is granted is given back.  true: refused, with that result. */
static bool is_refused(struct hm_trial *t, size_t pages, DWORD type,
		       EMemoryCriticalLevel level, HRESULT want)
{
	void *base;
	HRESULT hr = hm_alloc(t, NULL, pages * HM_PAGE, type, PAGE_READWRITE, level,
			      &base);

	if (base != NULL) {
		hm_keep(t, base);
		(void)hm_give(t, base);
	}
	CHECK(t, hr == S_OK || hr == want);
	return FAILED(hr);
}

/* ---- Which matches fire ---- */

static void check_pattern(struct hm_trial *t, const char *want)
{
	char got[REQUESTS + 1];

	for (size_t i = 0; i < REQUESTS; i++)
		got[i] = is_refused(t, 1, HM_BOTH, eTaskCritical, E_OUTOFMEMORY) ? 'x'
										 : '.';
	got[REQUESTS] = '\0';
	hm_row(t, "%s is wanted, %s has come", want, got);
	CHECK(t, strcmp(got, want) == 0);
}

static void rules_fire_where_they_say(struct hm_trial *t)
{
	static const struct {
		uint64_t nth, every, count;
		const char *pattern;
	} rows[] = {
		{ 0, 0, 0, "xxxxxxxxxxxx" }, { 0, 0, 1, "x..........." },
		{ 0, 0, 5, "xxxxx......." }, { 1, 0, 0, "x..........." },
		{ 4, 0, 0, "...x........" }, { 12, 0, 0, "...........x" },
		{ 0, 1, 0, "xxxxxxxxxxxx" }, { 0, 3, 0, "..x..x..x..x" },
		{ 2, 3, 0, ".x..x..x..x." }, { 5, 1, 0, "....xxxxxxxx" },
		{ 2, 4, 2, ".x...x......" }, { 0, 5, 1, "....x......." },
	};
	IHostMemorySimulator *simulator = begin(t);

	for (size_t i = 0; simulator != NULL && i < HM_ROWS(rows); i++) {
		HostMemFault fault = always;
		uint64_t cookie;

		hm_row(t, "nth %u, every %u, count %u", (unsigned)rows[i].nth,
		       (unsigned)rows[i].every, (unsigned)rows[i].count);
		fault.nth = rows[i].nth;
		fault.every = rows[i].every;
		fault.count = rows[i].count;
		cookie = add(t, simulator, &fault);
		check_pattern(t, rows[i].pattern);
		take_away(t, simulator, cookie);
		CHECK(t, !is_refused(t, 1, HM_BOTH, eTaskCritical, E_OUTOFMEMORY));
	}
}

/* The numbers of splitmix64, as the header says. */
static uint64_t draw(uint64_t *seed)
{
	uint64_t z = *seed += 0x9E3779B97F4A7C15;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
	return z ^ (z >> 31);
}

static void draws_are_the_same_everywhere(struct hm_trial *t)
{
	static const struct {
		double probability;
		uint64_t seed, threshold; /* probability * 2^53, rounded down */
	} rows[] = {
		{ 0.25, 0, (uint64_t)1 << 51 },
		{ 0.25, 1, (uint64_t)1 << 51 },
		{ 0.5, 0x123456789ABCDEF0, (uint64_t)1 << 52 },
		{ 0.9375, UINT64_MAX, (uint64_t)15 << 49 },
		{ 1.0, 7, (uint64_t)1 << 53 },
	};
	IHostMemorySimulator *simulator = begin(t);

	for (size_t i = 0; simulator != NULL && i < HM_ROWS(rows); i++) {
		HostMemFault fault = always;
		uint64_t seed = rows[i].seed, cookie;
		char pattern[REQUESTS + 1] = "";

		hm_row(t, "row %u", (unsigned)i);
		fault.probability = rows[i].probability;
		fault.seed = rows[i].seed;
		for (size_t n = 0; n < REQUESTS; n++)
			pattern[n] = draw(&seed) >> 11 < rows[i].threshold ? 'x' : '.';
		cookie = add(t, simulator, &fault);
		check_pattern(t, pattern);
		take_away(t, simulator, cookie);
	}
}

/* ---- Which requests match ---- */

static const struct {
	const char *name;
	uint32_t operations, levels;
	size_t least, most;                    /* pages */
	bool reserve, commit, larger, process; /* what is refused */
} rules[] = {
	{ "all", 0, 0, 0, 0, true, true, true, true },
	{ "reserve", 1U << HostMemReserve, 0, 0, 0, true, false, false, false },
	{ "commit", 1U << HostMemCommit, 0, 0, 0, false, true, true, true },
	{ "heap", 1U << HostMemHeap, 0, 0, 0, false, false, false, false },
	{ "task", 0, 1U << eTaskCritical, 0, 0, true, true, true, false },
	{ "process", 0, 1U << eProcessCritical, 0, 0, false, false, false, true },
	{ "domain", 0, 1U << eAppDomainCritical, 0, 0, false, false, false, false },
	{ "two levels", 0, (1U << eTaskCritical) | (1U << eProcessCritical), 0, 0, true,
	  true, true, true },
	{ "8 pages and more", 1U << HostMemCommit, 0, 8, 0, false, false, true, false },
	{ "9 pages and more", 1U << HostMemCommit, 0, 9, 0, false, false, false, false },
	{ "at most 7 pages", 1U << HostMemCommit, 0, 0, 7, false, true, false, true },
	{ "8 pages", 1U << HostMemCommit, 0, 8, 8, false, false, true, false },
};

static void rules_match_what_they_name(struct hm_trial *t)
{
	IHostMemorySimulator *simulator = begin(t);

	for (size_t i = 0; simulator != NULL && i < HM_ROWS(rules); i++) {
		HostMemFault fault = always;
		uint64_t cookie;

		hm_row(t, "%s", rules[i].name);
		fault.operations = rules[i].operations;
		fault.levels = rules[i].levels;
		fault.cbMin = rules[i].least * HM_PAGE;
		fault.cbMax = rules[i].most * HM_PAGE;
		cookie = add(t, simulator, &fault);
		CHECK(t, is_refused(t, 1, MEM_RESERVE, eTaskCritical, E_OUTOFMEMORY) ==
				 rules[i].reserve);
		CHECK(t, is_refused(t, 1, HM_BOTH, eTaskCritical, E_OUTOFMEMORY) ==
				 rules[i].commit);
		CHECK(t, is_refused(t, 8, HM_BOTH, eTaskCritical, E_OUTOFMEMORY) ==
				 rules[i].larger);
		CHECK(t, is_refused(t, 1, HM_BOTH, eProcessCritical, E_OUTOFMEMORY) ==
				 rules[i].process);
		take_away(t, simulator, cookie);
	}
}

static void what_takes_no_memory_matches_nothing(struct hm_trial *t)
{
	IHostMemorySimulator *simulator = begin(t);
	void *const mapping = (void *)(uintptr_t)0x2000000000;
	void *base = simulator != NULL ? hm_grant(t, 4, eTaskCritical, S_OK) : NULL;
	HostMemFault fault = always;

	if (base == NULL)
		return;
	fault.result = HOST_E_TIMEOUT;
	(void)add(t, simulator, &fault);
	hm_row(t, "commit of pages that are there");
	(void)hm_commit(t, base, 4 * HM_PAGE, PAGE_READWRITE);
	hm_row(t, "protect");
	(void)hm_protect(t, base, HM_PAGE, PAGE_READONLY, PAGE_READWRITE);
	hm_row(t, "a mapping");
	CHECK_HR(t,
		 IHostMemoryManager_AcquiredVirtualAddressSpace(t->memory, mapping,
								HM_PAGE),
		 S_OK);
	CHECK_HR(t, IHostMemoryManager_ReleasedVirtualAddressSpace(t->memory, mapping),
		 S_OK);
	hm_row(t, "bad arguments come first");
	(void)hm_refused_alloc(t, NULL, 0, HM_BOTH, PAGE_READWRITE, eTaskCritical,
			       E_INVALIDARG);
	hm_row(t, "decommit, release");
	(void)hm_decommit(t, base, HM_PAGE);
	(void)hm_give(t, base);
	hm_row(t, "but this does");
	(void)hm_grant(t, 1, eTaskCritical, HOST_E_TIMEOUT);
}

static void blocks_match_by_their_own_size(struct hm_trial *t)
{
	IHostMemorySimulator *simulator = begin(t);
	IHostMalloc *heap = simulator != NULL ? hm_heap(t) : NULL;
	HostMemFault fault = always;
	void *block = NULL;

	if (heap == NULL)
		return;
	CHECK_HR(t, IHostMalloc_Alloc(heap, 100, eTaskCritical, &block), S_OK);
	fault.operations = 1U << HostMemHeap;
	fault.cbMin = 64;
	fault.cbMax = 128;
	(void)add(t, simulator, &fault);
	CHECK_HR(t, IHostMalloc_Free(heap, block), S_OK);
	hm_row(t, "although a block is free");
	block = HM_POISON;
	CHECK_HR(t, IHostMalloc_Alloc(heap, 100, eTaskCritical, &block), E_OUTOFMEMORY);
	CHECK_POINTER(t, block, NULL);
	hm_row(t, "larger");
	CHECK_HR(t, IHostMalloc_Alloc(heap, 129, eTaskCritical, &block), S_OK);
	CHECK_HR(t, IHostMalloc_Free(heap, block), S_OK);
	hm_row(t, "smaller");
	CHECK_HR(t, IHostMalloc_Alloc(heap, 63, eTaskCritical, &block), S_OK);
	CHECK_HR(t, IHostMalloc_Free(heap, block), S_OK);
	(void)IHostMalloc_Release(heap);
}

static const struct hm_case cases[] = {
	{ "which-fire", HM_DOCUMENTED, "HM header: HostMemFault, nth, every, count",
	  rules_fire_where_they_say, HM_NO_GROUP },
	{ "probability", HM_DOCUMENTED, "HM header: HostMemFault, splitmix64",
	  draws_are_the_same_everywhere, HM_NO_GROUP },
	{ "which-match", HM_DOCUMENTED,
	  "HM header: HostMemFault, operations, levels, sizes",
	  rules_match_what_they_name, HM_NO_GROUP },
	{ "no-match", HM_DOCUMENTED,
	  "HM header: HostMemFault, what gives memory back cannot fail",
	  what_takes_no_memory_matches_nothing, HM_DOCUMENTED },
	{ "heaps", HM_DOCUMENTED, "HM header: IHostMalloc::Alloc, rules see each Alloc",
	  blocks_match_by_their_own_size, HM_NO_GROUP },
};

const struct hm_area hm_area_faults = HM_AREA("faults", cases);
