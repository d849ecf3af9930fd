#ifndef HOSTMEM_AVAILABILITY_H
#define HOSTMEM_AVAILABILITY_H

#include "memoryload.h"
#include "pressure.h"

#include "abi/hresult.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a host takes the state of the memory to be: what its figures make of it, or what
 * somebody has said instead.
 */
struct hm_host;

/* Figures that somebody has set; one of two records, so that a reader finds one whole. */
struct hm_simulated {
	_Atomic uint32_t marked_load; /* 1 + per cent; 0: none are set */
	_Atomic size_t available;     /* bytes */
};

struct hm_availability {
	struct hm_simulated simulated[2];
	_Atomic uint32_t version; /* simulated[version % 2] holds */

	/* Guarded by the lock of hm_notify. */
	struct hm_pressure pressure;
	struct hm_pressure_rules rules;
};

void hm_availability_init(struct hm_availability *availability);

/*
 * Judges the figures as they are now, and tells what follows, repetitions included: for
 * whoever has learned that they have changed, or that something is due.  The host is held.
 */
void hm_availability_look(struct hm_host *host);
/*
 * Judges them and tells nothing, for the monitor: while time is virtual it does nothing.  The
 * host's memory is there.  true: there is something to tell, and nothing was before; what was
 * is told by whoever found it.
 */
bool hm_availability_watch(struct hm_host *host);
/* ms until somebody should look again, since something is due then by time alone, or a shortage
 * may be over; UINT64_MAX: nothing is, or time is virtual. */
uint64_t hm_availability_due(struct hm_host *host);

/* Bytes that the host would have to give back for a shortage to end; SIZE_MAX: nobody can
 * say. */
size_t hm_availability_lacks(struct hm_host *host);

/* By what is judged. */
void hm_availability_get_rules(struct hm_host *host, struct hm_pressure_rules *rules);

/*
 * All of these may call the notification callback, on this thread, before they return,
 * after which the host may be gone; no lock may be held.  HOST_E_CLRNOTAVAILABLE if the
 * host is not to be used any more.
 */

/* Takes the place of what the figures say, until that changes or is let be. */
HRESULT hm_availability_force(struct hm_host *host, EMemoryAvailable value);
HRESULT hm_availability_let_be(struct hm_host *host);

/* Takes the place of the system's figures, and gives it back. */
HRESULT hm_availability_simulate(struct hm_host *host, uint32_t load, size_t available);
HRESULT hm_availability_clear(struct hm_host *host);

/* Judges by other rules, and by fresh figures. */
HRESULT hm_availability_set_rules(struct hm_host *host,
				  const struct hm_pressure_rules *rules);
HRESULT hm_availability_look_now(struct hm_host *host, const struct hm_memory_load *load,
				 EMemoryAvailable *level);

/* Chooses the host's clock. */
HRESULT hm_availability_set_virtual(struct hm_host *host, bool on);
/* Moves virtual time, stopping wherever something is due; E_INVALIDARG if it is not
 * virtual. */
HRESULT hm_availability_advance(struct hm_host *host, uint32_t ms);

/* The figures that are set; false if none are.  Any thread, never waits for another. */
bool hm_availability_figures(const struct hm_availability *availability, uint32_t *load,
			     size_t *available);

#endif
