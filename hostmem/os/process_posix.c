/*
 * This process, by POSIX.  Locks: none.
 */
#include "process.h"

#include <time.h>
#include <unistd.h>

uint64_t hm_process_number(void)
{
	return (uint64_t)getpid();
}

uint64_t hm_process_work_ms(void)
{
	struct timespec work;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &work) != 0)
		return 0;
	return (uint64_t)work.tv_sec * 1000 + (uint64_t)work.tv_nsec / 1000000;
}
