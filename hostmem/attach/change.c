/*
 * munmap, mprotect and madvise for the runtime, and what all of them have in common.
 *
 * A call is taken apart into pieces, and each piece goes to its owner.  Where one in the
 * middle is refused, those before it are done: that is how the system does it, too.
 *
 * Locks: none here; signals are held back while the host is called, see translator.h.
 */
#include "translator.h"
#include "attached.h"
#include "chunk.h"
#include "overlays.h"
#include "requests.h"
#include "hostmem/arguments.h"
#include "hostmem/calls.h"
#include "hostmem/os/size.h"
#include "hostmem/os/system.h"

#include <errno.h>
#include <sys/mman.h>

int hm_translation_begin(void)
{
	hm_calls_hold_signals();
	return errno;
}

int hm_translation_end(int before, int error)
{
	errno = error != 0 ? error : before;
	hm_calls_release_signals();
	return error != 0 ? -1 : 0;
}

bool hm_range_is_plain(const void *address, size_t size, uintptr_t *end)
{
	uintptr_t start = (uintptr_t)address;

	if (start % HM_PAGE_SIZE != 0 || size == 0 || size > HM_USER_END ||
	    start > HM_USER_END - size)
		return false;
	*end = hm_round_up(start + size, HM_PAGE_SIZE);
	return true;
}

static int from_system(int result)
{
	return result == 0 ? 0 : errno;
}

/* ---- munmap ---- */

static int unmap_piece(const struct hm_piece *piece)
{
	HRESULT hr;

	switch (piece->owner) {
	case HM_PIECE_SYSTEM:
		return from_system(
			hm_system.unmap((void *)piece->start, hm_piece_size(piece)));
	case HM_PIECE_HEAP:
		return EINVAL;
	case HM_PIECE_OVERLAY:
		/* The reservation's own mapping ends with what is over it. */
		if (!hm_overlays_remove(piece->start, piece->end))
			return ENOMEM;
		break;
	case HM_PIECE_HOST:
		break;
	}
	hr = hm_request_release(piece);
	/* A host that was shut down keeps what it gave out until the process ends. */
	if (SUCCEEDED(hr) || hr == HOST_E_CLRNOTAVAILABLE)
		return 0;
	if (piece->owner == HM_PIECE_OVERLAY)
		(void)hm_overlays_add(piece->start, piece->end);
	return hm_errno_for(hr);
}

int hm_unmap_pieces(uintptr_t start, uintptr_t end)
{
	int error = hm_pieces_any_heaps(start, end) ? EINVAL : 0;

	if (hm_chunk_give_back(start, end))
		return 0;
	hm_chunk_keep_out(start, end);
	while (start < end && error == 0) {
		struct hm_piece piece = hm_piece_at(start, end);

		error = unmap_piece(&piece);
		start = piece.end;
	}
	return error;
}

int HostMemMunmap(void *address, size_t size)
{
	int before;
	uintptr_t end;

	if (!hm_is_attached() || !hm_range_is_plain(address, size, &end))
		return hm_system.unmap(address, size);
	before = hm_translation_begin();
	return hm_translation_end(before, hm_unmap_pieces((uintptr_t)address, end));
}

/* ---- mprotect ---- */

static int protect_piece(const struct hm_piece *piece, int protection)
{
	HRESULT hr;

	if (piece->owner == HM_PIECE_HOST || piece->owner == HM_PIECE_HEAP) {
		hr = hm_request_access(piece, hm_protection_for(protection));
		if (hr != HOST_E_CLRNOTAVAILABLE)
			return SUCCEEDED(hr) ? 0 : hm_errno_for(hr);
	}
	return from_system(hm_system.protect((void *)piece->start, hm_piece_size(piece),
					     protection));
}

int hm_protect_pieces(uintptr_t start, uintptr_t end, int protection)
{
	int error = 0;

	hm_chunk_keep_out(start, end);
	while (start < end && error == 0) {
		struct hm_piece piece = hm_piece_at(start, end);

		error = protect_piece(&piece, protection);
		start = piece.end;
	}
	return error;
}

/* One that goes beyond the address space is refused only where there is a hole. */
static bool is_for_pieces(uintptr_t start, size_t size, int protection)
{
	return start % HM_PAGE_SIZE == 0 && size != 0 &&
	       size < UINTPTR_MAX - HM_PAGE_SIZE - start &&
	       !(protection & ~(PROT_READ | PROT_WRITE | PROT_EXEC));
}

int HostMemMprotect(void *address, size_t size, int protection)
{
	int before;
	uintptr_t end;

	if (!hm_is_attached() || !is_for_pieces((uintptr_t)address, size, protection))
		return hm_system.protect(address, size, protection);
	end = hm_round_up((uintptr_t)address + size, HM_PAGE_SIZE);
	before = hm_translation_begin();
	return hm_translation_end(before,
				  hm_protect_pieces((uintptr_t)address, end, protection));
}

/* ---- madvise ---- */

/* Advice changes neither what is committed nor what is charged, and the system gives pages
 * of the host's the answer that it gives to all. */
int HostMemMadvise(void *address, size_t size, int advice)
{
	return hm_system.advise(address, size, advice);
}
