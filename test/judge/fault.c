/*
 * The fault handler of the judge's host.
 *
 * Windows takes a guard away before the program hears of it, so there is nothing to do but to
 * tell which fault was a guard's: a handler before all others remembers that, for its thread.
 */
#include "host.h"

static DWORD slot = TLS_OUT_OF_INDEXES; /* the address of the last guard that was hit */

static LONG CALLBACK remember(EXCEPTION_POINTERS *exception)
{
	const EXCEPTION_RECORD *record = exception->ExceptionRecord;

	if (record->ExceptionCode == STATUS_GUARD_PAGE_VIOLATION)
		(void)TlsSetValue(slot, (void *)record->ExceptionInformation[1]);
	return EXCEPTION_CONTINUE_SEARCH;
}

void judge_faults_begin(void)
{
	slot = TlsAlloc();
	(void)AddVectoredExceptionHandler(1, remember);
}

HRESULT HOSTMEM_CALL judge_host_fault(void *address, BOOL write)
{
	(void)write;
	if (address == NULL || TlsGetValue(slot) != address)
		return S_FALSE;
	(void)TlsSetValue(slot, NULL);
	return S_OK;
}
