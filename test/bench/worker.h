/*
 * One heap in a process of its own, and what it is told and tells.
 *
 * The process is this program again, started with the heap's library if it has one.  It
 * does what it is told, answers, and sleeps until it is told more.
 *
 * Threads: one.
 */
#ifndef HOSTMEM_BENCH_WORKER_H
#define HOSTMEM_BENCH_WORKER_H

#include "allocator.h"
#include "measure.h"

#include <sys/types.h>

enum worker_task {
	WORKER_OPEN, /* the heap; the note is where it is from, or why it is not there */
	WORKER_PREPARE, /* a timed row */
	WORKER_SAMPLE,  /* it once: ns, clean */
	WORKER_FINISH,  /* it */
	WORKER_PEAK, /* run a row of memory: peak, live; the first order and the last */
};

struct worker_order {
	enum worker_task task;
	unsigned row;
	struct measure_plan plan;
};

struct worker_answer {
	enum verdict verdict; /* OK, SKIPPED or FAILED */
	double ns;            /* for one pair */
	bool clean;
	size_t peak, live; /* bytes */
	char note[NOTE_SIZE];
};

struct worker {
	enum allocator allocator;
	pid_t process; /* 0: there is none */
	int line;      /* to it */
};

bool worker_start(struct worker *worker, enum allocator allocator);

/* If the process has ended meanwhile, or never began, that is the answer. */
void worker_ask(struct worker *worker, const struct worker_order *order,
		struct worker_answer *answer);

void worker_stop(struct worker *worker);

/* Whether this process is one; then worker_main is all of it. */
bool worker_is_this(int count, char **words);
int worker_main(char **words);

#endif
