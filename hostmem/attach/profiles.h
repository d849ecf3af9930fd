#ifndef HOSTMEM_ATTACH_PROFILES_H
#define HOSTMEM_ATTACH_PROFILES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Profiles: what of a runtime's requests may be refused.
 *
 * Each figure is the size in bytes from which on a request of that shape costs the runtime a
 * task and not the process; HM_NEVER where it always costs the process.
 */
#define HM_NEVER SIZE_MAX

struct hm_profile {
	const char *name;
	size_t map;  /* committed by the mapping itself */
	size_t over; /* committed by a mapping over reserved pages */
	/* The same in a space that the runtime wanted where it is, or in one of HM_HEAP_SPACE;
	 * and of what is no whole number of 64 KiB there. */
	size_t heap_over, odd_over;
	size_t commit; /* by a change of access, in a space that may lie anywhere */
	size_t block;  /* of the malloc family */
	/* An address that is no more than a hint counts from so many bytes on. */
	size_t hint;
	size_t code;      /* a reservation of just this size is for code; 0 = none is */
	int refused_over; /* errno of a refused mapping over reserved pages */
	/* What task-critical requests leave of a limit for the others if nobody says: a part
	 * of the limit (4 = a fourth; 0 = nothing), and so many bytes at the most. */
	size_t slack_part, slack_most;
	/* What a person should know who sets a limit; NULL = nothing. */
	const char *warning;
};

/* NULL = there is none of that name. */
const struct hm_profile *hm_profile_find(const char *name);

/* All of them, from 0 on; NULL = there are no more. */
const struct hm_profile *hm_profile_at(size_t index);

/* That of the program whose file has this name, without its folder; generic if it is not
 * known. */
const struct hm_profile *hm_profile_of_program(const char *program);

/* A reservation of so many bytes is a space: it may be that of a collected heap. */
#define HM_TASK_SPACE ((size_t)16 << 20)

/* One that lies anywhere may be its tables if it is smaller: those of a heap of 32 GiB are as
 * large, a 512th of it. */
#define HM_HEAP_SPACE ((size_t)64 << 20)

/* What task-critical requests leave of a limit. */
size_t hm_profile_slack(const struct hm_profile *profile, size_t limit);

#endif
