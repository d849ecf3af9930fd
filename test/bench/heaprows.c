/*
 * The rows of the heap benchmark: what is measured, and what is wanted of it.
 *
 * All targets are ratios: ours by another heap's.  A crossing is judged by minima, since
 * its two threads wait for each other: whenever one loses its processor the other one
 * stands still as well, and the other figures say how often that was.
 */
#include "heaprows.h"

#define PAIR(bytes) \
	{ \
		.name = "pair-" #bytes, \
		.about = "allocate " #bytes " bytes, write, free", .loop = &loop_pair, \
		.size = (bytes), .threads = 1, .pairs = 1, .most = { \
			[MIMALLOC] = 0.9, \
			[GLIBC] = 0.8 \
		} \
	}
#define BATCH(bytes, wanted) \
	{ \
		.name = "batch-" #bytes, \
		.about = "allocate 256 of " #bytes \
			 " bytes, write, free all in that order", \
		.loop = &loop_batch, .size = (bytes), .threads = 1, \
		.pairs = LOOPS_BATCH, .most = { \
			[MIMALLOC] = (wanted) \
		} \
	}
#define CROSS(bytes, wanted) \
	{ \
		.name = "cross-" #bytes, \
		.about = "one thread allocates " #bytes " bytes, another one frees", \
		.loop = &loop_cross, .size = (bytes), .threads = 2, .pairs = 1, \
		.least = true, .most = { \
			[MIMALLOC] = (wanted) \
		} \
	}

const struct heap_row heap_rows[HEAP_ROWS] = {
	PAIR(16),
	PAIR(64),
	PAIR(256),
	PAIR(1024),
	PAIR(4096),
	BATCH(16, 1.25),
	BATCH(64, 1.25),
	BATCH(256, 1.25),
	BATCH(1024, 1.25),
	BATCH(4096, 1.5),
	{ .name = "churn",
	  .about = "replace a random one of 4,096 blocks of 16 to 1,039 bytes",
	  .loop = &loop_churn,
	  .threads = 1,
	  .pairs = 1 },
	CROSS(64, 1.0),
	CROSS(1024, 1.5),
	{ .name = "two-pair-64",
	  .about = "pair-64 on two threads at once",
	  .loop = &loop_pair,
	  .size = 64,
	  .threads = 2,
	  .pairs = 1 },
	{ .name = "two-pair-1024",
	  .about = "pair-1024 on two threads at once",
	  .loop = &loop_pair,
	  .size = 1024,
	  .threads = 2,
	  .pairs = 1 },
	{ .name = "two-churn",
	  .about = "churn on two threads at once, each with blocks of its own",
	  .loop = &loop_churn,
	  .threads = 2,
	  .pairs = 1 },
};

const struct peak_row peak_rows[PEAK_ROWS] = {
	{ .name = "peak-larson",
	  .about = "resident at the peak: two threads replace random blocks of 16 to 512 "
		   "bytes and leave them to new threads",
	  .run = workload_larson,
	  .threads = 2,
	  .most = 1.15 },
	{ .name = "peak-cfrac",
	  .about = "the same: many blocks of 16 to 128 bytes, one in 32 stays",
	  .run = workload_cfrac,
	  .threads = 1,
	  .most = 1.15 },
	{ .name = "peak-churn",
	  .about = "the same: 64 MiB of 16 bytes to 32 KiB, shrunk to a third, grown "
		   "again "
		   "with 32 bytes to 1 KiB",
	  .run = workload_churn,
	  .threads = 1,
	  .most = 1.15 },
};
