/*
 * System calls that refuse on command: the library's table of calls, counted.
 */
#ifndef HOSTMEM_TEST_FAULT_REFUSING_H
#define HOSTMEM_TEST_FAULT_REFUSING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which calls are counted, and may be refused. */
enum refusing_kind {
	REFUSING_ALL,
	REFUSING_GUARDS,  /* guard pages, with EINVAL: what locked memory answers */
	REFUSING_CHARGED, /* what makes memory writable, and so is charged by the system */
	REFUSING_KINDS
};

/* Puts the counting calls into the library's table. */
void refusing_install(void);

/* From now on the system seems to promise no more memory than it has. */
void refusing_count_memory(void);

/* From now on the calls are counted from 0; number `first` is refused, or, for good, all
 * from there on. */
void refusing_arm(enum refusing_kind kind, uint64_t first, bool for_good);
void refusing_disarm(void);
/* Calls refused since they were armed. */
uint64_t refusing_refused(void);
/* Whether one of them was to take guards away, which no memory of ours answers so. */
bool refusing_was_absurd(void);

/* Bytes that were mapped through the table and not unmapped.  Not counted are metadata,
 * arenas, the spare mappings, and the page on which guards are tried. */
size_t refusing_left_mapped(void);

#endif
