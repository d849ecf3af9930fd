/*
 * What the tests of the translated functions share: the host that this process is attached
 * to, its budget, and an account that must come out even.
 */
#ifndef HOSTMEM_CONFORMANCE_ATTACH_H
#define HOSTMEM_CONFORMANCE_ATTACH_H

#include "host.h"

#include "abi/attach.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define MIB ((size_t)1 << 20)
#define NEW (MAP_PRIVATE | MAP_ANONYMOUS)
#define OVER (NEW | MAP_FIXED)
#define RW (PROT_READ | PROT_WRITE)

/* An errno that nothing sets. */
#define NO_ERROR 4095

/* Before Linux 4.17 glibc does not know it. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static struct host attach_host;
static _Atomic int64_t attach_sum; /* of events */

static inline BOOL HOSTMEM_CALL attach_event(void *state, const HostMemEvent *event)
{
	int64_t size = (int64_t)event->size;

	(void)state;
	if (event->type == HostMemEventAllocate)
		atomic_fetch_add(&attach_sum, size);
	else if (event->type == HostMemEventFree || event->announced)
		atomic_fetch_sub(&attach_sum, size);
	return TRUE;
}

/* Makes a host and attaches this process to it; once per process. */
static inline bool attach_with(const char *profile, uint32_t flags)
{
	HostMemAttachment how = HOSTMEM_ATTACHMENT_INIT;
	uint64_t cookie;

	how.profile = profile;
	if (!host_create(&attach_host, flags) ||
	    !CHECK_HR(HostMemAttach((IUnknown *)attach_host.manager, &how), S_OK))
		return false;
	return CHECK_HR(IHostMemoryControl_Subscribe(attach_host.control, 7, attach_event,
						     NULL, &cookie),
			S_OK);
}

/* No request may take what is charged above what it is now, and so many bytes. */
static inline void attach_limit(size_t more)
{
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	HostMemUsage usage = host_usage(&attach_host);

	budget.cbLimit = more == SIZE_MAX ? SIZE_MAX : usage.cbCharged + more;
	CHECK_HR(IHostMemoryControl_SetBudget(attach_host.control, &budget), S_OK);
}

/* ---- Nothing is left ---- */

struct attach_books {
	HostMemUsage usage;
	int64_t sum;
};

static inline struct attach_books attach_open_books(void)
{
	return (struct attach_books){ host_usage(&attach_host),
				      atomic_load(&attach_sum) };
}

#define CHECK_BOOKS(books) attach_check_books((books), __FILE__, __LINE__)

/* All that was taken since has been given back, and the events say so, too. */
static inline void attach_check_books(const struct attach_books *books, const char *file,
				      int line)
{
	HostMemUsage now = host_usage(&attach_host);

	tap_check_unsigned(now.cbReserved, books->usage.cbReserved, "cbReserved", file,
			   line);
	tap_check_unsigned(now.cbCommitted, books->usage.cbCommitted, "cbCommitted", file,
			   line);
	tap_check_unsigned(now.cbCharged, books->usage.cbCharged, "cbCharged", file,
			   line);
	tap_check_unsigned(now.cRegions, books->usage.cRegions, "cRegions", file, line);
	tap_check_unsigned((uint64_t)atomic_load(&attach_sum), (uint64_t)books->sum,
			   "sum of events", file, line);
}

static inline size_t attach_committed(const struct attach_books *books)
{
	return host_usage(&attach_host).cbCommitted - books->usage.cbCommitted;
}

/* ---- Calls ---- */

/* The result of a call that has to succeed, and to leave errno alone. */
#define CHECK_KEPT(call) \
	(errno = NO_ERROR, CHECK_INT((call), 0), CHECK_INT(errno, NO_ERROR))
/* One that has to fail. */
#define CHECK_ERROR(call, error) \
	(errno = NO_ERROR, CHECK_INT((call), -1), CHECK_INT(errno, (error)))
#define CHECK_NO_MAP(call, error) \
	(errno = NO_ERROR, CHECK_POINTER((call), MAP_FAILED), CHECK_INT(errno, (error)))

/* Anonymous memory; MAP_FAILED has been reported. */
static inline unsigned char *map_new(size_t size, int protection)
{
	void *base;

	errno = NO_ERROR;
	base = HostMemMmap(NULL, size, protection, NEW, -1, 0);
	CHECK(base != MAP_FAILED);
	CHECK_INT(errno, NO_ERROR);
	return (unsigned char *)base;
}

/* The same over a range. */
static inline void map_over(void *address, size_t size, int protection)
{
	errno = NO_ERROR;
	CHECK_POINTER(HostMemMmap(address, size, protection, OVER, -1, 0), address);
	CHECK_INT(errno, NO_ERROR);
}

static inline void unmap_all(void *address, size_t size)
{
	CHECK_KEPT(HostMemMunmap(address, size));
}

static inline void fill_pages(unsigned char *base, size_t size, unsigned char byte)
{
	memset(base, byte, size);
}

/* Whether all bytes of a range are that one. */
static inline bool holds(const unsigned char *base, size_t size, unsigned char byte)
{
	for (size_t i = 0; i < size; i++) {
		if (base[i] != byte)
			return false;
	}
	return true;
}

#endif
