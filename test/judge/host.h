#ifndef HOSTMEM_TEST_JUDGE_HOST_H
#define HOSTMEM_TEST_JUDGE_HOST_H

#include "abi/hostmem.h"

/* A host whose every answer about memory is that of the Win32 call of the same name. */

/* As struct hm_target wants them; `state` is not used. */
HRESULT judge_host_create(void *state, REFIID riid, void **ppv);
HRESULT HOSTMEM_CALL judge_host_fault(void *address, BOOL write); /* fault.c */
/* Before the first fault, and after hm_probe_begin. */
void judge_faults_begin(void);

/* A heap of that host, which it keeps alive; heap.c. */
HRESULT judge_heap_create(IHostMemoryManager *host, DWORD type, IHostMalloc **ppMalloc);

/* What a Win32 call has just left as the reason of its failure; never a success. */
HRESULT judge_last_error(void);

#endif
