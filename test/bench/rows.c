/*
 * The rows: what is measured against what, and what is wanted of it.
 *
 * A target is a ratio wherever there is something to compare with, since a ratio holds
 * on other machines too.  Without kernel guard pages (`protect`) every commit is an
 * mprotect, and the targets are what that allows.
 */
#include "rows.h"

/* The same target everywhere; one each for guard pages and for mprotect. */
#define ALL(most) \
	{ \
		{ (most), (most) }, \
		{ \
			(most), (most) \
		} \
	}
#define EACH(guard, protect) \
	{ \
		{ (guard), (protect) }, \
		{ \
			(guard), (protect) \
		} \
	}

const struct row rows[ROWS] = {
	{ .name = "reserve-release-64k",
	  .about = "reserve and release 64 KiB / mmap PROT_NONE and munmap",
	  .ours = &ours_reserve,
	  .raw = &raw_reserve,
	  .size = 64 * KIB,
	  .scales = true,
	  .most = ALL(0.03) },
	{ .name = "reserve-release-1g",
	  .about = "the same with 1 GiB",
	  .ours = &ours_reserve,
	  .raw = &raw_reserve,
	  .size = GIB,
	  .scales = true,
	  .most = ALL(0.02) },
	{ .name = "alloc-release-64k",
	  .about = "reserve|commit and release 64 KiB / mmap read-write and munmap",
	  .ours = &ours_alloc,
	  .raw = &raw_alloc,
	  .size = 64 * KIB,
	  .scales = true,
	  .most = EACH(0.75, 1.0) },
	{ .name = "alloc-touch-release-64k",
	  .about = "the same, all 16 pages written to",
	  .ours = &ours_alloc,
	  .raw = &raw_alloc,
	  .size = 64 * KIB,
	  .touch = 16,
	  .scales = true,
	  .most = { { 1.08, 1.08 }, { 0.12, 0.12 } } },
	{ .name = "alloc-release-1m",
	  .about = "the same with 1 MiB, not written to",
	  .ours = &ours_alloc,
	  .raw = &raw_alloc,
	  .size = MIB,
	  .scales = true },
	{ .name = "alloc-touch-release-1m",
	  .about = "the same with 1 MiB, all 256 pages written to",
	  .ours = &ours_alloc,
	  .raw = &raw_alloc,
	  .size = MIB,
	  .touch = 256,
	  .scales = true },
	{ .name = "alloc-fresh-64k",
	  .about = "reserve|commit 64 KiB again and again / mmap read-write; "
		   "the release is not timed",
	  .ours = &ours_fresh,
	  .raw = &raw_fresh,
	  .size = 64 * KIB,
	  .most = { { 0, 0 }, { 0.1, 0.1 } } },
	{ .name = "reserve-commit-release-64k",
	  .about = "three calls / mmap, mprotect, munmap",
	  .ours = &ours_three_calls,
	  .raw = &raw_three_calls,
	  .size = 64 * KIB,
	  .scales = true,
	  .most = EACH(0.6, 0.85) },
	{ .name = "commit-decommit-64k",
	  .about = "64 KiB inside a reservation / mprotect and mmap MAP_FIXED PROT_NONE",
	  .ours = &ours_commit,
	  .raw = &raw_commit,
	  .size = 64 * KIB,
	  .scales = true,
	  .most = EACH(0.65, 1.5) },
	{ .name = "commit-touch-decommit-64k",
	  .about = "the same, all 16 pages written to",
	  .ours = &ours_commit,
	  .raw = &raw_commit,
	  .size = 64 * KIB,
	  .touch = 16,
	  .scales = true,
	  .most = EACH(1.0, 1.1) },
	{ .name = "commit-touch-decommit-4k",
	  .about = "the same with one page",
	  .ours = &ours_commit,
	  .raw = &raw_commit,
	  .size = PAGE,
	  .touch = 1,
	  .scales = true,
	  .most = EACH(0.7, 0) },
	{ .name = "recommit-64k",
	  .about = "commit of committed pages, ns; beside it an mprotect that changes "
		   "nothing",
	  .ours = &ours_recommit,
	  .raw = &raw_recommit,
	  .size = 64 * KIB,
	  .unit = NANOSECONDS,
	  .most = ALL(30) },
	{ .name = "protect-64k",
	  .about = "read-only and back, 16 pages written before, one call / mprotect of "
		   "a mapping of its own",
	  .ours = &ours_protect,
	  .raw = &raw_protect,
	  .size = 64 * KIB,
	  .touch = 16,
	  .calls = 2,
	  .most = ALL(1.4) },
	{ .name = "protect-inside-64k",
	  .about = "the same / mprotect of a part of a mapping, which splits it",
	  .ours = &ours_protect,
	  .raw = &raw_protect_inside,
	  .size = 64 * KIB,
	  .touch = 16,
	  .calls = 2 },
	{ .name = "query-hot",
	  .about = "VirtualQuery of the same region, ns",
	  .ours = &ours_query,
	  .size = 64 * KIB,
	  .unit = NANOSECONDS,
	  .hot = true,
	  .many = true,
	  .most = ALL(20) },
	{ .name = "query-random",
	  .about = "VirtualQuery of the live regions in random order, ns",
	  .ours = &ours_query,
	  .size = 64 * KIB,
	  .unit = NANOSECONDS,
	  .many = true,
	  .by_live = { { 30000, 80 }, { 100000, 100 }, { 1000000, 160 } } },
	{ .name = "replace-random-64k",
	  .about = "release a random live region, reserve another / munmap, mmap",
	  .ours = &ours_replace,
	  .raw = &raw_replace,
	  .size = 64 * KIB,
	  .many = true,
	  .most = ALL(0.1) },
	{ .name = "accounting-64k",
	  .about = "reserve|commit and release with an empty subscriber / without; ns "
		   "more for one call",
	  .ours = &ours_alloc_heard,
	  .raw = &ours_alloc,
	  .size = 64 * KIB,
	  .calls = 2,
	  .unit = EXTRA,
	  .most = ALL(10) },
	{ .name = "budget-64k",
	  .about = "reserve|commit and release under a budget with limits for each level "
		   "/ "
		   "without; ns more for one call",
	  .ours = &ours_alloc_limited,
	  .raw = &ours_alloc,
	  .size = 64 * KIB,
	  .calls = 2,
	  .unit = EXTRA,
	  .most = ALL(10) },
	{ .name = "gate-open",
	  .about = "a call passes the open gate / does not look at it; ns more",
	  .ours = &ours_gate,
	  .raw = &raw_nothing,
	  .size = 64 * KIB,
	  .unit = EXTRA,
	  .most = ALL(1) },
};

const struct count_row count_rows[COUNT_ROWS] = {
	[MILLION_REGIONS] = { "million-regions",
			      "a million reservations of 64 KiB, one page of each "
			      "committed and written to: how many there are in the end",
			      COUNT, 1000000, true, true },
	[MILLION_VMAS] = { "million-vmas", "mappings of the kernel that they take", COUNT,
			   100, false, true },
	[MILLION_METADATA] = { "million-metadata",
			       "resident bytes that one takes, without the page", BYTES,
			       130, false, true },
	[CHURN_REGIONS] = { "churn-regions-vmas",
			    "mappings of the kernel left behind when parts of 2,000 "
			    "regions were committed and decommitted at random",
			    COUNT, 8, false, false },
	[CHURN_LARGE] = { "churn-1g-vmas", "the same inside one reservation of 1 GiB",
			  COUNT, 8, false, false },
};

double row_target(const struct row *row, enum mode mode, enum pages pages, size_t live,
		  unsigned threads)
{
	/* What two threads do to one word in memory is not what this row is about. */
	if (row->unit == EXTRA && threads > 1)
		return 0;
	for (size_t i = 0; i < sizeof(row->by_live) / sizeof(*row->by_live); i++) {
		if (row->by_live[i].live == live)
			return row->by_live[i].most;
	}
	return row->most[mode][pages];
}

const char *mode_name(enum mode mode)
{
	return mode == STRICT ? "strict" : "retain";
}

const char *pages_name(enum pages pages)
{
	return pages == GUARD ? "guard" : "protect";
}
