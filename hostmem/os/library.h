#ifndef HOSTMEM_OS_LIBRARY_H
#define HOSTMEM_OS_LIBRARY_H

#include "abi/hresult.h"

/*
 * Loads the shared object at `path` for good (what it hands out may be used until the
 * process ends) and looks up `name` in it.
 *
 *   HRESULT_FROM_WIN32(ERROR_MOD_NOT_FOUND)   no such file, or not readable
 *   HRESULT_FROM_WIN32(ERROR_BAD_EXE_FORMAT)  not a shared object of this machine, or
 *                                             one whose own needs are not met
 *   HRESULT_FROM_WIN32(ERROR_PROC_NOT_FOUND)  it has no such symbol; it is unloaded
 */
HRESULT hm_library_symbol(const char *path, const char *name, void **out);

#endif
