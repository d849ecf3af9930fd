/*
 * Reports: what a heap has found, to the host's callback or as a line on the standard
 * error.
 *
 * A line is written in one piece and looks like this:
 *
 *	hostmem: overrun of block 0x7f52a4010010 (100 bytes, parser.c:31) at byte 100
 *	hostmem: 0x7f52a4010020 is freed, and no block of its heap
 *
 * A name comes from the program, so what is no visible character in it is not printed as
 * it is, and it is never a format.  Bytes from 128 on are: most of them are UTF-8.
 *
 * No locks.
 */
#include "reports.h"
#include "os/console.h"
#include "os/lock.h"
#include "os/size.h"

#include <stdio.h>
#include <string.h>

#define LINE 512

void hm_finding_set(struct hm_finding *finding, HostMemReportKind kind,
		    const struct hm_record *record, ptrdiff_t offset)
{
	HostMemReport *report = &finding->report;

	memset(finding, 0, sizeof(*finding));
	report->cbSize = sizeof(*report);
	report->kind = kind;
	report->block = (void *)hm_record_block(record);
	report->size = record->size;
	report->offset = offset;
	report->line = record->line;
	if (record->name == NULL)
		return;
	memcpy(finding->file, record->name->text, record->name->length + 1);
	report->file = finding->file;
}

void hm_finding_set_unknown(struct hm_finding *finding, void *block)
{
	memset(finding, 0, sizeof(*finding));
	finding->report.cbSize = sizeof(finding->report);
	finding->report.kind = HostMemReportNotABlock;
	finding->report.block = block;
}

/* ---- As a line ---- */

static const char *words_for(HostMemReportKind kind)
{
	static const char *const words[] = {
		[HostMemReportLeak] = "leak of",
		[HostMemReportOverrun] = "overrun of",
		[HostMemReportUnderrun] = "underrun of",
		[HostMemReportDoubleFree] = "double free of",
		[HostMemReportWrittenAfterFree] = "write after free of",
	};

	return words[kind];
}

static void hide_control(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7F)
			*text = '?';
	}
}

static int describe(const HostMemReport *report, char *line, size_t size)
{
	char name[HM_FILENAME_LARGEST + 1] = "", where[HM_FILENAME_LARGEST + 32] = "";
	char place[32] = "";

	if (report->kind == HostMemReportNotABlock)
		return snprintf(line, size,
				"hostmem: %p is freed, and no block of its heap\n",
				report->block);
	if (report->file != NULL) {
		(void)snprintf(name, sizeof(name), "%s", report->file);
		hide_control(name);
		(void)snprintf(where, sizeof(where), ", %s:%d", name, (int)report->line);
	}
	if (report->kind != HostMemReportLeak && report->kind != HostMemReportDoubleFree)
		(void)snprintf(place, sizeof(place), " at byte %td", report->offset);
	return snprintf(line, size, "hostmem: %s block %p (%zu bytes%s)%s\n",
			words_for(report->kind), report->block, report->size, where,
			place);
}

void hm_finding_tell(struct hm_finding *finding, const struct hm_host *host, void *heap)
{
	char line[LINE];
	int length;

	hm_lock_assert_none_held();
	finding->report.heap = heap;
	if (host->report != NULL) {
		host->report(host->report_state, &finding->report);
		return;
	}
	length = describe(&finding->report, line, sizeof(line));
	if (length > 0)
		hm_console_write(line, hm_min((size_t)length, sizeof(line) - 1));
}
