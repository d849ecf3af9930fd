/*
 * What a program does that watches its memory itself.
 *
 * Its own accounting can tell a loop at once, which is one uv_async_send: the least that any
 * way to another thread takes.  A thread can wait for a threshold of a group.  Most have a
 * timer that looks, ten times a second.
 */
#include "apart.h"
#include "crossings.h"
#include "measure.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

enum { PERIOD_MS = 100 };

static pthread_t thread;

/* ---- A loop ---- */

static uv_loop_t loop;
static uv_async_t told, ended;
static uv_timer_t timer;
static bool (*is_short)(void);
static bool was_short;

static void hear(uv_async_t *async)
{
	(void)async;
	latency_heard_short();
}

static void look(uv_timer_t *at)
{
	bool now_short = is_short();

	(void)at;
	if (now_short && !was_short)
		latency_heard_short();
	if (!now_short && was_short)
		latency_heard_calm();
	was_short = now_short;
}

static void end(uv_async_t *async)
{
	(void)async;
	uv_close((uv_handle_t *)&told, NULL);
	uv_close((uv_handle_t *)&ended, NULL);
	uv_close((uv_handle_t *)&timer, NULL);
}

static void *run(void *argument)
{
	(void)argument;
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&loop);
	return NULL;
}

static const char *open_loop(void)
{
	if (uv_loop_init(&loop) != 0)
		return "no loop to be had";
	(void)uv_async_init(&loop, &told, hear);
	(void)uv_async_init(&loop, &ended, end);
	(void)uv_timer_init(&loop, &timer);
	if (is_short != NULL)
		(void)uv_timer_start(&timer, look, PERIOD_MS, PERIOD_MS);
	was_short = false;
	if (pthread_create(&thread, NULL, run, NULL) == 0)
		return NULL;
	return "no thread to be had";
}

static void close_loop(void)
{
	(void)uv_async_send(&ended);
	(void)pthread_join(thread, NULL);
}

/* ---- Telling it ---- */

static const char *open_async(void)
{
	is_short = NULL;
	return open_loop();
}

static double tell(void)
{
	double from = measure_now();

	(void)uv_async_send(&told);
	return from;
}

/* So that it sleeps again, as ours does. */
static bool let_it_sleep(void)
{
	(void)usleep(1000);
	return true;
}

/* ---- A timer that looks ---- */

static const char *open_group_timer(void)
{
	is_short = crossing_is_group_short;
	return open_loop();
}

static const char *open_limit_timer(void)
{
	crossing_raise_limit();
	is_short = crossing_is_limit_short;
	return open_loop();
}

static bool leave_group(void)
{
	crossing_leave_group();
	return latency_wait_calm();
}

static bool raise_limit(void)
{
	crossing_raise_limit();
	return latency_wait_calm();
}

/* ---- A thread that waits for the group ---- */

static int event = -1;
static atomic_bool leaving;

/*
 * It comes both ways, and counts.  What the group uses at this moment may be less than what
 * the kernel told of, since that charges some pages in advance.
 */
static void *wait_for_event(void *argument)
{
	uint64_t count;

	(void)argument;
	while (read(event, &count, sizeof(count)) > 0 && !atomic_load(&leaving)) {
		was_short ^= count % 2 != 0;
		if (was_short)
			latency_heard_short();
		else
			latency_heard_calm();
	}
	return NULL;
}

static bool ask_for_event(void)
{
	int usage = apart_open("memory.usage_in_bytes", O_RDONLY);
	int control = apart_open("cgroup.event_control", O_WRONLY);
	char text[64];
	int length = snprintf(text, sizeof(text), "%d %d %llu", event, usage,
			      (unsigned long long)crossing_threshold());
	bool done = write(control, text, (size_t)length + 1) > 0;

	(void)close(control);
	(void)close(usage);
	return done;
}

static const char *open_event(void)
{
	event = eventfd(0, EFD_CLOEXEC);
	was_short = false;
	atomic_store(&leaving, false);
	if (event >= 0 && ask_for_event() &&
	    pthread_create(&thread, NULL, wait_for_event, NULL) == 0)
		return NULL;
	(void)close(event);
	return "the group does not tell";
}

static void close_event(void)
{
	const uint64_t one = 1;
	ssize_t written;

	atomic_store(&leaving, true);
	written = write(event, &one, sizeof(one));
	(void)written;
	(void)pthread_join(thread, NULL);
	(void)close(event);
}

const struct latency_side crossing_async = {
	"uv_async_send", 10, 0, open_async, tell, let_it_sleep, close_loop,
};

const struct latency_side crossing_event = {
	"thread with an eventfd", 5,           0,           open_event,
	crossing_use_group,       leave_group, close_event,
};

const struct latency_side crossing_group_timer = {
	"uv_timer, 100 ms", 1,           100,        open_group_timer,
	crossing_use_group, leave_group, close_loop,
};

const struct latency_side crossing_limit_timer = {
	"uv_timer, 100 ms",   1,           100,        open_limit_timer,
	crossing_lower_limit, raise_limit, close_loop,
};
