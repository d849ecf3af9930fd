/*
 * Shared objects, by libuv, which knows how each system spells dlopen.  It loads them
 * with their symbols kept to themselves, so that a module cannot stand in for ours.
 */
#include "library.h"
#include "system.h"

#include <fcntl.h>
#include <stddef.h>
#include <uv.h>

/* libuv has one message for every failure; whether the file is there decides which. */
static HRESULT load_error(const char *path)
{
	int file = hm_system.open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0)
		return HRESULT_FROM_WIN32(ERROR_MOD_NOT_FOUND);
	(void)hm_system.close(file);
	return HRESULT_FROM_WIN32(ERROR_BAD_EXE_FORMAT);
}

HRESULT hm_library_symbol(const char *path, const char *name, void **out)
{
	uv_lib_t library;

	*out = NULL;
	if (uv_dlopen(path, &library) != 0) {
		uv_dlclose(&library); /* frees the message */
		return load_error(path);
	}
	if (uv_dlsym(&library, name, out) != 0) {
		*out = NULL;
		uv_dlclose(&library);
		return HRESULT_FROM_WIN32(ERROR_PROC_NOT_FOUND);
	}
	return S_OK;
}
