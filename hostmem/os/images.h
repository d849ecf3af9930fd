#ifndef HOSTMEM_OS_IMAGES_H
#define HOSTMEM_OS_IMAGES_H

#include "abi/hresult.h"

#include <stddef.h>

/*
 * Which functions one loaded library calls: its imports replaced, those of that library and
 * of no other.
 *
 *	static void *(*map_before)(void *, size_t, int, int, int, off_t);
 *	...
 *	struct hm_image_import imports[] = {
 *		{ "mmap", address of our function, address of map_before, 0 },
 *	};
 *	hr = hm_image_patch("libcoreclr.so", NULL, imports, 1, &patch);
 *
 * A call that is made within the library and does not go by its table of imports cannot be
 * replaced, nor can an address that the library has already written down elsewhere.
 */
struct hm_image_import {
	const char *name;  /* without a version */
	void *replacement; /* the address of a function */
	/*
	 * Receives what the library called until now, which can be called: never the
	 * linker's stub of a call that was not made yet.  Written before the first call can
	 * reach the replacement.  NULL: nobody wants to know.  It receives NULL if the
	 * library does not import the name.
	 */
	void **original;
	size_t slots; /* receives how many places were changed; 0: it is not imported */
};

struct hm_image_patch;

/*
 * Replaces imports of the one library that is named `library`, or in which the address
 * `inside` lies; one of them is NULL.  A name is the end of the path that the system has
 * loaded, from a / on: "libjvm.so" is /usr/lib/jvm/server/libjvm.so and not /tmp/xlibjvm.so.
 *
 * Replaced are the places for calls, for addresses of functions in code, and for addresses
 * of functions in data; the last only where the address still stands, and on a whole word.
 * Left as they are, and not counted: an import that stands for the replacement already, and
 * one that nobody provides, since the library does without it.
 *
 * What the linker has made read-only is so again afterwards.  The library stays loaded until
 * hm_image_restore.  Threads that are in the library meanwhile call the one or the other;
 * but a first call, which is just being bound, would be bound over the replacement: patch
 * before the library is started.
 *
 *   S_OK
 *   S_FALSE          the same, but memory of the library stays writable that was not
 *   E_INVALIDARG     both of library and inside, or neither; a name or replacement is NULL
 *   HRESULT_FROM_WIN32(ERROR_MOD_NOT_FOUND)   no such library is loaded
 *   HRESULT_FROM_WIN32(ERROR_INVALID_NAME)    more than one is
 *   HRESULT_FROM_WIN32(ERROR_BAD_EXE_FORMAT)  it has no imports that can be read
 *   HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)   not on this processor
 *   E_OUTOFMEMORY, E_ACCESSDENIED, E_FAIL     the system refused to make it writable
 *
 * On failure nothing has changed, *out is NULL, each original NULL and each count 0.  errno
 * is kept.  It takes no lock of ours, but the system's of loaded libraries, and may
 * allocate from the C library.  Not for one library on two threads at a time.
 */
HRESULT hm_image_patch(const char *library, const void *inside,
		       struct hm_image_import *imports, size_t count,
		       struct hm_image_patch **out);

/*
 * Puts back what was there, and lets go of the library.  S_FALSE: a place that somebody else
 * has changed since is left to him, or memory stays writable that was not.  On failure nothing has changed, and the patch is
 * still there.  Who is inside a replacement, or has taken its address, is the caller's
 * business.
 */
HRESULT hm_image_restore(struct hm_image_patch *patch);

#endif
