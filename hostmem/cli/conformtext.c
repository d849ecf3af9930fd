/*
 * The report for people: what failed, with what was found; what could not be asked, by why;
 * then, area by area and group by group, how much passed; and in the end the verdict.
 *
 * The groups order everything, because they are what a module's author asks for first: a
 * runtime breaks on a required case, hardly anybody notices a detail of Windows.  A host that
 * is not finished fails in hundreds of cases, so of one case only the first findings are
 * shown, and reasons to skip are counted.  Everything fits 80 columns, in a terminal and in a
 * pipe; what is longer goes on in the next line, and only a word that is longer is not broken.
 */
#include "conformcauses.h"
#include "display.h"

#include <stdlib.h>
#include <string.h>

enum { GROUPS = HM_WINDOWS_DETAIL + 1, SHOWN = 5, COLUMNS = 79, MANY = 10 };

struct tally {
	unsigned passed, asked, skipped;
};

/* ---- Lines ---- */

/* Columns that `length` bytes take when they are shown. */
static unsigned columns_of(const char *text, size_t length)
{
	const char *end = text + length;
	unsigned columns = 0;

	while (text < end) {
		unsigned taken = hm_display_length(text);

		columns += taken != 0 ? 1 : 4;
		text += taken != 0 ? taken : 1;
	}
	return columns;
}

/* A line of a text, of which `indent` columns are used, broken where it has to be; what goes on
 * is indented by `hang`. */
static void print_broken(const char *text, unsigned indent, unsigned hang, FILE *out)
{
	unsigned column = indent;
	bool first = true;

	while (*text != '\0' && *text != '\n') {
		size_t length = strcspn(text, " \n");
		unsigned columns = columns_of(text, length);
		char word[1024];

		if (!first && column + 1 + columns > COLUMNS) {
			(void)fprintf(out, "\n%*s", (int)hang, "");
			column = hang;
		} else if (!first) {
			(void)fputc(' ', out);
			column++;
		}
		(void)snprintf(word, sizeof(word), "%.*s", (int)length, text);
		hm_display_text(out, word);
		column += columns;
		first = false;
		text += length + (text[length] == ' ' ? 1 : 0);
	}
	(void)fputc('\n', out);
}

/* The first lines of a text, each as above; how many there are more. */
static void print_lines(const char *text, unsigned indent, FILE *out)
{
	unsigned line = 0;

	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		if (line++ < SHOWN) {
			(void)fprintf(out, "%*s", (int)indent, "");
			print_broken(text, indent, indent + 2, out);
		}
		text += length + (text[length] == '\n' ? 1 : 0);
	}
	if (line > SHOWN)
		(void)fprintf(out, "%*s... and %u more\n", (int)indent, "", line - SHOWN);
}

/* ---- What failed ---- */

static void print_failure(const struct hm_outcome *outcome, FILE *out)
{
	(void)fprintf(out, "FAILED %s\n  rule: ", outcome->entry.name);
	print_broken(outcome->entry.what->source, 8, 8, out);
	print_lines(outcome->findings, 2, out);
	if (outcome->verdict == HM_SKIPPED) {
		(void)fputs("  skipped: ", out);
		print_broken(outcome->skip, 11, 4, out);
	}
	if (outcome->output[0] != '\0') {
		(void)fputs("  it printed:\n", out);
		print_lines(outcome->output, 4, out);
	}
	(void)fputc('\n', out);
}

static unsigned failures_of(const struct hm_report *report, int group)
{
	unsigned count = 0;

	for (size_t i = 0; i < report->count; i++)
		count += (int)report->outcomes[i].entry.group == group &&
			 !hm_outcome_is_good(report, &report->outcomes[i]);
	return count;
}

static void print_failures(const struct hm_report *report, FILE *out)
{
	static const char *const heads[GROUPS] = {
		[HM_REQUIRED] = "Required: COM itself, and what a runtime breaks without",
		[HM_DOCUMENTED] =
			"Documented: promised in the documents of the interface",
		[HM_WINDOWS_DETAIL] = "Details of Windows: what it does beside that",
	};

	for (int g = HM_REQUIRED; g < GROUPS; g++) {
		if (failures_of(report, g) == 0)
			continue;
		(void)fprintf(out, "---- %s ----\n\n", heads[g]);
		for (size_t i = 0; i < report->count; i++) {
			const struct hm_outcome *outcome = &report->outcomes[i];

			if ((int)outcome->entry.group == g &&
			    !hm_outcome_is_good(report, outcome))
				print_failure(outcome, out);
		}
	}
}

/* No more of what they have in common than is read at a glance. */
static void print_causes(const struct hm_report *report, FILE *out)
{
	struct hm_cause *causes;
	size_t count;

	if (hm_report_count(report, HM_FAILED) < MANY)
		return;
	causes = hm_conform_causes(report, &count);
	(void)fputs("What was found first in most of them\n", out);
	for (size_t i = 0; i < count && i < SHOWN && causes[i].count > 1; i++) {
		(void)fprintf(out, "%6u  ", causes[i].count);
		print_broken(causes[i].text, 8, 10, out);
	}
	(void)fputc('\n', out);
	free(causes);
}

/* ---- What was skipped ---- */

/* How many were skipped for the reason of outcome i; 0: an earlier one was so, too. */
static unsigned skipped_as(const struct hm_report *report, size_t i)
{
	const struct hm_outcome *all = report->outcomes;
	unsigned count = 0;

	for (size_t k = 0; k < report->count; k++) {
		if (all[k].verdict != HM_SKIPPED || strcmp(all[k].skip, all[i].skip) != 0)
			continue;
		if (k < i)
			return 0;
		count++;
	}
	return count;
}

static void print_skips(const struct hm_report *report, FILE *out)
{
	if (hm_report_count(report, HM_SKIPPED) == 0)
		return;
	(void)fputs("Skipped, because\n", out);
	for (size_t i = 0; i < report->count; i++) {
		unsigned count;

		if (report->outcomes[i].verdict != HM_SKIPPED)
			continue;
		count = skipped_as(report, i);
		if (count == 0)
			continue;
		(void)fprintf(out, "%6u  ", count);
		print_broken(report->outcomes[i].skip, 8, 8, out);
	}
	(void)fputc('\n', out);
}

/* ---- The table ---- */

static void count_in(struct tally *tallies, const struct hm_outcome *outcome)
{
	struct tally *tally = &tallies[outcome->entry.group];

	if (outcome->verdict == HM_SKIPPED) {
		tallies[HM_NO_GROUP].skipped++;
		return;
	}
	tally->asked++;
	tally->passed += outcome->verdict == HM_PASSED;
}

static void print_row(const char *name, const struct tally *tallies, FILE *out)
{
	char cell[32];

	(void)fprintf(out, "%-20s", name);
	for (int g = HM_REQUIRED; g < GROUPS; g++) {
		const struct tally *tally = &tallies[g];

		(void)snprintf(cell, sizeof(cell), tally->asked != 0 ? "%u of %u" : "-",
			       tally->passed, tally->asked);
		(void)fprintf(out, " %14s %c", cell,
			      tally->passed != tally->asked ? '!' : ' ');
	}
	(void)snprintf(cell, sizeof(cell), "%u", tallies[HM_NO_GROUP].skipped);
	(void)fprintf(out, "%8s\n", tallies[HM_NO_GROUP].skipped != 0 ? cell : "-");
}

static void print_table(const struct hm_report *report, FILE *out)
{
	struct tally all[GROUPS];

	memset(all, 0, sizeof(all));
	(void)fprintf(out, "%-20s", "Passed");
	for (int g = HM_REQUIRED; g < GROUPS; g++)
		(void)fprintf(out, " %14s  ", hm_group_name((enum hm_group)g));
	(void)fputs(" skipped\n", out);
	for (size_t i = 0; i < report->count;) {
		const char *area = report->outcomes[i].entry.area;
		struct tally row[GROUPS];

		memset(row, 0, sizeof(row));
		for (; i < report->count &&
		       strcmp(report->outcomes[i].entry.area, area) == 0;
		     i++) {
			count_in(row, &report->outcomes[i]);
			count_in(all, &report->outcomes[i]);
		}
		print_row(area, row, out);
	}
	print_row("all", all, out);
	(void)fputc('\n', out);
}

/* ---- The verdict ---- */

/* What no shell takes for anything else, and no terminal; of other paths only that there is one. */
static const char *as_a_word(const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-+,:=@%";

	return path[strspn(path, plain)] == '\0' ? path : "FILE";
}

static void print_hint(const struct hm_report *report, FILE *out)
{
	const struct hm_outcome *worst = NULL;

	/* The first of the group that matters most. */
	for (size_t i = 0; i < report->count; i++) {
		const struct hm_outcome *outcome = &report->outcomes[i];

		if (!hm_outcome_is_good(report, outcome) &&
		    (worst == NULL || outcome->entry.group < worst->entry.group))
			worst = outcome;
	}
	if (worst == NULL)
		return;
	(void)fputs("All that is found in one case, and for a debugger:\n"
		    "  hostmem conform",
		    out);
	if (report->module != NULL)
		(void)fprintf(out, " --module %s", as_a_word(report->module));
	(void)fprintf(out, " --case %s\n\n", worst->entry.name);
}

static void print_verdict(const struct hm_report *report, FILE *out)
{
	unsigned failed = 0, broke = 0;
	uint64_t checks = 0;

	for (size_t i = 0; i < report->count; i++) {
		const struct hm_outcome *outcome = &report->outcomes[i];

		checks += outcome->checks;
		failed += !hm_outcome_is_good(report, outcome);
		broke += outcome->broke;
	}
	(void)fprintf(out, "%zu cases, %llu checks, %.1f s: ", report->count,
		      (unsigned long long)checks, report->seconds);
	(void)fprintf(out, "%u passed, %u failed, %u skipped\n",
		      hm_report_count(report, HM_PASSED), failed,
		      hm_report_count(report, HM_SKIPPED));
	if (failed == 0) {
		(void)fputs(hm_report_count(report, HM_SKIPPED) == 0
				    ? "The host conforms.\n"
				    : "The host conforms, as far as it could be asked.\n",
			    out);
		return;
	}
	(void)fprintf(out,
		      "The host does not conform: failed are %u required, %u documented, "
		      "%u details",
		      failures_of(report, HM_REQUIRED),
		      failures_of(report, HM_DOCUMENTED),
		      failures_of(report, HM_WINDOWS_DETAIL));
	if (broke != 0)
		(void)fprintf(out, ";\n%u of them crashed, hung, or ended the process",
			      broke);
	(void)fputs(".\n", out);
}

void hm_conform_print_text(const struct hm_report *report, FILE *out)
{
	print_failures(report, out);
	print_causes(report, out);
	print_skips(report, out);
	print_table(report, out);
	if (!hm_report_is_good(report))
		print_hint(report, out);
	print_verdict(report, out);
}
