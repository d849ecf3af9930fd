#ifndef HOSTMEM_COMMITTING_H
#define HOSTMEM_COMMITTING_H

#include "arenas.h"
#include "os/pages.h"

/*
 * The operations of os/pages.h on a range that lies in an arena and is not lent, with the
 * contract that stands there.  `before` is NULL only for a release that is asked for again,
 * and for what has been reserved and never handed out.
 */
HRESULT hm_commit_in(struct hm_arena *arena, uintptr_t address, size_t size,
		     unsigned access, const struct hm_page_history *before);
HRESULT hm_protect_in(struct hm_arena *arena, uintptr_t address, size_t size,
		      unsigned access, const struct hm_page_history *before);
HRESULT hm_decommit_in(struct hm_arena *arena, uintptr_t address, size_t size,
		       const struct hm_page_history *before);
HRESULT hm_release_in(struct hm_arena *arena, uintptr_t address, size_t size,
		      const struct hm_page_history *before);

#endif
