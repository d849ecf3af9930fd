/*
 * How soon a host hears that memory is short, and what it costs to listen.
 *
 * Each row is in a process of its own, as limits and groups are a process's.  Latencies are
 * taken in turn with what a program would do without us, costs are watched beside it.
 *
 * A missed target does not fail the program, since machines differ and are busy; nor does a
 * row that needs a control group where none can be made.
 */
#include "apart.h"
#include "crossings.h"
#include "idle.h"
#include "loads.h"
#include "machine.h"
#include "pressurereport.h"
#include "wavering.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct options options;

/* ---- Latencies ---- */

static const struct latency_row latency_rows[] = {
	{ .name = "budget",
	  .about = "a commit that fills the budget to nine tenths",
	  .sides = { &crossing_budget, &crossing_async },
	  .judged = JUDGE_LATE,
	  .target = 1 },
	{ .name = "soft-budget",
	  .about = "a commit beyond the soft limit",
	  .sides = { &crossing_soft_budget, &crossing_async },
	  .judged = JUDGE_LATE,
	  .target = 1 },
	{ .name = "group",
	  .about = "a touched page that fills a control group (version 1) to nine tenths",
	  .sides = { &crossing_group, &crossing_event, &crossing_group_timer },
	  .judged = JUDGE_MIDDLE,
	  .target = 1,
	  .grouped = true },
	{ .name = "timer",
	  .about = "a lower RLIMIT_DATA, of which nothing tells",
	  .sides = { &crossing_limit, &crossing_limit_timer },
	  .judged = JUDGE_MOST,
	  .target = 110 },
};

enum { LATENCY_ROWS = sizeof(latency_rows) / sizeof(latency_rows[0]) };

struct latency_task {
	const struct latency_row *row;
	unsigned rounds;
	struct latency_result result;
};

static void measure_latency(void *argument)
{
	struct latency_task *task = argument;

	if (task->row->grouped && !(apart_enter_group() && crossing_prepare_group())) {
		task->result.verdict = FAILED;
		snprintf(task->result.note, NOTE_SIZE,
			 "the control group cannot be entered or filled");
		return;
	}
	latency_measure(task->row->sides, task->rounds, &task->result);
}

/* Runs it in a process, and in a group if it wants one; tells why that was not possible. */
static void run_apart(void (*body)(void *task), void *task, bool grouped,
		      unsigned seconds, enum verdict *verdict, char note[NOTE_SIZE])
{
	const char *why = grouped ? apart_make_group() : NULL;

	*verdict = why != NULL ? SKIPPED : OK;
	if (why == NULL) {
		why = apart_run(body, task, seconds);
		if (why != NULL)
			*verdict = FAILED;
	}
	if (why != NULL)
		snprintf(note, NOTE_SIZE, "%s", why);
	apart_remove_group();
}

static void run_latency(unsigned index)
{
	const struct latency_row *row = &latency_rows[index];
	struct latency_task *task = apart_share(sizeof(*task));

	if (task == NULL)
		return;
	machine_progress("%s", row->name);
	*task = (struct latency_task){ .row = row, .rounds = options.plan.rounds };
	run_apart(measure_latency, task, row->grouped, 600, &task->result.verdict,
		  task->result.note);
	machine_progress("%s", "");
	pressurereport_latency(row, &task->result);
}

/* ---- Costs ---- */

static void measure_idle(void *argument)
{
	idle_watch(argument);
}

/* Which source has woken it, and how often. */
static void name_sources(const struct idle_result *result, char *text, size_t size)
{
	static const char *const names[HOSTMEM_SOURCES] = {
		"budget", "timer", "group", "events", "some stalled", "all stalled",
	};
	size_t length = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < HOSTMEM_SOURCES && length < size; i++) {
		if (result->calls[i] == 0)
			continue;
		length += (size_t)snprintf(text + length, size - length, "%s%s %llu",
					   length != 0 ? ", " : "", names[i],
					   (unsigned long long)result->calls[i]);
	}
}

static double turns(const struct idle_result *result)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++)
		sum += result->calls[i];
	return (double)sum / result->seconds;
}

static void report_idle(const char *state, const struct idle_result *result)
{
	static const char timer[] = "uv_timer, 100 ms, uv_get_free_memory";
	bool counted = !isnan(result->allocations);
	char names[5][32], load[NOTE_SIZE], sources[NOTE_SIZE];
	const char *const failed = result->verdict == OK ? NULL : result->note;
	const struct cost costs[] = {
		{ names[0], "%", result->ours.per_cent, 0.05, timer,
		  result->timer.per_cent, result->verdict, failed ? failed : load },
		{ names[1], "1/s", turns(result), 12, timer, 10, result->verdict,
		  sources },
		{ names[2], "1/s", result->ours.sleeps, NAN, timer, result->timer.sleeps,
		  result->verdict, "" },
		{ names[3], "", result->threads, 1, NULL, NAN, result->verdict, "" },
		{ names[4], "", result->allocations, 0, NULL, NAN,
		  failed || counted ? result->verdict : SKIPPED,
		  counted ? "" : "cannot be counted in this build" },
	};
	static const char *const figures[] = { "processor", "wake-ups", "sleeps",
					       "threads", "allocations" };

	for (unsigned i = 0; i < 5; i++)
		snprintf(names[i], sizeof(names[i]), "idle-%s: %s", state, figures[i]);
	snprintf(load, sizeof(load), "load %u %%; an empty timer has %.4f", result->load,
		 result->empty.per_cent);
	name_sources(result, sources, sizeof(sources));
	for (unsigned i = 0; i < 5; i++)
		pressurereport_cost(&costs[i]);
}

static void run_idle(bool grouped)
{
	const char *state = grouped ? "group" : "plenty";
	struct idle_result *result = apart_share(sizeof(*result));

	if (result == NULL)
		return;
	machine_progress("idle-%s", state);
	*result = (struct idle_result){ .seconds = options.seconds, .grouped = grouped };
	run_apart(measure_idle, result, grouped, options.seconds + 60, &result->verdict,
		  result->note);
	machine_progress("%s", "");
	report_idle(state, result);
}

static void run_idle_plenty(void)
{
	run_idle(false);
}

static void run_idle_group(void)
{
	run_idle(true);
}

static void measure_loads(void *argument)
{
	loads_measure(argument);
}

static void run_loads(void)
{
	static const char file[] = "/proc/meminfo, read each time";
	struct loads_result *result = apart_share(sizeof(*result));
	enum verdict verdict;
	char note[NOTE_SIZE] = "";

	if (result == NULL)
		return;
	machine_progress("%s", "load");
	result->plan = options.plan;
	run_apart(measure_loads, result, false, 600, &verdict, note);
	machine_progress("%s", "");
	if (verdict == OK)
		verdict = result->verdict;
	pressurereport_cost(&(struct cost){ "load: with a monitor", "ns", result->with,
					    1000, file, result->file, verdict, note });
	pressurereport_cost(&(struct cost){ "load: without", "ns", result->without, NAN,
					    file, result->file, verdict, note });
}

static void run_noise(void)
{
	struct wavering_result result;
	char note[NOTE_SIZE];

	machine_progress("%s", "noise");
	wavering_play(options.quick ? 1 : 3, &result);
	machine_progress("%s", "");
	snprintf(note, sizeof(note), "%u hours", result.hours);
	pressurereport_cost(&(struct cost){ "noise: changes", "1/h", result.rules, 0,
					    "one threshold", result.threshold, OK,
					    note });
}

static const struct {
	const char *name;
	const char *about;
	void (*run)(void);
} cost_rows[] = {
	{ "idle-plenty", "a monitor's thread while there is memory", run_idle_plenty },
	{ "idle-group", "the same in a small group near its threshold", run_idle_group },
	{ "load", "GetMemoryLoad, with a monitor and without", run_loads },
	{ "noise", "changes that a noisy load brings in an hour", run_noise },
};

enum { COST_ROWS = sizeof(cost_rows) / sizeof(cost_rows[0]) };

_Static_assert(LATENCY_ROWS + COST_ROWS <= OPTIONS_ROWS,
	       "options have room for all rows");

/* ---- All of it ---- */

static const char *row_of(size_t index, const char **about)
{
	if (index < LATENCY_ROWS) {
		*about = latency_rows[index].about;
		return latency_rows[index].name;
	}
	index -= LATENCY_ROWS;
	if (index >= COST_ROWS)
		return NULL;
	*about = cost_rows[index].about;
	return cost_rows[index].name;
}

static void introduce(void)
{
	machine_print();
	machine_print_processors(&options.plan);
	printf("%u rounds, all sides in turn; what costs little is watched for %u s\n",
	       options.plan.rounds, options.seconds);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct options_program program = {
		.name = "pressure",
		.about = "Times how soon a host's callback hears that memory is short, "
			 "and tells what the\nmonitor costs meanwhile, beside what a "
			 "program would do itself.  Some rows need the\nright to make a "
			 "control group of version 1.\n",
		.quick = ", and a\nshorter look at what costs little",
		.row = row_of,
		.rounds = 101,
		.quick_rounds = 11,
		.seconds = 12,
		.quick_seconds = 3,
	};

	options_read(&options, &program, argc, argv);
	if (!pressurereport_open(&options))
		return 1;
	introduce();
	for (unsigned i = 0; i < LATENCY_ROWS; i++) {
		if (options.wanted[i])
			run_latency(i);
	}
	for (unsigned i = 0; i < COST_ROWS; i++) {
		if (options.wanted[LATENCY_ROWS + i])
			cost_rows[i].run();
	}
	return pressurereport_close() ? 0 : 1;
}
