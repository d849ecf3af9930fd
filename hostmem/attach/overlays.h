#ifndef HOSTMEM_ATTACH_OVERLAYS_H
#define HOSTMEM_ATTACH_OVERLAYS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Overlays: where the runtime has mapped something else, mostly a file, over a part of a
 * reservation of the host's.
 *
 * For the host those pages are reserved and no more.  What is there belongs to the system
 * until the runtime maps memory over it or gives the addresses back; so nobody may have
 * the host change these pages meanwhile.
 */
struct hm_overlay {
	uintptr_t start, end;
};

extern _Atomic size_t hm_overlays_count;

/* The first overlay that reaches into [start, end), as far as it does; false = none. */
bool hm_overlays_search(uintptr_t start, uintptr_t end, struct hm_overlay *out);

static inline bool hm_overlays_find(uintptr_t start, uintptr_t end,
				    struct hm_overlay *out)
{
	return atomic_load_explicit(&hm_overlays_count, memory_order_acquire) != 0 &&
	       hm_overlays_search(start, end, out);
}

/* Notes that all of [start, end) is one, or that nothing of it is any more.  false: there is
 * no memory for the note, and nothing has changed. */
bool hm_overlays_add(uintptr_t start, uintptr_t end);
bool hm_overlays_remove(uintptr_t start, uintptr_t end);

#endif
