/*
 * The report for people: first what failed, with what was found; then, area by area and
 * group by group, how much passed; then the verdict in one line.
 *
 * The groups are columns, because they are what a module's author asks for first: a runtime
 * breaks on a required case, hardly anybody notices a detail of Windows.
 */
#include "conform.h"
#include "display.h"

#include <string.h>

enum { GROUPS = HM_WINDOWS_DETAIL + 1, SHOWN = 8 };

struct tally {
	unsigned passed, failed, skipped;
};

/* ---- What failed ---- */

/* `most` lines of a text, indented; how many there are more. */
static void print_lines(const char *text, unsigned most, const char *indent, FILE *out)
{
	unsigned line = 0;

	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		if (line++ < most) {
			char copy[1024];

			(void)snprintf(copy, sizeof(copy), "%.*s", (int)length, text);
			(void)fputs(indent, out);
			hm_display_text(out, copy);
			(void)fputc('\n', out);
		}
		text += length + (text[length] == '\n' ? 1 : 0);
	}
	if (line > most)
		(void)fprintf(out, "%s... and %u more\n", indent, line - most);
}

static void print_failure(const struct hm_outcome *outcome, FILE *out)
{
	(void)fprintf(out, "FAILED %s (%s)\n", outcome->entry.name,
		      hm_group_name(outcome->entry.group));
	(void)fprintf(out, "  rule: %s\n", outcome->entry.what->source);
	print_lines(outcome->findings, SHOWN, "  ", out);
	if (outcome->output[0] != '\0') {
		(void)fprintf(out, "  it printed:\n");
		print_lines(outcome->output, SHOWN, "    ", out);
	}
	(void)fputc('\n', out);
}

/* Trials that were skipped, by why. */
static void print_skips(const struct hm_report *report, FILE *out)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct hm_outcome *outcome = &report->outcomes[i];

		if (outcome->verdict == HM_SKIPPED) {
			(void)fprintf(out, "skipped %s: ", outcome->entry.name);
			hm_display_text(out, outcome->skip);
			(void)fputc('\n', out);
		}
	}
	if (hm_report_count(report, HM_SKIPPED) != 0)
		(void)fputc('\n', out);
}

/* ---- The table ---- */

static void count_in(struct tally *tally, const struct hm_outcome *outcome)
{
	if (outcome->verdict == HM_PASSED)
		tally->passed++;
	else if (outcome->verdict == HM_FAILED)
		tally->failed++;
	else
		tally->skipped++;
}

static void print_cells(const char *name, const struct tally *tallies, FILE *out)
{
	(void)fprintf(out, "%-20s", name);
	for (int g = HM_REQUIRED; g < GROUPS; g++) {
		const struct tally *tally = &tallies[g];
		char cell[48] = "-", skipped[24] = "";

		if (tally->skipped != 0)
			(void)snprintf(skipped, sizeof(skipped), " (%u skipped)",
				       tally->skipped);
		if (tally->passed + tally->failed + tally->skipped != 0)
			(void)snprintf(cell, sizeof(cell), "%u of %u%s", tally->passed,
				       tally->passed + tally->failed, skipped);
		(void)fprintf(out, "  %-22s", cell);
	}
	(void)fputc('\n', out);
}

static void print_table(const struct hm_report *report, FILE *out)
{
	struct tally all[GROUPS];
	size_t i = 0;

	memset(all, 0, sizeof(all));
	(void)fprintf(out, "%-20s", "passed");
	for (int g = HM_REQUIRED; g < GROUPS; g++)
		(void)fprintf(out, "  %-22s", hm_group_name((enum hm_group)g));
	(void)fputc('\n', out);
	while (i < report->count) {
		const char *area = report->outcomes[i].entry.area;
		struct tally row[GROUPS];

		memset(row, 0, sizeof(row));
		for (; i < report->count && report->outcomes[i].entry.area == area; i++) {
			count_in(&row[report->outcomes[i].entry.group],
				 &report->outcomes[i]);
			count_in(&all[report->outcomes[i].entry.group],
				 &report->outcomes[i]);
		}
		print_cells(area, row, out);
	}
	print_cells("all", all, out);
}

void hm_conform_print_text(const struct hm_report *report, FILE *out)
{
	uint64_t checks = 0;

	for (size_t i = 0; i < report->count; i++) {
		checks += report->outcomes[i].checks;
		if (report->outcomes[i].verdict == HM_FAILED)
			print_failure(&report->outcomes[i], out);
	}
	print_skips(report, out);
	print_table(report, out);
	(void)fprintf(out,
		      "\n%u passed, %u failed, %u skipped; %llu checks in %.1f s: %s\n",
		      hm_report_count(report, HM_PASSED),
		      hm_report_count(report, HM_FAILED),
		      hm_report_count(report, HM_SKIPPED), (unsigned long long)checks,
		      report->seconds,
		      hm_report_is_good(report) ? "conforms" : "does not conform");
}
