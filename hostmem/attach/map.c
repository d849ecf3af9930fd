/*
 * mmap for the runtime.
 *
 * What is private and anonymous comes from the host.  Everything else goes to the system as
 * it is; where it is mapped over pages of the host's, those are decommitted before and noted
 * as an overlay.  What the host has no words for (huge pages of a pool, locked pages, a stack
 * that grows) is the system's, too.
 *
 * An address that is only a hint is tried at a multiple of 64 KiB and forgotten otherwise, as
 * the system may.  A mapping over memory that is somebody else's, as the guard pages that
 * HotSpot makes in the stacks of its threads, replaces it, which only the system can do; where
 * nothing is, it becomes a reservation of the host's.  What is there, the system is asked
 * beforehand: a host that finds a place taken tells its subscribers of a refusal.
 *
 * Locks: none here.
 */
#include "attached.h"
#include "chunk.h"
#include "overlays.h"
#include "requests.h"
#include "translator.h"
#include "hostmem/arenas.h"
#include "hostmem/os/memory.h"
#include "hostmem/os/size.h"
#include "hostmem/os/system.h"

#include <errno.h>
#include <sys/mman.h>

/* Kernels that do not know it take the address for a hint, which is checked. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* How often a place below 2 GiB is looked for, which somebody else may take meanwhile. */
#define ATTEMPTS 4

struct call {
	uintptr_t address;
	size_t size;
	int protection, flags, file;
	int64_t offset;
};

static void *ask_system(const struct call *call)
{
	return hm_system.map((void *)call->address, call->size, call->protection,
			     call->flags, call->file, call->offset);
}

static bool is_for_host(const struct call *call)
{
	const int others = MAP_SHARED | MAP_HUGETLB | MAP_GROWSDOWN | MAP_LOCKED;

	return (call->flags & MAP_ANONYMOUS) && !(call->flags & others) &&
	       !(call->protection & ~(PROT_READ | PROT_WRITE | PROT_EXEC));
}

static void populate(const struct call *call, void *address)
{
	if ((call->flags & MAP_POPULATE) && (call->protection & PROT_WRITE))
		(void)hm_system.advise(address, hm_round_up(call->size, HM_PAGE_SIZE),
				       MADV_POPULATE_WRITE);
}

/* ---- Over what is there ---- */

/* Pages of the host's under a file: decommitted, and left to the system from now on. */
static int give_to_overlay(const struct hm_piece *piece)
{
	HRESULT hr;

	if (piece->owner != HM_PIECE_HOST)
		return 0;
	/* An arena's mapping is not this piece's alone, see requests.c. */
	if (hm_arena_of(piece->start) != NULL)
		return ENOMEM;
	if (!hm_overlays_add(piece->start, piece->end))
		return ENOMEM;
	hr = hm_request_decommit(piece);
	if (SUCCEEDED(hr))
		return 0;
	(void)hm_overlays_remove(piece->start, piece->end);
	/* A host that was shut down touches no page any more. */
	return hr == HOST_E_CLRNOTAVAILABLE ? 0 : hm_errno_for(hr);
}

int hm_cover_pieces(uintptr_t start, uintptr_t end)
{
	int error = hm_pieces_any_heaps(start, end) ? EINVAL : 0;

	hm_chunk_keep_out(start, end);
	while (start < end && error == 0) {
		struct hm_piece piece = hm_piece_at(start, end);

		error = give_to_overlay(&piece);
		start = piece.end;
	}
	return error;
}

/* The overlay goes, and the pages below it are the host's again: reserved. */
static int take_from_overlay(struct hm_piece *piece)
{
	if (FAILED(hm_memory_blank((void *)piece->start, hm_piece_size(piece))) ||
	    !hm_overlays_remove(piece->start, piece->end))
		return ENOMEM;
	piece->owner = HM_PIECE_HOST;
	return 0;
}

void hm_uncover_pieces(uintptr_t start, uintptr_t end)
{
	while (start < end) {
		struct hm_piece piece = hm_piece_at(start, end);

		if (piece.owner == HM_PIECE_OVERLAY)
			(void)take_from_overlay(&piece);
		start = piece.end;
	}
}

/* What the system would say to the file, the offset and the access, so that nothing is given
 * up for a mapping that cannot be made. */
static int error_elsewhere(const struct call *call)
{
	void *base = hm_system.map(NULL, call->size, call->protection,
				   call->flags & ~(MAP_FIXED | MAP_POPULATE), call->file,
				   call->offset);

	if (base == MAP_FAILED)
		return errno;
	(void)hm_memory_unmap(base, hm_round_up(call->size, HM_PAGE_SIZE));
	return 0;
}

/* Something that is not the host's, over pages that may be. */
static int map_other_over(const struct call *call, uintptr_t end)
{
	bool ours = hm_pieces_any_ours(call->address, end);
	int error = ours ? error_elsewhere(call) : 0;

	if (ours && error == 0)
		error = hm_cover_pieces(call->address, end);
	if (error != 0 || ask_system(call) != MAP_FAILED)
		return error;
	error = errno;
	hm_uncover_pieces(call->address, end);
	return error;
}

static int map_plainly(const struct hm_piece *piece, int protection, int flags)
{
	void *base = hm_system.map((void *)piece->start, hm_piece_size(piece), protection,
				   flags, -1, 0);

	return base == MAP_FAILED ? errno : 0;
}

static int map_over_host(const struct hm_piece *piece, int protection, int flags)
{
	DWORD protect = hm_protection_for(protection);
	HRESULT hr = protect == PAGE_NOACCESS ? hm_request_decommit(piece)
					      : hm_request_fresh(piece, protect);

	if (SUCCEEDED(hr))
		return 0;
	if (hr == HOST_E_CLRNOTAVAILABLE)
		return map_plainly(piece, protection, flags);
	/* Refused at once, or after it has waited. */
	return hm_errno_for(hr) == ENOMEM ? hm_attached.profile->refused_over
					  : hm_errno_for(hr);
}

/* Whether nothing is there: the system gives the place, and gets it back. */
static bool is_free(uintptr_t address, size_t size)
{
	int before = errno;
	void *base = hm_system.map((void *)address, size, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
					   MAP_FIXED_NOREPLACE,
				   -1, 0);

	if (base != MAP_FAILED)
		(void)hm_memory_unmap(base, hm_round_up(size, HM_PAGE_SIZE));
	errno = before;
	return (uintptr_t)base == address;
}

/* Memory that is nobody's, or somebody else's. */
static int map_over_system(const struct hm_piece *piece, int protection, int flags)
{
	void *base;

	/* The host's own, which a mapping would destroy. */
	if (hm_arena_of(piece->start) != NULL)
		return EINVAL;
	if (piece->start % HM_GRANULE_SIZE == 0 &&
	    is_free(piece->start, hm_piece_size(piece))) {
		HRESULT hr = hm_request_at(piece->start, hm_piece_size(piece),
					   hm_protection_for(protection), &base);

		if (hr != HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS) &&
		    hr != E_INVALIDARG && hr != HOST_E_CLRNOTAVAILABLE)
			return SUCCEEDED(hr) ? 0 : hm_errno_for(hr);
	}
	return map_plainly(piece, protection, flags);
}

int hm_map_over(uintptr_t start, uintptr_t end, int protection, int flags)
{
	int error = hm_pieces_any_heaps(start, end) ? EINVAL : 0;

	hm_chunk_keep_out(start, end);
	while (start < end && error == 0) {
		struct hm_piece piece = hm_piece_at(start, end);

		if (piece.owner == HM_PIECE_OVERLAY)
			error = take_from_overlay(&piece);
		if (error != 0)
			break;
		if (piece.owner == HM_PIECE_HOST)
			error = map_over_host(&piece, protection, flags);
		else
			error = map_over_system(&piece, protection, flags);
		start = piece.end;
	}
	return error;
}

/* ---- Where there is room ---- */

/* Whether it was the place: elsewhere the host may have room.  A refusal stays one, and is not
 * asked for, nor waited for, a second time. */
static bool is_no_place(HRESULT hr)
{
	return hr == HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS) || hr == E_INVALIDARG;
}

/* At the address that the runtime would like, or has to have. */
static HRESULT map_at_hint(const struct call *call, void **out)
{
	DWORD protect = hm_protection_for(call->protection);

	if (call->address == 0 || call->address % HM_GRANULE_SIZE != 0 ||
	    hm_arena_of(call->address) != NULL || !is_free(call->address, call->size))
		return HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS);
	return hm_request_at(call->address, call->size, protect, out);
}

/* Below 2 GiB: the system knows where there is room. */
static HRESULT map_low(const struct call *call, void **out)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_32BIT;
	struct call exact = *call;
	HRESULT hr = E_OUTOFMEMORY;

	for (int i = 0; i < ATTEMPTS; i++) {
		size_t size = call->size + HM_GRANULE_SIZE;
		void *room = hm_system.map(NULL, size, PROT_NONE, flags, -1, 0);

		if (room == MAP_FAILED)
			return E_OUTOFMEMORY;
		(void)hm_memory_unmap(room, hm_round_up(size, HM_PAGE_SIZE));
		exact.address = hm_round_up((uintptr_t)room, HM_GRANULE_SIZE);
		hr = map_at_hint(&exact, out);
		if (!is_no_place(hr))
			return hr;
	}
	return hr;
}

static HRESULT map_somewhere(const struct call *call, void **out)
{
	bool exact = (call->flags & MAP_FIXED_NOREPLACE) != 0;
	HRESULT hr;

	if (call->flags & MAP_32BIT)
		return map_low(call, out);
	if (exact || call->size >= hm_attached.profile->hint) {
		hr = map_at_hint(call, out);
		if (exact || !is_no_place(hr))
			return hr;
	}
	return hm_request_anywhere(call->size, hm_protection_for(call->protection), out);
}

/* Whether the system may know what the host does not: an end of the host, what is in the way
 * of an exact address, a place that is not the host's to take. */
static bool is_systems_business(const struct call *call, HRESULT hr)
{
	return hr == HOST_E_CLRNOTAVAILABLE ||
	       ((call->flags & (MAP_32BIT | MAP_FIXED_NOREPLACE)) && is_no_place(hr));
}

/* ---- The function ---- */

static void *translate(const struct call *call, uintptr_t end, int *error)
{
	void *base = (void *)call->address;
	HRESULT hr;

	*error = 0;
	if ((call->flags & MAP_FIXED) && !is_for_host(call)) {
		*error = map_other_over(call, end);
		return base;
	}
	if (call->flags & MAP_FIXED) {
		*error = hm_map_over(call->address, end, call->protection, call->flags);
		return base;
	}
	hr = map_somewhere(call, &base);
	if (is_systems_business(call, hr)) {
		base = ask_system(call);
		*error = base == MAP_FAILED ? errno : 0;
	} else if (FAILED(hr)) {
		*error = hm_errno_for(hr);
	}
	return base;
}

void *HostMemMmap(void *address, size_t size, int protection, int flags, int file,
		  int64_t offset)
{
	struct call call = { (uintptr_t)address, size, protection, flags, file, offset };
	int before;
	uintptr_t end = 0;
	void *base;
	int error;

	/* With both, nothing is replaced. */
	if (flags & MAP_FIXED_NOREPLACE)
		call.flags = flags &= ~MAP_FIXED;
	if (!hm_is_attached() || (!(flags & MAP_FIXED) && !is_for_host(&call)) ||
	    (flags & (MAP_PRIVATE | MAP_SHARED)) == 0 || size == 0 ||
	    ((flags & MAP_FIXED) && !hm_range_is_plain(address, size, &end)) ||
	    size > HM_USER_END)
		return ask_system(&call);
	before = hm_translation_begin();
	base = translate(&call, end, &error);
	if (error == 0 && is_for_host(&call))
		populate(&call, base);
	return hm_translation_end(before, error) == 0 ? base : MAP_FAILED;
}
