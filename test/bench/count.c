/*
 * What is counted, not timed: mappings of the kernel and resident bytes.
 *
 * Mappings are the lines of /proc/self/maps.  Resident bytes come from smaps_rollup,
 * which walks the page tables; the counter in statm is kept in parts and may be off by
 * some pages for each processor.  Page tables themselves are in neither.
 *
 * A process that has had hosts before keeps records for new ones, and its mappings have
 * a history.  So each of these functions wants a process of its own.
 */
#include "count.h"
#include "machine.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	MILLION = 1000000,
	CHURN_REGION_COUNT = 2000,
	CHURN_STEPS = 20000,
	MOST_CHURN_PAGES = 16, /* in one step */
	ENOUGH_GIB = 6, /* for a million pages, their page tables and the records */
};

static size_t count_maps(void)
{
	char text[1 << 16];
	int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t lines = 0;
	ssize_t got;

	if (file < 0)
		return 0;
	while ((got = read(file, text, sizeof(text))) > 0) {
		for (ssize_t i = 0; i < got; i++)
			lines += text[i] == '\n';
	}
	(void)close(file);
	return lines;
}

static struct result blank(const struct stage *stage, enum count_row_index index)
{
	const struct count_row *row = &count_rows[index];
	struct result result;

	memset(&result, 0, sizeof(result));
	snprintf(result.name, sizeof(result.name), "%s", row->name);
	result.mode = stage->mode;
	result.pages = stage->pages;
	result.threads = 1;
	result.unit = row->unit;
	result.ours_median = result.ours_least = NAN;
	result.raw_median = result.raw_least = NAN;
	result.figure = NAN;
	result.target = row->target;
	result.at_least = row->at_least;
	return result;
}

static void report(const struct stage *stage, enum count_row_index index, size_t live,
		   double figure, const char *note, const struct sink *sink)
{
	struct result result = blank(stage, index);

	result.live = live;
	result.ours_median = result.figure = figure;
	result.verdict = verdict_of(figure, result.target, result.at_least, true);
	snprintf(result.note, sizeof(result.note), "%s", note);
	sink->take(sink->state, &result);
}

static void report_none(const struct stage *stage, enum count_row_index index,
			enum verdict verdict, const char *note, const struct sink *sink)
{
	struct result result = blank(stage, index);

	result.verdict = verdict;
	snprintf(result.note, sizeof(result.note), "%s", note);
	sink->take(sink->state, &result);
}

static bool commit(const struct stage *stage, char *at, size_t size, HRESULT *hr)
{
	void *block;

	*hr = IHostMemoryManager_VirtualAlloc(stage->vm, at, size, MEM_COMMIT,
					      PAGE_READWRITE, eTaskCritical, &block);
	for (size_t i = 0; SUCCEEDED(*hr) && i < size; i += PAGE)
		((volatile char *)at)[i] = 1;
	return SUCCEEDED(*hr);
}

static bool reserve(const struct stage *stage, size_t size, void **block, HRESULT *hr)
{
	*hr = IHostMemoryManager_VirtualAlloc(stage->vm, NULL, size, MEM_RESERVE,
					      PAGE_NOACCESS, eTaskCritical, block);
	return SUCCEEDED(*hr);
}

/* How many there are in the end. */
static size_t make_million(const struct stage *stage, void **regions, HRESULT *hr)
{
	for (size_t i = 0; i < MILLION; i++) {
		if (!reserve(stage, GRANULE, &regions[i], hr))
			return i;
		if (!commit(stage, regions[i], PAGE, hr)) {
			(void)IHostMemoryManager_VirtualFree(stage->vm, regions[i], 0,
							     MEM_RELEASE);
			return i;
		}
	}
	return MILLION;
}

static void run_million(const struct stage *stage, void **regions,
			const struct sink *sink)
{
	size_t lines = count_maps();
	size_t bytes = machine_bytes("/proc/self/smaps_rollup", "Rss:");
	double start = measure_now();
	HRESULT hr = S_OK;
	size_t made = make_million(stage, regions, &hr);
	double ns = measure_now() - start;
	double more = (double)machine_bytes("/proc/self/smaps_rollup", "Rss:") -
		      (double)bytes - (double)(made * PAGE);
	double mappings = (double)count_maps() - (double)lines;
	char note[NOTE_SIZE];

	if (made == MILLION)
		snprintf(note, sizeof(note), "%.0f ns each, the page fault included",
			 ns / MILLION);
	else
		snprintf(note, sizeof(note), "then VirtualAlloc: %s",
			 HostMemResultName(hr));
	report(stage, MILLION_REGIONS, made, (double)made, note, sink);
	report(stage, MILLION_VMAS, made, mappings, "", sink);
	if (made == 0 || bytes == 0)
		report_none(stage, MILLION_METADATA, FAILED,
			    made == 0 ? "no region" : "no /proc/self/smaps_rollup", sink);
	else
		report(stage, MILLION_METADATA, made, more / (double)made, "", sink);
	for (size_t i = 0; i < made; i++)
		(void)IHostMemoryManager_VirtualFree(stage->vm, regions[i], 0,
						     MEM_RELEASE);
}

void count_million(enum mode mode, enum pages pages, const struct sink *sink)
{
	struct stage stage;
	char note[NOTE_SIZE] = "";
	enum verdict verdict = stage_open(&stage, mode, pages, note);
	void **regions = malloc(MILLION * sizeof(*regions));

	stage.mode = mode;
	stage.pages = pages;
	if (verdict == OK &&
	    machine_bytes("/proc/meminfo", "MemAvailable:") < ENOUGH_GIB * GIB) {
		snprintf(note, sizeof(note), "needs %d GiB of memory", ENOUGH_GIB);
		verdict = SKIPPED;
	}
	if (regions == NULL) {
		snprintf(note, sizeof(note), "no memory for the list of regions");
		verdict = FAILED;
	}
	if (verdict == OK) {
		/* Resident before it is counted. */
		memset(regions, 1, MILLION * sizeof(*regions));
		run_million(&stage, regions, sink);
	} else {
		report_none(&stage, MILLION_REGIONS, verdict, note, sink);
		report_none(&stage, MILLION_VMAS, verdict, note, sink);
		report_none(&stage, MILLION_METADATA, verdict, note, sink);
	}
	free(regions);
	stage_close(&stage);
}

/* Where the pages of a step lie: regions of one size, one or many. */
struct field {
	void *regions[CHURN_REGION_COUNT];
	size_t count;
	size_t size; /* bytes of each */
};

static bool churn(const struct stage *stage, const struct field *field, HRESULT *hr)
{
	for (size_t step = 0; step < CHURN_STEPS; step++) {
		size_t pages = 1 + stage_random() % MOST_CHURN_PAGES;
		size_t places = field->size / PAGE - pages + 1;
		char *at = field->regions[stage_random() % field->count];

		at += stage_random() % places * PAGE;
		if (stage_random() % 2 == 0) {
			if (!commit(stage, at, pages * PAGE, hr))
				return false;
			continue;
		}
		*hr = IHostMemoryManager_VirtualFree(stage->vm, at, pages * PAGE,
						     MEM_DECOMMIT);
		if (FAILED(*hr))
			return false;
	}
	for (size_t i = 0; i < field->count; i++) {
		*hr = IHostMemoryManager_VirtualFree(stage->vm, field->regions[i],
						     field->size, MEM_DECOMMIT);
		if (FAILED(*hr))
			return false;
	}
	return true;
}

static bool make_field(const struct stage *stage, struct field *field, HRESULT *hr)
{
	for (size_t i = 0; i < field->count; i++) {
		if (!reserve(stage, field->size, &field->regions[i], hr))
			return false;
	}
	return true;
}

void count_churn(enum count_row_index index, enum mode mode, enum pages pages,
		 const struct sink *sink)
{
	static struct field field;
	struct stage stage;
	char note[NOTE_SIZE] = "";
	enum verdict verdict = stage_open(&stage, mode, pages, note);
	size_t lines = 0;
	HRESULT hr = S_OK;

	stage.mode = mode;
	stage.pages = pages;
	field.count = index == CHURN_REGIONS ? CHURN_REGION_COUNT : 1;
	field.size = index == CHURN_REGIONS ? GRANULE : GIB;
	if (verdict == OK && make_field(&stage, &field, &hr)) {
		lines = count_maps();
		(void)churn(&stage, &field, &hr);
	}
	if (FAILED(hr)) {
		snprintf(note, sizeof(note), "%s", HostMemResultName(hr));
		verdict = FAILED;
	}
	if (verdict == OK)
		report(&stage, index, 0, (double)count_maps() - (double)lines, "", sink);
	else
		report_none(&stage, index, verdict, note, sink);
	/* The last Release of the host gives the regions back. */
	stage_close(&stage);
}
