#ifndef HOSTMEM_CLI_CONFORMWATCH_H
#define HOSTMEM_CLI_CONFORMWATCH_H

#include "conformchild.h"

#include <stdbool.h>
#include <stddef.h>

/* What a child has written; the first part of it, if it is very long. */
struct hm_text {
	char *bytes; /* ends with a NUL; NULL: nothing */
	size_t length;
};

/* Before the first child and after the last.  In between, a signal that would end the command
 * is only noticed; hm_watch_end ends what is left of all children, and then lets the signal do
 * what it does. */
void hm_watch_begin(void);
bool hm_watch_stopped(void);
void hm_watch_end(void);

/* In a child: signals are what they are in a new program, and it dies with the command, whose
 * number is `command`. */
void hm_watch_as_child(int command);

/* With all that it has started. */
void hm_child_kill(const struct hm_child *child);
/* Takes what it has written.  True: it is over; its status is as from waitpid, its descriptors
 * are closed, and of its group nobody is left. */
bool hm_child_over(struct hm_child *child, struct hm_text *report, struct hm_text *output,
		   int *status);

#endif
