#ifndef HOSTMEM_OS_SOURCES_H
#define HOSTMEM_OS_SOURCES_H

#include "abi/hresult.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What the system can tell about memory without being asked: files that somebody waits for
 * (loop.h), each with its own way of being opened and read.
 *
 * A file is -1 on failure, and the result says why: E_ACCESSDENIED, E_OUTOFMEMORY, or as
 * HRESULT_FROM_WIN32 ERROR_TOO_MANY_OPEN_FILES and, for everything else, ERROR_NOT_SUPPORTED.
 * errno is kept.
 */

/* An event each time when the usage of a group passes one of the thresholds that were added,
 * upwards or downwards.  Where the page cache is used memory, it counts. */
HRESULT hm_source_open_usage(int *file);
/* `path` is the directory of a group of version 1; bytes. */
HRESULT hm_source_add_usage(int file, const char *path, uint64_t threshold);

/* memory.events of a group of version 2. */
HRESULT hm_source_open_events(const char *path, int *file);

/* Pressure stall information: 100 ms of 2 s in which some tasks stood still for want of
 * memory, or all of them did; of the group of version 2 in which this process is, or of the
 * machine. */
HRESULT hm_source_open_stalls(bool all, int *file);
#define HM_SOURCE_STALL_US 100000U

/* us for which all tasks have stood still since the machine or the group began, by such a
 * file; 0: it does not say. */
uint64_t hm_source_stalled(int file);

/* The event is taken, so that it does not come again.  false: the file is of no use any
 * more. */
bool hm_source_take(int file);

void hm_source_close(int file);

/* In a fork child: what has that number is another file from now on, with nothing to tell.  Who
 * takes it away from where it is waited for takes nothing away from the parent then, who waits
 * there as well.  Async-signal-safe. */
void hm_source_silence(int file);

/* Why nothing may be found where there is something: S_OK, or no file can be opened. */
HRESULT hm_source_try(void);

#endif
