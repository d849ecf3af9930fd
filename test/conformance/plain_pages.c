/*
 * Pages of the plain host: mmap and mprotect under one lock, and a list of reservations
 * with a byte for each page.
 *
 * What Win32 calls reserved is mapped without access; committed is what mprotect has given
 * a protection since.  The byte of a page is that protection, and 0 while it is reserved.
 * Guard pages and write watch would need a handler of faults, and are refused.  Contents
 * are never dropped by MEM_RESET, so MEM_RESET_UNDO is as good as its word.
 */
#include "plain_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define UNIT ((uintptr_t)65536)

/* ---- Arguments ---- */

static bool executes(DWORD protect)
{
	return (protect & (PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE)) !=
	       0;
}

bool plain_is_protection(DWORD protect)
{
	DWORD base = protect & BASES;
	DWORD modifiers = protect & ~BASES;

	if (base == 0 || (base & (base - 1)) != 0 || base == PAGE_WRITECOPY ||
	    base == PAGE_EXECUTE_WRITECOPY)
		return false;
	if (executes(protect))
		modifiers &= ~PAGE_TARGETS_INVALID;
	return modifiers == 0 || (base != PAGE_NOACCESS &&
				  (modifiers == PAGE_GUARD || modifiers == PAGE_NOCACHE ||
				   modifiers == PAGE_WRITECOMBINE));
}

static bool is_type(DWORD type, DWORD protect)
{
	const DWORD both = MEM_RESERVE | MEM_COMMIT;

	if (type == MEM_RESET || type == MEM_RESET_UNDO)
		return true;
	if ((type & both) == 0 || (type & ~(both | MEM_TOP_DOWN | MEM_WRITE_WATCH |
					    MEM_PHYSICAL | MEM_LARGE_PAGES)) != 0)
		return false;
	if ((type & MEM_LARGE_PAGES) && (type & both) != both)
		return false;
	if ((type & MEM_WRITE_WATCH) && !(type & MEM_RESERVE))
		return false;
	return !(type & MEM_PHYSICAL) ||
	       ((type & both) == MEM_RESERVE && protect == PAGE_READWRITE);
}

/* Every page that the bytes touch, the start down to a multiple of `unit`. */
static bool range_of(const void *address, size_t size, uintptr_t unit,
		     struct range *range)
{
	uintptr_t at = (uintptr_t)address;

	if (at >= USER_END || size > USER_END - at)
		return false;
	range->start = at & ~(unit - 1);
	range->end = (at + size + PAGE - 1) & ~(PAGE - 1);
	return true;
}

HRESULT plain_refusal(DWORD type, DWORD protect)
{
	if (type & MEM_LARGE_PAGES)
		return HRESULT_FROM_WIN32(ERROR_PRIVILEGE_NOT_HELD);
	if ((type & (MEM_PHYSICAL | MEM_WRITE_WATCH)) || (protect & PAGE_GUARD))
		return NOT_SUPPORTED;
	return S_OK;
}

/* ---- The list ---- */

struct plain_reservation *plain_reservation_at(struct plain_pages *pages, uintptr_t at)
{
	struct plain_reservation *each = pages->first;

	while (each != NULL && (at < each->start || at >= each->end))
		each = each->next;
	return each;
}

uint8_t *plain_state_of(struct plain_reservation *reservation, uintptr_t at)
{
	return &reservation->states[(at - reservation->start) / PAGE];
}

int plain_system_protection(DWORD protect)
{
	switch (protect & BASES) {
	case PAGE_READONLY:
		return PROT_READ;
	case PAGE_READWRITE:
		return PROT_READ | PROT_WRITE;
	case PAGE_EXECUTE:
	case PAGE_EXECUTE_READ:
		return PROT_READ | PROT_EXEC;
	case PAGE_EXECUTE_READWRITE:
		return PROT_READ | PROT_WRITE | PROT_EXEC;
	default:
		return PROT_NONE;
	}
}

/* All or nothing: mprotect may stop half-way. */
HRESULT plain_set_pages(struct plain_reservation *reservation, struct range range,
			DWORD protect)
{
	size_t size = range.end - range.start;
	HRESULT hr;

	if (mprotect((void *)range.start, size, plain_system_protection(protect)) == 0) {
		memset(plain_state_of(reservation, range.start), (int)(protect & BASES),
		       size / PAGE);
		return S_OK;
	}
	hr = errno == EACCES ? E_ACCESSDENIED : E_OUTOFMEMORY;
	for (uintptr_t at = range.start; at < range.end; at += PAGE)
		mprotect((void *)at, PAGE,
			 plain_system_protection(*plain_state_of(reservation, at)));
	return hr;
}

/* ---- VirtualAlloc ---- */

/* Address space, at a given place or anywhere at a multiple of 64 KiB; 0 if there is none. */
static uintptr_t find_space(bool here, struct range range)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	size_t size = range.end - range.start;
	uintptr_t start, aligned;
	void *space;

	if (here) {
		space = mmap((void *)range.start, size, PROT_NONE,
			     flags | MAP_FIXED_NOREPLACE, -1, 0);
		return space != MAP_FAILED ? (uintptr_t)space : 0;
	}
	space = mmap(NULL, size + UNIT, PROT_NONE, flags, -1, 0);
	if (space == MAP_FAILED)
		return 0;
	start = (uintptr_t)space;
	aligned = (start + UNIT - 1) & ~(UNIT - 1);
	if (aligned > start)
		munmap(space, aligned - start);
	munmap((void *)(aligned + size), start + UNIT - aligned);
	return aligned;
}

static HRESULT reserve(struct plain_pages *pages, bool here, struct range range,
		       DWORD type, DWORD protect, void **ppMem)
{
	size_t size = range.end - range.start;
	uintptr_t start = find_space(here, range);
	struct plain_reservation *reservation;
	HRESULT hr;

	if (start == 0)
		return errno == EEXIST ? INVALID_ADDRESS : E_OUTOFMEMORY;
	reservation = calloc(1, sizeof(*reservation) + size / PAGE);
	hr = plain_refusal(type, protect);
	if (SUCCEEDED(hr) && reservation == NULL)
		hr = E_OUTOFMEMORY;
	if (SUCCEEDED(hr)) {
		reservation->start = start;
		reservation->end = start + size;
		reservation->protect = protect & ~PAGE_TARGETS_INVALID;
		if (type & MEM_COMMIT)
			hr = plain_set_pages(reservation,
					     (struct range){ start, start + size },
					     protect);
	}
	if (FAILED(hr)) {
		munmap((void *)start, size);
		free(reservation);
		return hr;
	}
	reservation->next = pages->first;
	pages->first = reservation;
	*ppMem = (void *)start;
	return S_OK;
}

/* MEM_COMMIT, MEM_RESET and MEM_RESET_UNDO of pages that are reserved. */
static HRESULT change(struct plain_pages *pages, struct range range, DWORD type,
		      DWORD protect, void **ppMem)
{
	struct plain_reservation *reservation = plain_reservation_at(pages, range.start);
	HRESULT hr = S_OK;

	if (reservation == NULL || range.end > reservation->end)
		return INVALID_ADDRESS;
	if (plain_is_a("otherwise") && type == MEM_RESET_UNDO)
		return NOT_SUPPORTED;
	if (plain_is_a("otherwise") && type == MEM_RESET)
		madvise((void *)range.start, range.end - range.start, MADV_DONTNEED);
	if (type & MEM_COMMIT) {
		hr = plain_refusal(type, protect);
		if (SUCCEEDED(hr))
			hr = plain_set_pages(reservation, range, protect);
	}
	if (SUCCEEDED(hr))
		*ppMem = (void *)range.start;
	return hr;
}

HRESULT plain_pages_alloc(struct plain_pages *pages, void *address, size_t size,
			  DWORD type, DWORD protect, void **ppMem)
{
	bool reserves = (type & MEM_RESERVE) || (address == NULL && (type & MEM_COMMIT));
	struct range range;
	HRESULT hr;

	if (size == 0 || (address != NULL && (uintptr_t)address < UNIT) ||
	    !plain_is_protection(protect) || !is_type(type, protect) ||
	    !range_of(address, size, reserves ? UNIT : PAGE, &range))
		return E_INVALIDARG;
	pthread_mutex_lock(&pages->lock);
	if (reserves)
		hr = reserve(pages, address != NULL, range, type, protect, ppMem);
	else
		hr = change(pages, range, type, protect, ppMem);
	pthread_mutex_unlock(&pages->lock);
	return hr;
}

/* ---- VirtualFree ---- */

static void release(struct plain_pages *pages, struct plain_reservation *reservation)
{
	struct plain_reservation **link = &pages->first;

	while (*link != reservation)
		link = &(*link)->next;
	*link = reservation->next;
	munmap((void *)reservation->start, reservation->end - reservation->start);
	free(reservation);
}

static HRESULT free_range(struct plain_pages *pages, struct range range, DWORD type)
{
	struct plain_reservation *reservation = plain_reservation_at(pages, range.start);
	bool whole = range.start == range.end;

	if (reservation == NULL)
		return HOST_E_INVALIDOPERATION;
	if (whole && range.start != reservation->start)
		return INVALID_ADDRESS;
	if (range.end > reservation->end)
		return E_INVALIDARG;
	if (type == MEM_RELEASE) {
		release(pages, reservation);
		return S_OK;
	}
	if (whole)
		range.end = reservation->end;
	if (mmap((void *)range.start, range.end - range.start, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return E_OUTOFMEMORY;
	memset(plain_state_of(reservation, range.start), 0,
	       (range.end - range.start) / PAGE);
	return S_OK;
}

HRESULT plain_pages_free(struct plain_pages *pages, void *address, size_t size,
			 DWORD type)
{
	struct range range;
	HRESULT hr;

	if ((type != MEM_DECOMMIT && type != MEM_RELEASE) ||
	    (type == MEM_RELEASE && size != 0) || !range_of(address, size, PAGE, &range))
		return E_INVALIDARG;
	if (size == 0)
		range.end = range.start;
	pthread_mutex_lock(&pages->lock);
	hr = free_range(pages, range, type);
	pthread_mutex_unlock(&pages->lock);
	return hr;
}

void plain_pages_end(struct plain_pages *pages)
{
	while (pages->first != NULL)
		release(pages, pages->first);
}
