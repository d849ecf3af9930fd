/*
 * Brings a runtime that has no allocator hook under a host: CoreCLR, HotSpot, Mono.
 *
 * Such a runtime asks the system for pages (mmap, mprotect, munmap, madvise, mremap) and the
 * C library for blocks (malloc and its family).  The functions below translate these calls:
 * private anonymous memory and blocks come from the attached host, by which they are charged,
 * reported and refused; everything else (files, shared memory, what was mapped before) goes
 * to the system as it is.  Freed pages and blocks go back to where they came from.
 *
 * Three ways lead a runtime here:
 *
 *   - HostMemAttachLibrary has one loaded library call the functions below, in place of those
 *     that it was linked to;
 *   - libhostmem-interpose.a, linked into the program (pkg-config hostmem-interpose), defines
 *     mmap, malloc and the others, so that the whole process has them;
 *   - `hostmem run -- program` does so for a program that is not linked with hostmem.
 *
 * How a request looks tells what is lost if it fails: a profile derives its critical level
 * from that, so that a refusal ends in the runtime's own out-of-memory exception.  A change
 * of access to committed pages, decommit and release are never refused for want of budget.
 *
 * Rules of the translated functions
 *   - They answer as the system's: arguments, results and errno.  On success errno is kept.
 *   - Any thread may call, with any lock of the runtime held, before main, and while threads
 *     are stopped by signals: signals are held back while pages are given or taken.
 *   - They allocate nothing on the way.
 *   - Until a host is attached, they are the system's and the C library's own.
 *
 * This header is not brought by hostmem.h: most programs do not need it.
 *
 * Source: ours.
 */
#ifndef HOSTMEM_ATTACH_H
#define HOSTMEM_ATTACH_H

#include "hostmem.h"

/* HostMemAttachment.dwFlags */
#define HOSTMEM_ATTACH_STARTING 1U /* the runtime is about to start: every request counts as
				      process-critical until HostMemAttachStarted */

/**
 * How a runtime is attached.
 *
 * Profiles, and what they take for task-critical; all else is process-critical:
 *
 *   coreclr   commits in reservations of 16 MiB and more that were made anywhere: the
 *             collected heap
 *   hotspot   commits by a mapping over reserved pages in what may be the collected heap, of
 *             128 KiB and more and of single pages; they are refused with EINVAL, since the
 *             virtual machine ends at ENOMEM; blocks of 1 MiB and more
 *   v8        blocks of 1 MiB and more: array buffers
 *   mono      mappings of 1 MiB and more
 *   cpython   all mappings but code, and all blocks
 *   lua       the same
 *   generic   mappings of 1 MiB and more, blocks of 64 KiB and more
 */
typedef struct HostMemAttachment {
	uint32_t cbSize; /* sizeof(HostMemAttachment) */
	uint32_t dwFlags; /* HOSTMEM_ATTACH_* */
	const char *profile; /* one of those above; NULL = generic */
} HostMemAttachment;

#define HOSTMEM_ATTACHMENT_INIT \
	{ \
		sizeof(HostMemAttachment), 0, NULL \
	}

/**
 * Makes a host the one that this process is attached to, for good.
 *
 * @param host  a host made by HostMemCreate of this library; referenced until the process
 *              ends, since what it gave out is in use until then.
 * @param how   borrowed for the call; NULL = HOSTMEM_ATTACHMENT_INIT.
 *
 * Threads: any; once per process.
 * Errors:  E_POINTER                host is NULL
 *          E_INVALIDARG             cbSize, an unknown flag or profile
 *          E_NOINTERFACE            not a host of this library
 *          HOST_E_INVALIDOPERATION  a host is attached already
 *          HOST_E_CLRNOTAVAILABLE   the host has been shut down
 *          E_OUTOFMEMORY            there is no room for its heap
 */
HOSTMEM_API HRESULT HostMemAttach(IUnknown *host, const HostMemAttachment *how);

/**
 * The runtime has started: from now on requests have the level that the profile gives them.
 * Nothing happens without HOSTMEM_ATTACH_STARTING, or before HostMemAttach.
 *
 * Threads: any.
 */
HOSTMEM_API void HostMemAttachStarted(void);

/**
 * Tells the host that this process is attached to.
 *
 * @param riid  the face wanted.
 * @param ppv   receives it, referenced.
 *
 * Threads: any.
 * Errors:  E_POINTER      ppv is NULL
 *          E_NOINTERFACE  no such face
 *          S_FALSE        no host is attached, and *ppv is NULL
 */
HOSTMEM_API HRESULT HostMemAttachedHost(REFIID riid, void **ppv);

/**
 * Has one loaded library call the translated functions: its imports of mmap, munmap, mprotect,
 * madvise, mremap, malloc, calloc, realloc, free and their like are replaced.  What it loads
 * itself, and the libraries beside it, are not touched.
 *
 * @param library  the end of its path, from a slash on ("libjvm.so", "server/libjvm.so").
 * @param pSlots   receives how many imports were replaced; NULL if it is of no interest.
 *
 * Call it after the library was loaded and before it is initialised.  Blocks that it was given
 * before are still freed rightly.
 *
 * Threads: any; no thread may be in that library.
 * Errors:  E_POINTER                                library is NULL
 *          HOST_E_INVALIDOPERATION                  no host is attached
 *          HRESULT_FROM_WIN32(ERROR_MOD_NOT_FOUND)  no such library is loaded
 *          HRESULT_FROM_WIN32(ERROR_INVALID_NAME)   more than one is
 *          HRESULT_FROM_WIN32(ERROR_BAD_EXE_FORMAT) it has no imports that can be read
 *          HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)  not on this processor
 *          E_ACCESSDENIED, E_OUTOFMEMORY            the system does not let its imports be
 *                                                   written; nothing was replaced
 */
HOSTMEM_API HRESULT HostMemAttachLibrary(const char *library, uint32_t *pSlots);

/*
 * The translated functions.  Arguments, results and errors are those of the system's function
 * of that name.  A block that is freed twice, or is none, ends the process with a line that
 * says so, as the C library does.
 *
 * They differ from the system's in three things.  Where there are more than 16,384 regions,
 * 64 KiB and more that are mapped with access come from arenas, so that the kernel's mappings
 * last; then ENOMEM is the answer to MAP_FIXED of a file over such memory, and nothing has
 * changed.
 * Files that were mapped over memory of the host's are not moved by mremap: ENOMEM.  And a
 * MAP_FIXED over several mappings that fails may have unmapped some of them, as the system's
 * own may.
 */
HOSTMEM_API void *HostMemMmap(void *address, size_t size, int protection, int flags, int file,
		  int64_t offset);
HOSTMEM_API int HostMemMunmap(void *address, size_t size);
HOSTMEM_API int HostMemMprotect(void *address, size_t size, int protection);
HOSTMEM_API int HostMemMadvise(void *address, size_t size, int advice);
HOSTMEM_API void *HostMemMremap(void *address, size_t size, size_t wanted, int flags, void *place);

HOSTMEM_API void *HostMemMalloc(size_t size);
HOSTMEM_API void *HostMemCalloc(size_t count, size_t size);
HOSTMEM_API void *HostMemRealloc(void *block, size_t size);
HOSTMEM_API void *HostMemReallocArray(void *block, size_t count, size_t size);
HOSTMEM_API void HostMemFree(void *block);
HOSTMEM_API int HostMemPosixMemalign(void **block, size_t alignment, size_t size);
HOSTMEM_API void *HostMemAlignedAlloc(size_t alignment, size_t size);
HOSTMEM_API size_t HostMemMallocUsableSize(void *block);
HOSTMEM_API char *HostMemStrdup(const char *text);
HOSTMEM_API char *HostMemStrndup(const char *text, size_t most);

#endif
