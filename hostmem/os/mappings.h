#ifndef HOSTMEM_OS_MAPPINGS_H
#define HOSTMEM_OS_MAPPINGS_H

#include "abi/hresult.h"

#include <stdbool.h>
#include <stdint.h>

/* One mapping of this process, as the kernel tells it. */
struct hm_mapping {
	uintptr_t start, end; /* page aligned, end not included */
	unsigned access;      /* enum hm_access */
	bool shared;
	uint64_t device, inode; /* of the mapped file; inode 0 = no file */
};

/*
 * The mapping that covers `address`, else the next one above it.
 * S_OK; S_FALSE if there is none; E_OUTOFMEMORY if the kernel's list cannot be read
 * (no file descriptor to be had).  *out is cleared unless S_OK.
 */
HRESULT hm_mapping_find(uintptr_t address, struct hm_mapping *out);

/* In a fork child: the open list is the parent's, forget it. */
void hm_mappings_after_fork(void);

/*
 * One line of /proc/PID/maps, `length` bytes without its newline; false if it is not
 * one.  Apart so that it can be tested on lines no kernel has written.
 */
bool hm_mapping_parse(const char *line, size_t length, struct hm_mapping *out);

#endif
