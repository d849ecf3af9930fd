/*
 * The figures of the pressure benchmark: tables on stdout, lines in a CSV.
 *
 * A latency has a line for each side, ours first, and the ratio of medians behind the
 * others.  The CSV has a line for each figure and other side: the pair that is compared.
 */
#include "pressurereport.h"
#include "table.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define US 1000.0

static struct {
	const struct options *options;
	FILE *csv;
	struct verdict_counts verdicts;
	bool latencies, costs; /* the head of that table has been printed */
} report;

static const char *const judged_names[] = {
	[JUDGE_MIDDLE] = "p50",
	[JUDGE_LATE] = "p99",
	[JUDGE_MOST] = "max",
};

bool pressurereport_open(const struct options *options)
{
	report.options = options;
	report.csv = fopen(options->csv, "we");
	if (report.csv == NULL) {
		fprintf(stderr, "%s: %s: %s\n", options->program, options->csv,
			strerror(errno));
		return false;
	}
	fputs("row,figure,unit,ours,peer,peer_figure,ratio,target,verdict,note\n",
	      report.csv);
	return true;
}

/* ---- The CSV ---- */

/* A field; empty where there is no figure. */
static void field(double figure)
{
	if (!isnan(figure))
		fprintf(report.csv, "%.6g", figure);
	fputc(',', report.csv);
}

static void csv_line(const struct cost *cost, const char *figure, enum verdict verdict)
{
	fprintf(report.csv, "%s,%s,%s,", cost->name, figure, cost->unit);
	field(cost->ours);
	fprintf(report.csv, "\"%s\",", cost->other != NULL ? cost->other : "");
	field(cost->theirs);
	field(cost->ours / cost->theirs);
	field(cost->target);
	fprintf(report.csv, "%s,\"%s\"\n", verdict_name(verdict), cost->note);
}

/* ---- Latencies ---- */

static double figure_of(const struct latency_figures *figures, enum latency_judged which)
{
	return which == JUDGE_MIDDLE ? figures->middle
	       : which == JUDGE_LATE ? figures->late
				     : figures->most;
}

static void latency_csv(const struct latency_row *row,
			const struct latency_result *result, enum verdict verdict)
{
	for (unsigned which = JUDGE_MIDDLE; which <= JUDGE_MOST; which++) {
		bool judged = which == row->judged;
		struct cost line = { row->name, "us",
				     NAN,       judged ? row->target * US : NAN,
				     NULL,      NAN,
				     verdict,   result->note };

		for (unsigned i = 1; i < LATENCY_SIDES; i++) {
			if (i > 1 && row->sides[i] == NULL)
				continue;
			if (result->verdict == OK) {
				line.ours = figure_of(&result->figures[0], which) / US;
				line.theirs = figure_of(&result->figures[i], which) / US;
			}
			line.other = row->sides[i] != NULL ? row->sides[i]->name : NULL;
			if (line.other == NULL)
				line.theirs = NAN;
			csv_line(&line, judged_names[which],
				 judged ? verdict : NO_TARGET);
		}
	}
}

static void latency_head(void)
{
	static const struct table_line head = {
		{ "row: us until it is known", "crossings", "p50", "p99", "max",
		  "ours/it", "verdict", "target: ms" },
		8,
		true,
	};

	if (report.latencies)
		return;
	report.latencies = true;
	table_heading("Latency: from the moment before memory becomes short",
		      report.options->markdown);
	table_print_head(&head);
}

static void put_figures(struct table_line *line, const struct latency_figures *figures)
{
	table_put(line->cells[1], "%u", figures->count);
	table_put_ns(line->cells[2], figures->middle / US, "");
	table_put_ns(line->cells[3], figures->late / US, "");
	table_put_ns(line->cells[4], figures->most / US, "");
}

static void other_line(const struct latency_row *row, const struct latency_result *result,
		       unsigned side)
{
	struct table_line line = { .count = 8, .notes = true };

	table_put(line.cells[0], "  %s", row->sides[side]->name);
	put_figures(&line, &result->figures[side]);
	table_put(line.cells[5], "%.2f",
		  result->figures[0].middle / result->figures[side].middle);
	table_print(&line);
}

void pressurereport_latency(const struct latency_row *row,
			    const struct latency_result *result)
{
	struct table_line line = { .count = 8, .notes = true };
	enum verdict verdict = result->verdict;

	latency_head();
	table_put(line.cells[0], "%s", row->name);
	if (verdict == OK) {
		put_figures(&line, &result->figures[0]);
		verdict = verdict_of(figure_of(&result->figures[0], row->judged) / 1e6,
				     row->target, false, true);
	}
	table_put(line.cells[6], "%s", verdict_name(verdict));
	if (result->verdict == OK)
		table_put(line.cells[7], "%s <= %g", judged_names[row->judged],
			  row->target);
	else
		table_put(line.cells[7], "%.*s", TABLE_CELL_SIZE - 1, result->note);
	table_print(&line);
	for (unsigned i = 1; i < LATENCY_SIDES; i++) {
		if (result->verdict == OK && row->sides[i] != NULL)
			other_line(row, result, i);
	}
	report.verdicts.of[verdict]++;
	latency_csv(row, result, verdict);
	fflush(stdout);
}

/* ---- Costs ---- */

static void cost_head(void)
{
	static const struct table_line head = {
		{ "row", "hostmem", "unit", "other", "ours/it", "target", "verdict",
		  "the other, or why" },
		8,
		true,
	};

	if (report.costs)
		return;
	report.costs = true;
	table_heading("Cost: while nothing happens, and when somebody asks",
		      report.options->markdown);
	table_print_head(&head);
}

static void put_small(char *cell, double figure)
{
	if (fabs(figure) < 0.5 && figure != 0)
		table_put(cell, "%.4f", figure);
	else
		table_put_ns(cell, figure, "");
}

void pressurereport_cost(const struct cost *cost)
{
	struct table_line line = { .count = 8, .notes = true };
	enum verdict verdict = cost->verdict;

	cost_head();
	if (verdict == OK)
		verdict = verdict_of(cost->ours, cost->target, false, true);
	table_put(line.cells[0], "%s", cost->name);
	table_put(line.cells[2], "%s", cost->unit);
	if (verdict < SKIPPED) {
		put_small(line.cells[1], cost->ours);
		put_small(line.cells[3], cost->theirs);
		if (cost->theirs > 0)
			table_put(line.cells[4], "%.3f", cost->ours / cost->theirs);
	}
	if (!isnan(cost->target))
		table_put(line.cells[5], "<= %g", cost->target);
	table_put(line.cells[6], "%s", verdict_name(verdict));
	table_put(line.cells[7], "%s%s%s", cost->other != NULL ? cost->other : "",
		  cost->other != NULL && cost->note[0] != '\0' ? "; " : "", cost->note);
	table_print(&line);
	report.verdicts.of[verdict]++;
	csv_line(cost, "cost", verdict);
	fflush(stdout);
}

bool pressurereport_close(void)
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
