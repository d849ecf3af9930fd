/*
 * How much of a program's memory its host has, asked from inside.
 *
 * The kernel knows what memory a process has (/proc/self/smaps), the host knows what it gave
 * out, and names that would tell the one of the other are not in every kernel.  So this is
 * loaded into a program beside the preload library.  A thread of it waits for the file "peak"
 * in the folder that HOSTMEM_SHARE names, compares, and leaves a file "share" there:
 *
 *	outside BYTES WHAT             for each mapping with memory that is not the host's
 *	share ANONYMOUS HOSTS FILES    the sums, in bytes
 *
 * or, if it could not compare, "failed" and why.
 *
 * What counts
 *   - ANONYMOUS is all that the kernel calls so: pages that are there and have contents which
 *     are in no file.  Nothing is left out of it: stacks, the data of libraries, this library's
 *     own tables and the host's are all in it.
 *   - FILES is the part of it in private mappings of files: pages that somebody has written to,
 *     copies of the file's.  Nobody asked for them as memory, and no host has them; they count
 *     as not the host's also where the file is mapped over a reservation of the host.
 *   - HOSTS is what lies in reservations of the host, and in no file.
 *
 * A mapping may lie in reservations in part, since the kernel joins neighbours that are alike.
 * Then the rest of it is looked at page by page, and all that is there counts as outside:
 * the share may come out too small by that, and never too large.
 */
#include "abi/attach.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((uintptr_t)4096)

enum { MOST_RUNS = 1 << 16, ENTRIES = 4096, LINE_SIZE = 4096 + 128 };

struct run {
	uintptr_t start, end;
};

/* The reservations of the host, neighbours joined, in order. */
static struct {
	struct run all[MOST_RUNS];
	size_t count;
	bool is_full;
} runs;

struct mapping {
	uintptr_t start, end;
	uint64_t file; /* the number of its inode, 0: there is none */
	char what[256];
};

struct sums {
	uint64_t anonymous, hosts, files;
};

/* ---- The host's side ---- */

static BOOL HOSTMEM_CALL take_run(void *state, const MEMORY_BASIC_INFORMATION *info)
{
	uintptr_t start = (uintptr_t)info->BaseAddress;

	(void)state;
	if (info->State == MEM_FREE)
		return TRUE;
	if (runs.count != 0 && runs.all[runs.count - 1].end == start) {
		runs.all[runs.count - 1].end = start + info->RegionSize;
		return TRUE;
	}
	runs.is_full = runs.count == MOST_RUNS;
	if (!runs.is_full)
		runs.all[runs.count++] = (struct run){ start, start + info->RegionSize };
	return !runs.is_full;
}

/* NULL, or what is wrong. */
static const char *take_runs(void)
{
	HRESULT (*attached_host)(REFIID, void **);
	void *symbol = dlsym(RTLD_DEFAULT, "HostMemAttachedHost");
	void *control;
	HRESULT hr;

	if (symbol == NULL)
		return "no preload library";
	memcpy(&attached_host, &symbol, sizeof(attached_host));
	if (attached_host(&IID_IHostMemoryControl, &control) != S_OK)
		return "no host is attached";
	hr = IHostMemoryControl_WalkRegions((IHostMemoryControl *)control, take_run,
					    NULL);
	(void)IHostMemoryControl_Release((IHostMemoryControl *)control);
	if (FAILED(hr))
		return "the host does not tell its regions";
	return runs.is_full ? "the host has more regions than fit" : NULL;
}

/* ---- The kernel's side ---- */

/*
 * Bytes of pages that are there, by the page map: mincore takes the kernel's guard pages,
 * which the host has in its arenas, for pages.
 */
static uint64_t resident(uintptr_t start, uintptr_t end)
{
	static uint64_t entries[ENTRIES];
	static int map = -1;
	uint64_t sum = 0;

	if (map < 0)
		map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	while (start < end) {
		size_t left = (end - start) / PAGE;
		size_t count = left < ENTRIES ? left : ENTRIES;
		ssize_t got = pread(map, entries, count * sizeof(entries[0]),
				    (off_t)(start / PAGE * sizeof(entries[0])));

		/* What the page map does not tell is taken for a page. */
		for (size_t i = 0; i < count; i++) {
			bool is_known = (ssize_t)((i + 1) * sizeof(entries[0])) <= got;

			sum += !is_known || entries[i] >> 63 ? PAGE : 0;
		}
		start += count * PAGE;
	}
	return sum;
}

/* Bytes of [start, end) that are there, and in no reservation. */
static uint64_t resident_outside(uintptr_t start, uintptr_t end)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < runs.count && runs.all[i].start < end; i++) {
		if (runs.all[i].end <= start)
			continue;
		if (runs.all[i].start > start)
			sum += resident(start, runs.all[i].start);
		start = runs.all[i].end;
	}
	return start < end ? sum + resident(start, end) : sum;
}

/* ---- Both ---- */

static void add(const struct mapping *mapping, uint64_t anonymous, struct sums *sums,
		FILE *out)
{
	uint64_t outside = anonymous;

	if (mapping->file == 0)
		outside = resident_outside(mapping->start, mapping->end);
	if (outside > anonymous)
		outside = anonymous;
	sums->anonymous += anonymous;
	sums->hosts += anonymous - outside;
	if (mapping->file != 0)
		sums->files += anonymous;
	if (outside != 0)
		(void)fprintf(out, "outside %" PRIu64 " %#" PRIxPTR " %s\n", outside,
			      mapping->start, mapping->what);
}

/* Whether the line begins the account of a mapping; others have a word first. */
static bool is_mapping(const char *line, struct mapping *out)
{
	struct mapping mapping = { .what = "" };

	if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %" SCNu64 " %255[^\n]",
		   &mapping.start, &mapping.end, &mapping.file, mapping.what) < 3)
		return false;
	*out = mapping;
	return true;
}

/* NULL, or what is wrong. */
static const char *compare(FILE *list, FILE *out)
{
	static char line[LINE_SIZE];
	struct mapping mapping = { .what = "" };
	struct sums sums = { 0 };
	uint64_t kib;

	while (fgets(line, sizeof(line), list) != NULL) {
		if (is_mapping(line, &mapping))
			continue;
		if (sscanf(line, "Anonymous: %" SCNu64 " kB", &kib) == 1 && kib != 0)
			add(&mapping, kib * 1024, &sums, out);
	}
	(void)fprintf(out, "share %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", sums.anonymous,
		      sums.hosts, sums.files);
	return sums.anonymous != 0 ? NULL : "the kernel tells of no memory";
}

static void report(const char *folder)
{
	char path[1024], part[1024];
	FILE *list = fopen("/proc/self/smaps", "re"), *out;
	const char *wrong = "there is no /proc/self/smaps";

	(void)snprintf(path, sizeof(path), "%s/share", folder);
	(void)snprintf(part, sizeof(part), "%s/share.part", folder);
	out = fopen(part, "we");
	if (out == NULL)
		return;
	if (list != NULL)
		wrong = take_runs();
	if (wrong == NULL)
		wrong = compare(list, out);
	if (wrong != NULL)
		(void)fprintf(out, "failed: %s\n", wrong);
	(void)fclose(out);
	/* Whoever sees it sees all of it. */
	(void)rename(part, path);
	if (list != NULL)
		(void)fclose(list);
}

static void *wait_for_the_peak(void *argument)
{
	const struct timespec moment = { 0, 20000000 };
	const char *folder = argument;
	char peak[1024];

	(void)snprintf(peak, sizeof(peak), "%s/peak", folder);
	while (access(peak, F_OK) != 0)
		(void)nanosleep(&moment, NULL);
	report(folder);
	return NULL;
}

__attribute__((constructor)) static void begin(void)
{
	char *folder = getenv("HOSTMEM_SHARE");
	pthread_t thread;

	if (folder != NULL)
		(void)pthread_create(&thread, NULL, wait_for_the_peak, folder);
}
