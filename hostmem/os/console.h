#ifndef HOSTMEM_OS_CONSOLE_H
#define HOSTMEM_OS_CONSOLE_H

#include <stddef.h>

/*
 * Writes to the standard error in one piece, so that lines of two threads do not mix.  What
 * cannot be written is lost; errno is kept, nothing is allocated.
 */
void hm_console_write(const char *text, size_t length);

#endif
