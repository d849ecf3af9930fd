/*
 * System calls that refuse on command: the library's table of calls, counted.
 */
#ifndef HOSTMEM_TEST_FAULT_REFUSING_H
#define HOSTMEM_TEST_FAULT_REFUSING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Puts the counting calls into the library's table. */
void refusing_install(void);

/* From now on the calls are counted from 0; number `first` is refused, or, for good, all
 * from there on. */
void refusing_arm(uint64_t first, bool for_good);
void refusing_disarm(void);
/* Calls refused since they were armed. */
uint64_t refusing_refused(void);

/* Bytes that were mapped through the table and not unmapped, metadata not counted. */
size_t refusing_left_mapped(void);

#endif
