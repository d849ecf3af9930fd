/*
 * IHostMemoryPages: what VirtualAlloc and VirtualFree cannot say.  A face of the host.
 *
 * Runtimes that were written for mmap ask for aligned blocks and give parts back.
 */
#ifndef HOSTMEM_HOSTPAGES_H
#define HOSTMEM_HOSTPAGES_H

#include "hostmemory.h"
#include "unknown.h"

HOSTMEM_INTERFACE(IHostMemoryPages)
	/**
	 * Makes a reservation at a multiple of a given size.
	 *
	 * @param size       bytes, rounded up to pages.
	 * @param alignment  bytes; 0 means 64 KiB, else a power of two of at least one
	 *                   page; below 64 KiB counts as 64 KiB.
	 * @param type       MEM_RESERVE, perhaps with MEM_COMMIT and MEM_TOP_DOWN.
	 * @param protect    as VirtualAlloc.
	 * @param level      what is lost if this fails.
	 * @param ppMem      receives the first page.
	 *
	 * In all else this is VirtualAlloc at NULL.
	 *
	 * Owner:   the caller, until VirtualFree or ReleaseRange; what is left goes with
	 *          the host.
	 * Threads: as VirtualAlloc.
	 * Errors:  E_POINTER               ppMem is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            size 0 or beyond user space; alignment; type;
	 *                                  a bad protection; level is not a declared
	 *                                  value
	 *          E_ACCESSDENIED          as VirtualAlloc
	 *          E_OUTOFMEMORY           budget, callback or system refused, or there
	 *                                  is no such place
	 *          HOST_E_TIMEOUT          as VirtualAlloc
	 *          HOST_E_ABANDONED        as VirtualAlloc
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMemoryPages, HRESULT, ReserveAligned, SIZE_T size,
		       SIZE_T alignment, DWORD type, DWORD protect,
		       EMemoryCriticalLevel level, void **ppMem);

	/**
	 * Gives a part of a reservation back, exact to the page.
	 *
	 * @param address  the first page; a multiple of the page size.
	 * @param size     bytes, rounded up to pages.
	 *
	 * What remains below and above stays as reservations of their own, each with an
	 * AllocationBase of its own; contents and protections are kept.  The addresses
	 * given back are free at once, but a new reservation starts at a multiple of 64
	 * KiB.
	 *
	 * Threads: any; event callbacks run on this thread, afterwards.  Waits at a
	 *          closed gate, without limit.
	 * Errors:  HOST_E_CLRNOTAVAILABLE   after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG             address not at a page; size 0; end beyond
	 *                                   user space or past the end of the
	 *                                   reservation; a part of a huge page
	 *          HOST_E_INVALIDOPERATION  address in no reservation of this host, NULL
	 *                                   included
	 *          E_OUTOFMEMORY            no memory for the books of what remains
	 *          HOST_E_ABANDONED         the host ended while it waited
	 * Source:  ours; what remains behaves as after NtFreeVirtualMemory with a size.
	 */
	HOSTMEM_METHOD(IHostMemoryPages, HRESULT, ReleaseRange, void *address,
		       SIZE_T size);
HOSTMEM_INTERFACE_END

HOSTMEM_DECLARE_GUID(IID_IHostMemoryPages);

#ifndef __cplusplus
HOSTMEM_UNKNOWN_WRAPPERS(IHostMemoryPages)
HOSTMEM_WRAPPER(IHostMemoryPages, ReserveAligned,
		(IHostMemoryPages *self, SIZE_T size, SIZE_T alignment, DWORD type,
		 DWORD protect, EMemoryCriticalLevel level, void **ppMem),
		(self, size, alignment, type, protect, level, ppMem))
HOSTMEM_WRAPPER(IHostMemoryPages, ReleaseRange,
		(IHostMemoryPages *self, void *address, SIZE_T size),
		(self, address, size))
#endif

#endif /* HOSTMEM_HOSTPAGES_H */
