#ifndef HOSTMEM_OS_FENCE_H
#define HOSTMEM_OS_FENCE_H

#include "abi/hresult.h"

#include <stdbool.h>

/*
 * A fence on every processor that runs a thread of this process, so that those threads need
 * none.
 */

/* Whether there is one; E_OUTOFMEMORY if the system has none or does not allow it. */
HRESULT hm_fence_prepare(void);

/*
 * When it returns, each thread has been at a point where all its earlier stores could be
 * seen and none of its later loads had been made.  hm_fence_prepare has succeeded.  false:
 * the system has changed its mind (a sandbox has been put up).
 */
bool hm_fence_others(void);

#endif
