/*
 * The parts of the plain host module: its pages and its heaps.
 */
#ifndef TEST_CONFORMANCE_PLAIN_MODULE_H
#define TEST_CONFORMANCE_PLAIN_MODULE_H

#include "abi/hostmem.h"

#include <pthread.h>
#include <stdbool.h>

/* What one host has reserved. */
struct plain_pages {
	pthread_mutex_t lock;
	struct plain_reservation *first; /* in no order */
};

HRESULT plain_pages_alloc(struct plain_pages *pages, void *address, size_t size,
			  DWORD type, DWORD protect, void **ppMem);
HRESULT plain_pages_free(struct plain_pages *pages, void *address, size_t size,
			 DWORD type);
HRESULT plain_pages_query(struct plain_pages *pages, void *address,
			  MEMORY_BASIC_INFORMATION *info);
HRESULT plain_pages_protect(struct plain_pages *pages, void *address, size_t size,
			    DWORD protect, DWORD *pOldProtect);
void plain_pages_end(struct plain_pages *pages);

/* Makes a heap, which holds a reference to its host. */
HRESULT plain_heap_new(IUnknown *host, DWORD type, IHostMalloc **ppMalloc);

/* Makes a control, which takes the caller's reference of the manager over; NULL if there is
 * no memory. */
IUnknown *plain_control_new(IHostMemoryManager *manager);

/* Whether HOSTMEM_PLAIN asks for this kind of host. */
bool plain_is_a(const char *kind);
bool plain_is_level(EMemoryCriticalLevel level);
/* What AddRef and Release say of a count, which is their own business but for the 0. */
ULONG plain_count(ULONG count);

#endif /* TEST_CONFORMANCE_PLAIN_MODULE_H */
