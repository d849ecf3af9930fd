/*
 * The heaps that are set beside each other: ours, and three that everybody has.
 *
 * Threads: a heap is opened and closed on one thread, and used on any.
 */
#ifndef HOSTMEM_BENCH_ALLOCATOR_H
#define HOSTMEM_BENCH_ALLOCATOR_H

#include "verdict.h"

#include <hostmem/hostmem.h>

enum allocator { OURS, MIMALLOC, JEMALLOC, GLIBC, ALLOCATORS };

const char *allocator_name(enum allocator allocator);

/* What a process is to be started with, so that its malloc is that one; or NULL. */
const char *allocator_library(enum allocator allocator);

struct heap {
	bool ours;
	IHostMalloc *blocks; /* ours */
	IHostMemoryControl *control;
	void *(*allocate)(size_t size); /* the others' */
	void (*release)(void *block);
};

/*
 * Opens that heap in this process, which has been started for it.  The note is its version
 * and where it comes from, or the reason why it is not to be had.
 */
enum verdict heap_open(struct heap *heap, enum allocator allocator, char note[NOTE_SIZE]);
void heap_close(struct heap *heap);

/* Remembers what a heap has said last when it refused; ours only.  Threads: any. */
void heap_refused(const char *call, HRESULT hr);

/* What it has said, or just that. */
void heap_put_refusal(char note[NOTE_SIZE]);

/*
 * One call through a pointer, whichever heap it is: a method of the vtable, or malloc and
 * free as a program reaches them in a shared library.  `ours` is heap->ours; as a constant,
 * it makes two functions of one.  NULL or FALSE: refused.
 */
#define HEAP_INLINE static inline __attribute__((always_inline))

HEAP_INLINE void *heap_take(const struct heap *heap, bool ours, size_t size)
{
	void *block;
	HRESULT hr;

	if (!ours)
		return heap->allocate(size);
	hr = IHostMalloc_Alloc(heap->blocks, size, eTaskCritical, &block);
	if (FAILED(hr))
		heap_refused("Alloc", hr);
	return block;
}

HEAP_INLINE bool heap_give(const struct heap *heap, bool ours, void *block)
{
	HRESULT hr;

	if (!ours) {
		heap->release(block);
		return true;
	}
	hr = IHostMalloc_Free(heap->blocks, block);
	if (FAILED(hr))
		heap_refused("Free", hr);
	return SUCCEEDED(hr);
}

#endif
