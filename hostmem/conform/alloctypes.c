/*
 * Cases about the type of VirtualAlloc: which bits there are, and which go together.
 *
 * A client learns what a host can do by asking for it: the collector asks for write watch and
 * goes on without when it is refused.  A host that overlooks a bit it does not know promises
 * what it does not keep, so each bit is asked alone and beside those that are known.
 *
 * MEM_RESET, MEM_RESET_UNDO and granted MEM_WRITE_WATCH have areas of their own.
 */
#include "areas.h"
#include "memory.h"

#define KNOWN \
	(MEM_COMMIT | MEM_RESERVE | MEM_RESET | MEM_RESET_UNDO | MEM_TOP_DOWN | \
	 MEM_WRITE_WATCH | MEM_PHYSICAL | MEM_LARGE_PAGES)
#define LARGE ((SIZE_T)2 << 20) /* of pages that are large, on x86-64 */

/* At NULL, and where it could commit. */
static void refuse_type(struct hm_trial *t, void *inside, DWORD type)
{
	hm_refused_alloc(t, NULL, LARGE, type, PAGE_READWRITE, eTaskCritical,
			 E_INVALIDARG);
	if ((type & MEM_RESERVE) == 0)
		hm_refused_alloc(t, inside, 8 * HM_PAGE, type, PAGE_READONLY,
				 eTaskCritical, E_INVALIDARG);
}

static void unknown_bits_are_refused(struct hm_trial *t)
{
	unsigned char *base = hm_witness(t);

	for (unsigned i = 0; base != NULL && i < 32; i++) {
		DWORD bit = (DWORD)1 << i;

		if ((bit & KNOWN) != 0)
			continue;
		hm_row(t, "bit 0x%x", (unsigned)bit);
		refuse_type(t, base, bit);
		refuse_type(t, base, MEM_RESERVE | bit);
		refuse_type(t, base, MEM_COMMIT | bit);
	}
	hm_row(t, "all bits");
	if (base != NULL)
		refuse_type(t, base, 0xFFFFFFFF);
}

static void refuse_types(struct hm_trial *t, const DWORD *types, size_t count,
			 const char *wine)
{
	unsigned char *base = hm_witness(t);

	for (size_t i = 0; base != NULL && i < count; i++) {
		hm_row(t, "type 0x%x", (unsigned)types[i]);
		hm_wine(t, wine);
		refuse_type(t, base, types[i]);
	}
}

static void one_of_reserve_and_commit_is_needed(struct hm_trial *t)
{
	static const DWORD types[] = { 0, MEM_TOP_DOWN, MEM_WRITE_WATCH,
				       MEM_TOP_DOWN | MEM_WRITE_WATCH };

	refuse_types(t, types, HM_ROWS(types), NULL);
}

/* They are for VirtualFree, and for what VirtualQuery tells. */
static void other_calls_bits_are_refused(struct hm_trial *t)
{
	static const DWORD types[] = {
		MEM_DECOMMIT | MEM_RELEASE,
		MEM_COMMIT | MEM_DECOMMIT | MEM_RELEASE,
		HM_BOTH | MEM_DECOMMIT | MEM_RELEASE,
		MEM_COMMIT | MEM_PRIVATE | MEM_FREE,
	};

	refuse_types(t, types, HM_ROWS(types), NULL);
}

static void write_watch_needs_reserve(struct hm_trial *t)
{
	static const DWORD types[] = { MEM_COMMIT | MEM_WRITE_WATCH,
				       MEM_COMMIT | MEM_WRITE_WATCH | MEM_TOP_DOWN };

	refuse_types(t, types, HM_ROWS(types),
		     "Wine 8 accepts it; MS: MEM_RESERVE is needed as well");
}

/* ---- Large pages ---- */

static void large_pages_need_reserve_and_commit(struct hm_trial *t)
{
	static const DWORD types[] = {
		MEM_LARGE_PAGES,
		MEM_COMMIT | MEM_LARGE_PAGES,
		MEM_RESERVE | MEM_LARGE_PAGES,
		MEM_RESERVE | MEM_LARGE_PAGES | MEM_TOP_DOWN,
	};

	refuse_types(t, types, HM_ROWS(types), NULL);
}

/* They are rare: a client has to be able to tell that there are none from a wrong call. */
static void large_pages_are_granted_or_there_are_none(struct hm_trial *t)
{
	void *base;
	HRESULT hr = hm_alloc(t, NULL, LARGE, HM_BOTH | MEM_LARGE_PAGES, PAGE_READWRITE,
			      eTaskCritical, &base);

	if (hr != S_OK) {
		/* As Wine and older systems; which code it is, is hostmem's own. */
		if (hr != E_INVALIDARG || !hm_chooses(t, "calls MEM_LARGE_PAGES invalid"))
			hm_check_hr(t, hr, HM_NO_PRIVILEGE, "of MEM_LARGE_PAGES",
				    __FILE__, __LINE__);
		return;
	}
	hm_keep(t, base);
	CHECK_SIZE(t, (uintptr_t)base % LARGE, 0);
	CHECK_RUN(t, base, MEM_COMMIT, PAGE_READWRITE, LARGE, base);
	CHECK_FILLED(t, base, LARGE, 0);
	CHECK(t, hm_can_write(hm_at(base, LARGE - 1), 1));
	hm_give(t, base);
}

/* Whether there are any is asked last. */
static void large_pages_do_not_hide_what_is_wrong(struct hm_trial *t)
{
	const DWORD type = HM_BOTH | MEM_LARGE_PAGES;

	hm_row(t, "size 0");
	hm_refused_alloc(t, NULL, 0, type, PAGE_READWRITE, eTaskCritical, E_INVALIDARG);
	hm_row(t, "no protection");
	hm_refused_alloc(t, NULL, LARGE, type, 0, eTaskCritical, E_INVALIDARG);
	hm_row(t, "below 64 KiB");
	hm_refused_alloc(t, (void *)0x1000, LARGE, type, PAGE_READWRITE, eTaskCritical,
			 E_INVALIDARG);
	hm_row(t, "beyond user space");
	hm_refused_alloc(t, NULL, (SIZE_T)1 << 63, type, PAGE_READWRITE, eTaskCritical,
			 E_INVALIDARG);
	hm_row(t, "with an unknown bit");
	hm_refused_alloc(t, NULL, LARGE, type | 0x40000000, PAGE_READWRITE, eTaskCritical,
			 E_INVALIDARG);
}

/* ---- Physical pages ---- */

static void physical_pages_go_only_with_reserve(struct hm_trial *t)
{
	static const DWORD types[] = {
		MEM_PHYSICAL,
		MEM_COMMIT | MEM_PHYSICAL,
		HM_BOTH | MEM_PHYSICAL,
	};
	static const DWORD protections[] = { PAGE_NOACCESS, PAGE_READONLY, PAGE_EXECUTE,
					     PAGE_READWRITE | PAGE_GUARD,
					     PAGE_READWRITE | PAGE_NOCACHE };

	refuse_types(t, types, HM_ROWS(types), NULL);
	for (size_t i = 0; i < HM_ROWS(protections); i++) {
		hm_row(t, "protection 0x%x", (unsigned)protections[i]);
		hm_refused_alloc(t, NULL, LARGE, MEM_RESERVE | MEM_PHYSICAL,
				 protections[i], eTaskCritical, E_INVALIDARG);
	}
}

static void physical_pages_are_granted_or_not_supported(struct hm_trial *t)
{
	void *base;
	HRESULT hr = hm_alloc(t, NULL, LARGE, MEM_RESERVE | MEM_PHYSICAL, PAGE_READWRITE,
			      eTaskCritical, &base);

	if (hr == S_OK)
		hm_keep(t, base);
	else if (hr != E_INVALIDARG || !hm_chooses(t, "calls MEM_PHYSICAL invalid"))
		hm_check_hr(t, hr, HM_NOT_SUPPORTED, "of MEM_PHYSICAL", __FILE__,
			    __LINE__);
}

static const struct hm_case cases[] = {
	{ "unknown-bits", HM_REQUIRED, "WT kernel32 virtual.c; RK: unknown types",
	  unknown_bits_are_refused, HM_WINDOWS_DETAIL },
	{ "neither-reserve-nor-commit", HM_REQUIRED,
	  "MS VirtualAlloc: flAllocationType; RK", one_of_reserve_and_commit_is_needed,
	  HM_WINDOWS_DETAIL },
	{ "bits-of-other-calls", HM_REQUIRED, "RK: unknown types",
	  other_calls_bits_are_refused, HM_WINDOWS_DETAIL },
	{ "write-watch-alone", HM_DOCUMENTED, "MS VirtualAlloc: MEM_WRITE_WATCH; RK",
	  write_watch_needs_reserve, HM_WINDOWS_DETAIL },
	{ "large-pages-alone", HM_DOCUMENTED, "MS VirtualAlloc: MEM_LARGE_PAGES; RK",
	  large_pages_need_reserve_and_commit, HM_WINDOWS_DETAIL },
	{ "large-pages", HM_DOCUMENTED,
	  "MS VirtualAlloc: MEM_LARGE_PAGES; HM: ERROR_PRIVILEGE_NOT_HELD",
	  large_pages_are_granted_or_there_are_none, HM_NO_GROUP },
	{ "large-pages-order", HM_WINDOWS_DETAIL, "RK: the privilege is asked for last",
	  large_pages_do_not_hide_what_is_wrong, HM_WINDOWS_DETAIL },
	{ "physical-alone", HM_DOCUMENTED, "MS VirtualAlloc: MEM_PHYSICAL; RK",
	  physical_pages_go_only_with_reserve, HM_WINDOWS_DETAIL },
	{ "physical", HM_DOCUMENTED, "MS VirtualAlloc: MEM_PHYSICAL; HM: not supported",
	  physical_pages_are_granted_or_not_supported, HM_NO_GROUP },
};

const struct hm_area hm_area_alloc_types = HM_AREA("alloc-types", cases);
