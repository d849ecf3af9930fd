/*
 * What the conformance tests of heaps share: a host with one heap, and its figures.
 */
#ifndef HOSTMEM_CONFORMANCE_HEAP_H
#define HOSTMEM_CONFORMANCE_HEAP_H

#include "budget.h"

#include "test/heap.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

struct yard {
	struct host host;
	IHostMalloc2 *heap;
};

static inline bool yard_make_with(struct yard *yard, const HostMemConfig *config,
				  DWORD type)
{
	yard->heap = NULL;
	if (!host_create_with(&yard->host, config))
		return false;
	yard->heap = heap_new(yard->host.manager, type);
	if (yard->heap == NULL)
		host_destroy(&yard->host);
	return yard->heap != NULL;
}

/* With HOSTMEM_... flags of the host. */
static inline bool yard_make(struct yard *yard, uint32_t flags, DWORD type)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.dwFlags = HOSTMEM_MONITOR_OFF | flags;
	return yard_make_with(yard, &config, type);
}

/* With a budget of so many bytes, for several threads. */
static inline bool yard_make_limited(struct yard *yard, const HostMemBudget *budget)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.dwFlags = HOSTMEM_MONITOR_OFF;
	config.budget = budget;
	return yard_make_with(yard, &config, MALLOC_THREADSAFE);
}

/* Nobody else has the heap or the host. */
static inline void yard_end(struct yard *yard)
{
	CHECK_U32(IHostMalloc2_Release(yard->heap), 0);
	host_destroy(&yard->host);
	yard->heap = NULL;
}

static inline size_t yard_charged(const struct yard *yard)
{
	return host_usage(&yard->host).cbCharged;
}

static inline size_t yard_pages(const struct yard *yard)
{
	return host_usage(&yard->host).cbHeapPages;
}

/* The account of a host whose memory is all its heaps'. */
#define CHECK_HEAP(yard, bytes, blocks) \
	yard_check((yard), (bytes), (blocks), __FILE__, __LINE__)

static inline void yard_check(const struct yard *yard, size_t bytes, size_t blocks,
			      const char *file, int line)
{
	HostMemUsage usage = host_usage(&yard->host);

	tap_check_unsigned(usage.cbHeap, bytes, "cbHeap", file, line);
	tap_check_unsigned(usage.cBlocks, blocks, "cBlocks", file, line);
	tap_check(usage.cbHeapPages >= bytes, "cbHeapPages >= cbHeap", file, line);
	tap_check_unsigned(usage.cbHeapPages % PAGE, 0, "cbHeapPages % PAGE", file, line);
	tap_check_unsigned(usage.cbCharged, usage.cbHeapPages, "cbCharged", file, line);
}

/* Takes blocks of a size until there is no room; how many, in `blocks`. */
static inline size_t heap_fill_up(IHostMalloc2 *heap, size_t size, void **blocks,
				  size_t most)
{
	size_t count = 0;
	HRESULT hr = S_OK;

	while (count < most) {
		hr = heap_alloc(heap, size, &blocks[count]);
		if (hr != S_OK)
			break;
		count++;
	}
	CHECK_HR(hr, E_OUTOFMEMORY);
	return count;
}

#endif
