/*
 * membarrier, which Linux has since 4.14 for the threads of one process; a sandbox may
 * forbid it.  The registration holds for the process and is inherited by a fork's child.
 */
#include "fence.h"
#include "system.h"

#include <errno.h>
#include <linux/membarrier.h>

HRESULT hm_fence_prepare(void)
{
	int kept = errno;
	int result = hm_system.barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);

	errno = kept;
	return result == 0 ? S_OK : E_OUTOFMEMORY;
}

bool hm_fence_others(void)
{
	int kept = errno;
	int result = hm_system.barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);

	errno = kept;
	return result == 0;
}
