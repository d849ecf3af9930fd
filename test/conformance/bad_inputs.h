/*
 * What the tests of bad inputs have in common: a host with two neighbouring
 * reservations.
 */
#ifndef HOSTMEM_CONFORMANCE_BAD_INPUTS_H
#define HOSTMEM_CONFORMANCE_BAD_INPUTS_H

#include "host.h"

/*
 * A hole of 8 units: unit 0 free; units 1 and 2 one reservation with its first page
 * committed; 3 pages of unit 3 another; the rest free.
 */
struct fixture {
	struct host host;
	unsigned char *hole;
};

static inline bool fixture_make(struct fixture *fixture, uint32_t flags)
{
	struct host *host = &fixture->host;
	void *base;

	if (!host_create(host, flags))
		return false;
	fixture->hole = (unsigned char *)host_hole(host, 8 * UNIT);
	CHECK_HR(vm_alloc(host, fixture->hole + UNIT, 2 * UNIT, MEM_RESERVE,
			  PAGE_READWRITE, &base),
		 S_OK);
	CHECK_HR(vm_commit(host, base, PAGE, PAGE_READWRITE), S_OK);
	memset(base, 0x13, PAGE);
	CHECK_HR(vm_alloc(host, fixture->hole + 3 * UNIT, 3 * PAGE, MEM_RESERVE,
			  PAGE_READONLY, &base),
		 S_OK);
	return true;
}

static inline void fixture_end(struct fixture *fixture)
{
	CHECK_HR(vm_release(&fixture->host, fixture->hole + UNIT), S_OK);
	CHECK_HR(vm_release(&fixture->host, fixture->hole + 3 * UNIT), S_OK);
	host_destroy(&fixture->host);
}

#endif
