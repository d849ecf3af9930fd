#ifndef HOSTMEM_COM_HOSTMALLOC_H
#define HOSTMEM_COM_HOSTMALLOC_H

#include "hostmem/host.h"

/* CreateMalloc, its arguments checked: a heap with one reference.  E_OUTOFMEMORY. */
HRESULT host_malloc_create(struct hm_host *host, DWORD type, IHostMalloc **out);

#endif
