#ifndef HOSTMEM_OS_MEMINFO_H
#define HOSTMEM_OS_MEMINFO_H

#include "cgroups.h"

#include <stdbool.h>
#include <stdint.h>

/* Something that bounds this process's memory. */
enum hm_memory_bounds {
	HM_BOUND_MACHINE,   /* what the machine has, and what is not to be had of it */
	HM_BOUND_ADDRESSES, /* RLIMIT_AS */
	HM_BOUND_DATA,      /* RLIMIT_DATA */
	HM_BOUND_GROUP,     /* a control group */
};

struct hm_memory_bound {
	enum hm_memory_bounds kind;
	uint64_t limit, used; /* bytes; UINT64_MAX = no limit, which groups alone tell */
	uint64_t cache;       /* bytes, of a group: page cache, not counted as used */
	const char *path;     /* of a group, where it is known: until the visit returns */
	unsigned version;     /* of a group */
};

/*
 * Calls `visit` for each bound that the system has set, as it is now.  What cannot be read
 * is left out.  Any thread; allocates nothing, waits for nobody, keeps errno.
 */
void hm_meminfo_visit(void (*visit)(void *state, const struct hm_memory_bound *bound),
		      void *state);

/*
 * The same again and again: files stay open, and where the groups are is not looked up each
 * time, so that it costs a fraction.  For one thread at a time; allocates nothing, keeps
 * errno.
 */
#define HM_MEMINFO_GROUPS 16U

struct hm_meminfo {
	int machine, process;        /* files; -1 = not open */
	struct hm_memory_bound last; /* of the machine; `limit` 0: it has not told */
	bool partial;                /* there are groups that could not be kept */
	unsigned count;
	struct hm_cgroup groups[HM_MEMINFO_GROUPS];
};

/* Calls `visit` for each group, with its path. */
void hm_meminfo_open(struct hm_meminfo *meminfo,
		     void (*visit)(void *state, const struct hm_memory_bound *bound),
		     void *state);
void hm_meminfo_close(struct hm_meminfo *meminfo);

/*
 * false: something that was there is gone, and it should be opened anew.  Not `anew`, what takes
 * longest is told as it was when it was read last: what the machine has, the page cache of
 * groups that have changed little otherwise, and which have no limit.
 */
bool hm_meminfo_look(struct hm_meminfo *meminfo, bool anew,
		     void (*visit)(void *state, const struct hm_memory_bound *bound),
		     void *state);

#endif
