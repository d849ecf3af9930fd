/*
 * From the moment in which memory becomes short to the moment in which somebody knows it.
 *
 * The clock is read by whoever listens, first thing; who crosses sleeps until then, since
 * spinning would keep a processor from the listener where there are few.
 */
#include "latency.h"
#include "machine.h"
#include "measure.h"

#include <errno.h>
#include <math.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATIENCE = 2 }; /* s */

static struct {
	sem_t is_short, is_calm;
	_Atomic double at; /* ns; NAN: not yet */
} heard;

static double samples[LATENCY_SIDES][LATENCY_SAMPLES];

/* ---- Listening ---- */

bool latency_is_heard(void)
{
	return !isnan(atomic_load(&heard.at));
}

void latency_heard_short(void)
{
	double now = measure_now();

	/* What comes to and fro counts the first time. */
	if (!latency_is_heard())
		atomic_store(&heard.at, now);
	(void)sem_post(&heard.is_short);
}

void latency_heard_calm(void)
{
	(void)sem_post(&heard.is_calm);
}

static bool wait_for(sem_t *word)
{
	struct timespec end;
	int error;

	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += PATIENCE;
	do {
		error = sem_timedwait(word, &end);
	} while (error != 0 && errno == EINTR);
	return error == 0;
}

bool latency_wait_calm(void)
{
	return wait_for(&heard.is_calm);
}

static void forget(void)
{
	while (sem_trywait(&heard.is_short) == 0 || sem_trywait(&heard.is_calm) == 0)
		continue;
	atomic_store(&heard.at, NAN);
}

/* ---- Crossing ---- */

static void fail(struct latency_result *result, enum verdict verdict, const char *name,
		 const char *why)
{
	result->verdict = verdict;
	snprintf(result->note, sizeof(result->note), "%s: %s", name, why);
}

/* So that crossings meet whoever looks now and then at each moment of his sleep. */
static void wait_for_phase(const struct latency_side *side, unsigned round,
			   unsigned rounds)
{
	uint64_t ns = (uint64_t)side->phase_ms * 1000000 * round / rounds;
	struct timespec phase = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };

	if (ns != 0)
		(void)nanosleep(&phase, NULL);
}

static bool cross(const struct latency_side *side, double *sample,
		  struct latency_result *result)
{
	double from;

	forget();
	from = side->cross();
	if (isnan(from))
		fail(result, FAILED, side->name, "memory did not become short");
	else if (!wait_for(&heard.is_short))
		fail(result, FAILED, side->name, "nobody heard of it within two seconds");
	else
		*sample = atomic_load(&heard.at) - from;
	if (!side->back() && result->verdict == OK)
		fail(result, FAILED, side->name, "nobody heard that it was over");
	return result->verdict == OK;
}

static void take(const struct latency_side *side, unsigned round, unsigned rounds,
		 double *sample, struct latency_result *result)
{
	const char *why = side->open();

	if (why != NULL) {
		fail(result, SKIPPED, side->name, why);
		return;
	}
	for (unsigned i = 0; i < side->times && result->verdict == OK; i++) {
		wait_for_phase(side, round, rounds);
		if (!cross(side, &sample[i], result))
			break;
	}
	side->close();
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static struct latency_figures figures_of(double *of, unsigned count)
{
	qsort(of, count, sizeof(*of), compare);
	return (struct latency_figures){
		.count = count,
		.middle = of[(count - 1) / 2],
		.late = of[(count * 99 + 99) / 100 - 1],
		.most = of[count - 1],
	};
}

void latency_measure(const struct latency_side *const sides[LATENCY_SIDES],
		     unsigned rounds, struct latency_result *result)
{
	unsigned count = 0;

	result->verdict = OK;
	(void)sem_init(&heard.is_short, 0, 0);
	(void)sem_init(&heard.is_calm, 0, 0);
	while (count < LATENCY_SIDES && sides[count] != NULL)
		count++;
	for (unsigned round = 0; round < rounds && result->verdict == OK; round++) {
		for (unsigned i = 0; i < count && result->verdict == OK; i++) {
			unsigned turn = round % 2 == 0 ? i : count - 1 - i;
			unsigned times = sides[turn]->times;

			take(sides[turn], round, rounds, samples[turn] + round * times,
			     result);
		}
	}
	for (unsigned i = 0; i < count && result->verdict == OK; i++)
		result->figures[i] = figures_of(samples[i], rounds * sides[i]->times);
}
