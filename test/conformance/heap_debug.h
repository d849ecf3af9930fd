/*
 * What the tests of HOSTMEM_DEBUG_HEAP share: a host whose reports are kept, and hands that
 * write where they must not.
 */
#ifndef HOSTMEM_CONFORMANCE_HEAP_DEBUG_H
#define HOSTMEM_CONFORMANCE_HEAP_DEBUG_H

#include "heap.h"

enum { REPORTS = 64 };

struct kept_report {
	HostMemReport report;
	char file[300];
};

struct reports {
	size_t count;
	struct kept_report list[REPORTS];
};

static inline void HOSTMEM_CALL keep_report(void *state, const HostMemReport *report)
{
	struct reports *reports = (struct reports *)state;
	struct kept_report *kept;

	if (!CHECK(reports->count < REPORTS))
		return;
	kept = &reports->list[reports->count++];
	kept->report = *report;
	kept->report.file = NULL;
	if (report->file != NULL && CHECK(strlen(report->file) < sizeof(kept->file))) {
		strcpy(kept->file, report->file);
		kept->report.file = kept->file;
	}
}

/* A debug heap that reports to `reports`. */
static inline bool debug_yard(struct yard *yard, DWORD type, uint32_t flags,
			      struct reports *reports)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;

	config.dwFlags = HOSTMEM_MONITOR_OFF | flags;
	config.report = reports != NULL ? keep_report : NULL;
	config.reportState = reports;
	if (reports != NULL)
		reports->count = 0;
	return yard_make_with(yard, &config, type);
}

/* Writes a byte that differs, out of sight of the compiler. */
static inline void scribble(void *block, ptrdiff_t offset)
{
	volatile unsigned char *byte = (volatile unsigned char *)block + offset;

	*byte = (unsigned char)~*byte;
}

/* The latest report, and that there are so many. */
#define CHECK_REPORT(reports, number, kind, block, size, offset, file, line) \
	check_report((reports), (number), (kind), (block), (size), (offset), (file), \
		     (line), __LINE__)

static inline void check_report(const struct reports *reports, size_t number,
				HostMemReportKind kind, const void *block, size_t size,
				ptrdiff_t offset, const char *file, int line, int source)
{
	const HostMemReport *report = &reports->list[number].report;

	if (!tap_check_unsigned(reports->count > number, true, "there is such a report",
				__FILE__, source))
		return;
	tap_check_unsigned(report->cbSize, sizeof(*report), "cbSize", __FILE__, source);
	tap_check_int((int)report->kind, (int)kind, "kind", __FILE__, source);
	tap_check_pointer(report->block, block, "block", __FILE__, source);
	tap_check_unsigned(report->size, size, "size", __FILE__, source);
	tap_check_int((int)report->offset, (int)offset, "offset", __FILE__, source);
	tap_check_int(report->line, line, "line", __FILE__, source);
	if (file == NULL || report->file == NULL)
		tap_check_pointer(report->file, file, "file", __FILE__, source);
	else
		tap_check_str(report->file, file, "file", __FILE__, source);
}

#endif
