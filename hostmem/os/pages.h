#ifndef HOSTMEM_OS_PAGES_H
#define HOSTMEM_OS_PAGES_H

#include "memory.h"

#include <stdint.h>

/*
 * Where pages come from: the one door to the system's memory.
 *
 * Contract of every operation
 *   - addresses and sizes are multiples of the 4 KiB page, sizes are never 0; the
 *     caller has checked this, an implementation asserts it and repairs nothing;
 *   - the result is an HRESULT:
 *       E_OUTOFMEMORY                              the system has not enough of something
 *       E_ACCESSDENIED                             the system's policy forbids the access
 *       HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)  the wanted place is taken
 *       HRESULT_FROM_WIN32(ERROR_PRIVILEGE_NOT_HELD) no huge pages to give
 *       E_FAIL   something happened that cannot: the host is not to be trusted any more;
 *   - on failure nothing has changed and *out is NULL (E_FAIL apart);
 *   - errno is kept, nothing is allocated, no lock of the caller's is needed: two
 *     operations may run at once unless their ranges touch, which the caller prevents.
 *
 * A page is reserved (no access, no memory) or committed (with the access that was
 * asked for; zero when it becomes committed).  The empty access is a committed page that
 * nobody may touch.
 */

/* A run of pages that share one state, as they stood before an operation. */
struct hm_page_run {
	size_t size; /* bytes; 0 = no more runs */
	bool committed;
	unsigned access; /* of a committed run */
};

/*
 * The reservation that an operation works on, as it stood before.  run_at tells the run
 * that starts at `address`: for operations that stop half-way and have to put back what
 * was there, and for those that need not do what is done already.
 */
struct hm_page_history {
	struct hm_page_run (*run_at)(const struct hm_page_history *self, void *address);
	uintptr_t start, end; /* of the reservation */
};

enum hm_reserve_flags {
	HM_RESERVE_COMMITTED = 1, /* with `access`, instead of reserved */
	HM_RESERVE_LARGE = 2,     /* huge pages; goes with COMMITTED */
	HM_RESERVE_TOP_DOWN = 4,  /* as high as there is room */
	HM_RESERVE_LASTING = 8,   /* will not be released, but kept and used again */
};

struct hm_page_source {
	/* Size of a huge page in bytes, 0 where the machine has none configured. */
	size_t (*large_page_size)(const struct hm_page_source *self);

	/*
	 * Takes `size` bytes of address space: exactly at `wanted` if that is not NULL,
	 * else at a multiple of `alignment`, a power of two of at least 64 KiB.  What the
	 * source gives lies below HM_USER_END.
	 */
	HRESULT(*reserve)
	(const struct hm_page_source *self, void *wanted, size_t size, size_t alignment,
	 unsigned flags, unsigned access, void **out);

	/*
	 * Makes every page of the range committed with `access`.  Pages that are
	 * committed already keep their contents, the others read as zero.
	 */
	HRESULT(*commit)
	(const struct hm_page_source *self, void *address, size_t size, unsigned access,
	 const struct hm_page_history *before);

	/* Changes the access of committed pages. */
	HRESULT(*protect)
	(const struct hm_page_source *self, void *address, size_t size, unsigned access,
	 const struct hm_page_history *before);

	/*
	 * Gives the memory of the range back; its pages are reserved afterwards.  Never
	 * E_OUTOFMEMORY: where the system has no room for the change (max_map_count) the
	 * contents go all the same, and the range is left as inaccessible as can be had.
	 */
	HRESULT(*decommit)
	(const struct hm_page_source *self, void *address, size_t size,
	 const struct hm_page_history *before);

	/* Tells the system that the contents are not needed; advice, so it cannot fail. */
	void (*discard)(const struct hm_page_source *self, void *address, size_t size);

	/* Asks for huge pages under committed pages, where a whole one fits; advice. */
	void (*prefer_huge)(const struct hm_page_source *self, void *address,
			    size_t size);

	/*
	 * [address, address + size), a part of the reservation, and what is beside it are
	 * about to be reservations of their own: for a source that has to know who is
	 * where before anybody may give something back.  `unite` takes that back.
	 */
	void (*divide)(const struct hm_page_source *self, void *address, size_t size,
		       const struct hm_page_history *before);
	void (*unite)(const struct hm_page_source *self, void *address, size_t size,
		      const struct hm_page_history *before);

	/*
	 * Gives the address space of a whole reservation back.  S_FALSE: the memory is
	 * gone as after decommit, but the system had no room to give up the addresses; the
	 * range still belongs to the caller, who asks again later, and then without a
	 * history: nothing in it is committed.
	 */
	HRESULT(*release)
	(const struct hm_page_source *self, void *address, size_t size,
	 const struct hm_page_history *before);

	/*
	 * Gives back what reserve has just given and nobody was told of, or what is kept
	 * for reuse.  Never fails: what the system does not take now, the source offers
	 * again later, or keeps; that costs addresses, and memory only where the system
	 * would not even take the contents.
	 */
	void (*give_up)(const struct hm_page_source *self, void *address, size_t size);
};

/* Each reservation is a mapping of its own. */
extern const struct hm_page_source hm_pages_posix;

/* For a source that could not take access away: drops what somebody may have written to
 * pages of the range that are not committed. */
void hm_pages_drop_uncommitted(void *address, size_t size,
			       const struct hm_page_history *before);

/* Whether the system has the page size that the rules above are written for. */
bool hm_pages_usable(void);

/*
 * Memory for the library's own tables: zeroed, readable, writable, from the system and
 * not from malloc, since the program's malloc may stand on a host.  NULL if the system
 * refuses.
 */
void *hm_pages_map_metadata(size_t size);
void hm_pages_unmap_metadata(void *address, size_t size);

/* Access of memory that is not ours, see foreign.h.  Same contract as protect. */
HRESULT hm_pages_protect_foreign(void *address, size_t size, unsigned access);

#endif
