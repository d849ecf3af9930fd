/*
 * What the plain host tells of pages and how it changes their protection, its own and those
 * of others: what is not in its list is foreign, and /proc/self/maps tells of it.
 */
#include "plain_pages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct mapping {
	uintptr_t start, end;
	DWORD protect, type;
};

/* ---- Memory of others ---- */

static DWORD protection_of(const char *letters)
{
	bool writable = letters[1] == 'w';

	if (letters[2] == 'x')
		return writable            ? PAGE_EXECUTE_READWRITE
		       : letters[0] == 'r' ? PAGE_EXECUTE_READ
					   : PAGE_EXECUTE;
	return writable            ? PAGE_READWRITE
	       : letters[0] == 'r' ? PAGE_READONLY
				   : PAGE_NOACCESS;
}

/* The mapping that has the address, or else the next above it, if there is one. */
static bool mapping_from(uintptr_t at, struct mapping *mapping)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	bool found = false, executes;
	uint64_t file;
	char letters[5];

	if (maps == NULL)
		return false;
	while (!found &&
	       fscanf(maps, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*s %" SCNu64 "%*[^\n]",
		      &mapping->start, &mapping->end, letters, &file) == 4)
		found = at < mapping->end;
	fclose(maps);
	if (!found)
		return false;
	executes = letters[2] == 'x';
	mapping->protect = protection_of(letters);
	mapping->type = file == 0 ? MEM_PRIVATE : executes ? MEM_IMAGE : MEM_MAPPED;
	return true;
}

/* The lowest one that has a page of the range. */
static struct plain_reservation *first_within(struct plain_pages *pages,
					      struct range range)
{
	struct plain_reservation *found = NULL;

	for (struct plain_reservation *each = pages->first; each; each = each->next) {
		if (each->start < range.end && each->end > range.start &&
		    (found == NULL || each->start < found->start))
			found = each;
	}
	return found;
}

/* That of others, from this page on to the next reservation at most; the kernel may have
 * made one mapping of both. */
static bool foreign_at(struct plain_pages *pages, uintptr_t at, struct mapping *mapping)
{
	struct plain_reservation *next;

	if (!mapping_from(at, mapping) || mapping->start > at)
		return false;
	next = first_within(pages, (struct range){ at, mapping->end });
	if (next != NULL)
		mapping->end = next->start;
	for (struct plain_reservation *each = pages->first; each; each = each->next) {
		if (each->end <= at && each->end > mapping->start)
			mapping->start = each->end;
	}
	return mapping->end > at;
}

/* ---- VirtualQuery ---- */

static void describe_own(struct plain_reservation *reservation, uintptr_t at,
			 MEMORY_BASIC_INFORMATION *info)
{
	uint8_t state = *plain_state_of(reservation, at);
	uintptr_t end = at + PAGE;

	while (end < reservation->end && *plain_state_of(reservation, end) == state)
		end += PAGE;
	info->AllocationBase = (void *)reservation->start;
	info->AllocationProtect = reservation->protect;
	info->RegionSize = end - at;
	info->State = state != 0 ? MEM_COMMIT : MEM_RESERVE;
	if (state != 0)
		info->Protect = state | (reservation->protect & ~BASES);
	info->Type = MEM_PRIVATE;
}

static HRESULT describe_other(struct plain_pages *pages, uintptr_t at,
			      MEMORY_BASIC_INFORMATION *info)
{
	uintptr_t end = USER_END;
	struct mapping mapping;

	if (foreign_at(pages, at, &mapping)) {
		info->AllocationBase = (void *)mapping.start;
		info->AllocationProtect = mapping.protect;
		info->RegionSize = mapping.end - at;
		info->State = MEM_COMMIT;
		info->Protect = mapping.protect;
		info->Type = mapping.type;
		return S_OK;
	}
	if (at >= USER_END)
		return E_INVALIDARG;
	if (mapping_from(at, &mapping) && mapping.start < end)
		end = mapping.start;
	info->RegionSize = end > at ? end - at : PAGE;
	info->State = MEM_FREE;
	info->Protect = PAGE_NOACCESS;
	return S_OK;
}

HRESULT plain_pages_query(struct plain_pages *pages, void *address,
			  MEMORY_BASIC_INFORMATION *info)
{
	uintptr_t at = (uintptr_t)address & ~(PAGE - 1);
	struct plain_reservation *reservation;
	HRESULT hr = S_OK;

	info->BaseAddress = (void *)at;
	pthread_mutex_lock(&pages->lock);
	reservation = plain_reservation_at(pages, at);
	if (reservation != NULL)
		describe_own(reservation, at, info);
	else
		hr = describe_other(pages, at, info);
	pthread_mutex_unlock(&pages->lock);
	return hr;
}

/* ---- VirtualProtect ---- */

static HRESULT protect_own(struct plain_reservation *reservation, struct range range,
			   DWORD protect, DWORD *pOldProtect)
{
	DWORD old = *plain_state_of(reservation, range.start) |
		    (reservation->protect & ~BASES);
	HRESULT hr;

	if (range.end > reservation->end ||
	    memchr(plain_state_of(reservation, range.start), 0,
		   (range.end - range.start) / PAGE))
		return INVALID_ADDRESS;
	hr = plain_refusal(0, protect);
	if (SUCCEEDED(hr))
		hr = plain_set_pages(reservation, range, protect);
	if (SUCCEEDED(hr))
		*pOldProtect = old;
	return hr;
}

static HRESULT protect_other(struct plain_pages *pages, struct range range, DWORD protect,
			     DWORD *pOldProtect)
{
	DWORD old = 0;
	struct mapping mapping;

	for (uintptr_t at = range.start; at < range.end; at = mapping.end) {
		if (!foreign_at(pages, at, &mapping))
			return range.end > USER_END ? E_INVALIDARG : INVALID_ADDRESS;
		if (at == range.start)
			old = mapping.protect;
	}
	if (protect & PAGE_GUARD)
		return NOT_SUPPORTED;
	if (mprotect((void *)range.start, range.end - range.start,
		     plain_system_protection(protect)) != 0)
		return errno == EACCES ? E_ACCESSDENIED : E_OUTOFMEMORY;
	*pOldProtect = old;
	return S_OK;
}

HRESULT plain_pages_protect(struct plain_pages *pages, void *address, size_t size,
			    DWORD protect, DWORD *pOldProtect)
{
	uintptr_t at = (uintptr_t)address;
	struct range range = { at & ~(PAGE - 1), 0 };
	struct plain_reservation *reservation;
	HRESULT hr;

	if (size == 0 || !plain_is_protection(protect) || at > UINTPTR_MAX - PAGE ||
	    size > UINTPTR_MAX - PAGE - at)
		return E_INVALIDARG;
	range.end = (at + size + PAGE - 1) & ~(PAGE - 1);
	pthread_mutex_lock(&pages->lock);
	reservation = plain_reservation_at(pages, range.start);
	if (reservation != NULL)
		hr = range.end > USER_END
			     ? E_INVALIDARG
			     : protect_own(reservation, range, protect, pOldProtect);
	else
		hr = protect_other(pages, range, protect, pOldProtect);
	pthread_mutex_unlock(&pages->lock);
	return hr;
}
