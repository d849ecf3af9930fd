/*
 * Small mappings, side by side in reservations that they share.
 *
 * A reservation begins at a multiple of 64 KiB, and a mapping of four pages that had one for
 * itself would leave twelve empty.  The kernel puts such mappings side by side; Ruby makes
 * thousands of them, and four times the addresses means four times the tables, and misses of
 * the processor's own.  So they are committed in a chunk, from the top down as the kernel
 * does.  What is unmapped goes back with its addresses, out of the middle of the chunk, but
 * for the lowest, which is where a runtime cuts a mapping to its alignment: that is free
 * for the next one.
 *
 * The chunk is one word, the end of what is free in it.  A place belongs to whoever moves that
 * word, before he commits it.  Where the runtime touches what is free, which is nothing of its
 * own, that goes back to the system first: there is nothing then, as there is without a host.
 *
 * Locks: none, so that a fork finds nothing held.
 */
#include "chunk.h"
#include "attached.h"
#include "requests.h"
#include "hostmem/reserve.h"
#include "hostmem/os/size.h"

#define CHUNK ((size_t)1 << 20)

#define NO_CHUNK HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)

/* What is free in the chunk ends here, and begins where the chunk does; 0 = there is none.  The
 * first page stays free, so that the end tells which chunk it is. */
static _Atomic uintptr_t free_end;

static uintptr_t chunk_of(uintptr_t end)
{
	return hm_round_down(end - 1, CHUNK);
}

/* A chunk is a request that the program did not make: where it would be charged, or count as one
 * that a fault rule refuses, there is none. */
bool hm_chunk_is_for(size_t size)
{
	return size < HM_GRANULE_SIZE && hm_reserve_is_nobodys_business(hm_attached.host);
}

static void release(uintptr_t start, size_t size)
{
	(void)IHostMemoryPages_ReleaseRange(hm_attached.pages, (void *)start, size);
}

/* Another chunk in the place of the one whose free part ends at `end`. */
static bool replace(uintptr_t end, EMemoryCriticalLevel level)
{
	void *base;

	if (FAILED(IHostMemoryPages_ReserveAligned(hm_attached.pages, CHUNK, CHUNK,
						   MEM_RESERVE | MEM_TOP_DOWN,
						   PAGE_READWRITE, level, &base)))
		return false;
	if (!atomic_compare_exchange_strong(&free_end, &end, (uintptr_t)base + CHUNK))
		release((uintptr_t)base, CHUNK);
	else if (end != 0)
		release(chunk_of(end), (size_t)(end - chunk_of(end)));
	return true;
}

/* The place that is this thread's from now on; 0 = there is none. */
static uintptr_t take_place(size_t size, EMemoryCriticalLevel level)
{
	uintptr_t end = atomic_load(&free_end);

	for (;;) {
		if (end != 0 && end - chunk_of(end) > size) {
			if (atomic_compare_exchange_weak(&free_end, &end, end - size))
				return end - size;
			continue;
		}
		if (!replace(end, level))
			return 0;
		end = atomic_load(&free_end);
	}
}

HRESULT hm_chunk_take(size_t size, DWORD protect, EMemoryCriticalLevel level, void **out)
{
	uintptr_t place, start;
	HRESULT hr;

	size = hm_round_up(size, HM_PAGE_SIZE);
	start = place = take_place(size, level);
	if (place == 0)
		return NO_CHUNK;
	hr = IHostMemoryManager_VirtualAlloc(hm_attached.memory, (void *)place, size,
					     MEM_COMMIT, protect, level, out);
	if (SUCCEEDED(hr))
		return hr;
	if (!atomic_compare_exchange_strong(&free_end, &place, start + size))
		release(start, size);
	return hr == E_INVALIDARG || hr == HOST_E_INVALIDOPERATION ? NO_CHUNK : hr;
}

bool hm_chunk_give_back(uintptr_t start, uintptr_t end)
{
	uintptr_t next = atomic_load(&free_end);
	struct hm_piece piece;

	if (next != start || end > chunk_of(next) + CHUNK)
		return false;
	piece = hm_piece_at(start, end);
	return piece.owner == HM_PIECE_HOST && piece.end == end &&
	       piece.region.base == chunk_of(next) &&
	       SUCCEEDED(hm_request_decommit(&piece)) &&
	       atomic_compare_exchange_strong(&free_end, &next, end);
}

void hm_chunk_keep_out(uintptr_t start, uintptr_t end)
{
	uintptr_t next = atomic_load(&free_end);

	while (next != 0 && start < next && end > chunk_of(next)) {
		if (!atomic_compare_exchange_weak(&free_end, &next, 0))
			continue;
		release(chunk_of(next), (size_t)(next - chunk_of(next)));
		return;
	}
}
