/*
 * Arguments: Win32's rules for what a call may look like, as far as they need no look at
 * the address space.
 *
 * All of them end in E_INVALIDARG, so their order shows nowhere; it is that of NT: low
 * addresses, type, protection, range.  `size - 1 <= end - address` is what keeps an
 * address near 2^64 from wrapping into range.
 */
#include "arguments.h"
#include "os/size.h"
#include "protection.h"

#define PLACEMENT (MEM_TOP_DOWN | MEM_WRITE_WATCH | MEM_PHYSICAL | MEM_LARGE_PAGES)
#define ADVICE (MEM_RESET | MEM_RESET_UNDO)

static bool type_valid(DWORD type, DWORD protect)
{
	if (type & ADVICE)
		return type == MEM_RESET || type == MEM_RESET_UNDO;
	if (type & ~(MEM_COMMIT | MEM_RESERVE | PLACEMENT))
		return false;
	if (!(type & (MEM_COMMIT | MEM_RESERVE)))
		return false;
	if ((type & (MEM_WRITE_WATCH | MEM_PHYSICAL)) && !(type & MEM_RESERVE))
		return false;
	if ((type & MEM_PHYSICAL) && ((type & MEM_COMMIT) || protect != PAGE_READWRITE))
		return false;
	if ((type & MEM_LARGE_PAGES) && (~type & (MEM_COMMIT | MEM_RESERVE)))
		return false;
	return true;
}

HRESULT hm_check_level(EMemoryCriticalLevel level)
{
	return (unsigned)level <= eProcessCritical ? S_OK : E_INVALIDARG;
}

HRESULT hm_check_allocation(const struct hm_allocation *want)
{
	/* From NULL, a size may be as large as user space, and then there is no room. */
	if (want->address != 0 && want->address < HM_USER_START)
		return E_INVALIDARG;
	if (!type_valid(want->type, want->protect) || !hm_protection_valid(want->protect))
		return E_INVALIDARG;
	if (FAILED(hm_check_level(want->level)))
		return E_INVALIDARG;
	return hm_range_valid(want->address, want->size) ? S_OK : E_INVALIDARG;
}

HRESULT hm_check_free(uintptr_t address, size_t size, DWORD type)
{
	if (type != MEM_DECOMMIT && type != MEM_RELEASE)
		return E_INVALIDARG;
	if (type == MEM_RELEASE && size != 0)
		return E_INVALIDARG;
	if (!hm_range_valid(address, hm_max(size, 1)))
		return E_INVALIDARG;
	return S_OK;
}

HRESULT hm_check_protect(uintptr_t address, size_t size, DWORD protect)
{
	if (!hm_protection_valid(protect))
		return E_INVALIDARG;
	/* A stack may reach beyond what Win32 calls user space, and belongs to the system. */
	return hm_range_below(address, size, HM_SYSTEM_END) ? S_OK : E_INVALIDARG;
}
