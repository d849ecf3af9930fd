/*
 * The figures of whole programs: a table on stdout, lines in a CSV.
 *
 * The ratio that has a target is that of the wall clock.  The one of processor time stands
 * beside it: it says what the host costs also where other programs were in the way, or where
 * threads of the runtime do in parallel what costs more.
 */
#include "runreport.h"
#include "table.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST 1.05
#define MS 1e6

static struct {
	const struct options *options;
	FILE *csv;
	struct verdict_counts verdicts;
	bool begun; /* the head of the table has been printed */
} report;

bool runreport_open(const struct options *options)
{
	report.options = options;
	report.csv = fopen(options->csv, "we");
	if (report.csv == NULL) {
		fprintf(stderr, "%s: %s: %s\n", options->program, options->csv,
			strerror(errno));
		return false;
	}
	fputs("runtime,plain_wall_median,plain_wall_min,run_wall_median,run_wall_min,"
	      "wall_ratio,plain_processor_median,plain_processor_min,"
	      "run_processor_median,run_processor_min,processor_ratio,target,verdict,"
	      "unit,note\n",
	      report.csv);
	return true;
}

static void print_head(void)
{
	static const char *const names[] = { "runtime: ms", "plain",     "run",
					     "run/plain",   "cpu plain", "cpu run",
					     "cpu ratio",   "" };
	struct table_line head = { .notes = true };

	if (report.begun)
		return;
	report.begun = true;
	table_heading("Whole programs: the wall clock, and user and system time",
		      report.options->markdown);
	for (; head.count < sizeof(names) / sizeof(names[0]); head.count++)
		table_put(head.cells[head.count], "%s", names[head.count]);
	table_print_head(&head);
}

static double ratio(const struct measure_figures *hosted,
		    const struct measure_figures *plain)
{
	return hosted->median / plain->median;
}

static void field(const struct measure_figures *figures)
{
	fprintf(report.csv, "%.6g,%.6g,", figures->median / MS, figures->least / MS);
}

static void print_csv(const struct run_result *result, enum verdict verdict)
{
	fprintf(report.csv, "%s,", result->name);
	if (result->verdict == OK) {
		field(&result->plain.wall);
		field(&result->hosted.wall);
		fprintf(report.csv, "%.6g,",
			ratio(&result->hosted.wall, &result->plain.wall));
		field(&result->plain.processor);
		field(&result->hosted.processor);
		fprintf(report.csv, "%.6g,",
			ratio(&result->hosted.processor, &result->plain.processor));
	} else {
		fputs(",,,,,,,,,,", report.csv);
	}
	fprintf(report.csv, "%g,%s,ms,\"%s\"\n", MOST, verdict_name(verdict),
		result->note);
}

static void put_ms(struct table_line *line, const struct measure_figures *figures)
{
	table_put(line->cells[line->count++], "%.0f", figures->median / MS);
}

static void put_side_by_side(struct table_line *line,
			     const struct measure_figures *hosted,
			     const struct measure_figures *plain, const char *mark)
{
	put_ms(line, plain);
	put_ms(line, hosted);
	table_put(line->cells[line->count++], "%.3f%s", ratio(hosted, plain), mark);
}

void runreport_row(const struct run_result *result)
{
	struct table_line line = { .notes = true };
	enum verdict verdict = result->verdict;

	print_head();
	table_put(line.cells[line.count++], "%s", result->name);
	if (verdict == OK) {
		verdict = verdict_of(ratio(&result->hosted.wall, &result->plain.wall),
				     MOST, false, result->decidable);
		put_side_by_side(&line, &result->hosted.wall, &result->plain.wall,
				 verdict_mark(verdict));
		put_side_by_side(&line, &result->hosted.processor,
				 &result->plain.processor, "");
		table_put(line.cells[line.count++], "%s", verdict_name(verdict));
	} else {
		table_put(line.cells[line.count++], "%s", verdict_name(verdict));
		table_put(line.cells[line.count++], "%s", result->note);
	}
	table_print(&line);
	print_csv(result, verdict);
	report.verdicts.of[verdict]++;
	fflush(stdout);
}

bool runreport_close(void)
{
	bool written = ferror(report.csv) == 0;

	written = fclose(report.csv) == 0 && written;
	verdict_print_counts(&report.verdicts);
	if (written)
		printf("all figures: %s\n", report.options->csv);
	else
		fprintf(stderr, "%s: %s: not written\n", report.options->program,
			report.options->csv);
	return written && report.verdicts.of[FAILED] == 0;
}
