#ifndef HOSTMEM_LOOKING_H
#define HOSTMEM_LOOKING_H

#include "monitor.h"
#include "pressure.h"

/*
 * One look of a monitor at the system's figures.  On the loop's thread.
 */
struct hm_look {
	const struct hm_monitor *monitor;
	struct hm_pressure_rules rules;
	struct hm_memory_load load;
	uint64_t room;         /* bytes until memory is short, if nobody tells of that */
	uint64_t watched_room; /* and if somebody does */
	uint64_t machine_room; /* the same of the machine alone */
	uint64_t limits;       /* of the groups, and the thresholds, in one number */
	bool shrinking;        /* there was much more room at the last look */
};

/* Reads the figures, after looking up anew where they are if that is due, and makes them known.
 * `called`: something has told that they have changed, so what takes long to read is read, too. */
void hm_look_read(struct hm_host *host, struct hm_look *look, bool called);

/* ms until the next one. */
uint64_t hm_look_next(struct hm_host *host, const struct hm_look *look);

/* Makes figures known; NULL: there are none.  By one thread at a time. */
void hm_look_publish(struct hm_monitor *monitor, const struct hm_memory_load *load);

#endif
