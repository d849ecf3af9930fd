#ifndef HOSTMEM_ARGUMENTS_H
#define HOSTMEM_ARGUMENTS_H

#include "reserve.h"

/*
 * What a caller may ask for, before anything is looked up: S_OK or E_INVALIDARG.
 */

/* Of VirtualAlloc and ReserveAligned. */
HRESULT hm_check_allocation(const struct hm_allocation *want);
HRESULT hm_check_level(EMemoryCriticalLevel level);

/* Of VirtualFree. */
HRESULT hm_check_free(uintptr_t address, size_t size, DWORD type);

/* Of VirtualProtect. */
HRESULT hm_check_protect(uintptr_t address, size_t size, DWORD protect);

#endif
