/*
 * How fast and how frugal our heap is, beside those that everybody has.
 *
 * Each heap is in a process of its own, started with its library: ours, mimalloc, jemalloc
 * and the C library's.  For each row that is timed this process tells them in turn to take
 * one sample, the even rounds forwards and the odd ones backwards, as the sides within one
 * process are measured, see measure.h.  The others sleep meanwhile.
 *
 * A machine that others use, too, has slow moments, some shorter than a round and some longer
 * than a row, which are not as slow for all heaps: whoever waits more for memory than for the
 * processor feels less of them.  So there are many short samples, and what is told of each
 * heap is what a quarter of its samples stays below.  And which pages a process happens to
 * get may cost it as much as its heap, from its beginning to its end: a third of the samples
 * is taken in one process, a third in the next.
 *
 * A row of memory is one run of a workload in a process that has done nothing else; what
 * threads do differs from run to run, and the median of some is told.
 *
 * A missed target does not fail the program, nor does a library that is not installed:
 * that is said, and its columns are empty.  A heap that refuses does.
 */
#include "heapreport.h"
#include "machine.h"
#include "worker.h"

#include <stdio.h>
#include <string.h>

enum {
	PEAK_RUNS = 3, /* odd */
	PROCESSES = 3, /* of a heap, for a row that is timed */
	SHORTER = 3,   /* times, where no second thread has to be woken */
};

static struct options options;
static struct worker workers[ALLOCATORS];
static struct worker_answer opened[ALLOCATORS]; /* what each said of its heap */
static struct measure_side sides[ALLOCATORS];   /* the samples that each has taken */

_Static_assert(HEAP_ROWS + PEAK_ROWS <= OPTIONS_ROWS, "options have room for all rows");

/* First those that are timed, then those that are counted. */
static const char *row_of(size_t index, const char **about)
{
	if (index < HEAP_ROWS) {
		*about = heap_rows[index].about;
		return heap_rows[index].name;
	}
	index -= HEAP_ROWS;
	if (index >= PEAK_ROWS)
		return NULL;
	*about = peak_rows[index].about;
	return peak_rows[index].name;
}

static void open_worker(enum allocator allocator)
{
	const struct worker_order order = { .task = WORKER_OPEN };

	(void)worker_start(&workers[allocator], allocator);
	worker_ask(&workers[allocator], &order, &opened[allocator]);
}

static void introduce(void)
{
	machine_print();
	for (unsigned i = OURS; i < ALLOCATORS; i++) {
		open_worker(i);
		printf("%-9s %s%s\n", allocator_name(i),
		       opened[i].verdict == OK ? "" : "not available: ", opened[i].note);
	}
	machine_print_processors(&options.plan);
	printf("Of %u rounds, all heaps in turn, what a quarter stays below.  * the "
	       "target is "
	       "missed,\n? two threads have not had two processors\n",
	       options.plan.rounds);
	fflush(stdout);
}

/* Tells a worker, and keeps what it says if that is bad. */
static bool tell(unsigned allocator, const struct worker_order *order,
		 struct worker_answer *answer, struct heap_result *result)
{
	if (result->verdict != OK)
		return false;
	worker_ask(&workers[allocator], order, answer);
	result->verdict = answer->verdict;
	if (answer->verdict != OK)
		snprintf(result->note, sizeof(result->note), "%s", answer->note);
	return answer->verdict == OK;
}

static void begin_results(struct heap_result results[ALLOCATORS])
{
	memset(results, 0, ALLOCATORS * sizeof(*results));
	for (unsigned i = OURS; i < ALLOCATORS; i++) {
		/* One that has crashed in another row has another chance in this one. */
		if (opened[i].verdict == OK && workers[i].process == 0)
			open_worker(i);
		results[i].verdict = opened[i].verdict;
		if (opened[i].verdict != OK)
			memcpy(results[i].note, opened[i].note, sizeof(results[i].note));
	}
}

static void take_round(unsigned round, struct heap_result results[ALLOCATORS])
{
	const struct worker_order order = { .task = WORKER_SAMPLE };
	struct worker_answer answer;

	for (unsigned i = 0; i < ALLOCATORS; i++) {
		unsigned turn = round % 2 == 0 ? i : ALLOCATORS - 1 - i;

		if (!tell(turn, &order, &answer, &results[turn]))
			continue;
		sides[turn].samples[round] = answer.ns;
		sides[turn].clean[round] = answer.clean;
	}
}

/* Another process for each heap. */
static void renew_workers(struct heap_result results[ALLOCATORS])
{
	for (unsigned i = OURS; i < ALLOCATORS; i++) {
		if (results[i].verdict != OK)
			continue;
		worker_stop(&workers[i]);
		open_worker(i);
		results[i].verdict = opened[i].verdict;
		if (opened[i].verdict != OK)
			memcpy(results[i].note, opened[i].note, sizeof(results[i].note));
	}
}

/* Those from one round to another. */
static void take_rounds(const struct worker_order *row, unsigned from, unsigned to,
			struct heap_result results[ALLOCATORS])
{
	struct worker_order order = *row;
	struct worker_answer answer;

	order.task = WORKER_PREPARE;
	for (unsigned i = OURS; i < ALLOCATORS; i++)
		(void)tell(i, &order, &answer, &results[i]);
	for (unsigned round = from; round < to; round++)
		take_round(round, results);
	order.task = WORKER_FINISH;
	for (unsigned i = OURS; i < ALLOCATORS; i++)
		(void)tell(i, &order, &answer, &results[i]);
}

static void run_timed(unsigned index)
{
	const struct heap_row *row = &heap_rows[index];
	struct worker_order order = { .row = index, .plan = options.plan };
	struct heap_result results[ALLOCATORS];
	double processors = row->threads > 1 ? machine_processors(&options.plan) : 0;
	unsigned rounds = options.plan.rounds;

	machine_progress("%s", row->name);
	if (row->threads == 1)
		order.plan.sample /= SHORTER;
	begin_results(results);
	for (unsigned i = 0; i < PROCESSES; i++) {
		renew_workers(results);
		take_rounds(&order, rounds * i / PROCESSES, rounds * (i + 1) / PROCESSES,
			    results);
	}
	for (unsigned i = OURS; i < ALLOCATORS; i++) {
		if (results[i].verdict == OK)
			results[i].figures = measure_figures(&sides[i], rounds);
	}
	machine_progress("%s", "");
	heapreport_timed(row, results, processors >= ENOUGH_PROCESSORS);
}

static void take_peak(unsigned index, unsigned allocator, unsigned run, size_t *live,
		      struct heap_result *result)
{
	const struct worker_order order = { .task = WORKER_PEAK, .row = index };
	struct worker worker;
	struct worker_answer answer;

	if (result->verdict != OK)
		return;
	(void)worker_start(&worker, allocator);
	worker_ask(&worker, &order, &answer);
	worker_stop(&worker);
	result->verdict = answer.verdict;
	if (answer.verdict != OK) {
		memcpy(result->note, answer.note, sizeof(result->note));
		return;
	}
	sides[allocator].samples[run] = (double)answer.peak;
	sides[allocator].clean[run] = true;
	if (answer.live > *live)
		*live = answer.live;
}

static void run_peak(unsigned index)
{
	const struct peak_row *row = &peak_rows[index];
	struct heap_result results[ALLOCATORS];
	unsigned runs = options.quick ? 1 : PEAK_RUNS;
	size_t live = 0;

	begin_results(results);
	for (unsigned run = 0; run < runs; run++) {
		for (unsigned i = OURS; i < ALLOCATORS; i++) {
			machine_progress("%s: %s, run %u", row->name, allocator_name(i),
					 run + 1);
			take_peak(index, i, run, &live, &results[i]);
		}
	}
	for (unsigned i = OURS; i < ALLOCATORS; i++) {
		if (results[i].verdict == OK)
			results[i].figures = measure_figures(&sides[i], runs);
	}
	machine_progress("%s", "");
	heapreport_peak(row, results, live);
}

int main(int argc, char **argv)
{
	static const struct options_program program = {
		.name = "heap",
		.about = "Times heaps in turn, each in a process of its own, and counts "
			 "what they "
			 "take:\nhostmem's, with a limit and an empty subscriber, "
			 "mimalloc's, "
			 "jemalloc's and the\nC library's.  For two of them the packages "
			 "libmimalloc2.0 and libjemalloc2 (Debian,\nUbuntu: apt install) "
			 "have to "
			 "be there; one that is missing is named and left out.\n",
		.quick = ",\nand each workload once",
		.row = row_of,
		.rounds = 99,
		.quick_rounds = 15,
	};

	if (worker_is_this(argc, argv))
		return worker_main(argv);
	options_read(&options, &program, argc, argv);
	if (!heapreport_open(&options))
		return 1;
	introduce();
	for (unsigned i = 0; i < HEAP_ROWS; i++) {
		if (options.wanted[i])
			run_timed(i);
	}
	for (unsigned i = 0; i < PEAK_ROWS; i++) {
		if (options.wanted[HEAP_ROWS + i])
			run_peak(i);
	}
	for (unsigned i = OURS; i < ALLOCATORS; i++)
		worker_stop(&workers[i]);
	return heapreport_close() ? 0 : 1;
}
