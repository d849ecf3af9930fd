#ifndef HOSTMEM_ATTACH_NOTICES_H
#define HOSTMEM_ATTACH_NOTICES_H

#include "settings.h"

#include "abi/hostmem.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What the host has to say of memory, heard in place of a runtime that does not listen.
 */

/* Whether settings may have it said by the host's monitor, which is a thread. */
bool hm_notices_need_monitor(const struct hm_settings *settings);

/* Begins to listen, for good. */
HRESULT hm_notices_begin(IHostMemoryControl *control);

/* How often that was told since; and none of it, in a fork child. */
uint64_t hm_notices_count(EMemoryAvailable available);
void hm_notices_after_fork(void);

#endif
