/*
 * hostmem's own about heaps: IHostMalloc2, what IHostMalloc cannot say, and the reports of
 * a heap that looks for damage.  hostmemory.h has IHostMalloc and the rules of all methods.
 */
#ifndef HOSTMEM_HOSTMALLOC_H
#define HOSTMEM_HOSTMALLOC_H

#include "hostmemory.h"

/* Flags of IHostMalloc2. */
#define HOSTMEM_HEAP_ZERO 1U /* AllocAligned: the block reads as zero */
#define HOSTMEM_HEAP_IN_PLACE 2U /* Realloc: the block does not move */

/*
 * IHostMalloc2: what adapters of the malloc family need.  A face of every heap.
 *
 * Its first three methods are those of IHostMalloc, so a client needs one pointer only.
 */
HOSTMEM_INTERFACE(IHostMalloc2)
	/**
	 * As IHostMalloc::Alloc.
	 */
	HOSTMEM_METHOD(IHostMalloc2, HRESULT, Alloc, SIZE_T size,
		       EMemoryCriticalLevel level, void **ppMem);

	/**
	 * As IHostMalloc::DebugAlloc.
	 */
	HOSTMEM_METHOD(IHostMalloc2, HRESULT, DebugAlloc, SIZE_T size,
		       EMemoryCriticalLevel level, char *file, int line, void **ppMem);

	/**
	 * As IHostMalloc::Free.
	 */
	HOSTMEM_METHOD(IHostMalloc2, HRESULT, Free, void *block);

	/**
	 * Allocates a block at a multiple of a given size.
	 *
	 * @param size       bytes wanted; 0 gives a block of its own, too.
	 * @param alignment  bytes, a power of two; 0 means 16, below 16 counts as 16.
	 * @param flags      HOSTMEM_HEAP_ZERO or 0.
	 * @param level      what is lost if this fails.
	 * @param ppMem      receives the block.
	 *
	 * In all else this is Alloc.
	 *
	 * Owner:   the caller, until Free on the same heap, or the heap's end.
	 * Threads: as Alloc.
	 * Errors:  as Alloc, and
	 *          E_INVALIDARG   alignment is not a power of two; unknown flags
	 *          E_OUTOFMEMORY  there is no such place
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMalloc2, HRESULT, AllocAligned, SIZE_T size, SIZE_T alignment,
		       DWORD flags, EMemoryCriticalLevel level, void **ppMem);

	/**
	 * Changes the size of a block.
	 *
	 * @param block  a live block of this heap, or NULL, which makes this Alloc.
	 * @param size   bytes wanted; 0 gives a block of its own, and frees nothing.
	 * @param flags  HOSTMEM_HEAP_IN_PLACE or 0.
	 * @param level  what is lost if this fails.
	 * @param ppMem  receives the block, which is `block` itself where the new size
	 *               fits there.
	 *
	 * Contents are kept up to the smaller size.  Where it moves, the new block is
	 * aligned to 16 bytes, whatever the old one was, and a name that DebugAlloc gave
	 * goes with it.  On failure the old block is live and untouched; on success it is
	 * no longer the caller's unless *ppMem is the same.
	 *
	 * Owner:   the caller, until Free on the same heap, or the heap's end.
	 * Threads: as Alloc; nobody else may use the block meanwhile.
	 * Errors:  as Alloc, and
	 *          E_INVALIDARG             unknown flags
	 *          HOST_E_INVALIDOPERATION  as Free, and where the block has been written
	 *                                   past its end, see HOSTMEM_DEBUG_HEAP
	 *          E_OUTOFMEMORY            also: HOSTMEM_HEAP_IN_PLACE, and it does not
	 *                                   fit; or NULL with that flag
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMalloc2, HRESULT, Realloc, void *block, SIZE_T size,
		       DWORD flags, EMemoryCriticalLevel level, void **ppMem);

	/**
	 * Tells how many bytes of a block may be used.
	 *
	 * @param block  a live block of this heap.
	 * @param pSize  receives at least what was asked for; all of it may be used.  It
	 *               is what cbHeap of the usage counts.
	 *
	 * Threads: as Alloc.  Passes a closed gate.
	 * Errors:  E_POINTER                pSize is NULL
	 *          HOST_E_CLRNOTAVAILABLE   after Shutdown, or after an E_FAIL
	 *          HOST_E_INVALIDOPERATION  not a live block of this heap, NULL included
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMalloc2, HRESULT, GetSize, void *block, SIZE_T *pSize);

	/**
	 * Gives back what the heap keeps for later.
	 *
	 * @param pFreed  receives the bytes of pages given back.
	 *
	 * A heap keeps some pages in which no block is live, and free blocks for each
	 * thread that uses it.  Before the budget or the system refuses a request of the
	 * host, and when the host tells its runtime that memory is low, all heaps of the
	 * host do this by themselves.  Between SuspensionStarting and SuspensionEnding only
	 * freed blocks that had pages of their own go back: the rest may be at hand for a
	 * thread that is held still.
	 *
	 * Threads: as Alloc; event callbacks run on this thread.  Waits at a closed gate,
	 *          without limit.
	 * Errors:  E_POINTER               pFreed is NULL
	 *          HOST_E_CLRNOTAVAILABLE  after Shutdown, or after an E_FAIL
	 *          HOST_E_ABANDONED        the host ended while it waited
	 * Source:  ours.
	 */
	HOSTMEM_METHOD(IHostMalloc2, HRESULT, Trim, SIZE_T *pFreed);
HOSTMEM_INTERFACE_END

/* What a heap has found. */
typedef enum HostMemReportKind {
	HostMemReportLeak = 0, /* the block was live when its heap ended */
	HostMemReportOverrun = 1, /* bytes behind the block have been written to */
	HostMemReportUnderrun = 2, /* bytes in front of it have */
	HostMemReportDoubleFree = 3, /* it is freed again */
	HostMemReportWrittenAfterFree = 4, /* its bytes have been written to since */
	HostMemReportNotABlock = 5 /* what is freed is no block of the heap */
} HostMemReportKind;

/**
 * One report of a heap; see HOSTMEM_DEBUG_HEAP at HostMemConfig.
 *
 * Source: ours.
 */
typedef struct HostMemReport {
	uint32_t cbSize; /* sizeof(HostMemReport), of the library */
	HostMemReportKind kind;
	void *heap; /* which heap: its IUnknown; not a reference.  It ends with a report of
		       kind HostMemReportLeak, and perhaps with others: whoever holds no
		       reference compares it and does not use it */
	void *block; /* as Alloc gave it, or what was to be freed */
	size_t size; /* bytes asked for; 0 if it is no block */
	ptrdiff_t offset; /* of the lowest damaged byte, from the block; else 0 */
	const char *file; /* as DebugAlloc was told, the last 255 bytes if it was longer;
			     NULL if it was not, or if there are more than 1024 such names
			     in the heap; borrowed for the call */
	int32_t line; /* the same; else 0 */
} HostMemReport;

/**
 * Hears of what heaps have found.
 *
 * @param state   HostMemConfig.reportState.
 * @param report  borrowed for the call.
 *
 * Called on the thread whose call found it, with no lock of the host held, and for several
 * threads at once if they find something.  That call need not be one of the same heap: a
 * request that is short of memory looks at what all heaps keep.  The callback may call
 * anything but the heap that reports its own end; a block that is reported as lost can
 * still be read.  It must return: no exception, no
 * longjmp, no end of the thread; abort() is fine.
 */
typedef void (HOSTMEM_CALL *HostMemReportCallback)(void *state, const HostMemReport *report);

HOSTMEM_DECLARE_GUID(IID_IHostMalloc2);

#ifndef __cplusplus
HOSTMEM_UNKNOWN_WRAPPERS(IHostMalloc2)
HOSTMEM_WRAPPER(IHostMalloc2, Alloc,
		(IHostMalloc2 *self, SIZE_T size, EMemoryCriticalLevel level,
		 void **ppMem), (self, size, level, ppMem))
HOSTMEM_WRAPPER(IHostMalloc2, DebugAlloc,
		(IHostMalloc2 *self, SIZE_T size, EMemoryCriticalLevel level, char *file,
		 int line, void **ppMem), (self, size, level, file, line, ppMem))
HOSTMEM_WRAPPER(IHostMalloc2, Free, (IHostMalloc2 *self, void *block), (self, block))
HOSTMEM_WRAPPER(IHostMalloc2, AllocAligned,
		(IHostMalloc2 *self, SIZE_T size, SIZE_T alignment, DWORD flags,
		 EMemoryCriticalLevel level, void **ppMem),
		(self, size, alignment, flags, level, ppMem))
HOSTMEM_WRAPPER(IHostMalloc2, Realloc,
		(IHostMalloc2 *self, void *block, SIZE_T size, DWORD flags,
		 EMemoryCriticalLevel level, void **ppMem),
		(self, block, size, flags, level, ppMem))
HOSTMEM_WRAPPER(IHostMalloc2, GetSize,
		(IHostMalloc2 *self, void *block, SIZE_T *pSize), (self, block, pSize))
HOSTMEM_WRAPPER(IHostMalloc2, Trim, (IHostMalloc2 *self, SIZE_T *pFreed), (self, pFreed))
#endif

HOSTMEM_STATIC_ASSERT(sizeof(HostMemReportKind) == 4, "enums have 32 bits");

#endif /* HOSTMEM_HOSTMALLOC_H */
