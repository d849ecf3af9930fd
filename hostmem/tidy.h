#ifndef HOSTMEM_TIDY_H
#define HOSTMEM_TIDY_H

#include "os/pages.h"

/*
 * Closing what is open for nothing: granules of arenas in which no page is committed.
 *
 * They cost no memory but the kernel's: tables, and a mapping wherever open and blank
 * granules alternate.  So they are left as they are, ready for the next commit, until a
 * host has given all its memory back, or the system has refused something.
 *
 * Called between hm_calls_enter and hm_calls_leave, without a lock.
 */

/* Closes them all; whether there were any. */
bool hm_tidy(const struct hm_page_source *pages);

/* The same, if so many were opened since the last time that it is worth it. */
void hm_tidy_at_rest(const struct hm_page_source *pages);

#endif
