#ifndef HOSTMEM_CLI_CONFORMCAUSES_H
#define HOSTMEM_CLI_CONFORMCAUSES_H

#include "conform.h"

/* What was found first in a case, without what differs from case to case. */
struct hm_cause {
	char text[160];
	unsigned count; /* of cases that failed so */
	size_t order;   /* that of the first of them */
};

/* Of all cases that failed, the most frequent first; *count: how many there are.  To be freed;
 * NULL: there is no memory, or no such case. */
struct hm_cause *hm_conform_causes(const struct hm_report *report, size_t *count);

#endif
