/*
 * Cases about Needs-, Acquired- and ReleasedVirtualAddressSpace: mappings that a runtime makes
 * by itself.
 *
 * The CLR calls the first after a mapping has failed, and on any success tries once more; it
 * tells of mappings that it has made and of those that it gave up, by their start only, and
 * does not look at the answers.  To the host these addresses are nobody's memory: a host that
 * touches them breaks the runtime.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

#define HALF ((size_t)1 << 63)

static HRESULT needs(struct hm_trial *t, void *start, size_t size)
{
	return IHostMemoryManager_NeedsVirtualAddressSpace(t->memory, start, size);
}

static HRESULT acquired(struct hm_trial *t, void *start, size_t size)
{
	return IHostMemoryManager_AcquiredVirtualAddressSpace(t->memory, start, size);
}

static HRESULT released(struct hm_trial *t, void *start)
{
	return IHostMemoryManager_ReleasedVirtualAddressSpace(t->memory, start);
}

/* ---- Needs ---- */

/* S_OK is room; E_OUTOFMEMORY is none; S_FALSE would be taken for room. */
static void yes_is_exactly_s_ok(struct hm_trial *t)
{
	static const size_t sizes[] = { 0,          1,       4095,    HM_PAGE,
					HM_GRANULE, 1 << 20, 1 << 30, (size_t)1 << 40 };

	for (size_t i = 0; i < HM_ROWS(sizes); i++) {
		struct hm_state before;
		HRESULT hr;

		hm_row(t, "0x%zx bytes anywhere", sizes[i]);
		hm_look(t, &before);
		hr = needs(t, NULL, sizes[i]);
		CHECK(t, hr == S_OK || FAILED(hr));
		CHECK_UNCHANGED(t, &before);
	}
}

/* The reference lets a host refuse; that its yes is a promise of room is hostmem's own, and to
 * the CLR both are the same: it maps once more, and fails once more. */
static bool means_no_promise(struct hm_trial *t)
{
	return needs(t, NULL, SIZE_MAX) == S_OK && hm_chooses(t, "objects to no mapping");
}

static void who_says_yes_has_room(struct hm_trial *t)
{
	static const size_t sizes[] = { 1, HM_GRANULE, 1 << 24, (size_t)1 << 36 };

	if (means_no_promise(t))
		return;
	for (size_t i = 0; i < HM_ROWS(sizes); i++) {
		void *base;

		hm_row(t, "0x%zx bytes", sizes[i]);
		if (needs(t, NULL, sizes[i]) != S_OK)
			continue;
		base = hm_take(t, NULL, sizes[i], MEM_RESERVE, PAGE_NOACCESS);
		if (base == NULL)
			continue;
		(void)hm_give(t, base);
		hm_row(t, "0x%zx bytes where some were free", sizes[i]);
		if (needs(t, base, sizes[i]) == S_OK &&
		    hm_take(t, base, sizes[i], MEM_RESERVE, PAGE_NOACCESS) != NULL)
			(void)hm_give(t, base);
	}
}

static void there_is_no_room_for_what_cannot_be(struct hm_trial *t)
{
	static const size_t sizes[] = {
		HM_USER_END, (size_t)1 << 48,    HALF - 1, HALF,
		HALF + 1,    SIZE_MAX - HM_PAGE, SIZE_MAX,
	};

	if (means_no_promise(t))
		return;
	for (size_t i = 0; i < HM_ROWS(sizes); i++) {
		struct hm_state before;

		hm_row(t, "0x%zx bytes", sizes[i]);
		hm_look(t, &before);
		CHECK_REFUSED(t, needs(t, NULL, sizes[i]), E_OUTOFMEMORY);
		if (!t->codes)
			CHECK_UNCHANGED(t, &before);
	}
}

static void there_is_no_room_where_something_is(struct hm_trial *t)
{
	unsigned char *base = (unsigned char *)hm_take(t, NULL, 2 * HM_GRANULE,
						       MEM_RESERVE, PAGE_NOACCESS);
	const struct {
		const char *what;
		void *start;
		size_t size;
	} rows[] = {
		{ "a reservation", base, HM_PAGE },
		{ "inside a reservation", base + HM_GRANULE, 1 },
		{ "all of a reservation", base, 2 * HM_GRANULE },
		{ "beyond user space", hm_at(NULL, HM_USER_END), HM_PAGE },
		{ "across the end of user space", hm_at(NULL, HM_USER_END - HM_PAGE),
		  2 * HM_PAGE },
		{ "the kernel's half", hm_at(NULL, 0xFFFF800000000000), HM_PAGE },
		{ "the sum wraps", hm_at(NULL, UINTPTR_MAX - HM_PAGE), 2 * HM_PAGE },
	};

	if (base == NULL || means_no_promise(t))
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		struct hm_state before;

		hm_row(t, "%s", rows[i].what);
		hm_look(t, &before);
		CHECK_REFUSED(t, needs(t, rows[i].start, rows[i].size), E_OUTOFMEMORY);
		if (!t->codes)
			CHECK_UNCHANGED(t, &before);
	}
}

/* ---- Acquired and Released ---- */

static void acquired_memory_is_left_alone(struct hm_trial *t)
{
	unsigned char *pages = (unsigned char *)hm_foreign_pages(4 * HM_GRANULE);
	void *page;

	if (!CHECK(t, pages != NULL))
		return;
	memset(pages, 0x61, 4 * HM_GRANULE);
	CHECK_HR(t, acquired(t, pages, 4 * HM_GRANULE), S_OK);
	CHECK_FILLED(t, pages, 4 * HM_GRANULE, 0x61);
	CHECK(t, hm_can_write(pages, 0x61));
	hm_row(t, "while the host goes on");
	page = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);
	CHECK(t, page < (void *)pages || page >= (void *)(pages + 4 * HM_GRANULE));
	if (page != NULL)
		(void)hm_give(t, page);
	hm_row(t, "released");
	CHECK_HR(t, released(t, pages), S_OK);
	CHECK_FILLED(t, pages, 4 * HM_GRANULE, 0x61);
	CHECK(t, hm_can_write(pages + HM_GRANULE, 0x61));
	hm_foreign_done(pages, 4 * HM_GRANULE);
}

/* The CLR tells of a mapping by the length that it asked for, and 0 means all of the file. */
static void any_mapping_may_be_acquired(struct hm_trial *t)
{
	static const struct {
		uintptr_t start;
		size_t size;
	} rows[] = {
		{ 0x20000000, 0 },
		{ 0x20000000, 0x3000 },
		{ 0x20000000, 0x3000 },
		{ 0x20000000, 0x4000 },
		{ 0x20002000, 0x4000 },
		{ 0x20003001, 1 },
		{ 0, 0x1000 },
		{ 0, SIZE_MAX },
		{ 0x1000, SIZE_MAX },
		{ UINTPTR_MAX, 1 },
		{ UINTPTR_MAX, SIZE_MAX },
		{ 0xFFFF800000000000, HALF },
	};
	struct hm_state before;
	void *page = hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);

	if (page == NULL)
		return;
	hm_look(t, &before);
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "0x%zx bytes at 0x%zx", rows[i].size, (size_t)rows[i].start);
		CHECK_HR(t, acquired(t, hm_at(NULL, rows[i].start), rows[i].size), S_OK);
	}
	for (size_t i = 0; i < HM_ROWS(rows); i++)
		(void)released(t, hm_at(NULL, rows[i].start));
	hm_row(t, "all of them released");
	CHECK_UNCHANGED(t, &before);
	(void)hm_give(t, page);
	(void)hm_take(t, NULL, HM_PAGE, HM_BOTH, PAGE_READWRITE);
}

static void an_unknown_start_is_refused(struct hm_trial *t)
{
	static const struct {
		const char *what;
		uintptr_t start;
	} rows[] = {
		{ "NULL", 0 },
		{ "unknown", 0x40000000 },
		{ "inside", 0x20001000 },
		{ "one byte behind the start", 0x20000001 },
		{ "one byte before it", 0x1FFFFFFF },
		{ "the end", 0x20003000 },
		{ "the kernel's half", 0xFFFF800000000000 },
	};
	struct hm_state before;

	/* The CLR does not look at the answer, so a host need not know. */
	if (released(t, hm_at(NULL, 0x40000000)) == S_OK &&
	    hm_chooses(t, "keeps no account of mappings"))
		return;
	if (!CHECK_HR(t, acquired(t, hm_at(NULL, 0x20000000), 0x3000), S_OK))
		return;
	hm_look(t, &before);
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "%s", rows[i].what);
		CHECK_REFUSED(t, released(t, hm_at(NULL, rows[i].start)),
			      HOST_E_INVALIDOPERATION);
		if (!t->codes)
			CHECK_UNCHANGED(t, &before);
	}
	hm_row(t, "the start");
	CHECK_HR(t, released(t, hm_at(NULL, 0x20000000)), S_OK);
	hm_row(t, "twice");
	CHECK_REFUSED(t, released(t, hm_at(NULL, 0x20000000)), HOST_E_INVALIDOPERATION);
}

/* To VirtualFree it is no memory of the host's. */
static void acquired_memory_is_foreign(struct hm_trial *t)
{
	void *pages = hm_foreign_pages(HM_GRANULE);

	if (!CHECK(t, pages != NULL))
		return;
	memset(pages, 0x61, HM_GRANULE);
	CHECK_HR(t, acquired(t, pages, HM_GRANULE), S_OK);
	hm_row(t, "RELEASE");
	(void)hm_refused_free(t, pages, 0, MEM_RELEASE, HOST_E_INVALIDOPERATION);
	hm_row(t, "DECOMMIT");
	(void)hm_refused_free(t, pages, HM_PAGE, MEM_DECOMMIT, HOST_E_INVALIDOPERATION);
	if (!t->codes)
		CHECK_FILLED(t, pages, HM_GRANULE, 0x61);
	(void)released(t, pages);
	hm_foreign_done(pages, HM_GRANULE);
}

/* ---- The account ---- */

static size_t external(struct hm_trial *t, IHostMemoryControl *control)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;

	CHECK_HR(t, IHostMemoryControl_GetUsage(control, &usage), S_OK);
	return usage.cbExternal;
}

static void a_mapping_is_counted_once(struct hm_trial *t)
{
	static const struct {
		const char *what;
		uintptr_t start;
		size_t size, external;
	} rows[] = {
		{ "no bytes", 0x20000000, 0, 0 },
		{ "some", 0x20000000, 0x3000, 0x3000 },
		{ "no bytes elsewhere", 0x30000000, 0, 0x3000 },
		{ "the same again", 0x20000000, 0x3000, 0x3000 },
		{ "more at the same start", 0x20000000, 0x4000, 0x4000 },
		{ "across its end", 0x20002000, 0x4000, 0x6000 },
		{ "inside", 0x20003000, 0x1000, 0x6000 },
		{ "elsewhere", 0x50000000, 0x10000, 0x16000 },
	};
	IHostMemoryControl *control =
		(IHostMemoryControl *)hm_need(t, &IID_IHostMemoryControl,
					      "IHostMemoryControl");

	if (control == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "%s", rows[i].what);
		CHECK_HR(t, acquired(t, hm_at(NULL, rows[i].start), rows[i].size), S_OK);
		CHECK_SIZE(t, external(t, control), rows[i].external);
	}
	hm_row(t, "one released");
	CHECK_HR(t, released(t, hm_at(NULL, 0x50000000)), S_OK);
	CHECK_SIZE(t, external(t, control), 0x6000);
}

static const struct hm_case cases[] = {
	{ "needs", HM_REQUIRED, "CLR maps again on any success", yes_is_exactly_s_ok,
	  HM_NO_GROUP },
	{ "needs-room", HM_DOCUMENTED, "HM hostmemory.h: S_OK only if there is room",
	  who_says_yes_has_room, HM_NO_GROUP },
	{ "needs-too-much", HM_DOCUMENTED,
	  "HR E_OUTOFMEMORY; HM hostmemory.h: S_OK only if there is room",
	  there_is_no_room_for_what_cannot_be, HM_DOCUMENTED },
	{ "needs-taken", HM_DOCUMENTED, "HM hostmemory.h: S_OK only if there is room",
	  there_is_no_room_where_something_is, HM_DOCUMENTED },
	{ "left-alone", HM_REQUIRED, "HR: the runtime's own mapping",
	  acquired_memory_is_left_alone, HM_NO_GROUP },
	{ "acquired", HM_DOCUMENTED, "HR; CLR tells size 0; HM hostmemory.h",
	  any_mapping_may_be_acquired, HM_NO_GROUP },
	{ "unknown-start", HM_DOCUMENTED, "HM hostmemory.h: no mapping was announced",
	  an_unknown_start_is_refused, HM_DOCUMENTED },
	{ "foreign", HM_DOCUMENTED, "HR VirtualFree: HOST_E_INVALIDOPERATION",
	  acquired_memory_is_foreign, HM_DOCUMENTED },
	{ "counted-once", HM_DOCUMENTED, "HM hostmemory.h: no byte counts twice",
	  a_mapping_is_counted_once, HM_NO_GROUP },
};

const struct hm_area hm_area_address_space = HM_AREA("address-space", cases);
