#ifndef HOSTMEM_CLI_CONFORMCHILD_H
#define HOSTMEM_CLI_CONFORMCHILD_H

#include "conformrun.h"

/*
 * A trial in a process of its own, as its parent sees it.  What the trial tells comes line by
 * line from `report`:
 *
 *	F a finding          K a known difference          S why it was skipped
 *	X how the process ends: a crash, or out of time
 *	E checks failures    the end; without this line there was none
 *
 * or, of a process that loads the module and nothing else,
 *
 *	A the step that begins    F why no host comes from it    L one has come
 *
 * and what the module prints from `output`.
 */
struct hm_child {
	int pid;
	int report, output; /* to read from, without waiting; -1: at its end */
};

/* The status of one whose `report` somebody else has closed. */
enum { HM_CHILD_CUT_OFF = 99 };

/* 0, or the error number. */
int hm_child_start(struct hm_child *child, const struct hm_run *run,
		   const struct hm_entry *entry);
int hm_child_start_loading(struct hm_child *child, const struct hm_run *run);

#endif
