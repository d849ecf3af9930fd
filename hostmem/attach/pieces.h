#ifndef HOSTMEM_ATTACH_PIECES_H
#define HOSTMEM_ATTACH_PIECES_H

#include "hostmem/regions.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Pieces: a range as the runtime names it, cut where it passes from one owner to another.
 *
 * For the system neighbouring mappings are one range; for the host each reservation is one
 * for itself, and a runtime's call may reach over several, over what is mapped over them,
 * and over memory that is not the host's.
 */
enum hm_piece_owner {
	HM_PIECE_SYSTEM,  /* not the host's */
	HM_PIECE_HOST,    /* of a reservation of the host's */
	HM_PIECE_OVERLAY, /* the same, with something else mapped over it */
	HM_PIECE_HEAP,    /* pages of a heap of the host's */
};

struct hm_piece {
	enum hm_piece_owner owner;
	uintptr_t start, end;
	struct hm_region_view region; /* not of the system's */
};

/* The piece at `start`, not behind `end`. */
struct hm_piece hm_piece_at(uintptr_t start, uintptr_t end);

static inline size_t hm_piece_size(const struct hm_piece *piece)
{
	return (size_t)(piece->end - piece->start);
}

/* Whether one that is not the system's lies in the range; one of a heap's. */
bool hm_pieces_any_ours(uintptr_t start, uintptr_t end);
bool hm_pieces_any_heaps(uintptr_t start, uintptr_t end);

#endif
