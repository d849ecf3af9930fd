/*
 * What the samples print at their end: what the host saw, and whether it is true.
 *
 * sample_report prints the books that sample.h keeps.  sample_verify compares them: the
 * events with GetUsage, the walk of the regions with VirtualQuery, all with the kernel's
 * list.  sample_close gives the host up and looks whether anything is left.
 */
#ifndef SAMPLE_REPORT_H
#define SAMPLE_REPORT_H

#include "sample.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define SAMPLE_FORMAT __attribute__((format(printf, 2, 3)))

enum { SAMPLE_ROWS = 4 }; /* of the drawing */

/* "85.0 MiB", "16 KiB", "0"; the text is good until the fourth next call. */
static inline const char *sample_size(uint64_t bytes)
{
	static char texts[4][32];
	static unsigned next;
	char *text = texts[next++ % 4];

	if (bytes == 0)
		snprintf(text, sizeof(texts[0]), "0");
	else if (bytes < 1024)
		snprintf(text, sizeof(texts[0]), "%u B", (unsigned)bytes);
	else if (bytes >= 1U << 20)
		snprintf(text, sizeof(texts[0]), "%.1f MiB", (double)bytes / (1U << 20));
	else
		snprintf(text, sizeof(texts[0]), "%.0f KiB", (double)bytes / 1024);
	return text;
}

/* One line of a table; -1 leaves a column empty. */
static inline void sample_row(const char *name, int64_t times, int64_t bytes)
{
	char count[24] = "";

	if (times >= 0)
		snprintf(count, sizeof(count), "%lld", (long long)times);
	if (bytes < 0)
		printf("  %-46s %9s\n", name, count);
	else
		printf("  %-46s %9s %13s\n", name, count, sample_size((uint64_t)bytes));
}

SAMPLE_FORMAT static inline bool sample_check(bool holds, const char *format, ...)
{
	va_list arguments;

	printf("  %s  ", holds ? "ok   " : "WRONG");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	return holds;
}

/* What was committed when, as a drawing of SAMPLE_ROWS lines; the peak is its height. */
static inline void sample_draw(const struct sample *s, const char *title)
{
	static const char plain[] = " ...:::##";
	bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;

	printf("\n%s\n", title);
	for (int row = SAMPLE_ROWS - 1; row >= 0; row--) {
		const char *label = row == SAMPLE_ROWS - 1 ? sample_size(s->peak) : "";

		printf("  %12s |", row == 0 ? "0" : label);
		for (unsigned i = 0; i < s->columns; i++) {
			double parts = (double)s->column[i] * SAMPLE_ROWS * 8 /
				       (double)(s->peak + !s->peak);
			int full = (int)(parts + 0.999) - row * 8;

			full = full < 0 ? 0 : full > 8 ? 8 : full;
			if (utf8 && full > 0)
				printf("\xe2\x96%c", 0x80 + full); /* U+2581 to U+2588 */
			else
				putchar(plain[full]);
		}
		putchar('\n');
	}
	printf("  %12s  0 s%*.2f s\n", "", (int)s->columns - 5, s->slice * s->columns);
}

static inline BOOL HOSTMEM_CALL sample_walked(void *state,
					      const MEMORY_BASIC_INFORMATION *run)
{
	struct sample *s = state;

	if (s->run_count == s->runs_with_room) {
		size_t room = s->runs_with_room * 2 + 64;
		MEMORY_BASIC_INFORMATION *runs = realloc(s->runs, room * sizeof(*runs));

		if (runs == NULL)
			return FALSE; /* the comparison will tell */
		s->runs = runs;
		s->runs_with_room = room;
	}
	s->runs[s->run_count++] = *run;
	return TRUE;
}

static inline bool sample_query_agrees(struct sample *s,
				       const MEMORY_BASIC_INFORMATION *run)
{
	MEMORY_BASIC_INFORMATION got;
	SIZE_T length;
	HRESULT hr = IHostMemoryManager_VirtualQuery(s->memory, run->BaseAddress, &got,
						     sizeof(got), &length);

	return SUCCEEDED(hr) && got.BaseAddress == run->BaseAddress &&
	       got.AllocationBase == run->AllocationBase && got.State == run->State &&
	       got.RegionSize == run->RegionSize && got.Protect == run->Protect;
}

/* Reads the kernel's list up to the next mapping with read and write; false: no more. */
static inline bool sample_next_mapping(FILE *maps, uintptr_t *start, uintptr_t *end)
{
	unsigned long from, to;
	char access[8], line[512];

	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, access) != 3 ||
		    strncmp(access, "rw-p", 4) != 0)
			continue;
		*start = from;
		*end = to;
		return true;
	}
	return false;
}

/*
 * How many bytes of the committed runs of the last walk the kernel has mapped, with read
 * and write; SIZE_MAX if its list cannot be read.
 */
static inline size_t sample_mapped(const struct sample *s)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uintptr_t start, end;
	size_t bytes = 0;

	if (maps == NULL)
		return SIZE_MAX;
	while (sample_next_mapping(maps, &start, &end)) {
		for (size_t i = 0; i < s->run_count; i++) {
			uintptr_t from = (uintptr_t)s->runs[i].BaseAddress;
			uintptr_t to = from + s->runs[i].RegionSize;

			from = from < start ? start : from;
			to = to > end ? end : to;
			if (s->runs[i].State == MEM_COMMIT && from < to)
				bytes += to - from;
		}
	}
	fclose(maps);
	return bytes;
}

static inline bool sample_is_all_mapped(uintptr_t from, uintptr_t to)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uintptr_t start, end;

	/* In the order of addresses. */
	while (maps != NULL && from < to && sample_next_mapping(maps, &start, &end)) {
		if (start <= from && from < end)
			from = end;
	}
	if (maps != NULL)
		fclose(maps);
	return maps == NULL || from >= to;
}

/*
 * The same after they were given back: the addresses are anybody's then, and a library may
 * have mapped something there.  So those runs count that are still mapped from end to end.
 */
static inline size_t sample_left(const struct sample *s)
{
	size_t bytes = 0;

	for (size_t i = 0; i < s->run_count; i++) {
		uintptr_t from = (uintptr_t)s->runs[i].BaseAddress;
		size_t size = s->runs[i].RegionSize;

		if (s->runs[i].State == MEM_COMMIT &&
		    sample_is_all_mapped(from, from + size))
			bytes += size;
	}
	return bytes;
}

static inline void sample_report_calls(const struct sample *s)
{
	static const char *const levels[] = { "task-critical", "domain-critical",
					      "process-critical" };

	printf("\n%-48s %9s %13s\n", "What the host saw", "calls", "bytes");
	if (s->allocs.times != 0) {
		sample_row("VirtualAlloc, reserve and commit", (int64_t)s->allocs.times,
			   (int64_t)s->allocs.bytes);
		sample_row("VirtualFree, release", (int64_t)s->frees.times,
			   (int64_t)s->frees.bytes);
	}
	if (s->heap != NULL) {
		sample_row("Alloc, for a block", (int64_t)s->blocks, -1);
		sample_row("Realloc", (int64_t)s->resized, -1);
		sample_row("  of both, refused", (int64_t)s->refused_blocks, -1);
		sample_row("Free", (int64_t)s->blocks_freed, -1);
	}

	printf("%-48s %9s %13s\n", "", "requests", "charged");
	for (int level = eProcessCritical; level >= eTaskCritical; level--) {
		if (s->granted[level].times != 0)
			sample_row(levels[level], (int64_t)s->granted[level].times,
				   (int64_t)s->granted[level].bytes);
	}
	sample_row("  of both, pages for the heap", (int64_t)s->heap_granted.times,
		   (int64_t)s->heap_granted.bytes);
	sample_row("refused", (int64_t)s->refused.times, (int64_t)s->refused.bytes);
}

/* Prints what the host saw so far. */
static inline void sample_report(struct sample *s)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	HostMemBudget budget = HOSTMEM_BUDGET_INIT;
	struct rusage process;

	getrusage(RUSAGE_SELF, &process);
	setlocale(LC_CTYPE, "");
	pthread_mutex_lock(&s->lock);
	sample_plot(s, s->committed);
	pthread_mutex_unlock(&s->lock);
	IHostMemoryControl_GetUsage(s->control, &usage);
	IHostMemoryControl_GetBudget(s->control, &budget);

	sample_report_calls(s);
	printf("%-48s %9s %13s\n", "", "live", "bytes");
	sample_row("regions, with the heap's", (int64_t)usage.cRegions,
		   (int64_t)usage.cbReserved);
	sample_row("blocks in the heap", (int64_t)usage.cBlocks, (int64_t)usage.cbHeap);
	sample_row("  their pages", -1, (int64_t)usage.cbHeapPages);
	sample_row("charged now", -1, (int64_t)usage.cbCharged);
	sample_row("at the peak", -1, (int64_t)usage.cbPeakCharged);
	if (budget.cbLimit != SIZE_MAX)
		sample_row("the limit", -1, (int64_t)budget.cbLimit);
	sample_row("the whole process, resident, at its peak", -1,
		   (int64_t)process.ru_maxrss * 1024);
	sample_draw(s, "Committed bytes over the run");
}

/* What was heard against what was asked, and both against the host's account. */
static inline bool sample_verify_books(struct sample *s)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	uint64_t allocated = 0, pages;
	bool asked, good;

	for (int level = eTaskCritical; level <= eProcessCritical; level++)
		allocated += s->granted[level].bytes;
	pages = s->heap_granted.bytes - s->heap_freed.bytes;
	IHostMemoryControl_GetUsage(s->control, &usage);

	asked = s->heap == NULL ||
		(allocated == s->allocs.bytes + s->heap_granted.bytes &&
		 s->freed.bytes == s->frees.bytes + s->heap_freed.bytes);
	good = sample_check(asked && s->peak >= usage.cbPeakCharged &&
				    allocated - s->freed.bytes == usage.cbCharged,
			    "the books balance: %s allocated - %s freed = %s in use",
			    sample_size(allocated), sample_size(s->freed.bytes),
			    sample_size(usage.cbCharged));
	good &= sample_check(pages == usage.cbHeapPages && usage.cbHeap <= pages,
			     "of these the heap has %s, its blocks fill %s",
			     sample_size(pages), sample_size(usage.cbHeap));
	if (s->heap != NULL)
		good &= sample_check(s->blocks - s->blocks_freed == usage.cBlocks,
				     "%llu blocks, the host says as many",
				     (unsigned long long)(s->blocks - s->blocks_freed));
	return good;
}

/* Compares the books with each other and with the kernel's; false if two differ. */
static inline bool sample_verify(struct sample *s)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	size_t committed = 0, writable = 0, regions = 0, agreed = 0;
	bool walked, good;

	s->run_count = 0;
	walked = SUCCEEDED(IHostMemoryControl_WalkRegions(s->control, sample_walked, s));
	for (size_t i = 0; i < s->run_count; i++) {
		const MEMORY_BASIC_INFORMATION *run = &s->runs[i];

		regions += run->BaseAddress == run->AllocationBase;
		committed += run->State == MEM_COMMIT ? run->RegionSize : 0;
		if (run->State == MEM_COMMIT && run->Protect == PAGE_READWRITE)
			writable += run->RegionSize;
		agreed += sample_query_agrees(s, run);
	}
	IHostMemoryControl_GetUsage(s->control, &usage);

	printf("\nAre these numbers true?\n");
	good = sample_verify_books(s);
	good &= sample_check(walked && regions == usage.cRegions &&
				     committed == usage.cbCommitted,
			     "a walk of the regions finds %zu with %s committed", regions,
			     sample_size(committed));
	good &= sample_check(agreed == s->run_count,
			     "VirtualQuery says the same of %zu out of %zu", agreed,
			     s->run_count);
	good &= sample_check(sample_mapped(s) == writable,
			     "the kernel has %s of that mapped, readable and writable",
			     sample_size(sample_mapped(s)));
	return good;
}

/*
 * Returns when this is the only thread, or after some seconds: there may be threads that are
 * not to end.  A thread that the runtime takes for ended may be on its way out: its last
 * calls free what it had.
 */
static inline void sample_wait_alone(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (unsigned i = 0; i < 5000; i++) {
		struct stat tasks;

		/* A directory for each thread, and two more links. */
		if (stat("/proc/self/task", &tasks) != 0 || tasks.st_nlink <= 3)
			return;
		nanosleep(&moment, NULL);
	}
}

/* Gives up the heap; false if it does not take all of its pages and blocks along. */
static inline bool sample_close_heap(struct sample *s)
{
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	uint64_t kept = s->blocks - s->blocks_freed;
	bool gone = IHostMalloc2_Release(s->heap) == 0;

	s->heap = NULL;
	IHostMemoryControl_GetUsage(s->control, &usage);
	return sample_check(gone && usage.cbHeap == 0 && usage.cBlocks == 0 &&
				    usage.cbHeapPages == 0 &&
				    usage.cLeakedBlocks == kept &&
				    usage.cbCharged == s->allocs.bytes - s->frees.bytes,
			    "%llu blocks kept by the runtime, gone with the heap; %s is "
			    "still charged",
			    (unsigned long long)kept, sample_size(usage.cbCharged));
}

/* Gives up the host and what the runtime has kept; false if something is left. */
static inline bool sample_close(struct sample *s)
{
	bool gone, good;
	size_t kept;

	sample_wait_alone();
	good = sample_close_heap(s);
	kept = s->committed;

	s->run_count = 0;
	IHostMemoryControl_WalkRegions(s->control, sample_walked, s);
	IHostMemoryControl_Release(s->control);
	gone = IHostMemoryManager_Release(s->memory) == 0;
	good &= sample_check(gone && s->committed == 0 && sample_left(s) == 0,
			     "%s kept by the runtime; the last Release gave it back",
			     sample_size(kept));
	free(s->runs);
	pthread_mutex_destroy(&s->lock);
	return good;
}

#endif /* SAMPLE_REPORT_H */
