/*
 * IHostMemoryManager and IHostMalloc: the memory a runtime asks its host for.
 *
 * Rules of every method of a host, whichever face it belongs to:
 *
 *   - Checked in this order: out pointers (E_POINTER), which are then cleared; the
 *     state of the host; arguments; the gate; the reservations; policy; faults,
 *     budget, callbacks; the system.  On failure nothing has changed.
 *   - HOST_E_CLRNOTAVAILABLE is the answer after Shutdown, and after any method of
 *     the host has answered E_FAIL.  IUnknown's methods, VirtualQuery, GetUsage,
 *     WalkRegions, LeaveGate and Unsubscribe work on.
 *   - E_FAIL means that the host found its own books, or an answer of the system,
 *     impossible.  Any method may give it once; the state above follows.
 *   - Any thread may call, also several at once, also from within a callback.  No
 *     lock of the host is held while a callback runs.
 *   - A notification that was held back during a request is told at its end, on its
 *     thread, see memnotify.h.
 *   - "User space" ends at 0x7FFFFFFF0000; nothing is ever allocated there or above.
 *   - "Its own memory" is what this host has reserved; all other memory of the
 *     process is foreign, that of another host included.
 *
 * HOST_E_TIMEOUT is the answer of a call that waited too long: for memory (see
 * HostMemBudget.msWait), or at the gate (IHostMemoryControl::EnterGate).  HOST_E_ABANDONED
 * is the answer if the host ended, by Shutdown, the last Release or an E_FAIL, while the
 * call waited or its request was in a callback.
 *
 * Win32 is the rule where nothing else is said; codes of Win32 come as
 * HRESULT_FROM_WIN32, and the lists of errors name them without it.
 */
#ifndef HOSTMEM_HOSTMEMORY_H
#define HOSTMEM_HOSTMEMORY_H

#include "memnotify.h"
#include "unknown.h"
#include "winmem.h"

/*
 * What is lost if a request is refused.  Requests of a lower level are refused
 * first: what is refused at a level is refused at every lower one in the same state.
 */
typedef enum EMemoryCriticalLevel {
	eTaskCritical = 0, /* the task that asks */
	eAppDomainCritical = 1, /* its application domain */
	eProcessCritical = 2 /* the process */
} EMemoryCriticalLevel;

/* Flags of CreateMalloc. */
typedef enum MALLOC_TYPE {
	MALLOC_THREADSAFE = 1, /* several threads may use the heap at once */
	MALLOC_EXECUTABLE = 2 /* blocks may hold code */
} MALLOC_TYPE;

/*
 * IHostMalloc: a heap for a runtime's own structures.
 *
 * A heap holds a reference to its host.  Its last Release gives its pages back also
 * if blocks are live; cbHeap and cBlocks of the usage drop with it, and cLeakedBlocks
 * tells how many there were.
 *
 * The last Release of a heap comes when no other call of it is under way, in a callback
 * of such a call neither.  What is done to the protection of its pages is undone before the
 * block is freed.
 *
 * A heap takes its pages from the host, as a request of operation HostMemHeap at the level
 * of the call that needs them.  Most calls need none.  VirtualQuery and WalkRegions show
 * those pages; VirtualProtect changes them; to VirtualAlloc their addresses are taken, and
 * to VirtualFree they are no memory of the host's callers.
 *
 * IHostMalloc2, in hostmalloc.h, is another face of the same object.
 */
HOSTMEM_INTERFACE(IHostMalloc)
	/**
	 * Allocates a block.
	 *
	 * @param size   bytes wanted; 0 gives a block of its own, too.
	 * @param level  what is lost if this fails.
	 * @param ppMem  receives the block, aligned to 16 bytes, contents undefined.
	 *
	 * A request fits if a free block exists anywhere in the heap or if the pages
	 * it needs fit the budget; only the latter is charged and announced.  Fault rules
	 * for HostMemHeap see each Alloc, with its size.
	 *
	 * Owner:   the caller, until Free on the same heap, or the heap's end.
	 * Threads: any, if the heap was made with MALLOC_THREADSAFE; else one at a
	 *          time.  The callbacks of the host run on this thread.
	 * Errors:  E_POINTER               ppMem is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            level is not a declared value
	 *          E_OUTOFMEMORY           budget, callback or system refused, or no
	 *                                  block can be so large (SIZE_MAX included)
	 *          HOST_E_TIMEOUT          waited for memory, or at the gate, too long
	 *          HOST_E_ABANDONED        the host ended meanwhile
	 * Source:  the hosting reference; size 0, alignment and contents are ours.
	 */
	HOSTMEM_METHOD(IHostMalloc, HRESULT, Alloc, SIZE_T size,
		       EMemoryCriticalLevel level, void **ppMem);

	/**
	 * Allocates a block and remembers who asked.
	 *
	 * @param size   bytes wanted; 0 gives a block of its own, too.
	 * @param level  what is lost if this fails.
	 * @param file   name of the source file; copied, cut if very long; may be NULL.
	 * @param line   line in that file; any value.
	 * @param ppMem  receives the block, aligned to 16 bytes, contents undefined.
	 *
	 * Reports name file and line, see HOSTMEM_DEBUG_HEAP and HostMemConfig.report; and
	 * GetSize tells the size that was asked for.  It takes longer than Alloc, and such
	 * blocks have pages apart from others, which do not serve each other.  In all else
	 * this is Alloc.
	 *
	 * Owner:   the caller, until Free on the same heap, or the heap's end.
	 * Threads: as Alloc.
	 * Errors:  as Alloc.
	 * Source:  the hosting reference; what becomes of the name is ours.
	 */
	HOSTMEM_METHOD(IHostMalloc, HRESULT, DebugAlloc, SIZE_T size,
		       EMemoryCriticalLevel level, char *file, int line, void **ppMem);

	/**
	 * Gives a block back.
	 *
	 * @param block  a live block of this heap, or NULL, which is S_OK.
	 *
	 * Of two threads that free one block at the same moment both may be told S_OK;
	 * it is freed once.
	 *
	 * Threads: as Alloc.  Waits at a closed gate, without limit.
	 * Errors:  HOST_E_CLRNOTAVAILABLE   after Shutdown, or after an E_FAIL
	 *          HOST_E_INVALIDOPERATION  not a block of this heap, an address
	 *                                   within one, or freed before; nothing is
	 *                                   changed.  Also: damaged, see
	 *                                   HOSTMEM_DEBUG_HEAP
	 *          HOST_E_ABANDONED         the host ended while it waited
	 * Source:  the hosting reference; the answers for NULL and for a double free
	 *          are ours.
	 */
	HOSTMEM_METHOD(IHostMalloc, HRESULT, Free, void *block);
HOSTMEM_INTERFACE_END

/*
 * IHostMemoryManager: pages and heaps.  A face of the host.
 *
 * Success of CreateMalloc, VirtualAlloc, VirtualFree and VirtualProtect is exactly
 * S_OK; the CLR compares.
 */
HOSTMEM_INTERFACE(IHostMemoryManager)
	/**
	 * Makes a heap.
	 *
	 * @param type      MALLOC_THREADSAFE, MALLOC_EXECUTABLE, both, or 0.
	 * @param ppMalloc  receives the heap with one reference.
	 *
	 * The heap is an object of its own, with faces of its own.  A heap without
	 * MALLOC_THREADSAFE is for one thread at a time, and cheaper.  Blocks of a heap
	 * with MALLOC_EXECUTABLE lie on pages of PAGE_EXECUTE_READWRITE, others on pages
	 * of PAGE_READWRITE; a page has blocks of one heap only.
	 *
	 * Owner:   the caller, until Release.  The CLR never releases it.
	 * Threads: any.
	 * Errors:  E_POINTER               ppMalloc is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            another bit in type
	 *          E_ACCESSDENIED          MALLOC_EXECUTABLE of a host with
	 *                                  HOSTMEM_STRICT_EXECUTE
	 *          E_OUTOFMEMORY           no memory for the host's own books
	 * Source:  the hosting reference, whose older pages call the method
	 *          CreateMAlloc and the parameter a BOOL; the name is the header's.
	 */
	HOSTMEM_METHOD(IHostMemoryManager, HRESULT, CreateMalloc, DWORD type,
		       IHostMalloc **ppMalloc);

	/**
	 * Reserves or commits pages, or tells what becomes of their contents.
	 *
	 * @param address  where; NULL lets the host choose.  MEM_RESERVE rounds it
	 *                 down to 64 KiB, the other types to a page.
	 * @param size     bytes; every page that [address, address + size) touches.
	 * @param type     MEM_RESERVE, MEM_COMMIT or both, as described below; or
	 *                 MEM_RESET alone; or MEM_RESET_UNDO alone.
	 * @param protect  one of PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE,
	 *                 PAGE_EXECUTE, PAGE_EXECUTE_READ and PAGE_EXECUTE_READWRITE,
	 *                 perhaps with modifiers; checked for every type.
	 * @param level    what is lost if this fails.
	 * @param ppMem    receives the first page, a multiple of 64 KiB for a new
	 *                 reservation.
	 *
	 * MEM_COMMIT at NULL reserves too.  Freshly committed pages are zero.
	 * Committing committed pages is free, keeps their contents and changes the
	 * protection of the whole range.  With MEM_RESERVE or MEM_COMMIT may stand
	 * MEM_TOP_DOWN, which has no effect with an address.  MEM_LARGE_PAGES needs
	 * both, and whole huge pages here and in every later call on them;
	 * MEM_WRITE_WATCH and MEM_PHYSICAL need MEM_RESERVE.
	 *
	 * One of PAGE_GUARD, PAGE_NOCACHE and PAGE_WRITECOMBINE may stand beside every
	 * protection but PAGE_NOACCESS, PAGE_TARGETS_INVALID beside one that executes.
	 * PAGE_GUARD is then always accepted; see HostMemHandleFault.
	 *
	 * MEM_RESET gives up the contents of the pages that lie wholly in the range;
	 * they stay committed and charged and read as before or as zero.
	 * MEM_RESET_UNDO succeeds where the contents are certainly whole.
	 *
	 * Owner:   the caller, until VirtualFree; what is left goes with the host.
	 * Threads: any; the callbacks of the host run on this thread.  May be called
	 *          in a SIGSEGV handler if the fault was not inside hostmem.
	 * Errors:  E_POINTER               ppMem is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            size 0; address below 64 KiB and not NULL;
	 *                                  size or end beyond user space; a type that
	 *                                  is none of the above; a bad protection;
	 *                                  level is not a declared value; a part of a
	 *                                  huge page
	 *          ERROR_INVALID_ADDRESS   reserve: something is there already; else:
	 *                                  the range is not wholly within one
	 *                                  reservation of this host; MEM_RESET at NULL
	 *          E_ACCESSDENIED          writable and executable, and the host has
	 *                                  HOSTMEM_STRICT_EXECUTE or the system
	 *                                  forbids it
	 *          ERROR_PRIVILEGE_NOT_HELD  MEM_LARGE_PAGES, no huge pages to give
	 *          ERROR_NOT_SUPPORTED     MEM_PHYSICAL; MEM_RESET_UNDO of contents
	 *                                  that may be gone; MEM_WRITE_WATCH (this
	 *                                  release)
	 *          E_OUTOFMEMORY           budget, callback or system refused
	 *          HOST_E_TIMEOUT          waited for memory, or at the gate, too long
	 *          HOST_E_ABANDONED        the host ended meanwhile
	 * Source:  the hosting reference, and Win32 for the meaning of each flag; the
	 *          codes for a policy and MEM_RESET at NULL are ours.
	 */
	HOSTMEM_METHOD(IHostMemoryManager, HRESULT, VirtualAlloc, void *address,
		       SIZE_T size, DWORD type, DWORD protect, EMemoryCriticalLevel level,
		       void **ppMem);

	/**
	 * Takes pages back.
	 *
	 * @param address  the first page; for MEM_RELEASE, and for MEM_DECOMMIT with
	 *                 size 0, an address in the first page of a reservation.
	 * @param size     bytes; 0 for MEM_RELEASE.  MEM_DECOMMIT takes every page
	 *                 that [address, address + size) touches, with 0 the whole
	 *                 reservation.
	 * @param type     exactly MEM_DECOMMIT or exactly MEM_RELEASE.
	 *
	 * Decommitted pages lose contents and protection and stay reserved; pages that
	 * were not committed do no harm.  The memory is inaccessible at once.
	 *
	 * Threads: any; event callbacks run on this thread, afterwards.  Waits at a
	 *          closed gate, without limit.
	 * Errors:  HOST_E_CLRNOTAVAILABLE   after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG             another type; MEM_RELEASE with a size; end
	 *                                   beyond user space; MEM_DECOMMIT past the
	 *                                   end of its reservation, or of a part of a
	 *                                   huge page
	 *          HOST_E_INVALIDOPERATION  address in no reservation of this host,
	 *                                   NULL included
	 *          ERROR_INVALID_ADDRESS    not in the first page, where it has to be
	 *          E_OUTOFMEMORY            MEM_DECOMMIT: no memory for the host's own
	 *                                   books; MEM_RELEASE needs none
	 *          HOST_E_ABANDONED         the host ended while it waited
	 * Source:  the hosting reference and Win32; HOST_E_INVALIDOPERATION for foreign
	 *          memory is the hosting reference's.
	 */
	HOSTMEM_METHOD(IHostMemoryManager, HRESULT, VirtualFree, void *address,
		       SIZE_T size, DWORD type);

	/**
	 * Describes the run of like pages that starts at the page of an address.
	 *
	 * @param address  any address, rounded down to a page.
	 * @param buffer   receives a MEMORY_BASIC_INFORMATION; not touched on failure.
	 * @param length   bytes of the buffer; at least sizeof of that record.
	 * @param pResult  receives the bytes written: sizeof of that record.
	 *
	 * Two reservations are never one run.  RegionSize is never 0, so a walk from
	 * NULL by RegionSize ends, with E_INVALIDARG, where user space ends.
	 *
	 * Of foreign memory it tells the system's truth: MEM_COMMIT, one allocation for
	 * each run of adjacent mappings of one file, else for each mapping; Type is
	 * MEM_IMAGE for an executable file, MEM_MAPPED for another, else MEM_PRIVATE.
	 *
	 * Threads: any, also when other threads are suspended: for the host's own
	 *          memory it never waits for the gate, for a callback, or for another
	 *          thread's system call.  Works after Shutdown.
	 * Errors:  E_POINTER         buffer or pResult is NULL; *pResult is cleared
	 *          ERROR_BAD_LENGTH  length is too small
	 *          E_INVALIDARG      address beyond user space with nothing mapped there
	 * Source:  the hosting reference and Win32; the terms for foreign memory are
	 *          ours.
	 */
	HOSTMEM_METHOD(IHostMemoryManager, HRESULT, VirtualQuery, void *address,
		       void *buffer, SIZE_T length, SIZE_T *pResult);

	/**
	 * Changes the protection of committed pages.
	 *
	 * @param address      any address in the first page.
	 * @param size         bytes; every page that [address, address + size) touches.
	 * @param protect      as VirtualAlloc.
	 * @param pOldProtect  receives the protection of the first page; 0 on failure.
	 *
	 * Foreign memory is changed too.  PAGE_NOCACHE and PAGE_WRITECOMBINE of the
	 * reserving call stay; here they have no effect.
	 *
	 * Threads: any; calls nobody.  Waits at a closed gate.
	 * Errors:  E_POINTER               pOldProtect is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_INVALIDARG            size 0; end beyond user space, if no
	 *                                  foreign memory is there; a bad protection;
	 *                                  a part of a huge page
	 *          ERROR_INVALID_ADDRESS   the range spans reservations or ends past
	 *                                  one, or has pages that are not committed
	 *          E_ACCESSDENIED          as VirtualAlloc
	 *          ERROR_NOT_SUPPORTED     PAGE_GUARD on foreign memory
	 *          E_OUTOFMEMORY           the system refused
	 *          HOST_E_TIMEOUT          waited at the gate too long
	 *          HOST_E_ABANDONED        the host ended while it waited
	 * Source:  the hosting reference and Win32; PAGE_GUARD on foreign memory is
	 *          ours.
	 */
	HOSTMEM_METHOD(IHostMemoryManager, HRESULT, VirtualProtect, void *address,
		       SIZE_T size, DWORD protect, DWORD *pOldProtect);

	/**
	 * Tells how much memory is in use and how much there is.
	 *
	 * @param pLoad       receives the load in per cent, 0 to 100.
	 * @param pAvailable  receives the bytes available to the runtime.
	 *
	 * Both are guides for a collector, no limits.  Each is that of the tightest of all
	 * bounds: the host's budget, every control group from the process's own up to the
	 * root (or as far as can be seen), RLIMIT_AS and RLIMIT_DATA, and the machine.  The
	 * two may be of different bounds.  Page cache that the kernel drops first counts as
	 * available.  A bound that cannot be read is left out; without any the load is 0,
	 * and SIZE_MAX bytes are available.
	 *
	 * While IHostMemorySimulator::SetMemoryLoad is in force they are exactly its
	 * figures.
	 *
	 * While the monitor runs (hostmonitor.h), those of the system are what it has read
	 * last, at most two seconds ago, and take no time.  Else, and when it comes to no
	 * look because a callback does not return or the program's loop does not run, they
	 * are read with each call, which takes a tenth of a millisecond or two.  Those of
	 * the budget are of now.
	 *
	 * Threads: any, also inside a collection; waits for no other thread, never
	 *          allocates, and needs some 12 KiB of the stack.
	 * Errors:  E_POINTER               either is NULL; the other is cleared
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 * Source:  the hosting reference; which bounds count, and the simulated figures, are
	 *          ours.
	 */
	HOSTMEM_METHOD(IHostMemoryManager, HRESULT, GetMemoryLoad, DWORD *pLoad,
		       SIZE_T *pAvailable);

	/**
	 * Says whom to tell when the amount of available memory changes.
	 *
	 * @param callback  takes the place of the one before; NULL = nobody.
	 *
	 * There is one callback; registering the same again is S_OK, and one reference
	 * is held.  Nothing is told by registering: the callback hears of changes from
	 * then on, and of a Low that stands when it is repeated.  With the first callback
	 * the monitor begins, see hostmonitor.h; if it cannot, that is told there and not
	 * here.
	 *
	 * Returns when no call of the callback before is under way; called from inside
	 * that call, at once.
	 *
	 * Owner:   the host takes a reference and gives it back when the callback is
	 *          replaced or taken away, or with the last Release of the host; no call
	 *          comes after that.  From inside its own call the reference is given
	 *          back after that has returned.
	 * Threads: any.  AddRef and Release of the callbacks run on this thread with no
	 *          lock held.  Hold no lock that the callback before needs; who owns the
	 *          gate would wait for a call of it that waits there.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 * Source:  the hosting reference; NULL is our extension.
	 */
	HOSTMEM_METHOD(IHostMemoryManager, HRESULT, RegisterMemoryNotificationCallback,
		       ICLRMemoryNotificationCallback *callback);

	/**
	 * Asks the host to make room for a mapping that has just failed.
	 *
	 * @param start  where the mapping is wanted; NULL = anywhere.
	 * @param size   its bytes; 0 = not known.
	 *
	 * Threads: any.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          E_OUTOFMEMORY           there is no such room
	 * Source:  the method is the hosting reference's, that it comes after a failed
	 *          mapping is what the CLR does; S_OK only if there is room is ours.
	 */
	HOSTMEM_METHOD(IHostMemoryManager, HRESULT, NeedsVirtualAddressSpace, void *start,
		       SIZE_T size);

	/**
	 * Tells the host about a mapping that the runtime has made by itself.
	 *
	 * @param start  its first byte.
	 * @param size   its bytes; 0 is accepted.
	 *
	 * It is counted in cbExternal and charged, and announced to subscribers, whose
	 * answers do not count.  The same start again replaces the size; what a mapping
	 * covers of earlier ones is freed, which is told after it, so that no byte counts
	 * twice.  Without memory for the host's books it is S_OK and not counted, and a
	 * failure event follows.
	 *
	 * Threads: any; event callbacks run on this thread.  Waits at a closed gate,
	 *          without limit.
	 * Errors:  HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          HOST_E_ABANDONED        the host has ended in a callback of this call,
	 *                                  or while it waited; not counted then
	 * Source:  the hosting reference; all about the charge is ours.
	 */
	HOSTMEM_METHOD(IHostMemoryManager, HRESULT, AcquiredVirtualAddressSpace,
		       void *start, SIZE_T size);

	/**
	 * Tells the host that such a mapping is gone.
	 *
	 * @param start  as it was given to AcquiredVirtualAddressSpace; the host knows
	 *               the size.
	 *
	 * Threads: any; event callbacks run on this thread.  Waits at a closed gate,
	 *          without limit.
	 * Errors:  HOST_E_CLRNOTAVAILABLE   after Shutdown, or after an E_FAIL
	 *          HOST_E_INVALIDOPERATION  no mapping was announced there
	 *          HOST_E_ABANDONED         the host ended while it waited
	 * Source:  the hosting reference; the answer for an unknown start is ours.
	 */
	HOSTMEM_METHOD(IHostMemoryManager, HRESULT, ReleasedVirtualAddressSpace,
		       void *start);
HOSTMEM_INTERFACE_END

HOSTMEM_DECLARE_GUID(IID_IHostMalloc);
HOSTMEM_DECLARE_GUID(IID_IHostMemoryManager);

#ifndef __cplusplus
HOSTMEM_UNKNOWN_WRAPPERS(IHostMalloc)
HOSTMEM_WRAPPER(IHostMalloc, Alloc,
		(IHostMalloc *self, SIZE_T size, EMemoryCriticalLevel level,
		 void **ppMem), (self, size, level, ppMem))
HOSTMEM_WRAPPER(IHostMalloc, DebugAlloc,
		(IHostMalloc *self, SIZE_T size, EMemoryCriticalLevel level, char *file,
		 int line, void **ppMem), (self, size, level, file, line, ppMem))
HOSTMEM_WRAPPER(IHostMalloc, Free, (IHostMalloc *self, void *block), (self, block))

HOSTMEM_UNKNOWN_WRAPPERS(IHostMemoryManager)
HOSTMEM_WRAPPER(IHostMemoryManager, CreateMalloc,
		(IHostMemoryManager *self, DWORD type, IHostMalloc **ppMalloc),
		(self, type, ppMalloc))
HOSTMEM_WRAPPER(IHostMemoryManager, VirtualAlloc,
		(IHostMemoryManager *self, void *address, SIZE_T size, DWORD type,
		 DWORD protect, EMemoryCriticalLevel level, void **ppMem),
		(self, address, size, type, protect, level, ppMem))
HOSTMEM_WRAPPER(IHostMemoryManager, VirtualFree,
		(IHostMemoryManager *self, void *address, SIZE_T size, DWORD type),
		(self, address, size, type))
HOSTMEM_WRAPPER(IHostMemoryManager, VirtualQuery,
		(IHostMemoryManager *self, void *address, void *buffer, SIZE_T length,
		 SIZE_T *pResult), (self, address, buffer, length, pResult))
HOSTMEM_WRAPPER(IHostMemoryManager, VirtualProtect,
		(IHostMemoryManager *self, void *address, SIZE_T size, DWORD protect,
		 DWORD *pOldProtect), (self, address, size, protect, pOldProtect))
HOSTMEM_WRAPPER(IHostMemoryManager, GetMemoryLoad,
		(IHostMemoryManager *self, DWORD *pLoad, SIZE_T *pAvailable),
		(self, pLoad, pAvailable))
HOSTMEM_WRAPPER(IHostMemoryManager, RegisterMemoryNotificationCallback,
		(IHostMemoryManager *self, ICLRMemoryNotificationCallback *callback),
		(self, callback))
HOSTMEM_WRAPPER(IHostMemoryManager, NeedsVirtualAddressSpace,
		(IHostMemoryManager *self, void *start, SIZE_T size), (self, start, size))
HOSTMEM_WRAPPER(IHostMemoryManager, AcquiredVirtualAddressSpace,
		(IHostMemoryManager *self, void *start, SIZE_T size), (self, start, size))
HOSTMEM_WRAPPER(IHostMemoryManager, ReleasedVirtualAddressSpace,
		(IHostMemoryManager *self, void *start), (self, start))
#endif

HOSTMEM_STATIC_ASSERT(sizeof(EMemoryCriticalLevel) == 4, "enums have 32 bits");

#endif /* HOSTMEM_HOSTMEMORY_H */
