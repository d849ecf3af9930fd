/*
 * Sides that are measured against each other, in turn.
 *
 * How often a side runs in a sample is found out once, by doubling, and then kept: a
 * sample of each side lasts about as long, whatever the sides cost.  What is reported
 * is a median and a minimum, never a mean, which one interrupt can spoil.
 *
 * Two threads start together: the second one is awake and says so, the first one reads
 * the clock and lets both go, and reads it again when both are done.  Between samples
 * the second thread sleeps, so that the processor is left to the sides that have one.
 *
 * A machine that has other work takes processors away, and then two threads say nothing
 * about locks.  The kernel tells: a switch that a thread did not ask for is a processor
 * that it lost, while waiting for a lock is one that it gave up.  A sample with a switch
 * of the first kind, with both threads on one processor at its start, or with a second
 * thread that came late, is not clean.
 */
#include "measure.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define PARTING 2e6 /* ns */

enum stage { ASLEEP, AWAKE, RUNNING, DONE };

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	const struct measure_side *side; /* guarded by lock; what to run next */
	bool leave;                      /* guarded by lock */
	bool good;                       /* of the last run, as are these two */
	bool clean;
	double started; /* ns */
	_Atomic(enum stage) stage;
	_Atomic(int) processor; /* that it was on when it was last looked at */
} second = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.wake = PTHREAD_COND_INITIALIZER,
};

double measure_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void wait_for(enum stage stage)
{
	while (atomic_load_explicit(&second.stage, memory_order_acquire) != stage)
		(void)sched_yield();
}

/*
 * A thread that was woken may wait on the processor of the one that woke it until the
 * scheduler looks at them again.  Both keep busy, so that it sees two, for a while.
 */
static bool part(void)
{
	double end = measure_now() + PARTING;

	while (atomic_load_explicit(&second.processor, memory_order_relaxed) ==
		       sched_getcpu() &&
	       measure_now() < end)
		continue;
	return atomic_load_explicit(&second.processor, memory_order_relaxed) !=
	       sched_getcpu();
}

/* How often this thread has lost its processor. */
static long losses(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}

static bool run(const struct measure_side *side, unsigned lane, bool *clean)
{
	long before = losses();
	bool good = side->work->run(side->lanes[lane], side->times);

	*clean = losses() == before;
	return good;
}

static void enter(enum stage stage)
{
	atomic_store_explicit(&second.stage, stage, memory_order_release);
}

static void *second_thread(void *unused)
{
	const struct measure_side *side;

	(void)unused;
	for (;;) {
		(void)pthread_mutex_lock(&second.lock);
		while (second.side == NULL && !second.leave)
			(void)pthread_cond_wait(&second.wake, &second.lock);
		side = second.side;
		second.side = NULL;
		(void)pthread_mutex_unlock(&second.lock);
		if (side == NULL)
			return NULL;
		enter(AWAKE);
		while (atomic_load_explicit(&second.stage, memory_order_acquire) !=
		       RUNNING)
			atomic_store_explicit(&second.processor, sched_getcpu(),
					      memory_order_relaxed);
		second.started = measure_now();
		second.good = run(side, 1, &second.clean);
		enter(DONE);
	}
}

bool measure_open(void)
{
	second.leave = false;
	return pthread_create(&second.thread, NULL, second_thread, NULL) == 0;
}

void measure_close(void)
{
	(void)pthread_mutex_lock(&second.lock);
	second.leave = true;
	(void)pthread_cond_signal(&second.wake);
	(void)pthread_mutex_unlock(&second.lock);
	(void)pthread_join(second.thread, NULL);
}

static bool run_both(const struct measure_side *side, double *ns, bool *clean)
{
	double start;
	bool good, parted;

	enter(ASLEEP);
	atomic_store_explicit(&second.processor, sched_getcpu(), memory_order_relaxed);
	(void)pthread_mutex_lock(&second.lock);
	second.side = side;
	(void)pthread_cond_signal(&second.wake);
	(void)pthread_mutex_unlock(&second.lock);
	wait_for(AWAKE);
	parted = part();
	start = measure_now();
	enter(RUNNING);
	good = run(side, 0, clean);
	wait_for(DONE);
	*ns = measure_now() - start;
	*clean = *clean && second.clean && parted && second.started - start < *ns / 20;
	return good && second.good;
}

static bool around(bool (*work)(void *, size_t), const struct measure_side *side)
{
	bool good = true;

	for (unsigned lane = 0; work != NULL && lane < side->threads; lane++)
		good = work(side->lanes[lane], side->times) && good;
	return good;
}

/* ns that all the times of a side take. */
static bool sample(const struct measure_side *side, double *ns, bool *clean)
{
	double start;
	bool good = around(side->work->before, side);

	if (good && side->threads == 2) {
		good = run_both(side, ns, clean);
	} else if (good) {
		start = measure_now();
		good = run(side, 0, clean);
		*ns = measure_now() - start;
	}
	return around(side->work->after, side) && good;
}

/* One sample that is long because it was interrupted must not pass for long work. */
static bool quicker_of_two(const struct measure_side *side, double enough, double *ns)
{
	double again;
	bool clean;

	if (!sample(side, ns, &clean))
		return false;
	if (*ns < enough)
		return true;
	if (!sample(side, &again, &clean))
		return false;
	*ns = again < *ns ? again : *ns;
	return true;
}

bool measure_prepare(struct measure_side *side, const struct measure_plan *plan)
{
	double wanted = plan->sample;
	size_t most = side->work->most != 0 ? side->work->most : (size_t)1 << 40;
	double ns = 0;
	double times;
	bool clean;

	if (side->like != NULL) {
		side->times = side->like->times;
		return sample(side, &ns, &clean);
	}
	for (side->times = 1;; side->times *= 2) {
		if (!quicker_of_two(side, wanted / 4, &ns))
			return false;
		if (ns >= wanted / 4 || side->times * 2 > most)
			break;
	}
	times = (double)side->times * wanted / (ns > 1 ? ns : 1);
	side->times = times < 1 ? 1 : times > (double)most ? most : (size_t)times;
	return true;
}

bool measure_sample(struct measure_side *side, unsigned round)
{
	double ns;

	if (!sample(side, &ns, &side->clean[round]))
		return false;
	side->samples[round] = ns / (double)side->times;
	return true;
}

bool measure_sides(struct measure_side *sides, size_t count,
		   const struct measure_plan *plan)
{
	for (size_t i = 0; i < count; i++) {
		if (!measure_prepare(&sides[i], plan))
			return false;
	}
	for (unsigned round = 0; round < plan->rounds; round++) {
		for (size_t i = 0; i < count; i++) {
			struct measure_side *side =
				&sides[round % 2 == 0 ? i : count - 1 - i];

			if (!measure_sample(side, round))
				return false;
		}
	}
	return true;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static struct measure_figures figures_of(double *samples, unsigned count)
{
	qsort(samples, count, sizeof(*samples), compare);
	return (struct measure_figures){ .quarter = samples[count / 4],
					 .median = samples[count / 2],
					 .least = samples[0] };
}

static bool enough(unsigned clean, unsigned rounds)
{
	return clean >= 3 && clean >= rounds / 4;
}

struct measure_figures measure_figures(const struct measure_side *side, unsigned rounds)
{
	double samples[MEASURE_ROUNDS];
	struct measure_figures figures;
	unsigned count = 0;
	bool clean;

	for (unsigned i = 0; i < rounds; i++) {
		if (side->clean[i])
			samples[count++] = side->samples[i];
	}
	clean = enough(count, rounds);
	if (!clean) {
		memcpy(samples, side->samples, rounds * sizeof(*samples));
		count = rounds;
	}
	figures = figures_of(samples, count);
	figures.clean = clean;
	return figures;
}

double measure_extra(const struct measure_side *with, const struct measure_side *without,
		     unsigned rounds)
{
	struct measure_side more;

	for (unsigned i = 0; i < rounds; i++) {
		more.samples[i] = with->samples[i] - without->samples[i];
		more.clean[i] = with->clean[i] && without->clean[i];
	}
	return measure_figures(&more, rounds).median;
}

/* A chain that no processor can shorten, and that touches no memory. */
static bool compute(void *lane, size_t times)
{
	uint64_t number = *(const uint64_t *)lane;

	for (size_t i = 0; i < times; i++)
		number = number * 6364136223846793005U + 1442695040888963407U;
	*(uint64_t *)lane = number;
	return true;
}

double measure_processors(const struct measure_plan *plan)
{
	static const struct measure_work work = { .run = compute };
	_Alignas(128) uint64_t one = 1;
	_Alignas(128) uint64_t two = 2;
	struct measure_side sides[2] = {
		{ .work = &work, .threads = 1, .lanes = { &one } },
		{ .work = &work, .threads = 2, .lanes = { &one, &two } },
	};
	struct measure_plan few = { 9, plan->sample };

	sides[1].like = &sides[0];
	(void)measure_sides(sides, 2, &few);
	return 2 * figures_of(sides[0].samples, few.rounds).median /
	       figures_of(sides[1].samples, few.rounds).median;
}
