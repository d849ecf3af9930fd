/*
 * The definitions behind our own, by dlsym.  Locks: the linker's.
 */
#include "next.h"

#include <dlfcn.h>
#include <string.h>

bool hm_next_function(const char *name, void *function)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	/* POSIX has it that an address of a function fits one of an object. */
	memcpy(function, &symbol, sizeof(symbol));
	return symbol != NULL;
}
