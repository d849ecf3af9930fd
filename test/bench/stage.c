/*
 * Where a row is measured: a host, and the regions that live in the background.
 *
 * Both sides have as many of them.  Those of the system are made by one mmap: the kernel
 * merges mappings that are alike, so making them one by one would end in the same place.
 * A row that replaces them moves them about; giving them back therefore goes by what is
 * there, in runs, and never touches what somebody else has mapped in between.
 *
 * The sets are shuffled where they lie, so that a row which wants a random order walks
 * them from the first to the last.
 */
#include "stage.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

unsigned stage_random(void)
{
	static uint64_t state = 88172645463325252U;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 16);
}

bool stage_kernel_guards(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	bool there;

	if (page == MAP_FAILED)
		return false;
	there = madvise(page, PAGE, MADV_GUARD_INSTALL) == 0;
	(void)munmap(page, PAGE);
	return there;
}

enum verdict stage_open(struct stage *stage, enum mode mode, enum pages pages,
			char note[NOTE_SIZE])
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	HRESULT hr;

	memset(stage, 0, sizeof(*stage));
	stage->mode = mode;
	stage->pages = pages;
	if (pages == GUARD && !stage_kernel_guards()) {
		snprintf(note, NOTE_SIZE, "this kernel has no guard pages");
		return SKIPPED;
	}
	if (pages == PROTECT)
		config.dwFlags |= HOSTMEM_NO_GUARD_PAGES;
	if (mode == RETAIN)
		config.cbRetain = RETAINED;
	hr = HostMemCreate(&config, &IID_IHostMemoryControl, (void **)&stage->control);
	if (hr == E_NOTIMPL && mode == RETAIN) {
		snprintf(note, NOTE_SIZE, "not in this build");
		return SKIPPED;
	}
	if (SUCCEEDED(hr))
		hr = IHostMemoryControl_QueryInterface(stage->control,
						       &IID_IHostMemoryManager,
						       (void **)&stage->vm);
	if (SUCCEEDED(hr))
		return OK;
	snprintf(note, NOTE_SIZE, "HostMemCreate: %s", HostMemResultName(hr));
	stage_close(stage);
	return FAILED;
}

static int compare(const void *left, const void *right)
{
	uintptr_t a = *(const uintptr_t *)left, b = *(const uintptr_t *)right;

	return (a > b) - (a < b);
}

static void drop_raw(struct live_set *set)
{
	size_t first = 0;

	if (set->count > 0)
		qsort(set->regions, set->count, sizeof(*set->regions), compare);
	while (first < set->count) {
		char *start = set->regions[first];
		size_t end = first + 1;

		while (end < set->count && start != NULL &&
		       set->regions[end] == start + (end - first) * GRANULE)
			end++;
		if (start != NULL)
			(void)munmap(start, (end - first) * GRANULE);
		first = end;
	}
	set->count = 0;
}

static void drop_ours(struct stage *stage)
{
	for (size_t i = 0; i < stage->ours.count; i++) {
		if (stage->ours.regions[i] != NULL)
			(void)IHostMemoryManager_VirtualFree(stage->vm,
							     stage->ours.regions[i], 0,
							     MEM_RELEASE);
	}
	stage->ours.count = 0;
}

void stage_close(struct stage *stage)
{
	drop_ours(stage);
	drop_raw(&stage->raw);
	free(stage->ours.regions);
	free(stage->raw.regions);
	if (stage->vm != NULL)
		(void)IHostMemoryManager_Release(stage->vm);
	if (stage->control != NULL)
		(void)IHostMemoryControl_Release(stage->control);
	memset(stage, 0, sizeof(*stage));
}

static bool make_room(struct live_set *set, size_t count, char note[NOTE_SIZE])
{
	void **regions = realloc(set->regions, count * sizeof(*regions));

	if (regions == NULL) {
		snprintf(note, NOTE_SIZE, "no memory for the list of %zu regions", count);
		return false;
	}
	set->regions = regions;
	return true;
}

static void shuffle(struct live_set *set)
{
	for (size_t left = set->count; left > 1; left--) {
		size_t other = stage_random() % left;
		void *region = set->regions[left - 1];

		set->regions[left - 1] = set->regions[other];
		set->regions[other] = region;
	}
}

static bool grow_ours(struct stage *stage, size_t count, char note[NOTE_SIZE])
{
	struct live_set *set = &stage->ours;
	HRESULT hr;

	if (!make_room(set, count, note))
		return false;
	for (; set->count < count; set->count++) {
		hr = IHostMemoryManager_VirtualAlloc(stage->vm, NULL, GRANULE,
						     MEM_RESERVE, PAGE_NOACCESS,
						     eTaskCritical,
						     &set->regions[set->count]);
		if (FAILED(hr)) {
			snprintf(note, NOTE_SIZE, "VirtualAlloc: %s at the %zuth region",
				 HostMemResultName(hr), set->count + 1);
			return false;
		}
	}
	shuffle(set);
	return true;
}

static bool grow_raw(struct live_set *set, size_t count, char note[NOTE_SIZE])
{
	char *start;

	drop_raw(set);
	if (!make_room(set, count, note))
		return false;
	start = mmap(NULL, count * GRANULE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED) {
		snprintf(note, NOTE_SIZE, "mmap of %zu regions: %s", count,
			 strerror(errno));
		return false;
	}
	for (; set->count < count; set->count++)
		set->regions[set->count] = start + set->count * GRANULE;
	shuffle(set);
	return true;
}

bool stage_live(struct stage *stage, size_t count, char note[NOTE_SIZE])
{
	/* One for each of two threads. */
	count = count < MEASURE_THREADS ? MEASURE_THREADS : count;
	return grow_ours(stage, count, note) && grow_raw(&stage->raw, count, note);
}
