/*
 * Whose memory a range is, by the map of regions and the list of overlays.
 *
 * The answer holds as long as the caller's range is his own: a runtime that gives pages back
 * on one thread while another one uses them gets what it deserves, here as from the system.
 * Another host's memory counts as the system's.
 *
 * Locks: those of overlays.c, where there are any.
 */
#include "pieces.h"
#include "attached.h"
#include "overlays.h"
#include "hostmem/os/size.h"

static bool is_ours(const struct hm_region_view *view)
{
	return view->host == hm_attached.host && view->phase == HM_REGION_LIVE;
}

static bool is_heaps(const struct hm_region_view *view)
{
	return (atomic_load_explicit(&view->region->traits, memory_order_relaxed) &
		HM_REGION_HEAP) != 0;
}

/* Where the next region begins behind memory that is in none, or is not ours. */
static uintptr_t end_of_gap(uintptr_t start, uintptr_t end)
{
	struct hm_region_view next;

	if (hm_regions_next(start + 1, &next) && next.base < end)
		return next.base;
	return end;
}

struct hm_piece hm_piece_at(uintptr_t start, uintptr_t end)
{
	struct hm_piece piece = { .owner = HM_PIECE_SYSTEM, .start = start, .end = end };
	struct hm_overlay overlay;

	if (!hm_regions_find(start, &piece.region) || !is_ours(&piece.region)) {
		piece.end = end_of_gap(start, end);
		return piece;
	}
	piece.end = hm_min(end, piece.region.end);
	piece.owner = is_heaps(&piece.region) ? HM_PIECE_HEAP : HM_PIECE_HOST;
	if (piece.owner == HM_PIECE_HOST &&
	    hm_overlays_find(start, piece.end, &overlay)) {
		if (overlay.start == start)
			piece.owner = HM_PIECE_OVERLAY;
		piece.end = overlay.start == start ? overlay.end : overlay.start;
	}
	return piece;
}

static bool any_from(uintptr_t start, uintptr_t end, enum hm_piece_owner least)
{
	while (start < end) {
		struct hm_piece piece = hm_piece_at(start, end);

		if (piece.owner >= least)
			return true;
		start = piece.end;
	}
	return false;
}

bool hm_pieces_any_ours(uintptr_t start, uintptr_t end)
{
	return any_from(start, end, HM_PIECE_HOST);
}

bool hm_pieces_any_heaps(uintptr_t start, uintptr_t end)
{
	return any_from(start, end, HM_PIECE_HEAP);
}
