/*
 * One run of the differential test: the host, the model, and the comparison of the two.
 */
#ifndef HOSTMEM_TEST_STRESS_COMPARE_H
#define HOSTMEM_TEST_STRESS_COMPARE_H

#include "test/stress/model.h"

/* The events of one step, and the sum of all. */
struct heard {
	unsigned allocated, freed, announced;
	size_t charged, refunded, sum, last;
};

struct run {
	struct faces faces;
	struct model model;
	struct heard heard;
	struct model_call call;
	struct model_answer want;
	const char *name; /* of the operation */
	uint64_t seed, step, random, last_stamp, vetoes;
	size_t retain; /* HostMemConfig.cbRetain */
	bool diverged; /* something was not the same: the run is over */
	int pipe[2];   /* through which the system is asked about access */
};

/* The next number of the seed, below a limit. */
uint64_t draw(struct run *run, uint64_t below);
bool chance(struct run *run, unsigned percent);

/* The subscriber, whose state is the run. */
BOOL HOSTMEM_CALL hear(void *state, const HostMemEvent *event);

/* Names the step for the checks that follow. */
void diverge(struct run *run);

/* Checks that cost nothing where the two values are the same. */
void same_size(struct run *run, const char *what, size_t got, size_t want);
void same_hr(struct run *run, HRESULT got, HRESULT want);

void compare_query(struct run *run, uintptr_t address);
void compare_access(struct run *run, uintptr_t address);
void compare_contents(struct run *run, uintptr_t address);
void compare_account(struct run *run);
/* A place that the host has chosen for the call. */
void compare_place(struct run *run, uintptr_t out);
/* The call's result, its events, the account, and the pages at both ends. */
void finish(struct run *run, HRESULT got);
/* A walk, the contents of each page, the library's own check. */
void compare_all(struct run *run);

/* The first pages of what has just been handed out. */
void compare_fresh(struct run *run, uintptr_t base);

/* Writes a new stamp into a page that is writable. */
void stamp(struct run *run, uintptr_t address);

#endif
