#ifndef HOSTMEM_OS_LARGEPAGES_H
#define HOSTMEM_OS_LARGEPAGES_H

#include <stddef.h>

/* Size in bytes of the system's huge pages, 0 where it has none.  Keeps errno. */
size_t hm_large_page_size(void);
/* How many of them are free.  Keeps errno. */
size_t hm_large_pages_free(void);

/*
 * The figure of a "Name:   123 kB" line of `text`, in bytes; 0 if there is no such line,
 * or one that cannot be true.  Apart so that it can be tested on text no kernel wrote.
 */
size_t hm_meminfo_figure(const char *text, const char *name);

#endif
