/*
 * hostmem: a host memory manager for managed runtimes.
 *
 * A runtime asks its host for every page and block; the host decides, accounts and
 * notifies.  One object, made by HostMemCreate, has all faces, and QueryInterface
 * goes from any to any:
 *
 *	the runtime's side      IHostControl, IHostMemoryManager, IHostGCManager
 *	the embedding program's IHostMemoryControl, IHostMemorySimulator,
 *	                        IHostMemoryPages, IHostMemoryMonitor
 *	a heap's, its own object IHostMalloc, IHostMalloc2
 *
 * This header brings all public headers but attach.h and jsrt.h.  Rules that hold for every
 * method, and the words used here, stand at the head of hostmemory.h.
 *
 * Records that begin with cbSize grow at their end.  The caller sets cbSize to the
 * size it was compiled with, as the _INIT macros do; what a smaller record lacks
 * counts as its default.
 *
 *   - In:  cbSize below the library's own has to end where a field begins, and
 *     above it is refused; both are E_INVALIDARG.
 *   - Out: see IHostMemoryControl::GetUsage.
 *   - Events: cbSize is the size of the library's record.
 */
#ifndef HOSTMEM_HOSTMEM_H
#define HOSTMEM_HOSTMEM_H

#include "guid.h"
#include "hostcontrol.h"
#include "hostgc.h"
#include "hostmalloc.h"
#include "hostmemory.h"
#include "hostmonitor.h"
#include "hostpages.h"
#include "hostsimulator.h"
#include "hresult.h"
#include "memnotify.h"
#include "memorycontrol.h"
#include "unknown.h"
#include "winmem.h"

/* The release this header belongs to; HostMemVersion tells that of the library. */
#define HOSTMEM_VERSION_MAJOR 0
#define HOSTMEM_VERSION_MINOR 1
#define HOSTMEM_VERSION_PATCH 0
#define HOSTMEM_VERSION "0.1.0"

/* HostMemConfig.dwFlags: one of the first three, and any of the others. */
#define HOSTMEM_MONITOR_THREAD 0U /* a thread of the host's own watches the memory; see
				     HostMemConfig */
#define HOSTMEM_MONITOR_LOOP 1U /* the program's libuv loop does */
#define HOSTMEM_MONITOR_OFF 2U /* nobody does */
#define HOSTMEM_STRICT_EXECUTE 4U /* no page is writable and executable */
#define HOSTMEM_DEBUG_HEAP 8U /* heaps look for damage and report leaks; see
				 HostMemConfig */
#define HOSTMEM_NO_GUARD_PAGES 16U /* does not use guard pages of the kernel for what is
				      not committed, even where it has them */
#define HOSTMEM_PREFER_HUGE_PAGES 32U /* asks for transparent huge pages under commits of
					 2 MiB and more, and reserves 2 MiB and more at
					 multiples of 2 MiB */

struct uv_loop_s;

/**
 * What a host is made from.
 *
 * Memory that is decommitted or released faults from then on.  cbRetain trades that for
 * speed: reservations of at most 1 MiB that are committed read-write from end to end when
 * they are released are kept as they are, up to so many bytes for each host and one for
 * each 64 KiB of them, and handed out again, zeroed, to a reservation of the same size
 * that is committed read-write at once.  Until then they can still be touched; they are
 * told as free, are not charged, and go back to the system when the runtime is told that
 * memory is low, and before the system's refusal becomes the host's.
 *
 * The environment variable HOSTMEM_PAGES, if it is `guard`, `protect` or `direct` when a
 * host is made, says how the host takes access away from pages: with guard pages (where
 * the kernel has them), as if HOSTMEM_NO_GUARD_PAGES was given, or with a mapping for each
 * reservation.  It is for finding faults: all three keep every promise made here.
 *
 * HOSTMEM_DEBUG_HEAP: each block of a heap lies between bytes that nobody should write, at
 * least 16 on either side; fresh bytes are not zero; and what is freed is filled and kept
 * for a while, in the order of Free, up to 1 MiB of such blocks for each heap.  A Free or
 * Realloc that finds a block damaged, freed before or not a block at all reports it and
 * answers HOST_E_INVALIDOPERATION; a damaged block stays live.  What has been written to
 * after its Free is reported when it is kept no longer: when others take its turn, with
 * Trim, before the host refuses a request for want of memory, and at the heap's end.  There
 * each live block is reported, in the order in which they were made, after what is damaged
 * about it.
 *
 * Such heaps count what was asked for and no more (GetSize, cbHeap); the pages of the bytes
 * around blocks, and of blocks that are kept, are charged.  Realloc moves a block unless
 * HOSTMEM_HEAP_IN_PLACE forbids it.  Whoever has made pages of a heap read-only makes them
 * writable before he frees what is there.
 *
 * Reports go to `report`, or, if that is NULL, to the standard error, one line each.
 * Without HOSTMEM_DEBUG_HEAP a heap's end reports those live blocks that DebugAlloc made,
 * if `report` is set, and nothing else is reported.
 *
 * A program that runs under valgrind, or is built with AddressSanitizer, needs no such
 * heaps: without HOSTMEM_DEBUG_HEAP these tools are told where blocks begin and end, and
 * find overruns and uses after Free by themselves.  Heaps work as with it, but write
 * nothing around blocks, and report nothing more than without it.  With HOSTMEM_DEBUG_HEAP
 * the tools are told nothing, since they would end the program before it is reported.
 *
 * The monitor (hostmonitor.h) begins with the first callback that is registered.
 * HOSTMEM_MONITOR_THREAD, the default: on a thread of the host's own, which handles none of
 * the program's signals but those that a fault of its own raises, and ends with Shutdown or
 * the last Release.  HOSTMEM_MONITOR_LOOP: on the program's libuv loop, which its handles do
 * not keep alive; the loop has to run once more after the last Release before it can be
 * closed.  HOSTMEM_MONITOR_OFF: nobody watches, and IHostMemoryMonitor::Look is there for a
 * program that has a moment of its own.
 *
 * In a fork child the monitor is off until a callback is registered again, with
 * HOSTMEM_MONITOR_LOOP on the loop's thread and after uv_loop_fork.  Some file descriptors of
 * a thread's loop stay open in the child, but not across exec.
 *
 * Source: ours.
 */
typedef struct HostMemConfig {
	uint32_t cbSize; /* sizeof(HostMemConfig) */
	uint32_t dwFlags; /* HOSTMEM_MONITOR_* and the flags after it */
	const HostMemBudget *budget; /* borrowed for the call, copied; NULL = no limits */
	size_t cbRetain; /* bytes of released memory kept for reuse, see above; 0 = it is
			    given back, and inaccessible, at once */
	uint32_t msGateTimeout; /* ms that an allocation or VirtualProtect waits at a
				   closed gate; 0 = 5000, UINT32_MAX = for ever */
	struct uv_loop_s *loop; /* of HOSTMEM_MONITOR_LOOP: borrowed until the host is
				   gone; create, Shutdown and last Release then belong
				   on its thread.  Else not looked at */
	HostMemReportCallback report; /* hears of damage and leaks, see above; NULL =
					 lines on the standard error, and those of
					 HOSTMEM_DEBUG_HEAP only */
	void *reportState; /* passed to it */
} HostMemConfig;

/* A thread as monitor, no limits, nothing retained, 5 s at the gate. */
#define HOSTMEM_CONFIG_INIT \
	{ \
		sizeof(HostMemConfig), HOSTMEM_MONITOR_THREAD, NULL, 0, 0, NULL, NULL, \
			NULL \
	}

/* The class that every host module has. */
HOSTMEM_DECLARE_GUID(CLSID_HostMemory);

/**
 * Makes a host.
 *
 * @param config  borrowed for the call; NULL = HOSTMEM_CONFIG_INIT.
 * @param riid    the face wanted: IID_IUnknown, IID_IHostControl,
 *                IID_IHostMemoryManager, IID_IHostGCManager,
 *                IID_IHostMemoryControl, IID_IHostMemorySimulator,
 *                IID_IHostMemoryPages or IID_IHostMemoryMonitor.
 * @param ppv     receives that face with one reference.
 *
 * A process may have several hosts; each has its own account, and one host's memory
 * is foreign to another.
 *
 * Owner:   the caller, until Release.
 * Threads: any.
 * Errors:  E_POINTER            ppv is NULL, or in C riid is NULL
 *          E_INVALIDARG         cbSize of config or budget; unknown flags;
 *                               HOSTMEM_MONITOR_LOOP without a loop or together with
 *                               HOSTMEM_MONITOR_OFF; headroom or largest not in
 *                               order, headroom above the limit
 *          ERROR_NOT_SUPPORTED  as HRESULT_FROM_WIN32: the system's pages are not
 *                               4096 bytes
 *          E_NOINTERFACE        no such face
 *          E_OUTOFMEMORY        the system refused
 *          ERROR_TOO_MANY_OPEN_FILES  as HRESULT_FROM_WIN32: HOSTMEM_MONITOR_LOOP, and
 *                               there was no file descriptor left
 * Source:  ours.
 */
HOSTMEM_API HRESULT HostMemCreate(const HostMemConfig *config, REFIID riid, void **ppv);

/**
 * Makes a host from a host module.
 *
 * @param path  names the file; must have a slash, since no search path is used.
 * @param riid  the face wanted.
 * @param ppv   receives that face with one reference.
 *
 * A host module is a shared object that exports DllGetClassObject (see unknown.h) and
 * knows CLSID_HostMemory.  It stays loaded until the process ends.  It may export
 * HostMemHandleFault as well, for its own hosts; without it their guard pages are of no use
 * to the program, which finds it with dlsym.
 *
 * Owner:   the caller, until Release.
 * Threads: any.
 * Errors:  E_POINTER             ppv or path is NULL, or in C riid is NULL
 *          E_INVALIDARG          path has no slash
 *          ERROR_MOD_NOT_FOUND   no such file, or it cannot be read
 *          ERROR_BAD_EXE_FORMAT  it cannot be loaded
 *          ERROR_PROC_NOT_FOUND  it has no DllGetClassObject
 *          others                what the module answered; if it answered a success
 *                                without an object: E_UNEXPECTED
 * Source:  ours; the entry and the factory are COM's.  The ERROR_ codes come as
 *          HRESULT_FROM_WIN32.
 */
HOSTMEM_API HRESULT HostMemLoadModule(const char *path, REFIID riid, void **ppv);

/**
 * Tells whether a fault is one that a host expects.
 *
 * @param address  the address that faulted (si_addr).
 * @param write    TRUE if it was a write, as far as the program knows.
 *
 * Meant for the program's SIGSEGV handler; hostmem installs none.  It serves every host
 * of the process that this library has made; hosts of a module are served by that of the
 * module, see HostMemLoadModule.  A hit on a PAGE_GUARD page takes the modifier away from that page,
 * after which its own protection holds.
 *
 * A system call that touches a guard page gets EFAULT, and the guard stays.
 *
 * Returns: S_OK     retry the instruction.  It comes also if another thread has served
 *                   the same page already, or is just changing that reservation; in
 *                   the latter case the retry faults again.
 *          S_FALSE  not ours: go on as for any other fault.
 * Threads: any; async-signal-safe, keeps errno, never waits, calls nobody.
 * Errors:  none.
 * Source:  ours; what a guard page does is Win32's.
 */
HOSTMEM_API HRESULT HostMemHandleFault(void *address, BOOL write);

/**
 * Names a result code.
 *
 * @param hr  any code.
 *
 * Returns: its name, as "HOST_E_TIMEOUT" or "ERROR_INVALID_ADDRESS", or the number as
 *          "0x8007abcd" if it has none here; never NULL.  A name lives for ever, a
 *          number until the next call on this thread.
 * Threads: any; takes no lock.
 * Source:  ours.
 */
HOSTMEM_API const char *HostMemResultName(HRESULT hr);

/**
 * Tells the release of the library, as "0.1.0".
 *
 * Returns: a string that lives for ever.
 * Threads: any; takes no lock.
 * Source:  ours.
 */
HOSTMEM_API const char *HostMemVersion(void);

#endif /* HOSTMEM_HOSTMEM_H */
