#ifndef HOSTMEM_ANNOUNCE_H
#define HOSTMEM_ANNOUNCE_H

#include "request.h"

/*
 * The events of a request that is observed, in the order that memorycontrol.h promises.  No
 * lock may be held.
 */

/* Asks everybody who wants allocate events, in order, until one says no and that counts. */
bool hm_announce(struct hm_request *request, size_t size, bool refusable);

/* Announces what cannot be refused and is charged by somebody else: answers do not
 * count. */
void hm_announce_mapping(struct hm_request *request, size_t size);

/* At the very end of a request that has failed.  `only_asked`: of those who want allocate
 * events, only who has seen one is told. */
void hm_announce_failure(struct hm_request *request, HRESULT hr, HostMemReason reason,
			 bool only_asked);

/*
 * `size` bytes have been given back.  Their refund was made with the change itself, not
 * here: a fork in between would leave the child charged for what it does not have.
 */
void hm_announce_free(struct hm_request *request, HostMemOperation operation,
		      void *address, size_t size);

#endif
