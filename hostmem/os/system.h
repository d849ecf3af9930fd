#ifndef HOSTMEM_OS_SYSTEM_H
#define HOSTMEM_OS_SYSTEM_H

#include <stddef.h>

/*
 * Every system call that can refuse, behind one table.
 *
 * The table is the seam for the fault sweep: a test replaces an entry, counts the
 * calls and refuses the n-th.  Nothing else writes to it.  The entries are the plain
 * calls with their own arguments and their own errno; what an error means is decided
 * by the file that made the call.
 */
struct hm_system_calls {
	void *(*map)(void *address, size_t size, int protection, int flags, int file,
		     long offset);
	void *(*remap)(void *address, size_t size, size_t wanted, int flags, void *place);
	int (*unmap)(void *address, size_t size);
	int (*protect)(void *address, size_t size, int protection);
	int (*advise)(void *address, size_t size, int advice);
	int (*name)(void *address, size_t size, const char *name);
	int (*open)(const char *path, int flags);
	long (*read)(int file, void *buffer, size_t size);
	long (*read_at)(int file, void *buffer, size_t size, long offset);
	long (*write)(int file, const void *buffer, size_t size);
	int (*event)(int flags);
	int (*close)(int file);
	int (*control)(int file, unsigned long request, void *argument);
	int (*barrier)(int command);
};

extern struct hm_system_calls hm_system;

#endif
