#ifndef HOSTMEM_MAPPING_H
#define HOSTMEM_MAPPING_H

#include "host.h"

/*
 * AcquiredVirtualAddressSpace and ReleasedVirtualAddressSpace: mappings that the runtime
 * has made or undone by itself.  They are charged, and cannot be refused.
 *
 * Acquired is always S_OK; a size that would leave user space counts up to there.
 * Released: HOST_E_INVALIDOPERATION if nothing was acquired at that start.
 */
HRESULT hm_mapping_acquired(struct hm_host *host, uintptr_t start, size_t size);
HRESULT hm_mapping_released(struct hm_host *host, uintptr_t start);

#endif
