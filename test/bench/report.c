/*
 * The figures for people and for programs: tables on stdout, lines in a CSV.
 *
 * A table has a line for each row and number of threads and a column for each number
 * of live regions.  A figure that misses its target has a star, and a question mark if
 * that may be the machine's fault.  Counts, which are there once only, have a table of
 * their own; so has what two threads get done.
 */
#include "report.h"
#include "table.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_RESULTS = 512, REASONS = 16 };

static struct {
	const struct selection *selection;
	FILE *csv;
	struct result results[MOST_RESULTS];
	size_t count;
	struct verdict_counts verdicts;
} report;

static const char *const unit_names[] = { "ratio", "ns",    "extra-ns",
					  "times", "count", "bytes" };

bool report_open(const struct selection *selection)
{
	report.selection = selection;
	report.csv = fopen(selection->options.csv, "we");
	if (report.csv == NULL) {
		fprintf(stderr, "pages: %s: %s\n", selection->options.csv,
			strerror(errno));
		return false;
	}
	fputs("row,live,threads,mode,pages,ours_median_ns,ours_min_ns,raw_median_ns,"
	      "raw_min_ns,ratio,target,verdict,unit,figure,note\n",
	      report.csv);
	return true;
}

/* A field of the CSV; empty where there is no figure. */
static void field(double figure)
{
	if (!isnan(figure))
		fprintf(report.csv, "%.6g", figure);
	fputc(',', report.csv);
}

void report_take(void *state, const struct result *result)
{
	(void)state;
	fprintf(report.csv, "%s,%zu,%u,%s,%s,", result->name, result->live,
		result->threads, mode_name(result->mode), pages_name(result->pages));
	field(result->ours_median);
	field(result->ours_least);
	field(result->raw_median);
	field(result->raw_least);
	field(result->ours_median / result->raw_median);
	field(result->target);
	fprintf(report.csv, "%s,%s,", verdict_name(result->verdict),
		unit_names[result->unit]);
	field(result->figure);
	fprintf(report.csv, "\"%s\"\n", result->note);
	report.verdicts.of[result->verdict]++;
	if (report.count < MOST_RESULTS)
		report.results[report.count++] = *result;
}

static const struct result *find(const char *name, size_t live, unsigned threads)
{
	for (size_t i = 0; i < report.count; i++) {
		const struct result *result = &report.results[i];

		if (strcmp(result->name, name) == 0 && result->live == live &&
		    result->threads == threads)
			return result;
	}
	return NULL;
}

static void put_figure(char *cell, const struct result *result)
{
	const char *mark = result != NULL ? verdict_mark(result->verdict) : "";

	if (result == NULL) {
		cell[0] = '\0';
	} else if (result->verdict >= SKIPPED) {
		table_put(cell, "%s", verdict_name(result->verdict));
	} else if (result->unit == TIMES) {
		table_put(cell, "%.2f/%.2f%s", result->ours_median, result->raw_median,
			  mark);
	} else if (result->unit == RATIO) {
		table_put(cell, result->figure < 0.1 ? "%.3f%s" : "%.2f%s",
			  result->figure, mark);
	} else {
		table_put_ns(cell, result->figure, mark);
	}
}

static void put_target(char *cell, double least, double most, bool at_least)
{
	if (isnan(most))
		cell[0] = '\0';
	else if (least < most)
		table_put(cell, "<= %g..%g", least, most);
	else
		table_put(cell, "%s %.10g", at_least ? ">=" : "<=", most);
}

static bool any(const char *name, unsigned threads)
{
	for (size_t i = 0; i < report.selection->live_counts; i++) {
		if (find(name, report.selection->live[i], threads) != NULL)
			return true;
	}
	return false;
}

/* One line of a table of timed rows. */
static void timed_line(const char *name, unsigned threads)
{
	const struct selection *selection = report.selection;
	struct table_line line = { .count = 4 };
	enum verdict verdict = NO_TARGET;
	double least = NAN, most = NAN;
	bool at_least = false;

	table_put(line.cells[0], "%s", name);
	table_put(line.cells[1], "%u", threads);
	for (size_t i = 0; i < selection->live_counts; i++) {
		const struct result *result = find(name, selection->live[i], threads);

		put_figure(line.cells[line.count++], result);
		if (result == NULL)
			continue;
		if (line.cells[2][0] == '\0' && result->unit != TIMES) {
			table_put_ns(line.cells[2], result->ours_median, "");
			table_put_ns(line.cells[3], result->raw_median, "");
		}
		verdict = result->verdict > verdict ? result->verdict : verdict;
		least = fmin(least, result->target);
		most = fmax(most, result->target);
		at_least = result->at_least;
	}
	put_target(line.cells[line.count++], least, most, at_least);
	table_put(line.cells[line.count++], "%s", verdict_name(verdict));
	table_print(&line);
}

static void timed_head(const char *name, const char *ours, const char *raw)
{
	const struct selection *selection = report.selection;
	struct table_line line = { .count = 4 };

	table_put(line.cells[0], "%s", name);
	table_put(line.cells[1], "thr");
	table_put(line.cells[2], "%s", ours);
	table_put(line.cells[3], "%s", raw);
	for (size_t i = 0; i < selection->live_counts; i++)
		table_put_ns(line.cells[line.count++], (double)selection->live[i], "");
	table_put(line.cells[line.count++], "target");
	table_put(line.cells[line.count++], "verdict");
	table_print_head(&line);
}

static void timed_tables(void)
{
	bool head = false;
	char name[NAME_SIZE];

	for (size_t i = 0; i < 2 * ROWS; i++) {
		unsigned threads = i % 2 == 0 ? 1 : 2;

		if (!any(rows[i / 2].name, threads))
			continue;
		if (!head)
			timed_head("row, at live regions:", "ours ns", "raw ns");
		head = true;
		timed_line(rows[i / 2].name, threads);
	}
	head = false;
	for (size_t i = 0; i < ROWS; i++) {
		snprintf(name, sizeof(name), "%s:scale", rows[i].name);
		if (!any(name, 2))
			continue;
		if (!head)
			timed_head("throughput of 2 / of 1", "", "ours/raw");
		head = true;
		timed_line(name, 2);
	}
}

static void count_table(void)
{
	bool head = false;

	for (size_t i = 0; i < report.count; i++) {
		const struct result *result = &report.results[i];
		struct table_line line = { .count = 5, .notes = true };

		if (result->unit != COUNT && result->unit != BYTES)
			continue;
		if (!head) {
			static const struct table_line words = {
				{ "counted", "figure", "target", "verdict", "note" },
				5,
				true,
			};

			table_print_head(&words);
		}
		head = true;
		table_put(line.cells[0], "%s", result->name);
		table_put_ns(line.cells[1], result->figure, "");
		put_target(line.cells[2], NAN, result->target, result->at_least);
		table_put(line.cells[3], "%s", verdict_name(result->verdict));
		table_put(line.cells[4], "%s", result->note);
		table_print(&line);
	}
}

/* Why something is skipped, failed or undecided: each reason once. */
static void reasons(void)
{
	const struct result *said[REASONS];
	size_t count = 0;

	for (size_t i = 0; i < report.count && count < REASONS; i++) {
		const struct result *result = &report.results[i];
		bool again = result->note[0] == '\0' || result->unit == COUNT ||
			     result->unit == BYTES;

		for (size_t j = 0; j < count && !again; j++)
			again = said[j]->verdict == result->verdict &&
				strcmp(said[j]->note, result->note) == 0;
		if (again)
			continue;
		printf("%s%s, %s", count == 0 ? "\n" : "", result->name,
		       verdict_name(result->verdict));
		if (result->live != 0)
			printf(" at %zu live", result->live);
		printf(": %s\n", result->note);
		said[count++] = result;
	}
}

/* The reason, if nothing at all was to be had. */
static const char *all_skipped(void)
{
	for (size_t i = 0; i < report.count; i++) {
		const struct result *result = &report.results[i];

		if (result->verdict != SKIPPED ||
		    strcmp(result->note, report.results[0].note) != 0)
			return NULL;
	}
	return report.count > 0 ? report.results[0].note : NULL;
}

void report_section(const char *heading)
{
	const char *why = all_skipped();

	if (report.count == 0)
		return;
	table_heading(heading, report.selection->options.markdown);
	if (why == NULL) {
		timed_tables();
		count_table();
		reasons();
	} else {
		printf("\nskipped: %s\n", why);
	}
	fflush(stdout);
	report.count = 0;
}

bool report_close(void)
{
	bool written = ferror(report.csv) == 0;

	written = fclose(report.csv) == 0 && written;
	verdict_print_counts(&report.verdicts);
	if (written)
		printf("all figures: %s\n", report.selection->options.csv);
	else
		fprintf(stderr, "pages: %s: not written\n",
			report.selection->options.csv);
	return written && report.verdicts.of[FAILED] == 0;
}
