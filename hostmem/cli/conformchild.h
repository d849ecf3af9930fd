#ifndef HOSTMEM_CLI_CONFORMCHILD_H
#define HOSTMEM_CLI_CONFORMCHILD_H

#include "conformrun.h"

/*
 * A trial in a process of its own, as its parent sees it.  What the trial tells comes line by
 * line from `report`:
 *
 *	F a finding          K a known difference          S why it was skipped
 *	E checks failures    the end; without this line there was none
 *
 * and what the module prints from `output`.
 */
struct hm_child {
	int pid;
	int report, output; /* to read from, without waiting */
};

/* 0, or the error number. */
int hm_child_start(struct hm_child *child, const struct hm_run *run,
		   const struct hm_entry *entry);

/* The process writes why no host comes from the module to `report`, nothing if one does. */
int hm_child_start_loading(struct hm_child *child, const struct hm_run *run);

#endif
