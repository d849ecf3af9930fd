#ifndef HOSTMEM_OS_CONSOLE_H
#define HOSTMEM_OS_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Writes to the standard error in one piece, so that lines of two threads do not mix.  What
 * cannot be written is lost; errno is kept, nothing is allocated.
 */
void hm_console_write(const char *text, size_t length);

/* Whether there is a standard error: else its number may be that of any file. */
bool hm_console_is_open(void);

#endif
