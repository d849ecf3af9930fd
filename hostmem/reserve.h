#ifndef HOSTMEM_RESERVE_H
#define HOSTMEM_RESERVE_H

#include "request.h"

/* What is asked of an allocation, its values checked (arguments.h). */
struct hm_allocation {
	uintptr_t address; /* 0: anywhere */
	size_t size;       /* bytes as given */
	size_t alignment;  /* of a reservation anywhere; a power of two >= 64 KiB */
	DWORD type, protect;
	EMemoryCriticalLevel level;
	bool heap; /* for a heap: its callers cannot give it back */
};

/* From so many bytes on huge pages are asked for, and places where they fit. */
#define HM_HUGE_SIZE ((size_t)2 << 20)

/* Asks for huge pages under what has just been committed, if the host wants them. */
void hm_prefer_huge(struct hm_host *host, uintptr_t address, size_t size);

/*
 * MEM_RESERVE, with or without MEM_COMMIT.
 *
 *   HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)     something is there already
 *   E_ACCESSDENIED                                writable and executable, and strict
 *   HRESULT_FROM_WIN32(ERROR_PRIVILEGE_NOT_HELD)  large pages, and there are none
 *   HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)       MEM_PHYSICAL, MEM_WRITE_WATCH
 *   E_OUTOFMEMORY, HOST_E_ABANDONED               see request.h
 */
HRESULT hm_reserve(struct hm_host *host, const struct hm_allocation *want, void **out);

/*
 * The system's part of a reservation anywhere, with or without MEM_COMMIT; for `perform` of
 * a request.  What is pending is settled.  E_OUTOFMEMORY, E_ACCESSDENIED, E_FAIL.
 */
HRESULT hm_reserve_granted(struct hm_request *request, const struct hm_allocation *want,
			   size_t size, void **out);

/* Whether the system has `size` bytes of room, at `start` if that is not 0. */
bool hm_reserve_probe(struct hm_host *host, uintptr_t start, size_t size);

/* Whether a reservation that commits nothing is neither charged nor simulated to fail. */
bool hm_reserve_is_nobodys_business(const struct hm_host *host);

#endif
