/*
 * What the kernel says of a process, for tests and benchmarks that compare it with what the
 * library says.
 */
#ifndef HOSTMEM_TEST_PROC_H
#define HOSTMEM_TEST_PROC_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A figure of a file in /proc, after a text; 0 if it is not there. */
static inline size_t figure(const char *path, const char *after)
{
	static char text[8192];
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = file >= 0 ? read(file, text, sizeof(text) - 1) : -1;
	const char *at;

	if (file >= 0)
		(void)close(file);
	if (got <= 0)
		return 0;
	text[got] = '\0';
	at = strstr(text, after);
	return at != NULL ? strtoull(at + strlen(after), NULL, 10) : 0;
}

#endif
