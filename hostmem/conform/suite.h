#ifndef HOSTMEM_CONFORM_SUITE_H
#define HOSTMEM_CONFORM_SUITE_H

#include "trial.h"

/* All that can be asked of a host, in the order in which it is asked. */

struct hm_entry {
	const char *area;
	const struct hm_case *what;
	bool codes; /* the ".codes" of the case */
	enum hm_group group;
	char name[80]; /* "virtual-alloc/bad-sizes.codes" */
};

size_t hm_suite_size(void);
struct hm_entry hm_suite_entry(size_t index);

/* "required", "documented", "windows-detail" */
const char *hm_group_name(enum hm_group group);

/* One letter code of a source, as "WT", and what it stands for; NULL behind the last. */
struct hm_source {
	const char *code, *meaning;
};
extern const struct hm_source hm_sources[];

#endif
