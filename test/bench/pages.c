/*
 * How fast the page layer is, beside the system calls that a program would make itself.
 *
 * For each kind of host (strict or retaining; guard pages or mprotect) there is a
 * process.  It makes the regions that live in the background, 1 to 1,000,000, and at
 * each number of them measures every row: ours and raw, with one thread and with two,
 * in the same rounds.  What is counted has processes of its own.
 *
 * A missed target does not fail the program: machines differ, and are busy.  A row that
 * cannot run does, and says why.
 */
#include "cell.h"
#include "child.h"
#include "count.h"
#include "machine.h"
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a child is to measure. */
struct task {
	const struct selection *selection;
	enum mode mode;
	enum pages pages;
	enum count_row_index index;
};

static void without(const struct task *task, struct stage *stage, size_t live,
		    enum verdict verdict, const char *note, const struct sink *sink)
{
	stage->mode = task->mode;
	stage->pages = task->pages;
	for (size_t i = 0; i < ROWS; i++) {
		struct cell cell = { .row = &rows[i], .live = live };

		if (selection_has(task->selection, &rows[i], live))
			cell_without(&cell, stage, verdict, note, sink);
	}
}

static bool wanted(const struct selection *selection, size_t live)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (selection_has(selection, &rows[i], live))
			return true;
	}
	return false;
}

static void time_rows(const struct task *task, struct stage *stage, size_t live,
		      const struct sink *sink)
{
	const struct selection *selection = task->selection;
	struct cell cell = { .live = live, .plan = &selection->options.plan };

	for (size_t i = 0; i < ROWS; i++) {
		if (!selection_has(selection, &rows[i], live))
			continue;
		machine_progress("%s, %s: %zu live: %s", mode_name(task->mode),
				 pages_name(task->pages), live, rows[i].name);
		cell.row = &rows[i];
		cell_run(&cell, stage, sink);
	}
}

static void time_stage(const struct task *task, struct stage *stage,
		       const struct sink *sink)
{
	const struct selection *selection = task->selection;
	char note[NOTE_SIZE];

	for (size_t i = 0; i < selection->live_counts; i++) {
		size_t live = selection->live[i];

		if (!wanted(selection, live))
			continue;
		machine_progress("%s, %s: %zu live", mode_name(task->mode),
				 pages_name(task->pages), live);
		if (stage_live(stage, live, note))
			time_rows(task, stage, live, sink);
		else
			without(task, stage, live, FAILED, note, sink);
	}
}

static void timed_child(const void *argument, const struct sink *sink)
{
	const struct task *task = argument;
	struct stage stage;
	char note[NOTE_SIZE] = "";
	enum verdict verdict = stage_open(&stage, task->mode, task->pages, note);

	if (verdict == OK && !measure_open()) {
		snprintf(note, sizeof(note), "no thread to be had");
		stage_close(&stage);
		verdict = FAILED;
	}
	if (verdict != OK) {
		for (size_t i = 0; i < task->selection->live_counts; i++)
			without(task, &stage, task->selection->live[i], verdict, note,
				sink);
		return;
	}
	time_stage(task, &stage, sink);
	measure_close();
	stage_close(&stage);
}

static void counting_child(const void *argument, const struct sink *sink)
{
	const struct task *task = argument;

	machine_progress("%s, %s: %s", mode_name(task->mode), pages_name(task->pages),
			 count_rows[task->index].name);
	if (count_rows[task->index].once)
		count_million(task->mode, task->pages, sink);
	else
		count_churn(task->index, task->mode, task->pages, sink);
}

/* A child that has not come to its end is a result, too. */
static void run(void (*body)(const void *, const struct sink *), const struct task *task,
		const char *what)
{
	const struct sink sink = { report_take, NULL };
	const char *why = child_run(body, task, &sink);
	struct result result;

	if (why == NULL)
		return;
	memset(&result, 0, sizeof(result));
	snprintf(result.name, sizeof(result.name), "%s", what);
	snprintf(result.note, sizeof(result.note), "%s", why);
	result.mode = task->mode;
	result.pages = task->pages;
	result.ours_median = result.ours_least = NAN;
	result.raw_median = result.raw_least = NAN;
	result.figure = result.target = NAN;
	result.verdict = FAILED;
	report_take(NULL, &result);
}

static void run_host(const struct selection *selection, enum mode mode, enum pages pages)
{
	struct task task = { .selection = selection, .mode = mode, .pages = pages };
	char heading[80];
	bool million = false, timed = false;

	for (size_t i = 0; i < COUNT_ROWS; i++) {
		bool here = !count_rows[i].once || (mode == STRICT && pages == GUARD);

		/* The rows of the million come from one run. */
		if (!selection->count_row[i] || !here || (count_rows[i].once && million))
			continue;
		million |= count_rows[i].once;
		task.index = (enum count_row_index)i;
		run(counting_child, &task, count_rows[i].name);
	}
	for (size_t i = 0; i < ROWS; i++)
		timed |= selection->row[i];
	if (timed)
		run(timed_child, &task, "the timed rows");
	machine_progress("%s", "");
	snprintf(heading, sizeof(heading), "%s, %s",
		 mode == STRICT ? "strict (cbRetain 0)" : "cbRetain 32 MiB",
		 pages == GUARD ? "guard pages" : "without guard pages (mprotect)");
	report_section(heading);
}

static void introduce(const struct options *options)
{
	machine_print();
	printf("Pages can be made by: mprotect%s\n",
	       stage_kernel_guards() ? ", guard pages of the kernel (MADV_GUARD_INSTALL)"
				     : "; this kernel has no guard pages");
	machine_print_processors(&options->plan);
	printf("Medians of %u rounds, ours and raw in turn: ns of one call or cycle at "
	       "the "
	       "fewest live\nregions, then ratios ours/raw, or ns where the target is in "
	       "ns.  * the target is missed,\n? likewise, but two threads have not had "
	       "two processors\n",
	       options->plan.rounds);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct selection selection;

	selection_read(&selection, argc, argv);
	if (getenv("HOSTMEM_PAGES") != NULL) {
		fputs("pages: HOSTMEM_PAGES is set and would choose for all hosts; unset "
		      "it\n",
		      stderr);
		return 2;
	}
	if (!report_open(&selection))
		return 1;
	introduce(&selection.options);
	for (int mode = STRICT; mode < MODES; mode++) {
		for (int pages = GUARD; pages < PAGES; pages++)
			run_host(&selection, (enum mode)mode, (enum pages)pages);
	}
	return report_close() ? 0 : 1;
}
