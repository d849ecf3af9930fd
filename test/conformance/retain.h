/*
 * A host that retains memory.
 */
#ifndef HOSTMEM_CONFORMANCE_RETAIN_H
#define HOSTMEM_CONFORMANCE_RETAIN_H

#include "host.h"

#include <fcntl.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* Whether each reservation is a mapping of its own, which goes back as a whole. */
static inline bool pages_are_direct(void)
{
	const char *way = getenv("HOSTMEM_PAGES");
	int file = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
	char digit = '0';

	if (file >= 0) {
		(void)!read(file, &digit, 1);
		(void)close(file);
	}
	return digit == '2' || (way != NULL && strcmp(way, "direct") == 0);
}

/* false: a test that skips or fails. */
static inline bool retaining_with(struct host *host, size_t limit, uint32_t flags)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	if (pages_are_direct()) {
		tap_skip("nothing is retained where each reservation is a mapping");
		return false;
	}
	config.dwFlags = HOSTMEM_MONITOR_OFF | flags;
	config.cbRetain = limit;
	return host_create_with(host, &config);
}

static inline bool retaining(struct host *host, size_t limit)
{
	return retaining_with(host, limit, 0);
}

#endif
