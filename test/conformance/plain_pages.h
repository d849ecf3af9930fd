/*
 * What the plain host's pages share among themselves.
 */
#ifndef TEST_CONFORMANCE_PLAIN_PAGES_H
#define TEST_CONFORMANCE_PLAIN_PAGES_H

#include "plain_module.h"

#include <stdbool.h>

#define PAGE ((uintptr_t)4096)
#define USER_END ((uintptr_t)0x7FFFFFFF0000)
#define INVALID_ADDRESS HOSTMEM_HRESULT_FROM_WIN32(ERROR_INVALID_ADDRESS)
#define NOT_SUPPORTED HOSTMEM_HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)
#define BASES 0xFFU /* the bits of a protection that say what may be done */

struct plain_reservation {
	struct plain_reservation *next;
	uintptr_t start, end;
	DWORD protect;    /* of the call that made it */
	uint8_t states[]; /* of each page: its protection, or 0 */
};

struct range {
	uintptr_t start, end;
};

bool plain_is_protection(DWORD protect);
/* What is a good question, and not to be had here. */
HRESULT plain_refusal(DWORD type, DWORD protect);
struct plain_reservation *plain_reservation_at(struct plain_pages *pages, uintptr_t at);
uint8_t *plain_state_of(struct plain_reservation *reservation, uintptr_t at);
int plain_system_protection(DWORD protect);
/* Gives pages a protection: all of them or none. */
HRESULT plain_set_pages(struct plain_reservation *reservation, struct range range,
			DWORD protect);

#endif /* TEST_CONFORMANCE_PLAIN_PAGES_H */
