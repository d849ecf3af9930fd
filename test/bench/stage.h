/*
 * Where a row is measured: a host, and the regions that live in the background.
 */
#ifndef HOSTMEM_BENCH_STAGE_H
#define HOSTMEM_BENCH_STAGE_H

#include "result.h"

struct live_set {
	void **regions; /* of 64 KiB, in random order; NULL: lost */
	size_t count;
};

struct stage {
	enum mode mode;
	enum pages pages;
	IHostMemoryControl *control;
	IHostMemoryManager *vm;
	struct live_set ours; /* reservations of the host */
	struct live_set raw;  /* mappings of the program */
};

/* Whether the kernel can mark pages as guards without a mapping of their own. */
bool stage_kernel_guards(void);

/* Makes a host.  Else SKIPPED or FAILED, and why. */
enum verdict stage_open(struct stage *stage, enum mode mode, enum pages pages,
			char note[NOTE_SIZE]);
void stage_close(struct stage *stage);

/* Lets this many regions live on each side, never fewer than before. */
bool stage_live(struct stage *stage, size_t count, char note[NOTE_SIZE]);

/* Numbers that are the same in every run. */
unsigned stage_random(void);

#endif
