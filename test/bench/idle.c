/*
 * What a monitor costs while nothing happens.
 *
 * The kernel keeps the account of each thread: how long it ran, and how often it went to
 * sleep.  Beside the monitor there is a libuv loop that does what many do instead: every
 * 100 ms it asks how much memory is free; and one that asks for nothing, which is the least that
 * ten looks a second can take.  All are watched over the same time.
 *
 * In the group so much is used that memory is all but short, and the monitor looks as often
 * as it ever does.
 */
#include "idle.h"
#include "allocations.h"
#include "apart.h"
#include "listener.h"
#include "measure.h"
#include "test/proc.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum {
	PERIOD_MS = 100,
	MOST_THREADS = 16,
	NEAR_LOAD = 86, /* per cent: a group of that size is short from 87.5 on */
};

/* ---- Threads of this process ---- */

struct threads {
	long numbers[MOST_THREADS];
	unsigned count;
};

static struct threads list_threads(void)
{
	struct threads list = { .count = 0 };
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;

	while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
		if (entry->d_name[0] != '.' && list.count < MOST_THREADS)
			list.numbers[list.count++] = strtol(entry->d_name, NULL, 10);
	}
	if (tasks != NULL)
		(void)closedir(tasks);
	return list;
}

static long find_new(const struct threads *after, const struct threads *before)
{
	for (unsigned i = 0; i < after->count; i++) {
		bool known = false;

		for (unsigned j = 0; j < before->count; j++)
			known |= after->numbers[i] == before->numbers[j];
		if (!known)
			return after->numbers[i];
	}
	return 0;
}

struct account {
	double ns, sleeps;
};

static struct account account_of(long thread)
{
	char path[64];
	struct account account;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/schedstat", thread);
	account.ns = (double)figure(path, "");
	snprintf(path, sizeof(path), "/proc/self/task/%ld/status", thread);
	account.sleeps = (double)figure(path, "\nvoluntary_ctxt_switches:");
	return account;
}

static struct idle_thread spent(const struct account *from, const struct account *to,
				double ns)
{
	return (struct idle_thread){ 100 * (to->ns - from->ns) / ns,
				     1e9 * (to->sleeps - from->sleeps) / ns };
}

/* ---- What others do ---- */

struct other {
	uv_timer_cb look;
	uv_loop_t loop;
	uv_timer_t timer;
	atomic_long number; /* of its thread */
};

static void look(uv_timer_t *at)
{
	(void)at;
	(void)uv_get_free_memory();
}

static void look_at_nothing(uv_timer_t *at)
{
	(void)at;
}

static struct other asking = { .look = look }, empty = { .look = look_at_nothing };

static void *run(void *argument)
{
	struct other *other = argument;

	allocations_leave_out();
	if (uv_loop_init(&other->loop) == 0) {
		(void)uv_timer_init(&other->loop, &other->timer);
		(void)uv_timer_start(&other->timer, other->look, PERIOD_MS, PERIOD_MS);
		atomic_store(&other->number, syscall(SYS_gettid));
		(void)uv_run(&other->loop, UV_RUN_DEFAULT);
	}
	return NULL;
}

/* It ends with the process. */
static void start(struct other *other)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, other) != 0)
		return;
	for (unsigned i = 0; i < 2000 && atomic_load(&other->number) == 0; i++)
		(void)usleep(1000);
}

/* ---- Watching ---- */

static void count_calls(const struct listener *listener, uint64_t calls[HOSTMEM_SOURCES])
{
	for (unsigned i = 0; i < HOSTMEM_SOURCES; i++) {
		HostMemSourceState state = HOSTMEM_SOURCE_STATE_INIT;

		(void)IHostMemoryMonitor_GetSource(listener->monitor, (HostMemSource)i,
						   &state);
		calls[i] = state.cCalls - calls[i];
	}
}

static void watch(struct idle_result *result, long monitor)
{
	const long numbers[] = { monitor, atomic_load(&asking.number),
				 atomic_load(&empty.number) };
	struct idle_thread *const spent_by[] = { &result->ours, &result->timer,
						 &result->empty };
	struct timespec time = { (time_t)result->seconds, 0 };
	struct account from[3];
	unsigned long allocations = allocations_count();
	double since = measure_now();

	for (unsigned i = 0; i < 3; i++)
		from[i] = account_of(numbers[i]);
	(void)nanosleep(&time, NULL);
	since = measure_now() - since;
	for (unsigned i = 0; i < 3; i++) {
		struct account to = account_of(numbers[i]);

		*spent_by[i] = spent(&from[i], &to, since);
	}
	allocations = allocations_count() - allocations;
	result->allocations = allocations_counted() ? (double)allocations : NAN;
	if (result->ours.per_cent <= 0) {
		result->verdict = SKIPPED;
		snprintf(result->note, sizeof(result->note),
			 "the kernel keeps no account of threads");
	}
}

static const char *watch_host(struct idle_result *result)
{
	struct threads before, after;
	struct listener listener;
	const char *why;
	DWORD load;
	SIZE_T available;

	if (result->grouped &&
	    !(apart_enter_group() && apart_use(APART_LIMIT * NEAR_LOAD / 100)))
		return "the control group cannot be entered or filled";
	start(&asking);
	start(&empty);
	before = list_threads();
	why = listener_open(&listener, NULL, NULL);
	if (why != NULL)
		return why;
	/* A first look costs more than the others. */
	(void)usleep(2 * PERIOD_MS * 1000);
	after = list_threads();
	result->threads = (double)after.count - before.count;
	count_calls(&listener, result->calls);
	watch(result, find_new(&after, &before));
	count_calls(&listener, result->calls);
	(void)IHostMemoryManager_GetMemoryLoad(listener.manager, &load, &available);
	result->load = load;
	listener_close(&listener);
	return NULL;
}

void idle_watch(struct idle_result *result)
{
	const char *why;

	result->verdict = OK;
	why = watch_host(result);
	if (why == NULL)
		return;
	result->verdict = FAILED;
	snprintf(result->note, sizeof(result->note), "%s", why);
}
