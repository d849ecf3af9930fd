/*
 * GUID: the 16-byte name of an interface (IID) or of a class (CLSID).
 *
 * Data1 to Data3 are integers in the byte order of the machine, Data4 is a plain
 * row of bytes.  Two GUIDs are the same if all 16 bytes are; addresses say
 * nothing, because a program and a shared object may each hold a copy.
 *
 * REFIID is a pointer in C and a reference in C++, the same machine word in both.
 *
 * On Windows all of this comes from windows.h.
 *
 * Source: layout and names are those of guiddef.h.
 */
#ifndef HOSTMEM_GUID_H
#define HOSTMEM_GUID_H

#include "hresult.h"

#include <string.h>

#ifndef _WIN32

typedef struct GUID {
	uint32_t Data1;
	uint16_t Data2;
	uint16_t Data3;
	uint8_t Data4[8];
} GUID;

typedef GUID IID;
typedef GUID CLSID;

#ifdef __cplusplus
typedef const GUID &REFGUID;
typedef const IID &REFIID;
typedef const CLSID &REFCLSID;
#else
typedef const GUID *REFGUID;
typedef const IID *REFIID;
typedef const CLSID *REFCLSID;
#endif

/**
 * Compares two GUIDs byte by byte.
 *
 * @param a  a GUID; in C never NULL.
 * @param b  a GUID; in C never NULL.
 *
 * Returns: TRUE if all 16 bytes agree, else FALSE.
 * Threads: any; takes no lock.
 * Source:  name and meaning are those of guiddef.h.
 */
static inline BOOL IsEqualGUID(REFGUID a, REFGUID b)
{
#ifdef __cplusplus
	return memcmp(&a, &b, sizeof(GUID)) == 0;
#else
	return memcmp(a, b, sizeof(GUID)) == 0;
#endif
}

#define IsEqualIID(a, b) IsEqualGUID(a, b)
#define IsEqualCLSID(a, b) IsEqualGUID(a, b)

#ifdef __cplusplus
inline bool operator==(REFGUID a, REFGUID b)
{
	return IsEqualGUID(a, b) != FALSE;
}

inline bool operator!=(REFGUID a, REFGUID b)
{
	return IsEqualGUID(a, b) == FALSE;
}
#endif

#endif /* _WIN32 */

/* Declares one of the constants that iids.c defines. */
#define HOSTMEM_DECLARE_GUID(name) HOSTMEM_DATA const GUID name

HOSTMEM_STATIC_ASSERT(sizeof(GUID) == 16, "a GUID has 16 bytes");

#endif /* HOSTMEM_GUID_H */
