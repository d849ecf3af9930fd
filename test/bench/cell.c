/*
 * One row at one number of live regions, with one thread and with two.
 *
 * The four sides (ours and raw, alone and in company) are measured in the same rounds,
 * so that also one thread and two can be compared.  Each has lanes, and so regions, of
 * its own: two threads never work on the same one.  A computation right before it tells
 * whether there are two processors to be had; if not, two threads cannot be judged.
 */
#include "cell.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum side_index { OURS_ALONE, RAW_ALONE, OURS_BOTH, RAW_BOTH, SIDES };

#define SCALE 1.7 /* wanted of two threads */

/* The lanes of one side: the first is alone, the others work together. */
struct party {
	const struct cycle *cycle;
	struct lane lanes[1 + MEASURE_THREADS];
	size_t opened;
};

static struct party parties[2];

static double processors; /* as measure_processors has found just now */

static void set_lane(struct lane *lane, const struct cell *cell,
		     const struct stage *stage, const struct live_set *set, size_t index)
{
	size_t half = cell->live > 1 ? cell->live / 2 : 1;

	memset(lane, 0, sizeof(*lane));
	lane->vm = stage->vm;
	lane->control = stage->control;
	lane->first = index < 2;
	lane->size = cell->row->size;
	lane->touch = cell->row->touch;
	lane->live = index == 2 ? set->regions + half : set->regions;
	lane->live_count = cell->row->hot ? 1 : index == 0 ? cell->live : half;
}

static bool open_party(struct party *party, const struct cycle *cycle,
		       const struct cell *cell, const struct stage *stage,
		       const struct live_set *set)
{
	party->cycle = cycle;
	party->opened = 0;
	for (size_t i = 0; cycle != NULL && i < 1 + MEASURE_THREADS; i++) {
		set_lane(&party->lanes[i], cell, stage, set, i);
		party->opened = i + 1;
		if (cycle->open != NULL && !cycle->open(&party->lanes[i]))
			return false;
	}
	return true;
}

static void close_party(struct party *party)
{
	for (size_t i = 0; i < party->opened; i++) {
		if (party->cycle->close != NULL)
			party->cycle->close(&party->lanes[i]);
	}
}

static void set_side(struct measure_side *side, struct party *party,
		     const struct measure_side *alone)
{
	struct lane *lanes = party->lanes;

	side->work = &party->cycle->work;
	side->like = alone;
	side->threads = alone != NULL ? 2 : 1;
	side->lanes[0] = alone != NULL ? &lanes[1] : &lanes[0];
	side->lanes[1] = alone != NULL ? &lanes[2] : NULL;
}

static bool measure(struct measure_side sides[SIDES], const struct cell *cell)
{
	struct measure_side *ours = &sides[OURS_ALONE];

	set_side(&sides[OURS_ALONE], &parties[0], NULL);
	if (cell->row->raw == NULL) {
		/* In the places that are not in use, so that both sides are in a row. */
		set_side(&sides[RAW_ALONE], &parties[0], ours);
		if (!measure_sides(sides, 2, cell->plan))
			return false;
		sides[OURS_BOTH] = sides[RAW_ALONE];
		return true;
	}
	set_side(&sides[RAW_ALONE], &parties[1], NULL);
	set_side(&sides[OURS_BOTH], &parties[0], ours);
	set_side(&sides[RAW_BOTH], &parties[1], &sides[RAW_ALONE]);
	return measure_sides(sides, SIDES, cell->plan);
}

static struct result blank(const struct cell *cell, const struct stage *stage,
			   const char *suffix, unsigned threads)
{
	struct result result;

	memset(&result, 0, sizeof(result));
	snprintf(result.name, sizeof(result.name), "%s%s", cell->row->name, suffix);
	result.live = cell->live;
	result.threads = threads;
	result.mode = stage->mode;
	result.pages = stage->pages;
	result.unit = cell->row->unit;
	result.ours_median = result.ours_least = NAN;
	result.raw_median = result.raw_least = NAN;
	result.figure = result.target = NAN;
	return result;
}

/* Two threads of which one had no processor say nothing. */
static void decide(struct result *result, bool clean)
{
	bool decidable = result->threads == 1 ||
			 (clean && processors >= ENOUGH_PROCESSORS);

	result->verdict = verdict_of(result->figure, result->target, result->at_least,
				     decidable);
	if (result->verdict == UNDECIDED)
		snprintf(result->note, sizeof(result->note),
			 "no second processor was free");
}

static void report(const struct measure_side *ours, const struct measure_side *raw,
		   const struct cell *cell, const struct stage *stage,
		   const struct sink *sink)
{
	struct result result = blank(cell, stage, "", ours->threads);
	unsigned rounds = cell->plan->rounds;
	struct measure_figures figures = measure_figures(ours, rounds);
	double calls = cell->row->calls > 0 ? cell->row->calls : 1;
	double most = row_target(cell->row, stage->mode, stage->pages, cell->live,
				 ours->threads);
	bool clean = figures.clean;

	result.ours_median = figures.median / calls;
	result.ours_least = figures.least / calls;
	result.figure = result.ours_median;
	if (cell->row->raw != NULL) {
		figures = measure_figures(raw, rounds);
		result.raw_median = figures.median / calls;
		result.raw_least = figures.least / calls;
		clean = clean && figures.clean;
	}
	if (result.unit == RATIO)
		result.figure = result.ours_median / result.raw_median;
	if (result.unit == EXTRA)
		result.figure = measure_extra(ours, raw, rounds) / calls;
	if (most > 0)
		result.target = most;
	decide(&result, clean);
	sink->take(sink->state, &result);
}

static double throughput(const struct measure_side *both,
			 const struct measure_side *alone, unsigned rounds, bool *clean)
{
	struct measure_figures one = measure_figures(alone, rounds);
	struct measure_figures two = measure_figures(both, rounds);

	*clean = one.clean && two.clean;
	return 2 * one.median / two.median;
}

static void report_scale(const struct measure_side sides[SIDES], const struct cell *cell,
			 const struct stage *stage, const struct sink *sink)
{
	struct result result = blank(cell, stage, ":scale", 2);
	unsigned rounds = cell->plan->rounds;
	bool clean;

	result.unit = TIMES;
	result.at_least = true;
	result.target = SCALE;
	result.raw_median = throughput(&sides[RAW_BOTH], &sides[RAW_ALONE], rounds,
				       &clean);
	result.figure = result.ours_median =
		throughput(&sides[OURS_BOTH], &sides[OURS_ALONE], rounds, &clean);
	decide(&result, clean);
	sink->take(sink->state, &result);
}

void cell_without(const struct cell *cell, const struct stage *stage,
		  enum verdict verdict, const char *note, const struct sink *sink)
{
	for (unsigned threads = 1; threads <= 2; threads++) {
		struct result result = blank(cell, stage, "", threads);

		result.verdict = verdict;
		snprintf(result.note, sizeof(result.note), "%s", note);
		sink->take(sink->state, &result);
	}
}

static void report_refusal(const struct cell *cell, const struct stage *stage,
			   const struct sink *sink)
{
	char note[NOTE_SIZE] = "no reason is known";

	for (size_t i = 0; i < 2; i++) {
		for (size_t lane = 0; lane < parties[i].opened; lane++) {
			const struct lane *at = &parties[i].lanes[lane];

			if (at->call != NULL)
				snprintf(note, sizeof(note), "%s: %s", at->call,
					 at->reason);
		}
	}
	cell_without(cell, stage, FAILED, note, sink);
}

void cell_run(const struct cell *cell, const struct stage *stage, const struct sink *sink)
{
	static struct measure_side sides[SIDES];
	const struct row *row = cell->row;

	memset(sides, 0, sizeof(sides));
	processors = measure_processors(cell->plan);
	parties[1].opened = 0;
	if (open_party(&parties[0], row->ours, cell, stage, &stage->ours) &&
	    open_party(&parties[1], row->raw, cell, stage, &stage->raw) &&
	    measure(sides, cell)) {
		report(&sides[OURS_ALONE], &sides[RAW_ALONE], cell, stage, sink);
		report(&sides[OURS_BOTH], &sides[RAW_BOTH], cell, stage, sink);
		if (row->scales)
			report_scale(sides, cell, stage, sink);
	} else {
		report_refusal(cell, stage, sink);
	}
	close_party(&parties[0]);
	close_party(&parties[1]);
}
