#ifndef HOSTMEM_QUERY_H
#define HOSTMEM_QUERY_H

#include "host.h"

/*
 * VirtualQuery: the run of like pages that begins at the page of `address`.
 * Memory of the host: no lock, no waiting, no system call.  Other memory: see foreign.h.
 */
HRESULT hm_query(const struct hm_host *host, uintptr_t address,
		 MEMORY_BASIC_INFORMATION *out);

/*
 * Calls back with every run of every region of the host, in order of addresses, with no
 * lock held, until it answers FALSE.  Regions that come or go meanwhile may be missed.
 */
void hm_walk(const struct hm_host *host, HostMemRegionCallback callback, void *state);

#endif
