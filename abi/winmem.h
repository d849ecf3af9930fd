/*
 * The memory constants and the record that the Virtual methods carry.
 *
 * A page is 4096 bytes.  It is free, reserved (address space without memory; every
 * access faults) or committed (memory with a protection; zero when it becomes
 * committed).  A reservation starts at a multiple of 64 KiB and is a whole number of
 * pages long.
 *
 * On Windows all of this comes from windows.h.
 *
 * Source: names, numbers and layout are those of winnt.h; what hostmem does with each
 * is said at the methods of IHostMemoryManager.
 */
#ifndef HOSTMEM_WINMEM_H
#define HOSTMEM_WINMEM_H

#include "hresult.h"

#ifndef _WIN32

/* What VirtualAlloc and VirtualFree shall do. */
#define MEM_COMMIT 0x00001000U /* give pages memory */
#define MEM_RESERVE 0x00002000U /* take address space */
#define MEM_DECOMMIT 0x00004000U /* take the memory of pages back */
#define MEM_RELEASE 0x00008000U /* give a whole reservation back */
#define MEM_RESET 0x00080000U /* the contents are not needed any more */
#define MEM_TOP_DOWN 0x00100000U /* place it high */
#define MEM_WRITE_WATCH 0x00200000U /* remember which pages are written */
#define MEM_PHYSICAL 0x00400000U /* physical pages; never granted here */
#define MEM_RESET_UNDO 0x01000000U /* the contents are needed after all */
#define MEM_LARGE_PAGES 0x20000000U /* huge pages */

/* What VirtualQuery says: State (also MEM_COMMIT and MEM_RESERVE) and Type. */
#define MEM_FREE 0x00010000U
#define MEM_PRIVATE 0x00020000U
#define MEM_MAPPED 0x00040000U
#define MEM_IMAGE 0x01000000U

/* Protections: exactly one of these ... */
#define PAGE_NOACCESS 0x01U
#define PAGE_READONLY 0x02U
#define PAGE_READWRITE 0x04U
#define PAGE_WRITECOPY 0x08U
#define PAGE_EXECUTE 0x10U
#define PAGE_EXECUTE_READ 0x20U
#define PAGE_EXECUTE_READWRITE 0x40U
#define PAGE_EXECUTE_WRITECOPY 0x80U
/* ... and modifiers. */
#define PAGE_GUARD 0x100U /* the first access faults and takes the modifier away */
#define PAGE_NOCACHE 0x200U
#define PAGE_WRITECOMBINE 0x400U
#define PAGE_TARGETS_INVALID 0x40000000U /* with an execute protection: accepted, */
#define PAGE_TARGETS_NO_UPDATE 0x40000000U /* no effect, never reported back */

/* A run of pages that are alike, as VirtualQuery and WalkRegions report it. */
typedef struct MEMORY_BASIC_INFORMATION {
	void *BaseAddress; /* the page that was asked about */
	void *AllocationBase; /* where its reservation starts; NULL if free */
	DWORD AllocationProtect; /* PAGE_* given to the reserving call; 0 if free */
	SIZE_T RegionSize; /* bytes from BaseAddress on that are alike; never 0 */
	DWORD State; /* MEM_COMMIT, MEM_RESERVE or MEM_FREE */
	DWORD Protect; /* of committed pages, modifiers included; reserved: 0;
			  free: PAGE_NOACCESS */
	DWORD Type; /* MEM_PRIVATE, MEM_MAPPED, MEM_IMAGE; 0 if free */
} MEMORY_BASIC_INFORMATION;

#endif /* _WIN32 */

#ifndef MEM_RESET_UNDO
#define MEM_RESET_UNDO 0x1000000
#endif
#ifndef PAGE_TARGETS_INVALID
#define PAGE_TARGETS_INVALID 0x40000000
#endif
#ifndef PAGE_TARGETS_NO_UPDATE
#define PAGE_TARGETS_NO_UPDATE 0x40000000
#endif

HOSTMEM_STATIC_ASSERT(sizeof(MEMORY_BASIC_INFORMATION) == (sizeof(void *) == 8 ? 48 : 28),
		      "48 bytes on 64-bit, 28 on 32-bit");

#endif /* HOSTMEM_WINMEM_H */
