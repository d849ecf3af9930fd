#ifndef HOSTMEM_COM_RECORD_H
#define HOSTMEM_COM_RECORD_H

#include "abi/hostmem.h"

#include <stddef.h>

/*
 * Records that begin with cbSize, from and to callers that may be older than the library.
 */

/* Where a field ends: the size of a record that ends with it. */
#define RECORD_END(type, field) (offsetof(type, field) + sizeof(((type *)NULL)->field))

/* Copies a caller's record over one with the defaults.  `ends` are the offsets at which
 * its fields end, ascending; E_INVALIDARG if the caller's size is none of them. */
HRESULT record_read(void *record, size_t size, const void *from, const size_t *ends,
		    size_t count);

/* Copies as much of a record as the caller has room for, and says in its cbSize how much
 * that was.  E_INVALIDARG unless there is room for one field, and for no half ones: at
 * least 16 bytes, a multiple of 8. */
HRESULT record_write(void *to, const void *record, size_t size);

/* A caller's budget, completed and checked; E_INVALIDARG. */
HRESULT budget_read(const HostMemBudget *from, HostMemBudget *out);

#endif
