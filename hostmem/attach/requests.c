/*
 * The host's part of the translation: who may be refused, and which call says what.
 *
 * A reservation asks for MEM_TOP_DOWN, which gives it a mapping of its own: the runtime may
 * map files over parts of it, and the host's arenas are no place for that.  But the system has
 * so many mappings and no more (vm.max_map_count), and what lies at multiples of 64 KiB does
 * not grow together as the system's own small mappings do.  So where there are many, memory
 * that is committed at once, over which nobody maps a file, comes from arenas.  Less than a unit
 * of it shares a reservation with others, see chunk.c.
 *
 * What a reservation is for is told by the protection that it is made with, which the host
 * keeps for each part of it.  One of HM_TASK_SPACE and more, in which a profile may take
 * commits for task-critical, is made with PAGE_READWRITE if it may lie anywhere, and with
 * PAGE_READONLY if the runtime wanted it where it is; others with PAGE_NOACCESS.  A list of
 * our own was rejected; it would have to follow each cut of a reservation.
 *
 * Locks: none here; where a commit was refused is one atomic word.
 */
#include "requests.h"
#include "attached.h"
#include "chunk.h"
#include "hostmem/host.h"
#include "hostmem/os/memory.h"
#include "hostmem/os/size.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define SPACE_ANYWHERE PAGE_READWRITE
#define SPACE_WANTED PAGE_READONLY

DWORD hm_protection_for(int protection)
{
	static const DWORD words[] = {
		[PROT_NONE] = PAGE_NOACCESS,
		[PROT_READ] = PAGE_READONLY,
		[PROT_WRITE] = PAGE_READWRITE,
		[PROT_READ | PROT_WRITE] = PAGE_READWRITE,
		[PROT_EXEC] = PAGE_EXECUTE,
		[PROT_EXEC | PROT_READ] = PAGE_EXECUTE_READ,
		[PROT_EXEC | PROT_WRITE] = PAGE_EXECUTE_READWRITE,
		[PROT_EXEC | PROT_READ | PROT_WRITE] = PAGE_EXECUTE_READWRITE,
	};

	return words[protection & (PROT_READ | PROT_WRITE | PROT_EXEC)];
}

int hm_errno_for(HRESULT hr)
{
	switch (hr) {
	case E_ACCESSDENIED:
		return EACCES;
	case HOST_E_INVALIDOPERATION:
		return EINVAL;
	default: /* E_INVALIDARG, too: it is of a range beyond the address space */
		return ENOMEM;
	}
}

static bool is_code(DWORD protect)
{
	return (protect & (PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE)) !=
	       0;
}

/* ---- New reservations ---- */

/* A fourth of what Linux allows unless it is told otherwise. */
#define MANY_RESERVATIONS 16384U

static bool are_many(void)
{
	size_t reserved, committed;
	uint64_t regions;

	hm_figures_read(&hm_attached.host->figures, &reserved, &committed, &regions);
	return regions >= MANY_RESERVATIONS;
}

HRESULT hm_request_anywhere(size_t size, DWORD protect, void **out)
{
	bool refusable = size >= hm_attached.profile->map && !is_code(protect);
	EMemoryCriticalLevel level = hm_attached_level(refusable);
	DWORD type = MEM_RESERVE | MEM_TOP_DOWN;
	HRESULT hr;

	if (protect != PAGE_NOACCESS && !is_code(protect) && hm_chunk_is_for(size)) {
		hr = hm_chunk_take(size, protect, level, out);
		if (hr != HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS))
			return hr;
	}
	if (protect != PAGE_NOACCESS)
		type = MEM_RESERVE | MEM_COMMIT | (are_many() ? 0 : MEM_TOP_DOWN);
	else if (size >= HM_TASK_SPACE && size != hm_attached.profile->code)
		protect = SPACE_ANYWHERE;
	return IHostMemoryPages_ReserveAligned(hm_attached.pages, size, 0, type, protect,
					       level, out);
}

HRESULT hm_request_at(uintptr_t address, size_t size, DWORD protect, void **out)
{
	bool refusable = size >= hm_attached.profile->map && !is_code(protect);
	DWORD type = MEM_RESERVE | MEM_TOP_DOWN;

	/* To the host that would mean anywhere. */
	if (address == 0)
		return E_INVALIDARG;
	if (protect != PAGE_NOACCESS)
		type |= MEM_COMMIT;
	else if (size >= HM_TASK_SPACE)
		protect = SPACE_WANTED;
	return IHostMemoryManager_VirtualAlloc(hm_attached.memory, (void *)address, size,
					       type, protect,
					       hm_attached_level(refusable), out);
}

/* ---- Parts of them ---- */

static bool is_space(const struct hm_piece *piece, DWORD kind, size_t least)
{
	return piece->region.protection == kind &&
	       piece->region.end - piece->region.base >= least;
}

/* Tables of a heap lie anywhere, and have a small part of its size. */
static bool may_be_heap(const struct hm_piece *piece)
{
	return is_space(piece, SPACE_WANTED, HM_TASK_SPACE) ||
	       is_space(piece, SPACE_ANYWHERE, HM_HEAP_SPACE);
}

static bool is_refusable(const struct hm_piece *piece, DWORD protect, bool over)
{
	const struct hm_profile *profile = hm_attached.profile;
	size_t size = hm_piece_size(piece);

	if (is_code(protect))
		return false;
	if (!over)
		return is_space(piece, SPACE_ANYWHERE, HM_TASK_SPACE) &&
		       size >= profile->commit;
	if (size >= profile->over)
		return true;
	return may_be_heap(piece) &&
	       size >= (size % HM_GRANULE_SIZE != 0 ? profile->odd_over
						    : profile->heap_over);
}

/* The run of pages of one state at an address, as far as the piece reaches. */
static HRESULT look(const struct hm_piece *piece, uintptr_t at, struct hm_piece *run,
		    bool *committed)
{
	MEMORY_BASIC_INFORMATION seen;
	SIZE_T length;
	HRESULT hr = IHostMemoryManager_VirtualQuery(hm_attached.memory, (void *)at,
						     &seen, sizeof(seen), &length);

	*run = *piece;
	run->start = at;
	if (FAILED(hr))
		return hr;
	run->end = hm_min(piece->end, (uintptr_t)seen.BaseAddress + seen.RegionSize);
	*committed = seen.State == MEM_COMMIT;
	return S_OK;
}

/*
 * Where a commit over reserved pages was refused, of those that may be.  Who asks for less there
 * is the same: HotSpot goes down to the size of an object, and that may be a unit of 64 KiB.
 */
static _Atomic uintptr_t refused_at;

static HRESULT commit(const struct hm_piece *piece, DWORD protect, bool over)
{
	bool again = over && atomic_load(&refused_at) == piece->start;
	bool refusable = is_refusable(piece, protect, over) || again;
	void *base;
	HRESULT hr =
		IHostMemoryManager_VirtualAlloc(hm_attached.memory, (void *)piece->start,
						hm_piece_size(piece), MEM_COMMIT, protect,
						hm_attached_level(refusable), &base);

	if (over && refusable && FAILED(hr))
		atomic_store(&refused_at, piece->start);
	else if (again)
		atomic_store(&refused_at, 0);
	return hr;
}

static HRESULT change_access(const struct hm_piece *piece, DWORD protect)
{
	DWORD old;

	return IHostMemoryManager_VirtualProtect(hm_attached.memory, (void *)piece->start,
						 hm_piece_size(piece), protect, &old);
}

/* Of the committed pages alone. */
static HRESULT change_runs(const struct hm_piece *piece, DWORD protect)
{
	struct hm_piece run = *piece;
	bool committed;
	HRESULT hr = S_OK;

	for (uintptr_t at = piece->start; SUCCEEDED(hr) && at < piece->end;
	     at = run.end) {
		hr = look(piece, at, &run, &committed);
		if (SUCCEEDED(hr) && committed)
			hr = change_access(&run, protect);
	}
	return hr;
}

HRESULT hm_request_access(const struct hm_piece *piece, DWORD protect)
{
	struct hm_piece run;
	bool committed;
	HRESULT hr;

	/* Pages that were never committed have no access, and a heap commits its own. */
	if (protect == PAGE_NOACCESS || piece->owner == HM_PIECE_HEAP)
		return change_runs(piece, protect);
	hr = look(piece, piece->start, &run, &committed);
	if (FAILED(hr))
		return hr;
	if (committed && run.end == piece->end)
		return change_access(piece, protect);
	return commit(piece, protect, false);
}

/* Contents that were there go last: then nothing can fail any more. */
HRESULT hm_request_fresh(const struct hm_piece *piece, DWORD protect)
{
	struct hm_piece run;
	bool committed;
	HRESULT hr = look(piece, piece->start, &run, &committed);
	bool blank = SUCCEEDED(hr) && !committed && run.end == piece->end;

	if (SUCCEEDED(hr))
		hr = commit(piece, protect, true);
	if (SUCCEEDED(hr) && !blank &&
	    !hm_memory_drop((void *)piece->start, hm_piece_size(piece)))
		return E_FAIL;
	return hr;
}

HRESULT hm_request_decommit(const struct hm_piece *piece)
{
	return IHostMemoryManager_VirtualFree(hm_attached.memory, (void *)piece->start,
					      hm_piece_size(piece), MEM_DECOMMIT);
}

HRESULT hm_request_release(const struct hm_piece *piece)
{
	return IHostMemoryPages_ReleaseRange(hm_attached.pages, (void *)piece->start,
					     hm_piece_size(piece));
}
