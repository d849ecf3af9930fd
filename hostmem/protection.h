#ifndef HOSTMEM_PROTECTION_H
#define HOSTMEM_PROTECTION_H

#include "abi/winmem.h"

#include <stdbool.h>

/*
 * Win32 page protections, the 4-bit codes in which a region keeps them, and the access
 * that the system is asked for.
 *
 * NOCACHE and WRITECOMBINE belong to the whole reservation and are not part of a code;
 * the TARGETS bit is accepted and kept nowhere.
 */

/* Whether a caller may ask for it: one base protection, modifiers that go together. */
bool hm_protection_valid(DWORD protect);

/* The protection as it is remembered and reported: without the TARGETS bit. */
DWORD hm_protection_kept(DWORD protect);

/* NOCACHE and WRITECOMBINE of a reservation's protection. */
DWORD hm_protection_sticky(DWORD protect);

/* Writable and executable at once. */
bool hm_protection_writes_and_executes(DWORD protect);

/* The code of a valid protection, never HM_STATE_RESERVED; and back. */
unsigned hm_code_from_protection(DWORD protect);
DWORD hm_protection_from_code(unsigned code);

/* enum hm_access of a committed page; a guarded one has none. */
unsigned hm_access_from_code(unsigned code);
DWORD hm_protection_from_access(unsigned access);

#endif
