/*
 * HostMemHandleFault: from the program's SIGSEGV handler into the rules.
 */
#include "hostmem/protect.h"

#include "abi/hostmem.h"

HRESULT HostMemHandleFault(void *address, BOOL write)
{
	return hm_handle_fault((uintptr_t)address, write != FALSE);
}
