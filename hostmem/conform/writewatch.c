/*
 * Cases about MEM_WRITE_WATCH, with which the CLR's collector asks at its start whether it can
 * have a concurrent mode.
 *
 * Refused, it does without, and asks again for the same memory without the flag.  Accepted, it
 * believes that the system remembers which pages are written, and uses the region as any
 * other.  Who gets that list, and how, is no matter of these interfaces.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

/* The region, or NULL: it is refused, and without a trace. */
static unsigned char *take_watched(struct hm_trial *t, size_t size, DWORD type)
{
	struct hm_state before;
	void *base;
	HRESULT hr;

	hm_look(t, &before);
	hr = hm_alloc(t, NULL, size, type | MEM_WRITE_WATCH, PAGE_READWRITE,
		      eTaskCritical, &base);
	if (FAILED(hr)) {
		if (!t->codes || hr != E_INVALIDARG ||
		    !hm_chooses(t, "calls MEM_WRITE_WATCH invalid"))
			hm_check_refused(t, hr, HM_NOT_SUPPORTED, "of MEM_WRITE_WATCH",
					 __FILE__, __LINE__);
		if (!t->codes)
			CHECK_UNCHANGED(t, &before);
		return NULL;
	}
	if (base != NULL)
		hm_keep(t, base);
	return (unsigned char *)base;
}

static void the_collector_asks_at_its_start(struct hm_trial *t)
{
	unsigned char *probe = take_watched(t, HM_GRANULE, MEM_RESERVE);
	unsigned char *heap;

	if (t->codes)
		return;
	hm_row(t, "the probe is given back");
	if (probe != NULL)
		hm_give(t, probe);
	hm_row(t, "the heap, with the flag if it was accepted");
	heap = hm_take(t, NULL, (size_t)384 << 20,
		       MEM_RESERVE | (probe != NULL ? MEM_WRITE_WATCH : 0),
		       PAGE_READWRITE);
	if (heap == NULL)
		return;
	CHECK_RUN(t, heap, MEM_RESERVE, 0, (size_t)384 << 20, heap);
	if (hm_commit(t, heap, 2 * HM_PAGE, PAGE_READWRITE))
		CHECK_FILLED(t, heap, 2 * HM_PAGE, 0);
	CHECK(t, hm_can_write(heap, 1));
}

static void the_answer_is_always_the_same(struct hm_trial *t)
{
	static const DWORD rows[] = { MEM_RESERVE, HM_BOTH, MEM_RESERVE | MEM_TOP_DOWN,
				      HM_BOTH | MEM_TOP_DOWN };
	bool accepted = take_watched(t, HM_GRANULE, MEM_RESERVE) != NULL;

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "type 0x%x", (unsigned)(rows[i] | MEM_WRITE_WATCH));
		CHECK(t, (take_watched(t, HM_GRANULE, rows[i]) != NULL) == accepted);
		CHECK(t, (take_watched(t, HM_PAGE, rows[i]) != NULL) == accepted);
	}
}

static void a_watched_region_works_as_any_other(struct hm_trial *t)
{
	unsigned char *base = take_watched(t, HM_GRANULE, HM_BOTH);

	if (base == NULL) {
		hm_skip(t, "the host refuses MEM_WRITE_WATCH");
		return;
	}
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, HM_GRANULE, base);
	CHECK_FILLED(t, base, HM_GRANULE, 0);
	memset(base, 0x57, HM_GRANULE);
	CHECK_FILLED(t, base, HM_GRANULE, 0x57);
	hm_protect(t, base, HM_PAGE, PAGE_READONLY, PAGE_READWRITE);
	CHECK(t, hm_can_read(base) && !hm_can_write(base, 1));
	CHECK(t, hm_can_write(base + HM_PAGE, 0x57));
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READONLY, HM_PAGE, base);
	CHECK_RUN(t, base + HM_PAGE, MEM_COMMIT, PAGE_READWRITE, HM_GRANULE - HM_PAGE,
		  base);
	hm_decommit(t, base, 2 * HM_PAGE);
	hm_wine(t, "Wine 8 ends a reserved run where the protection was another before");
	CHECK_RUN(t, base, MEM_RESERVE, 0, 2 * HM_PAGE, base);
	hm_wine(t, NULL);
	CHECK(t, !hm_can_read(base));
	if (hm_commit(t, base, 2 * HM_PAGE, PAGE_READWRITE))
		CHECK_FILLED(t, base, 2 * HM_PAGE, 0);
	if (hm_give(t, base))
		CHECK(t, !hm_can_read(base) && !hm_can_read(base + HM_GRANULE - 1));
}

static void what_is_wrong_without_the_flag_is_wrong_with_it(struct hm_trial *t)
{
	const DWORD type = MEM_RESERVE | MEM_WRITE_WATCH;

	hm_row(t, "size 0");
	hm_refused_alloc(t, NULL, 0, type, PAGE_READWRITE, eTaskCritical, E_INVALIDARG);
	hm_row(t, "size beyond user space");
	hm_refused_alloc(t, NULL, SIZE_MAX, type, PAGE_READWRITE, eTaskCritical,
			 E_INVALIDARG);
	hm_row(t, "protection 0");
	hm_refused_alloc(t, NULL, HM_GRANULE, type, 0, eTaskCritical, E_INVALIDARG);
	hm_row(t, "two protections");
	hm_refused_alloc(t, NULL, HM_GRANULE, type, PAGE_READONLY | PAGE_READWRITE,
			 eTaskCritical, E_INVALIDARG);
	hm_row(t, "an unknown type beside it");
	hm_refused_alloc(t, NULL, HM_GRANULE, type | 1, PAGE_READWRITE, eTaskCritical,
			 E_INVALIDARG);
	hm_row(t, "an address below 64 KiB");
	hm_refused_alloc(t, (void *)(uintptr_t)0x1000, HM_PAGE, type, PAGE_READWRITE,
			 eTaskCritical, E_INVALIDARG);
}

static void an_address_that_is_taken_stays_taken(struct hm_trial *t)
{
	unsigned char *base = hm_take(t, NULL, HM_GRANULE, HM_BOTH, PAGE_READWRITE);

	if (base == NULL)
		return;
	memset(base, 0x58, HM_GRANULE);
	hm_refused_alloc(t, base, HM_GRANULE, MEM_RESERVE | MEM_WRITE_WATCH,
			 PAGE_READWRITE, eTaskCritical, HM_INVALID_ADDRESS);
	hm_refused_alloc(t, base, HM_GRANULE, HM_BOTH | MEM_WRITE_WATCH, PAGE_READWRITE,
			 eTaskCritical, HM_INVALID_ADDRESS);
}

static void it_needs_a_reservation(struct hm_trial *t)
{
	static const DWORD rows[] = { MEM_WRITE_WATCH, MEM_WRITE_WATCH | MEM_COMMIT,
				      MEM_WRITE_WATCH | MEM_TOP_DOWN };
	unsigned char *base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);

	if (base == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "type 0x%x", (unsigned)rows[i]);
		if ((rows[i] & MEM_COMMIT) != 0)
			hm_wine(t, "Wine 8 accepts it; MS: needs MEM_RESERVE");
		hm_refused_alloc(t, NULL, HM_GRANULE, rows[i], PAGE_READWRITE,
				 eTaskCritical, E_INVALIDARG);
		hm_refused_alloc(t, base, HM_GRANULE, rows[i], PAGE_READWRITE,
				 eTaskCritical, E_INVALIDARG);
	}
}

static const struct hm_case cases[] = {
	{ "at-the-start", HM_REQUIRED, "CLR: the collector asks; HM: ERROR_NOT_SUPPORTED",
	  the_collector_asks_at_its_start, HM_DOCUMENTED },
	{ "same-answer", HM_REQUIRED, "CLR asks once and believes it",
	  the_answer_is_always_the_same, HM_NO_GROUP },
	{ "as-any-other", HM_REQUIRED, "MS VirtualAlloc",
	  a_watched_region_works_as_any_other, HM_NO_GROUP },
	{ "malformed", HM_REQUIRED, "MS VirtualAlloc; WT",
	  what_is_wrong_without_the_flag_is_wrong_with_it, HM_WINDOWS_DETAIL },
	{ "taken-addresses", HM_REQUIRED, "MS VirtualAlloc; RT: 487",
	  an_address_that_is_taken_stays_taken, HM_WINDOWS_DETAIL },
	{ "needs-a-reservation", HM_DOCUMENTED, "MS VirtualAlloc; RK",
	  it_needs_a_reservation, HM_WINDOWS_DETAIL },
};

const struct hm_area hm_area_write_watch = HM_AREA("write-watch", cases);
