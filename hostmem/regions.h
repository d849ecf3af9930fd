#ifndef HOSTMEM_REGIONS_H
#define HOSTMEM_REGIONS_H

#include "os/lock.h"
#include "pagestates.h"

#include "abi/hresult.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The map of the process's address space: which reservation an address lies in.
 *
 * There is one map for all hosts, as there is one address space: so a fault handler asks
 * once, and a host recognises another host's memory.  Looking up takes no lock and never
 * waits.  Records are never unmapped, so a stale pointer to one can be looked at; its
 * version tells whether it still means anything.
 *
 * A record's fields but the lock are written under its lock or before anybody can find
 * it, and only ever one word at a time as far as a reader can tell: what cannot be done
 * with one word (giving up the front of a reservation) is done by a new record in front
 * of which the old one is cut.
 */
struct hm_host;

enum hm_region_phase {
	HM_REGION_NONE,     /* the record is not in use */
	HM_REGION_ARRIVING, /* wanted at these addresses; the system has not said yes yet */
	HM_REGION_LIVE,
	HM_REGION_LEAVING, /* released; the system has not taken the addresses back yet */
	HM_REGION_PARKED, /* released; the system would not take them back, see release.c */
};

#define HM_REGION_PHASES 7U /* where the phase is in the extent */

enum hm_region_traits {
	HM_REGION_LARGE = 1, /* huge pages: protected in whole ones, not decommitted */
	HM_REGION_RESET = 2, /* MEM_RESET has thrown contents away */
	HM_REGION_HEAP = 4,  /* pages of a heap: not the callers' to commit or free */
};

struct hm_region {
	_Atomic uintptr_t base;   /* page aligned; a free block's link is here */
	_Atomic uintptr_t extent; /* end, page aligned, and the phase in the bits below */
	_Atomic uint64_t version; /* never goes back, not even in a free block */
	_Atomic uint64_t states;  /* hm_states_root of `levels` levels */
	_Atomic(struct hm_host *) host;
	_Atomic(struct hm_region *) next; /* others of the same granule, in no order */
	_Atomic uint32_t protection;      /* PAGE_* of the reserving call */
	_Atomic uint8_t levels, traits;
	struct hm_lock lock; /* HM_RANK_REGION */
};

/* What a reader has seen of a region. */
struct hm_region_view {
	struct hm_region *region;
	struct hm_host *host;
	uintptr_t base, end;
	uint32_t protection;
	enum hm_region_phase phase;
	struct hm_states_view states;
};

/* The region that covers `address`, of any host and phase; false = none. */
bool hm_regions_find(uintptr_t address, struct hm_region_view *out);

/* The region with the highest base <= `address`, whether or not it reaches it. */
bool hm_regions_previous(uintptr_t address, struct hm_region_view *out);

/* The region with the lowest base >= `address`, of any host and phase; false = none. */
bool hm_regions_next(uintptr_t address, struct hm_region_view *out);

/* Counts up with every region that comes, goes or is cut: the same twice means that the
 * map stood still in between. */
uint64_t hm_regions_changes(void);

/*
 * Finds the live region of `host` that covers `address` and locks it; NULL = none.  The
 * fields may then be read plainly and hold until the lock is released.
 */
struct hm_region *hm_regions_lock(const struct hm_host *host, uintptr_t address);
void hm_regions_unlock(struct hm_region *region);

/* The same, if it is not a heap's: what callers may commit and give back. */
struct hm_region *hm_regions_lock_callers(const struct hm_host *host, uintptr_t address);

/* For a fault handler: any host's live region, NULL if there is none or, with *busy, if
 * another thread has it. */
struct hm_region *hm_regions_try_lock(uintptr_t address, bool *busy);

/* A record as it was: what it was entered for is over when it is another incarnation, which
 * the upper bits of the version tell. */
#define HM_INCARNATION_SHIFT 40
struct hm_region_ticket {
	struct hm_region *region;
	uint64_t version;
};

/* What a new record holds. */
struct hm_region_fields {
	struct hm_host *host;
	uintptr_t base, end;
	hm_states_root states; /* hm_states_levels(pages of the region) levels */
	uint32_t protection;
	uint8_t traits;
	enum hm_region_phase phase; /* ARRIVING, LIVE or LEAVING */
};

/* Makes the memory that a region at `base` takes in the map, for those who cannot have
 * hm_regions_enter fail for want of it later on; false = there is none. */
bool hm_regions_make_room(uintptr_t base);

/*
 * Enters a region where the system has just given addresses, or, ARRIVING, where it will
 * be asked for them; `exact` = where the caller wanted it.
 * S_OK; E_OUTOFMEMORY: no memory for the map; HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS):
 * exact, and a 64 KiB unit of it is in use; E_FAIL: pages of it belong to a live region, so
 * the system cannot have given them to us.
 * An ARRIVING one is left out, and out->region NULL, where another is just leaving.
 */
HRESULT hm_regions_enter(const struct hm_region_fields *fields, bool exact,
			 struct hm_region_ticket *out);

/* The system said yes: an ARRIVING region is LIVE.  false: somebody who was given its
 * addresses before has taken the record out. */
bool hm_regions_arrive(const struct hm_region_ticket *ticket);

/*
 * Cuts a locked region off at first->base and gives what is left of it `phase`; `first`,
 * and `second` behind it if that is not NULL, become regions of their own.  Every address
 * keeps an answer throughout.
 * S_OK and first's record; E_OUTOFMEMORY: nothing changed, *out is NULL.
 */
HRESULT hm_regions_split(struct hm_region *region, enum hm_region_phase phase,
			 const struct hm_region_fields *first,
			 const struct hm_region_fields *second, struct hm_region **out);

/* Whether a 64 KiB unit of the range is used by a live reservation of any host. */
bool hm_regions_units_in_use(uintptr_t base, uintptr_t end);

/*
 * Takes an ARRIVING or LEAVING region out, unless somebody who was given its addresses has
 * done so already.
 */
void hm_regions_remove(const struct hm_region_ticket *ticket);
uint64_t hm_region_version(const struct hm_region *region);

/* The word in which a PARKED region, which has no states any more, is linked. */
static inline _Atomic uint64_t *hm_region_link(struct hm_region *region)
{
	return &region->states;
}

/* Changes a locked region's phase. */
void hm_region_set_phase(struct hm_region *region, enum hm_region_phase phase);

/* Plain reads of a locked region. */
static inline uintptr_t hm_region_base(const struct hm_region *region)
{
	return atomic_load_explicit(&region->base, memory_order_relaxed);
}

static inline uintptr_t hm_region_end(const struct hm_region *region)
{
	return atomic_load_explicit(&region->extent, memory_order_relaxed) &
	       ~(uintptr_t)HM_REGION_PHASES;
}

static inline struct hm_host *hm_region_host(const struct hm_region *region)
{
	return atomic_load_explicit(&region->host, memory_order_relaxed);
}

static inline bool hm_region_is_heaps(const struct hm_region *region)
{
	return (atomic_load_explicit(&region->traits, memory_order_relaxed) &
		HM_REGION_HEAP) != 0;
}

/* The states of a locked region, for hm_states_run. */
struct hm_states_view hm_region_states(const struct hm_region *region);
/* Page number of an address in the region. */
size_t hm_region_page(const struct hm_region *region, uintptr_t address);
/* As hm_states_prepare, for [address, address + size) of a locked region. */
bool hm_region_prepare(const struct hm_region *region, uintptr_t address, size_t size,
		       unsigned code, enum hm_metadata_need need,
		       struct hm_states_change *out);
void hm_region_publish(struct hm_region *region, const struct hm_states_change *change);
/* Bytes of [address, address + size) that are committed. */
size_t hm_region_committed(const struct hm_region *region, uintptr_t address,
			   size_t size);

/* NULL if the whole map keeps its rules (no writer at work), else the rule broken. */
const char *hm_regions_check(void);

#endif
