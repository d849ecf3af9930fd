/*
 * The rows: what is measured against what, and what is wanted of it.
 */
#ifndef HOSTMEM_BENCH_ROWS_H
#define HOSTMEM_BENCH_ROWS_H

#include "lane.h"

/* Whether a host keeps released memory, and how it makes pages. */
enum mode { STRICT, RETAIN, MODES };
enum pages { GUARD, PROTECT, PAGES };

#define RETAINED (32 * MIB)

/* What a row's figure is, and so what its target is about. */
enum unit {
	RATIO,       /* ours / raw */
	NANOSECONDS, /* ours, one call */
	EXTRA,       /* ns that ours has more than raw, one call */
	TIMES,       /* throughput of two threads / of one */
	COUNT,
	BYTES,
};

/* A row that is timed. */
struct row {
	const char *name;
	const char *about;
	const struct cycle *ours;
	const struct cycle *raw; /* or NULL */
	size_t size;             /* bytes */
	size_t touch;            /* pages */
	unsigned calls;          /* that a cycle counts for */
	enum unit unit;
	bool hot;                  /* asks for the same region again and again */
	bool many;                 /* also at the largest number of live regions */
	bool scales;               /* two threads ought to do twice as much */
	double most[MODES][PAGES]; /* the target; 0 = none */
	struct {
		size_t live;
		double most;
	} by_live[3]; /* the targets where they depend on it */
};

/* A row that is counted, in a process of its own. */
struct count_row {
	const char *name;
	const char *about;
	enum unit unit;
	double target;
	bool at_least; /* else at most */
	bool once;     /* of a strict host with guard pages only */
};

enum { ROWS = 20, COUNT_ROWS = 5 };

extern const struct row rows[ROWS];
extern const struct count_row count_rows[COUNT_ROWS];

enum count_row_index {
	MILLION_REGIONS,
	MILLION_VMAS,
	MILLION_METADATA,
	CHURN_REGIONS,
	CHURN_LARGE,
};

/* The target of a row, 0 if it has none there. */
double row_target(const struct row *row, enum mode mode, enum pages pages, size_t live,
		  unsigned threads);

const char *mode_name(enum mode mode);
const char *pages_name(enum pages pages);

#endif
