/*
 * Result codes and the base types of the interfaces.
 *
 * An HRESULT is a signed 32-bit number: a value below 0 is a failure, 0 and
 * above a success.  Bit 31 is the severity, bits 16 to 28 name a facility, the
 * low 16 bits are the code within it.
 *
 * On Windows every name of this file comes from windows.h; what that header
 * lacks is added.  Everywhere else the integer widths are those of 64-bit
 * Windows, so DWORD and LONG have 32 bits although `long` has 64.
 *
 * Source: names and numbers are those of winerror.h and corerror.h.
 */
#ifndef HOSTMEM_HRESULT_H
#define HOSTMEM_HRESULT_H

#include <stddef.h>
#include <stdint.h>

/*
 * HOSTMEM_CALL is the calling convention of every method and every callback.
 * HOSTMEM_API goes before each function, HOSTMEM_DATA before each object that
 * the library exports.
 */
#ifdef _WIN32
#include <windows.h>
#define HOSTMEM_CALL __stdcall
#define HOSTMEM_VISIBLE
#else
#define HOSTMEM_CALL
#define HOSTMEM_VISIBLE __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
#define HOSTMEM_API extern "C" HOSTMEM_VISIBLE
#define HOSTMEM_DATA extern "C" HOSTMEM_VISIBLE
#define HOSTMEM_CONSTEXPR constexpr
#define HOSTMEM_STATIC_ASSERT(condition, message) static_assert(condition, message)
#else
#define HOSTMEM_API extern HOSTMEM_VISIBLE
#define HOSTMEM_DATA extern HOSTMEM_VISIBLE
#define HOSTMEM_CONSTEXPR
#define HOSTMEM_STATIC_ASSERT(condition, message) _Static_assert(condition, message)
#endif

#ifndef _WIN32

typedef int32_t HRESULT;
typedef int32_t BOOL; /* 0 is false, every other value true */
typedef int32_t LONG;
typedef uint32_t DWORD;
typedef uint32_t ULONG;
typedef size_t SIZE_T;

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif

#define SEVERITY_SUCCESS 0
#define SEVERITY_ERROR 1

#define FACILITY_NULL 0
#define FACILITY_RPC 1
#define FACILITY_ITF 4
#define FACILITY_WIN32 7

#define SUCCEEDED(hr) ((HRESULT)(hr) >= 0)
#define FAILED(hr) ((HRESULT)(hr) < 0)
#define HRESULT_CODE(hr) ((HRESULT)((uint32_t)(hr) & 0xFFFFU))
#define HRESULT_FACILITY(hr) ((HRESULT)(((uint32_t)(hr) >> 16) & 0x1FFFU))
#define HRESULT_SEVERITY(hr) ((HRESULT)((uint32_t)(hr) >> 31))
#define MAKE_HRESULT(severity, facility, code) \
	((HRESULT)(((uint32_t)(severity) << 31) | ((uint32_t)(facility) << 16) | \
		   (uint32_t)(code)))

/* Success.  S_FALSE is a success too: compare with S_OK where the answer matters. */
#define S_OK ((HRESULT)0)
#define S_FALSE ((HRESULT)1)

/* General failures. */
#define E_NOTIMPL ((HRESULT)0x80004001)
#define E_NOINTERFACE ((HRESULT)0x80004002)
#define E_POINTER ((HRESULT)0x80004003)
#define E_ABORT ((HRESULT)0x80004004)
#define E_FAIL ((HRESULT)0x80004005)
#define E_PENDING ((HRESULT)0x8000000A)
#define E_UNEXPECTED ((HRESULT)0x8000FFFF)
#define E_ACCESSDENIED ((HRESULT)0x80070005)
#define E_HANDLE ((HRESULT)0x80070006)
#define E_OUTOFMEMORY ((HRESULT)0x8007000E)
#define E_INVALIDARG ((HRESULT)0x80070057)

/* COM. */
#define CLASS_E_NOAGGREGATION ((HRESULT)0x80040110)
#define CLASS_E_CLASSNOTAVAILABLE ((HRESULT)0x80040111)
#define CO_E_NOTINITIALIZED ((HRESULT)0x800401F0)
#define CO_E_OBJNOTCONNECTED ((HRESULT)0x800401FD)
#define RPC_E_CHANGED_MODE ((HRESULT)0x80010106)
#define RPC_E_DISCONNECTED ((HRESULT)0x80010108)

/* Win32 codes; HRESULT_FROM_WIN32 makes an HRESULT of one. */
#define ERROR_SUCCESS 0
#define ERROR_FILE_NOT_FOUND 2
#define ERROR_TOO_MANY_OPEN_FILES 4
#define ERROR_ACCESS_DENIED 5
#define ERROR_INVALID_HANDLE 6
#define ERROR_NOT_ENOUGH_MEMORY 8
#define ERROR_INVALID_ACCESS 12
#define ERROR_OUTOFMEMORY 14
#define ERROR_BAD_LENGTH 24
#define ERROR_NOT_SUPPORTED 50
#define ERROR_INVALID_PARAMETER 87
#define ERROR_CALL_NOT_IMPLEMENTED 120
#define ERROR_INSUFFICIENT_BUFFER 122
#define ERROR_INVALID_NAME 123
#define ERROR_MOD_NOT_FOUND 126
#define ERROR_PROC_NOT_FOUND 127
#define ERROR_NOT_LOCKED 158
#define ERROR_BAD_EXE_FORMAT 193
#define ERROR_INVALID_ADDRESS 487
#define ERROR_ARITHMETIC_OVERFLOW 534
#define ERROR_NOACCESS 998
#define ERROR_STACK_OVERFLOW 1001
#define ERROR_INVALID_FLAGS 1004
#define ERROR_NOT_FOUND 1168
#define ERROR_USER_MAPPED_FILE 1224
#define ERROR_PRIVILEGE_NOT_HELD 1314
#define ERROR_INTERNAL_ERROR 1359
#define ERROR_NO_SYSTEM_RESOURCES 1450
#define ERROR_WORKING_SET_QUOTA 1453
#define ERROR_PAGEFILE_QUOTA 1454
#define ERROR_COMMITMENT_LIMIT 1455
#define ERROR_NOT_ENOUGH_QUOTA 1816
#define ERROR_INVALID_STATE 5023

/**
 * Makes an HRESULT of a Win32 error code.
 *
 * @param error  a Win32 code, or an HRESULT.  What is 0 or below when read as
 *               signed is passed through unchanged; so 0 gives S_OK, and whoever
 *               converts a last error of 0 after a failed call reports success.
 *
 * A function, so that the argument is evaluated once.  In C it is no constant
 * expression: for tables and case labels see HOSTMEM_HRESULT_FROM_WIN32.
 *
 * Returns: `error` itself, or its low 16 bits with facility 7 and the sign bit.
 * Threads: any; takes no lock.
 * Source:  name and rule are those of winerror.h.
 */
static inline HOSTMEM_CONSTEXPR HRESULT HRESULT_FROM_WIN32(uint32_t error)
{
	return (int32_t)error <= 0 ? (HRESULT)error
				   : (HRESULT)((error & 0xFFFFU) | 0x80070000U);
}

#endif /* _WIN32 */

/*
 * HRESULT_FROM_WIN32 of a constant from 1 to 65535, for static tables and case
 * labels.
 */
#define HOSTMEM_HRESULT_FROM_WIN32(code) ((HRESULT)(0x80070000U | (uint32_t)(code)))

/* From here on names that Windows' own header may lack. */

#ifndef FACILITY_URT
#define FACILITY_URT 0x13
#endif
#ifndef E_BOUNDS
#define E_BOUNDS ((HRESULT)0x8000000B)
#endif

/*
 * The CLR's hosting codes: facility 0x13.
 *
 *	HOST_E_DEADLOCK           the host found a deadlock on a blocking call
 *	HOST_E_INTERRUPTED        a wait was interrupted
 *	HOST_E_INVALIDOPERATION   freeing what the host did not allocate
 *	HOST_E_CLRNOTAVAILABLE    the host was shut down, or failed for good
 *	HOST_E_TIMEOUT            a wait for memory or at the gate took too long
 *	HOST_E_NOT_OWNER          leaving what one does not hold
 *	HOST_E_ABANDONED          the wait ended because the host went away
 *	HOST_E_EXITPROCESS_...    exit codes of a runtime that gave up
 */
#ifndef HOST_E_DEADLOCK
#define HOST_E_DEADLOCK ((HRESULT)0x80131020)
#endif
#ifndef HOST_E_INTERRUPTED
#define HOST_E_INTERRUPTED ((HRESULT)0x80131021)
#endif
#ifndef HOST_E_INVALIDOPERATION
#define HOST_E_INVALIDOPERATION ((HRESULT)0x80131022)
#endif
#ifndef HOST_E_CLRNOTAVAILABLE
#define HOST_E_CLRNOTAVAILABLE ((HRESULT)0x80131023)
#endif
#ifndef HOST_E_TIMEOUT
#define HOST_E_TIMEOUT ((HRESULT)0x80131024)
#endif
#ifndef HOST_E_NOT_OWNER
#define HOST_E_NOT_OWNER ((HRESULT)0x80131025)
#endif
#ifndef HOST_E_ABANDONED
#define HOST_E_ABANDONED ((HRESULT)0x80131026)
#endif
#ifndef HOST_E_EXITPROCESS_THREADABORT
#define HOST_E_EXITPROCESS_THREADABORT ((HRESULT)0x80131027)
#endif
#ifndef HOST_E_EXITPROCESS_ADUNLOAD
#define HOST_E_EXITPROCESS_ADUNLOAD ((HRESULT)0x80131028)
#endif
#ifndef HOST_E_EXITPROCESS_TIMEOUT
#define HOST_E_EXITPROCESS_TIMEOUT ((HRESULT)0x80131029)
#endif
#ifndef HOST_E_EXITPROCESS_OUTOFMEMORY
#define HOST_E_EXITPROCESS_OUTOFMEMORY ((HRESULT)0x8013102A)
#endif
#ifndef HOST_E_EXITPROCESS_STACKOVERFLOW
#define HOST_E_EXITPROCESS_STACKOVERFLOW ((HRESULT)0x8013102B)
#endif

/* The CLR's own codes that lie near memory. */
#ifndef COR_E_OUTOFMEMORY
#define COR_E_OUTOFMEMORY E_OUTOFMEMORY
#endif
#ifndef COR_E_APPDOMAINUNLOADED
#define COR_E_APPDOMAINUNLOADED ((HRESULT)0x80131014)
#endif
#ifndef COR_E_CANNOTUNLOADAPPDOMAIN
#define COR_E_CANNOTUNLOADAPPDOMAIN ((HRESULT)0x80131015)
#endif
#ifndef COR_E_TIMEOUT
#define COR_E_TIMEOUT ((HRESULT)0x80131505)
#endif
#ifndef COR_E_EXECUTIONENGINE
#define COR_E_EXECUTIONENGINE ((HRESULT)0x80131506)
#endif
#ifndef COR_E_INVALIDOPERATION
#define COR_E_INVALIDOPERATION ((HRESULT)0x80131509)
#endif
#ifndef COR_E_NOTSUPPORTED
#define COR_E_NOTSUPPORTED ((HRESULT)0x80131515)
#endif
#ifndef COR_E_OVERFLOW
#define COR_E_OVERFLOW ((HRESULT)0x80131516)
#endif
#ifndef COR_E_DUPLICATEWAITOBJECT
#define COR_E_DUPLICATEWAITOBJECT ((HRESULT)0x80131529)
#endif
#ifndef COR_E_THREADABORTED
#define COR_E_THREADABORTED ((HRESULT)0x80131530)
#endif
#ifndef COR_E_INSUFFICIENTMEMORY
#define COR_E_INSUFFICIENTMEMORY ((HRESULT)0x8013153D)
#endif
#ifndef COR_E_INSUFFICIENTEXECUTIONSTACK
#define COR_E_INSUFFICIENTEXECUTIONSTACK ((HRESULT)0x80131578)
#endif
#ifndef COR_E_FAILFAST
#define COR_E_FAILFAST ((HRESULT)0x80131623)
#endif
#ifndef COR_E_ARITHMETIC
#define COR_E_ARITHMETIC ((HRESULT)0x80070216)
#endif
#ifndef COR_E_STACKOVERFLOW
#define COR_E_STACKOVERFLOW ((HRESULT)0x800703E9)
#endif

HOSTMEM_STATIC_ASSERT(sizeof(HRESULT) == 4, "HRESULT has 32 bits");
HOSTMEM_STATIC_ASSERT(sizeof(BOOL) == 4, "BOOL has 32 bits");
HOSTMEM_STATIC_ASSERT(sizeof(DWORD) == 4, "DWORD has 32 bits");
HOSTMEM_STATIC_ASSERT(sizeof(SIZE_T) == sizeof(void *), "SIZE_T is as wide as a pointer");

#endif /* HOSTMEM_HRESULT_H */
