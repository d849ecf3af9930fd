/*
 * Cases about IHostMemoryPages: aligned reservations, and parts of reservations given back.
 */
#include "areas.h"
#include "control.h"

#include <string.h>

#define MIB ((size_t)1 << 20)

/* The pages of a reservation that the cases about parts cut. */
enum { PAGES = 16 };

static void *reserve_aligned(struct hm_trial *t, IHostMemoryPages *pages, SIZE_T size,
			     SIZE_T alignment, DWORD type)
{
	void *base = HM_POISON;

	CHECK_HR(t,
		 IHostMemoryPages_ReserveAligned(pages, size, alignment, type,
						 PAGE_READWRITE, eTaskCritical, &base),
		 S_OK);
	if (!CHECK(t, base != HM_POISON && base != NULL))
		return NULL;
	hm_keep(t, base);
	return base;
}

/* ---- ReserveAligned ---- */

static void bases_are_multiples_of_the_alignment(struct hm_trial *t)
{
	static const size_t alignments[] = { 0,       HM_PAGE,    2 * HM_PAGE,
					     32768,   HM_GRANULE, 2 * HM_GRANULE,
					     2 * MIB, 4 * MIB,    16 * MIB };
	static const DWORD types[] = { MEM_RESERVE, HM_BOTH, MEM_RESERVE | MEM_TOP_DOWN,
				       HM_BOTH | MEM_TOP_DOWN };
	IHostMemoryPages *pages = hm_pages(t);

	for (size_t i = 0; pages != NULL && i < HM_ROWS(alignments) * HM_ROWS(types);
	     i++) {
		size_t alignment = alignments[i / HM_ROWS(types)];
		size_t multiple = alignment < HM_GRANULE ? HM_GRANULE : alignment;
		DWORD type = types[i % HM_ROWS(types)];
		void *base;

		hm_row(t, "alignment 0x%x, type 0x%x", (unsigned)alignment,
		       (unsigned)type);
		base = reserve_aligned(t, pages, 3 * HM_PAGE + 1, alignment, type);
		if (base == NULL)
			return;
		CHECK_SIZE(t, (uintptr_t)base % multiple, 0);
		if ((type & MEM_COMMIT) != 0)
			CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, 4 * HM_PAGE, base);
		else
			CHECK_RUN(t, base, MEM_RESERVE, 0, 4 * HM_PAGE, base);
	}
}

static void it_is_a_reservation_as_others(struct hm_trial *t)
{
	IHostMemoryPages *pages = hm_pages(t);
	IHostMemoryControl *control = pages != NULL ? hm_control(t) : NULL;
	struct hm_recorder recorder = { .refuse = false };
	void *base;

	if (control == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	base = reserve_aligned(t, pages, 4 * HM_PAGE, 2 * MIB, MEM_RESERVE);
	if (base == NULL)
		return;
	CHECK_SIZE(t, recorder.count, 0);
	(void)hm_commit(t, hm_at(base, HM_PAGE), 2 * HM_PAGE, PAGE_READWRITE);
	CHECK_FILLED(t, hm_at(base, HM_PAGE), 2 * HM_PAGE, 0);
	CHECK_SIZE(t, hm_usage(t, control).cbReserved, 4 * HM_PAGE);
	(void)hm_give(t, base);
	CHECK_SIZE(t, hm_usage(t, control).cbReserved, 0);
	hm_row(t, "with pages: charged, told");
	base = reserve_aligned(t, pages, 4 * HM_PAGE, MIB, HM_BOTH);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 4 * HM_PAGE);
	CHECK_SIZE(t, recorder.count, 3);
	CHECK_EVENT(t, hm_event(&recorder, 2), HostMemEventAllocate, HostMemCommit,
		    4 * HM_PAGE);
	hm_unsubscribe(&recorder);
	CHECK(t, base != NULL);
}

struct request {
	const char *name;
	size_t size, alignment;
	DWORD type, protect;
	int level;
	HRESULT want;
};

static const struct request bad_requests[] = {
	{ "size 0", 0, 0, MEM_RESERVE, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "alignment 1", HM_PAGE, 1, MEM_RESERVE, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "alignment 2048", HM_PAGE, 2048, MEM_RESERVE, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "alignment 4097", HM_PAGE, 4097, MEM_RESERVE, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "alignment 192 KiB", HM_PAGE, 3 * HM_GRANULE, MEM_RESERVE, PAGE_READWRITE, 0,
	  E_INVALIDARG },
	{ "alignment SIZE_MAX", HM_PAGE, SIZE_MAX, MEM_RESERVE, PAGE_READWRITE, 0,
	  E_INVALIDARG },
	{ "alignment 2^63", HM_PAGE, (size_t)1 << 63, MEM_RESERVE, PAGE_READWRITE, 0,
	  E_OUTOFMEMORY },
	{ "size SIZE_MAX", SIZE_MAX, 0, MEM_RESERVE, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "size beyond user space", (size_t)1 << 47, 0, MEM_RESERVE, PAGE_READWRITE, 0,
	  E_INVALIDARG },
	{ "type 0", HM_PAGE, 0, 0, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "commit alone", HM_PAGE, 0, MEM_COMMIT, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "top down alone", HM_PAGE, 0, MEM_TOP_DOWN, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "reset", HM_PAGE, 0, MEM_RESET, PAGE_READWRITE, 0, E_INVALIDARG },
	{ "an unknown bit", HM_PAGE, 0, MEM_RESERVE | 1, PAGE_READWRITE, 0,
	  E_INVALIDARG },
	{ "no protection", HM_PAGE, 0, MEM_RESERVE, 0, 0, E_INVALIDARG },
	{ "two protections", HM_PAGE, 0, MEM_RESERVE, 6, 0, E_INVALIDARG },
	{ "level 3", HM_PAGE, 0, MEM_RESERVE, PAGE_READWRITE, 3, E_INVALIDARG },
	{ "level -1", HM_PAGE, 0, MEM_RESERVE, PAGE_READWRITE, -1, E_INVALIDARG },
};

static void bad_requests_are_refused(struct hm_trial *t)
{
	IHostMemoryPages *pages = hm_pages(t);

	if (pages == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(bad_requests); i++) {
		const struct request *bad = &bad_requests[i];
		struct hm_state before;
		void *base = HM_POISON;

		hm_row(t, "%s", bad->name);
		hm_look(t, &before);
		CHECK_REFUSED(t,
			      IHostMemoryPages_ReserveAligned(
				      pages, bad->size, bad->alignment, bad->type,
				      bad->protect, (EMemoryCriticalLevel)bad->level,
				      &base),
			      bad->want);
		CHECK_POINTER(t, base, NULL);
		CHECK_UNCHANGED(t, &before);
	}
	hm_row(t, "no out pointer");
	CHECK_REFUSED(t,
		      IHostMemoryPages_ReserveAligned(pages, HM_PAGE, 0, MEM_RESERVE,
						      PAGE_READWRITE, eTaskCritical,
						      NULL),
		      E_POINTER);
}

static void a_refused_request_leaves_nothing(struct hm_trial *t)
{
	IHostMemoryPages *pages = hm_pages(t);
	IHostMemoryControl *control = pages != NULL ? hm_control(t) : NULL;
	struct hm_recorder recorder = { .refuse = true };
	struct hm_state before;
	void *base = HM_POISON;

	if (control == NULL || !hm_limit(t, control, 3 * HM_PAGE))
		return;
	hm_look(t, &before);
	hm_row(t, "by the budget");
	CHECK_REFUSED(t,
		      IHostMemoryPages_ReserveAligned(pages, 4 * HM_PAGE, MIB, HM_BOTH,
						      PAGE_READWRITE, eTaskCritical,
						      &base),
		      E_OUTOFMEMORY);
	CHECK_POINTER(t, base, NULL);
	CHECK_UNCHANGED(t, &before);
	hm_row(t, "by a subscriber");
	if (!hm_subscribe(&recorder, t, control, HM_ALLOCATE))
		return;
	base = HM_POISON;
	CHECK_REFUSED(t,
		      IHostMemoryPages_ReserveAligned(pages, 3 * HM_PAGE, MIB, HM_BOTH,
						      PAGE_READWRITE, eTaskCritical,
						      &base),
		      E_OUTOFMEMORY);
	CHECK_POINTER(t, base, NULL);
	CHECK_UNCHANGED(t, &before);
	hm_unsubscribe(&recorder);
}

/* ---- ReleaseRange ---- */

/* Each page with a byte of its own; the last 4 are only reserved. */
static unsigned char *make_marked(struct hm_trial *t)
{
	unsigned char *base = (unsigned char *)hm_take(t, NULL, PAGES * HM_PAGE,
						       MEM_RESERVE, PAGE_READWRITE);

	if (base == NULL || !hm_commit(t, base, (PAGES - 4) * HM_PAGE, PAGE_READWRITE))
		return NULL;
	for (size_t page = 0; page < PAGES - 4; page++)
		memset(base + page * HM_PAGE, (int)(0x30 + page), HM_PAGE);
	(void)hm_protect(t, base + 2 * HM_PAGE, HM_PAGE, PAGE_READONLY, PAGE_READWRITE);
	return base;
}

/* Pages `first` to `end` are a reservation of their own, as they were. */
static void check_part(struct hm_trial *t, unsigned char *base, size_t first, size_t end)
{
	unsigned char *part = base + first * HM_PAGE;

	for (size_t page = first; page < end; page++) {
		unsigned char *at = base + page * HM_PAGE;

		if (page >= PAGES - 4) {
			CHECK_RUN(t, at, MEM_RESERVE, 0, (end - page) * HM_PAGE, part);
			return;
		}
		CHECK_RUN(t, at, MEM_COMMIT, page == 2 ? PAGE_READONLY : PAGE_READWRITE,
			  0, part);
		CHECK_FILLED(t, at, HM_PAGE, (unsigned char)(0x30 + page));
	}
}

/* The addresses are free, or somebody else's by now, but not the reservation's. */
static void check_gone(struct hm_trial *t, unsigned char *base, size_t first, size_t end)
{
	for (size_t page = first; page < end; page++) {
		MEMORY_BASIC_INFORMATION run;

		if (CHECK_HR(t, hm_query(t, base + page * HM_PAGE, &run), S_OK))
			CHECK(t, run.State == MEM_FREE || run.AllocationBase != base);
	}
}

static const struct {
	const char *name;
	size_t first, count, committed;
} parts[] = {
	{ "the first page", 0, 1, 1 },
	{ "the first pages", 0, 3, 3 },
	{ "one in the middle", 5, 1, 1 },
	{ "pages in the middle", 1, 10, 10 },
	{ "the last page", PAGES - 1, 1, 0 },
	{ "the last pages", 9, 7, 3 },
	{ "across the end of what is committed", 11, 2, 1 },
};

static void what_remains_are_reservations_of_their_own(struct hm_trial *t)
{
	IHostMemoryPages *pages = hm_pages(t);
	IHostMemoryControl *control = pages != NULL ? hm_control(t) : NULL;

	for (size_t i = 0; control != NULL && i < HM_ROWS(parts); i++) {
		size_t end = parts[i].first + parts[i].count;
		unsigned char *base = make_marked(t);
		HostMemUsage before, after;

		hm_row(t, "%s", parts[i].name);
		if (base == NULL)
			return;
		before = hm_usage(t, control);
		CHECK_HR(t,
			 IHostMemoryPages_ReleaseRange(pages,
						       base + parts[i].first * HM_PAGE,
						       parts[i].count * HM_PAGE),
			 S_OK);
		after = hm_usage(t, control);
		CHECK_SIZE(t, before.cbReserved - after.cbReserved,
			   parts[i].count * HM_PAGE);
		CHECK_SIZE(t, before.cbCharged - after.cbCharged,
			   parts[i].committed * HM_PAGE);
		CHECK_SIZE(t, after.cRegions,
			   (parts[i].first != 0 ? 1U : 0U) + (end != PAGES ? 1U : 0U));
		check_part(t, base, 0, parts[i].first);
		check_gone(t, base, parts[i].first, end);
		check_part(t, base, end, PAGES);
		if (parts[i].first != 0)
			(void)hm_give(t, base);
		else
			hm_forget(t, base);
		if (end != PAGES)
			(void)hm_give(t, base + end * HM_PAGE);
		CHECK_SIZE(t, hm_usage(t, control).cRegions, 0);
	}
}

static void a_whole_reservation_goes_as_with_release(struct hm_trial *t)
{
	IHostMemoryPages *pages = hm_pages(t);
	IHostMemoryControl *control = pages != NULL ? hm_control(t) : NULL;
	unsigned char *base = control != NULL ? make_marked(t) : NULL;
	struct hm_recorder recorder = { .refuse = false };

	if (base == NULL || !hm_subscribe(&recorder, t, control, HM_ALL_EVENTS))
		return;
	hm_row(t, "one byte is one page");
	CHECK_HR(t, IHostMemoryPages_ReleaseRange(pages, base + 4 * HM_PAGE, 1), S_OK);
	CHECK_SIZE(t, recorder.count, 1);
	CHECK_EVENT(t, hm_event(&recorder, 0), HostMemEventFree, HostMemRelease, HM_PAGE);
	CHECK_POINTER(t, hm_event(&recorder, 0)->address, base + 4 * HM_PAGE);
	hm_row(t, "what is left below");
	hm_forget(t, base);
	CHECK_HR(t, IHostMemoryPages_ReleaseRange(pages, base, 4 * HM_PAGE), S_OK);
	hm_row(t, "what is left above");
	CHECK_HR(t,
		 IHostMemoryPages_ReleaseRange(pages, base + 5 * HM_PAGE, 11 * HM_PAGE),
		 S_OK);
	CHECK_SIZE(t, recorder.count, 3);
	CHECK_SIZE(t, hm_usage(t, control).cRegions, 0);
	CHECK_SIZE(t, hm_usage(t, control).cbCharged, 0);
	hm_row(t, "a second time");
	CHECK_HR(t, IHostMemoryPages_ReleaseRange(pages, base, 4 * HM_PAGE),
		 HOST_E_INVALIDOPERATION);
	hm_unsubscribe(&recorder);
}

static void bad_ranges_are_refused(struct hm_trial *t)
{
	static const struct {
		const char *name;
		size_t offset, size;
		HRESULT want;
	} rows[] = {
		{ "size 0", 0, 0, E_INVALIDARG },
		{ "not at a page", 1, HM_PAGE, E_INVALIDARG },
		{ "in the middle of a page", HM_PAGE + 2048, HM_PAGE, E_INVALIDARG },
		{ "one page past the end", HM_PAGE, PAGES * HM_PAGE, E_INVALIDARG },
		{ "one byte past the end", 0, PAGES * HM_PAGE + 1, E_INVALIDARG },
		{ "all that there is", 0, SIZE_MAX, E_INVALIDARG },
	};
	IHostMemoryPages *pages = hm_pages(t);
	unsigned char *base = pages != NULL ? make_marked(t) : NULL;
	struct hm_state before;

	if (base == NULL)
		return;
	hm_look(t, &before);
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "%s", rows[i].name);
		CHECK_REFUSED(t,
			      IHostMemoryPages_ReleaseRange(pages, base + rows[i].offset,
							    rows[i].size),
			      rows[i].want);
		CHECK_UNCHANGED(t, &before);
	}
	hm_row(t, "NULL");
	CHECK_REFUSED(t, IHostMemoryPages_ReleaseRange(pages, NULL, HM_PAGE),
		      HOST_E_INVALIDOPERATION);
	CHECK_UNCHANGED(t, &before);
}

static void parts_do_not_serve_each_other(struct hm_trial *t)
{
	IHostMemoryPages *pages = hm_pages(t);
	unsigned char *base = pages != NULL ? make_marked(t) : NULL;
	struct hm_state before;

	if (base == NULL ||
	    !CHECK_HR(t,
		      IHostMemoryPages_ReleaseRange(pages, base + 6 * HM_PAGE, HM_PAGE),
		      S_OK))
		return;
	hm_keep(t, base + 7 * HM_PAGE);
	hm_look(t, &before);
	hm_row(t, "commit across the gap");
	(void)hm_refused_alloc(t, base, 8 * HM_PAGE, MEM_COMMIT, PAGE_READWRITE,
			       eTaskCritical, HM_INVALID_ADDRESS);
	hm_row(t, "commit in it");
	(void)hm_refused_alloc(t, base + 6 * HM_PAGE, HM_PAGE, MEM_COMMIT, PAGE_READWRITE,
			       eTaskCritical, HM_INVALID_ADDRESS);
	hm_row(t, "protect across it");
	(void)hm_refused_protect(t, base, 8 * HM_PAGE, PAGE_READONLY, HM_INVALID_ADDRESS);
	hm_row(t, "decommit across it");
	(void)hm_refused_free(t, base, 8 * HM_PAGE, MEM_DECOMMIT, E_INVALIDARG);
	hm_row(t, "release across it");
	CHECK_REFUSED(t, IHostMemoryPages_ReleaseRange(pages, base, 8 * HM_PAGE),
		      E_INVALIDARG);
	CHECK_UNCHANGED(t, &before);
}

static const struct hm_case cases[] = {
	{ "aligned", HM_DOCUMENTED, "HM header: ReserveAligned, alignment",
	  bases_are_multiples_of_the_alignment, HM_NO_GROUP },
	{ "as-others", HM_DOCUMENTED,
	  "HM header: ReserveAligned, in all else VirtualAlloc",
	  it_is_a_reservation_as_others, HM_NO_GROUP },
	{ "bad-requests", HM_DOCUMENTED, "HM header: ReserveAligned, Errors",
	  bad_requests_are_refused, HM_DOCUMENTED },
	{ "refused", HM_DOCUMENTED, "HM header: ReserveAligned, E_OUTOFMEMORY",
	  a_refused_request_leaves_nothing, HM_DOCUMENTED },
	{ "parts", HM_DOCUMENTED, "HM header: ReleaseRange, what remains",
	  what_remains_are_reservations_of_their_own, HM_NO_GROUP },
	{ "whole", HM_DOCUMENTED, "HM header: ReleaseRange",
	  a_whole_reservation_goes_as_with_release, HM_NO_GROUP },
	{ "bad-ranges", HM_DOCUMENTED, "HM header: ReleaseRange, Errors",
	  bad_ranges_are_refused, HM_DOCUMENTED },
	{ "gap", HM_DOCUMENTED,
	  "HM header: ReleaseRange, each with an AllocationBase of its own",
	  parts_do_not_serve_each_other, HM_DOCUMENTED },
};

const struct hm_area hm_area_pages = HM_AREA("pages", cases);
