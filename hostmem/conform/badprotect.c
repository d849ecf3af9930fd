/*
 * Cases about VirtualProtect where it has to be refused, and has to leave every page of the
 * range as it was, the first ones too.
 *
 * Foreign memory and guard pages: see protect.c and guardpages.c.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

#define WINE_87 "Wine 8 says 87; RK: 487"

/* Protections that are none: not exactly one, or of those that only views of files have. */
static void protections_that_are_none(struct hm_trial *t)
{
	static const DWORD alone[] = { 0, PAGE_WRITECOPY, PAGE_EXECUTE_WRITECOPY,
				       PAGE_GUARD, PAGE_NOCACHE };
	unsigned char *base = hm_take(t, NULL, 2 * HM_PAGE, HM_BOTH, PAGE_READWRITE);

	if (base == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(alone); i++) {
		hm_row(t, "0x%x", (unsigned)alone[i]);
		hm_refused_protect(t, base, HM_PAGE, alone[i], E_INVALIDARG);
	}
	for (unsigned first = 0; first < 8; first++) {
		for (unsigned second = first + 1; second < 8; second++) {
			DWORD two = ((DWORD)1 << first) | ((DWORD)1 << second);

			hm_row(t, "two at once: 0x%x", (unsigned)two);
			hm_refused_protect(t, base, HM_PAGE, two, E_INVALIDARG);
		}
	}
}

static void modifiers_that_exclude_each_other(struct hm_trial *t)
{
	static const DWORD rows[] = {
		PAGE_NOACCESS | PAGE_GUARD,
		PAGE_NOACCESS | PAGE_NOCACHE,
		PAGE_NOACCESS | PAGE_WRITECOMBINE,
		PAGE_READWRITE | PAGE_GUARD | PAGE_NOCACHE,
		PAGE_READWRITE | PAGE_GUARD | PAGE_WRITECOMBINE,
		PAGE_READWRITE | PAGE_NOCACHE | PAGE_WRITECOMBINE,
	};

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		void *base = hm_take(t, NULL, 2 * HM_PAGE, HM_BOTH, PAGE_READWRITE);

		hm_row(t, "0x%x", (unsigned)rows[i]);
		hm_wine(t, "Wine 8 accepts it; MS: they exclude each other");
		if (base != NULL)
			hm_refused_protect(t, base, HM_PAGE, rows[i], E_INVALIDARG);
	}
}

static void unknown_bits(struct hm_trial *t)
{
	static const DWORD rows[] = { 0x800, 0x1000, 0x10000, 0x100000, 0x8000000 };

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		void *base = hm_take(t, NULL, 2 * HM_PAGE, HM_BOTH, PAGE_READWRITE);

		hm_row(t, "PAGE_READONLY and 0x%x", (unsigned)rows[i]);
		hm_wine(t, "Wine 8 does not look at it; RK refuses");
		if (base != NULL)
			hm_refused_protect(t, base, HM_PAGE, PAGE_READONLY | rows[i],
					   E_INVALIDARG);
	}
}

static void sizes_that_are_none(struct hm_trial *t)
{
	static const struct {
		const char *what;
		size_t offset, size;
	} rows[] = {
		{ "size 0", 0, 0 },
		{ "size 0, within a page", 0x10, 0 },
		{ "all there is", 0, SIZE_MAX },
		{ "wraps when rounded", 0, SIZE_MAX - 0xFFF },
		{ "wraps to the base", HM_PAGE, (size_t)0 - HM_PAGE },
		{ "wraps past the base", HM_PAGE, (size_t)0 - 1 },
		{ "leaves user space", 0, HM_USER_END },
	};

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		void *base = hm_take(t, NULL, 2 * HM_PAGE, HM_BOTH, PAGE_READWRITE);

		hm_row(t, "%s", rows[i].what);
		if (rows[i].size == 0 || rows[i].size == SIZE_MAX)
			hm_wine(t, "Wine 8 takes size 0, and lets the size wrap; RK: 87");
		if (base == NULL)
			return;
		memset(base, 0x45, 2 * HM_PAGE);
		hm_refused_protect(t, hm_at(base, rows[i].offset), rows[i].size,
				   PAGE_READONLY, E_INVALIDARG);
	}
}

static void addresses_beyond_user_space(struct hm_trial *t)
{
	static const uintptr_t rows[] = { HM_USER_END, 0x800000000000, 0xFFFF800000000000,
					  UINTPTR_MAX - 1 };

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		void *address = (void *)rows[i];

		hm_row(t, "0x%zx", (size_t)rows[i]);
		/* Where addresses are not random the stack may be there. */
		if (!hm_can_read(address))
			hm_refused_protect(t, address, 1, PAGE_READONLY, E_INVALIDARG);
	}
}

/* Pages 0, 1, 4, 5 of a granule are committed. */
static void every_page_has_to_be_committed(struct hm_trial *t)
{
	static const struct {
		const char *what;
		size_t offset, size;
	} rows[] = {
		{ "one reserved page", 0x2000, 0x1000 },
		{ "one byte of a reserved page", 0x2800, 1 },
		{ "the last page is reserved", 0, 0x2001 },
		{ "the first page is reserved", 0x3FFF, 2 },
		{ "a gap", 0, 0x6000 },
		{ "all reserved", 0x6000, 0xA000 },
		{ "committed, reserved, the end", 0x5000, 0xB000 },
	};
	unsigned char *base = hm_take(t, NULL, HM_GRANULE, MEM_RESERVE, PAGE_READWRITE);

	if (base == NULL || !hm_commit(t, base, 2 * HM_PAGE, PAGE_READWRITE) ||
	    !hm_commit(t, base + 4 * HM_PAGE, 2 * HM_PAGE, PAGE_READWRITE))
		return;
	memset(base, 0x46, 2 * HM_PAGE);
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "%s", rows[i].what);
		hm_refused_protect(t, base + rows[i].offset, rows[i].size, PAGE_READONLY,
				   HM_INVALID_ADDRESS);
		CHECK(t, hm_can_write(base, 0x46) && hm_can_write(base + 0x4000, 0));
	}
}

static void the_range_is_within_one_reservation(struct hm_trial *t)
{
	static const struct {
		const char *what;
		size_t offset, size; /* from the free granule before both */
	} rows[] = {
		{ "free memory", 0, 0x1000 },
		{ "free memory behind", 0x30000, 0x1000 },
		{ "from free memory into the first", 0xFFFF, 2 },
		{ "both", 0x1FFFF, 2 },
		{ "both, whole", 0x10000, 0x20000 },
		{ "past the end of the second", 0x2F000, 0x1001 },
		{ "all of it", 0, 0x40000 },
	};
	unsigned char *first = hm_neighbours(t);

	if (first == NULL)
		return;
	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "%s", rows[i].what);
		hm_wine(t, t->codes ? WINE_87 : NULL);
		hm_refused_protect(t, first - HM_GRANULE + rows[i].offset, rows[i].size,
				   PAGE_READONLY, HM_INVALID_ADDRESS);
	}
	hm_row(t, "NULL");
	hm_wine(t, t->codes ? WINE_87 : NULL);
	hm_refused_protect(t, NULL, HM_PAGE, PAGE_READONLY, HM_INVALID_ADDRESS);
	hm_row(t, "released");
	hm_wine(t, t->codes ? WINE_87 : NULL);
	if (hm_give(t, first))
		hm_refused_protect(t, first, HM_PAGE, PAGE_READONLY, HM_INVALID_ADDRESS);
}

static void the_old_protection_has_to_go_somewhere(struct hm_trial *t)
{
	unsigned char *base = hm_take(t, NULL, 2 * HM_PAGE, HM_BOTH, PAGE_READWRITE);
	struct hm_state before;

	if (base == NULL)
		return;
	if (!t->codes)
		hm_look(t, &before);
	CHECK_REFUSED(t,
		      IHostMemoryManager_VirtualProtect(t->memory, base, HM_PAGE,
							PAGE_READONLY, NULL),
		      E_POINTER);
	if (!t->codes)
		CHECK_UNCHANGED(t, &before);
}

static const struct hm_case cases[] = {
	{ "protections", HM_REQUIRED, "WT kernel32 virtual.c: all combinations; MS",
	  protections_that_are_none, HM_WINDOWS_DETAIL },
	{ "modifiers", HM_DOCUMENTED, "MS memory protection constants",
	  modifiers_that_exclude_each_other, HM_WINDOWS_DETAIL },
	{ "unknown-bits", HM_WINDOWS_DETAIL, "RK", unknown_bits, HM_WINDOWS_DETAIL },
	{ "sizes", HM_REQUIRED, "RK: checked before anything is changed",
	  sizes_that_are_none, HM_WINDOWS_DETAIL },
	{ "beyond-user-space", HM_REQUIRED, "RK", addresses_beyond_user_space,
	  HM_WINDOWS_DETAIL },
	{ "uncommitted-pages", HM_REQUIRED, "MS VirtualProtect; WT: 487",
	  every_page_has_to_be_committed, HM_WINDOWS_DETAIL },
	{ "one-reservation", HM_REQUIRED, "MS VirtualProtect; RK: 487",
	  the_range_is_within_one_reservation, HM_WINDOWS_DETAIL },
	{ "no-old-protection", HM_REQUIRED, "COM: E_POINTER; WT: 998, nothing changed",
	  the_old_protection_has_to_go_somewhere, HM_DOCUMENTED },
};

const struct hm_area hm_area_bad_protect = HM_AREA("bad-protect", cases);
