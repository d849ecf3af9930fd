/*
 * Protections, as tables.
 *
 * A code is 1 + the number of the base protection's bit, without the two copy-on-write
 * ones, which private memory cannot have; bit 3 is the guard.  Zero is left for pages
 * that are only reserved.  PAGE_EXECUTE may be read on x86-64, as it can on Windows.
 */
#include "protection.h"
#include "os/check.h"
#include "os/pages.h"

#include "pagestates.h"

#include <stddef.h>

#define BASE_MASK 0xFFU
#define CACHE_MODIFIERS (PAGE_NOCACHE | PAGE_WRITECOMBINE)
#define TARGETS 0x40000000U
#define EXECUTES (PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE)

static const struct {
	DWORD protect;
	unsigned access;
} bases[] = {
	[1] = { PAGE_NOACCESS, HM_ACCESS_NONE },
	[2] = { PAGE_READONLY, HM_ACCESS_READ },
	[3] = { PAGE_READWRITE, HM_ACCESS_READ | HM_ACCESS_WRITE },
	[4] = { PAGE_EXECUTE, HM_ACCESS_EXECUTE },
	[5] = { PAGE_EXECUTE_READ, HM_ACCESS_READ | HM_ACCESS_EXECUTE },
	[6] = { PAGE_EXECUTE_READWRITE,
		HM_ACCESS_READ | HM_ACCESS_WRITE | HM_ACCESS_EXECUTE },
};

#define BASES (sizeof(bases) / sizeof(bases[0]))

/* The base's code, 0 if it is none or several. */
static unsigned base_code(DWORD protect)
{
	for (unsigned code = 1; code < BASES; code++) {
		if ((protect & BASE_MASK) == bases[code].protect)
			return code;
	}
	return 0;
}

bool hm_protection_valid(DWORD protect)
{
	DWORD modifiers = protect & ~BASE_MASK;

	if (base_code(protect) == 0)
		return false;
	if ((modifiers & TARGETS) && !(protect & EXECUTES))
		return false;
	switch (modifiers & ~TARGETS) {
	case 0:
		return true;
	case PAGE_GUARD:
	case PAGE_NOCACHE:
	case PAGE_WRITECOMBINE:
		return !(protect & PAGE_NOACCESS);
	default: /* unknown bits, or modifiers that exclude each other */
		return false;
	}
}

DWORD hm_protection_kept(DWORD protect)
{
	return protect & ~TARGETS;
}

DWORD hm_protection_sticky(DWORD protect)
{
	return protect & CACHE_MODIFIERS;
}

bool hm_protection_writes_and_executes(DWORD protect)
{
	return (protect & BASE_MASK) == PAGE_EXECUTE_READWRITE;
}

unsigned hm_code_from_protection(DWORD protect)
{
	hm_assert(base_code(protect) != 0);
	return base_code(protect) | (protect & PAGE_GUARD ? HM_STATE_GUARD : 0U);
}

DWORD hm_protection_from_code(unsigned code)
{
	DWORD guard = code & HM_STATE_GUARD ? PAGE_GUARD : 0U;

	return bases[code & HM_STATE_ACCESS_MASK].protect | guard;
}

unsigned hm_access_from_code(unsigned code)
{
	return code & HM_STATE_GUARD ? HM_ACCESS_NONE : bases[code].access;
}

DWORD hm_protection_from_access(unsigned access)
{
	for (unsigned code = 1; code < BASES; code++) {
		if (bases[code].access == access)
			return bases[code].protect;
	}
	/* Writable without readable: the processor cannot have it. */
	return access & HM_ACCESS_EXECUTE ? PAGE_EXECUTE_READWRITE : PAGE_READWRITE;
}
