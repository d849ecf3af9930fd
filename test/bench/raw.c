/*
 * The same cycles as a program makes them that has no host: mmap, mprotect, munmap.
 *
 * All mappings are MAP_NORESERVE.  That is what the library asks for as well, and it
 * makes the system's side cheaper: the system has nothing to charge.
 */
#include "lane.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static bool refused(struct lane *lane, const char *call)
{
	return lane_refused(lane, call, strerror(errno));
}

static bool map(struct lane *lane, void *at, size_t size, int protection, void **block)
{
	int fixed = at != NULL ? MAP_FIXED : 0;
	void *got = mmap(at, size, protection,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);

	if (got == MAP_FAILED)
		return refused(lane, "mmap");
	*block = got;
	return true;
}

static bool unmap(struct lane *lane, void *block, size_t size)
{
	return munmap(block, size) == 0 || refused(lane, "munmap");
}

static bool protect(struct lane *lane, void *block, size_t size, int protection)
{
	return mprotect(block, size, protection) == 0 || refused(lane, "mprotect");
}

static bool run_reserve(void *state, size_t times)
{
	struct lane *lane = state;
	void *block;

	for (size_t i = 0; i < times; i++) {
		if (!map(lane, NULL, lane->size, PROT_NONE, &block) ||
		    !unmap(lane, block, lane->size))
			return false;
	}
	return true;
}

const struct cycle raw_reserve = { .work = { .run = run_reserve } };

static bool run_alloc(void *state, size_t times)
{
	struct lane *lane = state;
	void *block;

	for (size_t i = 0; i < times; i++) {
		if (!map(lane, NULL, lane->size, PROT_READ | PROT_WRITE, &block))
			return false;
		lane_touch(lane, block);
		if (!unmap(lane, block, lane->size))
			return false;
	}
	return true;
}

const struct cycle raw_alloc = { .work = { .run = run_alloc } };

static bool run_fresh(void *state, size_t times)
{
	struct lane *lane = state;
	void **block;

	for (size_t i = 0; i < times; i++) {
		block = &lane->fresh[lane->fresh_count];
		if (!map(lane, NULL, lane->size, PROT_READ | PROT_WRITE, block))
			return false;
		lane->fresh_count++;
	}
	return true;
}

static bool unmap_fresh(void *state, size_t times)
{
	struct lane *lane = state;
	bool good = true;

	(void)times;
	while (lane->fresh_count > 0)
		good = unmap(lane, lane->fresh[--lane->fresh_count], lane->size) && good;
	return good;
}

const struct cycle raw_fresh = {
	.work = { .run = run_fresh, .after = unmap_fresh, .most = MOST_FRESH },
};

static bool run_three_calls(void *state, size_t times)
{
	struct lane *lane = state;
	void *block;

	for (size_t i = 0; i < times; i++) {
		if (!map(lane, NULL, lane->size, PROT_NONE, &block) ||
		    !protect(lane, block, lane->size, PROT_READ | PROT_WRITE) ||
		    !unmap(lane, block, lane->size))
			return false;
	}
	return true;
}

const struct cycle raw_three_calls = { .work = { .run = run_three_calls } };

static bool open_protected(struct lane *lane, int protection)
{
	void *block;

	if (!map(lane, NULL, MIB, protection, &block))
		return false;
	lane->region = block;
	return true;
}

static bool open_reserved(struct lane *lane)
{
	return open_protected(lane, PROT_NONE);
}

static void close_region(struct lane *lane)
{
	if (lane->region != NULL)
		(void)unmap(lane, lane->region, MIB);
	lane->region = NULL;
}

static bool run_commit(void *state, size_t times)
{
	struct lane *lane = state;
	char *at = lane->region + 256 * KIB;
	void *block;

	for (size_t i = 0; i < times; i++) {
		if (!protect(lane, at, lane->size, PROT_READ | PROT_WRITE))
			return false;
		lane_touch(lane, at);
		if (!map(lane, at, lane->size, PROT_NONE, &block))
			return false;
	}
	return true;
}

const struct cycle raw_commit = { open_reserved, close_region, { .run = run_commit } };

/* Pages without access around it: nothing to merge with, before and after. */
static bool open_alone(struct lane *lane)
{
	if (!open_reserved(lane) ||
	    !protect(lane, lane->region + 256 * KIB, lane->size, PROT_READ | PROT_WRITE))
		return false;
	lane_touch(lane, lane->region + 256 * KIB);
	return true;
}

static bool run_recommit(void *state, size_t times)
{
	struct lane *lane = state;
	char *at = lane->region + 256 * KIB;

	for (size_t i = 0; i < times; i++) {
		if (!protect(lane, at, lane->size, PROT_READ | PROT_WRITE))
			return false;
	}
	return true;
}

const struct cycle raw_recommit = { open_alone, close_region, { .run = run_recommit } };

static bool run_protect(void *state, size_t times)
{
	struct lane *lane = state;
	char *at = lane->region + 256 * KIB;

	for (size_t i = 0; i < times; i++) {
		if (!protect(lane, at, lane->size, PROT_READ) ||
		    !protect(lane, at, lane->size, PROT_READ | PROT_WRITE))
			return false;
	}
	return true;
}

const struct cycle raw_protect = { open_alone, close_region, { .run = run_protect } };

/* Writable pages around it: each call splits a mapping or merges three. */
static bool open_inside(struct lane *lane)
{
	if (!open_protected(lane, PROT_READ | PROT_WRITE))
		return false;
	lane_touch(lane, lane->region + 256 * KIB);
	return true;
}

const struct cycle raw_protect_inside = { open_inside,
					  close_region,
					  { .run = run_protect } };

static bool run_replace(void *state, size_t times)
{
	struct lane *lane = state;
	void **region;

	for (size_t i = 0; i < times; i++) {
		region = lane_next(lane);
		if (!unmap(lane, *region, GRANULE))
			return false;
		*region = NULL;
		if (!map(lane, NULL, GRANULE, PROT_NONE, region))
			return false;
	}
	return true;
}

const struct cycle raw_replace = { .work = { .run = run_replace } };
