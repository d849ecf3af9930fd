/*
 * The figures of heaps for people and for programs: tables on stdout, lines in a CSV.
 *
 * A line of a table has the figure of each heap and then ours by each of the others', where
 * a star is a missed target and a question mark says that two threads have not had two
 * processors.  Where the targets are about minima these have a line of their own, under the
 * others.
 *
 * The CSV has a line for each of the others: the pair that is compared.
 */
#include "heapreport.h"
#include "table.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MIB 1048576.0

enum { FAILURES = 16, REASON_SIZE = NOTE_SIZE + 64 };

static struct {
	const struct options *options;
	FILE *csv;
	struct verdict_counts verdicts;
	bool timed, peaks; /* the head of that table has been printed */
	char failures[FAILURES][REASON_SIZE];
	size_t failure_count;
} report;

/* Ours beside another one. */
struct comparison {
	double ratio, target; /* NAN: none */
	bool doubtful;        /* two threads have not had two processors */
	enum verdict verdict;
};

bool heapreport_open(const struct options *options)
{
	report.options = options;
	report.csv = fopen(options->csv, "we");
	if (report.csv == NULL) {
		fprintf(stderr, "%s: %s: %s\n", options->program, options->csv,
			strerror(errno));
		return false;
	}
	fputs("row,threads,peer,ours_quarter,ours_median,ours_min,peer_quarter,peer_"
	      "median,"
	      "peer_min,ratio,target,verdict,unit,note\n",
	      report.csv);
	return true;
}

/* What is told of samples. */
enum figure { QUARTER, MEDIAN, LEAST };

static double figure_of(const struct heap_result *result, enum figure figure)
{
	if (result->verdict != OK)
		return NAN;
	return figure == LEAST    ? result->figures.least
	       : figure == MEDIAN ? result->figures.median
				  : result->figures.quarter;
}

/* What two heaps are compared by. */
struct basis {
	enum figure figure;
	bool together;   /* two threads at once */
	bool processors; /* there have been two */
};

static struct comparison compare(const struct heap_result *ours,
				 const struct heap_result *theirs, struct basis basis,
				 double target)
{
	struct comparison comparison = { .ratio = NAN };
	bool both = ours->verdict == OK && theirs->verdict == OK;

	comparison.target = target > 0 ? target : NAN;
	comparison.doubtful = both && basis.together &&
			      !(basis.processors && ours->figures.clean &&
				theirs->figures.clean);

	if (both)
		comparison.ratio = figure_of(ours, basis.figure) /
				   figure_of(theirs, basis.figure);
	/* On one processor nothing has to cross: that is another figure, and a better one. */
	if (comparison.doubtful && basis.figure == LEAST && !isnan(comparison.target))
		comparison.verdict = UNDECIDED;
	else if (both)
		comparison.verdict = verdict_of(comparison.ratio, comparison.target,
						false, !comparison.doubtful);
	else if (ours->verdict == FAILED || theirs->verdict == FAILED)
		comparison.verdict = FAILED;
	else if (!isnan(comparison.target))
		comparison.verdict = SKIPPED;
	report.verdicts.of[comparison.verdict]++;
	return comparison;
}

/* A field of the CSV; empty where there is no figure. */
static void field(double figure)
{
	if (!isnan(figure))
		fprintf(report.csv, "%.6g", figure);
	fputc(',', report.csv);
}

static void fields(const struct heap_result *result)
{
	field(figure_of(result, QUARTER));
	field(figure_of(result, MEDIAN));
	field(figure_of(result, LEAST));
}

static void csv_line(const char *name, unsigned threads, const char *peer,
		     const struct heap_result *ours, const struct heap_result *theirs,
		     const struct comparison *comparison, const char *unit)
{
	const char *note = ours->verdict != OK ? ours->note : theirs->note;

	fprintf(report.csv, "%s,%u,%s,", name, threads, peer);
	fields(ours);
	fields(theirs);
	field(comparison->ratio);
	field(comparison->target);
	if (comparison->doubtful)
		note = "no second processor was free";
	fprintf(report.csv, "%s,%s,\"%s\"\n", verdict_name(comparison->verdict), unit,
		note);
}

static void remember_failures(const char *name, const struct heap_result *results)
{
	for (unsigned i = 0; i < ALLOCATORS; i++) {
		if (results[i].verdict == FAILED && report.failure_count < FAILURES)
			snprintf(report.failures[report.failure_count++], REASON_SIZE,
				 "%s, %s: %s", name, allocator_name(i), results[i].note);
	}
}

static void put_figure(char *cell, const struct heap_result *result, enum figure figure,
		       double unit)
{
	if (result->verdict == OK)
		table_put(cell, "%.1f", figure_of(result, figure) / unit);
	else
		table_put(cell, "%s", verdict_name(result->verdict));
}

static void put_ratio(char *cell, const struct comparison *comparison)
{
	if (!isnan(comparison->ratio))
		table_put(cell, "%.2f%s", comparison->ratio,
			  comparison->doubtful ? verdict_mark(UNDECIDED)
					       : verdict_mark(comparison->verdict));
}

static void put_targets(char *cell, const struct comparison comparisons[ALLOCATORS])
{
	int length = 0;

	for (unsigned i = MIMALLOC; i < ALLOCATORS && length < TABLE_CELL_SIZE; i++) {
		if (!isnan(comparisons[i].target))
			length += snprintf(cell + length,
					   TABLE_CELL_SIZE - (size_t)length,
					   "%s<= %g of %s", length > 0 ? ", " : "",
					   comparisons[i].target, allocator_name(i));
	}
}

/* The name and the threads of a line, then the figures of all heaps. */
static void begin_line(struct table_line *line, const char *name, unsigned threads,
		       const struct heap_result *results, enum figure figure, double unit)
{
	memset(line, 0, sizeof(*line));
	table_put(line->cells[line->count++], "%s", name);
	table_put(line->cells[line->count++], "%u", threads);
	for (unsigned i = OURS; i < ALLOCATORS; i++)
		put_figure(line->cells[line->count++], &results[i], figure, unit);
}

static void timed_line(const char *name, const struct heap_row *row,
		       const struct heap_result *results, struct basis basis)
{
	struct comparison comparisons[ALLOCATORS];
	struct table_line line;
	enum verdict verdict = NO_TARGET;

	begin_line(&line, name, row->threads, results, basis.figure, 1);
	for (unsigned i = MIMALLOC; i < ALLOCATORS; i++) {
		comparisons[i] = compare(&results[OURS], &results[i], basis,
					 (basis.figure == LEAST) == row->least
						 ? row->most[i]
						 : NAN);
		if (comparisons[i].verdict > verdict)
			verdict = comparisons[i].verdict;
		put_ratio(line.cells[line.count++], &comparisons[i]);
		csv_line(name, row->threads, allocator_name(i), &results[OURS],
			 &results[i], &comparisons[i], "ns");
	}
	table_put(line.cells[line.count++], "%s", verdict_name(verdict));
	put_targets(line.cells[line.count++], comparisons);
	table_print(&line);
}

/* What the columns of the heaps are called. */
static void begin_head(struct table_line *head, const char *unit)
{
	memset(head, 0, sizeof(*head));
	table_put(head->cells[head->count++], "row: %s", unit);
	table_put(head->cells[head->count++], "thr");
	for (unsigned i = OURS; i < ALLOCATORS; i++)
		table_put(head->cells[head->count++], "%s", allocator_name(i));
}

static void timed_head(void)
{
	struct table_line head;

	if (report.timed)
		return;
	report.timed = true;
	table_heading("Time: ns of one Alloc and Free, then ours / theirs",
		      report.options->markdown);
	begin_head(&head, "ns");
	for (unsigned i = MIMALLOC; i < ALLOCATORS; i++)
		table_put(head.cells[head.count++], "/%s", allocator_name(i));
	table_put(head.cells[head.count++], "verdict");
	table_put(head.cells[head.count++], "target");
	table_print_head(&head);
}

void heapreport_timed(const struct heap_row *row,
		      const struct heap_result results[ALLOCATORS], bool processors)
{
	struct basis basis = { QUARTER, row->threads > 1, processors };
	char name[64];

	timed_head();
	timed_line(row->name, row, results, basis);
	if (row->least) {
		snprintf(name, sizeof(name), "%s:min", row->name);
		basis.figure = LEAST;
		timed_line(name, row, results, basis);
	}
	remember_failures(row->name, results);
	fflush(stdout);
}

static void peak_head(void)
{
	struct table_line head;

	if (report.peaks)
		return;
	report.peaks = true;
	table_heading(
		"Memory: MiB resident at the peak, then ours / the least of the others",
		report.options->markdown);
	begin_head(&head, "MiB");
	table_put(head.cells[head.count++], "live");
	table_put(head.cells[head.count++], "/least");
	table_put(head.cells[head.count++], "verdict");
	table_put(head.cells[head.count++], "target");
	table_print_head(&head);
}

/* Of the others; one that is not there if none is. */
static unsigned least_peak(const struct heap_result *results)
{
	unsigned least = MIMALLOC;

	for (unsigned i = MIMALLOC; i < ALLOCATORS; i++) {
		if (results[i].verdict == OK &&
		    (results[least].verdict != OK ||
		     results[i].figures.median < results[least].figures.median))
			least = i;
	}
	return least;
}

void heapreport_peak(const struct peak_row *row,
		     const struct heap_result results[ALLOCATORS], size_t live)
{
	struct comparison comparison;
	struct table_line line;
	unsigned best = least_peak(results);

	peak_head();
	begin_line(&line, row->name, row->threads, results, MEDIAN, MIB);
	for (unsigned i = MIMALLOC; i < ALLOCATORS; i++) {
		comparison = compare(&results[OURS], &results[i],
				     (struct basis){ .figure = MEDIAN },
				     i == best ? row->most : NAN);
		csv_line(row->name, row->threads, allocator_name(i), &results[OURS],
			 &results[i], &comparison, "bytes");
		if (i != best)
			continue;
		table_put(line.cells[6], "%.1f", (double)live / MIB);
		put_ratio(line.cells[7], &comparison);
		table_put(line.cells[8], "%s", verdict_name(comparison.verdict));
	}
	table_put(line.cells[9], "<= %g of the least", row->most);
	line.count = 10;
	table_print(&line);
	remember_failures(row->name, results);
	fflush(stdout);
}

bool heapreport_close(void)
{
	bool written = ferror(report.csv) == 0;

	written = fclose(report.csv) == 0 && written;
	for (size_t i = 0; i < report.failure_count; i++)
		printf("%s%s\n", i == 0 ? "\n" : "", report.failures[i]);
	verdict_print_counts(&report.verdicts);
	if (written)
		printf("all figures: %s\n", report.options->csv);
	else
		fprintf(stderr, "%s: %s: not written\n", report.options->program,
			report.options->csv);
	return written && report.verdicts.of[FAILED] == 0;
}
