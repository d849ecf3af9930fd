#ifndef HOSTMEM_OS_MEMORY_H
#define HOSTMEM_OS_MEMORY_H

#include "abi/hresult.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * What the system can do with a range of memory, one call each, in our words.
 *
 * Contract of every operation
 *   - addresses and sizes are multiples of the 4 KiB page, sizes are never 0; an
 *     implementation asserts it and repairs nothing;
 *   - the result is an HRESULT:
 *       E_OUTOFMEMORY                              the system has not enough of something
 *       E_ACCESSDENIED                             the system's policy forbids the access
 *       HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)  the wanted place is taken
 *       E_FAIL                                     something happened that cannot;
 *   - on failure nothing has changed, but for a change of access: that may have been made
 *     for the front of the range;
 *   - errno is kept, nothing is allocated, no lock is taken.
 *
 * What is made of it for the rules: pages.h.
 */

/* A set; the empty one is memory that nobody may touch. */
enum hm_access {
	HM_ACCESS_NONE = 0,
	HM_ACCESS_READ = 1,
	HM_ACCESS_WRITE = 2,
	HM_ACCESS_EXECUTE = 4,
};

enum hm_map_flags {
	HM_MAP_EXACTLY = 1, /* at `wanted`, where nothing is; else `wanted` is a hint */
	HM_MAP_LARGE = 2,   /* huge pages */
};

/*
 * Maps fresh memory, zero, charged by the system when it is written and not before, under
 * the name "hostmem" in the system's list of mappings where it has names.
 */
HRESULT hm_memory_map(void *wanted, size_t size, unsigned access, unsigned flags,
		      void **out);
HRESULT hm_memory_unmap(void *address, size_t size);
HRESULT hm_memory_protect(void *address, size_t size, unsigned access);
/* The same to undo a change that stopped half-way: with what is kept back for giving back. */
HRESULT hm_memory_put_back(void *address, size_t size, unsigned access);

/* Maps fresh memory without access over what is there. */
HRESULT hm_memory_blank(void *address, size_t size);

/*
 * Takes contents and access away, whatever it takes: E_FAIL only if not even the contents
 * can be had.  S_FALSE: they are gone, but the system is full up with mappings and the
 * pages may still be touched.
 */
HRESULT hm_memory_clear(void *address, size_t size);

/* Takes the contents away: what is read next is zero.  Locked pages too. */
bool hm_memory_drop(void *address, size_t size);
/* The contents are not needed; advice. */
void hm_memory_discard(void *address, size_t size);

/*
 * Guard pages: no access and no contents, in a mapping that stays as it is, so that they
 * cost no mapping.  `guard` gives the memory of the range back; both leave alone what is
 * as wanted already.
 */
bool hm_memory_has_guards(void);
HRESULT hm_memory_guard(void *address, size_t size);
HRESULT hm_memory_unguard(void *address, size_t size);

/*
 * Whether the range is in core dumps; huge pages for what of it can have them.  Advice:
 * where the system does not know it, nothing happens.
 */
void hm_memory_dump(void *address, size_t size, bool included);
void hm_memory_prefer_huge(void *address, size_t size);

/*
 * Sets a range apart from its neighbours, so that the system does not merge their mappings
 * though they are alike; or ends that.  Advice.  There are two ways to be apart, so that
 * two neighbours can be apart from each other.
 */
enum hm_apart { HM_APART_NOT, HM_APART_ONE_WAY, HM_APART_OTHER_WAY };
void hm_memory_set_apart(void *address, size_t size, enum hm_apart apart);

/*
 * Makes what is split off a fresh mapping later mergeable for good.  Linux merges
 * neighbours that were both written only if they were one mapping when it was written
 * first; so this writes to it, and leaves it as it was.  Where it cannot be had, nothing
 * happens; false: a page of it is accessible now.
 */
bool hm_memory_keep_mergeable(void *address);

/* Bytes of address space, and of writable memory whether it is used or not, that the
 * process may have; SIZE_MAX = as much as there is. */
size_t hm_memory_space(void);
size_t hm_memory_writable(void);

/* Whether the system promises no more than it has (overcommit_memory=2), so that access
 * to memory has to be paid for whether it is used or not. */
bool hm_memory_is_counted(void);

#endif
